/* Refusals of products, attention, caches, routing, tables and sampling. */
#include "verify/refusal.h"

#define FAULT(what, fault, operand)                                                                          \
    {                                                                                                        \
        what, QVL_FAULT_##fault, operand, NULL, NULL, QVL_USAGE                                              \
    }
#define ARGUMENT(what, call, status)                                                                         \
    {                                                                                                        \
        what, QVL_FAULT_ARGUMENT, NULL, NULL, call, status                                                   \
    }
#define END                                                                                                  \
    {                                                                                                        \
        NULL, QVL_FAULT_ARGUMENT, NULL, NULL, NULL, QVL_OK                                                   \
    }

/* ---- caches ---- */

/* A cache of `capacity` rows of the case's heads, with the rows of k in it. */
static enum qvl_status make_cache(struct qvl_side *side, int64_t capacity, int64_t head_dim, int64_t rows,
                                  struct qvl_error *error)
{
    struct qvl_tensor k = qvl_refusal_view(side, "k"), v = qvl_refusal_view(side, "v");
    const struct qvl_cache_desc desc = {
        .layers = 2, .kv_heads = k.shape[1], .head_dim = head_dim, .capacity = capacity, .storage = k.dtype};
    QVL_TRY(side->backend->cache_create(side->backend, &desc, &side->caches[0], error));
    const struct qvl_segment segment = {side->caches[0], 0, rows};
    return side->backend->ops.cache_append(
        side->backend,
        &(struct qvl_cache_append_args){.layer = 1, .k = k, .v = v, .segments = &segment, .segment_count = 1},
        error);
}

/* Whether the cache still holds `length` rows; a message replaces `status` when it does not. */
static enum qvl_status still(struct qvl_side *side, int64_t length, enum qvl_status status,
                             struct qvl_error *error)
{
    const int64_t now = side->backend->cache_length(side->backend, side->caches[0], 1);
    if (now == length)
        return status;
    return qvl_fail(error, QVL_FAILED, "the cache holds %lld rows after an append that failed, %lld before",
                    (long long)now, (long long)length);
}

static enum qvl_status overflow(struct qvl_side *side, struct qvl_error *error)
{
    const struct qvl_tensor k = qvl_refusal_view(side, "k");
    QVL_TRY(make_cache(side, k.shape[0] + 1, k.shape[2], k.shape[0], error));
    const struct qvl_segment segment = {side->caches[0], 0, 2};
    const enum qvl_status status = side->backend->ops.cache_append(
        side->backend,
        &(struct qvl_cache_append_args){
            .layer = 1, .k = k, .v = qvl_refusal_view(side, "v"), .segments = &segment, .segment_count = 1},
        error);
    return still(side, k.shape[0], status, error);
}

/* Append with a faulty segment, layer or head. */
static enum qvl_status append_with(struct qvl_side *side, const struct qvl_cache_append_args *fault,
                                   struct qvl_error *error)
{
    const struct qvl_tensor k = qvl_refusal_view(side, "k");
    struct qvl_cache_append_args args = *fault;
    struct qvl_segment segment = fault->segments ? *fault->segments : (struct qvl_segment){NULL, 0, 1};
    QVL_TRY(make_cache(side, 2 * k.shape[0], k.shape[2], k.shape[0], error));
    segment.cache = side->caches[0];
    args.k = k;
    args.v = qvl_refusal_view(side, "v");
    args.segments = &segment;
    args.segment_count = 1;
    return still(side, k.shape[0], side->backend->ops.cache_append(side->backend, &args, error), error);
}

static enum qvl_status append_layer(struct qvl_side *side, struct qvl_error *error)
{
    return append_with(side, &(struct qvl_cache_append_args){.layer = 2}, error);
}

static enum qvl_status append_negative_layer(struct qvl_side *side, struct qvl_error *error)
{
    return append_with(side, &(struct qvl_cache_append_args){.layer = -1}, error);
}

static enum qvl_status append_beyond_batch(struct qvl_side *side, struct qvl_error *error)
{
    const struct qvl_segment segment = {NULL, 1, qvl_refusal_view(side, "k").shape[0]};
    return append_with(side, &(struct qvl_cache_append_args){.layer = 1, .segments = &segment}, error);
}

static enum qvl_status append_negative_count(struct qvl_side *side, struct qvl_error *error)
{
    const struct qvl_segment segment = {NULL, 0, -1};
    return append_with(side, &(struct qvl_cache_append_args){.layer = 1, .segments = &segment}, error);
}

/* ---- attention ---- */

static enum qvl_status attend(struct qvl_side *side, int64_t layer, const struct qvl_segment *segment,
                              struct qvl_error *error)
{
    const struct qvl_tensor k = qvl_refusal_view(side, "k");
    QVL_TRY(make_cache(side, k.shape[0], k.shape[2], k.shape[0], error));
    struct qvl_segment given = *segment;
    given.cache = segment->count == -2 ? NULL : side->caches[0];
    given.count = segment->count == -2 ? 1 : segment->count;
    return side->backend->ops.attention(side->backend,
                                        &(struct qvl_attention_args){.layer = layer,
                                                                     .q = qvl_refusal_view(side, "q"),
                                                                     .segments = &given,
                                                                     .segment_count = 1,
                                                                     .scale = 0.25F,
                                                                     .y = qvl_refusal_view(side, "y")},
                                        error);
}

static enum qvl_status attend_layer(struct qvl_side *side, struct qvl_error *error)
{
    return attend(side, 2, &(struct qvl_segment){NULL, 0, 1}, error);
}

static enum qvl_status attend_beyond_batch(struct qvl_side *side, struct qvl_error *error)
{
    return attend(side, 1, &(struct qvl_segment){NULL, 1, qvl_refusal_view(side, "q").shape[0]}, error);
}

static enum qvl_status attend_no_cache(struct qvl_side *side, struct qvl_error *error)
{
    return attend(side, 1, &(struct qvl_segment){NULL, 0, -2}, error);
}

static enum qvl_status vision(struct qvl_side *side, const int64_t *starts, int64_t count,
                              struct qvl_error *error)
{
    return side->backend->ops.vision_attention(
        side->backend,
        &(struct qvl_vision_attention_args){.q = qvl_refusal_view(side, "q"),
                                            .k = qvl_refusal_view(side, "k"),
                                            .v = qvl_refusal_view(side, "v"),
                                            .segment_starts = starts,
                                            .segment_count = count,
                                            .scale = 0.25F,
                                            .y = qvl_refusal_view(side, "y")},
        error);
}

static enum qvl_status segments_short(struct qvl_side *side, struct qvl_error *error)
{
    return vision(side, (const int64_t[]){0, 4, 10}, 2, error); /* of 11 rows */
}

static enum qvl_status segments_beyond(struct qvl_side *side, struct qvl_error *error)
{
    return vision(side, (const int64_t[]){0, 4, 12}, 2, error);
}

static enum qvl_status segments_descend(struct qvl_side *side, struct qvl_error *error)
{
    return vision(side, (const int64_t[]){0, 6, 4, 11}, 3, error);
}

static enum qvl_status segments_late(struct qvl_side *side, struct qvl_error *error)
{
    return vision(side, (const int64_t[]){1, 6, 11}, 2, error);
}

/* ---- enumerations and counts ---- */

static enum qvl_status rope_mode(struct qvl_side *side, struct qvl_error *error)
{
    return side->backend->ops.rope(side->backend,
                                   &(struct qvl_rope_args){.x = qvl_refusal_view(side, "x"),
                                                           .cos = qvl_refusal_view(side, "cos"),
                                                           .sin = qvl_refusal_view(side, "sin"),
                                                           .rounding = (enum qvl_rope_rounding)5,
                                                           .y = qvl_refusal_view(side, "y")},
                                   error);
}

static enum qvl_status mrope(struct qvl_side *side, int layout, int precision, int64_t head_dim,
                             struct qvl_error *error)
{
    static const int64_t positions[3 * 8] = {0};
    return side->backend->ops.mrope_table(
        side->backend,
        &(struct qvl_mrope_table_args){.positions = positions,
                                       .positions_stride = 8,
                                       .head_dim = head_dim,
                                       .theta = 5e6,
                                       .section = {24, 20, 20},
                                       .layout = (enum qvl_mrope_layout)layout,
                                       .precision = (enum qvl_angle_precision)precision,
                                       .cos = qvl_refusal_view(side, "cos"),
                                       .sin = qvl_refusal_view(side, "sin")},
        error);
}

static enum qvl_status mrope_layout(struct qvl_side *side, struct qvl_error *error)
{
    return mrope(side, 9, QVL_ANGLE_F32, 128, error);
}

static enum qvl_status mrope_precision(struct qvl_side *side, struct qvl_error *error)
{
    return mrope(side, QVL_MROPE_INTERLEAVED, 9, 128, error);
}

static enum qvl_status mrope_odd(struct qvl_side *side, struct qvl_error *error)
{
    return mrope(side, QVL_MROPE_INTERLEAVED, QVL_ANGLE_F32, 129, error);
}

static enum qvl_status interpolate(struct qvl_side *side, int64_t w, int rounding, struct qvl_error *error)
{
    const struct qvl_grid grid = {2, 6, w};
    return side->backend->ops.pos_interp(
        side->backend,
        &(struct qvl_pos_interp_args){.table = qvl_refusal_view(side, "table"),
                                      .grids = &grid,
                                      .grid_count = 1,
                                      .merge = 2,
                                      .rounding = (enum qvl_pos_rounding)rounding,
                                      .y = qvl_refusal_view(side, "y")},
        error);
}

static enum qvl_status interp_mode(struct qvl_side *side, struct qvl_error *error)
{
    return interpolate(side, 10, 3, error);
}

static enum qvl_status interp_grid(struct qvl_side *side, struct qvl_error *error)
{
    return interpolate(side, 8, QVL_POS_ROUND_ONCE, error);
}

static enum qvl_status interp_odd_grid(struct qvl_side *side, struct qvl_error *error)
{
    return interpolate(side, 9, QVL_POS_ROUND_ONCE, error);
}

static enum qvl_status route(struct qvl_side *side, int64_t top_k, struct qvl_error *error)
{
    return side->backend->ops.moe_route(
        side->backend,
        &(struct qvl_moe_route_args){.logits = qvl_refusal_view(side, "logits"),
                                     .top_k = top_k,
                                     .chosen = qvl_refusal_view(side, "chosen"),
                                     .weights = qvl_refusal_view(side, "weights")},
        error);
}

static enum qvl_status route_all(struct qvl_side *side, struct qvl_error *error)
{
    return route(side, 9, error); /* of 8 */
}

static enum qvl_status route_none(struct qvl_side *side, struct qvl_error *error)
{
    return route(side, 0, error);
}

static enum qvl_status route_other(struct qvl_side *side, struct qvl_error *error)
{
    return route(side, 3, error); /* outputs hold 2 */
}

static enum qvl_status head_rows(struct qvl_side *side, struct qvl_error *error)
{
    const int64_t rows[3] = {0, 9, 2}; /* of 9 */
    return side->backend->ops.output_head(side->backend,
                                          &(struct qvl_output_head_args){.x = qvl_refusal_view(side, "x"),
                                                                         .rows = rows,
                                                                         .weight = side->weights[1],
                                                                         .y = qvl_refusal_view(side, "y")},
                                          error);
}

/* ---- sampling ---- */

static enum qvl_status sample(struct qvl_side *side, double temperature, double top_p, double uniform,
                              int64_t id, struct qvl_error *error)
{
    return side->backend->ops.sample(side->backend,
                                     &(struct qvl_sample_args){.logits = qvl_refusal_view(side, "logits"),
                                                               .prompt = &id,
                                                               .prompt_count = 1,
                                                               .repetition_penalty = 1.1,
                                                               .temperature = temperature,
                                                               .top_p = top_p,
                                                               .uniform = uniform,
                                                               .token = qvl_refusal_view(side, "token").data},
                                     error);
}

static enum qvl_status no_temperature(struct qvl_side *side, struct qvl_error *error)
{
    return sample(side, 0, 0.9, 0.5, 3, error);
}

static enum qvl_status no_top_p(struct qvl_side *side, struct qvl_error *error)
{
    return sample(side, 0.7, 0, 0.5, 3, error);
}

static enum qvl_status uniform_one(struct qvl_side *side, struct qvl_error *error)
{
    return sample(side, 0.7, 0.9, 1, 3, error);
}

static enum qvl_status foreign_id(struct qvl_side *side, struct qvl_error *error)
{
    return sample(side, 0.7, 0.9, 0.5, 101, error);
}

/* ---- lists ---- */

static const struct qvl_wrong_call calls_linear[] = {
    FAULT("one row too few in y", ROWS, "y"),
    FAULT("one column too few in y", WIDTH, "y"),
    FAULT("one column too few in x", WIDTH, "x"),
    FAULT("another type for y", OTHER_TYPE, "y"),
    FAULT("bytes for x", TYPE, "x"),
    FAULT("no weight", NO_WEIGHT, "weight"),
    FAULT("one value too few in bias", ROWS, "bias"),
    FAULT("another type for bias", OTHER_TYPE, "bias"),
    FAULT("rows of y overlap", OVERLAP, "y"),
    {"y starts where x does", QVL_FAULT_ALIAS, "y", "x", NULL, QVL_USAGE},
    END};
static const struct qvl_wrong_call calls_patch_embed[] = {
    FAULT("one row too few in y", ROWS, "y"),         FAULT("one column too few in x", WIDTH, "x"),
    FAULT("bf16 or f16 for x", OTHER_TYPE, "x"),      FAULT("no weight", NO_WEIGHT, "weight"),
    FAULT("one value too few in bias", ROWS, "bias"), END};
static const struct qvl_wrong_call calls_output_head[] = {
    FAULT("one column too few in x", WIDTH, "x"),     FAULT("one column too few in y", WIDTH, "y"),
    FAULT("another type for y", OTHER_TYPE, "y"),     FAULT("no weight", NO_WEIGHT, "weight"),
    ARGUMENT("a row beyond x", head_rows, QVL_USAGE), END};
static const struct qvl_wrong_call calls_merger[] = {
    FAULT("one row too few in x", ROWS, "x"),
    FAULT("one row too few in y", ROWS, "y"),
    FAULT("one value too few in norm_weight", ROWS, "norm_weight"),
    FAULT("one value too few in fc1_bias", ROWS, "fc1_bias"),
    FAULT("no fc1", NO_WEIGHT, "fc1"),
    FAULT("no fc2", NO_WEIGHT, "fc2"),
    FAULT("another type for y", OTHER_TYPE, "y"),
    END};
static const struct qvl_wrong_call calls_rope[] = {FAULT("one row too few in cos", ROWS, "cos"),
                                                   FAULT("one lane too few in sin", WIDTH, "sin"),
                                                   FAULT("one row too few in y", ROWS, "y"),
                                                   FAULT("another type for y", OTHER_TYPE, "y"),
                                                   ARGUMENT("an unknown rounding", rope_mode, QVL_USAGE),
                                                   END};
static const struct qvl_wrong_call calls_mrope_table[] = {
    FAULT("one row too few in sin", ROWS, "sin"),
    FAULT("one lane too few in cos", WIDTH, "cos"),
    {"sin starts where cos does", QVL_FAULT_ALIAS, "sin", "cos", NULL, QVL_USAGE},
    ARGUMENT("an unknown layout", mrope_layout, QVL_USAGE),
    ARGUMENT("an unknown precision", mrope_precision, QVL_USAGE),
    ARGUMENT("an odd head_dim", mrope_odd, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_pos_interp[] = {
    FAULT("one row too few in y", ROWS, "y"),
    FAULT("one column too few in y", WIDTH, "y"),
    FAULT("another type for y", OTHER_TYPE, "y"),
    ARGUMENT("an unknown rounding", interp_mode, QVL_USAGE),
    ARGUMENT("grids that do not add up to y", interp_grid, QVL_USAGE),
    ARGUMENT("a grid that is no multiple of merge", interp_odd_grid, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_vision_attention[] = {
    FAULT("one row too few in k", ROWS, "k"),
    FAULT("one row too few in y", ROWS, "y"),
    FAULT("another type for v", OTHER_TYPE, "v"),
    {"y starts where v does", QVL_FAULT_ALIAS, "y", "v", NULL, QVL_USAGE},
    ARGUMENT("segments that end before the rows", segments_short, QVL_USAGE),
    ARGUMENT("segments that end behind the rows", segments_beyond, QVL_USAGE),
    ARGUMENT("segments that descend", segments_descend, QVL_USAGE),
    ARGUMENT("segments that do not start at 0", segments_late, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_cache_append[] = {
    FAULT("one row too few in v", ROWS, "v"),
    FAULT("another type for v", OTHER_TYPE, "v"),
    {"no memory for k", QVL_FAULT_NULL, "k", NULL, NULL, QVL_USAGE},
    ARGUMENT("more rows than the cache has room for", overflow, QVL_NO_MEMORY),
    ARGUMENT("a layer that the cache does not have", append_layer, QVL_USAGE),
    ARGUMENT("a negative layer", append_negative_layer, QVL_USAGE),
    ARGUMENT("a segment beyond the batch", append_beyond_batch, QVL_USAGE),
    ARGUMENT("a negative number of rows", append_negative_count, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_attention[] = {
    FAULT("one row too few in y", ROWS, "y"),
    FAULT("another type for y", OTHER_TYPE, "y"),
    FAULT("one value too few in q and y", WIDTH, "q"),
    {"y starts where q does", QVL_FAULT_ALIAS, "y", "q", NULL, QVL_USAGE},
    ARGUMENT("a layer that the cache does not have", attend_layer, QVL_USAGE),
    ARGUMENT("a segment beyond the batch", attend_beyond_batch, QVL_USAGE),
    ARGUMENT("a segment without a cache", attend_no_cache, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_moe_route[] = {
    FAULT("one row too few in chosen", ROWS, "chosen"),
    FAULT("bytes for chosen", TYPE, "chosen"),
    FAULT("one row too few in weights", ROWS, "weights"),
    ARGUMENT("more experts chosen than there are", route_all, QVL_USAGE),
    ARGUMENT("no expert chosen", route_none, QVL_USAGE),
    ARGUMENT("more chosen than the outputs hold", route_other, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_moe_experts[] = {FAULT("one row too few in chosen", ROWS, "chosen"),
                                                          FAULT("bytes for chosen", TYPE, "chosen"),
                                                          FAULT("one row too few in y", ROWS, "y"),
                                                          FAULT("no gate_up", NO_WEIGHT, "gate_up"),
                                                          FAULT("no down", NO_WEIGHT, "down"),
                                                          END};
static const struct qvl_wrong_call calls_moe_combine[] = {
    FAULT("one row too few in weights", ROWS, "weights"), FAULT("one column too few in y", WIDTH, "y"),
    FAULT("another type for weights", OTHER_TYPE, "weights"), END};
static const struct qvl_wrong_call calls_sample[] = {
    ARGUMENT("a temperature of 0", no_temperature, QVL_USAGE), ARGUMENT("a top_p of 0", no_top_p, QVL_USAGE),
    ARGUMENT("a random number of 1", uniform_one, QVL_USAGE),
    ARGUMENT("an id behind the vocabulary", foreign_id, QVL_USAGE), END};

QVL_REFUSAL(linear, "linear rows=3 in=37 out=11 bias=1 pad=0",
            "refuse_linear call=0,1,2,3,4,5,6,7,8,9 dtype=f32,bf16")
QVL_REFUSAL(patch_embed, "patch_embed rows=3 in=24 out=7 bias=1",
            "refuse_patch_embed call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(output_head, "output_head rows=9 chosen=3 dim=37 vocab=101",
            "refuse_output_head call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(merger, "merger tokens=3 group=4 dim=10 out=14 norm=0",
            "refuse_merger call=0,1,2,3,4,5,6 dtype=f32,bf16")
QVL_REFUSAL(rope, "rope rows=5 heads=3 d=16 once=0 pad=0 inplace=0",
            "refuse_rope call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(mrope_table, "mrope_table rows=5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0 double=0 top=100",
            "refuse_mrope_table call=0,1,2,3,4,5 dtype=f32,bf16")
QVL_REFUSAL(pos_interp, "pos_interp side=4 dim=5 t=2 h=6 w=10 merge=2 once=1",
            "refuse_pos_interp call=0,1,2,3,4,5 dtype=f32,bf16")
QVL_REFUSAL(vision_attention, "vision_attention heads=3 d=16 a=4 b=0 c=7 pad=0",
            "refuse_vision_attention call=0,1,2,3,4,5,6,7 dtype=f32,bf16")
QVL_REFUSAL(cache_append, "cache_append kv=2 d=16 past=3 rows=5 seqs=1 pad=0",
            "refuse_cache_append call=0,1,2,3,4,5,6,7 dtype=f32,bf16")
QVL_REFUSAL(attention, "attention heads=6 kv=2 d=16 past=3 rows=5 seqs=1 drop=0 pad=0",
            "refuse_attention call=0,1,2,3,4,5,6 dtype=f32,bf16")
QVL_REFUSAL(moe_route, "moe_route rows=3 experts=8 k=2", "refuse_moe_route call=0,1,2,3,4,5 dtype=f32,bf16")
QVL_REFUSAL(moe_experts, "moe_experts rows=3 experts=5 k=2 dim=20 ffn=12 first=0",
            "refuse_moe_experts call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(moe_combine, "moe_combine rows=3 k=2 dim=37", "refuse_moe_combine call=0,1,2 dtype=f32,bf16")
QVL_REFUSAL(sample, "sample vocab=101 prompt=3 output=4 greedy=0 rep=110 pres=0 temp=70 k=0 p=90",
            "refuse_sample call=0,1,2,3 dtype=f32")
