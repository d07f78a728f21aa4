#!/usr/bin/env bash
# Bad input of every kind through the installed binary: exit code 3, a message that names the thing, no output left behind.
# $1: the binary, $2: a scratch folder.
set -uo pipefail
audit=$1
scratch=$2
media=tests/golden/media
rm -rf "$scratch" && mkdir -p "$scratch/out"
passed=0
failed=0

# refused WORDS COMMAND...: exit 3, WORDS in the message, nothing in the output folder.
refused() {
    local words=$1 message status
    shift
    message=$("$@" 2>&1 >/dev/null)
    status=$?
    if [ "$status" -ne 3 ] || ! grep -qF -- "$words" <<<"$message" || [ -n "$(ls -A "$scratch/out")" ]; then
        echo "FAILED: $*"
        echo "  exit $status (3 wanted), \"$words\" wanted in: $message; left: $(ls -A "$scratch/out")"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
    rm -rf "$scratch/out" && mkdir -p "$scratch/out"
}

# logits of one user message; $1 words, $2 checkpoint, then the prompt's options.
refused_prompt() {
    local words=$1 weights=$2
    shift 2
    refused "$words" "$audit" logits --weights "$weights" --out "$scratch/out/l.safetensors" "$@"
}

# A checkpoint with one file replaced or changed: copy NAME; prints its folder.
copy() {
    rm -rf "${scratch:?}/$1"
    cp -r "$scratch/good" "$scratch/$1"
    echo "$scratch/$1"
}

write_header() { # FILE JSON [DATA BYTES]: a safetensors file with that header
    local size=${#2}
    printf "%b" "$(printf '\\x%02x\\x%02x\\x00\\x00\\x00\\x00\\x00\\x00' $((size % 256)) $((size / 256)))" >"$1"
    printf '%s' "$2" >>"$1"
    head -c "${3:-0}" /dev/zero >>"$1"
}

"$audit" checkpoint --out "$scratch/good" >/dev/null || { echo "no checkpoint"; exit 1; }

# Weights.
d=$(copy truncated) && head -c 100000 "$scratch/good/model.safetensors" >"$d/model.safetensors"
refused_prompt model.safetensors "$d" --prompt hi
d=$(copy tiny) && printf 'abc' >"$d/model.safetensors"
refused_prompt model.safetensors "$d" --prompt hi
d=$(copy lying) && printf '\xff\xff\xff\xff\xff\xff\xff\x7f' >"$d/model.safetensors"
refused_prompt header "$d" --prompt hi
d=$(copy range) && write_header "$d/model.safetensors" '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}' 8
refused_prompt '"a"' "$d" --prompt hi
d=$(copy overlap) && write_header "$d/model.safetensors" \
    '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12
refused_prompt overlap "$d" --prompt hi
d=$(copy missing) && write_header "$d/model.safetensors" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 8
refused_prompt missing "$d" --prompt hi
d=$(copy dtype) && sed -i 's/"dtype":"F32"/"dtype":"X32"/' "$d/model.safetensors" && refused_prompt X32 "$d" --prompt hi
d=$(copy shape) && sed -i 's/"hidden_size": 112/"hidden_size": 120/; s/"out_hidden_size": 112/"out_hidden_size": 120/' "$d/config.json"
refused_prompt 112 "$d" --prompt hi
d=$(copy noweights) && rm "$d"/*.safetensors
refused_prompt model.safetensors "$d" --prompt hi

# Config and tokenizer.
d=$(copy noconfig) && rm "$d/config.json"
refused_prompt config.json "$d" --prompt hi
d=$(copy badjson) && printf '{"a": ' >"$d/config.json"
refused_prompt config.json "$d" --prompt hi
d=$(copy unknown) && sed -i 's/"model_type": "qwen3_vl"/"model_type": "llama"/' "$d/config.json"
refused_prompt llama "$d" --prompt hi
d=$(copy nokey) && sed -i '/"num_key_value_heads"/d' "$d/config.json"
refused_prompt num_key_value_heads "$d" --prompt hi
d=$(copy contradict) && sed -i 's/"num_key_value_heads": 3/"num_key_value_heads": 4/' "$d/config.json"
refused_prompt num_key_value_heads "$d" --prompt hi
d=$(copy notokenizer) && rm -f "$d/tokenizer.json" "$d/vocab.json" "$d/merges.txt"
refused_prompt tokenizer "$d" --prompt hi
d=$(copy badtokenizer) && printf '{"model": {}}' >"$d/tokenizer.json" && rm -f "$d/vocab.json" "$d/merges.txt"
refused_prompt tokenizer.json "$d" --prompt hi

# Messages.
good=$scratch/good
m=$scratch/messages.json
say() { printf '%s' "$1" >"$m"; }
say '[{"role": "wizard", "content": "hi"}]' && refused_prompt wizard "$good" --messages "$m"
say '[{"role": "user"}]' && refused_prompt content "$good" --messages "$m"
say '{"role": "user"}' && refused_prompt array "$good" --messages "$m"
say '[{"role": "user", "content": [{"type": "image", "image": "nowhere.png"}]}]' &&
    refused_prompt nowhere.png "$good" --messages "$m"
say '[{"role": "user", "content": ' && refused_prompt messages.json "$good" --messages "$m"
refused_prompt gone.json "$good" --messages "$scratch/gone.json"

# Videos.
: >"$scratch/empty.mp4"
head -c 700 "$media/h264_bframes.mp4" >"$scratch/cut.mp4"
echo "this is no video" >"$scratch/text.mp4"
refused_prompt empty.mp4 "$good" --video "$scratch/empty.mp4"
refused_prompt cut.mp4 "$good" --video "$scratch/cut.mp4"
refused_prompt text.mp4 "$good" --video "$scratch/text.mp4"
refused_prompt bad_audio_only.mp4 "$good" --video "$media/bad_audio_only.mp4"
refused_prompt h264_one_frame.mp4 "$good" --video "$media/h264_one_frame.mp4"
refused_prompt bad_middle.mp4 "$good" --video "$media/bad_middle.mp4"
refused_prompt nowhere.mp4 "$good" --video "$scratch/nowhere.mp4"

# Images. A picture of 1 x 201 pixels as a binary PGM.
{ printf 'P5\n1 201\n255\n' && head -c 201 /dev/zero; } >"$scratch/thin.pgm"
head -c 300 "$media/jpeg_420.jpg" >"$scratch/cut.jpg"
: >"$scratch/empty.png"
refused_prompt 200 "$good" --image "$scratch/thin.pgm"
refused_prompt cut.jpg "$good" --image "$scratch/cut.jpg"
refused_prompt empty.png "$good" --image "$scratch/empty.png"
refused_prompt nowhere.jpg "$good" --image "$scratch/nowhere.jpg"

# Context.
d=$(copy short) && sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 8/' "$d/config.json"
refused_prompt max_position_embeddings "$d" --prompt 'one two three four five six seven eight nine ten'

# Memory: a cache of 100 million tokens; the message says what is needed and what is there.
refused available "$audit" generate --weights "$good" --prompt hi --max-tokens 100000000 --json "$scratch/out/a.json"
refused needed "$audit" generate --weights "$good" --prompt hi --max-tokens 100000000 --json "$scratch/out/a.json"

# What looks odd but is good: exit 0 and a file.
for image in png_1x1.png png_grey16.png png_grey8.png png_palette8.png png_rgba8.png jpeg_1x1.jpg; do
    if "$audit" logits --weights "$good" --image "$media/$image" --prompt 'What is this?' --out "$scratch/out/l.safetensors" \
        >/dev/null && [ -s "$scratch/out/l.safetensors" ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $image should have been accepted"
        failed=$((failed + 1))
    fi
    rm -f "$scratch/out/l.safetensors"
done
if ! "$audit" logits --weights "$good" --video "$media/bad_middle.mp4" --accept-damaged --out "$scratch/out/l.safetensors" >/dev/null; then
    echo "FAILED: a damaged video should be taken with --accept-damaged"
    failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 40 ]
