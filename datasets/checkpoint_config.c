/* The small JSON files of a random checkpoint. Key sets and spellings follow what the releases write. */
#include <stdlib.h>

#include "datasets/checkpoint_parts.h"

void checkpoint_text_put(struct checkpoint_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (needed < 0 || text->failed) {
        text->failed = true;
        return;
    }
    if (text->size + (size_t)needed + 1 > text->capacity) {
        size_t capacity = 2 * (text->size + (size_t)needed + 1);
        char *grown = realloc(text->data, capacity);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)needed + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)needed;
}

void checkpoint_text_quote(struct checkpoint_text *text, const char *utf8)
{
    checkpoint_text_put(text, "\"");
    for (; *utf8; utf8++) {
        if (*utf8 == '\n')
            checkpoint_text_put(text, "\\n");
        else
            checkpoint_text_put(text, *utf8 == '"' || *utf8 == '\\' ? "\\%c" : "%c", *utf8);
    }
    checkpoint_text_put(text, "\"");
}

void checkpoint_text_free(struct checkpoint_text *text)
{
    free(text->data);
    *text = (struct checkpoint_text){.data = NULL};
}

static void put_list(struct checkpoint_text *text, const char *key, const int64_t *values, int64_t count)
{
    checkpoint_text_put(text, "\"%s\": [", key);
    for (int64_t index = 0; index < count; index++)
        checkpoint_text_put(text, "%s%lld", index ? ", " : "", (long long)values[index]);
    checkpoint_text_put(text, "]");
}

static void put_integer(struct checkpoint_text *text, const char *key, int64_t value)
{
    checkpoint_text_put(text, "\"%s\": %lld,\n", key, (long long)value);
}

/* rope_scaling of 4.57 or rope_parameters of 5.x. */
static void put_rotary(const struct qvl_checkpoint_spec *spec, struct checkpoint_text *text)
{
    bool hf5 = spec->spelling == QVL_CONFIG_HF5;
    if (!hf5)
        put_integer(text, "rope_theta", spec->rope_theta);
    checkpoint_text_put(text, "\"%s\": {", hf5 ? "rope_parameters" : "rope_scaling");
    if (hf5)
        checkpoint_text_put(text, "\"rope_theta\": %lld, ", (long long)spec->rope_theta);
    if (spec->yarn_factor > 0)
        checkpoint_text_put(text,
                            "\"rope_type\": \"yarn\", \"factor\": %.4f, "
                            "\"original_max_position_embeddings\": %lld, ",
                            spec->yarn_factor, (long long)spec->yarn_original_positions);
    else
        checkpoint_text_put(text, "\"rope_type\": \"default\", ");
    put_list(text, "mrope_section", spec->mrope_section, 3);
    checkpoint_text_put(text, ", \"mrope_interleaved\": true},\n");
}

static void put_text_config(const struct qvl_checkpoint_spec *spec, int64_t first_added,
                            struct checkpoint_text *text)
{
    bool moe = spec->experts > 0;
    bool hf5 = spec->spelling == QVL_CONFIG_HF5;
    checkpoint_text_put(text, "\"text_config\": {\n\"model_type\": \"%s\",\n",
                        moe ? "qwen3_vl_moe_text" : "qwen3_vl_text");
    checkpoint_text_put(text,
                        "\"dtype\": \"%s\",\n\"hidden_act\": \"silu\",\n\"attention_bias\": false,\n"
                        "\"attention_dropout\": 0.0,\n\"initializer_range\": 0.02,\n\"use_cache\": true,\n"
                        "\"rms_norm_eps\": 1e-06,\n",
                        spec->dtype == QVL_BF16  ? "bfloat16"
                        : spec->dtype == QVL_F16 ? "float16"
                                                 : "float32");
    put_integer(text, "hidden_size", spec->hidden);
    put_integer(text, "intermediate_size", spec->ffn);
    put_integer(text, "num_hidden_layers", spec->layers);
    put_integer(text, "num_attention_heads", spec->heads);
    put_integer(text, "num_key_value_heads", spec->kv_heads);
    put_integer(text, "head_dim", spec->head_dim);
    put_integer(text, "vocab_size", spec->vocabulary);
    put_integer(text, "max_position_embeddings", spec->max_positions);
    if (moe) {
        put_integer(text, hf5 ? "num_local_experts" : "num_experts", spec->experts);
        put_integer(text, "num_experts_per_tok", spec->experts_per_token);
        put_integer(text, "moe_intermediate_size", spec->expert_ffn);
        put_integer(text, "decoder_sparse_step", 1);
        put_list(text, "mlp_only_layers", spec->dense_layers, spec->dense_layer_count);
        checkpoint_text_put(text, ",\n\"norm_topk_prob\": true,\n\"router_aux_loss_coef\": 0.001,\n");
    }
    put_rotary(spec, text);
    if (spec->tied && !hf5)
        checkpoint_text_put(text, "\"tie_word_embeddings\": true,\n");
    put_integer(text, "bos_token_id", first_added + CHECKPOINT_ENDOFTEXT);
    checkpoint_text_put(text, "\"eos_token_id\": %lld\n},\n", (long long)first_added + CHECKPOINT_IM_END);
}

static void put_vision_config(const struct qvl_checkpoint_spec *spec, struct checkpoint_text *text)
{
    bool hf5 = spec->spelling == QVL_CONFIG_HF5;
    checkpoint_text_put(text, "\"vision_config\": {\n\"model_type\": \"qwen3_vl%s%s\",\n",
                        spec->experts > 0 ? "_moe" : "", hf5 ? "_vision" : "");
    put_integer(text, "depth", spec->depth);
    put_integer(text, "hidden_size", spec->vision_hidden);
    put_integer(text, "intermediate_size", spec->vision_ffn);
    put_integer(text, "num_heads", spec->vision_heads);
    put_integer(text, "out_hidden_size", spec->hidden);
    put_integer(text, "num_position_embeddings", spec->position_side * spec->position_side);
    put_list(text, "deepstack_visual_indexes", spec->deepstack, spec->deepstack_count);
    checkpoint_text_put(text, ",\n\"hidden_act\": \"gelu_pytorch_tanh\",\n\"in_channels\": 3,\n"
                              "\"initializer_range\": 0.02,\n\"patch_size\": 16,\n");
    if (hf5)
        checkpoint_text_put(text,
                            "\"rope_parameters\": {\"rope_theta\": 10000.0, \"rope_type\": \"axial\"},\n");
    checkpoint_text_put(text, "\"spatial_merge_size\": 2,\n\"temporal_patch_size\": 2\n}\n");
}

void checkpoint_config_json(const struct qvl_checkpoint_spec *spec, int64_t first_added,
                            struct checkpoint_text *text)
{
    bool moe = spec->experts > 0;
    checkpoint_text_put(text, "{\n\"architectures\": [\"%s\"],\n\"model_type\": \"%s\",\n",
                        moe ? "Qwen3VLMoeForConditionalGeneration" : "Qwen3VLForConditionalGeneration",
                        moe ? "qwen3_vl_moe" : "qwen3_vl");
    checkpoint_text_put(text, "\"transformers_version\": \"%s\",\n",
                        spec->spelling == QVL_CONFIG_HF5 ? "5.23.0" : "4.57.6");
    put_integer(text, "image_token_id", first_added + CHECKPOINT_IMAGE_PAD);
    put_integer(text, "video_token_id", first_added + CHECKPOINT_VIDEO_PAD);
    put_integer(text, "vision_start_token_id", first_added + CHECKPOINT_VISION_START);
    put_integer(text, "vision_end_token_id", first_added + CHECKPOINT_VISION_END);
    checkpoint_text_put(text, "\"tie_word_embeddings\": %s,\n", spec->tied ? "true" : "false");
    put_text_config(spec, first_added, text);
    put_vision_config(spec, text);
    checkpoint_text_put(text, "}\n");
}

void checkpoint_generation_json(int64_t first_added, struct checkpoint_text *text)
{
    long long end = (long long)first_added + CHECKPOINT_ENDOFTEXT;
    checkpoint_text_put(text,
                        "{\n\"bos_token_id\": %lld,\n\"pad_token_id\": %lld,\n\"do_sample\": true,\n"
                        "\"eos_token_id\": [%lld, %lld],\n\"top_k\": 20,\n\"top_p\": 0.8,\n"
                        "\"repetition_penalty\": 1.0,\n\"temperature\": 0.7\n}\n",
                        end, end, (long long)first_added + CHECKPOINT_IM_END, end);
}

void checkpoint_preprocessor_json(const struct qvl_checkpoint_spec *spec, bool video,
                                  struct checkpoint_text *text)
{
    checkpoint_text_put(
        text,
        "{\n\"size\": {\"longest_edge\": %lld, \"shortest_edge\": %lld},\n\"patch_size\": 16,\n"
        "\"temporal_patch_size\": 2,\n\"merge_size\": 2,\n\"image_mean\": [0.5, 0.5, 0.5],\n"
        "\"image_std\": [0.5, 0.5, 0.5],\n\"processor_class\": \"Qwen3VLProcessor\",\n%s\n}\n",
        (long long)(video ? spec->video_max_pixels : spec->image_max_pixels),
        (long long)(video ? spec->video_min_pixels : spec->image_min_pixels),
        video ? "\"video_processor_type\": \"Qwen3VLVideoProcessor\""
              : "\"image_processor_type\": \"Qwen2VLImageProcessorFast\"");
}

/* Our own statement of the family's chat grammar for text, image and video turns (no tools). */
void checkpoint_template_json(struct checkpoint_text *text)
{
    static const char template[] =
        "{%- macro parts(content) -%}\n"
        "{%- if content is string -%}{{- content -}}{%- else -%}\n"
        "{%- for part in content -%}\n"
        "{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}"
        "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}\n"
        "{%- elif part.type == 'video' or 'video' in part -%}"
        "{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}\n"
        "{%- elif 'text' in part -%}{{- part.text -}}{%- endif -%}\n"
        "{%- endfor -%}{%- endif -%}\n"
        "{%- endmacro -%}\n"
        "{%- for message in messages -%}\n"
        "{%- if message.role in ['user', 'assistant'] or (message.role == 'system' and loop.first) -%}\n"
        "{{- '<|im_start|>' + message.role + '\\n' + parts(message.content) + '<|im_end|>\\n' -}}\n"
        "{%- endif -%}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n";
    checkpoint_text_put(text, "{\n\"chat_template\": ");
    checkpoint_text_quote(text, template);
    checkpoint_text_put(text, "\n}\n");
}
