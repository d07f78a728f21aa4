/* Chunk size, KV split and batch company of attention over a cache. */
#include "verify/invariance.h"
#include "verify/probe.h"

enum { LAYERS = 2, LAYER = 1, MOST_SEQUENCES = 41 };

static bool widens(const struct qvl_case *chosen, const struct qvl_backend *candidate)
{
    return chosen->dtype != QVL_F32 && !candidate->math.rounds_attention_scores;
}

static float scale_of(const struct qvl_problem *problem)
{
    return (float)(1 / sqrt((double)qvl_number(problem, "d")));
}

/* ---- calls on one cache ---- */

static enum qvl_status make_cache(const struct qvl_side *side, int64_t capacity, struct qvl_cache **cache,
                                  struct qvl_error *error)
{
    const struct qvl_cache_desc desc = {.layers = LAYERS,
                                        .kv_heads = qvl_number(side->problem, "kv"),
                                        .head_dim = qvl_number(side->problem, "d"),
                                        .capacity = capacity,
                                        .storage = side->placed[0].view.dtype};
    return side->backend->cache_create(side->backend, &desc, cache, error);
}

static enum qvl_status append_segments(struct qvl_side *side, const struct qvl_tensor *k,
                                       const struct qvl_tensor *v, const struct qvl_segment *segments,
                                       int64_t count, struct qvl_error *error)
{
    return side->backend->ops.cache_append(
        side->backend,
        &(struct qvl_cache_append_args){
            .layer = LAYER, .k = *k, .v = *v, .segments = segments, .segment_count = count},
        error);
}

static enum qvl_status attend_segments(struct qvl_side *side, struct qvl_tensor q, struct qvl_tensor y,
                                       const struct qvl_segment *segments, int64_t count,
                                       struct qvl_condition *cond, struct qvl_error *error)
{
    return side->backend->ops.attention(side->backend,
                                        &(struct qvl_attention_args){.layer = LAYER,
                                                                     .q = q,
                                                                     .segments = segments,
                                                                     .segment_count = count,
                                                                     .scale = scale_of(side->problem),
                                                                     .y = y,
                                                                     .cond = cond},
                                        error);
}

/* ---- one sequence: k and v of past + rows tokens, of which the last `rows` are asked ---- */

enum { K, V, Q, Y, EXPORT_K = 2, EXPORT_V };

static int64_t past_rows(const struct qvl_problem *problem)
{
    return qvl_number(problem, "past");
}

static int64_t all_rows(const struct qvl_problem *problem)
{
    return past_rows(problem) + qvl_number(problem, "rows");
}

static struct qvl_operand *add_heads(struct qvl_problem *problem, enum qvl_role role, const char *name,
                                     int64_t rows, int64_t heads)
{
    struct qvl_operand *operand =
        qvl_problem_add(problem, role, name, 3, (const int64_t[]){rows, heads, qvl_number(problem, "d")});
    operand->no_infinities = name[0] == 'q' || name[0] == 'k'; /* as in op_attention.c */
    if (role == QVL_ROLE_INPUT)
        qvl_problem_fill(problem, operand, 1);
    return operand;
}

static void setup_one(struct qvl_problem *problem)
{
    const int64_t kv = qvl_number(problem, "kv"), heads = qvl_number(problem, "heads");
    const int64_t rows = qvl_number(problem, "rows");
    if (rows < 1 || kv < 1)
        problem->status = QVL_USAGE;
    add_heads(problem, QVL_ROLE_INPUT, "k", all_rows(problem), kv);
    add_heads(problem, QVL_ROLE_INPUT, "v", all_rows(problem), kv);
    add_heads(problem, QVL_ROLE_INPUT, "q", rows, heads);
    add_heads(problem, QVL_ROLE_OUTPUT, "y", rows, heads);
}

/* Rows first .. last - 1 in pieces. */
static enum qvl_status append_rows(struct qvl_side *side, struct qvl_cache *cache, int64_t first,
                                   int64_t last, int64_t piece, struct qvl_error *error)
{
    for (int64_t row = first; row < last; row += piece) {
        const struct qvl_segment segment = {cache, row, last - row < piece ? last - row : piece};
        QVL_TRY(append_segments(side, &side->placed[K].view, &side->placed[V].view, &segment, 1, error));
    }
    return QVL_OK;
}

/* Rows that do not belong: k and v exchanged. */
static enum qvl_status append_others(struct qvl_side *side, struct qvl_cache *cache, int64_t count,
                                     struct qvl_error *error)
{
    const struct qvl_segment segment = {cache, 0, count};
    return append_segments(side, &side->placed[V].view, &side->placed[K].view, &segment, 1, error);
}

/* The whole question at once: what the reference is asked. */
static enum qvl_status ask_one(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const int64_t all = all_rows(side->problem);
    QVL_TRY(make_cache(side, all, &side->caches[0], error));
    QVL_TRY(append_rows(side, side->caches[0], 0, all, all, error));
    const struct qvl_segment segment = {side->caches[0], 0, qvl_number(side->problem, "rows")};
    return attend_segments(side, side->placed[Q].view, side->placed[Y].view, &segment, 1, cond, error);
}

static const struct qvl_verify_op attention_of_one = {.setup = setup_one, .call = ask_one, .widens = widens};

/* ---- chunk size ---- */

static enum qvl_status in_chunks(struct qvl_side *side, const struct qvl_verify_op *op,
                                 const struct qvl_setting *setting, struct qvl_error *error)
{
    const int64_t past = past_rows(side->problem), all = all_rows(side->problem);
    (void)op;
    QVL_TRY(make_cache(side, all, &side->caches[0], error));
    if (past > 0)
        QVL_TRY(append_rows(side, side->caches[0], 0, past, past, error));
    for (int64_t row = past; row < all; row += setting->size) {
        const int64_t count = all - row < setting->size ? all - row : setting->size;
        const struct qvl_segment segment = {side->caches[0], row - past, count};
        QVL_TRY(append_rows(side, side->caches[0], row, row + count, count, error));
        QVL_TRY(attend_segments(side, side->placed[Q].view, side->placed[Y].view, &segment, 1, NULL, error));
    }
    return QVL_OK;
}

/* 1, 3, and around the tile of the case, as far as below `all`; ascending. */
static int64_t piece_sizes(int64_t tile, int64_t all, int64_t sizes[6])
{
    const int64_t wanted[] = {1, 3, tile - 1, tile, tile + 1};
    int64_t count = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i] > (count > 0 ? sizes[count - 1] : 0) && wanted[i] < all)
            sizes[count++] = wanted[i];
    sizes[count++] = all;
    return count;
}

static enum qvl_status run_chunk(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                 struct qvl_case_result *result, struct qvl_error *error)
{
    const struct qvl_problem numbers = {.chosen = chosen};
    struct qvl_invariance invariance = {.op = &attention_of_one, .ask = in_chunks};
    int64_t sizes[6];
    const int64_t count = piece_sizes(qvl_number(&numbers, "tile"), qvl_number(&numbers, "rows"), sizes);
    for (int64_t i = 0; i < count; i++)
        qvl_setting_add(&invariance, sizes[i], 0, "chunk %lld", (long long)sizes[i]);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- KV split: how the cache came to hold what it holds ---- */

enum history {
    IN_PIECES,
    FORKED_EMPTY,
    FORK_GOES_ON,
    FORK_OF_A_GROWN,    /* the original grows by other rows before the fork does */
    FORK_OF_A_REFILLED, /* the original is emptied and filled with other rows */
    FORK_OF_A_DESTROYED,
    ORIGINAL_GOES_ON, /* its fork has grown by other rows */
    CUT_BY_ONE,
    CUT_BY_HALF,
    CUT_TO_NOTHING,
    CUT_OF_OTHERS /* other rows follow and are cut off */
};

static const char *const histories[] = {"",
                                        "fork of an empty cache",
                                        "fork that goes on",
                                        "fork whose original grows",
                                        "fork whose original is refilled",
                                        "fork whose original is destroyed",
                                        "original whose fork grows",
                                        "one row cut and appended again",
                                        "half cut and appended again",
                                        "all cut and appended again",
                                        "other rows appended and cut"};

/* caches[0] becomes the cache in question; caches[1] is the other one of a fork. */
static enum qvl_status fork_and_go_on(struct qvl_side *side, enum history history, struct qvl_error *error)
{
    struct qvl_backend *backend = side->backend;
    const int64_t all = all_rows(side->problem), half = history == FORKED_EMPTY ? 0 : (all + 1) / 2;
    struct qvl_cache **cache = &side->caches[0], **other = &side->caches[1], *fork = NULL;
    QVL_TRY(append_rows(side, *cache, 0, half, half > 0 ? half : 1, error));
    QVL_TRY(backend->cache_fork(backend, *cache, &fork, error));
    *other = fork;
    if (history != ORIGINAL_GOES_ON) {
        *other = *cache;
        *cache = fork;
    }
    if (history == FORK_OF_A_DESTROYED) {
        backend->cache_destroy(backend, *other);
        *other = NULL;
    }
    if (history == FORK_OF_A_REFILLED)
        QVL_TRY(backend->cache_truncate(backend, *other, 0, error));
    if (history == FORK_OF_A_GROWN || history == FORK_OF_A_REFILLED || history == ORIGINAL_GOES_ON)
        QVL_TRY(append_others(side, *other, all - half, error));
    return append_rows(side, *cache, half, all, all - half > 0 ? all - half : 1, error);
}

static enum qvl_status cut_and_append(struct qvl_side *side, enum history history, struct qvl_error *error)
{
    struct qvl_backend *backend = side->backend;
    const int64_t all = all_rows(side->problem);
    const int64_t left = history == CUT_BY_ONE ? all - 1 : history == CUT_BY_HALF ? all / 2 : 0;
    QVL_TRY(append_rows(side, side->caches[0], 0, all, all, error));
    if (history == CUT_OF_OTHERS) {
        QVL_TRY(append_others(side, side->caches[0], (all + 1) / 2, error));
        return backend->cache_truncate(backend, side->caches[0], all, error);
    }
    QVL_TRY(backend->cache_truncate(backend, side->caches[0], left, error));
    return append_rows(side, side->caches[0], left, all, all - left, error);
}

static enum qvl_status make_history(struct qvl_side *side, const struct qvl_setting *setting,
                                    struct qvl_error *error)
{
    const enum history history = (enum history)setting->variant;
    const int64_t all = all_rows(side->problem);
    QVL_TRY(make_cache(side, 2 * all + 1, &side->caches[0], error));
    if (history == IN_PIECES)
        return append_rows(side, side->caches[0], 0, all, setting->size, error);
    return history < CUT_BY_ONE ? fork_and_go_on(side, history, error) : cut_and_append(side, history, error);
}

static enum qvl_status attend_history(struct qvl_side *side, const struct qvl_verify_op *op,
                                      const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)op;
    QVL_TRY(make_history(side, setting, error));
    const struct qvl_segment segment = {side->caches[0], 0, qvl_number(side->problem, "rows")};
    return attend_segments(side, side->placed[Q].view, side->placed[Y].view, &segment, 1, NULL, error);
}

/* The rows of the cache themselves. */
static void setup_exports(struct qvl_problem *problem)
{
    const int64_t kv = qvl_number(problem, "kv"), all = all_rows(problem);
    if (qvl_number(problem, "rows") < 1 || kv < 1)
        problem->status = QVL_USAGE;
    add_heads(problem, QVL_ROLE_INPUT, "k", all, kv);
    add_heads(problem, QVL_ROLE_INPUT, "v", all, kv);
    add_heads(problem, QVL_ROLE_HOST, "exported_k", all, kv)->judge = QVL_JUDGE_EXACT;
    add_heads(problem, QVL_ROLE_HOST, "exported_v", all, kv)->judge = QVL_JUDGE_EXACT;
}

static enum qvl_status export_history(struct qvl_side *side, const struct qvl_verify_op *op,
                                      const struct qvl_setting *setting, struct qvl_error *error)
{
    const int64_t all = all_rows(side->problem);
    (void)op;
    QVL_TRY(make_history(side, setting, error));
    const int64_t length = side->backend->cache_length(side->backend, side->caches[0], LAYER);
    if (length != all)
        return qvl_fail(error, QVL_FAILED, "cache_length is %lld, expected %lld", (long long)length,
                        (long long)all);
    return side->backend->cache_export(side->backend, side->caches[0], LAYER, 0, all,
                                       side->placed[EXPORT_K].view.data, side->placed[EXPORT_V].view.data,
                                       error);
}

static enum qvl_status export_one(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct qvl_setting whole = {.size = all_rows(side->problem), .variant = IN_PIECES};
    (void)cond;
    return export_history(side, NULL, &whole, error);
}

static const struct qvl_verify_op exports_of_one = {.setup = setup_exports, .call = export_one};

static void add_histories(struct qvl_invariance *invariance, const struct qvl_case *chosen)
{
    const struct qvl_problem numbers = {.chosen = chosen};
    const int64_t all = all_rows(&numbers);
    int64_t sizes[6];
    const int64_t count = piece_sizes(qvl_number(&numbers, "tile"), all, sizes);
    for (int64_t i = count - 1; i >= 0; i--) /* one append is the plainest history */
        qvl_setting_add(invariance, sizes[i], IN_PIECES,
                        sizes[i] == all ? "one append of %lld" : "appends of %lld", (long long)sizes[i]);
    for (int64_t h = FORKED_EMPTY; h <= CUT_OF_OTHERS; h++)
        qvl_setting_add(invariance, 0, h, "%s", histories[h]);
}

static enum qvl_status run_split(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                 struct qvl_case_result *result, struct qvl_error *error)
{
    const bool exports = strcmp(qvl_verify_name(chosen->check), "split_cache_append") == 0;
    struct qvl_invariance invariance = {.op = exports ? &exports_of_one : &attention_of_one,
                                        .ask = exports ? export_history : attend_history};
    add_histories(&invariance, chosen);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- batch company: `seqs` sequences; sequence s has past + s % 5 rows before the call and rows + s % 3 in
 * it. k and v hold the past rows of all, then their new rows in the order of q ---- */

static int64_t past_of(const struct qvl_problem *problem, int64_t s)
{
    return past_rows(problem) + s % 5;
}

static int64_t count_of(const struct qvl_problem *problem, int64_t s)
{
    return qvl_number(problem, "rows") + s % 3;
}

/* Rows of the sequences before s. */
static int64_t past_before(const struct qvl_problem *problem, int64_t s)
{
    int64_t rows = 0;
    while (s-- > 0)
        rows += past_of(problem, s);
    return rows;
}

static int64_t counts_before(const struct qvl_problem *problem, int64_t s)
{
    int64_t rows = 0;
    while (s-- > 0)
        rows += count_of(problem, s);
    return rows;
}

static void setup_many(struct qvl_problem *problem)
{
    const int64_t seqs = qvl_number(problem, "seqs"), kv = qvl_number(problem, "kv");
    if (seqs < 1 || seqs > MOST_SEQUENCES || kv < 1) {
        problem->status = QVL_USAGE;
        return;
    }
    const int64_t rows = counts_before(problem, seqs), all = past_before(problem, seqs) + rows;
    add_heads(problem, QVL_ROLE_INPUT, "k", all, kv);
    add_heads(problem, QVL_ROLE_INPUT, "v", all, kv);
    add_heads(problem, QVL_ROLE_INPUT, "q", rows, qvl_number(problem, "heads"));
    add_heads(problem, QVL_ROLE_OUTPUT, "y", rows, qvl_number(problem, "heads"));
}

/* Append and attention of `count` sequences from `first` on in one call each. */
static enum qvl_status attend_batch(struct qvl_side *side, struct qvl_cache *const *caches, int64_t first,
                                    int64_t count, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    const int64_t new_rows = past_before(problem, qvl_number(problem, "seqs"));
    struct qvl_segment segments[MOST_SEQUENCES];
    for (int64_t s = 0; s < count; s++)
        segments[s] = (struct qvl_segment){caches[first + s], counts_before(problem, first + s),
                                           count_of(problem, first + s)};
    const struct qvl_tensor k = side->placed[K].view, v = side->placed[V].view;
    const struct qvl_tensor new_k = qvl_tensor_rows(k, new_rows, k.shape[0] - new_rows);
    const struct qvl_tensor new_v = qvl_tensor_rows(v, new_rows, v.shape[0] - new_rows);
    QVL_TRY(append_segments(side, &new_k, &new_v, segments, count, error));
    return attend_segments(side, side->placed[Q].view, side->placed[Y].view, segments, count, cond, error);
}

static enum qvl_status ask_in_batches(struct qvl_side *side, const struct qvl_setting *setting,
                                      struct qvl_condition *cond, struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    const int64_t seqs = qvl_number(problem, "seqs");
    struct qvl_cache *caches[MOST_SEQUENCES] = {NULL};
    enum qvl_status status = QVL_OK;
    for (int64_t s = 0; s < seqs && status == QVL_OK; s++) {
        const int64_t past = past_of(problem, s), first = past_before(problem, s);
        status = make_cache(side, past + count_of(problem, s), &caches[s], error);
        if (status == QVL_OK && past > 0)
            status = append_rows(side, caches[s], first, first + past, past, error);
    }
    for (int64_t first = 0, count = 0;
         status == QVL_OK && qvl_setting_next_batch(setting, seqs, &first, &count);)
        status = attend_batch(side, caches, first, count, cond, error);
    if (status == QVL_OK)
        status = side->backend->sync(side->backend, error);
    for (int64_t s = 0; s < seqs; s++)
        side->backend->cache_destroy(side->backend, caches[s]);
    return status;
}

static enum qvl_status ask_many(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    const struct qvl_setting whole = {.size = MOST_SEQUENCES};
    return ask_in_batches(side, &whole, cond, error);
}

static enum qvl_status sequences_in_batches(struct qvl_side *side, const struct qvl_verify_op *op,
                                            const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)op;
    return ask_in_batches(side, setting, NULL, error);
}

static const struct qvl_verify_op attention_of_many = {
    .setup = setup_many, .call = ask_many, .widens = widens};

static enum qvl_status run_company(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                   struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = &attention_of_many, .ask = sequences_in_batches};
    qvl_setting_add_batches(&invariance);
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- the probes ---- */

static const char *const chunk_patterns[] = {"chunk_attention heads=6 kv=2 d=72 past=0 rows=37 tile=16",
                                             "chunk_attention heads=3 kv=1 d=128 past=5 rows=70 tile=64",
                                             "chunk_attention heads=4 kv=4 d=16 past=129 rows=19 tile=8",
                                             NULL};

const struct qvl_probe qvl_probe_chunk_attention = {.name = "chunk_attention",
                                                    .op = "attention",
                                                    .numbers = {"heads", "kv", "d", "past", "rows", "tile"},
                                                    .patterns = chunk_patterns,
                                                    .run = run_chunk};

static const char *const split_patterns[] = {"split_attention heads=6 kv=2 d=72 past=36 rows=1,4 tile=16",
                                             "split_attention heads=3 kv=1 d=128 past=129 rows=1 tile=64",
                                             NULL};

const struct qvl_probe qvl_probe_split_attention = {.name = "split_attention",
                                                    .op = "attention",
                                                    .numbers = {"heads", "kv", "d", "past", "rows", "tile"},
                                                    .patterns = split_patterns,
                                                    .run = run_split};

static const char *const export_patterns[] = {"split_cache_append kv=3 d=72 past=20 rows=17 tile=16", NULL};

const struct qvl_probe qvl_probe_split_cache_append = {.name = "split_cache_append",
                                                       .op = "cache_append",
                                                       .numbers = {"kv", "d", "past", "rows", "tile"},
                                                       .patterns = export_patterns,
                                                       .run = run_split};

static const char *const company_patterns[] = {"batch_attention heads=6 kv=2 d=16 past=0,7 rows=1 seqs=34",
                                               NULL};

const struct qvl_probe qvl_probe_batch_attention = {.name = "batch_attention",
                                                    .op = "attention",
                                                    .numbers = {"heads", "kv", "d", "past", "rows", "seqs"},
                                                    .patterns = company_patterns,
                                                    .run = run_company};
