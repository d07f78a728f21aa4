#!/usr/bin/env bash
# latency whole and by sampling: rows, fields and their provenance, contexts beyond the positions, want of memory, the
# estimator check, frames and files, exit codes. No timing is asserted. $1: the binary, $2: a scratch folder.
set -euo pipefail
audit=$1
scratch=$2
media=tests/golden/media
rm -rf "$scratch" && mkdir -p "$scratch"
fail() { echo "FAILED: $*"; exit 1; }

exits() {
    local wanted=$1 status=0
    shift
    "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || { cat "$scratch/stderr"; fail "$*: exit $status, $wanted wanted"; }
}
# has KIND NAME PATTERN: the record of that kind and name, a line of JSON, matches.
has() { grep -F "\"kind\":\"$1\",\"name\":\"$2\"" "$scratch/lines" | grep -qE -- "$3" || fail "$1 $2: no $3"; }
quick=(--repeats 2 --decode-steps 3 --threads 1)

for preset in yarn moe; do "$audit" checkpoint --preset $preset --out "$scratch/$preset" >/dev/null; done

# Both ways, up to a context beyond the 12288 positions of this model, with a picture and a video.
exits 0 "$audit" latency --weights "$scratch/yarn" "${quick[@]}" --sample --whole --sample-layers 2 --chunk 256 \
    --context 100,700,4864,16K --check 300 --frame 96x160 --file $media/jpeg_420.jpg --file $media/h264_bframes.mp4 \
    --jsonl "$scratch/lines" --json "$scratch/report.json"
for context in 100 700 4864 16384; do
    has latency "cpu $context sampled" '"status":"PASSED"'
    has latency "cpu $context sampled" '"modelled":\{"prefill_median":.*"decode_samples":\['
    has latency "cpu $context sampled" '"measured":\{.*"dense_layer_median"'
done
for context in 100 700 4864; do has latency "cpu $context" '"measured":\{"prefill_median":.*"decode_samples":\['; done
has latency "cpu 16384" '"status":"SKIPPED".*12288.*YaRN'
has latency "cpu 16384 sampled" '"beyond_positions":true'
has latency "cpu 4864 sampled" '"beyond_positions":false'
has latency "cpu 4864 sampled" '"chunk_rows_timed":64'
for depth in 0 444 4608 16128; do has latency_chunk "cpu depth $depth" '"chunk_seconds"'; done
has latency "cpu 4864 sampled" '"decode_cores_busy".*"chunk_cores_busy"'
has latency_layer "cpu dense layer 100" '"cold_per_hot"'
has latency_estimator "cpu 300" '"prefill_ratio".*"decode_ratio"'
has latency_vision "cpu 96x160 sampled" '"modelled":\{"encode_median".*"block_median"|"block_median".*"encode_median"'
has latency_vision "cpu 96x160" '"measured":\{"encode_median"'
for file in jpeg_420.jpg h264_bframes.mp4; do
    for stage in decode_file preprocess vision prefill first_token file_to_first_token; do
        has latency_file "cpu $file" "\"$stage\""
        has latency_file "cpu $file sampled" "\"$stage\""
    done
done
grep -q 'rotary table and no other work' "$scratch/stdout" || fail "what a context beyond the positions means is not said"
"$audit" validate "$scratch/report.json" >/dev/null

# Both kinds of layers, random weights of a configuration, the reference backend.
exits 0 "$audit" latency --config "$scratch/moe" "${quick[@]}" --context 64 --backend ref --jsonl "$scratch/lines"
has latency "ref 64 sampled" '"dense_layer_median".*"moe_layer_median"'
has latency_layer "ref moe layer 64" '"hot_median"'
grep -q 'uniformly over the experts' "$scratch/stdout" || grep -q 'uniformly over the experts' "$scratch/stdout" || fail "no word on routing"

# A released size, of which the longest context does not fit: skipped, with the bytes it needs. That is no failure.
exits 0 "$audit" latency --model 2B "${quick[@]}" --repeats 1 --context 16,1M --memory 2000000000 --frame none \
    --jsonl "$scratch/lines"
has latency "cpu 16 sampled" '"status":"PASSED"'
has latency "cpu 1048576 sampled" '"status":"SKIPPED".*"needed_bytes":5[0-9]{9}'
# Nothing fits: every row is skipped, and a run without a result fails.
exits 1 "$audit" latency --model 2B "${quick[@]}" --context 8K --memory 1000000 --frame none --jsonl "$scratch/lines"
has latency "cpu 8192 sampled" '"status":"SKIPPED"'

# Wrong usage.
for wrong in "" "--model 2B --config x" "--model 2B --weights x" "--model 2B --context 0" "--model 2B --context 8K,8192" \
    "--model 2B --frame 7" "--model 2B --memory 0" "--model 2B --clock sun" "--model 2B --check x" "--model nosuch"; do
    # shellcheck disable=SC2086
    exits 2 "$audit" latency $wrong
done
exits 3 "$audit" latency --config "$scratch/nosuch.json" --context 16
exits 3 "$audit" latency --weights "$scratch/yarn" --sample "${quick[@]}" --context 16 --frame none --file "$scratch/lines"
exits 4 "$audit" latency --model 2B --backend nosuch
echo "1 passed, 0 failed"
