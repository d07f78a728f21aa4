/* Invariance of entries: for each dimension a backend that depends on it, caught with the smallest pair of
 * settings named; honest backends keep every dimension. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"
#include "verify/pairs.h"
#include "verify/verify.h"

static struct qvl_backend *reference;
static struct qvl_ops honest; /* the reference's entries, which the wrong backends wrap */

static int set_up(void **state)
{
    struct qvl_error error;
    (void)state;
    if (qvl_ref_open(NULL, &reference, &error) != QVL_OK)
        return -1;
    honest = reference->ops;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reference->close(reference);
    return 0;
}

static struct qvl_case_result judge(const char *line, struct qvl_backend *candidate,
                                    qvl_backend_open_fn *open)
{
    const struct qvl_case_context context = {
        .reference = reference, .candidate = candidate, .open = open, .threads = 1};
    struct qvl_case_result result = {0};
    struct qvl_error error = {.message = ""};
    struct qvl_case chosen;
    if (qvl_case_parse(line, &chosen, &error) != QVL_OK ||
        qvl_case_run(&chosen, &context, &result, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return result;
}

/* Open a reference, let `spoil` change its table, and expect a violation by the pair `first`, `second`. */
static void expect_violation(const char *line, void (*spoil)(struct qvl_backend *), const char *first,
                             const char *second)
{
    struct qvl_error error;
    struct qvl_backend *wrong;
    char start[160];
    assert_int_equal(qvl_ref_open(NULL, &wrong, &error), QVL_OK);
    spoil(wrong);
    const struct qvl_case_result result = judge(line, wrong, NULL);
    wrong->close(wrong);
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_string_equal(result.verdict, QVL_VERDICT_VIOLATED);
    assert_true(result.failures > 0);
    assert_true(result.margin > 1);
    snprintf(start, sizeof start, "%s and %s differ: ", first, second);
    if (strncmp(result.message, start, strlen(start)) != 0)
        fail_msg("expected '%s...', got '%s'", start, result.message);
}

/* ---- batch company ---- */

/* Multiply a row of a float32 matrix. */
static void scale_row(const struct qvl_tensor *y, int64_t row, float factor)
{
    const struct qvl_tensor one = qvl_tensor_rows(*y, row, 1);
    for (int64_t i = 0; i < one.shape[1]; i++)
        ((float *)one.data)[i] *= factor;
}

static enum qvl_status linear_of_large_batches(struct qvl_backend *backend,
                                               const struct qvl_linear_args *args, struct qvl_error *error)
{
    QVL_TRY(honest.linear(backend, args, error));
    if (args->y.shape[0] >= 17)
        scale_row(&args->y, 3, 1.001F);
    return QVL_OK;
}

static void spoil_large_batches(struct qvl_backend *backend)
{
    backend->ops.linear = linear_of_large_batches;
}

/* Wrong in the last row of an odd batch: only a row that stands there sees it. */
static enum qvl_status rms_norm_of_odd_batches(struct qvl_backend *backend,
                                               const struct qvl_rms_norm_args *args, struct qvl_error *error)
{
    QVL_TRY(honest.rms_norm(backend, args, error));
    if (args->y.shape[0] > 1 && args->y.shape[0] % 2 == 1)
        scale_row(&args->y, args->y.shape[0] - 1, 1.0001F);
    return QVL_OK;
}

static void spoil_odd_batches(struct qvl_backend *backend)
{
    backend->ops.rms_norm = rms_norm_of_odd_batches;
}

static enum qvl_status attention_of_three(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                          struct qvl_error *error)
{
    struct qvl_attention_args other = *args;
    if (args->segment_count >= 3)
        other.scale *= 1.01F;
    return honest.attention(backend, &other, error);
}

static void spoil_third_sequence(struct qvl_backend *backend)
{
    backend->ops.attention = attention_of_three;
}

static enum qvl_status attention_across_segments(struct qvl_backend *backend,
                                                 const struct qvl_vision_attention_args *args,
                                                 struct qvl_error *error)
{
    struct qvl_vision_attention_args other = *args;
    const int64_t starts[2] = {0, args->q.shape[0]};
    other.segment_starts = starts;
    other.segment_count = 1;
    return honest.vision_attention(backend, &other, error);
}

static void spoil_segments(struct qvl_backend *backend)
{
    backend->ops.vision_attention = attention_across_segments;
}

static void batch_company_is_seen(void **state)
{
    (void)state;
    expect_violation("batch_linear rows=41 in=20 out=7 bias=1 pad=0", spoil_large_batches, "batch 1",
                     "batch 17");
    expect_violation("batch_rms_norm rows=41 heads=0 dim=37 pad=0 inplace=0", spoil_odd_batches, "batch 1",
                     "batch 3");
    expect_violation("batch_attention heads=6 kv=2 d=8 past=5 rows=1 seqs=36", spoil_third_sequence,
                     "batch 1", "batch 3");
    expect_violation("batch_vision_attention heads=2 d=8 a=3 segments=41", spoil_segments, "batch 1",
                     "batch 2");
}

/* ---- repeat ---- */

static int calls;
static float remembered;

static enum qvl_status gelu_that_tires(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                                       struct qvl_error *error)
{
    QVL_TRY(honest.gelu(backend, args, error));
    if (++calls == 5)
        scale_row(&args->y, 0, 1.5F);
    return QVL_OK;
}

static void spoil_fifth_call(struct qvl_backend *backend)
{
    calls = 0;
    backend->ops.gelu = gelu_that_tires;
}

/* Computes with the first input of the call before; harmless as long as that was the same one. */
static enum qvl_status softmax_that_remembers(struct qvl_backend *backend,
                                              const struct qvl_softmax_args *args, struct qvl_error *error)
{
    const float first = *(const float *)args->x.data;
    QVL_TRY(honest.softmax(backend, args, error));
    scale_row(&args->y, 1, calls++ > 0 && remembered != first ? 1.01F : 1);
    remembered = first;
    return QVL_OK;
}

static void spoil_memory(struct qvl_backend *backend)
{
    calls = 0;
    backend->ops.softmax = softmax_that_remembers;
}

/* Leaves its last row as it was. */
static enum qvl_status add_without_last_row(struct qvl_backend *backend, const struct qvl_add_args *args,
                                            struct qvl_error *error)
{
    struct qvl_add_args other = *args;
    other.a = qvl_tensor_rows(args->a, 0, args->a.shape[0] - 1);
    other.b = qvl_tensor_rows(args->b, 0, args->a.shape[0] - 1);
    other.y = qvl_tensor_rows(args->y, 0, args->a.shape[0] - 1);
    return honest.add(backend, &other, error);
}

static void repeats_are_seen(void **state)
{
    (void)state;
    expect_violation("repeat_gelu rows=7 dim=33 erf=0 pad=0 inplace=0", spoil_fifth_call, "call 1", "call 5");
    expect_violation("repeat_softmax rows=7 dim=33 pad=0 inplace=0", spoil_memory, "call 1",
                     "call 7, after other operands");
}

/* What no setting writes is equal under all; it is no answer all the same. */
static void unwritten_results_are_no_answer(void **state)
{
    struct qvl_error error;
    struct qvl_backend *wrong;
    (void)state;
    assert_int_equal(qvl_ref_open(NULL, &wrong, &error), QVL_OK);
    wrong->ops.add = add_without_last_row;
    const struct qvl_case_result result = judge("repeat_add rows=7 dim=33 pad=0 inplace=0", wrong, NULL);
    wrong->close(wrong);
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_non_null(strstr(result.message, "call 1 leaves y[6][0] unwritten"));
}

/* ---- threads ---- */

static enum qvl_status linear_of_three_threads(struct qvl_backend *backend,
                                               const struct qvl_linear_args *args, struct qvl_error *error)
{
    QVL_TRY(honest.linear(backend, args, error));
    scale_row(&args->y, 2, 1.001F);
    return QVL_OK;
}

static enum qvl_status open_that_counts_threads(const struct qvl_backend_options *options,
                                                struct qvl_backend **backend, struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    if (options->threads == 3)
        (*backend)->ops.linear = linear_of_three_threads;
    return QVL_OK;
}

static void thread_counts_are_seen(void **state)
{
    const char *const line = "threads_linear rows=9 in=20 out=7 bias=1 pad=0";
    (void)state;
    const struct qvl_case_result result = judge(line, reference, open_that_counts_threads);
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_string_equal(result.verdict, QVL_VERDICT_VIOLATED);
    assert_ptr_equal(strstr(result.message, "1 thread and 3 threads differ: y[2]"), result.message);
    assert_int_equal(judge(line, reference, NULL).status, QVL_CASE_SKIPPED);
}

/* ---- chunk size and KV split ---- */

static enum qvl_status attention_of_sixteen(struct qvl_backend *backend,
                                            const struct qvl_attention_args *args, struct qvl_error *error)
{
    struct qvl_attention_args other = *args;
    if (args->segments[0].count == 16)
        other.scale *= 1.01F;
    return honest.attention(backend, &other, error);
}

static void spoil_tile(struct qvl_backend *backend)
{
    backend->ops.attention = attention_of_sixteen;
}

/* Values instead of keys when three rows come at once. */
static enum qvl_status append_of_three(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                       struct qvl_error *error)
{
    struct qvl_cache_append_args other = *args;
    if (args->segments[0].count == 3)
        other.k = args->v;
    return honest.cache_append(backend, &other, error);
}

static void spoil_small_appends(struct qvl_backend *backend)
{
    backend->ops.cache_append = append_of_three;
}

/* A fork that is the cache itself. */
static struct qvl_cache *shared;
static void (*honest_destroy)(struct qvl_backend *, struct qvl_cache *);

static enum qvl_status fork_that_shares(struct qvl_backend *backend, const struct qvl_cache *cache,
                                        struct qvl_cache **copy, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    shared = *copy = (struct qvl_cache *)(uintptr_t)cache;
    return QVL_OK;
}

static void destroy_once(struct qvl_backend *backend, struct qvl_cache *cache)
{
    if (cache && cache == shared)
        shared = NULL;
    else
        honest_destroy(backend, cache);
}

static void spoil_forks(struct qvl_backend *backend)
{
    honest_destroy = backend->cache_destroy;
    backend->cache_destroy = destroy_once;
    backend->cache_fork = fork_that_shares;
}

static enum qvl_status (*honest_truncate)(struct qvl_backend *, struct qvl_cache *, int64_t,
                                          struct qvl_error *);

/* Keeps one row too many, unless nothing is to be left. */
static enum qvl_status truncate_short(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error)
{
    return honest_truncate(backend, cache, length > 0 ? length + 1 : 0, error);
}

static void spoil_truncation(struct qvl_backend *backend)
{
    honest_truncate = backend->cache_truncate;
    backend->cache_truncate = truncate_short;
}

static void cache_histories_are_seen(void **state)
{
    (void)state;
    expect_violation("chunk_attention heads=6 kv=2 d=8 past=5 rows=37 tile=16", spoil_tile, "chunk 1",
                     "chunk 16");
    expect_violation("split_attention heads=6 kv=2 d=8 past=20 rows=4 tile=16", spoil_small_appends,
                     "one append of 24", "appends of 3");
    expect_violation("split_attention heads=6 kv=2 d=8 past=20 rows=4 tile=16", spoil_forks,
                     "one append of 24", "fork whose original grows");
    expect_violation("split_attention heads=6 kv=2 d=8 past=20 rows=4 tile=16", spoil_truncation,
                     "one append of 24", "one row cut and appended again");
}

/* A call that fails under one setting only names it too. */
static void wrong_lengths_are_named(void **state)
{
    struct qvl_error error;
    struct qvl_backend *wrong;
    (void)state;
    assert_int_equal(qvl_ref_open(NULL, &wrong, &error), QVL_OK);
    spoil_truncation(wrong);
    const struct qvl_case_result result =
        judge("split_cache_append kv=2 d=8 past=20 rows=4 tile=16", wrong, NULL);
    wrong->close(wrong);
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_string_equal(result.verdict, QVL_VERDICT_VIOLATED);
    assert_non_null(strstr(result.message, "one append of 24 has a result, one row cut and appended again: "
                                           "FAILED: cache_length is 25, expected 24"));
}

/* ---- image order ---- */

/* The second image gets rows that are off. */
static enum qvl_status interpolation_by_place(struct qvl_backend *backend,
                                              const struct qvl_pos_interp_args *args, struct qvl_error *error)
{
    QVL_TRY(honest.pos_interp(backend, args, error));
    if (args->grid_count > 1)
        scale_row(&args->y, args->grids[0].t * args->grids[0].h * args->grids[0].w, 1.01F);
    return QVL_OK;
}

static void spoil_second_image(struct qvl_backend *backend)
{
    backend->ops.pos_interp = interpolation_by_place;
}

/* A shift of rows by the image before. */
static enum qvl_status table_of_first_grid(struct qvl_backend *backend,
                                           const struct qvl_vision_rope_table_args *args,
                                           struct qvl_error *error)
{
    QVL_TRY(honest.vision_rope_table(backend, args, error));
    if (args->grid_count > 1 && args->grids[0].h > args->grids[0].w)
        scale_row(&args->sin, args->sin.shape[0] - 1, 2);
    return QVL_OK;
}

static void spoil_tall_first(struct qvl_backend *backend)
{
    backend->ops.vision_rope_table = table_of_first_grid;
}

static void image_order_is_seen(void **state)
{
    (void)state;
    expect_violation("order_vision_attention heads=2 d=8 a=12 b=20 c=5", spoil_segments, "order 1-2-3",
                     "each image alone");
    expect_violation("order_pos_interp side=7 dim=11 t=2 h=4 w=6 merge=2 once=1", spoil_second_image,
                     "order 1-2-3", "order 1-3-2");
    expect_violation("order_vision_rope_table t=2 h=4 w=6 merge=2 d=16", spoil_tall_first, "order 1-2-3",
                     "order 2-1-3");
}

/* ---- honest backends ---- */

static bool is_invariance(const char *name)
{
    const char *const dimensions[] = {"repeat_", "threads_", "batch_", "chunk_", "split_", "order_"};
    for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++)
        if (strncmp(name, dimensions[i], strlen(dimensions[i])) == 0)
            return true;
    return false;
}

/* Every built-in case passes; how many are equal to the bit. */
static int64_t passes(struct qvl_backend *candidate, qvl_backend_open_fn *open, int64_t *total)
{
    const struct qvl_case_filter filter = {.has_seed = true, .seed = 4711};
    struct qvl_error error;
    struct qvl_case *cases;
    int64_t count, identical = 0;
    *total = 0;
    assert_int_equal(qvl_cases(&filter, &cases, &count, &error), QVL_OK);
    for (int64_t i = 0; i < count; i++) {
        char line[QVL_CASE_LINE_BYTES];
        if (!is_invariance(qvl_verify_name(cases[i].check)))
            continue;
        qvl_case_print(&cases[i], line);
        const struct qvl_case_result result = judge(line, candidate, open);
        if (result.status != QVL_CASE_PASSED)
            fail_msg("%s: %s: %s", candidate->name, line, result.message);
        assert_true(result.margin <= 1);
        const bool same = strcmp(result.verdict, QVL_VERDICT_IDENTICAL) == 0;
        assert_int_equal(result.message[0] == '\0', same); /* else the smallest pair is named */
        identical += same;
        ++*total;
    }
    free(cases);
    return identical;
}

static void honest_backends_keep_all(void **state)
{
    struct qvl_error error;
    struct qvl_backend *cpu;
    int64_t total;
    (void)state;
    /* the reference computes every row alone */
    const int64_t alike = passes(reference, qvl_ref_open, &total);
    assert_int_equal(alike, total);
    assert_true(total > 200);
    assert_int_equal(qvl_cpu_open(&(struct qvl_backend_options){.threads = 2}, &cpu, &error), QVL_OK);
    const int64_t identical = passes(cpu, qvl_cpu_open, &total);
    print_message("cpu: %lld of %lld cases bit-identical\n", (long long)identical, (long long)total);
    cpu->close(cpu);
}

/* ---- the search for pairs ---- */

static void the_smallest_pair_is_found(void **state)
{
    const double a[] = {1, 2}, b[] = {1, 2.5}, c[] = {1.5, 2}, d[] = {9, 2};
    const double *const values[] = {a, b, c, d};
    const double tolerance[] = {1, 1};
    struct qvl_answers answers = {.values = values, .settings = 4, .elements = 2, .tolerance = tolerance};
    struct qvl_pairs found;
    (void)state;
    qvl_pairs_search(&answers, &found);
    assert_string_equal(qvl_pairs_verdict(&found), QVL_VERDICT_VIOLATED);
    assert_int_equal(found.changed.first, 0);
    assert_int_equal(found.changed.second, 1);
    assert_int_equal(found.changed.element, 1);
    assert_int_equal(found.broken.first, 0);
    assert_int_equal(found.broken.second, 3);
    assert_int_equal(found.broken.element, 0);
    assert_int_equal(found.broken.failures, 1);
    answers.settings = 3;
    qvl_pairs_search(&answers, &found);
    assert_string_equal(qvl_pairs_verdict(&found), QVL_VERDICT_WITHIN);
    assert_true(found.margin == 0.5);
    answers.settings = 1;
    qvl_pairs_search(&answers, &found);
    assert_string_equal(qvl_pairs_verdict(&found), QVL_VERDICT_IDENTICAL);
}

/* bf16 around 1: the spacing is 2^-7. A negative zero is another bit pattern and no violation. */
static void tolerances_of_pairs(void **state)
{
    const double zero[] = {0.0}, negative[] = {-0.0}, missing[] = {NAN}, tolerance[] = {0};
    const double *const signs[] = {zero, negative}, *const holes[] = {missing, missing};
    struct qvl_pairs found;
    (void)state;
    assert_true(qvl_pair_tolerance(QVL_BF16, 1, 0) == 0x1p-7 + 0x1p-126);
    assert_true(qvl_pair_tolerance(QVL_F16, 1, 0x1p-12) == 0x1p-11 + 0x1p-10);
    assert_true(qvl_pair_tolerance(QVL_F16, 65500, 10) == INFINITY);
    assert_true(isnan(qvl_pair_tolerance(QVL_F32, NAN, 0)));
    qvl_pairs_search(
        &(struct qvl_answers){.values = signs, .settings = 2, .elements = 1, .tolerance = tolerance}, &found);
    assert_string_equal(qvl_pairs_verdict(&found), QVL_VERDICT_WITHIN);
    qvl_pairs_search(
        &(struct qvl_answers){.values = holes, .settings = 2, .elements = 1, .tolerance = tolerance}, &found);
    assert_string_equal(qvl_pairs_verdict(&found), QVL_VERDICT_VIOLATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_pair_is_found),
        cmocka_unit_test(tolerances_of_pairs),
        cmocka_unit_test(batch_company_is_seen),
        cmocka_unit_test(repeats_are_seen),
        cmocka_unit_test(unwritten_results_are_no_answer),
        cmocka_unit_test(thread_counts_are_seen),
        cmocka_unit_test(cache_histories_are_seen),
        cmocka_unit_test(wrong_lengths_are_named),
        cmocka_unit_test(image_order_is_seen),
        cmocka_unit_test(honest_backends_keep_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
