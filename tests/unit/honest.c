/* The honest float32 backend in every summation order: it passes every built-in case, and the stages of a
 * small model, whole and in chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/mutants/mutants.h"
#include "base/random.h"
#include "datasets/checkpoint.h"
#include "ref/ref.h"
#include "verify/stages.h"
#include "verify/verify.h"

#define FOLDER "build/test-honest"
#define SHARE 20

static enum qvl_sum_order order; /* of open_honest */
static bool all_cases;

static enum qvl_status open_honest(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_honest_open(order, options, backend, error);
}

/* The cases on one instance. Returns the sum of their drifts. */
static double run_cases(void)
{
    struct qvl_error error = {.message = ""};
    struct qvl_backend *ref, *honest;
    struct qvl_case *cases;
    int64_t count, done = 0;
    double drift = 0, sum = 0;
    assert_int_equal(qvl_ref_open(NULL, &ref, &error), QVL_OK);
    assert_int_equal(open_honest(NULL, &honest, &error), QVL_OK);
    assert_int_equal(qvl_cases(NULL, &cases, &count, &error), QVL_OK);
    const struct qvl_case_context context = {
        .reference = ref, .candidate = honest, .open = open_honest, .threads = 1};
    for (int64_t i = all_cases ? 0 : (int64_t)order; i < count; i += all_cases ? 1 : SHARE) {
        struct qvl_case_result result;
        if (!all_cases && qvl_case_bytes(&cases[i]) > 0)
            continue;
        if (qvl_case_run(&cases[i], &context, &result, &error) != QVL_OK)
            fail_msg("%s", error.message);
        if (result.status != QVL_CASE_PASSED && result.status != QVL_CASE_SKIPPED)
            fail_msg("%s sums: %s: %s: %s", qvl_sum_order_name(order), qvl_case_status_name(result.status),
                     result.repro, result.message);
        drift = result.drift > drift ? result.drift : drift;
        sum += result.drift;
        done++;
    }
    print_message("%s: %lld cases, at most %.3f of a bound used\n", qvl_sum_order_name(order),
                  (long long)done, drift);
    assert_true(done > count / SHARE / 2);
    free(cases);
    honest->close(honest);
    ref->close(ref);
    return sum;
}

static void passes_the_cases_in_every_order(void **state)
{
    double drift[QVL_SUM_ORDER_COUNT];
    (void)state;
    for (int i = 0; i < QVL_SUM_ORDER_COUNT; i++) {
        order = (enum qvl_sum_order)i;
        drift[i] = run_cases();
        for (int other = 0; other < i; other++)
            assert_true(drift[i] != drift[other]); /* the orders are different arithmetic */
    }
}

/* 6 text tokens, an image of 2 x 3 merged cells, 5 text tokens. */
static void make_prompt(struct qvl_prompt *prompt)
{
    struct qvl_error error = {.message = ""};
    struct qvl_model_config config = {0};
    const int64_t cells = 6;
    if (qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) != QVL_OK ||
        qvl_model_config_read(FOLDER, &config, &error) != QVL_OK)
        fail_msg("%s", error.message);
    const int64_t width =
        config.vision.channels * config.vision.temporal_patch * config.vision.patch * config.vision.patch;
    *prompt = (struct qvl_prompt){.count = 6 + cells + 5, .visual_count = 1};
    prompt->ids = malloc(sizeof(int64_t) * (size_t)prompt->count);
    for (int64_t i = 0; i < prompt->count; i++)
        prompt->ids[i] =
            i >= 6 && i < 6 + cells ? config.image_token : (int64_t)qvl_random_below(5, 0, (uint64_t)i, 200);
    prompt->visuals = calloc(1, sizeof *prompt->visuals);
    prompt->visuals[0].grid = (struct qvl_grid){1, 4, 6};
    prompt->visuals[0].rows = malloc(sizeof(float) * (size_t)(24 * width));
    for (int64_t i = 0; i < 24 * width; i++)
        prompt->visuals[0].rows[i] = (float)(2 * qvl_random_uniform(5, 1, (uint64_t)i) - 1);
}

static void all_pass(const struct qvl_stage_run *run, enum qvl_dtype storage)
{
    assert_true(run->count > 20);
    for (int64_t i = 0; i < run->count; i++)
        if (run->results[i].status != QVL_CASE_PASSED)
            fail_msg("%s sums, %s: %s: error %g, tolerance %g", qvl_sum_order_name(order),
                     qvl_dtype_name(storage), run->results[i].name, run->results[i].error,
                     run->results[i].tolerance);
}

static void runs_a_model_in_every_order(void **state)
{
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16};
    struct qvl_prompt prompt;
    (void)state;
    make_prompt(&prompt);
    for (int i = 0; i < QVL_SUM_ORDER_COUNT; i++)
        for (int t = 0; t < 2; t++) {
            const struct qvl_stage_options options = {
                .storage = types[t], .chunk = i % 2 ? 5 : 0, .draws = 4, .seed = 77, .threads = 1};
            struct qvl_stage_report report;
            struct qvl_error error = {.message = ""};
            order = (enum qvl_sum_order)i;
            if (qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, open_honest, &options, &report, &error) !=
                QVL_OK)
                fail_msg("%s", error.message);
            all_pass(&report.free, types[t]);
            all_pass(&report.forced, types[t]);
            qvl_stage_report_free(&report);
        }
    qvl_prompt_free(&prompt);
}

static void wrong_use_is_refused(void **state)
{
    struct qvl_error error = {.message = ""};
    struct qvl_backend *backend;
    (void)state;
    assert_int_equal(qvl_honest_open(QVL_SUM_ORDER_COUNT, NULL, &backend, &error), QVL_USAGE);
    assert_null(backend);
    assert_int_equal(qvl_mutant_open("attn.no_such_fault", NULL, &backend, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "attn.no_such_fault"));
    assert_int_equal(qvl_mutant_open("honest", NULL, &backend, &error), QVL_OK);
    assert_string_equal(backend->name, "honest");
    backend->close(backend);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_the_cases_in_every_order),
        cmocka_unit_test(runs_a_model_in_every_order),
        cmocka_unit_test(wrong_use_is_refused),
    };
    all_cases = argc > 1 && !strcmp(argv[1], "all");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
