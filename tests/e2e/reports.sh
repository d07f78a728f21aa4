#!/usr/bin/env bash
# The forms of a report through the installed binary: files and stdout, hashes that an outsider can recompute, refusal without
# partial output, FLOPs of a config.json alone. $1: the binary, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch/out"
# exits STATUS COMMAND...; what it says is in $scratch/stdout and $scratch/stderr.
exits() {
    local wanted=$1
    shift
    "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null
    local status=$?
    [ "$status" -eq "$wanted" ] || { echo "$*: exit $status, $wanted wanted"; cat "$scratch/stderr"; return 1; }
}

says() { grep -qF -- "$1" "$2"; }
nothing() { [ ! -s "$1" ]; }
empty() { [ -z "$(ls -A "$scratch/out")" ]; }

# Every form at once into files: the table still goes to stdout.
one=("$audit" flops --model 2B --context 8K)
out=$scratch/out
check "all files" exits 0 "${one[@]}" --json "$out/r.json" --jsonl "$out/r.jsonl" --csv "$out/r.csv" --junit "$out/r.xml" \
    --markdown "$out/r.md"
check "and the table" says "qwen3-vl-2b at" "$scratch/stdout"
check "five files, nothing beside them" test "$(ls -A "$out" | wc -l)" -eq 5
check "JSON lines are records" test "$(grep -c '^{"kind":' "$out/r.jsonl")" -eq 7
check "a CSV row a record" test "$(grep -c $'\r$' "$out/r.csv")" -eq 8
check "JUnit has no case: nothing was checked" says 'tests="0"' "$out/r.xml"
check "Markdown has tables" test "$(grep -c '^| ---' "$out/r.md")" -eq 7
check "the report validates" exits 0 "$audit" validate "$out/r.json"

# One form to stdout replaces the table; the same bytes as in the file.
check "CSV without FILE" exits 0 "${one[@]}" --csv
check "is the same CSV" cmp -s "$scratch/stdout" "$out/r.csv"
check "JSON lines to -" exits 0 "${one[@]}" --jsonl -
check "are the same lines" cmp -s "$scratch/stdout" "$out/r.jsonl"
check "FILE left out in front of an option" exits 0 "$audit" flops --markdown --model 2B --context 8K
check "is the same Markdown" cmp -s "$scratch/stdout" "$out/r.md"

# An outsider with Python recomputes the hashes as docs/REPORT.md says.
if command -v python3 >/dev/null; then
    cat >"$scratch/hashes.py" <<'PYTHON'
import hashlib, json, sys
def digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
report = json.load(open(sys.argv[1], encoding="utf-8"))
stated = report["hashes"]
assert stated["sections"] == {name: digest(report[name]) for name in stated["sections"]}
assert stated["records"] == [digest(record) for record in report["records"]]
whole = stated["report"]
stated["report"] = ""
assert digest(report) == whole
PYTHON
    check "a report of floats and integers" exits 0 "$audit" flops --model all --batch 3 --json "$scratch/all.json"
    check "the hashes are as documented" python3 "$scratch/hashes.py" "$scratch/all.json"
fi

# Two reports, one of them changed: the good one does not hide the bad one, which is named.
sed 's/"git_commit":\t"/&0/' "$out/r.json" >"$scratch/changed.json"
check "one of two reports was changed" exits 1 "$audit" validate "$out/r.json" "$scratch/changed.json"
check "its section is named" says "hash /tool" "$scratch/stdout"
check "and its file" says changed.json "$scratch/stdout"
check "as JUnit" exits 1 "$audit" validate "$scratch/changed.json" --junit
check "it is a failure" says '<failure message="FAILED: changed after' "$scratch/stdout"
cp "$out/r.json" "$scratch/kept.json"
check "the report cannot be its own verdict" exits 2 "$audit" validate "$out/r.json" --json "$out/r.json"
check "and is left as it was" cmp -s "$out/r.json" "$scratch/kept.json"
printf '{"a": 1, "a": 2}' >"$scratch/twice.json"
check "a key given twice" exits 3 "$audit" validate "$scratch/twice.json"
check "no report" exits 2 "$audit" validate

# Failures leave nothing: no file, no half table.
rm -rf "$out" && mkdir -p "$out"
check "a folder that is not there" exits 3 "${one[@]}" --json "$scratch/gone/r.json"
check "is named" says gone "$scratch/stderr"
check "nothing on stdout" nothing "$scratch/stdout"
check "a model that is not there" exits 2 "$audit" flops --model 2B,9B --csv "$out/r.csv"
check "is named" says '"9B"' "$scratch/stderr"
check "no file" empty
check "a context too short for its video" exits 2 "$audit" flops --model 2B --context 100 --video 64x720x1280 --json "$out/r.json"
check "says how many tokens" says "visual tokens" "$scratch/stderr"
check "no file" empty
check "an aspect ratio over 200" exits 3 "$audit" flops --model 2B --image 1x500 --json "$out/r.json"
check "no file" empty
check "a full device" exits 3 "${one[@]}" --json /dev/full
for wrong in "--model 2B --config x" "--context 8X" "--image 10" "--video 10x20" "--batch 0" "--dtype int8" "stray"; do
    # shellcheck disable=SC2086
    check "flops $wrong" exits 2 "$audit" flops $wrong
    check "nothing on stdout" nothing "$scratch/stdout"
done

# config.json alone: the 235B model, in a folder of its own, as released.
mkdir -p "$scratch/Big-235B"
sed -n '/^  "config": {/,/^  }/p' datasets/models/qwen3-vl-235b-a22b.json | sed '1s/.*/{/' >"$scratch/Big-235B/config.json"
check "a config.json alone" exits 0 "$audit" flops --config "$scratch/Big-235B/config.json" --csv
check "is named after its folder" says "Big-235B at 1M" "$scratch/stdout"
sed 's/Big-235B/MODEL/g' "$scratch/stdout" >"$scratch/from_file"
check "the folder" exits 0 "$audit" flops --config "$scratch/Big-235B" --csv
sed 's/Big-235B/MODEL/g' "$scratch/stdout" >"$scratch/from_folder"
check "gives the same" cmp -s "$scratch/from_file" "$scratch/from_folder"
check "the table of that size" exits 0 "$audit" flops --model 235B-A22B --csv
sed 's/qwen3-vl-235b-a22b/MODEL/g' "$scratch/stdout" >"$scratch/from_table"
check "gives the same" cmp -s "$scratch/from_file" "$scratch/from_table"
check "235.67 billion parameters" says ,235670022896, "$scratch/from_file"
check "22.77 billion of them active" says ,22767151856, "$scratch/from_file"
printf '{"model_type": "qwen3_vl"' >"$scratch/cut.json"
check "half a config.json" exits 3 "$audit" flops --config "$scratch/cut.json"
check "is named" says cut.json "$scratch/stderr"

summary 60
