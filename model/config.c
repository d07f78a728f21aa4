#include "model/config.h"

#include <stdlib.h>

#include "base/file.h"
#include "model/config_parts.h"

/* Upper bounds that keep every product of sizes in this project far below 2^63. */
#define MAX_WIDTH ((int64_t)1 << 18)
#define MAX_INTERMEDIATE ((int64_t)1 << 20)
#define MAX_HEADS ((int64_t)1 << 12)
#define MAX_VOCAB ((int64_t)1 << 24)
#define MAX_EXPERTS ((int64_t)1 << 12)
#define MAX_POSITIONS ((int64_t)1 << 40)

static const char *const architecture_names[QVL_ARCH_COUNT] = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl",
                                                               "qwen3_vl_moe"};
static const char *const architecture_classes[QVL_ARCH_COUNT] = {
    "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration"};

const char *qvl_architecture_name(enum qvl_architecture architecture)
{
    return (unsigned)architecture < QVL_ARCH_COUNT ? architecture_names[architecture] : "?";
}

static bool is_qwen3(enum qvl_architecture architecture)
{
    return architecture == QVL_ARCH_QWEN3_VL || architecture == QVL_ARCH_QWEN3_VL_MOE;
}

static enum qvl_status expect_false(const struct qvl_json *at, const char *key, struct qvl_error *error)
{
    bool value;
    QVL_TRY(qvl_json_bool_or(at, key, false, &value, error));
    return value ? qvl_json_fail(at, key, error, "true is not supported; no released model sets it") : QVL_OK;
}

static enum qvl_status read_architecture(const struct qvl_json *root, enum qvl_architecture *architecture,
                                         struct qvl_error *error)
{
    const char *type;
    QVL_TRY(qvl_json_string(root, "model_type", &type, error));
    int found = -1;
    for (int i = 0; i < QVL_ARCH_COUNT; i++)
        if (strcmp(type, architecture_names[i]) == 0)
            found = i;
    if (found < 0)
        return qvl_json_fail(
            root, "model_type", error,
            "\"%.60s\" is not a known architecture; known are qwen2_vl, qwen2_5_vl, qwen3_vl, "
            "qwen3_vl_moe",
            type);
    *architecture = (enum qvl_architecture)found;
    if (!qvl_json_has(root, "architectures"))
        return QVL_OK;

    struct qvl_json list;
    int64_t count;
    const char *class_name;
    QVL_TRY(qvl_json_array(root, "architectures", &list, &count, error));
    for (int64_t i = 0; i < count; i++) {
        struct qvl_json item = qvl_json_item(&list, i);
        QVL_TRY(qvl_json_string(&item, NULL, &class_name, error));
        for (int known = 0; known < QVL_ARCH_COUNT; known++)
            if (known != found && strcmp(class_name, architecture_classes[known]) == 0)
                return qvl_json_fail(&item, NULL, error, "\"%s\" contradicts model_type \"%s\"", class_name,
                                     type);
    }
    return QVL_OK;
}

static enum qvl_status read_yarn(const struct qvl_json *rope, int64_t max_positions,
                                 struct qvl_rope_scaling *scaling, struct qvl_error *error)
{
    scaling->yarn = true;
    scaling->original_max_positions = (double)max_positions;
    if (qvl_json_has(rope, "original_max_position_embeddings"))
        QVL_TRY(qvl_config_positive(rope, "original_max_position_embeddings",
                                    &scaling->original_max_positions, error));
    /* 5.x; 4.57 fails without a factor */
    scaling->factor = (double)max_positions / scaling->original_max_positions;
    if (qvl_json_has(rope, "factor"))
        QVL_TRY(qvl_config_positive(rope, "factor", &scaling->factor, error));
    QVL_TRY(qvl_json_double_or(rope, "beta_fast", 0, &scaling->beta_fast, error));
    QVL_TRY(qvl_json_double_or(rope, "beta_slow", 0, &scaling->beta_slow, error));
    if (scaling->beta_fast == 0)
        scaling->beta_fast = 32;
    if (scaling->beta_slow == 0)
        scaling->beta_slow = 1;
    if (scaling->beta_slow < 0 || scaling->beta_fast < scaling->beta_slow)
        return qvl_json_fail(rope, "beta_fast", error, "%g must not be below beta_slow %g, and both above 0",
                             scaling->beta_fast, scaling->beta_slow);
    QVL_TRY(qvl_json_bool_or(rope, "truncate", true, &scaling->truncate, error));
    if (qvl_json_has(rope, "attention_factor"))
        QVL_TRY(qvl_config_positive(rope, "attention_factor", &scaling->attention_factor, error));
    QVL_TRY(qvl_json_double_or(rope, "mscale", 0, &scaling->mscale, error));
    return qvl_json_double_or(rope, "mscale_all_dim", 0, &scaling->mscale_all_dim, error);
}

static enum qvl_status read_sections(const struct qvl_json *rope, const struct qvl_json *text_at,
                                     struct qvl_text_config *text, struct qvl_error *error)
{
    int64_t count;
    if (text->mrope_layout == QVL_MROPE_INTERLEAVED && (!rope || !qvl_json_has(rope, "mrope_section"))) {
        memcpy(text->mrope_section, (const int64_t[3]){24, 20, 20}, sizeof text->mrope_section);
        return QVL_OK;
    }
    if (!rope)
        return qvl_json_fail(
            text_at, "rope_scaling", error,
            "missing, but this family needs its mrope_section ([16, 24, 24] in released files)");
    QVL_TRY(qvl_json_int64s(rope, "mrope_section", 3, text->mrope_section, &count, error));
    if (count != 3)
        return qvl_json_fail(rope, "mrope_section", error, "3 elements are needed, found %lld",
                             (long long)count);
    int64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        if (text->mrope_section[i] < 0 || text->mrope_section[i] > MAX_HEADS)
            return qvl_json_fail(rope, "mrope_section", error, "%lld is out of range",
                                 (long long)text->mrope_section[i]);
        sum += text->mrope_section[i];
    }
    if (text->mrope_layout == QVL_MROPE_CHUNKED && sum != text->head_dim / 2)
        return qvl_json_fail(rope, "mrope_section", error, "the sum %lld must be head_dim / 2 = %lld",
                             (long long)sum, (long long)(text->head_dim / 2));
    return QVL_OK;
}

/* Both spellings: rope_parameters {rope_theta, ...} of 5.x; rope_theta beside rope_scaling of 4.x. */
static enum qvl_status read_rope(const struct qvl_json *at, struct qvl_text_config *text,
                                 struct qvl_error *error)
{
    struct qvl_json place;
    const struct qvl_json *rope = NULL;
    const char *spelling = qvl_json_has(at, "rope_parameters") ? "rope_parameters" : "rope_scaling";
    if (qvl_json_has(at, spelling)) {
        QVL_TRY(qvl_json_object(at, spelling, &place, error));
        rope = &place;
    }
    const struct qvl_json *theta_at = rope && qvl_json_has(rope, "rope_theta") ? rope : at;
    if (!qvl_json_has(theta_at, "rope_theta"))
        return qvl_json_fail(
            at, "rope_theta", error,
            "missing, but required (releases of the original assume different values); add it, "
            "5000000 in the released Qwen3-VL files");
    QVL_TRY(qvl_config_positive(theta_at, "rope_theta", &text->rope_theta, error));
    if (theta_at != at && qvl_json_has(at, "rope_theta")) {
        double outer;
        QVL_TRY(qvl_config_positive(at, "rope_theta", &outer, error));
        if (outer != text->rope_theta)
            return qvl_json_fail(at, "rope_theta", error, "%.17g contradicts %s.rope_theta %.17g", outer,
                                 spelling, text->rope_theta);
    }
    QVL_TRY(read_sections(rope, at, text, error));
    if (!rope)
        return QVL_OK;

    const char *type;
    const char *type_key = qvl_json_has(rope, "rope_type") ? "rope_type" : "type";
    QVL_TRY(qvl_json_string_or(rope, type_key, "default", &type, error));
    if (strcmp(type, "yarn") == 0)
        return read_yarn(rope, text->max_positions, &text->rope, error);
    if (strcmp(type, "default") != 0 && strcmp(type, "mrope") != 0)
        return qvl_json_fail(rope, type_key, error,
                             "\"%.60s\" is not supported; known are \"default\", \"mrope\" and \"yarn\"",
                             type);
    return QVL_OK;
}

static enum qvl_status read_experts(const struct qvl_json *at, struct qvl_text_config *text,
                                    struct qvl_error *error)
{
    const char *key = qvl_json_has(at, "num_experts") ? "num_experts" : "num_local_experts";
    int64_t step, only[QVL_MAX_LAYERS], only_count = 0;
    QVL_TRY(qvl_config_size(at, key, 1, MAX_EXPERTS, &text->experts, error));
    if (qvl_json_has(at, "num_experts") && qvl_json_has(at, "num_local_experts")) {
        int64_t local;
        QVL_TRY(qvl_config_size(at, "num_local_experts", 1, MAX_EXPERTS, &local, error));
        if (local != text->experts)
            return qvl_json_fail(at, "num_local_experts", error, "%lld contradicts num_experts %lld",
                                 (long long)local, (long long)text->experts);
    }
    QVL_TRY(qvl_config_size(at, "num_experts_per_tok", 1, text->experts, &text->experts_per_token, error));
    QVL_TRY(qvl_config_size(at, "moe_intermediate_size", 1, MAX_WIDTH, &text->moe_intermediate, error));
    QVL_TRY(qvl_config_size_or(at, "decoder_sparse_step", 1, 1, QVL_MAX_LAYERS, &step, error));
    if (qvl_json_has(at, "mlp_only_layers"))
        QVL_TRY(qvl_json_int64s(at, "mlp_only_layers", QVL_MAX_LAYERS, only, &only_count, error));
    for (int64_t layer = 0; layer < text->layers; layer++)
        text->moe_layer[layer] = (layer + 1) % step == 0;
    for (int64_t i = 0; i < only_count; i++) {
        if (only[i] < 0 || only[i] >= text->layers)
            return qvl_json_fail(at, "mlp_only_layers", error,
                                 "layer %lld does not exist, the model has %lld", (long long)only[i],
                                 (long long)text->layers);
        text->moe_layer[only[i]] = false;
    }
    return QVL_OK;
}

static bool any_dense_layer(const struct qvl_text_config *text)
{
    for (int64_t layer = 0; layer < text->layers; layer++)
        if (!text->moe_layer[layer])
            return true;
    return false;
}

static enum qvl_status read_heads(const struct qvl_json *at, bool qwen3, struct qvl_text_config *text,
                                  struct qvl_error *error)
{
    QVL_TRY(qvl_config_size(at, "num_attention_heads", 1, MAX_HEADS, &text->heads, error));
    QVL_TRY(qvl_config_size(at, "num_key_value_heads", 1, MAX_HEADS, &text->kv_heads, error));
    if (text->heads % text->kv_heads != 0)
        return qvl_json_fail(at, "num_key_value_heads", error,
                             "%lld does not divide num_attention_heads %lld", (long long)text->kv_heads,
                             (long long)text->heads);
    if (qwen3) {
        QVL_TRY(qvl_config_size(at, "head_dim", 2, MAX_HEADS, &text->head_dim, error));
    } else {
        if (text->hidden % text->heads != 0)
            return qvl_json_fail(at, "num_attention_heads", error, "%lld does not divide hidden_size %lld",
                                 (long long)text->heads, (long long)text->hidden);
        text->head_dim = text->hidden / text->heads;
    }
    if (text->head_dim % 2 != 0)
        return qvl_json_fail(at, qwen3 ? "head_dim" : "num_attention_heads", error,
                             "head_dim %lld is odd, but rotary positions turn pairs",
                             (long long)text->head_dim);
    return QVL_OK;
}

static enum qvl_status read_text(const struct qvl_json *at, enum qvl_architecture architecture,
                                 struct qvl_text_config *text, struct qvl_error *error)
{
    bool qwen3 = is_qwen3(architecture);
    text->qkv_bias = !qwen3;
    text->qk_norm = qwen3;
    text->mrope_layout = qwen3 ? QVL_MROPE_INTERLEAVED : QVL_MROPE_CHUNKED;
    QVL_TRY(qvl_config_size(at, "num_hidden_layers", 1, QVL_MAX_LAYERS, &text->layers, error));
    QVL_TRY(qvl_config_size(at, "hidden_size", 1, MAX_WIDTH, &text->hidden, error));
    QVL_TRY(qvl_config_size(at, "vocab_size", 1, MAX_VOCAB, &text->vocab, error));
    QVL_TRY(qvl_config_size(at, "max_position_embeddings", 1, MAX_POSITIONS, &text->max_positions, error));
    QVL_TRY(qvl_config_positive(at, "rms_norm_eps", &text->rms_eps, error));
    QVL_TRY(qvl_config_expect_string(at, "hidden_act", "silu", error));
    QVL_TRY(expect_false(at, "use_sliding_window", error));
    if (qwen3)
        QVL_TRY(expect_false(at, "attention_bias", error));
    QVL_TRY(read_heads(at, qwen3, text, error));
    if (architecture == QVL_ARCH_QWEN3_VL_MOE)
        QVL_TRY(read_experts(at, text, error));
    if (any_dense_layer(text))
        QVL_TRY(qvl_config_size(at, "intermediate_size", 1, MAX_INTERMEDIATE, &text->intermediate, error));
    else
        QVL_TRY(
            qvl_config_size_or(at, "intermediate_size", 0, 1, MAX_INTERMEDIATE, &text->intermediate, error));
    return read_rope(at, text, error);
}

static enum qvl_status read_dtype(const struct qvl_json *root, const struct qvl_json *text_at,
                                  struct qvl_model_config *config, struct qvl_error *error)
{
    const struct qvl_json *places[2] = {root, text_at};
    static const char *const keys[2] = {"dtype", "torch_dtype"};
    static const char *const names[3] = {"float32", "bfloat16", "float16"};
    static const enum qvl_dtype types[3] = {QVL_F32, QVL_BF16, QVL_F16};
    for (int place = 0; place < 2; place++) {
        for (int k = 0; k < 2; k++) {
            const char *name;
            if (!qvl_json_has(places[place], keys[k]))
                continue;
            QVL_TRY(qvl_json_string(places[place], keys[k], &name, error));
            for (int i = 0; i < 3; i++) {
                if (strcmp(name, names[i]) == 0) {
                    config->has_dtype = true;
                    config->dtype = types[i];
                    return QVL_OK;
                }
            }
            return qvl_json_fail(places[place], keys[k], error,
                                 "\"%.60s\" is not supported; known are float32, bfloat16, float16", name);
        }
    }
    return QVL_OK;
}

static enum qvl_status read_tokens(const struct qvl_json *root, const struct qvl_json *text_at,
                                   struct qvl_model_config *config, struct qvl_error *error)
{
    int64_t last = config->text.vocab - 1;
    QVL_TRY(qvl_config_size(root, "image_token_id", 0, last, &config->image_token, error));
    QVL_TRY(qvl_config_size(root, "video_token_id", 0, last, &config->video_token, error));
    if (config->image_token == config->video_token)
        return qvl_json_fail(root, "video_token_id", error, "%lld is image_token_id too; they must differ",
                             (long long)config->video_token);
    /* absent in some released files; then the values of the class */
    QVL_TRY(qvl_config_size_or(root, "vision_start_token_id", 151652, 0, last, &config->vision_start_token,
                               error));
    QVL_TRY(
        qvl_config_size_or(root, "vision_end_token_id", 151653, 0, last, &config->vision_end_token, error));
    return qvl_config_tokens(qvl_json_has(text_at, "eos_token_id") ? text_at : root, "eos_token_id",
                             config->eos, &config->eos_count, error);
}

static enum qvl_status read_tied(const struct qvl_json *root, const struct qvl_json *text_at, bool *tied,
                                 struct qvl_error *error)
{
    bool top, text;
    QVL_TRY(qvl_json_bool_or(root, "tie_word_embeddings", false, &top, error));
    QVL_TRY(qvl_json_bool_or(text_at, "tie_word_embeddings", false, &text, error));
    /* 5.x obeys the top level only, and its MoE text_config carries a meaningless true */
    *tied = top || (text && !qvl_json_has(text_at, "rope_parameters"));
    return QVL_OK;
}

static enum qvl_status read_quantization(const struct qvl_json *root, struct qvl_model_config *config,
                                         struct qvl_error *error)
{
    struct qvl_json at;
    const char *method;
    if (!qvl_json_has(root, "quantization_config"))
        return QVL_OK;
    QVL_TRY(qvl_json_object(root, "quantization_config", &at, error));
    QVL_TRY(qvl_json_string_or(&at, "quant_method", "unknown", &method, error));
    snprintf(config->quantization, sizeof config->quantization, "%s", method);
    return QVL_OK;
}

static enum qvl_status read_config(const struct qvl_json *root, struct qvl_model_config *config,
                                   struct qvl_error *error)
{
    struct qvl_json text_at = *root, vision_at;
    QVL_TRY(read_architecture(root, &config->architecture, error));
    /* released Qwen2-VL and Qwen2.5-VL files keep the text keys at the top level */
    if (is_qwen3(config->architecture) || qvl_json_has(root, "text_config"))
        QVL_TRY(qvl_json_object(root, "text_config", &text_at, error));
    QVL_TRY(qvl_json_object(root, "vision_config", &vision_at, error));
    QVL_TRY(read_text(&text_at, config->architecture, &config->text, error));
    QVL_TRY(qvl_vision_config_read(&vision_at, config->architecture, &config->vision, error));
    if (config->vision.out_hidden != config->text.hidden)
        return qvl_json_fail(&vision_at,
                             config->architecture == QVL_ARCH_QWEN2_VL ? "hidden_size" : "out_hidden_size",
                             error, "%lld must equal the text hidden_size %lld",
                             (long long)config->vision.out_hidden, (long long)config->text.hidden);
    QVL_TRY(read_tokens(root, &text_at, config, error));
    QVL_TRY(read_tied(root, &text_at, &config->tied, error));
    QVL_TRY(read_dtype(root, &text_at, config, error));
    return read_quantization(root, config, error);
}

/* A model table wraps the config in an object. */
static enum qvl_status read_tree(const cJSON *tree, const char *name, struct qvl_model_config *config,
                                 struct qvl_error *error)
{
    struct qvl_json root = qvl_json_at_root(tree, name);
    struct qvl_json inner;
    if (!cJSON_IsObject(tree))
        return qvl_json_fail(&root, NULL, error, "a JSON object is needed");
    if (!qvl_json_has(&root, "model_type") && qvl_json_has(&root, "config")) {
        QVL_TRY(qvl_json_object(&root, "config", &inner, error));
        root = inner;
    }
    memset(config, 0, sizeof *config);
    return read_config(&root, config, error);
}

enum qvl_status qvl_model_config_parse(const char *json, size_t size, const char *name,
                                       struct qvl_model_config *config, struct qvl_error *error)
{
    cJSON *tree;
    QVL_TRY(qvl_json_parse(json, size, name, &tree, error));
    enum qvl_status status = read_tree(tree, name, config, error);
    cJSON_Delete(tree);
    return status;
}

enum qvl_status qvl_model_config_read_file(const char *path, struct qvl_model_config *config,
                                           struct qvl_error *error)
{
    cJSON *tree;
    QVL_TRY(qvl_json_read(path, &tree, error));
    enum qvl_status status = read_tree(tree, path, config, error);
    cJSON_Delete(tree);
    return status;
}

enum qvl_status qvl_model_config_read(const char *folder, struct qvl_model_config *config,
                                      struct qvl_error *error)
{
    char *path;
    if (!qvl_folder_exists(folder))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: no such folder; a checkpoint folder is needed", folder);
    QVL_TRY(qvl_path_join(folder, "config.json", &path, error));
    enum qvl_status status = qvl_model_config_read_file(path, config, error);
    free(path);
    return status;
}
