#include "model/weights.h"

#include <stdlib.h>

#include "model/memory.h"
#include "model/weight_files.h"
#include "model/weights_random.h"

#define NAME_BYTES 160
#define SHAPE_BYTES 128
#define LISTED_PROBLEMS 5

/* What the views point into. */
struct qvl_weights_owner {
    struct qvl_weight_files files;
    void **packed; /* experts that were stored one by one; two buffers a layer, NULL elsewhere */
    int64_t packed_count;
    struct qvl_random_arrays random; /* what was drawn instead of read */
};

/* Looks tensors up and collects what is wrong with them. */
struct search {
    struct qvl_weight_files *files;
    struct qvl_random_arrays *random; /* NULL: from the files */
    int64_t problems;
    char listing[QVL_ERROR_MESSAGE_BYTES]; /* the first LISTED_PROBLEMS, separated by "; " */
};

static void problem(struct search *search, const char *format, ...) QVL_PRINTF(2, 3);

static void problem(struct search *search, const char *format, ...)
{
    size_t used = strlen(search->listing);
    if (search->problems++ >= LISTED_PROBLEMS)
        return;
    if (used > 0)
        used += (size_t)snprintf(search->listing + used, sizeof search->listing - used, "; ");
    if (used >= sizeof search->listing)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(search->listing + used, sizeof search->listing - used, format, arguments);
    va_end(arguments);
}

/* "[2, 3]" */
static const char *shape_text(char text[SHAPE_BYTES], int32_t rank, const int64_t *shape)
{
    size_t used = 1;
    snprintf(text, SHAPE_BYTES, "[");
    for (int32_t axis = 0; axis < rank; axis++)
        used += (size_t)snprintf(text + used, SHAPE_BYTES - used, "%s%lld", axis ? ", " : "",
                                 (long long)shape[axis]);
    snprintf(text + used, SHAPE_BYTES - used, "]");
    return text;
}

static bool has_shape(const struct qvl_array *array, int32_t rank, const int64_t *shape)
{
    return array->rank == rank && memcmp(array->shape, shape, (size_t)rank * sizeof *shape) == 0;
}

/* The tensor `name`, which must have this shape; anything wrong is recorded and gives an empty view. */
static struct qvl_array need(struct search *search, const char *name, int32_t rank, const int64_t *shape)
{
    char expected[SHAPE_BYTES], found[SHAPE_BYTES];
    if (search->random) {
        struct qvl_array made = qvl_random_array(search->random, name, rank, shape);
        if (!made.data)
            problem(search, "no memory for %s %s", name, shape_text(expected, rank, shape));
        return made;
    }
    const struct qvl_array *array = qvl_weight_files_take(search->files, name);
    if (!array) {
        problem(search, "missing %s %s", name, shape_text(expected, rank, shape));
    } else if (!qvl_dtype_is_storage(array->dtype)) {
        problem(search, "%s is %s, expected f32, bf16 or f16", name, qvl_dtype_name(array->dtype));
    } else if (!has_shape(array, rank, shape)) {
        problem(search, "%s has shape %s, expected %s", name, shape_text(found, array->rank, array->shape),
                shape_text(expected, rank, shape));
    } else {
        return *array;
    }
    return (struct qvl_array){0};
}

static void join(char name[NAME_BYTES], const char *prefix, const char *suffix)
{
    snprintf(name, NAME_BYTES, "%.100s%.50s", prefix, suffix);
}

/* PREFIX + SUFFIX as a vector or matrix. */
static struct qvl_array need_vector(struct search *search, const char *prefix, const char *suffix, int64_t n)
{
    char name[NAME_BYTES];
    join(name, prefix, suffix);
    return need(search, name, 1, &n);
}

static struct qvl_array need_matrix(struct search *search, const char *prefix, const char *suffix,
                                    int64_t out, int64_t in)
{
    char name[NAME_BYTES];
    const int64_t shape[2] = {out, in};
    join(name, prefix, suffix);
    return need(search, name, 2, shape);
}

/* PREFIX + COMPONENT + ".weight" and ".bias". */
static struct qvl_affine need_linear(struct search *search, const char *prefix, const char *component,
                                     int64_t out, int64_t in)
{
    char name[NAME_BYTES];
    struct qvl_affine affine;
    join(name, prefix, component);
    affine.weight = need_matrix(search, name, ".weight", out, in);
    affine.bias = need_vector(search, name, ".bias", out);
    return affine;
}

static struct qvl_affine need_norm(struct search *search, const char *prefix, const char *component,
                                   int64_t n)
{
    char name[NAME_BYTES];
    struct qvl_affine affine;
    join(name, prefix, component);
    affine.weight = need_vector(search, name, ".weight", n);
    affine.bias = need_vector(search, name, ".bias", n);
    return affine;
}

static struct qvl_merger_weights need_merger(struct search *search, const char *prefix,
                                             const struct qvl_vision_config *vision, int64_t norm_width)
{
    int64_t grouped = vision->merge * vision->merge * vision->hidden;
    struct qvl_merger_weights merger;
    merger.norm = need_norm(search, prefix, "norm", norm_width);
    merger.fc1 = need_linear(search, prefix, "linear_fc1", grouped, grouped);
    merger.fc2 = need_linear(search, prefix, "linear_fc2", vision->out_hidden, grouped);
    return merger;
}

static void find_vision(struct search *search, const struct qvl_vision_config *vision,
                        struct qvl_vision_weights *weights)
{
    const int64_t width = vision->hidden;
    const int64_t patch[5] = {width, vision->channels, vision->temporal_patch, vision->patch, vision->patch};
    char prefix[NAME_BYTES];
    weights->patch_embed.weight = need(search, "model.visual.patch_embed.proj.weight", 5, patch);
    weights->patch_embed.bias = need_vector(search, "model.visual.patch_embed.proj", ".bias", width);
    weights->patch_embed.weight.rank = 2;
    weights->patch_embed.weight.shape[1] = patch[1] * patch[2] * patch[3] * patch[4];
    weights->pos_embed = need_matrix(search, "model.visual.pos_embed", ".weight",
                                     vision->position_side * vision->position_side, width);
    for (int64_t b = 0; b < vision->depth; b++) {
        struct qvl_vision_block_weights *block = &weights->blocks[b];
        snprintf(prefix, sizeof prefix, "model.visual.blocks.%lld.", (long long)b);
        block->norm1 = need_norm(search, prefix, "norm1", width);
        block->norm2 = need_norm(search, prefix, "norm2", width);
        block->qkv = need_linear(search, prefix, "attn.qkv", 3 * width, width);
        block->proj = need_linear(search, prefix, "attn.proj", width, width);
        block->fc1 = need_linear(search, prefix, "mlp.linear_fc1", vision->intermediate, width);
        block->fc2 = need_linear(search, prefix, "mlp.linear_fc2", width, vision->intermediate);
    }
    weights->merger = need_merger(search, "model.visual.merger.", vision, width);
    for (int64_t j = 0; j < vision->deepstack_count; j++) {
        snprintf(prefix, sizeof prefix, "model.visual.deepstack_merger_list.%lld.", (long long)j);
        weights->deepstack[j] = need_merger(search, prefix, vision, vision->merge * vision->merge * width);
    }
}

/* Experts in one tensor each for gate|up and down. The two releases store transposed layouts; when one tensor
 * is square the other tells (both cannot be: that would need H = 2 Fm and H = Fm). */
static void find_fused_experts(struct search *search, const struct qvl_text_config *text, const char *prefix,
                               struct qvl_layer_weights *layer)
{
    const int64_t experts = text->experts, hidden = text->hidden, inner = text->moe_intermediate;
    char gate_up_name[NAME_BYTES], down_name[NAME_BYTES];
    const int64_t gate_up[2][3] = {{experts, 2 * inner, hidden}, {experts, hidden, 2 * inner}};
    const int64_t down[2][3] = {{experts, hidden, inner}, {experts, inner, hidden}};
    join(gate_up_name, prefix, "gate_up_proj");
    join(down_name, prefix, "down_proj");
    const struct qvl_array *found_gate_up = qvl_weight_files_find(search->files, gate_up_name);
    const struct qvl_array *found_down = qvl_weight_files_find(search->files, down_name);
    bool input_first = true; /* the published layout, named in messages when neither fits */
    if (hidden != 2 * inner && found_gate_up)
        input_first = !has_shape(found_gate_up, 3, gate_up[0]);
    else if (found_down)
        input_first = !has_shape(found_down, 3, down[0]);
    layer->experts_input_first = input_first;
    layer->gate_up = need(search, gate_up_name, 3, gate_up[input_first]);
    layer->down = need(search, down_name, 3, down[input_first]);
}

/* Experts stored one by one: only checks; pack_experts builds the views. */
static void check_separate_experts(struct search *search, const struct qvl_text_config *text,
                                   const char *prefix, struct qvl_layer_weights *layer)
{
    char expert[NAME_BYTES];
    bool same = true;
    for (int64_t e = 0; e < text->experts; e++) {
        snprintf(expert, sizeof expert, "%.100s%lld.", prefix, (long long)e);
        struct qvl_array parts[3] = {
            need_matrix(search, expert, "gate_proj.weight", text->moe_intermediate, text->hidden),
            need_matrix(search, expert, "up_proj.weight", text->moe_intermediate, text->hidden),
            need_matrix(search, expert, "down_proj.weight", text->hidden, text->moe_intermediate)};
        if (e == 0)
            layer->gate_up.dtype = layer->down.dtype = parts[0].dtype;
        for (int i = 0; i < 3; i++)
            same = same && (!parts[i].data || parts[i].dtype == layer->gate_up.dtype);
    }
    if (!same)
        problem(search, "%s*: the experts of one layer must have one dtype", prefix);
}

static void expert_prefix(char prefix[NAME_BYTES], int64_t layer)
{
    snprintf(prefix, NAME_BYTES, "model.language_model.layers.%lld.mlp.experts.", (long long)layer);
}

static bool has_separate_experts(const struct qvl_weight_files *files, int64_t layer)
{
    char prefix[NAME_BYTES], name[NAME_BYTES];
    expert_prefix(prefix, layer);
    join(name, prefix, "0.gate_proj.weight");
    return qvl_weight_files_find(files, name) != NULL;
}

static void find_layer(struct search *search, const struct qvl_text_config *text, int64_t l,
                       struct qvl_layer_weights *layer)
{
    const int64_t hidden = text->hidden, q = text->heads * text->head_dim,
                  kv = text->kv_heads * text->head_dim;
    char prefix[NAME_BYTES], experts[NAME_BYTES];
    snprintf(prefix, sizeof prefix, "model.language_model.layers.%lld.", (long long)l);
    layer->input_norm = need_vector(search, prefix, "input_layernorm.weight", hidden);
    layer->q_proj = need_matrix(search, prefix, "self_attn.q_proj.weight", q, hidden);
    layer->k_proj = need_matrix(search, prefix, "self_attn.k_proj.weight", kv, hidden);
    layer->v_proj = need_matrix(search, prefix, "self_attn.v_proj.weight", kv, hidden);
    layer->o_proj = need_matrix(search, prefix, "self_attn.o_proj.weight", hidden, q);
    layer->q_norm = need_vector(search, prefix, "self_attn.q_norm.weight", text->head_dim);
    layer->k_norm = need_vector(search, prefix, "self_attn.k_norm.weight", text->head_dim);
    layer->post_attention_norm = need_vector(search, prefix, "post_attention_layernorm.weight", hidden);
    layer->moe = text->moe_layer[l];
    if (!layer->moe) {
        layer->gate_proj = need_matrix(search, prefix, "mlp.gate_proj.weight", text->intermediate, hidden);
        layer->up_proj = need_matrix(search, prefix, "mlp.up_proj.weight", text->intermediate, hidden);
        layer->down_proj = need_matrix(search, prefix, "mlp.down_proj.weight", hidden, text->intermediate);
        return;
    }
    expert_prefix(experts, l);
    layer->router = need_matrix(search, prefix, "mlp.gate.weight", text->experts, hidden);
    if (has_separate_experts(search->files, l))
        check_separate_experts(search, text, experts, layer);
    else
        find_fused_experts(search, text, experts, layer);
}

/* The head of the file wins over a tie flag: it agrees with whichever release wrote the file. */
static void find_head(struct search *search, const struct qvl_model_config *config,
                      struct qvl_weights *weights)
{
    static const char name[] = "lm_head.weight";
    const int64_t shape[2] = {config->text.vocab, config->text.hidden};
    char expected[SHAPE_BYTES];
    if (search->random ? !config->tied : qvl_weight_files_find(search->files, name) != NULL)
        weights->head = need(search, name, 2, shape);
    else if (config->tied)
        weights->head = weights->embed_tokens;
    else
        problem(search, "missing %s %s (config.json does not set tie_word_embeddings)", name,
                shape_text(expected, 2, shape));
    weights->head_tied = weights->head.data && weights->head.data == weights->embed_tokens.data;
}

/* Frequencies that some exporters store although the original recomputes them. */
static bool is_ignored(const char *name)
{
    static const char suffix[] = "rotary_emb.inv_freq";
    size_t length = strlen(name);
    return length >= sizeof suffix - 1 && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static void report_extra(struct search *search)
{
    char found[SHAPE_BYTES];
    for (int64_t i = 0; i < search->files->count; i++) {
        const struct qvl_weight_entry *entry = &search->files->entries[i];
        if (!entry->used && !is_ignored(entry->name))
            problem(search, "unexpected %.120s %s", entry->name,
                    shape_text(found, entry->array.rank, entry->array.shape));
    }
}

static enum qvl_status find_all(const char *folder, const struct qvl_model_config *config,
                                struct qvl_weights *weights, struct qvl_error *error)
{
    struct qvl_weights_owner *owner = weights->owner;
    struct search search = {.files = &owner->files, .random = owner->random.wanted ? &owner->random : NULL};
    weights->embed_tokens = need_matrix(&search, "model.language_model.embed_tokens", ".weight",
                                        config->text.vocab, config->text.hidden);
    for (int64_t l = 0; l < config->text.layers; l++)
        find_layer(&search, &config->text, l, &weights->layers[l]);
    weights->norm = need_vector(&search, "model.language_model.norm", ".weight", config->text.hidden);
    find_head(&search, config, weights);
    find_vision(&search, &config->vision, &weights->vision);
    report_extra(&search);
    if (search.problems == 0)
        return QVL_OK;
    char more[48] = "";
    if (search.problems > LISTED_PROBLEMS)
        snprintf(more, sizeof more, "; and %lld more", (long long)(search.problems - LISTED_PROBLEMS));
    return qvl_fail(error, QVL_BAD_INPUT,
                    "%.200s: weights and config.json disagree in %lld place%s: %.700s%s", folder,
                    (long long)search.problems, search.problems == 1 ? "" : "s", search.listing, more);
}

/* gate|up [E, 2*Fm, H] and down [E, H, Fm] of one layer from its single tensors. */
static enum qvl_status pack_layer(const char *folder, const struct qvl_text_config *text, int64_t l,
                                  struct qvl_weights *weights, struct qvl_error *error)
{
    struct qvl_layer_weights *layer = &weights->layers[l];
    const struct qvl_weight_files *files = &weights->owner->files;
    const size_t matrix =
        (size_t)(text->moe_intermediate * text->hidden) * qvl_dtype_bytes(layer->gate_up.dtype);
    char *gate_up = malloc(2 * matrix * (size_t)text->experts + 1);
    char *down = malloc(matrix * (size_t)text->experts + 1);
    char prefix[NAME_BYTES], name[NAME_BYTES];
    weights->owner->packed[2 * l] = gate_up;
    weights->owner->packed[2 * l + 1] = down;
    if (!gate_up || !down)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: packing the experts of layer %lld needs %zu bytes", folder,
                        (long long)l, 3 * matrix * (size_t)text->experts);
    expert_prefix(prefix, l);
    for (int64_t e = 0; e < text->experts; e++) {
        static const char *const parts[3] = {"gate", "up", "down"};
        char *places[3] = {gate_up + 2 * (size_t)e * matrix, gate_up + (2 * (size_t)e + 1) * matrix,
                           down + (size_t)e * matrix};
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "%.100s%lld.%.8s_proj.weight", prefix, (long long)e, parts[i]);
            memcpy(places[i], qvl_weight_files_find(files, name)->data, matrix);
        }
    }
    layer->gate_up = (struct qvl_array){.data = gate_up,
                                        .dtype = layer->gate_up.dtype,
                                        .rank = 3,
                                        .shape = {text->experts, 2 * text->moe_intermediate, text->hidden}};
    layer->down = (struct qvl_array){.data = down,
                                     .dtype = layer->down.dtype,
                                     .rank = 3,
                                     .shape = {text->experts, text->hidden, text->moe_intermediate}};
    return QVL_OK;
}

static enum qvl_status pack_experts(const char *folder, const struct qvl_text_config *text,
                                    struct qvl_weights *weights, struct qvl_error *error)
{
    struct qvl_memory_estimate need_bytes = {0};
    for (int64_t l = 0; l < text->layers; l++)
        if (weights->layers[l].moe && !weights->layers[l].gate_up.data)
            need_bytes.weights += 3 * text->experts * text->moe_intermediate * text->hidden *
                                  (int64_t)qvl_dtype_bytes(weights->layers[l].gate_up.dtype);
    if (need_bytes.weights == 0)
        return QVL_OK;
    need_bytes.total = need_bytes.weights;
    enum qvl_status status = qvl_memory_check(&need_bytes, -1, error);
    if (status != QVL_OK)
        return qvl_fail_in(error, status, folder);
    weights->owner->packed_count = 2 * text->layers;
    weights->owner->packed = calloc((size_t)weights->owner->packed_count, sizeof(void *));
    if (!weights->owner->packed)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", folder);
    for (int64_t l = 0; l < text->layers; l++)
        if (weights->layers[l].moe && !weights->layers[l].gate_up.data)
            QVL_TRY(pack_layer(folder, text, l, weights, error));
    return QVL_OK;
}

static enum qvl_status check_supported(const char *folder, const struct qvl_model_config *config,
                                       struct qvl_error *error)
{
    if (config->architecture != QVL_ARCH_QWEN3_VL && config->architecture != QVL_ARCH_QWEN3_VL_MOE)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: weights of %s cannot be loaded, only those of qwen3_vl and qwen3_vl_moe", folder,
                        qvl_architecture_name(config->architecture));
    if (config->quantization[0])
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: weights quantised with \"%s\" cannot be loaded; use the bf16 checkpoint", folder,
                        config->quantization);
    return QVL_OK;
}

static void summarise(struct qvl_weights *weights)
{
    const struct qvl_weight_files *files = &weights->owner->files;
    weights->dtype = weights->embed_tokens.dtype;
    weights->file_count = files->file_count;
    for (int64_t i = 0; i < files->count; i++) {
        const struct qvl_array *array = &files->entries[i].array;
        weights->bytes += qvl_array_count(array) * (int64_t)qvl_dtype_bytes(array->dtype);
        if (files->entries[i].used && array->dtype != weights->dtype)
            weights->mixed_dtypes = true;
    }
}

/* An empty struct with room for what `config` has. */
static enum qvl_status make_weights(const char *name, const struct qvl_model_config *config,
                                    struct qvl_weights **weights, struct qvl_error *error)
{
    struct qvl_weights *result = calloc(1, sizeof *result);
    if (!result)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", name);
    result->owner = calloc(1, sizeof *result->owner);
    result->layers = calloc((size_t)config->text.layers, sizeof *result->layers);
    result->vision.blocks = calloc((size_t)config->vision.depth, sizeof *result->vision.blocks);
    result->vision.deepstack =
        calloc((size_t)config->vision.deepstack_count + 1, sizeof *result->vision.deepstack);
    if (!result->owner || !result->layers || !result->vision.blocks || !result->vision.deepstack) {
        qvl_weights_close(result);
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", name);
    }
    *weights = result;
    return QVL_OK;
}

enum qvl_status qvl_weights_open(const char *folder, const struct qvl_model_config *config,
                                 struct qvl_weights **weights, struct qvl_error *error)
{
    struct qvl_weights *result;
    QVL_TRY(check_supported(folder, config, error));
    QVL_TRY(make_weights(folder, config, &result, error));
    enum qvl_status status = qvl_weight_files_open(folder, &result->owner->files, error);
    if (status == QVL_OK)
        status = find_all(folder, config, result, error);
    if (status == QVL_OK)
        status = pack_experts(folder, &config->text, result, error);
    if (status != QVL_OK) {
        qvl_weights_close(result);
        return status;
    }
    summarise(result);
    *weights = result;
    return QVL_OK;
}

enum qvl_status qvl_weights_draw(const struct qvl_model_config *config, enum qvl_dtype dtype, uint64_t seed,
                                 struct qvl_weights **weights, struct qvl_error *error)
{
    static const char name[] = "random weights";
    struct qvl_weights *result;
    QVL_TRY(check_supported(name, config, error));
    QVL_TRY(make_weights(name, config, &result, error));
    struct qvl_random_arrays *random = &result->owner->random;
    *random = (struct qvl_random_arrays){.wanted = true, .dtype = dtype, .seed = seed};
    if (find_all(name, config, result, error) != QVL_OK) {
        qvl_weights_close(result);
        if (error) /* the one thing that can be wrong with a drawn tensor */
            error->status = QVL_NO_MEMORY;
        return QVL_NO_MEMORY;
    }
    result->dtype = dtype;
    result->bytes = random->bytes;
    *weights = result;
    return QVL_OK;
}

void qvl_weights_close(struct qvl_weights *weights)
{
    if (!weights)
        return;
    if (weights->owner) {
        for (int64_t i = 0; i < weights->owner->packed_count; i++)
            free(weights->owner->packed[i]);
        free(weights->owner->packed);
        qvl_random_arrays_free(&weights->owner->random);
        qvl_weight_files_close(&weights->owner->files);
        free(weights->owner);
    }
    free(weights->vision.blocks);
    free(weights->vision.deepstack);
    free(weights->layers);
    free(weights);
}
