/* verify/spot_check.c: honest backends pass in every kind of model and call, and an entry that leaves its
 * work out, hands out other work or reads the wrong rows is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "bench/latency_parts.h"
#include "datasets/checkpoint.h"
#include "model/engine.h"
#include "ref/ref.h"
#include "verify/spot_check.h"

static struct qvl_error error;
static struct qvl_backend *reference, *candidate;
static struct qvl_ops honest;

#define ASSERT_GOOD(call)                                                                                    \
    do {                                                                                                     \
        if ((call) != QVL_OK)                                                                                \
            fail_msg("%s", error.message);                                                                   \
    } while (0)

/* ---- wrong kernels ---- */

static void clear(const struct qvl_tensor *y)
{
    for (int64_t i = 0; i < y->shape[0]; i++) {
        const struct qvl_tensor row = qvl_tensor_rows(*y, i, 1);
        memset(row.data, 0, (size_t)qvl_tensor_count(&row) * qvl_dtype_bytes(y->dtype));
    }
}

#define IDLE(name)                                                                                           \
    static enum qvl_status idle_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,    \
                                       struct qvl_error *why)                                                \
    {                                                                                                        \
        (void)backend;                                                                                       \
        (void)why;                                                                                           \
        clear(&args->y);                                                                                     \
        return QVL_OK;                                                                                       \
    }
IDLE(patch_embed)
IDLE(layer_norm)
IDLE(linear)
IDLE(rope)
IDLE(vision_attention)
IDLE(gelu)
IDLE(merger)
IDLE(embed)
IDLE(rms_norm)
IDLE(attention)
IDLE(swiglu)
IDLE(add)
IDLE(moe_experts)
IDLE(moe_combine)
IDLE(output_head)

static enum qvl_status swapped_append(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                      struct qvl_error *why)
{
    struct qvl_cache_append_args swapped = *args;
    swapped.v = args->k;
    return honest.cache_append(backend, &swapped, why);
}

/* The frames of a video see each other. */
static enum qvl_status boundless(struct qvl_backend *backend, const struct qvl_vision_attention_args *args,
                                 struct qvl_error *why)
{
    const int64_t starts[2] = {0, args->q.shape[0]};
    struct qvl_vision_attention_args all = *args;
    all.segment_starts = starts;
    all.segment_count = 1;
    return honest.vision_attention(backend, &all, why);
}

/* All of a chunk but its first row see what the first one sees. */
static enum qvl_status short_sighted(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                     struct qvl_error *why)
{
    QVL_TRY(honest.attention(backend, args, why));
    for (int64_t s = 0; s < args->segment_count; s++)
        for (int64_t i = 1; i < args->segments[s].count; i++) {
            const struct qvl_tensor first = qvl_tensor_rows(args->y, args->segments[s].first, 1);
            const struct qvl_tensor row = qvl_tensor_rows(args->y, args->segments[s].first + i, 1);
            memcpy(row.data, first.data, (size_t)qvl_tensor_count(&row) * qvl_dtype_bytes(row.dtype));
        }
    return QVL_OK;
}

/* The first row's logits for all. */
static enum qvl_status one_row(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                               struct qvl_error *why)
{
    struct qvl_output_head_args first = *args;
    first.rows = NULL;
    first.x = qvl_tensor_rows(args->x, 0, args->y.shape[0]);
    return honest.output_head(backend, &first, why);
}

static enum qvl_status no_export(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                 int64_t first, int64_t count, void *host_k, void *host_v,
                                 struct qvl_error *why)
{
    (void)backend, (void)cache, (void)layer, (void)first, (void)count, (void)host_k, (void)host_v;
    return qvl_fail(why, QVL_UNSUPPORTED, "pages are not handed out");
}

/* ---- a model that is watched ---- */

static struct qvl_sequence *start(struct qvl_model *model, uint64_t seed)
{
    const struct qvl_model_config *config = qvl_model_get_config(model);
    const struct qvl_grid grid = {.t = 2, .h = 4, .w = 6};
    struct qvl_prompt prompt;
    struct qvl_sequence *sequence;
    ASSERT_GOOD(qvl_latency_visual_prompt(config, &grid, true, 9, seed, &prompt, &error));
    ASSERT_GOOD(qvl_latency_random_rows(config, seed, &prompt.visuals[0], &error));
    ASSERT_GOOD(qvl_sequence_create(model, prompt.count + 2, &sequence, &error));
    ASSERT_GOOD(qvl_sequence_prompt(sequence, &prompt, NULL, &error));
    qvl_prompt_free(&prompt);
    return sequence;
}

/* A chunk of two sequences at once, the rest of both, and a step of each. */
static void forward(struct qvl_model *model, struct qvl_sequence *const sequences[2])
{
    const int64_t vocab = qvl_model_get_config(model)->text.vocab, rows[] = {0, 3}, token = 5;
    float *logits = malloc(sizeof(float) * (size_t)(4 * vocab));
    for (int call = 0; call < 3; call++) {
        struct qvl_step steps[2];
        for (int i = 0; i < 2; i++)
            steps[i] = (struct qvl_step){.sequence = sequences[i],
                                         .tokens = call == 2 ? &token : NULL,
                                         .count = call == 0   ? 7 + i
                                                  : call == 1 ? qvl_sequence_pending(sequences[i])
                                                              : 1,
                                         .logit_rows = rows,
                                         .logit_count = call == 2 ? 1 : 2};
        ASSERT_GOOD(qvl_model_forward(model, steps, 2, logits, NULL, &error));
    }
    free(logits);
}

static struct qvl_spot_result watch(const char *preset, enum qvl_dtype storage, double share)
{
    char folder[96];
    const struct qvl_model_options options = {.storage = storage};
    struct qvl_spot_check *check, *second;
    struct qvl_model *model;
    snprintf(folder, sizeof folder, "build/test-spot-check-%s", preset);
    ASSERT_GOOD(qvl_checkpoint_write(qvl_checkpoint_preset(preset), folder, &error));
    const struct qvl_backend before = *candidate;
    ASSERT_GOOD(qvl_spot_check_open(candidate, reference, 3, &check, &error));
    assert_int_equal(qvl_spot_check_open(candidate, reference, 3, &second, &error), QVL_USAGE);
    ASSERT_GOOD(qvl_model_load(folder, candidate, &options, &model, &error));
    qvl_spot_check_watch(check, share);
    struct qvl_sequence *sequences[2] = {start(model, 1), start(model, 2)};
    forward(model, sequences);
    qvl_spot_check_watch(check, 0);
    const struct qvl_spot_result result = qvl_spot_check_result(check);
    for (int i = 0; i < 2; i++) {
        ASSERT_GOOD(qvl_sequence_truncate(sequences[i], 0, &error));
        struct qvl_sequence *fork;
        ASSERT_GOOD(qvl_sequence_fork(sequences[i], &fork, &error));
        qvl_sequence_destroy(sequences[i]);
        sequences[i] = fork;
    }
    forward(model, sequences); /* nobody watches */
    assert_int_equal(qvl_spot_check_result(check).rows, result.rows);
    qvl_sequence_destroy(sequences[0]);
    qvl_sequence_destroy(sequences[1]);
    qvl_model_destroy(model);
    qvl_spot_check_close(check);
    assert_memory_equal(candidate, &before, sizeof before);
    return result;
}

/* ---- tests ---- */

static int open_backends(void **state)
{
    const struct qvl_backend_options options = {.threads = 2};
    (void)state;
    if (qvl_ref_open(NULL, &reference, &error) != QVL_OK ||
        qvl_cpu_open(&options, &candidate, &error) != QVL_OK)
        return -1;
    honest = candidate->ops;
    return 0;
}

static int close_backends(void **state)
{
    (void)state;
    reference->close(reference);
    candidate->close(candidate);
    return 0;
}

static void honest_models_pass(void **state)
{
    static const char *const presets[] = {"small-dense-tied", "moe"};
    static const enum qvl_dtype types[] = {QVL_F32, QVL_BF16, QVL_F16};
    struct qvl_backend *cpu = candidate, *second;
    (void)state;
    ASSERT_GOOD(qvl_ref_open(NULL, &second, &error));
    for (int i = 0; i < 12; i++) {
        candidate = i < 6 ? cpu : second;
        const char *preset = presets[i % 2];
        const enum qvl_dtype type = types[i / 2 % 3];
        const struct qvl_spot_result result = watch(preset, type, 1);
        print_message("%s %s %s: %lld rows, worst %.3g in %s %s\n", candidate->name, preset,
                      qvl_dtype_name(type), (long long)result.rows, result.worst, result.worst_entry,
                      result.message);
        assert_true(result.rows > 150);
        assert_true(result.worst < (type == QVL_F32 ? 1e-9 : type == QVL_F16 ? 1e-5 : 1e-3));
        assert_string_equal(result.message, "");
    }
    candidate = cpu;
    second->close(second);
}

static void a_share_is_looked_at(void **state)
{
    (void)state;
    const struct qvl_spot_result all = watch("moe", QVL_F32, 1), some = watch("moe", QVL_F32, 0.25);
    assert_true(some.rows > all.rows / 8 && some.rows < all.rows / 2);
}

static void a_cache_that_is_not_handed_out_is_no_failure(void **state)
{
    const struct qvl_backend before = *candidate;
    (void)state;
    const struct qvl_spot_result all = watch("moe", QVL_F32, 1);
    candidate->cache_export = no_export;
    const struct qvl_spot_result result = watch("moe", QVL_F32, 1);
    *candidate = before;
    assert_int_equal(all.unseen, 0);
    assert_string_equal(result.message, "");
    assert_true(result.unseen > 0 && result.rows < all.rows && result.rows > all.rows / 2);
}

#define NAMES(entry, kernel, preset)                                                                         \
    do {                                                                                                     \
        candidate->ops.entry = kernel;                                                                       \
        const struct qvl_spot_result result = watch(preset, QVL_BF16, 1);                                    \
        candidate->ops.entry = honest.entry;                                                                 \
        print_message("%s\n", result.message);                                                               \
        assert_int_equal(strncmp(result.message, #entry, strlen(#entry)), 0);                                \
        assert_true(!(result.worst < 1e-3));                                                                 \
    } while (0)

static void entries_that_leave_out_their_work_are_named(void **state)
{
    (void)state;
    NAMES(patch_embed, idle_patch_embed, "small-dense-tied");
    NAMES(layer_norm, idle_layer_norm, "small-dense-tied");
    NAMES(linear, idle_linear, "small-dense-tied");
    NAMES(rope, idle_rope, "small-dense-tied");
    NAMES(vision_attention, idle_vision_attention, "small-dense-tied");
    NAMES(gelu, idle_gelu, "small-dense-tied");
    NAMES(merger, idle_merger, "small-dense-tied");
    NAMES(embed, idle_embed, "small-dense-tied");
    NAMES(rms_norm, idle_rms_norm, "small-dense-tied");
    NAMES(attention, idle_attention, "small-dense-tied");
    NAMES(swiglu, idle_swiglu, "small-dense-tied");
    NAMES(add, idle_add, "small-dense-tied");
    NAMES(output_head, idle_output_head, "small-dense-tied");
    NAMES(moe_experts, idle_moe_experts, "moe");
    NAMES(moe_combine, idle_moe_combine, "moe");
}

static void rows_of_other_inputs_are_named(void **state)
{
    (void)state;
    NAMES(cache_append, swapped_append, "small-dense-tied");
    NAMES(vision_attention, boundless, "small-dense-tied");
    NAMES(attention, short_sighted, "small-dense-tied");
    NAMES(output_head, one_row, "small-dense-tied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_models_pass),
        cmocka_unit_test(a_share_is_looked_at),
        cmocka_unit_test(a_cache_that_is_not_handed_out_is_no_failure),
        cmocka_unit_test(entries_that_leave_out_their_work_are_named),
        cmocka_unit_test(rows_of_other_inputs_are_named),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
