#!/usr/bin/env bash
# verify on a checkpoint: stages that the original framework has dumped (right, and with planted faults), dumps of ours, and
# dumps that are broken. $1: the binary, $2: a scratch folder.
set -euo pipefail
trap 'echo "$0: line $LINENO failed"' ERR
audit=$1
scratch=$2
taps=tests/golden/taps
rm -rf "$scratch" && mkdir -p "$scratch"
"$audit" checkpoint --out "$scratch/small" >/dev/null

# judge EXIT WORDS OPTION...: verify with these options ends with that code and says those words.
judge() {
    local wanted=$1 words=$2 status=0
    shift 2
    "$audit" verify --weights "$scratch/small" --draws 2 "$@" >"$scratch/out.txt" 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qF -- "$words" "$scratch/out.txt"; then
        echo "exit $status ($wanted wanted), \"$words\" wanted, of: verify $*"
        cat "$scratch/out.txt"
        return 1
    fi
}

# The original framework, and its planted faults at their stage, free-running and forced.
chat=(--messages $taps/chat.json)
judge 0 'no divergence: 18 stages' "${chat[@]}" --taps $taps/honest.safetensors
judge 1 'first divergence: model.language_model.layers.1.self_attn, token' "${chat[@]}" --taps $taps/attention_scale.safetensors
grep -qF 'forced: it arises there' "$scratch/out.txt"
judge 1 'first divergence: model.language_model.layers.2.mlp, token' "${chat[@]}" --taps $taps/channel_zeroed.safetensors
grep -qF 'channel 40: expected' "$scratch/out.txt"
grep -qF '1 of 112 channels; forced: it arises there' "$scratch/out.txt"
repeat=$(sed -n 's/^REPRO FAILED: qvl-audit verify //p' "$scratch/out.txt")
[ -n "$repeat" ]
eval "judge 1 'first divergence: model.language_model.layers.2.mlp' $repeat"

# Another prompt explains everything; a name that no stage has explains nothing.
judge 1 'another prompt: input_ids' --prompt hello --taps $taps/honest.safetensors
judge 3 'no .safetensors file' "${chat[@]}" --taps "$scratch/small/.."
judge 3 'missing.safetensors' "${chat[@]}" --taps "$scratch/missing.safetensors"

# Files made by hand: one tensor of name $2, bf16, whose bytes are all $3.
write_tensor() {
    local header='{"'$2'":{"dtype":"BF16","shape":[18,112],"data_offsets":[0,4032]}}'
    printf "%b" "$(printf '\\x%02x\\x00\\x00\\x00\\x00\\x00\\x00\\x00' ${#header})" >"$1"
    printf '%s' "$header" >>"$1"
    head -c 4032 /dev/zero | tr '\0' "$3" >>"$1"
}
write_tensor "$scratch/names.safetensors" layers.0.mlp '\0'
judge 3 'has the name of a stage' "${chat[@]}" --taps "$scratch/names.safetensors"
write_tensor "$scratch/nan.safetensors" model.language_model.layers.3.mlp '\377'
judge 1 'first divergence: model.language_model.layers.3.mlp' "${chat[@]}" --taps "$scratch/nan.safetensors"
grep -qF 'got -nan' "$scratch/out.txt" || grep -qF 'got nan' "$scratch/out.txt"
write_tensor "$scratch/width.safetensors" model.language_model.layers.3.self_attn.v_proj '\0'
judge 1 'stages have another shape: model.language_model.layers.3.self_attn.v_proj is 18 x 112' "${chat[@]}" \
    --taps "$scratch/width.safetensors"
mkdir "$scratch/twice" && cp "$scratch/nan.safetensors" "$scratch/twice/a.safetensors"
cp "$scratch/nan.safetensors" "$scratch/twice/b.safetensors"
judge 3 'stands in another file too' "${chat[@]}" --taps "$scratch/twice"
head -c 1000 $taps/honest.safetensors >"$scratch/short.safetensors"
judge 3 'short.safetensors' "${chat[@]}" --taps "$scratch/short.safetensors"

# Our own dumps, in a folder; chunked, so that rows and logits must join.
mkdir "$scratch/ours"
"$audit" logits --weights "$scratch/small" "${chat[@]}" --dtype bf16 --chunk 5 --positions 1,7,17 --taps 'model.visual.*' \
    --out "$scratch/ours/a.safetensors" >/dev/null
judge 0 'no divergence' "${chat[@]}" --taps "$scratch/ours" --json "$scratch/ours.json"
"$audit" validate "$scratch/ours.json" >/dev/null
grep -q 'pixel_values' "$scratch/ours.json"

# A backend: two honest runs; only some stages; both runs and the envelope in the report.
judge 0 'no divergence: 77 stages' --backend ref --jitter 9 --dtype bf16 "${chat[@]}"
judge 0 'no divergence: 4 stages' --stages 'model.language_model.layers.?' --tokens 20
judge 2 '--jitter needs --backend ref' --jitter 3 --tokens 20
judge 0 'no divergence' --tokens 20 --dtype bf16 --jsonl "$scratch/all.jsonl"
for kind in '"kind":"stage"' '"kind":"divergence"' '"kind":"envelope"' '"forced_margin"'; do
    grep -q "$kind" "$scratch/all.jsonl"
done

# A backend that crashes, exits or hangs costs the comparison, not the verb, and leaves nothing behind.
plugins=$(dirname "$audit")/plugins
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"
judge 1 'killed by SIGABRT' --backend "$plugins/hostile.so" "${chat[@]}"
grep -q '^REPRO CRASHED: qvl-audit verify .*hostile.so' "$scratch/out.txt"
judge 1 'killed by SIGBUS' --backend "$plugins/dead.so" --tokens 20
judge 1 'TIMEOUT' --backend "$plugins/hanging.so" --tokens 20 --timeout 1
judge 4 'nosuch.so' --backend "$scratch/nosuch.so" --tokens 20
judge 0 'no divergence' --backend "$plugins/good.so" --tokens 20 --jobs 0
[ -z "$(ls -A "$TMPDIR")" ]
echo "1 passed, 0 failed"
