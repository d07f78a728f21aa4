#!/usr/bin/env bash
# The frame that all verbs share: help, wrong usage, version; the table of flops; validate on a good report and on a
# changed one. $1: the binary, $2: a scratch folder.
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
    [ "$status" -eq "$wanted" ] || { echo "$*: exit $status, $wanted wanted"; return 1; }
}

count() { [ "$(grep -cE -- "$1" "$2")" -eq "$3" ]; }

check "the overview" exits 0 "$audit" --help
verbs=$(sed -n 's/^  \([a-z]\{1,\}\)  *.*$/\1/p' "$scratch/stdout")
for verb in run flops latency logits generate tokenize preprocess checkpoint validate list env; do
    check "$verb is in the overview" grep -qx "$verb" <<<"$verbs"
done
for verb in $verbs; do
    check "$verb --help" exits 0 "$audit" "$verb" --help
    check "$verb --help has one example" count '^Example: ' "$scratch/stdout" 1
    check "the example of $verb runs it" grep -q "^  qvl-audit $verb" "$scratch/stdout"
    check "$verb with an unknown option" exits 2 "$audit" "$verb" --no-such-option
    check "which is named" grep -q 'no-such-option' "$scratch/stderr"
    check "$verb --version" exits 0 "$audit" "$verb" --version
done
check "an unknown verb" exits 2 "$audit" conjure
check "which is named" grep -q '"conjure"' "$scratch/stderr"
check "nothing on stdout" test ! -s "$scratch/stdout"
check "no verb" exits 2 "$audit"
check "--version" exits 0 "$audit" --version
check "says a version" grep -qE '^qvl-audit [0-9]+\.[0-9]+\.[0-9]+ \(commit ' "$scratch/stdout"

# Six released sizes at 8K, 32K, 256K and 1M.
check "flops" exits 0 "$audit" flops --model all --csv
rows=$(cut -d, -f1-2 "$scratch/stdout" | grep -oE 'qwen3-vl-[a-z0-9-]+ at (8K|32K|256K|1M)' | LC_ALL=C sort -u | wc -l)
check "flops has 6 x 4 rows, not $rows" test "$rows" -eq 24
check "the table of flops" exits 0 "$audit" flops
rows=$(sed '/^$/q' "$scratch/stdout" | grep -cE '^qwen3-vl-[a-z0-9-]+ at (8K|32K|256K|1M) ')
check "the first table has 6 x 4 rows, not $rows" test "$rows" -eq 24

# A report, and the same with one digit changed.
check "a report" exits 0 "$audit" flops --model 2B --context 8K --json "$scratch/good.json"
check "validates" exits 0 "$audit" validate "$scratch/good.json"
check "three checks passed" count 'PASSED' "$scratch/stdout" 4
sed '/"prefill":/s/\([0-9]\)\([,}]*\)$/\1\1\2/' "$scratch/good.json" >"$scratch/bad.json"
check "the report was changed" test "$(diff "$scratch/good.json" "$scratch/bad.json" | grep -c '^>')" -ge 1
check "the changed report fails" exits 1 "$audit" validate "$scratch/bad.json"
check "the place is named" grep -qE '/records/[0-9]+' "$scratch/stdout"
head -c 200 "$scratch/good.json" >"$scratch/cut.json"
check "half a report is bad input" exits 3 "$audit" validate "$scratch/cut.json"
check "a report that is not there" exits 3 "$audit" validate "$scratch/gone.json"
check "is named" grep -q gone.json "$scratch/stderr"

summary 60
