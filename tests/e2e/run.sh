#!/usr/bin/env bash
# The whole audit on a short clip: the report folder is complete, the report validates, its checks passed.
# $1: the binary, $2: a scratch folder.
set -euo pipefail
trap 'echo "$0: line $LINENO failed"' ERR
audit=$1
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch"

"$audit" run --video tests/golden/media/h264_two_seconds.mkv --context 48,96 --draws 1 --decode-steps 3 \
    --out "$scratch/report" --markdown "$scratch/all.md" >"$scratch/table.txt" 2>"$scratch/steps.txt"
[ -s "$scratch/report/cases.jsonl" ]
"$audit" validate "$scratch/report/report.json" >"$scratch/validate.txt" || { cat "$scratch/validate.txt"; exit 1; }
grep -q 'PASSED' "$scratch/table.txt"
! grep -q 'FAILED' "$scratch/table.txt"
# What the audit is about stands in the table: stages in two types, decode, both backends at both contexts, all six sizes.
for words in 'video f32' 'video bf16' 'text 96' 'greedy f32' 'ref 96' 'cpu 96' 'qwen3-vl-235b-a22b at 1M' 'position 1000000'; do
    grep -q "$words" "$scratch/table.txt" || { echo "no \"$words\" in the table"; exit 1; }
done
[ "$(grep -c '^\[[0-9]/7\]' "$scratch/steps.txt")" -eq 7 ] || { cat "$scratch/steps.txt"; exit 1; }
grep -q '"kind":"stage"' "$scratch/report/cases.jsonl"
grep -q 'model.visual.blocks.0' "$scratch/all.md"

# The same seed and inputs give the same checks.
"$audit" run --video tests/golden/media/h264_two_seconds.mkv --context 48,96 --draws 1 --decode-steps 3 \
    --out "$scratch/again" >/dev/null 2>&1
stages() { grep '"kind":"stage"' "$scratch/$1/cases.jsonl" | sed "s|$scratch/$1||g" >"$scratch/$1.stages"; }
stages report
stages again
cmp "$scratch/report.stages" "$scratch/again.stages"

# A folder that cannot be made, and a backend that is not there.
status=0
"$audit" run --out "$scratch/no/such/folder" >/dev/null 2>&1 || status=$?
[ "$status" -eq 3 ]
status=0
"$audit" run --backend nosuch --video tests/golden/media/h264_two_seconds.mkv --context 48 --out "$scratch/x" >/dev/null \
    2>"$scratch/error.txt" || status=$?
[ "$status" -eq 4 ] && grep -q nosuch "$scratch/error.txt"
echo "1 passed, 0 failed"
