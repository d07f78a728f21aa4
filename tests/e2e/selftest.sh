#!/usr/bin/env bash
# The checker against planted faults: required mutants are killed, a survivor fails, a kill can be repeated from its
# line, crashes and hangs cost one mutant. $1: the binary, $2: a scratch folder.
set -euo pipefail
trap 'echo "$0: line $LINENO failed"' ERR
audit=$1
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch/tmp"
export TMPDIR=$scratch/tmp

# The whole museum: at least 100 mutants, every one that must be killed is, and honest code passes where they fail.
"$audit" selftest --json "$scratch/all.json" >"$scratch/all.txt" || { grep -v PASSED "$scratch/all.txt"; exit 1; }
[ "$(grep -cE ' killed  ' "$scratch/all.txt")" -ge 100 ]
grep -qE '^kill rate  PASSED' "$scratch/all.txt"
"$audit" validate "$scratch/all.json" >/dev/null

# Faults of the whole path: all killed, in any number of processes the same bytes.
"$audit" selftest --mutant 'pos.d*' --jobs 1 --jsonl "$scratch/one.jsonl" >"$scratch/one.txt"
"$audit" selftest --mutant 'pos.d*' --jobs 3 --jsonl "$scratch/three.jsonl" >/dev/null
cmp "$scratch/one.jsonl" "$scratch/three.jsonl"
[ "$(grep -c '"kind":"mutant"' "$scratch/one.jsonl")" -ge 7 ]
[ -z "$(ls "$scratch/tmp")" ] # the checkpoints are gone

# The line of a kill repeats it; another case does not kill, and a survivor that must be killed is a failure.
"$audit" selftest --mutant pos.chunk_suffix --jsonl "$scratch/kill.jsonl" >"$scratch/kill.txt"
grep -q 'killed' "$scratch/kill.txt"
repro=$(sed -n 's/.*"repro":"\([^"]*\)".*/\1/p' "$scratch/kill.jsonl" | head -1)
[ -n "$repro" ]
bash -c "${repro/qvl-audit/\"$audit\"}" >"$scratch/again.txt"
grep -q 'killed' "$scratch/again.txt"
status=0
"$audit" selftest --mutant pos.chunk_suffix --case 'text=image chunk=0' >"$scratch/survivor.txt" || status=$?
[ "$status" -eq 1 ] && grep -q 'survived' "$scratch/survivor.txt"

# Wrong use.
status=0
"$audit" selftest --mutant nosuch >/dev/null 2>"$scratch/error.txt" || status=$?
[ "$status" -eq 2 ] && grep -q nosuch "$scratch/error.txt"
status=0
"$audit" selftest --jobs 0 >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ]

# What can be planted, and that it has a kind for each of the places where faults were.
"$audit" list mutants --csv "$scratch/mutants.csv" >/dev/null
for kind in kernel composition pixels path checker; do
    grep -q "$kind" "$scratch/mutants.csv" || { echo "no mutant of kind $kind"; exit 1; }
done
echo "1 passed, 0 failed"
