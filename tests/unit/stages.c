/* Stage verification: the cpu backend passes in every storage type, whole and in chunks; a backend with one
 * wrong kernel fails first at the stage where the fault sits. */
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

static int64_t verify(qvl_backend_open_fn *candidate, enum qvl_dtype storage, int64_t chunk,
                      struct qvl_stage_result **results)
{
    const struct qvl_stage_options options = {
        .storage = storage, .chunk = chunk, .draws = 4, .seed = 77, .threads = 2};
    struct qvl_error error = {0};
    int64_t count = 0;
    const enum qvl_status status =
        qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, candidate, &options, results, &count, &error);
    if (status != QVL_OK)
        fail_msg("%s", error.message);
    return count;
}

static void cpu_passes(void **state)
{
    (void)state;
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16, QVL_F16};
    const int64_t chunks[] = {0, 4};
    for (int t = 0; t < 3; t++)
        for (int c = 0; c < 2; c++) {
            struct qvl_stage_result *results = NULL;
            const int64_t count = verify(qvl_cpu_open, types[t], chunks[c], &results);
            double worst = 0;
            assert_true(count > 20);
            for (int64_t i = 0; i < count; i++) {
                if (results[i].status != QVL_CASE_PASSED)
                    fail_msg("%s %s: error %g, tolerance %g, at row %lld column %lld",
                             qvl_dtype_name(types[t]), results[i].name, results[i].error,
                             results[i].tolerance, (long long)results[i].row, (long long)results[i].column);
                worst = results[i].margin > worst ? results[i].margin : worst;
            }
            print_message("%s chunk %lld: %lld stages, worst margin %.3f\n", qvl_dtype_name(types[t]),
                          (long long)chunks[c], (long long)count, worst);
            assert_string_equal(results[count - 1].name, "logits");
            free(results);
        }
}

/* The name of the first stage beyond its tolerance. */
static void first_failure(qvl_backend_open_fn *candidate, const char *expected)
{
    struct qvl_stage_result *results = NULL;
    const int64_t count = verify(candidate, QVL_F32, 0, &results);
    for (int64_t i = 0; i < count; i++)
        if (results[i].status != QVL_CASE_PASSED) {
            assert_string_equal(results[i].name, expected);
            free(results);
            return;
        }
    fail_msg("no stage failed; %s should have", expected);
}

static enum qvl_status (*honest_gelu)(struct qvl_backend *, const struct qvl_gelu_args *, struct qvl_error *);
static enum qvl_status (*honest_attention)(struct qvl_backend *, const struct qvl_attention_args *,
                                           struct qvl_error *);

static enum qvl_status swapped_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                                    struct qvl_error *error)
{
    struct qvl_gelu_args other = *args;
    other.form = args->form == QVL_GELU_ERF ? QVL_GELU_TANH : QVL_GELU_ERF;
    return honest_gelu(backend, &other, error);
}

static enum qvl_status open_gelu(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    honest_gelu = (*backend)->ops.gelu;
    (*backend)->ops.gelu = swapped_gelu;
    return QVL_OK;
}

static enum qvl_status wrong_scale(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                   struct qvl_error *error)
{
    struct qvl_attention_args other = *args;
    if (args->layer == 1)
        other.scale *= 1.001F;
    return honest_attention(backend, &other, error);
}

static enum qvl_status open_scale(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                  struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    honest_attention = (*backend)->ops.attention;
    (*backend)->ops.attention = wrong_scale;
    return QVL_OK;
}

static void faults_are_located(void **state)
{
    (void)state;
    first_failure(open_gelu, "model.visual.blocks.0.mlp");
    first_failure(open_scale, "model.language_model.layers.1.self_attn");
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    const struct qvl_stage_options no_draws = {.storage = QVL_F32, .seed = 1};
    const char *const nothing[] = {"no.such.stage"};
    const struct qvl_stage_options no_stage = {
        .storage = QVL_F32, .seed = 1, .draws = 1, .patterns = nothing, .pattern_count = 1};
    struct qvl_stage_result *results;
    struct qvl_error error;
    int64_t count;
    assert_int_equal(
        qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, qvl_cpu_open, &no_draws, &results, &count, &error),
        QVL_USAGE);
    assert_int_equal(
        qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, qvl_cpu_open, &no_stage, &results, &count, &error),
        QVL_USAGE);
    assert_null(results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_passes),
        cmocka_unit_test(faults_are_located),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
