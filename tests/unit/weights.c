/* Loading of checkpoint folders: what must be found, what must be refused, and by which name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "datasets/checkpoint.h"
#include "datasets/model_tables.h"
#include "model/memory.h"
#include "model/weights.h"

static char root[64];
static struct qvl_model_config config;
static struct qvl_checkpoint_spec spec;

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/qvl_weights_XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static const char *in_root(const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* A dense or MoE checkpoint smaller than the presets; no two sizes are equal. */
static void use_spec(const char *preset)
{
    spec = *qvl_checkpoint_preset(preset);
    spec.layers = 3;
    spec.depth = 4;
    spec.deepstack[0] = 1;
    spec.deepstack[1] = 3;
    spec.deepstack_count = 2;
}

static void write_checkpoint(void)
{
    struct qvl_error error = {0};
    if (qvl_checkpoint_write(&spec, root, &error) != QVL_OK ||
        qvl_model_config_read(root, &config, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

static struct qvl_weights *open_weights(void)
{
    struct qvl_error error = {0};
    struct qvl_weights *weights = NULL;
    if (qvl_weights_open(root, &config, &weights, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return weights;
}

static void refuse(enum qvl_status expected, const char *message)
{
    struct qvl_error error = {0};
    struct qvl_weights *weights = NULL;
    assert_int_equal(qvl_weights_open(root, &config, &weights, &error), expected);
    assert_null(weights);
    if (!strstr(error.message, message))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, message);
    assert_non_null(strstr(error.message, root));
}

static void check_shape(const struct qvl_array *array, int64_t a, int64_t b)
{
    assert_non_null(array->data);
    assert_int_equal(array->rank, b ? 2 : 1);
    assert_int_equal(array->shape[0], a);
    if (b)
        assert_int_equal(array->shape[1], b);
}

static void dense_shapes(void **state)
{
    (void)state;
    use_spec("dense-untied-gqa3");
    write_checkpoint();
    struct qvl_weights *w = open_weights();
    const struct qvl_text_config *text = &config.text;
    const struct qvl_vision_config *vision = &config.vision;
    const int64_t grouped = vision->merge * vision->merge * vision->hidden;
    assert_int_equal(w->file_count, 1);
    assert_int_equal(w->dtype, QVL_F32);
    assert_false(w->mixed_dtypes);
    assert_false(w->head_tied);
    assert_true(w->bytes == 4 * qvl_model_count_parameters(&config).total);
    check_shape(&w->embed_tokens, text->vocab, text->hidden);
    check_shape(&w->head, text->vocab, text->hidden);
    assert_memory_not_equal(w->head.data, w->embed_tokens.data, 64);
    check_shape(&w->norm, text->hidden, 0);
    const struct qvl_layer_weights *layer = &w->layers[2];
    assert_false(layer->moe);
    check_shape(&layer->q_proj, text->heads * text->head_dim, text->hidden);
    check_shape(&layer->v_proj, text->kv_heads * text->head_dim, text->hidden);
    check_shape(&layer->o_proj, text->hidden, text->heads * text->head_dim);
    check_shape(&layer->k_norm, text->head_dim, 0);
    check_shape(&layer->down_proj, text->hidden, text->intermediate);
    check_shape(&w->vision.patch_embed.weight, vision->hidden, 3 * 2 * 16 * 16);
    check_shape(&w->vision.pos_embed, vision->position_side * vision->position_side, vision->hidden);
    check_shape(&w->vision.blocks[3].qkv.bias, 3 * vision->hidden, 0);
    check_shape(&w->vision.blocks[3].fc2.weight, vision->hidden, vision->intermediate);
    check_shape(&w->vision.merger.norm.weight, vision->hidden, 0);
    check_shape(&w->vision.deepstack[1].norm.bias, grouped, 0);
    check_shape(&w->vision.deepstack[1].fc2.weight, text->hidden, grouped);
    qvl_weights_close(w);
    qvl_weights_close(NULL);
}

static void tied_head(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    struct qvl_weights *w = open_weights();
    assert_true(w->head_tied);
    assert_ptr_equal(w->head.data, w->embed_tokens.data);
    qvl_weights_close(w);
    config.tied = false;
    refuse(QVL_BAD_INPUT, "missing lm_head.weight [");
    refuse(QVL_BAD_INPUT, "(config.json does not set tie_word_embeddings)");

    /* a head in the file wins over the flag */
    use_spec("dense-untied-gqa3");
    write_checkpoint();
    config.tied = true;
    w = open_weights();
    assert_false(w->head_tied);
    qvl_weights_close(w);
}

static void shards(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    struct qvl_weights *whole = open_weights();
    struct qvl_weights *split;
    char sharded[96];
    snprintf(sharded, sizeof sharded, "%s/s", root);
    struct qvl_error error = {0};
    spec.shard_bytes = whole->bytes / 3;
    assert_int_equal(qvl_checkpoint_write(&spec, sharded, &error), QVL_OK);
    if (qvl_weights_open(sharded, &config, &split, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_true(split->file_count >= 3);
    assert_true(split->bytes == whole->bytes);
    const struct qvl_array *a = &whole->layers[2].down_proj, *b = &split->layers[2].down_proj;
    assert_memory_equal(a->data, b->data, (size_t)qvl_array_count(a) * 4);
    qvl_weights_close(split);
    qvl_weights_close(whole);
}

/* Value of expert e at output row o, input column i, whatever the layout. */
static float expert_value(const struct qvl_array *array, bool input_first, int64_t e, int64_t o, int64_t i)
{
    const float *values = array->data;
    const int64_t rows = array->shape[1], columns = array->shape[2];
    return input_first ? values[(e * rows + i) * columns + o] : values[(e * rows + o) * columns + i];
}

static void expert_layouts(void **state)
{
    (void)state;
    static const enum qvl_expert_layout layouts[3] = {QVL_EXPERTS_INPUT_FIRST, QVL_EXPERTS_OUTPUT_FIRST,
                                                      QVL_EXPERTS_SEPARATE};
    float gate_up[3], down[3];
    use_spec("moe");
    for (int k = 0; k < 3; k++) {
        spec.expert_layout = layouts[k];
        write_checkpoint();
        struct qvl_weights *w = open_weights();
        const struct qvl_layer_weights *layer = &w->layers[2];
        assert_true(layer->moe);
        assert_false(w->layers[1].moe);
        assert_int_equal(layer->experts_input_first, layouts[k] == QVL_EXPERTS_INPUT_FIRST);
        assert_int_equal(layer->gate_up.rank, 3);
        assert_int_equal(layer->gate_up.shape[0], config.text.experts);
        assert_int_equal(layer->gate_up.shape[layer->experts_input_first ? 2 : 1],
                         2 * config.text.moe_intermediate);
        assert_int_equal(layer->down.shape[layer->experts_input_first ? 2 : 1], config.text.hidden);
        assert_true(w->bytes == 4 * qvl_model_count_parameters(&config).total);
        /* an "up" row, so that the order of gate and up matters */
        gate_up[k] =
            expert_value(&layer->gate_up, layer->experts_input_first, 5, config.text.moe_intermediate + 3, 7);
        down[k] = expert_value(&layer->down, layer->experts_input_first, 5, 11, 2);
        qvl_weights_close(w);
    }
    assert_true(gate_up[0] != 0 && gate_up[0] == gate_up[1] && gate_up[0] == gate_up[2]);
    assert_true(down[0] != 0 && down[0] == down[1] && down[0] == down[2]);
}

enum edit { REMOVE, RENAME, FLATTEN, AS_I32 };

/* Rewrite model.safetensors with one tensor changed; the others keep their bytes. */
static void edit(enum edit kind, const char *name, const char *new_name)
{
    struct qvl_safetensors *file;
    struct qvl_error error = {0};
    if (qvl_safetensors_open(in_root("model.safetensors"), &file, &error) != QVL_OK)
        fail_msg("%s", error.message);
    struct qvl_safetensors_tensor *tensors = calloc((size_t)file->count, sizeof *tensors);
    int64_t count = 0;
    bool found = false;
    for (int64_t i = 0; i < file->count; i++) {
        struct qvl_safetensors_tensor tensor =
            qvl_safetensors_tensor_of(file->entries[i].name, file->entries[i].array);
        if (strcmp(tensor.name, name) == 0) {
            found = true;
            if (kind == REMOVE)
                continue;
            if (kind == RENAME)
                tensor.name = new_name;
            if (kind == AS_I32)
                tensor.dtype = QVL_I32;
            if (kind == FLATTEN) {
                tensor.shape[0] = qvl_array_count(&file->entries[i].array);
                tensor.rank = 1;
            }
        }
        tensors[count++] = tensor;
    }
    assert_true(found);
    if (qvl_safetensors_write(in_root("model.safetensors"), tensors, count, NULL, 0, QVL_SAFETENSORS_SORTED,
                              &error) != QVL_OK)
        fail_msg("%s", error.message);
    free(tensors);
    qvl_safetensors_close(file);
}

static void wrong_tensors(void **state)
{
    (void)state;
    char message[256];
    use_spec("dense-untied-gqa3");
    write_checkpoint();
    edit(REMOVE, "model.language_model.layers.1.self_attn.k_norm.weight", NULL);
    snprintf(message, sizeof message,
             "disagree in 1 place: missing model.language_model.layers.1.self_attn.k_norm.weight [%lld]",
             (long long)config.text.head_dim);
    refuse(QVL_BAD_INPUT, message);

    write_checkpoint();
    edit(FLATTEN, "model.visual.blocks.2.attn.qkv.weight", NULL);
    const int64_t three = 3 * config.vision.hidden;
    snprintf(message, sizeof message,
             "model.visual.blocks.2.attn.qkv.weight has shape [%lld], expected [%lld, %lld]",
             (long long)three * (long long)config.vision.hidden, (long long)three,
             (long long)config.vision.hidden);
    refuse(QVL_BAD_INPUT, message);

    write_checkpoint();
    edit(AS_I32, "model.language_model.norm.weight", NULL);
    refuse(QVL_BAD_INPUT, "model.language_model.norm.weight is i32, expected f32, bf16 or f16");

    write_checkpoint();
    edit(RENAME, "model.visual.merger.norm.bias", "model.visual.merger.norm.bias2");
    snprintf(message, sizeof message,
             "disagree in 2 places: missing model.visual.merger.norm.bias [%lld]; unexpected "
             "model.visual.merger.norm.bias2 [%lld]",
             (long long)config.vision.hidden, (long long)config.vision.hidden);
    refuse(QVL_BAD_INPUT, message);

    /* buffers that some exporters store are no error */
    write_checkpoint();
    edit(RENAME, "lm_head.weight", "model.language_model.rotary_emb.inv_freq");
    config.tied = true;
    qvl_weights_close(open_weights());

    /* many problems: the first ones and the number */
    write_checkpoint();
    config.text.hidden *= 2;
    refuse(QVL_BAD_INPUT, "; and ");
    refuse(QVL_BAD_INPUT, "model.language_model.embed_tokens.weight has shape [");
}

static void mixed_types_are_said(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    struct qvl_safetensors *file;
    struct qvl_error error = {0};
    assert_int_equal(qvl_safetensors_open(in_root("model.safetensors"), &file, &error), QVL_OK);
    struct qvl_safetensors_tensor *tensors = calloc((size_t)file->count, sizeof *tensors);
    for (int64_t i = 0; i < file->count; i++) {
        tensors[i] = qvl_safetensors_tensor_of(file->entries[i].name, file->entries[i].array);
        if (strcmp(tensors[i].name, "model.language_model.norm.weight") == 0)
            tensors[i].dtype = QVL_BF16; /* the first half of its bytes */
    }
    assert_int_equal(qvl_safetensors_write(in_root("model.safetensors"), tensors, file->count, NULL, 0,
                                           QVL_SAFETENSORS_SORTED, &error),
                     QVL_OK);
    free(tensors);
    qvl_safetensors_close(file);
    struct qvl_weights *w = open_weights();
    assert_true(w->mixed_dtypes);
    assert_int_equal(w->norm.dtype, QVL_BF16);
    assert_int_equal(w->dtype, QVL_F32);
    qvl_weights_close(w);
}

static enum qvl_status fill_zero(void *context, int64_t first, int64_t count, void *elements,
                                 struct qvl_error *error)
{
    (void)context;
    (void)first;
    (void)error;
    memset(elements, 0, (size_t)count * 4);
    return QVL_OK;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

/* Give the experts of the written MoE checkpoint the width `inner`, in either layout. */
static void resize_experts(int64_t inner, bool input_first)
{
    const int64_t experts = config.text.experts, hidden = config.text.hidden;
    const int64_t gate_up[2][3] = {{experts, 2 * inner, hidden}, {experts, hidden, 2 * inner}};
    const int64_t down[2][3] = {{experts, hidden, inner}, {experts, inner, hidden}};
    struct qvl_safetensors *file;
    struct qvl_error error = {0};
    assert_int_equal(qvl_safetensors_open(in_root("model.safetensors"), &file, &error), QVL_OK);
    struct qvl_safetensors_tensor *tensors = calloc((size_t)file->count, sizeof *tensors);
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->entries[i].name;
        const int64_t *shape = ends_with(name, "experts.gate_up_proj") ? gate_up[input_first]
                               : ends_with(name, "experts.down_proj")  ? down[input_first]
                                                                       : NULL;
        tensors[i] = qvl_safetensors_tensor_of(name, file->entries[i].array);
        if (shape) {
            memcpy(tensors[i].shape, shape, 3 * sizeof *shape);
            tensors[i].data = NULL;
            tensors[i].fill = fill_zero;
        }
    }
    assert_int_equal(qvl_safetensors_write(in_root("model.safetensors"), tensors, file->count, NULL, 0,
                                           QVL_SAFETENSORS_SORTED, &error),
                     QVL_OK);
    free(tensors);
    qvl_safetensors_close(file);
    config.text.moe_intermediate = inner;
}

/* H = 2 Fm makes gate_up square, H = Fm makes down square: the other tensor tells the layout. */
static void square_experts(void **state)
{
    (void)state;
    for (int64_t halves = 1; halves <= 2; halves++) {
        for (int input_first = 0; input_first < 2; input_first++) {
            use_spec("moe");
            spec.expert_layout = QVL_EXPERTS_INPUT_FIRST;
            write_checkpoint();
            resize_experts(halves * config.text.hidden / 2, input_first);
            struct qvl_weights *w = open_weights();
            assert_int_equal(w->layers[2].experts_input_first, input_first);
            qvl_weights_close(w);
        }
    }
}

static void wrong_experts(void **state)
{
    (void)state;
    /* gate_up in one layout, down in the other */
    use_spec("moe");
    spec.expert_layout = QVL_EXPERTS_INPUT_FIRST;
    write_checkpoint();
    struct qvl_safetensors *input_first, *output_first;
    struct qvl_error error = {0};
    char other[96];
    snprintf(other, sizeof other, "%s/other", root);
    spec.expert_layout = QVL_EXPERTS_OUTPUT_FIRST;
    assert_int_equal(qvl_checkpoint_write(&spec, other, &error), QVL_OK);
    snprintf(other, sizeof other, "%s/other/model.safetensors", root);
    assert_int_equal(qvl_safetensors_open(in_root("model.safetensors"), &input_first, &error), QVL_OK);
    assert_int_equal(qvl_safetensors_open(other, &output_first, &error), QVL_OK);
    struct qvl_safetensors_tensor *tensors = calloc((size_t)input_first->count, sizeof *tensors);
    for (int64_t i = 0; i < input_first->count; i++) {
        const char *name = input_first->entries[i].name;
        struct qvl_safetensors *from =
            strcmp(name, "model.language_model.layers.2.mlp.experts.down_proj") == 0 ? output_first
                                                                                     : input_first;
        tensors[i] = qvl_safetensors_tensor_of(name, *qvl_safetensors_find(from, name));
    }
    assert_int_equal(qvl_safetensors_write(in_root("model.safetensors"), tensors, input_first->count, NULL, 0,
                                           QVL_SAFETENSORS_SORTED, &error),
                     QVL_OK);
    free(tensors);
    qvl_safetensors_close(input_first);
    qvl_safetensors_close(output_first);
    refuse(QVL_BAD_INPUT,
           "disagree in 1 place: model.language_model.layers.2.mlp.experts.down_proj has shape [");

    spec.expert_layout = QVL_EXPERTS_SEPARATE;
    write_checkpoint();
    edit(REMOVE, "model.language_model.layers.2.mlp.experts.7.up_proj.weight", NULL);
    refuse(QVL_BAD_INPUT, "missing model.language_model.layers.2.mlp.experts.7.up_proj.weight [");

    spec.expert_layout = QVL_EXPERTS_INPUT_FIRST;
    write_checkpoint();
    edit(REMOVE, "model.language_model.layers.2.mlp.experts.gate_up_proj", NULL);
    refuse(QVL_BAD_INPUT, "missing model.language_model.layers.2.mlp.experts.gate_up_proj [");
}

static void unsupported(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    config.architecture = QVL_ARCH_QWEN2_5_VL;
    refuse(QVL_BAD_INPUT, "weights of qwen2_5_vl cannot be loaded, only those of qwen3_vl and qwen3_vl_moe");
    config.architecture = QVL_ARCH_QWEN3_VL;
    strcpy(config.quantization, "fp8");
    refuse(QVL_BAD_INPUT, "weights quantised with \"fp8\" cannot be loaded");
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(qvl_file_write(in_root(name), text, strlen(text), NULL), QVL_OK);
}

static void bad_files(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    char *data;
    size_t size;
    assert_int_equal(qvl_file_read(in_root("model.safetensors"), (size_t)1 << 30, &data, &size, NULL),
                     QVL_OK);
    assert_int_equal(qvl_file_write(in_root("model.safetensors"), data, size - 100, NULL), QVL_OK);
    free(data);
    refuse(QVL_BAD_INPUT, "model.safetensors: tensor \"");
    refuse(QVL_BAD_INPUT, "lies outside the");
    assert_int_equal(unlink(in_root("model.safetensors")), 0);
    refuse(QVL_BAD_INPUT, "neither model.safetensors nor model.safetensors.index.json is there");

    write_text("model.safetensors.index.json", "{\"weight_map\": ");
    refuse(QVL_BAD_INPUT, "model.safetensors.index.json: line 1");
    write_text("model.safetensors.index.json", "{}");
    refuse(QVL_BAD_INPUT, "model.safetensors.index.json: weight_map: missing");
    write_text("model.safetensors.index.json", "{\"weight_map\": {\"a\": 3}}");
    refuse(QVL_BAD_INPUT, "weight_map.a: the name of a file in the same folder is needed");
    write_text("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
    refuse(QVL_BAD_INPUT, "weight_map.a: the name of a file in the same folder is needed");
    write_text("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"x.safetensors\"}}");
    refuse(QVL_BAD_INPUT, "/x.safetensors: no such file, but ");
}

/* Two shards a.safetensors {p} and b.safetensors {q, r} with a map. */
static void write_two_shards(const char *map)
{
    static const float value[1] = {1};
    const struct qvl_safetensors_tensor p = {.name = "p", .dtype = QVL_F32, .data = value};
    const struct qvl_safetensors_tensor qr[2] = {{.name = "q", .dtype = QVL_F32, .data = value},
                                                 {.name = "r", .dtype = QVL_F32, .data = value}};
    assert_int_equal(
        qvl_safetensors_write(in_root("a.safetensors"), &p, 1, NULL, 0, QVL_SAFETENSORS_SORTED, NULL),
        QVL_OK);
    assert_int_equal(
        qvl_safetensors_write(in_root("b.safetensors"), qr, 2, NULL, 0, QVL_SAFETENSORS_SORTED, NULL),
        QVL_OK);
    write_text("model.safetensors.index.json", map);
}

static void index_and_shards_disagree(void **state)
{
    (void)state;
    use_spec("small-dense-tied");
    write_checkpoint();
    assert_int_equal(unlink(in_root("model.safetensors")), 0);
#define MAP(text) "{\"weight_map\": {" text "}}"
    write_two_shards(MAP("\"p\":\"a.safetensors\",\"q\":\"b.safetensors\",\"s\":\"b.safetensors\""));
    refuse(QVL_BAD_INPUT, "weight_map.s: b.safetensors holds no such tensor");
    write_two_shards(MAP("\"p\":\"b.safetensors\",\"q\":\"a.safetensors\",\"r\":\"b.safetensors\""));
    refuse(QVL_BAD_INPUT, "a.safetensors, not in b.safetensors");
    write_two_shards(MAP("\"p\":\"a.safetensors\",\"q\":\"b.safetensors\""));
    refuse(QVL_BAD_INPUT, "/b.safetensors: tensor \"r\" is not listed in ");
    write_two_shards(MAP("\"p\":\"a.safetensors\",\"q\":\"b.safetensors\",\"r\":\"b.safetensors\""));
    refuse(QVL_BAD_INPUT, "missing model.language_model.embed_tokens.weight");
    static const float value[1] = {1};
    const struct qvl_safetensors_tensor q = {.name = "q", .dtype = QVL_F32, .data = value};
    assert_int_equal(
        qvl_safetensors_write(in_root("a.safetensors"), &q, 1, NULL, 0, QVL_SAFETENSORS_SORTED, NULL),
        QVL_OK);
    refuse(QVL_BAD_INPUT, "tensor \"q\" is in ");
#undef MAP
}

/* The 2B model in bf16 by hand: 28 layers of 8 kv heads of 128, H 2048, q 2048, kv 1024, F 6144; D 1024, I
 * 4096, vision head 64, patch rows of 1536 values. */
static void memory_estimate(void **state)
{
    (void)state;
    const struct qvl_model_table *table = qvl_model_table_find("qwen3-vl-2b");
    struct qvl_error error = {0};
    assert_int_equal(qvl_model_config_parse(table->json, table->size, "2b", &config, &error), QVL_OK);
    struct qvl_memory_request request = {.weights = QVL_BF16,
                                         .storage = QVL_BF16,
                                         .context = 1000,
                                         .chunk = 70,
                                         .patches = 400,
                                         .patches_at_once = 300,
                                         .logits = 3};
    struct qvl_memory_estimate e = qvl_memory_estimate(&config, &request);
    const int64_t row = (2 * 2048 + 2 * 2048 + 2 * 1024 + 128 + 2 * 6144) * 2;
    const int64_t tower = (6 * 1024 + 4096) * 2 + 4 * 64 + 4 * 1536;
    assert_true(e.weights == 2 * INT64_C(2127532032));
    assert_true(e.cache == 1000 * 2 * 28 * 1024 * 2);
    assert_true(e.activations == 70 * row + 300 * tower + 400 * 4 * 1536 + 100 * 4 * 2048 * 2);
    assert_true(e.logits == 3 * 151936 * 6);
    assert_true(e.total == e.weights + e.cache + e.activations + e.logits);

    /* all at once when not limited; f32 activations over bf16 weights */
    request.patches_at_once = 0;
    assert_true(qvl_memory_estimate(&config, &request).activations == e.activations + 100 * tower);
    request.storage = QVL_F32;
    assert_true(qvl_memory_estimate(&config, &request).cache == 2 * e.cache);
    assert_true(qvl_memory_estimate(&config, &request).weights == e.weights);

    assert_int_equal(qvl_memory_check(&e, e.total, &error), QVL_OK);
    assert_int_equal(qvl_memory_check(&e, e.total - 1, &error), QVL_NO_MEMORY);
    char message[160];
    snprintf(message, sizeof message,
             "not enough memory: needed %lld bytes (weights 4255064064, cache 114688000,",
             (long long)e.total);
    assert_non_null(strstr(error.message, message));
    snprintf(message, sizeof message, "available %lld;", (long long)(e.total - 1));
    assert_non_null(strstr(error.message, message));

    /* the real figure: more than a megabyte, less than a petabyte */
    int64_t available = qvl_memory_available();
    assert_true(available > (int64_t)1 << 20 && available < (int64_t)1 << 50);
    const struct qvl_memory_estimate huge = {.total = (int64_t)1 << 50};
    assert_int_equal(qvl_memory_check(&huge, -1, &error), QVL_NO_MEMORY);
}

/* 30B-A3B, no dense layer: E 128, k 8, Fm 768, H 2048, q 4096, kv 512. */
static void memory_estimate_moe(void **state)
{
    (void)state;
    const struct qvl_model_table *table = qvl_model_table_find("qwen3-vl-30b-a3b");
    assert_int_equal(qvl_model_config_parse(table->json, table->size, "30b", &config, NULL), QVL_OK);
    const struct qvl_memory_request request = {.weights = QVL_BF16, .storage = QVL_F32, .chunk = 5};
    struct qvl_memory_estimate e = qvl_memory_estimate(&config, &request);
    const int64_t row = (2 * 2048 + 2 * 4096 + 2 * 512 + 128 + 128 + 8 * (1 + 2048 + 3 * 768)) * 4 + 8 * 4;
    assert_true(e.activations == 5 * row);
    assert_true(e.cache == 0 && e.logits == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dense_shapes, make_root, remove_root),
        cmocka_unit_test_setup_teardown(tied_head, make_root, remove_root),
        cmocka_unit_test_setup_teardown(shards, make_root, remove_root),
        cmocka_unit_test_setup_teardown(expert_layouts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(wrong_tensors, make_root, remove_root),
        cmocka_unit_test_setup_teardown(mixed_types_are_said, make_root, remove_root),
        cmocka_unit_test_setup_teardown(square_experts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(wrong_experts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(unsupported, make_root, remove_root),
        cmocka_unit_test_setup_teardown(bad_files, make_root, remove_root),
        cmocka_unit_test_setup_teardown(index_and_shards_disagree, make_root, remove_root),
        cmocka_unit_test(memory_estimate),
        cmocka_unit_test(memory_estimate_moe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
