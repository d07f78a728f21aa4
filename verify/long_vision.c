/* long_vision: vision_attention over one long segment between two short ones, with known answers for every
 * row (verify/long_context.h). Its cost grows with the square of n, so the built-in lengths are those of
 * large images; longer ones are run by name. */
#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/guarded.h"
#include "verify/long_context.h"
#include "verify/probe.h"

enum { HEADS, D, BEFORE, LONG, AFTER };

struct run {
    struct qvl_long context;
    struct qvl_long_truth truth;
    int64_t starts[4];
    char *q, *k, *v, *y; /* [rows, heads, d] in storage type, one block */
};

static int64_t rows_of(const struct qvl_case *chosen)
{
    return chosen->numbers[BEFORE] + chosen->numbers[LONG] + chosen->numbers[AFTER];
}

/* Operands here and on the backend, expected values and sums in double. */
static int64_t needed(const struct qvl_case *chosen)
{
    const int64_t count = rows_of(chosen) * chosen->numbers[HEADS] * chosen->numbers[D];
    return count * (8 * (int64_t)qvl_dtype_bytes(chosen->dtype) + 5 * (int64_t)sizeof(double)) +
           qvl_long_truth_bytes(rows_of(chosen), QVL_LONG_SAMPLES);
}

static enum qvl_status make_context(struct run *run, const struct qvl_case *chosen, struct qvl_error *error)
{
    const int64_t *n = chosen->numbers, rows = rows_of(chosen), first = n[BEFORE], end = n[BEFORE] + n[LONG];
    struct qvl_long *context = &run->context;
    const int64_t positions[] = {first,       end - 1,     first - 1,         end,          first + 1,
                                 end - 2,     first + 255, first + 256,       first + 257,  end - 256,
                                 first + 511, first + 512, (first + end) / 2, first + 4095, first + 4096};
    *context = (struct qvl_long){.seed = chosen->seed,
                                 .dtype = chosen->dtype,
                                 .keys = rows,
                                 .kv_heads = n[HEADS],
                                 .heads = n[HEADS],
                                 .d = n[D],
                                 .rows = rows,
                                 .scale = (double)(float)(1 / sqrt((double)n[D]))};
    context->low = calloc((size_t)(2 * rows), sizeof *context->low);
    if (!context->low)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)rows);
    context->high = context->low + rows;
    run->starts[1] = first;
    run->starts[2] = end;
    run->starts[3] = rows;
    for (int segment = 0; segment < 3; segment++)
        for (int64_t r = run->starts[segment]; r < run->starts[segment + 1]; r++) {
            context->low[r] = run->starts[segment];
            context->high[r] = run->starts[segment + 1];
        }
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++)
        qvl_long_plant(context, positions[i]);
    qvl_long_choose_samples(context, QVL_LONG_SAMPLES);
    return QVL_OK;
}

static enum qvl_status make_operands(struct run *run, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const int64_t count = context->rows * context->heads * context->d;
    const size_t size = qvl_dtype_bytes(context->dtype), bytes = (size_t)count * size;
    double query[128];
    run->q = malloc(4 * bytes);
    if (!run->q)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)context->rows);
    run->k = run->q + bytes;
    run->v = run->k + bytes;
    run->y = run->v + bytes;
    for (int64_t i = 0; i < context->rows * context->heads; i++) {
        qvl_long_query(context, i / context->heads, i % context->heads, query);
        qvl_store_row(query, context->dtype, context->d, run->q + (size_t)(i * context->d) * size);
    }
    qvl_long_keys(context, 0, context->keys, run->k);
    qvl_long_values(context, 0, context->keys, run->v);
    qvl_long_see_keys(&run->truth, 0, context->keys, run->k);
    qvl_long_see_values(&run->truth, 0, context->keys, run->v);
    return qvl_long_answer_samples(&run->truth, error);
}

/* The candidate's call; a failure is its own. */
static enum qvl_status attend(struct run *run, struct qvl_backend *backend, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const struct qvl_tensor shape =
        qvl_tensor_3d(NULL, context->dtype, context->rows, context->heads, context->d);
    struct qvl_guarded operands[4] = {{.memory = NULL}};
    const char *const host[4] = {run->q, run->k, run->v, NULL};
    enum qvl_status status = QVL_OK;
    for (int i = 0; i < 4 && status == QVL_OK; i++)
        status = qvl_guarded_open(&operands[i], backend, &shape, 8, host[i], error);
    if (status == QVL_OK)
        status =
            backend->ops.vision_attention(backend,
                                          &(struct qvl_vision_attention_args){.q = operands[0].view,
                                                                              .k = operands[1].view,
                                                                              .v = operands[2].view,
                                                                              .segment_starts = run->starts,
                                                                              .segment_count = 3,
                                                                              .scale = (float)context->scale,
                                                                              .y = operands[3].view},
                                          error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    if (status == QVL_OK)
        status = qvl_guarded_read(&operands[3], run->y, error);
    for (int i = 0; i < 4; i++)
        qvl_guarded_close(&operands[i]);
    return status;
}

static enum qvl_status run_case(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                struct qvl_case_result *result, struct qvl_error *error)
{
    const int64_t *n = chosen->numbers;
    struct run run = {.q = NULL};
    struct qvl_error why = {.message = ""};
    if (n[HEADS] < 1 || n[HEADS] > 16 || n[D] < 32 || n[D] > 128 || n[D] % 4 || n[LONG] < 1)
        return qvl_fail(error, QVL_USAGE,
                        "needs 1 to 16 heads, d a multiple of 4 from 32 to 128, and a long segment");
    if (qvl_long_memory_lacks(needed(chosen), result))
        return QVL_OK;
    enum qvl_status status = make_context(&run, chosen, error);
    if (status == QVL_OK)
        status = qvl_long_truth_open(&run.truth, &run.context, &context->candidate->math, error);
    if (status == QVL_OK)
        status = make_operands(&run, error);
    if (status == QVL_OK) {
        const enum qvl_status called = attend(&run, context->candidate, &why);
        if (called == QVL_OK)
            status = qvl_long_judge(&run.truth, run.y, "y", result, error);
        else
            qvl_long_refused(called, &why, result);
    }
    qvl_long_truth_close(&run.truth);
    free(run.q);
    free(run.context.low);
    return status;
}

static const char *const patterns[] = {
    "long_vision heads=3 d=72 before=5 long=1025 after=3",
    "long_vision heads=2 d=64 before=257 long=4096 after=64 dtype=f32,bf16",
    "long_vision heads=1 d=72 before=4 long=16384 after=12 dtype=f32,bf16", NULL};

const struct qvl_probe qvl_probe_long_vision = {.name = "long_vision",
                                                .op = "vision_attention",
                                                .numbers = {"heads", "d", "before", "long", "after"},
                                                .patterns = patterns,
                                                .run = run_case,
                                                .bytes = needed};
