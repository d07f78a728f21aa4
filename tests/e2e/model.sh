#!/usr/bin/env bash
# logits, generate, latency and verify on a small checkpoint: files, keys, backends and chunks that agree.
# $1: the binary, $2: a scratch folder.
set -euo pipefail
audit=$1
scratch=$2
media=tests/golden/media
rm -rf "$scratch" && mkdir -p "$scratch"
"$audit" checkpoint --out "$scratch/small" >/dev/null

cat >"$scratch/chat.json" <<JSON
[{"role": "system", "content": "Answer shortly."},
 {"role": "user", "content": [{"type": "image", "image": "$PWD/$media/jpeg_420.jpg"},
                              {"type": "video", "video": "$PWD/$media/h264_bframes.mp4"},
                              {"type": "text", "text": "What is the same in both?"}]}]
JSON

# The file has what DESIGN promises; the reference gives the same bytes whatever the chunks.
logits() { "$audit" logits --weights "$scratch/small" --messages "$scratch/chat.json" --backend "$1" --chunk "$2" \
    --positions "$3" --taps 'model.language_model.layers.*,model.visual.merger' --out "$4" >/dev/null; }
logits ref 7 last:2 "$scratch/a.safetensors"
logits ref 1000 last:2 "$scratch/b.safetensors"
cmp "$scratch/a.safetensors" "$scratch/b.safetensors"
logits cpu 50 all "$scratch/c.safetensors"
for name in input_ids position_ids image_grid_thw video_grid_thw frames_indices.0 pixel_values pixel_values_videos \
    logits_positions logits argmax model.visual.merger model.language_model.layers.0.deepstack_added; do
    grep -aq "\"$name\"" "$scratch/a.safetensors" || { echo "no tensor $name"; exit 1; }
done

# Greedy tokens: the same from both backends, with the keys of the JSON.
for backend in ref cpu; do
    "$audit" generate --weights "$scratch/small" --messages "$scratch/chat.json" --backend "$backend" --dtype f32 --greedy \
        --ignore-eos --max-tokens 12 --json "$scratch/$backend.json" >"$scratch/$backend.txt"
done
ids() { tr -d ' \n\t' <"$1" | sed -E 's/.*"token_ids":\[([^]]*)\].*/\1/'; }
[ "$(ids "$scratch/ref.json" | tr ',' '\n' | wc -l)" -ge 11 ]
[ "$(ids "$scratch/ref.json")" = "$(ids "$scratch/cpu.json")" ]
for key in text token_ids prompt_tokens finish_reason timings prefill_seconds peak_memory_bytes; do
    grep -q "\"$key\"" "$scratch/cpu.json" || { echo "no key $key"; exit 1; }
done
cmp "$scratch/ref.txt" "$scratch/cpu.txt"

# Sampling repeats with its seed and differs without.
sample() { "$audit" generate --weights "$scratch/small" --prompt hello --seed "$1" --temperature 2 --top-k 0 --top-p 1 \
    --ignore-eos --max-tokens 16 --json "$2" >/dev/null; }
sample 5 "$scratch/s1.json"
sample 5 "$scratch/s2.json"
sample 6 "$scratch/s3.json"
[ "$(ids "$scratch/s1.json")" = "$(ids "$scratch/s2.json")" ]
[ "$(ids "$scratch/s1.json")" != "$(ids "$scratch/s3.json")" ]

# Stages of the checkpoint, an op, a case that its own line repeats, and latency.
"$audit" verify --weights "$scratch/small" --messages "$scratch/chat.json" --dtype bf16 --draws 2 --chunk 9 --all >"$scratch/stages.txt"
grep -q 'model.visual.blocks.0' "$scratch/stages.txt"
"$audit" verify --op rope >/dev/null
line=$("$audit" verify --op attention --list | sed -n 1p)
"$audit" verify --case "$line" --all >"$scratch/case.txt"
grep -q PASSED "$scratch/case.txt"
"$audit" latency --weights "$scratch/small" --context 32,64 --repeats 1 --decode-steps 2 --json "$scratch/latency.json" >/dev/null
"$audit" validate "$scratch/latency.json" >/dev/null
status=0
"$audit" verify --op nosuch >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ]

# A 235B config.json alone is enough for the FLOPs table.
cat >"$scratch/235b.json" <<'JSON'
{"architectures": ["Qwen3VLMoeForConditionalGeneration"], "model_type": "qwen3_vl_moe", "image_token_id": 151655,
 "video_token_id": 151656, "vision_start_token_id": 151652, "vision_end_token_id": 151653, "tie_word_embeddings": false,
 "text_config": {"model_type": "qwen3_vl_moe_text", "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288,
  "num_hidden_layers": 94, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "hidden_act": "silu",
  "max_position_embeddings": 262144, "rms_norm_eps": 1e-06, "rope_theta": 5000000, "attention_bias": false,
  "decoder_sparse_step": 1, "moe_intermediate_size": 1536, "num_experts": 128, "num_experts_per_tok": 8,
  "mlp_only_layers": [], "rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": true}},
 "vision_config": {"model_type": "qwen3_vl_moe", "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16,
  "in_channels": 3, "patch_size": 16, "temporal_patch_size": 2, "spatial_merge_size": 2, "out_hidden_size": 4096,
  "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24], "hidden_act": "gelu_pytorch_tanh"}}
JSON
"$audit" flops --config "$scratch/235b.json" --context 8K,1M >"$scratch/flops.txt"
grep -q '22.77 G' "$scratch/flops.txt"
echo "1 passed, 0 failed"
