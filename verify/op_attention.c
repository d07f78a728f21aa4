/* vision_attention, cache_append, attention. */
#include "verify/op.h"

/* The reference leaves s and p unrounded for a candidate that does. */
static bool widens(const struct qvl_case *chosen, const struct qvl_backend *candidate)
{
    return chosen->dtype != QVL_F32 && !candidate->math.rounds_attention_scores;
}

/* 1 / sqrt(d), and a little less in padded cases, so that a kernel that makes its own scale is found. */
static float scale_of(const struct qvl_problem *problem)
{
    const double share = qvl_number(problem, "pad") > 0 ? 0.875 : 1;
    return (float)(share / sqrt((double)qvl_number(problem, "d")));
}

static void add_rows(struct qvl_problem *problem, enum qvl_role role, const char *name, int64_t rows,
                     int64_t heads)
{
    const int64_t shape[3] = {rows, heads, qvl_number(problem, "d")};
    struct qvl_operand *operand = qvl_problem_add(problem, role, name, 3, shape);
    operand->pad = qvl_number(problem, "pad");
    /* scores that are all -inf are masked rows: whether their zeros meet a NaN in v is left open */
    operand->no_infinities = strchr(name, 'q') || strchr(name, 'k');
    operand->part = strchr(name, 'q') ? QVL_PART_QUERY : strchr(name, 'k') ? QVL_PART_KEY : QVL_PART_VALUE;
    if (role == QVL_ROLE_INPUT)
        qvl_problem_fill(problem, operand, 1);
}

/* ---- vision_attention: three segments of a, b and c rows ---- */

enum { VISION_Q, VISION_K, VISION_V, VISION_Y };

static void setup_vision_attention(struct qvl_problem *problem)
{
    const int64_t a = qvl_number(problem, "a"), b = qvl_number(problem, "b"), c = qvl_number(problem, "c");
    const int64_t heads = qvl_number(problem, "heads");
    int64_t *starts = qvl_problem_block(problem, 4, sizeof *starts);
    add_rows(problem, QVL_ROLE_INPUT, "q", a + b + c, heads);
    add_rows(problem, QVL_ROLE_INPUT, "k", a + b + c, heads);
    add_rows(problem, QVL_ROLE_INPUT, "v", a + b + c, heads);
    add_rows(problem, QVL_ROLE_OUTPUT, "y", a + b + c, heads);
    if (starts) {
        starts[1] = a;
        starts[2] = a + b;
        starts[3] = a + b + c;
    }
    problem->extra = starts;
}

static enum qvl_status call_vision_attention(struct qvl_side *side, struct qvl_condition *cond,
                                             struct qvl_error *error)
{
    return side->backend->ops.vision_attention(
        side->backend,
        &(struct qvl_vision_attention_args){.q = side->placed[VISION_Q].view,
                                            .k = side->placed[VISION_K].view,
                                            .v = side->placed[VISION_V].view,
                                            .segment_starts = side->problem->extra,
                                            .segment_count = 3,
                                            .scale = scale_of(side->problem),
                                            .y = side->placed[VISION_Y].view,
                                            .cond = cond},
        error);
}

const struct qvl_verify_op qvl_verify_vision_attention = {.numbers = {"heads", "d", "a", "b", "c", "pad"},
                                                          .setup = setup_vision_attention,
                                                          .call = call_vision_attention,
                                                          .widens = widens};

/* ---- caches: `seqs` sequences; sequence s has `past` + 2 s rows before the call and `rows` + s in it. In
 * the batch they stand in reverse order, with one row between them that belongs to none ---- */

enum { LAYERS = 2, LAYER = 1 };

static int64_t past_of(const struct qvl_problem *problem, int64_t s)
{
    const int64_t past = qvl_number(problem, "past");
    return past > 0 ? past + 2 * s : 0;
}

static int64_t count_of(const struct qvl_problem *problem, int64_t s)
{
    const int64_t rows = qvl_number(problem, "rows");
    return rows > 0 ? rows + s : 0;
}

/* Cache rows that stay free: the second sequence fills its cache. */
static int64_t room_of(int64_t s)
{
    return s == 1 ? 0 : 3;
}

/* First row of sequence s in the batch. */
static int64_t first_of(const struct qvl_problem *problem, int64_t s)
{
    int64_t first = 0;
    for (int64_t later = qvl_number(problem, "seqs") - 1; later > s; later--)
        first += count_of(problem, later) + 1;
    return first;
}

static int64_t batch_rows(const struct qvl_problem *problem)
{
    return first_of(problem, 0) + count_of(problem, 0);
}

/* First row of sequence s among the past rows of all. */
static int64_t past_first(const struct qvl_problem *problem, int64_t s)
{
    int64_t first = 0;
    for (int64_t before = 0; before < s; before++)
        first += past_of(problem, before);
    return first;
}

enum { PAST_K, PAST_V, NEW_K, NEW_V, QUERY, OUT };

static void setup_rows(struct qvl_problem *problem)
{
    const int64_t seqs = qvl_number(problem, "seqs"), kv = qvl_number(problem, "kv");
    if (seqs < 1 || seqs > QVL_SIDE_CACHES) {
        problem->status = QVL_USAGE;
        return;
    }
    add_rows(problem, QVL_ROLE_INPUT, "past_k", past_first(problem, seqs), kv);
    add_rows(problem, QVL_ROLE_INPUT, "past_v", past_first(problem, seqs), kv);
    add_rows(problem, QVL_ROLE_INPUT, "k", batch_rows(problem), kv);
    add_rows(problem, QVL_ROLE_INPUT, "v", batch_rows(problem), kv);
}

static void fill_segments(const struct qvl_side *side, struct qvl_segment segments[QVL_SIDE_CACHES])
{
    for (int64_t s = 0; s < qvl_number(side->problem, "seqs"); s++)
        segments[s] =
            (struct qvl_segment){side->caches[s], first_of(side->problem, s), count_of(side->problem, s)};
}

static enum qvl_status append(struct qvl_side *side, int k, int v, const struct qvl_segment *segments,
                              int64_t count, struct qvl_error *error)
{
    return side->backend->ops.cache_append(side->backend,
                                           &(struct qvl_cache_append_args){.layer = LAYER,
                                                                           .k = side->placed[k].view,
                                                                           .v = side->placed[v].view,
                                                                           .segments = segments,
                                                                           .segment_count = count},
                                           error);
}

/* A cache a sequence with its past, then the new rows of all in one call. */
static enum qvl_status fill_caches(struct qvl_side *side, struct qvl_segment segments[QVL_SIDE_CACHES],
                                   struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    const int64_t seqs = qvl_number(problem, "seqs");
    for (int64_t s = 0; s < seqs; s++) {
        const struct qvl_cache_desc desc = {.layers = LAYERS,
                                            .kv_heads = qvl_number(problem, "kv"),
                                            .head_dim = qvl_number(problem, "d"),
                                            .capacity =
                                                past_of(problem, s) + count_of(problem, s) + room_of(s),
                                            .storage = side->placed[NEW_K].view.dtype};
        QVL_TRY(side->backend->cache_create(side->backend, &desc, &side->caches[s], error));
        const struct qvl_segment past = {side->caches[s], past_first(problem, s), past_of(problem, s)};
        QVL_TRY(append(side, PAST_K, PAST_V, &past, 1, error));
    }
    fill_segments(side, segments);
    return append(side, NEW_K, NEW_V, segments, seqs, error);
}

/* ---- cache_append: what every layer exports, and its length ---- */

enum { EXPORT_K = 4, EXPORT_V, LENGTHS };

static void setup_cache_append(struct qvl_problem *problem)
{
    const int64_t seqs = qvl_number(problem, "seqs"), rows = qvl_number(problem, "rows");
    const int64_t shape[3] = {past_first(problem, seqs) + (rows > 0 ? batch_rows(problem) - (seqs - 1) : 0),
                              qvl_number(problem, "kv"), qvl_number(problem, "d")};
    const int64_t lengths[2] = {seqs, LAYERS};
    setup_rows(problem);
    if (problem->status != QVL_OK)
        return;
    qvl_problem_add(problem, QVL_ROLE_HOST, "exported_k", 3, shape)->judge = QVL_JUDGE_EXACT;
    qvl_problem_add(problem, QVL_ROLE_HOST, "exported_v", 3, shape)->judge = QVL_JUDGE_EXACT;
    struct qvl_operand *length = qvl_problem_add(problem, QVL_ROLE_HOST, "lengths", 2, lengths);
    length->dtype = QVL_I64;
    length->judge = QVL_JUDGE_EXACT;
}

static enum qvl_status call_cache_append(struct qvl_side *side, struct qvl_condition *cond,
                                         struct qvl_error *error)
{
    struct qvl_backend *backend = side->backend;
    struct qvl_segment segments[QVL_SIDE_CACHES];
    int64_t *lengths = side->placed[LENGTHS].view.data, row = 0;
    (void)cond;
    QVL_TRY(fill_caches(side, segments, error));
    for (int64_t s = 0; s < qvl_number(side->problem, "seqs"); s++) {
        const int64_t count = past_of(side->problem, s) + count_of(side->problem, s);
        struct qvl_tensor k = side->placed[EXPORT_K].view, v = side->placed[EXPORT_V].view;
        for (int64_t layer = 0; layer < LAYERS; layer++)
            lengths[s * LAYERS + layer] = backend->cache_length(backend, side->caches[s], layer);
        if (lengths[s * LAYERS + LAYER] != count)
            return qvl_fail(error, QVL_FAILED, "cache_length of sequence %lld is %lld, expected %lld",
                            (long long)s, (long long)lengths[s * LAYERS + LAYER], (long long)count);
        k = qvl_tensor_rows(k, row, count);
        v = qvl_tensor_rows(v, row, count);
        QVL_TRY(backend->cache_export(backend, side->caches[s], LAYER, 0, count, k.data, v.data, error));
        row += count;
    }
    return QVL_OK;
}

const struct qvl_verify_op qvl_verify_cache_append = {.numbers = {"kv", "d", "past", "rows", "seqs", "pad"},
                                                      .setup = setup_cache_append,
                                                      .call = call_cache_append};

/* ---- attention: `drop` rows are truncated from the caches before the call, so that rows may see no key ----
 */

static void setup_attention(struct qvl_problem *problem)
{
    setup_rows(problem);
    if (problem->status != QVL_OK)
        return;
    add_rows(problem, QVL_ROLE_INPUT, "q", batch_rows(problem), qvl_number(problem, "heads"));
    add_rows(problem, QVL_ROLE_OUTPUT, "y", batch_rows(problem), qvl_number(problem, "heads"));
}

static enum qvl_status call_attention(struct qvl_side *side, struct qvl_condition *cond,
                                      struct qvl_error *error)
{
    const int64_t seqs = qvl_number(side->problem, "seqs"), drop = qvl_number(side->problem, "drop");
    struct qvl_segment segments[QVL_SIDE_CACHES];
    QVL_TRY(fill_caches(side, segments, error));
    for (int64_t s = 0; s < seqs && drop > 0; s++) {
        const int64_t length = past_of(side->problem, s) + count_of(side->problem, s);
        QVL_TRY(side->backend->cache_truncate(side->backend, side->caches[s],
                                              length > drop ? length - drop : 0, error));
    }
    return side->backend->ops.attention(side->backend,
                                        &(struct qvl_attention_args){.layer = LAYER,
                                                                     .q = side->placed[QUERY].view,
                                                                     .segments = segments,
                                                                     .segment_count = seqs,
                                                                     .scale = scale_of(side->problem),
                                                                     .y = side->placed[OUT].view,
                                                                     .cond = cond},
                                        error);
}

const struct qvl_verify_op qvl_verify_attention = {
    .numbers = {"heads", "kv", "d", "past", "rows", "seqs", "drop", "pad"},
    .setup = setup_attention,
    .call = call_attention,
    .widens = widens};
