/* Parts of a model, models of random weights and filled caches, on the reference: the part must compute what
 * those layers of the whole compute, and a filled cache must behave as one that was appended to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/checkpoint.h"
#include "model/model.h"
#include "model/sample.h"
#include "model/tap_store.h"
#include "model/weights_random.h"
#include "ref/ref.h"

#define FOLDER "build/test-model-part"

static struct qvl_backend *backend;
static struct qvl_error error;
static const struct qvl_model_options options = {.storage = QVL_F32};

static int set_up(void **state)
{
    (void)state;
    const struct qvl_backend_options backend_options = {.threads = 1};
    if (qvl_checkpoint_write(qvl_checkpoint_preset("moe"), FOLDER, &error) != QVL_OK ||
        qvl_ref_open(&backend_options, &backend, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    backend->close(backend);
    return 0;
}

static struct qvl_model *load(const struct qvl_model_source *source, const struct qvl_model_part *part)
{
    struct qvl_model *model = NULL;
    const enum qvl_status status = qvl_model_load_part(source, part, backend, &options, &model, &error);
    if (status != QVL_OK)
        fprintf(stderr, "%s\n", error.message);
    assert_int_equal(status, QVL_OK);
    return model;
}

/* Logits of the last of `count` tokens behind what the sequence holds. */
static float *forward(struct qvl_model *model, struct qvl_sequence *sequence, const int64_t *tokens,
                      int64_t count)
{
    const int64_t last = count - 1;
    float *logits = malloc(sizeof(float) * (size_t)qvl_model_get_config(model)->text.vocab);
    const struct qvl_step step = {
        .sequence = sequence, .tokens = tokens, .count = count, .logit_rows = &last, .logit_count = 1};
    assert_int_equal(qvl_model_forward(model, &step, 1, logits, NULL, &error), QVL_OK);
    return logits;
}

static const int64_t tokens[] = {3, 141, 59, 26, 5};
#define TOKENS ((int64_t)(sizeof tokens / sizeof *tokens))

static float *answer(struct qvl_model *model)
{
    struct qvl_sequence *sequence = NULL;
    assert_int_equal(qvl_sequence_create(model, 16, &sequence, &error), QVL_OK);
    float *logits = forward(model, sequence, tokens, TOKENS);
    qvl_sequence_destroy(sequence);
    return logits;
}

/* All layers named one by one are the whole; two of them are a smaller model of both kinds. */
static void parts_are_layers_of_the_whole(void **state)
{
    (void)state;
    const struct qvl_model_source source = {.folder = FOLDER};
    const struct qvl_model_part all = {.layer_count = 5, .layers = {0, 1, 2, 3, 4}, .vision_blocks = 7};
    const struct qvl_model_part two = {.layer_count = 2, .layers = {1, 3}, .vision_blocks = 3};
    const size_t bytes = sizeof(float) * 656;
    struct qvl_model *models[] = {load(&source, NULL), load(&source, &all), load(&source, &two)};
    float *logits[3];
    for (int i = 0; i < 3; i++)
        logits[i] = answer(models[i]);
    assert_memory_equal(logits[0], logits[1], bytes);
    assert_memory_not_equal(logits[0], logits[2], bytes);
    const struct qvl_model_config *config = qvl_model_get_config(models[2]);
    assert_int_equal(config->text.layers, 2);
    assert_false(config->text.moe_layer[0]); /* layer 1 of this preset is dense */
    assert_true(config->text.moe_layer[1]);
    assert_int_equal(config->vision.depth, 3);
    assert_int_equal(config->vision.deepstack_count, 3);
    assert_int_equal(config->vision.deepstack_blocks[2], 2);
    for (int i = 0; i < 3; i++) {
        free(logits[i]);
        qvl_model_destroy(models[i]);
    }
}

static void random_weights_follow_their_seed(void **state)
{
    (void)state;
    struct qvl_model_config config;
    assert_int_equal(qvl_model_config_read(FOLDER, &config, &error), QVL_OK);
    float *logits[3];
    for (int i = 0; i < 3; i++) {
        const struct qvl_model_source source = {.config = &config, .seed = i == 1 ? 8 : 7};
        struct qvl_model *model = load(&source, NULL);
        assert_int_equal(qvl_model_get_config(model)->text.layers, 5);
        logits[i] = answer(model);
        qvl_model_destroy(model);
    }
    assert_memory_equal(logits[0], logits[2], sizeof(float) * 656);
    assert_memory_not_equal(logits[0], logits[1], sizeof(float) * 656);
    double square = 0;
    for (int i = 0; i < 656; i++)
        square += (double)logits[0][i] * logits[0][i];
    assert_true(isfinite(square) && square / 656 > 0.1 && square / 656 < 10);
    for (int i = 0; i < 3; i++)
        free(logits[i]);
}

static void values_are_normal(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static float values[COUNT];
    static uint16_t halves[COUNT];
    double sum = 0, square = 0, product = 0;
    qvl_random_fill(values, QVL_F32, COUNT, 2, 1, 5, 6);
    qvl_random_fill(halves, QVL_BF16, COUNT, 2, 1, 5, 6);
    for (int i = 0; i < COUNT; i++) {
        sum += values[i];
        square += (values[i] - 1.0) * (values[i] - 1.0);
        product += i ? (values[i] - 1.0) * (values[i - 1] - 1.0) : 0;
        assert_int_equal(halves[i], qvl_f32_to_bf16(values[i]));
    }
    assert_true(fabs(sum / COUNT - 1) < 0.03);
    assert_true(fabs(square / COUNT - 4) < 0.1);
    assert_true(fabs(product / COUNT) < 0.1);
}

/* Filling in two goes is filling in one; what follows stands at that depth and depends on the fill. */
static void a_filled_cache_is_a_cache(void **state)
{
    (void)state;
    const struct qvl_model_source source = {.folder = FOLDER};
    struct qvl_model *model = load(&source, NULL);
    struct qvl_sequence *once = NULL, *twice = NULL, *other = NULL;
    assert_int_equal(qvl_sequence_create(model, 2100, &once, &error), QVL_OK);
    assert_int_equal(qvl_sequence_create(model, 2100, &twice, &error), QVL_OK);
    assert_int_equal(qvl_sequence_create(model, 2100, &other, &error), QVL_OK);
    assert_int_equal(qvl_sequence_fill(once, 2050, 1, &error), QVL_OK);
    assert_int_equal(qvl_sequence_fill(twice, 1024, 1, &error), QVL_OK);
    assert_int_equal(qvl_sequence_fill(twice, 2050, 1, &error), QVL_OK);
    assert_int_equal(qvl_sequence_fill(other, 2050, 2, &error), QVL_OK);
    assert_int_equal(qvl_sequence_length(once), 2050);
    float *a = forward(model, once, tokens, 1), *b = forward(model, twice, tokens, 1),
          *c = forward(model, other, tokens, 1);
    assert_memory_equal(a, b, sizeof(float) * 656);
    assert_memory_not_equal(a, c, sizeof(float) * 656);
    assert_int_equal(qvl_sequence_fill(once, 10, 1, &error), QVL_USAGE);
    assert_int_equal(qvl_sequence_fill(once, 2101, 1, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "2101"));
    free(a);
    free(b);
    free(c);
    qvl_sequence_destroy(once);
    qvl_sequence_destroy(twice);
    qvl_sequence_destroy(other);
    qvl_model_destroy(model);
}

static void memory_is_asked_first(void **state)
{
    (void)state;
    const struct qvl_model_options little = {.storage = QVL_F32, .available_bytes = 1000};
    struct qvl_model_config config;
    struct qvl_model *model = NULL;
    assert_int_equal(qvl_model_config_read(FOLDER, &config, &error), QVL_OK);
    const struct qvl_model_source source = {.config = &config, .seed = 1};
    assert_int_equal(qvl_model_load_part(&source, NULL, backend, &little, &model, &error), QVL_NO_MEMORY);
    assert_null(model);
    assert_non_null(strstr(error.message, "available 1000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_layers_of_the_whole), cmocka_unit_test(random_weights_follow_their_seed),
        cmocka_unit_test(values_are_normal), cmocka_unit_test(a_filled_cache_is_a_cache),
        cmocka_unit_test(memory_is_asked_first)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
