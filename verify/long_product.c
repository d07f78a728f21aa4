/* linear_projected, linear_exact, head_projected, head_exact: products of production size, judged by
 * verify/long_gemm.c. */
#include <stdlib.h>

#include "verify/guarded.h"
#include "verify/long_context.h"
#include "verify/long_gemm.h"
#include "verify/probe.h"

enum { ROWS, IN, OUT, BIAS };

static struct qvl_long_gemm describe(const struct qvl_case *chosen, bool exact)
{
    return (struct qvl_long_gemm){.seed = chosen->seed,
                                  .dtype = chosen->dtype,
                                  .exact = exact,
                                  .rows = chosen->numbers[ROWS],
                                  .in = chosen->numbers[IN],
                                  .out = chosen->numbers[OUT]};
}

/* The checker's operands and the backend's, which may hold a packed copy of the weight. */
static int64_t needed(const struct qvl_case *chosen)
{
    const struct qvl_long_gemm gemm = describe(chosen, false);
    return 2 * qvl_long_gemm_bytes(&gemm);
}

/* The candidate's product. `head`: output_head, else linear. */
static enum qvl_status multiply(const struct qvl_long_gemm *gemm, struct qvl_backend *backend, bool head,
                                struct qvl_error *error)
{
    const struct qvl_weight_desc desc = {
        .array = {.data = gemm->w, .dtype = gemm->dtype, .rank = 2, .shape = {gemm->out, gemm->in}},
        .use = QVL_USE_LINEAR,
        .storage = gemm->dtype,
        .name = "weight"};
    const struct qvl_tensor x_shape = qvl_tensor_2d(NULL, gemm->dtype, gemm->rows, gemm->in);
    const struct qvl_tensor y_shape = qvl_tensor_2d(NULL, gemm->dtype, gemm->rows, gemm->out);
    const struct qvl_tensor bias_shape = qvl_tensor_1d(NULL, gemm->dtype, gemm->out);
    struct qvl_guarded x = {.memory = NULL}, y = x, bias = x;
    struct qvl_weight *weight = NULL;
    enum qvl_status status = backend->weight_prepare(backend, &desc, &weight, error);
    if (status == QVL_OK)
        status = qvl_guarded_open(&x, backend, &x_shape, 0, gemm->x, error);
    if (status == QVL_OK)
        status = qvl_guarded_open(&y, backend, &y_shape, 8, NULL, error);
    if (status == QVL_OK && gemm->bias)
        status = qvl_guarded_open(&bias, backend, &bias_shape, 0, gemm->bias, error);
    if (status == QVL_OK)
        status = head ? backend->ops.output_head(
                            backend,
                            &(struct qvl_output_head_args){.x = x.view, .weight = weight, .y = y.view}, error)
                      : backend->ops.linear(backend,
                                            &(struct qvl_linear_args){.x = x.view,
                                                                      .weight = weight,
                                                                      .bias = gemm->bias ? &bias.view : NULL,
                                                                      .y = y.view},
                                            error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    if (status == QVL_OK)
        status = qvl_guarded_read(&y, gemm->y, error);
    qvl_guarded_close(&x);
    qvl_guarded_close(&y);
    qvl_guarded_close(&bias);
    if (weight)
        backend->weight_destroy(backend, weight);
    return status;
}

static enum qvl_status run_product(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                   bool exact, bool head, struct qvl_case_result *result,
                                   struct qvl_error *error)
{
    struct qvl_long_gemm gemm = describe(chosen, exact);
    struct qvl_error why = {.message = ""};
    if (gemm.rows < 1 || gemm.in < 4 || gemm.in % 4 || gemm.out < 4 || gemm.out % 4 ||
        (!head && chosen->numbers[BIAS] > 1))
        return qvl_fail(error, QVL_USAGE, "needs rows from 1, in and out multiples of 4, bias 0 or 1");
    if (qvl_long_memory_lacks(needed(chosen), result))
        return QVL_OK;
    gemm.math = context->candidate->math;
    enum qvl_status status = qvl_long_gemm_open(&gemm, !head && chosen->numbers[BIAS], error);
    if (status == QVL_OK) {
        const enum qvl_status called = multiply(&gemm, context->candidate, head, &why);
        if (called == QVL_OK)
            status = qvl_long_gemm_judge(&gemm, result, error);
        else
            qvl_long_refused(called, &why, result);
    }
    qvl_long_gemm_close(&gemm);
    return status;
}

#define PROBE(probe, entry, exact, head, ...)                                                                \
    static enum qvl_status run_##probe(const struct qvl_case *chosen,                                        \
                                       const struct qvl_case_context *context,                               \
                                       struct qvl_case_result *result, struct qvl_error *error)              \
    {                                                                                                        \
        return run_product(chosen, context, exact, head, result, error);                                     \
    }                                                                                                        \
    const struct qvl_probe qvl_probe_##probe = {.name = #probe,                                              \
                                                .op = #entry,                                                \
                                                .numbers = {__VA_ARGS__},                                    \
                                                .patterns = patterns_##probe,                                \
                                                .run = run_##probe,                                          \
                                                .bytes = needed};

static const char *const patterns_linear_projected[] = {
    "linear_projected rows=4096 in=4096 out=4096 bias=1 dtype=f32,bf16",
    "linear_projected rows=100 in=4096 out=12288 bias=0",
    "linear_projected rows=515 in=12288 out=4096 bias=0 dtype=bf16",
    "linear_projected rows=300 in=1152 out=4304 bias=1",
    "linear_projected rows=3 in=2048 out=6144 bias=0",
    NULL};
static const char *const patterns_linear_exact[] = {
    "linear_exact rows=4096 in=4096 out=4096 bias=1 dtype=f32,bf16",
    "linear_exact rows=100 in=4096 out=12288 bias=0",
    "linear_exact rows=515 in=12288 out=4096 bias=0 dtype=f32",
    "linear_exact rows=300 in=4304 out=1152 bias=1",
    "linear_exact rows=1,17 in=2560 out=9728 bias=0 dtype=f32,bf16",
    NULL};
static const char *const patterns_head_projected[] = {"head_projected rows=3 in=2048 out=151936 dtype=bf16",
                                                      NULL};
static const char *const patterns_head_exact[] = {"head_exact rows=2 in=1024 out=151936 dtype=f32",
                                                  "head_exact rows=17 in=1024 out=151936 dtype=bf16", NULL};

PROBE(linear_projected, linear, false, false, "rows", "in", "out", "bias")
PROBE(linear_exact, linear, true, false, "rows", "in", "out", "bias")
PROBE(head_projected, output_head, false, true, "rows", "in", "out")
PROBE(head_exact, output_head, true, true, "rows", "in", "out")
