#!/usr/bin/env bash
# qvl-audit flops through the installed binary: by formula, counted while a checkpoint runs, training, parameters.
# $1: the binary, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$(realpath "$1")
plugins=$(realpath "$(dirname "$1")")/plugins
scratch=$2
media=$PWD/tests/golden/media
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch" || exit 1
picture=$(find "$media" -name '*.jpg' -o -name '*.png' | sort | head -1)
cat >messages.json <<JSON
[{"role":"user","content":[{"type":"image","image":"$picture"},{"type":"video","video":"$media/h264_bframes.mp4"},
 {"type":"text","text":"What is there?"}]}]
JSON
for preset in moe small-dense-tied; do
    "$audit" checkpoint --preset $preset --out $preset >/dev/null || exit 1
    ends 0 PASSED "$audit" flops --weights $preset --messages messages.json --chunk 40 --jsonl counted.jsonl
    for kind in counted_vision counted_prefill counted_decode; do
        ends 0 '"status":"PASSED"' grep "\"kind\":\"$kind\",\"name\":\"matrix products\"" counted.jsonl
    done
done
ends 0 "deepstack_merger_2" cat <("$audit" flops --weights moe --messages messages.json --dtype bf16)
ends 0 "counted_decode" "$audit" flops --weights moe --prompt hello --backend "$plugins/good.so"
ends 2 "needs a prompt" "$audit" flops --weights moe
ends 2 "need --weights" "$audit" flops --prompt hello
ends 2 "brings its own model" "$audit" flops --weights moe --prompt hello --model 8B
ends 3 "nowhere: no tokenizer" "$audit" flops --weights nowhere --prompt hello
ends 4 "no_such" "$audit" flops --weights moe --prompt hello --backend no_such

ends 0 "qwen3-vl-235b-a22b active" "$audit" flops --parameters
ends 0 "qwen3-vl-2b all stages" "$audit" flops --training --model 2B,8B --visual-share 0,30
ends 2 "is not in the table" "$audit" flops --training --hardware abacus
ends 2 "exclude each other" "$audit" flops --training --parameters
ends 2 "each is 0 to 100" "$audit" flops --training --visual-share 10,10
ends 0 "moe total" "$audit" flops --parameters --config moe
summary 20
