#!/usr/bin/env bash
# Backends that lie about their time (tests/plugins/liar.c) get no time from qvl-bench; honest ones do, in a JSON that
# Google Benchmark's tools read. No assertion here depends on how fast the machine is.
# $1: qvl-audit, beside which qvl-bench and the folder `plugins` lie; $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
folder=$(cd "$(dirname "$1")" && pwd)
bench=$folder/qvl-bench
scratch=$2
clip=$PWD/tests/golden/media/h264_two_seconds.mkv
[ -x "$bench" ] || { echo "qvl-bench was not built: Google Benchmark is missing"; exit 77; }
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch" || exit 1
# exits STATUS PATTERN COMMAND...: the exit code, and a line of the output that matches.
exits() {
    local wanted=$1 pattern=$2 status
    shift 2
    "$@" >out 2>&1 </dev/null
    status=$?
    [ "$status" -eq "$wanted" ] && grep -qE -- "$pattern" out
    note $? "$*: exit $status, $wanted wanted; \"$pattern\" wanted in: $(head -c 2000 out)"
}

# A busy machine must not decide: its disturbances are noted, not judged.
quick=("$bench" --quick --conditions=report --benchmark_min_time=0.02) # one that lies from its fifth call on must get there
case=--case='linear rows=4 in=256 out=192 bias=1 pad=0 dtype=bf16'

lies() {
    "${quick[@]}" --backend="$folder/plugins/liar_$1.so" "$case" --benchmark_filter=/hot --benchmark_out="$1.json" >out 2>&1 </dev/null
    local status=$?
    [ "$status" -eq "$2" ] && [ "$(grep -cE "/hot/.*ERROR OCCURRED: '$3" out)" -eq 1 ]
    note $? "liar_$1: exit $status, $2 wanted; \"$3\" wanted in: $(tail -3 out)"
    python3 - "$1.json" <<'PYTHON'
import json, sys
runs = json.load(open(sys.argv[1]))["benchmarks"]
assert len(runs) == 1 and all(run["error_occurred"] and run["error_message"] for run in runs)
assert not any("FLOP/s" in run or "median_s" in run for run in runs) # no record
PYTHON
    note $? "liar_$1: the JSON has a time"
}
lies skips 1 'FAILED: y: 768 of 768 elements were not computed'
lies returns 1 'FAILED: y: [0-9]+ of 768 elements were not computed'
lies previous 1 'FAILED: the outputs of a timed call are wrong'
lies notices 1 'FAILED: the outputs of a timed call are wrong'
# the two whose outputs are right: what gives them away takes them milliseconds
case=--case='linear rows=16 in=512 out=512 bias=1 pad=0 dtype=bf16'
lies caches 5 'INVALID: inputs seen before are answered in'
lies waits 5 'INVALID: sync returned after .* the call had not finished'

# ---- the same six in front of a model: latency is not measured; one that lies later, and one that lies in models only ----

audit=$1
[ "${audit#/}" = "$audit" ] && audit=$folder/$(basename "$audit")
"$audit" checkpoint --preset audit --out small >/dev/null || exit 1
few=(--weights small --context 32 --repeats 1 --decode-steps 2 --frame none)
stops() {
    "$audit" latency "${few[@]}" --backend "$folder/plugins/liar_$1.so" --jsonl "$1.jsonl" >out 2>&1 </dev/null
    local status=$?
    [ "$status" -eq "$2" ] && [ "$(wc -l <"$1.jsonl")" -eq 1 ] &&
        grep -qE "\"kind\":\"trial\".*\"status\":\"$3\".*qvl-bench --backend=" "$1.jsonl"
    note $? "latency of liar_$1: exit $status, $2 wanted; $3 wanted in: $(head -c 1000 out)"
}
stops skips 1 FAILED
stops returns 1 FAILED
stops previous 1 FAILED
stops notices 1 FAILED
stops waits 5 INVALID
stops caches 5 INVALID
exits 1 'trial after the timings|did not compute what they should' "$audit" latency --weights small --context 32 --repeats 1 --decode-steps 60 --frame none \
    --backend "$folder/plugins/liar_tires.so" --jsonl tires.jsonl
[ "$(grep -cE '"kind":"trial","name":"liar","columns"' tires.jsonl)" -eq 1 ] &&
    [ "$(grep -cE '"kind":"trial","name":"liar, after the timings","status":"FAILED"' tires.jsonl)" -eq 1 ] &&
    grep -qE '"kind":"latency".*"status":"FAILED"' tires.jsonl && ! grep -qE '"kind":"latency".*"status":"PASSED"' tires.jsonl
note $? "a backend that computes its first thousand calls only: $(head -c 2000 tires.jsonl)"
exits 1 'not what its inputs give' "$audit" latency "${few[@]}" --backend "$folder/plugins/liar_poses.so" --json poses.json --jsonl poses.jsonl
[ "$(grep -cE '"kind":"trial","name":"liar(, after the timings)?","columns"' poses.jsonl)" -eq 2 ] &&
    grep -qE '"kind":"spot_check","name":"liar","status":"FAILED".*linear of [a-z_.]*proj: row' poses.jsonl &&
    grep -qE '"kind":"latency".*"status":"FAILED"' poses.jsonl && ! grep -qE '"kind":"latency".*"status":"PASSED"' poses.jsonl
note $? "a backend that computes in trials only: $(head -c 2000 poses.jsonl)"
QVL_TRIAL=poses.json exits 1 'not what its inputs give' "$audit" latency "${few[@]}" --backend "$folder/plugins/liar_poses.so"
for lie in skips poses; do # the audit gives them no time either
    "$audit" run --weights small --video "$clip" --context 32 --draws 1 --backend "$folder/plugins/liar_$lie.so" --out "run_$lie" >out 2>&1 </dev/null
    [ $? -eq 1 ] && grep -q '"kind":"latency","name":"ref 32","status":"PASSED"' "run_$lie/cases.jsonl" &&
        ! grep -q '"kind":"latency","name":".*liar_.*","status":"PASSED"' "run_$lie/cases.jsonl" &&
        grep -qE '"kind":"(trial|spot_check)","name":".*liar_.*","status":"FAILED"' "run_$lie/cases.jsonl"
    note $? "an audit of liar_$lie gives it a time: $(tail -5 out)"
done
exits 0 'PASSED' "$audit" latency "${few[@]}" --backend ref --jsonl honest.jsonl
grep -qE '"kind":"spot_check","name":"ref","columns".*"rows":[1-9]' honest.jsonl; note $? "an honest backend has no spot check"
grep -q '"kind":"trial"' honest.jsonl && grep -q '"kind":"latency".*"prefill_of_peak".*"decode_of_bandwidth"' honest.jsonl
note $? "an honest backend has no trial, or its rates no limits"
exits 0 'prefill_difference|difference' "$audit" latency "${few[@]}" --chunk 64 --predict 64,160,256,400 --jsonl predicted.jsonl
[ "$(grep -c '"kind":"prediction"' predicted.jsonl)" -eq 4 ] && [ "$(grep -c '"kind":"calibration"' predicted.jsonl)" -eq 8 ]
note $? "predictions or calibration points are missing"

# ---- a trial that was passed before: taken over by a run of the same program, plugin and workload alone ----

cp "$folder/plugins/slow.so" mine.so
again=("$audit" latency "${few[@]}" --backend ./mine.so --json second.json)
taken() { grep -q '"passed_at"' second.json; }
"$audit" latency "${few[@]}" --backend ./mine.so --json first.json >out 2>&1
note $? "no first report: $(tail -3 out)"
! grep -q '"passed_at"' first.json; note $? "a first trial was taken over"
QVL_TRIAL=first.json exits 0 PASSED "${again[@]}"; taken; note $? "the trial was not taken over"
[ "$(grep -cE '"kind":[[:space:]]*"trial"' second.json)" -eq 1 ]; note $? "it was run after the timings all the same"
QVL_TRIAL=first.json exits 0 PASSED "${again[@]}" --seed 9; ! taken; note $? "a trial of another workload was taken over"
sed 's/\("passed":[[:space:]]*\)[0-9]*/\199/' first.json >changed.json
grep -qE '"passed":[[:space:]]*99' changed.json; note $? "the report was not changed"
QVL_TRIAL=changed.json exits 0 PASSED "${again[@]}"; ! taken; note $? "a trial of a report that was changed was taken over"
QVL_TRIAL=none.json exits 0 PASSED "${again[@]}"; ! taken; note $? "a trial of no report was taken over"
printf 'another build' >>mine.so
QVL_TRIAL=first.json exits 0 PASSED "${again[@]}"; ! taken; note $? "a trial of another plugin was taken over"

# ---- an honest one ----

exits 0 '/hot/.*FLOP/s=' "${quick[@]}" --backend=ref "$case" --benchmark_out=ref.json
python3 - ref.json <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
assert "ref" in report["context"] and float(report["context"]["limit_memory_B/s"]) > 0
hot, cold = report["benchmarks"]
assert hot["name"] == "case/linear/rows:16/in:512/out:512/bias:1/pad:0/bf16/hot/manual_time", hot["name"]
assert "/cold/" in cold["name"]
for run in hot, cold:
    assert run["FLOP"] == 2 * 16 * 512 * 512
    assert run["B"] == 2 * (16 * 512 + 512 * 512 + 512 + 16 * 512)
    assert run["median_s"] > 0 and run["iterations"] >= 1 and 0 < run["of_limit"] < 1.05
    assert abs(run["FLOP/s"] * run["median_s"] / run["FLOP"] - 1) < 1e-6
PYTHON
note $? "ref.json is not as documented"
exits 0 '^cpu/case/add/.*/hot/' "${quick[@]}" --benchmark_filter=hot --backend=ref,cpu --case='add rows=3 dim=64 pad=0 inplace=0'
exits 0 'qwen3-vl-2b/attention/heads:16/kv:8/d:128/past:4095/rows:1/' "$bench" --quick --benchmark_list_tests
exits 0 'qwen3-vl-235b-a22b/moe_experts/rows:1/experts:16/k:8/dim:4096/ffn:1536/' "$bench" --quick \
    --model=qwen3-vl-235b-a22b --benchmark_list_tests
exits 1 "FAILED|INVALID" "${quick[@]}" --benchmark_filter=hot --backend=mutant:pos.fused_reads_row0 \
    --case='mrope_table rows=9 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0 double=0 top=65535 dtype=f32'
# physics: a device whose datasheet says one FLOP/s more than nothing
cat >slow.json <<'JSON'
{"devices": [{"name": "abacus", "title": "Abacus", "kind": "cpu", "flops": {"bf16": 1000, "fp32": 1000}, "memory": 1e9,
  "bandwidth": 1000, "source": "made up"}]}
JSON
exits 5 'INVALID: .* s is less than the .* at this machine' "${quick[@]}" --benchmark_filter=hot --device=abacus --hardware=slow.json --backend=ref "$case"
exits 2 'no device nothing' "$bench" --quick --device=nothing "$case"
exits 2 'no model nothing' "$bench" --quick --model=nothing
exits 2 'is a probe' "$bench" --quick --case='repeat_add rows=3 dim=64 pad=0 inplace=0'
exits 4 'no backend|does not load' "$bench" --quick --backend=./missing.so "$case"

summary 40
