#!/usr/bin/env bash
# `procure` and `list hardware` through the binary: every row of the default table, user rows, prices, measured rows, refusals.
# The time is printed, not asserted. $1: the binary, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch"
# exits STATUS COMMAND...; what it says is in $scratch/stdout and $scratch/stderr.
exits() {
    local wanted=$1
    shift
    "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null
    local status=$?
    [ "$status" -eq "$wanted" ] || { echo "$*: exit $status, $wanted wanted"; cat "$scratch/stderr"; return 1; }
}
says() { grep -qF -- "$1" "$scratch/${2:-stdout}"; }
rows() { [ "$(grep -c "^{\"kind\":\"$1\"" "$scratch/rows.jsonl")" -eq "$2" ]; }

# All sizes, all hardware rows.
start=$(date +%s%N)
check "everything" exits 0 "$audit" procure --jsonl "$scratch/rows.jsonl" --json "$scratch/report.json"
echo "all sizes, all hardware rows: $((($(date +%s%N) - start) / 1000000)) ms"
devices=$("$audit" list hardware --jsonl - | grep -c '"kind":"hardware"')
check "the table has its rows" test "$devices" -ge 27
check "a row a model, device and context" rows procure $((6 * devices * 4))
check "memory" rows memory $((6 * devices))
check "control" rows control $((6 * devices))
check "the hardware stands in the report" rows hardware "$devices"
check "it validates" exits 0 "$audit" validate "$scratch/report.json"
check "no time without a source" test "$(grep -c '"tpot":' "$scratch/rows.jsonl")" -ge \
    "$(grep '"kind":"procure"' "$scratch/rows.jsonl" | grep -c '"tpot_source":')"

check "the flagship on an edge module" exits 0 "$audit" procure --model 235B-A22B --device agx-orin-64,agx-thor --context 8K
check "does not fit" says "does not fit"
check "and says so of control" says "infeasible: memory"
check "unverified figures are marked" says "ms*"
check "list hardware marks them too" exits 0 "$audit" list hardware
check "with a star" says "*"
check "and a source" says "vendor datasheet"

# Rows and prices of the user.
cat >"$scratch/hardware.json" <<'JSON'
{"devices": [{"name": "mine", "title": "My card", "flops": {"bf16": 1e14}, "memory": 4.8e10, "bandwidth": 1e12, "power": 300}]}
JSON
echo '{"currency": "EUR", "per_hour": {"mine": 0.36, "l40s": 1}}' >"$scratch/prices.json"
check "a user's row" exits 0 "$audit" procure --model 2B --device mine,l40s --hardware "$scratch/hardware.json" \
    --prices "$scratch/prices.json" --price l40s=0.5/h --jsonl -
check "is in the table" says '"name":"qwen3-vl-2b on mine at 8K"'
check "has its price" says '"price_per_hour":0.36'
check "an option goes before the file" says '"price_per_hour":0.5'
check "in the currency of the file" says '"cost_per_million_output":"EUR"'

# A report of latency gives measured rows.
"$audit" checkpoint --out "$scratch/small" >/dev/null 2>&1
check "measure" exits 0 "$audit" latency --weights "$scratch/small" --context 64,128 --repeats 1 --decode-steps 4 \
    --json "$scratch/latency.json"
check "measured rows" exits 0 "$audit" procure --model 2B --device l40s --context 8K "$scratch/latency.json" --jsonl -
check "are called measured" test "$(grep -c '"tpot_source":"measured"' "$scratch/stdout")" -eq 2
cat >"$scratch/sampled.json" <<'JSON'
{"format": "qvl-report", "environment": {"measured": {"cpu": "A CPU"}}, "workload": {"settings": {"shapes": "2B"}}, "records": [
 {"kind": "latency", "name": "cpu 8192", "status": "PASSED", "settings": {"context": 8192}, "modelled": {"prefill_median": 100, "decode_median": 0.5}},
 {"kind": "latency", "name": "cpu 32768", "status": "SKIPPED", "settings": {"context": 32768}}]}
JSON
check "sampled rows" exits 0 "$audit" procure --model 2B --device l40s --context 8K "$scratch/sampled.json" --jsonl -
check "go by the name of their shapes" says '"name":"qwen3-vl-2b, cpu 8192 in'
check "say that they were sampled" test "$(grep -c '"tpot_source":"measured by sampling"' "$scratch/stdout")" -eq 1
check "beside modelled ones" says '"source":"'

# Refusals.
check "an unknown device" exits 2 "$audit" procure --device h1000
check "is named" says h1000 stderr
check "an unknown model" exits 2 "$audit" procure --model 9B
check "a wrong price" exits 2 "$audit" procure --device l40s --price l40s=cheap
check "a price of no device" exits 2 "$audit" procure --device l40s --price h1000=3
check "contexts must grow" exits 2 "$audit" procure --context 32K,8K
check "three ways" exits 2 "$audit" procure --ways 3
check "more executed than planned" exits 2 "$audit" procure --chunk 10 --execute 11
check "a picture that the context cannot hold" exits 2 "$audit" procure --context 1K --device l40s
check "a control context that is too short" exits 2 "$audit" procure --control-context 100 --device l40s
check "a missing hardware file" exits 3 "$audit" procure --hardware "$scratch/none.json"
echo '{"devices": [{"name": "bad", "flops": {"bf16": 1e14}, "bandwidth": -1}]}' >"$scratch/bad.json"
check "a wrong hardware row" exits 3 "$audit" procure --hardware "$scratch/bad.json"
check "names file and key" says "bandwidth" stderr
echo '{"per_hour": {"l40s": "cheap"}}' >"$scratch/bad.json"
check "a wrong price file" exits 3 "$audit" procure --prices "$scratch/bad.json"
check "names the key" says "per_hour.l40s" stderr
check "no report" exits 3 "$audit" procure "$scratch/bad.json"
check "a report without latencies" exits 3 "$audit" procure "$scratch/report.json"
check "says what to write" says "latency --json" stderr

summary 40
