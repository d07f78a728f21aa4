/* Invariance of a whole model: the reference and the cpu backend keep every dimension; for each dimension a
 * backend that does not is caught, with the smallest pair of settings named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "datasets/checkpoint.h"
#include "ref/ref.h"
#include "verify/invariance_model.h"
#include "verify/pairs.h"

#define FOLDER "build/test-invariance"

static struct qvl_prompt prompt;
static struct qvl_error error;
static struct qvl_dimension_result results[QVL_DIMENSION_COUNT];

static int set_up(void **state)
{
    struct qvl_model_config config;
    (void)state;
    if (qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) != QVL_OK ||
        qvl_model_config_read(FOLDER, &config, &error) != QVL_OK ||
        qvl_invariance_prompt(&config, 5, &prompt, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qvl_prompt_free(&prompt);
    return 0;
}

static void audit(qvl_backend_open_fn *candidate, enum qvl_dtype storage, unsigned only)
{
    const struct qvl_invariance_options options = {
        .model = {.storage = storage}, .draws = 2, .seed = 77, .threads = 2, .only = only};
    if (qvl_verify_invariance(FOLDER, &prompt, qvl_ref_open, candidate, &options, results, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

static bool is_identical(enum qvl_dimension dimension)
{
    return strcmp(results[dimension].verdict, QVL_VERDICT_IDENTICAL) == 0;
}

/* The synthetic prompt has what the dimensions need. */
static void the_prompt_is_mixed(void **state)
{
    (void)state;
    assert_int_equal(prompt.visual_count, 3);
    assert_true(prompt.visuals[2].is_video);
    assert_int_equal(prompt.visuals[2].grid.t, 2);
    assert_int_not_equal(prompt.visuals[0].grid.h * prompt.visuals[0].grid.w,
                         prompt.visuals[1].grid.h * prompt.visuals[1].grid.w);
}

/* In the reference every row is computed alone. */
static void the_reference_keeps_all_to_the_bit(void **state)
{
    (void)state;
    audit(qvl_ref_open, QVL_F32, 0);
    for (int d = 0; d < QVL_DIMENSION_COUNT; d++) {
        if (d == QVL_DIMENSION_CORE) {
            assert_int_equal(results[d].status, QVL_CASE_SKIPPED);
            continue;
        }
        if (results[d].status != QVL_CASE_PASSED)
            fail_msg("%s: %s", results[d].dimension, results[d].message);
        assert_true(is_identical((enum qvl_dimension)d));
        assert_true(results[d].settings >= 3);
        assert_int_equal(results[d].flips, 0);
    }
}

static void the_cpu_backend_passes(void **state)
{
    (void)state;
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16};
    for (int t = 0; t < 2; t++) {
        audit(qvl_cpu_open, types[t], 0);
        for (int d = 0; d < QVL_DIMENSION_COUNT; d++) {
            if (d != QVL_DIMENSION_CORE && results[d].status != QVL_CASE_PASSED)
                fail_msg("%s: %s", results[d].dimension, results[d].message);
            print_message("%s %s: %s, margin %.2g\n", qvl_dtype_name(types[t]), results[d].dimension,
                          results[d].verdict ? results[d].verdict : "skipped", results[d].margin);
        }
        assert_true(is_identical(QVL_DIMENSION_REPEAT));
        assert_true(is_identical(QVL_DIMENSION_THREADS));
        assert_true(is_identical(QVL_DIMENSION_ORDER));
    }
}

/* ---- wrong backends: the reference with one entry wrapped ---- */

static struct qvl_ops honest;
static int threads, calls;

static enum qvl_status open_with(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *failure)
{
    QVL_TRY(qvl_ref_open(options, backend, failure));
    honest = (*backend)->ops;
    threads = options->threads;
    calls = 0;
    return QVL_OK;
}

/* The dimension fails by that pair, and another one, of which the fault is independent, does not. */
static void expect_violation(qvl_backend_open_fn *candidate, enum qvl_dimension dimension, const char *first,
                             const char *second, enum qvl_dimension kept)
{
    char start[128];
    audit(candidate, QVL_F32, 1U << dimension | 1U << kept);
    assert_true(is_identical(kept));
    const struct qvl_dimension_result *result = &results[dimension];
    snprintf(start, sizeof start, "%s and %s differ: ", first, second);
    if (result->status != QVL_CASE_FAILED || strncmp(result->message, start, strlen(start)) != 0)
        fail_msg("%s: expected '%s...', got %s '%s'", result->dimension, start,
                 qvl_case_status_name(result->status), result->message);
    assert_string_equal(result->verdict, QVL_VERDICT_VIOLATED);
    assert_true(result->margin > 1);
}

static enum qvl_status attend_off(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                  bool off, struct qvl_error *failure)
{
    struct qvl_attention_args other = *args;
    other.scale *= off ? 1.05F : 1;
    return honest.attention(backend, &other, failure);
}

static enum qvl_status attention_of_three(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                          struct qvl_error *failure)
{
    return attend_off(backend, args, args->segment_count == 1 && args->segments[0].count == 3, failure);
}

static enum qvl_status open_chunk(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                  struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    (*backend)->ops.attention = attention_of_three;
    return QVL_OK;
}

static enum qvl_status attention_of_a_crowd(struct qvl_backend *backend,
                                            const struct qvl_attention_args *args, struct qvl_error *failure)
{
    return attend_off(backend, args, args->segment_count >= 3, failure);
}

static enum qvl_status open_batch(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                  struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    (*backend)->ops.attention = attention_of_a_crowd;
    return QVL_OK;
}

static enum qvl_status attention_by_threads(struct qvl_backend *backend,
                                            const struct qvl_attention_args *args, struct qvl_error *failure)
{
    return attend_off(backend, args, threads == 3, failure);
}

static enum qvl_status open_threads(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                    struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    (*backend)->ops.attention = attention_by_threads;
    return QVL_OK;
}

/* Attention over a forked cache is off. */
static enum qvl_status (*honest_fork)(struct qvl_backend *, const struct qvl_cache *, struct qvl_cache **,
                                      struct qvl_error *);
static struct qvl_cache *forked;

static enum qvl_status fork_and_remember(struct qvl_backend *backend, const struct qvl_cache *cache,
                                         struct qvl_cache **copy, struct qvl_error *failure)
{
    QVL_TRY(honest_fork(backend, cache, copy, failure));
    forked = *copy;
    return QVL_OK;
}

static enum qvl_status attention_of_forks(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                          struct qvl_error *failure)
{
    return attend_off(backend, args, args->segments[0].cache == forked, failure);
}

static enum qvl_status open_fork(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    forked = NULL;
    honest_fork = (*backend)->cache_fork;
    (*backend)->cache_fork = fork_and_remember;
    (*backend)->ops.attention = attention_of_forks;
    return QVL_OK;
}

/* Every third visual, the first of a prompt of three, is encoded otherwise. */
static enum qvl_status interpolation_by_call(struct qvl_backend *backend,
                                             const struct qvl_pos_interp_args *args,
                                             struct qvl_error *failure)
{
    QVL_TRY(honest.pos_interp(backend, args, failure));
    for (int64_t i = 0; calls % 3 == 0 && i < args->y.shape[1]; i++)
        ((float *)args->y.data)[i] += 0.5F;
    calls++;
    return QVL_OK;
}

static enum qvl_status open_order(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                  struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    (*backend)->ops.pos_interp = interpolation_by_call;
    return QVL_OK;
}

/* Wrong in the third prompt of a backend's life: the plain run that chooses the tokens is the first. */
static enum qvl_status attention_that_tires(struct qvl_backend *backend,
                                            const struct qvl_attention_args *args, struct qvl_error *failure)
{
    calls += args->layer == 0 && args->segments[0].count > 10;
    return attend_off(backend, args, calls == 3, failure);
}

static enum qvl_status open_tiring(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *failure)
{
    QVL_TRY(open_with(options, backend, failure));
    (*backend)->ops.attention = attention_that_tires;
    return QVL_OK;
}

static void violations_are_named(void **state)
{
    (void)state;
    expect_violation(open_chunk, QVL_DIMENSION_CHUNK, "chunk 1", "chunk 3", QVL_DIMENSION_REPEAT);
    expect_violation(open_batch, QVL_DIMENSION_BATCH, "alone", "batch of 3", QVL_DIMENSION_CHUNK);
    expect_violation(open_threads, QVL_DIMENSION_THREADS, "1 thread", "3 threads", QVL_DIMENSION_CHUNK);
    expect_violation(open_fork, QVL_DIMENSION_SPLIT, "prefill and decode", "fork half way",
                     QVL_DIMENSION_THREADS);
    expect_violation(open_order, QVL_DIMENSION_ORDER, "given order", "visuals 1 and 2 exchanged",
                     QVL_DIMENSION_CHUNK);
    expect_violation(open_tiring, QVL_DIMENSION_REPEAT, "run 1", "run 2", QVL_DIMENSION_ORDER);
}

/* Stands in for processes: the plain run; core 3 has one value that is off, core 4 fails, there is no core 1.
 */
static enum qvl_status plain_core(void *context, int index, const int64_t *tokens, char label[48],
                                  float *logits, int64_t count, struct qvl_error *failure)
{
    const struct qvl_invariance_options *options = context;
    float *answer;
    int64_t values;
    if (index == 1)
        return QVL_UNSUPPORTED;
    snprintf(label, 48, "core %d", index);
    QVL_TRY(qvl_invariance_plain(FOLDER, &prompt, qvl_ref_open, options, tokens, &answer, &values, failure));
    assert_int_equal(values, count);
    memcpy(logits, answer, (size_t)count * sizeof *logits);
    logits[count - 1] += index == 3 ? 0.5F : 0;
    free(answer);
    return index == 4 ? qvl_fail(failure, QVL_FAILED, "ended by signal 4") : QVL_OK;
}

static void cores_are_compared(void **state)
{
    struct qvl_invariance_options options = {.model = {.storage = QVL_F32},
                                             .draws = 1,
                                             .seed = 3,
                                             .threads = 1,
                                             .only = 1U << QVL_DIMENSION_CORE,
                                             .core = plain_core};
    const struct qvl_dimension_result *result = &results[QVL_DIMENSION_CORE];
    (void)state;
    options.context = &options;
    options.core_count = 3;
    assert_int_equal(
        qvl_verify_invariance(FOLDER, &prompt, qvl_ref_open, qvl_ref_open, &options, results, &error),
        QVL_OK);
    assert_int_equal(result->status, QVL_CASE_PASSED);
    assert_int_equal(result->settings, 2);
    assert_true(is_identical(QVL_DIMENSION_CORE));
    options.core_count = 4;
    assert_int_equal(
        qvl_verify_invariance(FOLDER, &prompt, qvl_ref_open, qvl_ref_open, &options, results, &error),
        QVL_OK);
    assert_int_equal(result->status, QVL_CASE_FAILED);
    assert_non_null(strstr(result->message, "core 0 and core 3 differ"));
    options.core_count = 5;
    assert_int_equal(
        qvl_verify_invariance(FOLDER, &prompt, qvl_ref_open, qvl_ref_open, &options, results, &error),
        QVL_OK);
    assert_non_null(strstr(result->message, "core 0 has a result, core 4: FAILED: ended by signal 4"));
}

static void wrong_use_is_refused(void **state)
{
    const struct qvl_invariance_options no_draws = {.model = {.storage = QVL_F32}, .seed = 1};
    (void)state;
    assert_int_equal(
        qvl_verify_invariance(FOLDER, &prompt, qvl_ref_open, qvl_ref_open, &no_draws, results, &error),
        QVL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prompt_is_mixed),    cmocka_unit_test(the_reference_keeps_all_to_the_bit),
        cmocka_unit_test(the_cpu_backend_passes), cmocka_unit_test(violations_are_named),
        cmocka_unit_test(cores_are_compared),     cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
