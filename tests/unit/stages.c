/* Stage verification: the cpu backend passes in every storage type, whole and in chunks, free-running and on
 * the reference's inputs. (tests/unit/divergence.c: what happens to wrong ones.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "base/random.h"
#include "datasets/checkpoint.h"
#include "ref/ref.h"
#include "verify/stages.h"

#define FOLDER "build/test-stages"

static struct qvl_prompt prompt;

static int set_up(void **state)
{
    struct qvl_error error;
    struct qvl_model_config config;
    (void)state;
    if (qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) != QVL_OK ||
        qvl_model_config_read(FOLDER, &config, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    /* 6 text tokens, an image of 3 x 5 merged cells, 9 text tokens. */
    const int64_t cells = 15;
    const int64_t width =
        config.vision.channels * config.vision.temporal_patch * config.vision.patch * config.vision.patch;
    prompt = (struct qvl_prompt){.count = 6 + cells + 9, .visual_count = 1};
    prompt.ids = malloc(sizeof(int64_t) * (size_t)prompt.count);
    for (int64_t i = 0; i < prompt.count; i++)
        prompt.ids[i] =
            i >= 6 && i < 6 + cells ? config.image_token : (int64_t)qvl_random_below(3, 0, (uint64_t)i, 200);
    prompt.visuals = calloc(1, sizeof *prompt.visuals);
    prompt.visuals[0].grid = (struct qvl_grid){1, 6, 10};
    prompt.visuals[0].rows = malloc(sizeof(float) * (size_t)(60 * width));
    for (int64_t i = 0; i < 60 * width; i++)
        prompt.visuals[0].rows[i] = (float)(2 * qvl_random_uniform(3, 1, (uint64_t)i) - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qvl_prompt_free(&prompt);
    return 0;
}

static void verify(qvl_backend_open_fn *candidate, enum qvl_dtype storage, int64_t chunk,
                   struct qvl_stage_report *report)
{
    const struct qvl_stage_options options = {
        .storage = storage, .chunk = chunk, .draws = 4, .seed = 77, .threads = 2, .logit_rows = 30};
    struct qvl_error error = {0};
    if (qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, candidate, &options, report, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

/* The largest margin of a run, in which nothing may fail. */
static double worst_margin(const struct qvl_stage_run *run, const char *what)
{
    double worst = 0;
    assert_true(run->count > 20);
    assert_string_equal(run->results[run->count - 1].name, "logits");
    assert_int_equal(run->results[run->count - 1].rows, prompt.count);
    for (int64_t i = 0; i < run->count; i++) {
        const struct qvl_stage_result *result = &run->results[i];
        if (result->status != QVL_CASE_PASSED)
            fail_msg("%s %s: error %g, tolerance %g, at row %lld column %lld", what, result->name,
                     result->error, result->tolerance, (long long)result->row, (long long)result->column);
        worst = result->margin > worst ? result->margin : worst;
    }
    assert_int_equal(run->failed, 0);
    assert_int_equal(run->first, -1);
    return worst;
}

static void cpu_passes(void **state)
{
    (void)state;
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16, QVL_F16};
    const int64_t chunks[] = {0, 4};
    for (int t = 0; t < 3; t++)
        for (int c = 0; c < 2; c++) {
            struct qvl_stage_report report;
            verify(qvl_cpu_open, types[t], chunks[c], &report);
            const double free = worst_margin(&report.free, "free");
            const double forced = worst_margin(&report.forced, "forced");
            assert_int_equal(report.envelope.draws, 4);
            for (int metric = 0; metric < QVL_ENVELOPE_METRICS; metric++)
                assert_int_equal(report.envelope.metrics[metric].status, QVL_CASE_PASSED);
            print_message("%s chunk %lld: %lld stages, worst margin %.3f free, %.3f forced\n",
                          qvl_dtype_name(types[t]), (long long)chunks[c], (long long)report.free.count, free,
                          forced);
            qvl_stage_report_free(&report);
        }
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    const struct qvl_stage_options no_draws = {.storage = QVL_F32, .seed = 1};
    const char *const nothing[] = {"no.such.stage"};
    const struct qvl_stage_options no_stage = {
        .storage = QVL_F32, .seed = 1, .draws = 1, .patterns = nothing, .pattern_count = 1};
    struct qvl_stage_report report;
    struct qvl_error error;
    assert_int_equal(
        qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, qvl_cpu_open, &no_draws, &report, &error),
        QVL_USAGE);
    assert_int_equal(
        qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, qvl_cpu_open, &no_stage, &report, &error),
        QVL_USAGE);
    assert_null(report.free.results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_passes),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
