#!/usr/bin/env bash
# verify against a plugin that crashes, hangs, overruns, lies and exits: each fault is a named verdict and everything
# else is still reported. Then what protects a run: determinism, resuming, saved evidence, exit codes.
# $1: the binary, beside whose folder `plugins` the modules of tests/plugins lie, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
plugins=$(cd "$(dirname "$audit")" && pwd)/plugins
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch" || exit 1
# exits STATUS WORDS COMMAND...: the exit code, and WORDS somewhere in what it prints.
exits() {
    local wanted=$1 words=$2 status
    shift 2
    "$@" >out 2>&1 </dev/null
    status=$?
    [ "$status" -eq "$wanted" ] && grep -qF -- "$words" out
    note $? "$*: exit $status, $wanted wanted; \"$words\" wanted in: $(head -c 2000 out)"
}

# finds FILE PATTERN: a line of the file matches.
finds() {
    grep -qE -- "$2" "$1"
    note $? "no line of $1 matches: $2"
}

# ---- A plugin with another fault in each entry ----

# Enough cases of each entry, not all.
some=(--dtype f32 --case 'dist=normal seed=2')
"$audit" verify --backend "$plugins/hostile.so" "${some[@]}" --timeout 3 --jobs 2 --jsonl all.jsonl --junit all.xml \
    --save-failing saved >all.txt 2>all.err </dev/null
note $(($? != 1)) "the exit code of the hostile plugin is not 1: $(cat all.err)"

# verdict OP STATUS WORDS: a case of the entry has that status and says so.
verdict() {
    grep '"kind":"op_case"' all.jsonl | grep -F "\"name\":\"$1 " | grep -F "\"status\":\"$2\"" | grep -F -- "$3" >/dev/null
    note $? "no case of $1 is $2 with: $3"
}
verdict add CRASHED 'killed by SIGSEGV (Segmentation fault): about to fault on hostile'
verdict gelu TIMEOUT 'the call did not return within 3 s'
verdict gelu SKIPPED '3 cases of gelu before this one have timed out'
verdict swiglu FAILED 'outside the output'
verdict softmax CRASHED 'killed by SIGSEGV'
verdict layer_norm FAILED 'was not written, expected'
verdict rms_norm FAILED 'x: byte 0 from its start was written, which is an input'
verdict embed CRASHED 'exited with code 0'
verdict moe_combine CRASHED 'killed by SIGABRT'
verdict add_rows FAILED 'elements fail'
verdict moe_route UNSUPPORTED 'the table has no entry moe_route'
finds all.jsonl '"kind":"backend".*"status":"CRASHED".*on closing the backend: killed by SIGABRT'
# what is sound still passes, chatter on stdout and stderr or not
for op in attention linear rope scatter_rows sample merger; do
    finds all.jsonl "\"kind\":\"op\",\"name\":\"$op\".*\"failed\":0,\"unsupported\":0,\"skipped\":0"
done
finds all.txt 'ops covered 23/24, cases [0-9]+, passed [0-9]+, failed [0-9]+'
note $(($("$audit" verify "${some[@]}" --list | wc -l) != $(grep -c '"kind":"op_case"' all.jsonl))) "not every case is reported"
finds all.xml '<error message="CRASHED: killed by SIGSEGV'
finds all.xml '<error message="TIMEOUT: '
finds all.xml '<failure message="FAILED: '
finds all.xml '<skipped message="UNSUPPORTED: the table has no entry'
finds all.xml '<skipped message="SKIPPED: 3 cases'

# ---- A failure can be repeated as printed ----

cp "$plugins/hostile.so" "it's mine.so"
exits 1 "REPRO CRASHED: qvl-audit verify --backend './it'\\''s mine.so' --case 'add " \
    "$audit" verify --backend "./it's mine.so" --op add "${some[@]}" --jobs 1
line=$(grep -m 1 '^REPRO' out | sed 's/^REPRO CRASHED: qvl-audit //')
eval "\"\$audit\" $line" >repeated 2>&1
note $(($? != 1)) "the REPRO line does not fail: $line"
note $(($(grep -c '^REPRO' repeated) != 1)) "the REPRO line runs other cases: $line"
finds repeated 'CRASHED'

# ---- Evidence ----

one=$(grep -lE '"case":.*"layer_norm .* inplace=0' saved/*/case.json | head -1)
finds "$one" '"status":	"FAILED"'
finds "$one" '"repro":	"qvl-audit verify --backend .*hostile.so --case .layer_norm rows='
python3 - "$(dirname "$one")/tensors.safetensors" "$(dirname "$(grep -lF '"add rows=' saved/*/case.json | head -1)")" <<'PYTHON'
import json, struct, sys
def load(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    kind = {"F32": "f", "F64": "d", "I32": "i", "I64": "q"}
    tensors = {}
    for name, t in header.items():
        if name != "__metadata__":
            piece = data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]
            tensors[name] = (t["shape"], list(struct.unpack("<%d%s" % (len(piece) // struct.calcsize(kind[t["dtype"]]), kind[t["dtype"]]), piece)))
    return header["__metadata__"], tensors
meta, t = load(sys.argv[1])
numbers = dict(word.split("=") for word in meta["case"].split()[1:])
rows, dim = int(numbers["rows"]), int(numbers["dim"])
assert t["input.x"][0] == [rows, dim] and t["got.y"][0] == [rows, dim], t.keys()
x = t["input.x"][1][:dim]
mean = sum(x) / dim
scale = (sum((v - mean) ** 2 for v in x) / dim + 1e-6) ** -0.5
y = [(v - mean) * scale * g + b for v, g, b in zip(x, t["input.weight"][1], t["input.bias"][1])]
worst = max(abs(a - b) for a, b in zip(y, t["expected.y"][1]))
assert worst < 1e-5, worst
assert all(v != v for v in t["got.y"][1])
assert all(0 < v < 1e-3 for v in t["tolerance.y"][1])
meta, t = load(sys.argv[2] + "/tensors.safetensors") # crashed: made by the reference alone
assert any(n.startswith("expected.") for n in t) and "input.b" in t and not any(n.startswith("got.") for n in t), t.keys()
PYTHON
note $? "the saved tensors are not those of the case"
finds saved/README 'safetensors.numpy'

# ---- The same bytes, whatever runs at the same time and wherever it was cut off ----

"$audit" verify --backend "$plugins/hostile.so" "${some[@]}" --timeout 3 --jobs 1 --resume journal >first.txt 2>&1 </dev/null &
parent=$!
for ((i = 0; i < 600; i++)); do
    [ -f journal ] && [ "$(wc -l <journal)" -ge 20 ] && break
    sleep 0.1
done
workers=$(pgrep -P "$parent")
kill -KILL "$parent"
wait "$parent" 2>/dev/null
before=$(wc -l <journal)
sleep 0.5
note $((${#workers} == 0)) "there was no worker to outlive its parent"
note $(($(ps -o stat= -p "${workers//$'\n'/,}" | grep -cv Z) != 0)) "a worker outlives its parent"
printf 'rms_norm torn' >>journal
"$audit" verify --backend "$plugins/hostile.so" "${some[@]}" --timeout 3 --jobs 2 --resume journal --jsonl second.jsonl \
    >second.txt 2>&1 </dev/null
note $(($? != 1)) "the resumed run does not end with 1: $(tail -3 second.txt)"
note $((before >= $(wc -l <journal))) "nothing was left for the resumed run"
cmp -s all.jsonl second.jsonl
note $? "one run of two workers and one of one worker, cut off and resumed, differ: $(diff all.jsonl second.jsonl | head -c 600)"
note $(($(cut -f 1 journal | sort | uniq -d | wc -l) != 0)) "a case was run twice"
exits 2 "journal of another run" "$audit" verify --backend cpu "${some[@]}" --resume journal
exits 2 "journal of another run" "$audit" verify --backend "$plugins/hostile.so" --timeout 4 --resume journal
printf 'text\n' >other
exits 3 "is no journal" "$audit" verify --backend cpu --op add "${some[@]}" --resume other
sed -i '3s/dtype/dtyqe/' journal
exits 3 "journal:3: the line is damaged" "$audit" verify --backend "$plugins/hostile.so" --timeout 3 --resume journal

# Ctrl-C: what is finished is printed and kept.
"$audit" verify --backend "$plugins/hostile.so" --op gelu "${some[@]}" --timeout 100 --jobs 1 --resume cut >cut.txt 2>&1 </dev/null &
parent=$!
for ((i = 0; i < 100; i++)); do
    [ -f cut ] && pgrep -P "$parent" >/dev/null && break
    sleep 0.1
done
sleep 0.5
kill -TERM "$parent"
wait "$parent"
note $(($? != 143)) "SIGTERM does not end the run"
finds cut.txt 'ops covered'

# report.json: all but the time, the command, the memory that was free, and the hashes that cover them.
for jobs in 1 2; do
    "$audit" verify --backend cpu "${some[@]}" --jobs $jobs --json $jobs.json --csv $jobs.csv --junit $jobs.xml \
        --markdown $jobs.md >$jobs.txt </dev/null
    note $? "the cpu backend fails"
    python3 - $jobs.json <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
del report["environment"]["measured"]["memory_available"]
for key in "created", "command", "environment":
    if key != "environment":
        del report[key]
    del report["hashes"]["sections"][key]
del report["hashes"]["report"]
json.dump(report, open(sys.argv[1], "w"))
PYTHON
done
for form in json csv xml md txt; do
    cmp 1.$form 2.$form
    note $? "$form differs with the number of workers"
done

# ---- A backend that does not live to be asked, exit codes, lists ----

exits 4 "dead.so: crashed while it was opened: killed by SIGBUS" "$audit" verify --backend "$plugins/dead.so" --op add
exits 4 "does not load" "$audit" verify --backend ./missing.so --op add
h=("$audit" verify --backend "$plugins/hostile.so" "${some[@]}" --jobs 1)
exits 1 "ops covered 0/24" "${h[@]}" --op moe_route # zero executed cases
exits 1 "ops covered 0/24" "${h[@]}" --op moe_route --fail-on none
exits 1 "REPRO CRASHED" "${h[@]}" --op moe_combine --fail-on crashed
exits 1 "on closing the backend" "${h[@]}" --op linear
exits 0 "ops covered 1/24" "${h[@]}" --op rms_norm --fail-on timeout,unsupported
exits 1 "ops covered 1/24" "${h[@]}" --op rms_norm --fail-on timeout,failed
exits 2 "fail-on" "${h[@]}" --op linear --fail-on crash
exits 2 "timeout" "${h[@]}" --op linear --timeout never
exits 2 "no case is left" "${h[@]}" --op nothing
exits 0 "ops covered 1/24" "$audit" verify --op add "${some[@]}" --fail-on skipped,unsupported
exits 0 "ops covered 1/24" "$audit" verify --op add "${some[@]}" --jobs 0 # in this process
exits 1 "REPRO FAILED: qvl-audit verify --backend mutant:pos.fused_reads_row0 --case 'mrope_table " \
    "$audit" verify --backend mutant:pos.fused_reads_row0 --op mrope_table "${some[@]}"
exits 0 "ops covered 1/24" "$audit" verify --backend honest:pairwise --op mrope_table "${some[@]}"
exits 4 "honest[:ORDER], mutant:NAME" "$audit" verify --backend honest:sideways --op mrope_table
exits 2 "started by" "$audit" worker
(set -o pipefail && "$audit" verify --list | head -1 >/dev/null)
note $? "verify --list | head fails"
"$audit" verify --list >list
note $(($(sort list | uniq -d | wc -l) != 0)) "a case is listed twice"
while read -r line; do
    "$audit" verify --case "$line" --list 2>&1 | cmp -s - <(echo "$line")
    note $? "--case does not take what --list prints: $line"
done < <(awk 'NR % 701 == 1' list | head -30)

summary 85
