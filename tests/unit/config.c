#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "datasets/model_tables.h"
#include "model/config.h"

static struct qvl_model_config config;

static void load_table(const char *name)
{
    struct qvl_error error = {0};
    const struct qvl_model_table *table = qvl_model_table_find(name);
    assert_non_null(table);
    if (qvl_model_config_parse(table->json, table->size, name, &config, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

/* Counts of the released sizes, as built by both releases of the original without weights. */
static void released_parameter_counts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t llm, vision, total, active_llm, active;
    } rows[] = {
        {"qwen3-vl-2b", 1720574976, 406957056, 2127532032, 1720574976, 2127532032},
        {"qwen3-vl-4b", 4022468096, 415347712, 4437815808, 4022468096, 4437815808},
        {"qwen3-vl-8b", 8190735360, 576388336, 8767123696, 8190735360, 8767123696},
        {"qwen3-vl-32b", 32762123264, 595266800, 33357390064, 32762123264, 33357390064},
        {"qwen3-vl-30b-a3b", 30532122624, 538631408, 31070754032, 3353032704, 3891664112},
        {"qwen3-vl-235b-a22b", 235093634560, 576388336, 235670022896, 22190763520, 22767151856},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        load_table(rows[i].name);
        struct qvl_parameter_count count = qvl_model_count_parameters(&config);
        assert_true(count.llm == rows[i].llm);
        assert_true(count.vision == rows[i].vision);
        assert_true(count.total == rows[i].total);
        assert_true(count.active_llm == rows[i].active_llm);
        assert_true(count.active == rows[i].active);
        assert_true(count.vision_trunk == (config.vision.depth == 24 ? 306242560 : 415891440));
    }
}

/* Counted in models that transformers 4.57.6 built from these tables. */
static void sibling_parameter_counts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t llm, vision;
    } rows[] = {{"qwen2.5-vl-7b", 7615616512, 676550144},
                {"qwen2.5-vl-3b", 3085938688, 668684288},
                {"qwen2-vl-2b", 1543714304, 665271296}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        load_table(rows[i].name);
        assert_true(qvl_model_count_parameters(&config).llm == rows[i].llm);
        assert_true(qvl_model_count_parameters(&config).vision == rows[i].vision);
    }
}

static void every_table_reads(void **state)
{
    (void)state;
    assert_int_equal(qvl_model_table_count(), 13);
    for (int64_t i = 0; i < qvl_model_table_count(); i++) {
        const struct qvl_model_table *table = qvl_model_table_get(i);
        cJSON *tree;
        const char *name, *source;
        bool verified;
        int64_t unverified;
        struct qvl_json list;
        load_table(table->name);
        assert_int_equal(qvl_json_parse(table->json, table->size, table->name, &tree, NULL), QVL_OK);
        struct qvl_json root = qvl_json_at_root(tree, table->name);
        assert_int_equal(qvl_json_string(&root, "name", &name, NULL), QVL_OK);
        assert_string_equal(name, table->name);
        assert_int_equal(qvl_json_string(&root, "source", &source, NULL), QVL_OK);
        assert_int_equal(qvl_json_bool(&root, "verified", &verified, NULL), QVL_OK);
        assert_int_equal(qvl_json_array(&root, "unverified", &list, &unverified, NULL), QVL_OK);
        assert_int_equal(verified, unverified == 0);
        cJSON_Delete(tree);
    }
    assert_null(qvl_model_table_get(-1));
    assert_null(qvl_model_table_get(13));
    assert_null(qvl_model_table_find("qwen3-vl-3b"));
}

static void sibling_fields(void **state)
{
    (void)state;
    load_table("qwen2.5-vl-7b");
    assert_int_equal(config.architecture, QVL_ARCH_QWEN2_5_VL);
    assert_int_equal(config.text.head_dim, 128);
    assert_true(config.text.qkv_bias);
    assert_false(config.text.qk_norm);
    assert_int_equal(config.text.mrope_layout, QVL_MROPE_CHUNKED);
    assert_int_equal(config.vision.mlp, QVL_VISION_MLP_SWIGLU);
    assert_true(config.vision.rms_norm);
    assert_true(config.vision.full_attention[15]);
    assert_false(config.vision.full_attention[16]);
    assert_int_equal(config.vision.window, 112);

    load_table("qwen2-vl-2b");
    assert_int_equal(config.vision.hidden, 1280);
    assert_int_equal(config.vision.out_hidden, 1536);
    assert_int_equal(config.vision.intermediate, 5120);
    assert_int_equal(config.vision.position_side, 0);
    assert_true(config.tied);
}

/* The MoE config below in the spelling of 4.57.6. */
static const char base[] =
    "{\"architectures\":[\"Qwen3VLMoeForConditionalGeneration\"],\"model_type\":\"qwen3_vl_moe\","
    "\"image_token_id\":3,\"video_token_id\":4,\"vision_start_token_id\":5,\"vision_end_token_id\":6,"
    "\"tie_word_embeddings\":false,"
    "\"text_config\":{\"num_hidden_layers\":5,\"hidden_size\":48,\"num_attention_heads\":6,"
    "\"num_key_value_heads\":2,\"head_dim\":16,\"vocab_size\":99,\"intermediate_size\":37,"
    "\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-6,\"hidden_act\":\"silu\",\"dtype\":\"float32\","
    "\"rope_theta\":10000,\"rope_scaling\":{\"rope_type\":\"default\",\"mrope_section\":[4,2,2]},"
    "\"num_experts\":7,\"num_experts_per_tok\":3,\"moe_intermediate_size\":20,\"decoder_sparse_step\":2,"
    "\"mlp_only_layers\":[3],\"eos_token_id\":8},"
    "\"vision_config\":{\"depth\":3,\"hidden_size\":24,\"num_heads\":2,\"intermediate_size\":40,"
    "\"out_hidden_size\":48,\"patch_size\":16,\"temporal_patch_size\":2,\"spatial_merge_size\":2,"
    "\"num_position_embeddings\":36,\"deepstack_visual_indexes\":[2,0]}}";

/* `base` with the first `from` replaced by `to`; owned. */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(base, from);
    if (!at)
        fail_msg("the base config has no %s", from);
    size_t bytes = sizeof base + strlen(to);
    char *text = malloc(bytes);
    snprintf(text, bytes, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    return text;
}

static enum qvl_status parse_edited(const char *from, const char *to, struct qvl_error *error)
{
    char *text = edited(from, to);
    enum qvl_status status = qvl_model_config_parse(text, strlen(text), "config.json", &config, error);
    free(text);
    return status;
}

static void accept(const char *from, const char *to)
{
    struct qvl_error error = {0};
    if (parse_edited(from, to, &error) != QVL_OK)
        fail_msg("%s -> %s: %s", from, to, error.message);
}

static void refuse(const char *from, const char *to, const char *message)
{
    struct qvl_error error = {0};
    assert_int_equal(parse_edited(from, to, &error), QVL_BAD_INPUT);
    if (!strstr(error.message, message) || strncmp(error.message, "config.json: ", 13) != 0)
        fail_msg("%s -> %s: \"%s\" does not contain \"%s\"", from, to, error.message, message);
}

static void moe_fields(void **state)
{
    (void)state;
    accept("99", "99");
    assert_int_equal(config.architecture, QVL_ARCH_QWEN3_VL_MOE);
    assert_int_equal(config.text.experts, 7);
    assert_int_equal(config.text.experts_per_token, 3);
    /* step 2: layers 1 and 3; 3 is excluded */
    static const bool moe[5] = {false, true, false, false, false};
    for (int i = 0; i < 5; i++)
        assert_int_equal(config.text.moe_layer[i], moe[i]);
    assert_int_equal(config.vision.position_side, 6);
    assert_int_equal(config.vision.head_dim, 12);
    assert_int_equal(config.vision.deepstack_count, 2);
    assert_int_equal(config.vision.deepstack_blocks[0], 2);
    assert_int_equal(config.text.mrope_section[0], 4);
    assert_int_equal(config.image_token, 3);
    assert_int_equal(config.vision_end_token, 6);
    assert_int_equal(config.eos_count, 1);
    assert_int_equal(config.eos[0], 8);
    assert_true(config.has_dtype);
    assert_int_equal(config.dtype, QVL_F32);
    assert_false(config.tied);
    assert_false(config.text.rope.yarn);
    /* by hand: attention 48*(2*96+2*32)+2*16 = 12320, norms 96; dense 3*48*37 = 5328;
     * MoE 7*(48 + 3*48*20) = 20496; embeddings 2*99*48 + 48 = 9552 */
    struct qvl_parameter_count count = qvl_model_count_parameters(&config);
    assert_int_equal(count.llm, 9552 + 5 * (12320 + 96) + 4 * 5328 + 20496);
    assert_int_equal(count.active_llm, count.llm - 4 * 3 * 48 * 20);
    /* block 4*24 + 24*72+72 + 24*24+24 + 2*24*40+40+24 = 4480; trunk 24*1536+24 + 36*24 + 3 blocks;
     * merger 48 + 96*96+96 + 48*96+48 = 14016; deepstack the same with norm 192 */
    assert_int_equal(count.vision_trunk, 24 * 1536 + 24 + 36 * 24 + 3 * 4480);
    assert_int_equal(count.vision, count.vision_trunk + 14016 + 2 * (14016 - 48 + 192));
}

static void both_spellings(void **state)
{
    (void)state;
    accept("\"rope_theta\":10000,\"rope_scaling\":{\"rope_type\":\"default\",\"mrope_section\":[4,2,2]}",
           "\"rope_parameters\":{\"rope_theta\":20000,\"rope_type\":\"default\",\"mrope_section\":[3,3,2]}");
    assert_true(config.text.rope_theta == 20000);
    assert_int_equal(config.text.mrope_section[1], 3);
    accept("num_experts\"", "num_local_experts\"");
    assert_int_equal(config.text.experts, 7);
    accept("\"dtype\":\"float32\"", "\"torch_dtype\":\"bfloat16\"");
    assert_int_equal(config.dtype, QVL_BF16);
    accept("{\"rope_type\":\"default\",\"mrope_section\":[4,2,2]}", "null");
    assert_int_equal(config.text.mrope_section[0], 24);
    assert_int_equal(config.text.mrope_section[2], 20);
}

/* Some released files lack the two vision marker ids; the class supplies them. */
static void vision_markers_default(void **state)
{
    (void)state;
    const struct qvl_model_table *table = qvl_model_table_find("qwen3-vl-4b");
    struct qvl_error error = {0};
    char *text = strdup(table->json);
    *strstr(text, "vision_start_token_id") = 'x';
    *strstr(text, "vision_end_token_id") = 'x';
    if (qvl_model_config_parse(text, table->size, "t", &config, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_int_equal(config.vision_start_token, 151652);
    assert_int_equal(config.vision_end_token, 151653);
    free(text);
}

static void tie_flags(void **state)
{
    (void)state;
    accept("\"tie_word_embeddings\":false", "\"tie_word_embeddings\":true");
    assert_true(config.tied);
    accept("\"num_hidden_layers\"", "\"tie_word_embeddings\":true,\"num_hidden_layers\"");
    assert_true(config.tied);
    /* 5.x spelling: the flag of text_config is a stray one */
    accept("\"rope_theta\":10000,\"rope_scaling\":{",
           "\"tie_word_embeddings\":true,\"rope_parameters\":{\"rope_theta\":1e4,");
    assert_false(config.tied);
}

static void yarn(void **state)
{
    (void)state;
#define YARN(keys) "{\"rope_type\":\"yarn\",\"mrope_section\":[4,2,2]" keys "}"
    static const char plain[] = "{\"rope_type\":\"default\",\"mrope_section\":[4,2,2]}";
    accept(plain, YARN(",\"factor\":3.0,\"original_max_position_embeddings\":1024"));
    assert_true(config.text.rope.yarn);
    assert_true(config.text.rope.factor == 3.0);
    assert_true(config.text.rope.original_max_positions == 1024);
    assert_true(config.text.rope.beta_fast == 32 && config.text.rope.beta_slow == 1);
    assert_true(config.text.rope.truncate);
    assert_true(config.text.rope.attention_factor <= 0);
    assert_true(config.text.rope.mscale == 0 && config.text.rope.mscale_all_dim == 0);
    accept(plain,
           YARN(",\"original_max_position_embeddings\":1024,\"beta_fast\":16,\"beta_slow\":null,"
                "\"truncate\":false,\"attention_factor\":1.25,\"mscale\":0.5,\"mscale_all_dim\":0.75"));
    assert_true(config.text.rope.factor == 4.0); /* 4096 / 1024 */
    assert_true(config.text.rope.beta_fast == 16 && config.text.rope.beta_slow == 1);
    assert_false(config.text.rope.truncate);
    assert_true(config.text.rope.attention_factor == 1.25);
    assert_true(config.text.rope.mscale == 0.5 && config.text.rope.mscale_all_dim == 0.75);
    accept("\"rope_type\":\"default\"", "\"type\":\"yarn\",\"factor\":2");
    assert_true(config.text.rope.yarn);
    assert_true(config.text.rope.original_max_positions == 4096);
    refuse(plain, YARN(",\"factor\":0"), "text_config.rope_scaling.factor: 0 is out of range");
    refuse(plain, YARN(",\"factor\":2,\"beta_slow\":64"),
           "text_config.rope_scaling.beta_fast: 32 must not be below");
#undef YARN
}

static void refused_architectures(void **state)
{
    (void)state;
    refuse("\"model_type\":\"qwen3_vl_moe\"", "\"model_type\":\"llava\"",
           "model_type: \"llava\" is not a known architecture; known are qwen2_vl, qwen2_5_vl, qwen3_vl, "
           "qwen3_vl_moe");
    refuse("\"model_type\":\"qwen3_vl_moe\",", "", "model_type: missing");
    refuse("Qwen3VLMoeForConditionalGeneration", "Qwen3VLForConditionalGeneration",
           "architectures[0]: \"Qwen3VLForConditionalGeneration\" contradicts model_type \"qwen3_vl_moe\"");
    refuse(base, "[]", "a JSON object is needed");
    refuse(base, "{", "line 1");
    refuse("\"text_config\"", "\"text\"", "text_config: missing");
    refuse("\"vision_config\"", "\"vision\"", "vision_config: missing");
}

static void refused_text(void **state)
{
    (void)state;
    static const char *const required[] = {
        "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "vocab_size",        "intermediate_size",   "rms_norm_eps",        "max_position_embeddings",
        "rope_theta",        "num_experts",         "num_experts_per_tok", "moe_intermediate_size"};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        char from[64], message[64];
        snprintf(from, sizeof from, "\"%s\"", required[i]);
        snprintf(message, sizeof message, "text_config.%s: missing",
                 strcmp(required[i], "num_experts") == 0 ? "num_local_experts" : required[i]);
        refuse(from, "\"x\"", message);
    }
    refuse("\"hidden_size\":48", "\"x\":48", "text_config.hidden_size: missing");
    refuse("\"num_key_value_heads\":2", "\"num_key_value_heads\":4",
           "text_config.num_key_value_heads: 4 does not divide num_attention_heads 6");
    refuse("\"num_key_value_heads\":2", "\"num_key_value_heads\":0", "0 is out of range, expected 1 to 4096");
    refuse("\"head_dim\":16", "\"head_dim\":15", "text_config.head_dim: head_dim 15 is odd");
    refuse("\"head_dim\":16", "\"head_dim\":\"16\"",
           "text_config.head_dim: a number is needed, found a string");
    refuse("\"num_hidden_layers\":5", "\"num_hidden_layers\":5.5", "a whole number is needed");
    refuse("\"num_hidden_layers\":5", "\"num_hidden_layers\":2000",
           "2000 is out of range, expected 1 to 1024");
    refuse("\"rms_norm_eps\":1e-6", "\"rms_norm_eps\":-1", "text_config.rms_norm_eps: -1 is out of range");
    refuse("\"hidden_act\":\"silu\"", "\"hidden_act\":\"gelu\"",
           "text_config.hidden_act: \"gelu\" is not supported here, only \"silu\"");
    refuse("\"dtype\":\"float32\"", "\"attention_bias\":true",
           "text_config.attention_bias: true is not supported");
    refuse("\"dtype\":\"float32\"", "\"dtype\":\"int8\"", "text_config.dtype: \"int8\" is not supported");
    refuse("\"rope_type\":\"default\"", "\"rope_type\":\"llama3\"",
           "text_config.rope_scaling.rope_type: \"llama3\" is not supported; known are");
    refuse("[4,2,2]", "[4,2]", "text_config.rope_scaling.mrope_section: 3 elements are needed, found 2");
    refuse("[4,2,2]", "[4,-2,2]", "text_config.rope_scaling.mrope_section: -2 is out of range");
    refuse("\"mrope_section\"", "\"rope_theta\":5,\"mrope_section\"",
           "text_config.rope_theta: 10000 contradicts rope_scaling.rope_theta 5");
    refuse("\"num_experts\":7", "\"num_experts\":7,\"num_local_experts\":8",
           "text_config.num_local_experts: 8 contradicts num_experts 7");
    refuse("\"num_experts_per_tok\":3", "\"num_experts_per_tok\":8", "8 is out of range, expected 1 to 7");
    refuse("\"mlp_only_layers\":[3]", "\"mlp_only_layers\":[5]", "layer 5 does not exist, the model has 5");
}

static void refused_vision_and_tokens(void **state)
{
    (void)state;
    static const char *const required[] = {"depth",
                                           "num_heads",
                                           "out_hidden_size",
                                           "patch_size",
                                           "temporal_patch_size",
                                           "spatial_merge_size",
                                           "num_position_embeddings",
                                           "deepstack_visual_indexes"};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        char from[64], message[64];
        snprintf(from, sizeof from, "\"%s\"", required[i]);
        snprintf(message, sizeof message, "vision_config.%s: missing", required[i]);
        refuse(from, "\"x\"", message);
    }
    refuse("\"num_heads\":2", "\"num_heads\":5", "vision_config.num_heads: 5 does not divide hidden_size 24");
    refuse("\"num_heads\":2", "\"num_heads\":4",
           "head_dim = hidden_size / num_heads = 6 is not a multiple of 4");
    refuse("\"num_position_embeddings\":36", "\"num_position_embeddings\":35",
           "vision_config.num_position_embeddings: 35 is not a square number");
    refuse("[2,0]", "[2,3]", "vision_config.deepstack_visual_indexes: block 3 does not exist, depth is 3");
    refuse("[2,0]", "[2,2]", "block 2 is listed twice");
    refuse("\"out_hidden_size\":48", "\"out_hidden_size\":47",
           "vision_config.out_hidden_size: 47 must equal the text hidden_size 48");
    refuse("\"depth\":3", "\"depth\":3,\"in_channels\":4", "vision_config.in_channels: 4 is out of range");
    refuse("\"image_token_id\":3", "\"image_token_id\":99",
           "image_token_id: 99 is out of range, expected 0 to 98");
    refuse("\"image_token_id\":3,", "", "image_token_id: missing");
    refuse("\"video_token_id\":4", "\"video_token_id\":3", "video_token_id: 3 is image_token_id too");
}

static void quantised_is_remembered(void **state)
{
    (void)state;
    accept("\"model_type\"", "\"quantization_config\":{\"quant_method\":\"fp8\"},\"model_type\"");
    assert_string_equal(config.quantization, "fp8");
}

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/qvl_config_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    return rmdir(folder);
}

static enum qvl_status read_generation(const char *json, struct qvl_generation_config *generation,
                                       struct qvl_error *error)
{
    char path[128];
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    if (json)
        assert_int_equal(qvl_file_write(path, json, strlen(json), NULL), QVL_OK);
    return qvl_generation_config_read(folder, &config, generation, error);
}

static void generation(void **state)
{
    (void)state;
    struct qvl_generation_config g;
    struct qvl_error error = {0};
    accept("99", "99");
    assert_int_equal(read_generation(NULL, &g, &error), QVL_OK);
    assert_int_equal(g.eos_count, 1);
    assert_int_equal(g.eos[0], 8);
    assert_false(g.do_sample);
    assert_int_equal(g.top_k, 50);
    assert_true(g.temperature == 1 && g.top_p == 1 && g.repetition_penalty == 1);

    assert_int_equal(read_generation("{\"do_sample\":true,\"temperature\":0.7,\"top_p\":0.8,\"top_k\":20,"
                                     "\"repetition_penalty\":1.05,\"eos_token_id\":[11,12]}",
                                     &g, &error),
                     QVL_OK);
    assert_true(g.do_sample);
    assert_int_equal(g.top_k, 20);
    assert_true(g.temperature == 0.7 && g.top_p == 0.8 && g.repetition_penalty == 1.05);
    assert_int_equal(g.eos_count, 2);
    assert_int_equal(g.eos[1], 12);

    assert_int_equal(read_generation("{\"eos_token_id\":9,\"top_k\":null}", &g, &error), QVL_OK);
    assert_int_equal(g.eos_count, 1);
    assert_int_equal(g.eos[0], 9);
    assert_int_equal(g.top_k, 0);

    static const char *const bad[][2] = {
        {"[]", "generation_config.json: a JSON object is needed"},
        {"{\"eos_token_id\":\"x\"}", "eos_token_id: a number is needed"},
        {"{\"eos_token_id\":[-1]}", "eos_token_id: -1 is not a token id"},
        {"{\"do_sample\":true,\"temperature\":0}", "temperature: 0 is out of range"},
        {"{\"top_p\":1.5}", "top_p: 1.5 is out of range"},
        {"{\"top_k\":-1}", "top_k: -1 is out of range"},
        {"{\"repetition_penalty\":0}", "repetition_penalty: 0 is out of range"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_generation(bad[i][0], &g, &error), QVL_BAD_INPUT);
        if (!strstr(error.message, bad[i][1]))
            fail_msg("\"%s\" does not contain \"%s\"", error.message, bad[i][1]);
    }
}

static void folders(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    char path[128];
    assert_int_equal(qvl_model_config_read("/nonexistent", &config, &error), QVL_BAD_INPUT);
    assert_string_equal(error.message, "/nonexistent: no such folder; a checkpoint folder is needed");
    assert_int_equal(qvl_model_config_read(folder, &config, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "/config.json: no such file"));
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(qvl_file_write(path, base, strlen(base), NULL), QVL_OK);
    assert_int_equal(qvl_model_config_read(folder, &config, &error), QVL_OK);
    assert_int_equal(config.text.vocab, 99);
}

/* Damaged texts: read or refused with the file's name, never a crash, and sizes stay within the limits. */
static void damaged_texts(void **state)
{
    (void)state;
    static const char characters[] = "0123456789-.eE[]{},:\"tfn";
    const uint64_t seed = 11;
    char text[sizeof base];
    int read = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 20000; i++) {
        struct qvl_error error = {0};
        memcpy(text, base, sizeof base);
        for (uint64_t c = 0; c <= i % 3; c++)
            text[qvl_random_below(seed, i, 2 * c, sizeof base - 1)] =
                characters[qvl_random_below(seed, i, 2 * c + 1, sizeof characters - 1)];
        enum qvl_status status =
            qvl_model_config_parse(text, sizeof base - 1, "config.json", &config, &error);
        if (status != QVL_OK) {
            assert_int_equal(status, QVL_BAD_INPUT);
            assert_int_equal(strncmp(error.message, "config.json: ", 13), 0);
            continue;
        }
        read++;
        assert_true(qvl_model_count_parameters(&config).total > 0);
        assert_in_range(config.text.layers, 1, QVL_MAX_LAYERS);
        assert_in_range(config.vision.deepstack_count, 0, QVL_MAX_DEEPSTACK);
    }
    assert_in_range(read, 500, 15000); /* both outcomes are exercised */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(released_parameter_counts),
        cmocka_unit_test(sibling_parameter_counts),
        cmocka_unit_test(every_table_reads),
        cmocka_unit_test(sibling_fields),
        cmocka_unit_test(moe_fields),
        cmocka_unit_test(both_spellings),
        cmocka_unit_test(vision_markers_default),
        cmocka_unit_test(tie_flags),
        cmocka_unit_test(yarn),
        cmocka_unit_test(refused_architectures),
        cmocka_unit_test(refused_text),
        cmocka_unit_test(refused_vision_and_tokens),
        cmocka_unit_test(damaged_texts),
        cmocka_unit_test(quantised_is_remembered),
        cmocka_unit_test_setup_teardown(generation, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folders, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
