#include "bench/flops.h"

#include "bench/flops_per_element.h"
#include "model/engine.h"

/* Within these no sum of this file reaches 2^128. */
#define MOST_TOKENS ((int64_t)1 << 31) /* and patches */
#define MOST_SEQUENCES ((int64_t)1 << 16)

static void add_stage(struct qvl_flops *flops, const char *name, enum qvl_flops_class work, bool vision,
                      qvl_flop_count count, double bytes)
{
    struct qvl_flops_stage *stage = &flops->stages[flops->count++];
    *stage = (struct qvl_flops_stage){.work = work, .vision = vision, .flops = count, .bytes = bytes};
    snprintf(stage->name, sizeof stage->name, "%s", name);
}

/* [rows, in] times [in, out]. */
static qvl_flop_count product(qvl_flop_count rows, int64_t in, int64_t out)
{
    return 2 * rows * (qvl_flop_count)in * (qvl_flop_count)out;
}

/* ---- Vision ---- */

/* Sums over the grids of one sequence. */
struct patches {
    qvl_flop_count rows;   /* patches */
    qvl_flop_count places; /* patches of one frame of each grid: where the position table is interpolated */
    qvl_flop_count frame_pairs;    /* query-key pairs of attention inside frames */
    qvl_flop_count windowed_pairs; /* the same inside windows */
};

/* Sum of squared lengths of the windows that `cells` cells fall into. */
static qvl_flop_count window_squares(int64_t cells, int64_t window)
{
    qvl_flop_count rest = (qvl_flop_count)(cells % window);
    return (qvl_flop_count)(cells / window) * (qvl_flop_count)window * (qvl_flop_count)window + rest * rest;
}

static struct patches count_patches(const struct qvl_vision_config *vision,
                                    const struct qvl_flops_workload *workload)
{
    struct patches sum = {0};
    for (int64_t i = 0; i < workload->grid_count; i++) {
        const struct qvl_grid *grid = &workload->grids[i];
        qvl_flop_count t = (qvl_flop_count)grid->t;
        qvl_flop_count place = (qvl_flop_count)grid->h * (qvl_flop_count)grid->w;
        sum.rows += t * place;
        sum.places += place;
        sum.frame_pairs += t * place * place;
        if (vision->window > 0) {
            int64_t side = vision->window / vision->merge / vision->patch;
            qvl_flop_count block = (qvl_flop_count)vision->merge * (qvl_flop_count)vision->merge;
            sum.windowed_pairs += t * block * block * window_squares(grid->h / vision->merge, side) *
                                  window_squares(grid->w / vision->merge, side);
        }
    }
    qvl_flop_count batch = (qvl_flop_count)workload->batch;
    return (struct patches){batch * sum.rows, batch * sum.places, batch * sum.frame_pairs,
                            batch * sum.windowed_pairs};
}

/* Query-key pairs summed over the blocks. */
static qvl_flop_count vision_pairs(const struct qvl_vision_config *vision, const struct patches *patches)
{
    qvl_flop_count pairs = 0;
    for (int64_t block = 0; block < vision->depth; block++) {
        bool windowed = vision->window > 0 && !vision->full_attention[block];
        pairs += windowed ? patches->windowed_pairs : patches->frame_pairs;
    }
    return pairs;
}

static void add_patch_stages(struct qvl_flops *flops, const struct qvl_vision_config *vision,
                             const struct patches *patches, double size)
{
    int64_t width = vision->hidden;
    int64_t inputs = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    double rows = (double)patches->rows;
    add_stage(flops, "vision_patch_embed", QVL_FLOPS_MATRIX, true, product(patches->rows, inputs, width),
              rows * (double)inputs * 4 /* patch rows are float32 */ +
                  ((double)inputs + rows) * (double)width * size);
    if (vision->position_side > 0)
        add_stage(flops, "vision_position", QVL_FLOPS_ELEMENTS, true,
                  (qvl_flop_count)width * (INTERPOLATION * patches->places + patches->rows),
                  (double)(vision->position_side * vision->position_side * width) * size);
}

static void add_block_stages(struct qvl_flops *flops, const struct qvl_vision_config *vision,
                             const struct patches *patches, double size)
{
    qvl_flop_count rows = patches->rows, depth = (qvl_flop_count)vision->depth;
    int64_t width = vision->hidden, inner = vision->intermediate;
    int64_t ups = vision->mlp == QVL_VISION_MLP_SWIGLU ? 2 : 1; /* gate and up, or fc1 */
    qvl_flop_count linear =
        product(rows, width, 4 * width) + product(rows, width, ups * inner) + product(rows, inner, width);
    double weights = (double)(4 * width * width + (ups + 1) * width * inner);
    double moved = (double)rows * (double)(8 * width + (ups + 1) * inner);
    add_stage(flops, "vision_linear", QVL_FLOPS_MATRIX, true, depth * linear,
              (double)depth * (weights + moved) * size);
    add_stage(flops, "vision_attention", QVL_FLOPS_MATRIX, true,
              4 * vision_pairs(vision, patches) * (qvl_flop_count)width,
              (double)depth * 4 * (double)rows * (double)width * size);
}

/* LLM tokens and the widths of a merger. */
struct merger {
    qvl_flop_count tokens;
    int64_t grouped; /* M^2 D */
    int64_t out;
};

static void add_merger(struct qvl_flops *flops, const char *name, const struct merger *merger, double size)
{
    double weights = (double)(merger->grouped * (merger->grouped + merger->out));
    double moved = (double)merger->tokens * (double)(3 * merger->grouped + merger->out);
    add_stage(flops, name, QVL_FLOPS_MATRIX, true,
              product(merger->tokens, merger->grouped, merger->grouped + merger->out),
              (weights + moved) * size);
}

static void add_vision_elements(struct qvl_flops *flops, const struct qvl_vision_config *vision,
                                const struct patches *patches, const struct merger *merger)
{
    qvl_flop_count rows = patches->rows, depth = (qvl_flop_count)vision->depth;
    qvl_flop_count width = (qvl_flop_count)vision->hidden, inner = (qvl_flop_count)vision->intermediate;
    qvl_flop_count mergers = 1 + (qvl_flop_count)vision->deepstack_count;
    qvl_flop_count norm = vision->rms_norm ? RMS_NORM : LAYER_NORM;
    qvl_flop_count activation = vision->mlp == QVL_VISION_MLP_SWIGLU ? SWIGLU + 2
                                : vision->mlp == QVL_VISION_MLP_GELU_TANH
                                    ? GELU_TANH + 1
                                    : QUICK_GELU + 1; /* with the bias of fc1 */
    /* Biases of qkv (3), proj and fc2; rotary of q and k; two residuals. */
    qvl_flop_count block = rows * (width * (5 + 2 * ROTARY + 2) + inner * activation);
    qvl_flop_count patch = vision->patch_bias ? rows * width : 0;
    qvl_flop_count merge =
        merger->tokens * ((qvl_flop_count)merger->grouped * (1 + GELU_ERF) + (qvl_flop_count)merger->out);
    add_stage(flops, "vision_norms", QVL_FLOPS_ELEMENTS, true, norm * rows * width * (2 * depth + mergers),
              0);
    add_stage(flops, "vision_softmax", QVL_FLOPS_ELEMENTS, true,
              SCORE_SOFTMAX * vision_pairs(vision, patches) * (qvl_flop_count)vision->heads, 0);
    add_stage(flops, "vision_elementwise", QVL_FLOPS_ELEMENTS, true, patch + depth * block + mergers * merge,
              0);
}

static void add_vision(struct qvl_flops *flops, const struct qvl_model_config *config,
                       const struct qvl_flops_workload *workload, double size)
{
    const struct qvl_vision_config *vision = &config->vision;
    struct patches patches = count_patches(vision, workload);
    int64_t group = vision->merge * vision->merge;
    struct merger merger = {patches.rows / (qvl_flop_count)group, group * vision->hidden, vision->out_hidden};
    add_patch_stages(flops, vision, &patches, size);
    add_block_stages(flops, vision, &patches, size);
    add_merger(flops, "merger", &merger, size);
    for (int64_t j = 0; j < vision->deepstack_count; j++) {
        char name[40];
        snprintf(name, sizeof name, "deepstack_merger_%lld", (long long)j);
        add_merger(flops, name, &merger, size);
    }
    add_vision_elements(flops, vision, &patches, &merger);
}

/* ---- Language ---- */

/* What the language stages share. */
struct language {
    const struct qvl_text_config *text;
    qvl_flop_count rows;   /* new tokens, all sequences */
    qvl_flop_count pairs;  /* query-key pairs of one head and layer, all sequences */
    qvl_flop_count cached; /* key rows read in one layer, all sequences */
    qvl_flop_count logits; /* rows that go through the head, all sequences */
    int64_t q, kv;         /* widths of all query heads, of all KV heads */
    int64_t moe_layers, dense_layers;
    int64_t experts_touched; /* of all MoE layers; 0: not known */
    double size;
};

static void add_group(struct language *l, const struct qvl_flops_group *group)
{
    qvl_flop_count sequences = (qvl_flop_count)group->sequences;
    qvl_flop_count n = (qvl_flop_count)group->tokens, before = (qvl_flop_count)group->cached;
    l->rows += sequences * n;
    l->pairs += sequences * (n * before + n * (n + 1) / 2);
    l->cached += n ? sequences * (before + n) : 0;
    l->logits += sequences * (qvl_flop_count)group->logits;
}

static struct language language_of(const struct qvl_text_config *text,
                                   const struct qvl_flops_workload *workload, double size)
{
    struct language l = {.text = text,
                         .q = text->heads * text->head_dim,
                         .kv = text->kv_heads * text->head_dim,
                         .experts_touched = workload->experts_touched,
                         .size = size};
    const struct qvl_flops_group alike = {workload->batch, workload->cached, workload->tokens,
                                          workload->logits};
    add_group(&l, &alike);
    for (int64_t i = 0; i < workload->other_count; i++)
        add_group(&l, &workload->others[i]);
    for (int64_t layer = 0; layer < text->layers; layer++)
        l.moe_layers += text->experts > 0 && text->moe_layer[layer];
    l.dense_layers = text->layers - l.moe_layers;
    return l;
}

static void add_attention_stages(struct qvl_flops *flops, const struct language *l)
{
    const struct qvl_text_config *text = l->text;
    qvl_flop_count layers = (qvl_flop_count)text->layers;
    int64_t outputs = 2 * l->q + 2 * l->kv; /* q, k, v and the width that o reads */
    double weights = (double)text->hidden * (double)outputs;
    double moved = (double)l->rows * (double)(2 * text->hidden + outputs);
    double rows = 2 * (double)l->rows * (double)l->q;                 /* queries in, result out */
    double cache = 2 * (double)(l->cached + l->rows) * (double)l->kv; /* read all, write the new */
    add_stage(flops, "attention_linear", QVL_FLOPS_MATRIX, false,
              layers * product(l->rows, text->hidden, outputs), (double)layers * (weights + moved) * l->size);
    add_stage(flops, "attention", QVL_FLOPS_MATRIX, false, layers * 4 * l->pairs * (qvl_flop_count)l->q,
              (double)layers * (rows + cache) * l->size);
}

/* Experts that the rows touch in all layers: as given, else the average under uniform routing. */
static double experts_touched(const struct language *l)
{
    double experts = (double)l->text->experts;
    double missed = pow(1 - (double)l->text->experts_per_token / experts, (double)l->rows);
    return l->experts_touched > 0 ? (double)l->experts_touched
                                  : (double)l->moe_layers * experts * (1 - missed);
}

static void add_mlp_stages(struct qvl_flops *flops, const struct language *l)
{
    const struct qvl_text_config *text = l->text;
    double rows = (double)l->rows, hidden = (double)text->hidden;
    if (l->dense_layers > 0) {
        qvl_flop_count layer = product(l->rows, text->hidden, 3 * text->intermediate);
        double moved = rows * (2 * hidden + 3 * (double)text->intermediate);
        add_stage(flops, "mlp", QVL_FLOPS_MATRIX, false, (qvl_flop_count)l->dense_layers * layer,
                  (double)l->dense_layers * (3 * hidden * (double)text->intermediate + moved) * l->size);
    }
    if (l->moe_layers > 0) {
        qvl_flop_count layers = (qvl_flop_count)l->moe_layers;
        qvl_flop_count pairs = l->rows * (qvl_flop_count)text->experts_per_token;
        double experts = (double)text->experts, inner = (double)text->moe_intermediate;
        add_stage(flops, "router", QVL_FLOPS_MATRIX, false,
                  layers * product(l->rows, text->hidden, text->experts),
                  (double)layers * (experts * hidden + rows * (hidden + experts)) * l->size);
        add_stage(flops, "experts", QVL_FLOPS_MATRIX, false,
                  layers * product(pairs, text->hidden, 3 * text->moe_intermediate),
                  l->size * (experts_touched(l) * 3 * hidden * inner +
                             (double)layers * (double)pairs * (2 * hidden + 3 * inner)));
    }
}

static void add_language_elements(struct qvl_flops *flops, const struct language *l)
{
    const struct qvl_text_config *text = l->text;
    qvl_flop_count layers = (qvl_flop_count)text->layers, hidden = (qvl_flop_count)text->hidden;
    qvl_flop_count q = (qvl_flop_count)l->q, kv = (qvl_flop_count)l->kv;
    qvl_flop_count heads = q + kv; /* elements of q and k */
    qvl_flop_count chosen = (qvl_flop_count)text->experts_per_token;
    qvl_flop_count dense = SWIGLU * (qvl_flop_count)text->intermediate;
    qvl_flop_count moe = chosen * (SWIGLU * (qvl_flop_count)text->moe_intermediate + WEIGHTED_SUM * hidden);
    qvl_flop_count bias = text->qkv_bias ? q + 2 * kv : 0;
    qvl_flop_count route = ROUTER_SOFTMAX * (qvl_flop_count)text->experts + ROUTER_CHOSEN * chosen;
    qvl_flop_count dense_layers = (qvl_flop_count)l->dense_layers, moe_layers = (qvl_flop_count)l->moe_layers;
    add_stage(flops, "norms", QVL_FLOPS_ELEMENTS, false,
              RMS_NORM * l->rows * (hidden * (2 * layers + 1) + (text->qk_norm ? layers * heads : 0)), 0);
    add_stage(flops, "softmax", QVL_FLOPS_ELEMENTS, false,
              SCORE_SOFTMAX * layers * l->pairs * (qvl_flop_count)text->heads + moe_layers * l->rows * route,
              0);
    add_stage(flops, "elementwise", QVL_FLOPS_ELEMENTS, false,
              l->rows *
                  (layers * (ROTARY * heads + bias + 2 * hidden) + dense_layers * dense + moe_layers * moe),
              0);
}

static void add_language(struct qvl_flops *flops, const struct qvl_model_config *config,
                         const struct language *l)
{
    int64_t hidden = config->text.hidden, vocab = config->text.vocab;
    double logits = (double)l->logits;
    add_attention_stages(flops, l);
    add_mlp_stages(flops, l);
    add_stage(flops, "head", QVL_FLOPS_MATRIX, false, product(l->logits, hidden, vocab),
              ((l->logits ? (double)hidden * (double)vocab : 0) + logits * (double)(hidden + vocab)) *
                  l->size);
    add_language_elements(flops, l);
}

/* Embedding rows, and the features that join the first layers. */
static void add_inputs(struct qvl_flops *flops, const struct qvl_model_config *config,
                       const struct qvl_flops_workload *workload, const struct language *l)
{
    int64_t hidden = config->text.hidden, levels = config->vision.deepstack_count;
    int64_t tokens = qvl_flops_visual_tokens(config, workload->grids, workload->grid_count);
    if (l->rows > 0)
        add_stage(flops, "embedding", QVL_FLOPS_ELEMENTS, false, 0,
                  2 * (double)l->rows * (double)hidden * l->size);
    qvl_flop_count visual =
        (qvl_flop_count)workload->batch * (qvl_flop_count)tokens + (qvl_flop_count)workload->visual_tokens;
    if (levels > 0 && visual > 0)
        add_stage(flops, "deepstack_add", QVL_FLOPS_ELEMENTS, true,
                  visual * (qvl_flop_count)(hidden * levels), 0);
}

/* ---- Interface ---- */

static enum qvl_status check_grids(const struct qvl_model_config *config,
                                   const struct qvl_flops_workload *workload, struct qvl_error *error)
{
    int64_t merge = config->vision.merge, patches = 0;
    for (int64_t i = 0; i < workload->grid_count; i++) {
        const struct qvl_grid *grid = &workload->grids[i];
        bool sized =
            grid->t > 0 && grid->h > 0 && grid->w > 0 && grid->h % merge == 0 && grid->w % merge == 0;
        if (!sized)
            return qvl_fail(
                error, QVL_USAGE,
                "FLOP count: grid %lld is %lld x %lld x %lld patches; all must be positive, height and "
                "width multiples of the merge size %lld",
                (long long)i, (long long)grid->t, (long long)grid->h, (long long)grid->w, (long long)merge);
        if (grid->h > MOST_TOKENS / grid->t || grid->w > MOST_TOKENS / grid->t / grid->h ||
            (patches += grid->t * grid->h * grid->w) > MOST_TOKENS)
            return qvl_fail(error, QVL_USAGE, "FLOP count: more than 2^31 patches in grids 0 to %lld",
                            (long long)i);
    }
    return QVL_OK;
}

static enum qvl_status check_group(const struct qvl_flops_group *group, struct qvl_error *error)
{
    const struct {
        const char *name;
        int64_t value, most;
    } counts[] = {{"batch", group->sequences, MOST_SEQUENCES},
                  {"cached", group->cached, MOST_TOKENS},
                  {"tokens", group->tokens, MOST_TOKENS},
                  {"logits", group->logits, group->tokens}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < 0 || counts[i].value > counts[i].most)
            return qvl_fail(error, QVL_USAGE, "FLOP count: %s is %lld; it must be 0 to %lld", counts[i].name,
                            (long long)counts[i].value, (long long)counts[i].most);
    return QVL_OK;
}

static enum qvl_status check_workload(const struct qvl_model_config *config,
                                      const struct qvl_flops_workload *workload, struct qvl_error *error)
{
    const struct qvl_flops_group alike = {workload->batch, workload->cached, workload->tokens,
                                          workload->logits};
    QVL_TRY(check_group(&alike, error));
    for (int64_t i = 0; i < workload->other_count; i++)
        QVL_TRY(check_group(&workload->others[i], error));
    if (workload->visual_tokens < 0 || workload->visual_tokens > MOST_TOKENS)
        return qvl_fail(error, QVL_USAGE, "FLOP count: visual_tokens is %lld; it must be 0 to %lld",
                        (long long)workload->visual_tokens, (long long)MOST_TOKENS);
    return check_grids(config, workload, error);
}

enum qvl_status qvl_flops_count(const struct qvl_model_config *config,
                                const struct qvl_flops_workload *workload, struct qvl_flops *flops,
                                struct qvl_error *error)
{
    double size = (double)qvl_dtype_bytes(workload->storage);
    QVL_TRY(check_workload(config, workload, error));
    struct language language = language_of(&config->text, workload, size);
    flops->count = 0;
    if (workload->grid_count > 0)
        add_vision(flops, config, workload, size);
    add_inputs(flops, config, workload, &language);
    if (language.rows > 0)
        add_language(flops, config, &language);
    return QVL_OK;
}

void qvl_flops_add(struct qvl_flops *sum, const struct qvl_flops *part)
{
    for (int64_t i = 0; i < part->count; i++) {
        struct qvl_flops_stage *stage = (struct qvl_flops_stage *)qvl_flops_find(sum, part->stages[i].name);
        if (stage) {
            stage->flops += part->stages[i].flops;
            stage->bytes += part->stages[i].bytes;
        } else {
            sum->stages[sum->count++] = part->stages[i];
        }
    }
}

enum qvl_status qvl_flops_add_tower(const struct qvl_model_config *config, const struct qvl_grid *grid,
                                    enum qvl_dtype storage, struct qvl_flops *sum, struct qvl_error *error)
{
    int64_t frames = qvl_vision_frames_at_once(grid);
    for (int64_t t = 0; t < grid->t; t += frames) {
        const struct qvl_grid piece = {grid->t - t < frames ? grid->t - t : frames, grid->h, grid->w};
        const struct qvl_flops_workload workload = {
            .batch = 1, .grids = &piece, .grid_count = 1, .storage = storage};
        struct qvl_flops pass = {.count = 0};
        QVL_TRY(check_grids(config, &workload, error));
        add_vision(&pass, config, &workload, (double)qvl_dtype_bytes(storage));
        qvl_flops_add(sum, &pass);
    }
    return QVL_OK;
}

const struct qvl_flops_stage *qvl_flops_find(const struct qvl_flops *flops, const char *name)
{
    for (int64_t i = 0; i < flops->count; i++)
        if (strcmp(flops->stages[i].name, name) == 0)
            return &flops->stages[i];
    return NULL;
}

qvl_flop_count qvl_flops_sum(const struct qvl_flops *flops, enum qvl_flops_class work, bool vision)
{
    qvl_flop_count sum = 0;
    for (int64_t i = 0; i < flops->count; i++)
        if (flops->stages[i].work == work && flops->stages[i].vision == vision)
            sum += flops->stages[i].flops;
    return sum;
}

double qvl_flops_bytes(const struct qvl_flops *flops)
{
    double sum = 0;
    for (int64_t i = 0; i < flops->count; i++)
        sum += flops->stages[i].bytes;
    return sum;
}

int64_t qvl_flops_visual_tokens(const struct qvl_model_config *config, const struct qvl_grid *grids,
                                int64_t grid_count)
{
    int64_t patches = 0;
    for (int64_t i = 0; i < grid_count; i++)
        patches += grids[i].t * grids[i].h * grids[i].w;
    return patches / (config->vision.merge * config->vision.merge);
}

int64_t qvl_flops_cache_bytes(const struct qvl_model_config *config, enum qvl_dtype storage)
{
    const struct qvl_text_config *text = &config->text;
    return 2 * text->layers * text->kv_heads * text->head_dim * (int64_t)qvl_dtype_bytes(storage);
}
