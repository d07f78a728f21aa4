/* Properties of the model on the reference backend: chunks, decode, ragged batches, forks, truncation,
 * refusals. In the reference every row is computed alone, so all of these must agree to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "datasets/checkpoint.h"
#include "model/model.h"
#include "model/tap_store.h"
#include "ref/ref.h"

#define FOLDER "build/test-model"

static struct qvl_backend *backend;
static struct qvl_model *model;
static struct qvl_error error;

static int set_up(void **state)
{
    (void)state;
    const struct qvl_backend_options backend_options = {.threads = 1};
    const struct qvl_model_options options = {.storage = QVL_F32};
    if (qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) != QVL_OK ||
        qvl_ref_open(&backend_options, &backend, &error) != QVL_OK ||
        qvl_model_load(FOLDER, backend, &options, &model, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qvl_model_destroy(model);
    backend->close(backend);
    return 0;
}

static int64_t vocabulary(void)
{
    return qvl_model_get_config(model)->text.vocab;
}

/* `before` text tokens, an image of rows x columns merged cells, `after` text tokens. */
static struct qvl_prompt make_prompt(int64_t before, int64_t rows, int64_t columns, int64_t after,
                                     uint64_t seed)
{
    const struct qvl_model_config *config = qvl_model_get_config(model);
    const int64_t merge = config->vision.merge;
    const int64_t width =
        config->vision.channels * config->vision.temporal_patch * config->vision.patch * config->vision.patch;
    const int64_t patches = rows * columns * merge * merge;
    struct qvl_prompt prompt = {.count = before + rows * columns + after};
    prompt.ids = malloc(sizeof(int64_t) * (size_t)prompt.count);
    for (int64_t i = 0; i < prompt.count; i++)
        prompt.ids[i] = (int64_t)qvl_random_below(seed, 0, (uint64_t)i, 200);
    if (rows == 0)
        return prompt;
    for (int64_t i = 0; i < rows * columns; i++)
        prompt.ids[before + i] = config->image_token;
    prompt.visual_count = 1;
    prompt.visuals = calloc(1, sizeof *prompt.visuals);
    prompt.visuals[0].grid = (struct qvl_grid){1, rows * merge, columns * merge};
    prompt.visuals[0].rows = malloc(sizeof(float) * (size_t)(patches * width));
    for (int64_t i = 0; i < patches * width; i++)
        prompt.visuals[0].rows[i] = (float)(2 * qvl_random_uniform(seed, 1, (uint64_t)i) - 1);
    return prompt;
}

static struct qvl_sequence *start(const struct qvl_prompt *prompt, int64_t capacity)
{
    struct qvl_sequence *sequence = NULL;
    assert_int_equal(qvl_sequence_create(model, capacity, &sequence, &error), QVL_OK);
    assert_int_equal(qvl_sequence_prompt(sequence, prompt, NULL, &error), QVL_OK);
    return sequence;
}

/* All rows of the pending prompt in chunks; logits [count][vocab]. */
static float *prefill(struct qvl_sequence *sequence, int64_t chunk, const struct qvl_taps *taps)
{
    const int64_t total = qvl_sequence_pending(sequence);
    float *logits = malloc(sizeof(float) * (size_t)(total * vocabulary()));
    int64_t *rows = malloc(sizeof(int64_t) * (size_t)total);
    for (int64_t i = 0; i < total; i++)
        rows[i] = i;
    for (int64_t done = 0; done < total; done += chunk) {
        const int64_t count = total - done < chunk ? total - done : chunk;
        const struct qvl_step step = {
            .sequence = sequence, .count = count, .logit_rows = rows, .logit_count = count};
        assert_int_equal(qvl_model_forward(model, &step, 1, logits + done * vocabulary(), taps, &error),
                         QVL_OK);
    }
    free(rows);
    return logits;
}

static void decode(struct qvl_sequence *sequence, int64_t token, float *logits)
{
    const int64_t row = 0;
    const struct qvl_step step = {
        .sequence = sequence, .tokens = &token, .count = 1, .logit_rows = &row, .logit_count = 1};
    assert_int_equal(qvl_model_forward(model, &step, 1, logits, NULL, &error), QVL_OK);
}

static void chunks_agree(void **state)
{
    (void)state;
    struct qvl_prompt prompt = make_prompt(5, 3, 4, 6, 11);
    struct qvl_sequence *whole = start(&prompt, prompt.count);
    float *expected = prefill(whole, prompt.count, NULL);
    /* Chunk 7 has its first edge inside the image, chunk 1 and 3 have several. */
    const int64_t chunks[] = {1, 3, 7, 64};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        struct qvl_sequence *sequence = start(&prompt, prompt.count);
        float *logits = prefill(sequence, chunks[i], NULL);
        assert_memory_equal(logits, expected, sizeof(float) * (size_t)(prompt.count * vocabulary()));
        free(logits);
        qvl_sequence_destroy(sequence);
    }
    free(expected);
    qvl_sequence_destroy(whole);
    qvl_prompt_free(&prompt);
}

static void the_image_matters(void **state)
{
    (void)state;
    struct qvl_prompt a = make_prompt(5, 3, 4, 6, 11);
    struct qvl_prompt b = make_prompt(5, 3, 4, 6, 11);
    b.visuals[0].rows[100] += 0.5F;
    struct qvl_sequence *first = start(&a, a.count);
    struct qvl_sequence *second = start(&b, b.count);
    float *x = prefill(first, 64, NULL);
    float *y = prefill(second, 64, NULL);
    /* Rows before the image are the same, the last row is not. */
    assert_memory_equal(x, y, sizeof(float) * (size_t)(5 * vocabulary()));
    assert_memory_not_equal(x + (a.count - 1) * vocabulary(), y + (a.count - 1) * vocabulary(),
                            sizeof(float) * (size_t)vocabulary());
    free(x);
    free(y);
    qvl_sequence_destroy(first);
    qvl_sequence_destroy(second);
    qvl_prompt_free(&a);
    qvl_prompt_free(&b);
}

static void decode_equals_prefill(void **state)
{
    (void)state;
    struct qvl_prompt prompt = make_prompt(2, 4, 6, 7, 5);
    struct qvl_sequence *whole = start(&prompt, prompt.count);
    float *expected = prefill(whole, prompt.count, NULL);
    struct qvl_prompt shorter = prompt;
    shorter.count -= 3;
    struct qvl_sequence *sequence = start(&shorter, prompt.count);
    free(prefill(sequence, 64, NULL));
    float *logits = malloc(sizeof(float) * (size_t)vocabulary());
    for (int64_t i = shorter.count; i < prompt.count; i++) {
        decode(sequence, prompt.ids[i], logits);
        assert_memory_equal(logits, expected + i * vocabulary(), sizeof(float) * (size_t)vocabulary());
    }
    free(logits);
    free(expected);
    qvl_sequence_destroy(whole);
    qvl_sequence_destroy(sequence);
    qvl_prompt_free(&prompt);
}

static void company_does_not_matter(void **state)
{
    (void)state;
    struct qvl_prompt prompts[] = {make_prompt(4, 2, 3, 5, 21), make_prompt(9, 0, 0, 0, 22),
                                   make_prompt(1, 5, 2, 3, 23)};
    struct qvl_sequence *alone[3];
    struct qvl_sequence *together[3];
    float *solo[3];
    const int64_t size = vocabulary();
    const int64_t token = 17;
    for (int i = 0; i < 3; i++) {
        alone[i] = start(&prompts[i], 64);
        together[i] = start(&prompts[i], 64);
    }
    /* Sequence 1 is decoding while the other two are inside their images. */
    free(prefill(together[1], 64, NULL));
    free(prefill(alone[1], 64, NULL));
    solo[1] = malloc(sizeof(float) * (size_t)size);
    decode(alone[1], token, solo[1]);
    solo[0] = prefill(alone[0], 64, NULL);
    solo[2] = prefill(alone[2], 64, NULL);
    const int64_t rows[] = {6, 2};
    const int64_t zero = 0;
    const struct qvl_step steps[] = {
        {.sequence = together[0], .count = 7, .logit_rows = &rows[0], .logit_count = 1},
        {.sequence = together[1], .tokens = &token, .count = 1, .logit_rows = &zero, .logit_count = 1},
        {.sequence = together[2], .count = 3, .logit_rows = &rows[1], .logit_count = 1}};
    float *logits = malloc(sizeof(float) * (size_t)(3 * size));
    assert_int_equal(qvl_model_forward(model, steps, 3, logits, NULL, &error), QVL_OK);
    assert_memory_equal(logits, solo[0] + 6 * size, sizeof(float) * (size_t)size);
    assert_memory_equal(logits + size, solo[1], sizeof(float) * (size_t)size);
    assert_memory_equal(logits + 2 * size, solo[2] + 2 * size, sizeof(float) * (size_t)size);
    free(logits);
    for (int i = 0; i < 3; i++) {
        free(solo[i]);
        qvl_sequence_destroy(alone[i]);
        qvl_sequence_destroy(together[i]);
        qvl_prompt_free(&prompts[i]);
    }
}

static void forks_and_truncation(void **state)
{
    (void)state;
    struct qvl_prompt prompt = make_prompt(3, 2, 3, 4, 31);
    struct qvl_sequence *original = start(&prompt, 64);
    struct qvl_sequence *copy = NULL;
    const size_t bytes = sizeof(float) * (size_t)vocabulary();
    float *a = malloc(bytes);
    float *b = malloc(bytes);
    float *full = prefill(original, 5, NULL);
    assert_int_equal(qvl_sequence_fork(original, &copy, &error), QVL_OK);
    decode(original, 8, a);
    decode(copy, 9, b);
    assert_memory_not_equal(a, b, bytes);
    assert_int_equal(qvl_sequence_truncate(copy, prompt.count, &error), QVL_OK);
    decode(copy, 8, b);
    assert_memory_equal(a, b, bytes);
    /* Back into the middle of the image: the prompt is pending again and gives the same rows. */
    assert_int_equal(qvl_sequence_truncate(copy, 5, &error), QVL_OK);
    assert_int_equal(qvl_sequence_pending(copy), prompt.count - 5);
    float *again = prefill(copy, 2, NULL);
    assert_memory_equal(again, full + 5 * vocabulary(), bytes * (size_t)(prompt.count - 5));
    assert_int_equal(qvl_sequence_truncate(copy, prompt.count + 1, &error), QVL_USAGE);
    free(again);
    free(full);
    free(a);
    free(b);
    qvl_sequence_destroy(original);
    qvl_sequence_destroy(copy);
    qvl_prompt_free(&prompt);
}

static void taps_of_chunks_assemble(void **state)
{
    (void)state;
    struct qvl_prompt prompt = make_prompt(3, 2, 3, 4, 41);
    struct qvl_tap_store stores[2] = {{0}, {0}};
    const int64_t chunks[] = {64, 2};
    for (int i = 0; i < 2; i++) {
        const struct qvl_taps taps = qvl_tap_store_taps(&stores[i]);
        struct qvl_sequence *sequence = NULL;
        assert_int_equal(qvl_sequence_create(model, 64, &sequence, &error), QVL_OK);
        assert_int_equal(qvl_sequence_prompt(sequence, &prompt, &taps, &error), QVL_OK);
        free(prefill(sequence, chunks[i], &taps));
        qvl_sequence_destroy(sequence);
    }
    assert_true(stores[0].count > 20);
    assert_int_equal(stores[0].count, stores[1].count);
    for (int64_t i = 0; i < stores[0].count; i++) {
        const struct qvl_tap_entry *a = &stores[0].entries[i];
        const struct qvl_tap_entry *b = qvl_tap_store_find(&stores[1], a->name);
        assert_non_null(b);
        assert_int_equal(a->shape[0], b->shape[0]);
        assert_memory_equal(a->values, b->values,
                            sizeof(float) * (size_t)(a->shape[0] * qvl_tap_entry_width(a)));
    }
    assert_non_null(qvl_tap_store_find(&stores[0], "model.visual.merger"));
    assert_non_null(qvl_tap_store_find(&stores[0], "model.language_model.layers.0.deepstack_added"));
    qvl_tap_store_free(&stores[0]);
    qvl_tap_store_free(&stores[1]);
    qvl_prompt_free(&prompt);
}

static void refusals_leave_no_trace(void **state)
{
    (void)state;
    struct qvl_prompt prompt = make_prompt(3, 2, 3, 4, 51);
    struct qvl_sequence *sequence = NULL;
    assert_int_equal(qvl_sequence_create(model, 4, &sequence, &error), QVL_OK);
    assert_int_equal(qvl_sequence_prompt(sequence, &prompt, NULL, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "13 tokens exceed the sequence's capacity of 4"));
    qvl_sequence_destroy(sequence);

    prompt.ids[1] = vocabulary();
    assert_int_equal(qvl_sequence_create(model, 14, &sequence, &error), QVL_OK);
    assert_int_equal(qvl_sequence_prompt(sequence, &prompt, NULL, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "token 1 has id"));
    prompt.ids[1] = 1;
    assert_int_equal(qvl_sequence_prompt(sequence, &prompt, NULL, &error), QVL_OK);

    const int64_t token = 3;
    const struct qvl_step early = {.sequence = sequence, .tokens = &token, .count = 1};
    assert_int_equal(qvl_model_forward(model, &early, 1, NULL, NULL, &error), QVL_USAGE);
    free(prefill(sequence, 64, NULL));
    const int64_t two[] = {3, 4};
    const struct qvl_step beyond = {.sequence = sequence, .tokens = two, .count = 2};
    assert_int_equal(qvl_model_forward(model, &beyond, 1, NULL, NULL, &error), QVL_BAD_INPUT);
    assert_int_equal(qvl_sequence_length(sequence), prompt.count);
    const struct qvl_step fits = {.sequence = sequence, .tokens = two, .count = 1};
    assert_int_equal(qvl_model_forward(model, &fits, 1, NULL, NULL, &error), QVL_OK);
    qvl_sequence_destroy(sequence);
    qvl_prompt_free(&prompt);
}

static void a_long_prompt_is_refused(void **state)
{
    (void)state;
    const int64_t limit = qvl_model_get_config(model)->text.max_positions;
    struct qvl_prompt prompt = make_prompt(limit + 1, 0, 0, 0, 61);
    struct qvl_sequence *sequence = NULL;
    assert_int_equal(qvl_sequence_create(model, 8, &sequence, &error), QVL_OK);
    assert_int_equal(qvl_sequence_prompt(sequence, &prompt, NULL, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "max_position_embeddings"));
    qvl_sequence_destroy(sequence);
    qvl_prompt_free(&prompt);
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    const struct qvl_model_options options = {.storage = QVL_F32, .available_bytes = 1000};
    struct qvl_model *refused = NULL;
    assert_int_equal(qvl_model_load(FOLDER, backend, &options, &refused, &error), QVL_NO_MEMORY);
    assert_null(refused);
    assert_non_null(strstr(error.message, "available"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_agree),
        cmocka_unit_test(the_image_matters),
        cmocka_unit_test(decode_equals_prefill),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(forks_and_truncation),
        cmocka_unit_test(taps_of_chunks_assemble),
        cmocka_unit_test(refusals_leave_no_trace),
        cmocka_unit_test(a_long_prompt_is_refused),
        cmocka_unit_test(too_little_memory_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
