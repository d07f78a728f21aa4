#!/usr/bin/env bash
# compare through the installed binary: refusals with exit 5, tampering with 3, regressions with 1, JUnit and Markdown, several
# reports, pairs, and two commands run in turns. The samples are made up by a script, so that nothing depends on the machine.
# $1: the binary, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
command -v python3 >/dev/null || { echo "no python3 to make reports with"; exit 77; }
rm -rf "$scratch" && mkdir -p "$scratch/tmp"
export TMPDIR=$scratch/tmp
# exits STATUS COMMAND...; what it says is in $scratch/stdout and $scratch/stderr.
exits() {
    local wanted=$1
    shift
    "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null
    local status=$?
    [ "$status" -eq "$wanted" ] || { echo "$*: exit $status, $wanted wanted"; cat "$scratch/stderr" "$scratch/stdout"; return 1; }
}

says() { grep -qE -- "$1" "$scratch/$2"; }
nothing_left() { [ -z "$(ls -A "$scratch/tmp")" ]; }

# A real report of latency, and a program that writes others like it: reports.py FACTOR [KEY=VALUE...] --json FILE, where a key
# is a setting of the workload, cpu, or status. Two processes with the same arguments draw the same noise.
"$audit" checkpoint --out "$scratch/small" >/dev/null
check "a report" exits 0 "$audit" latency --weights "$scratch/small" --context 8 --decode-steps 12 --repeats 12 --threads 1 \
    --json "$scratch/real.json"
cat >"$scratch/reports.py" <<'PYTHON'
import hashlib, json, os, random, sys
template = os.path.join(os.path.dirname(sys.argv[0]), "real.json")
factor, file = float(sys.argv[1]), sys.argv[-1]
changes = dict(argument.split("=") for argument in sys.argv[2:-2])
report = json.load(open(template))
noise = random.Random(os.path.basename(file).split("-")[0] + sys.argv[1])
row = next(r for r in report["records"] if r["kind"] == "latency")
for name, values in row["measured"].items():
    if name.endswith("_samples"):
        row["measured"][name] = [1e-3 * factor * noise.gauss(1, 0.004) for _ in values]
if "cpu" in changes:
    report["environment"]["measured"]["cpu"] = changes.pop("cpu")
if "status" in changes:
    report["summary"]["cases"][row["status"]] -= 1
    row["status"] = changes.pop("status")
    report["summary"]["cases"][row["status"]] += 1
if changes.pop("records", "") == "none":
    report["summary"]["cases"][row["status"]] -= 1
    report["records"], report["summary"]["records"] = [], 0
report["workload"]["settings"].update(changes)
def digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
report["hashes"] = {"algorithm": "sha256", "report": "",
                    "sections": {key: digest(value) for key, value in report.items()
                                 if key not in ("format", "schema_version", "hashes")},
                    "records": [digest(record) for record in report["records"]]}
report["hashes"]["report"] = digest(report)
json.dump(report, open(file, "w"))
PYTHON
make=(python3 "$scratch/reports.py")
"${make[@]}" 1 --json "$scratch/base.json"
"${make[@]}" 1.001 --json "$scratch/same.json"
"${make[@]}" 1.2 --json "$scratch/slow.json"
check "the reports validate" exits 0 "$audit" validate "$scratch"/{base,same,slow}.json

# Two reports.
check "the same" exits 0 "$audit" compare "$scratch"/{base,same}.json
check "is called so, twice" test "$(grep -cE ' same( |$)' "$scratch/stdout")" -ge 2
check "with the caution about single runs" says 'differs from run to run' stdout
check "slower" exits 1 "$audit" compare "$scratch"/{base,slow}.json --junit "$scratch/j.xml" --markdown "$scratch/m.md" \
    --json "$scratch/c.json" --csv "$scratch/c.csv"
check "is called regressed" says 'FAILED .*regressed' stdout
check "by a fifth" says '\+20 %' stdout
check "JUnit has the failure" grep -q '<failure message="FAILED: +20 %' "$scratch/j.xml"
check "JUnit names the row" grep -q 'classname="timing" name="cpu 8 decode"' "$scratch/j.xml"
check "Markdown has the table" grep -q '^| cpu 8 decode *| FAILED' "$scratch/m.md"
check "the comparison is a report" exits 0 "$audit" validate "$scratch/c.json"
check "with every statistic" python3 - "$scratch/c.json" <<'PYTHON'
import json, sys
row = [r for r in json.load(open(sys.argv[1]))["records"] if r["kind"] == "timing"][0]
wanted = "base other ratio low high p_slower p_faster p_slower_of_all_rows detectable noise_floor drift_base drift_other log_ratios"
missing = set(wanted.split()) - set(row["measured"])
assert not missing, missing
PYTHON
check "faster" exits 0 "$audit" compare "$scratch"/{slow,base}.json
check "is called improved" says 'improved' stdout
check "a threshold above it" exits 0 "$audit" compare --threshold 30% "$scratch"/{base,slow}.json
check "a report with itself" exits 0 "$audit" compare "$scratch"/{base,base}.json

# Refusals: each kind by name, with 5; and how to cross it.
for change in decode_steps=13 seed=2 config_sha256=00 dtype=bf16 threads=2 math=tf32 cpu=other; do
    "${make[@]}" 1.2 "$change" --json "$scratch/else.json"
    check "another ${change%=*}" exits 5 "$audit" compare "$scratch"/{base,else}.json
    check "is named" says "${change%=*}" stderr
    check "and in the table" says "${change%=*} .*INVALID .*not comparable" stdout
done
check "another machine, on purpose" exits 0 "$audit" compare --across machine "$scratch"/{base,else}.json
check "is slower" says ' slower' stdout
check "not regressed" test "$(grep -c ' regressed \|FAILED' "$scratch/stdout")" -eq 0
check "another build is what is compared" exits 1 "$audit" compare "$scratch"/{base,slow}.json
"${make[@]}" 1 records=none --json "$scratch/empty.json"
"$audit" flops --model 2B,4B --json "$scratch/flops.json" >/dev/null
"$audit" flops --model 2B --json "$scratch/fewer.json" >/dev/null
check "figures that are computed again" exits 0 "$audit" compare "$scratch"/{flops,flops}.json
check "are counted" says '^figures  *[1-9]' stdout
check "figures that are gone" exits 1 "$audit" compare "$scratch"/{flops,fewer}.json
check "are named" says 'flops qwen3-vl-4b at 8K .*FAILED .*vanished' stdout
check "on purpose" exits 0 "$audit" compare --allow-missing "$scratch"/{flops,fewer}.json
check "nothing in common" exits 5 "$audit" compare "$scratch"/{empty,empty}.json
check "says so" says 'nothing to compare' stderr

# Rows that fail, vanish, come.
"${make[@]}" 1 status=FAILED --json "$scratch/fails.json"
check "a check that fails now" exits 1 "$audit" compare "$scratch"/{base,fails}.json
check "regressed" says 'latency cpu 8 .*FAILED .*PASSED .*FAILED .*regressed' stdout
check "one that is fixed" exits 0 "$audit" compare "$scratch"/{fails,base}.json
check "is called so" says 'fixed' stdout
"$audit" verify --backend cpu --op add --json "$scratch/ops.json" >/dev/null
check "op cases against themselves" exits 0 "$audit" compare "$scratch"/{ops,ops}.json
"$audit" verify --backend mutant:qknorm.partial_write --op rms_norm --json "$scratch/wrong.json" >/dev/null 2>&1
"$audit" verify --backend cpu --op rms_norm --json "$scratch/right.json" >/dev/null
if [ -s "$scratch/wrong.json" ]; then
    check "a wrong kernel" exits 1 "$audit" compare "$scratch"/{right,wrong}.json
    check "cases that failed are listed" says 'op_case rms_norm .*regressed' stdout
    check "with a command that repeats them" exits 1 "$audit" compare "$scratch"/{right,wrong}.json --jsonl
    check "in the files" says '"repro":"qvl-audit verify' stdout
fi

# What is wrong with the input, or with the command line.
sed 's/\("repeats":[[:space:]]*\)12/\111/' "$scratch/real.json" >"$scratch/bad.json"
check "the report was changed" test "$(cmp -s "$scratch/real.json" "$scratch/bad.json"; echo $?)" -eq 1
check "a changed report" exits 3 "$audit" compare "$scratch"/{real,bad}.json
check "is named with the place" says 'bad.json.*/workload' stderr
head -c 300 "$scratch/base.json" >"$scratch/cut.json"
check "half a report" exits 3 "$audit" compare "$scratch"/{base,cut}.json
check "a report that is not there" exits 3 "$audit" compare "$scratch"/{base,gone}.json
check "one report" exits 2 "$audit" compare "$scratch/base.json"
check "an output that is an input" exits 2 "$audit" compare "$scratch"/{base,same}.json --json "$scratch/base.json"
check "an odd number of pairs" exits 2 "$audit" compare --pairs "$scratch"/{base,same,slow}.json
check "across the workload" exits 2 "$audit" compare --across workload "$scratch"/{base,same}.json
check "a threshold that is none" exits 2 "$audit" compare --threshold much "$scratch"/{base,same}.json

# More than two: a column each.
check "three reports" exits 1 "$audit" compare "$scratch"/{base,same,slow}.json
check "in columns" says '^cpu 8 decode .* x[01]\.[09].* same .* x1\.[12].* regressed' stdout
check "one of three cannot be compared" exits 5 "$audit" compare "$scratch"/{base,same,else}.json
check "the other is" says '^cpu 8 decode .* same' stdout

# In turns.
turns=("$audit" compare --interleave 12)
check "the same command twice" exits 0 "${turns[@]}" --base "${make[*]} 1" --other "${make[*]} 1.0" --json "$scratch/c.json"
check "is the same" says 'cpu 8 decode .*same' stdout
check "nothing is left behind" nothing_left
check "three per cent slower" exits 1 "${turns[@]}" --base "${make[*]} 1" --other "${make[*]} 1.03" --keep "$scratch/kept it"
check "regressed" says 'cpu 8 decode .*regressed' stdout
check "the runs are kept" test "$(ls "$scratch/kept it" | grep -c '^00..-\(base\|other\).json$')" -eq 24
pairs=()
for i in $(seq -w 1 12); do pairs+=("$scratch/kept it/00$i-base.json" "$scratch/kept it/00$i-other.json"); done
check "pair by pair" exits 1 "$audit" compare --pairs "${pairs[@]}"
check "regressed" says 'cpu 8 decode .*regressed' stdout
check "a run of another machine among them" exits 5 "$audit" compare --pairs "${pairs[@]}" "$scratch"/{else,else}.json
check "is named" says 'run 13 of the base is no repeat' stderr
small="$audit latency --weights $scratch/small --context 8 --decode-steps 2 --repeats 1 --threads 1 --frame none"
"$audit" compare --interleave 2 --base "$small" --other "$small" --keep "$scratch/tried" >"$scratch/stdout" 2>&1
check "a backend is tried in the run that is not counted" test "$(cat "$scratch"/tried/warmup-*.json | grep -c passed_at)" -eq 0
check "and not in the others" test "$(grep -l '"passed_at"' "$scratch"/tried/000?-*.json | wc -l)" -eq 4
check "what cannot be compared is refused before the runs" exits 5 "${turns[@]}" --base "${make[*]} 1" \
    --other "${make[*]} 1 threads=2"
check "is named" says 'workload.threads' stderr
check "nothing is left behind" nothing_left
check "a command that fails" exits 4 "${turns[@]}" --base "${make[*]} 1" --other "echo no such device >&2; exit 7; :"
check "says how and why" says 'exit code 7 .*no such device' stderr
check "nothing is left behind" nothing_left
"${turns[@]}" --base "${make[*]} 1" --other "sleep 60; :" >"$scratch/stdout" 2>"$scratch/stderr" &
running=$!
sleep 1.5
kill -TERM "$running"
wait "$running"
check "a signal ends it" test $? -eq 143
check "nothing is left behind" nothing_left
check "--base without --other" exits 2 "$audit" compare --interleave 3 --base true

summary 93
