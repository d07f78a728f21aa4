#!/usr/bin/env bash
# verify --invariance on a checkpoint: a verdict a dimension, and processes of its own for BLAS core types.
# $1: the binary, $2: a scratch folder.
set -euo pipefail
trap 'echo "$0: line $LINENO failed"' ERR
audit=$1
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch/tmp"
export TMPDIR=$scratch/tmp
"$audit" checkpoint --out "$scratch/small" >/dev/null

"$audit" verify --backend cpu --weights "$scratch/small" --invariance --draws 1 --jsonl "$scratch/all.jsonl" >/dev/null
for dimension in repeat 'chunk size' 'batch company' 'thread count' 'KV split' 'image order'; do
    grep -qF "\"name\":\"$dimension\",\"status\":\"PASSED\"" "$scratch/all.jsonl"
done
[ "$(wc -l <"$scratch/all.jsonl")" -eq 7 ]
[ -z "$(ls "$TMPDIR")" ]
if [ "$(uname -m)" = x86_64 ]; then
    grep -qF '"name":"BLAS core type","status":"PASSED"' "$scratch/all.jsonl"
fi

# A text prompt has no images to exchange; a folder that cannot be written has no place for other processes' answers.
TMPDIR=$scratch/missing "$audit" verify --backend ref --weights "$scratch/small" --invariance --draws 1 --tokens 6 \
    --jsonl "$scratch/text.jsonl" >/dev/null && exit 1
grep -qF '"name":"image order","status":"SKIPPED"' "$scratch/text.jsonl"
if [ "$(uname -m)" = x86_64 ]; then
    grep -F '"name":"BLAS core type","status":"FAILED"' "$scratch/text.jsonl" | grep -qF 'TMPDIR'
    grep -qF "'--invariance' '--draws' '1' '--tokens' '6'" "$scratch/text.jsonl" # the command that repeats it
fi

status=0
"$audit" verify --invariance >"$scratch/out.txt" 2>&1 || status=$?
[ "$status" -eq 2 ]
grep -qF -- '--weights' "$scratch/out.txt"
