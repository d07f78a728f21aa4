/* merger: the whole patch merger, token by token; r() after the norm, fc1 and the activation. */
#include "honest.h"

struct work {
    float *rows, *hidden, *y; /* [tokens][width], [tokens][width], [tokens][out] */
    float *norm_weight, *norm_bias, *fc1_bias, *fc2_bias;
};

static enum qvl_status make_work(const struct qvl_merger_args *args, int64_t tokens, struct work *work,
                                 struct qvl_error *error)
{
    const int64_t width = args->group * args->x.shape[1], out = args->y.shape[1];
    QVL_TRY(honest_floats("merger", tokens * (2 * width + out) + 3 * width + out, &work->rows, error));
    work->hidden = work->rows + tokens * width;
    work->y = work->hidden + tokens * width;
    work->norm_weight = work->y + tokens * out;
    work->norm_bias = work->norm_weight + width;
    work->fc1_bias = work->norm_bias + width;
    work->fc2_bias = work->fc1_bias + width;
    honest_load(args->norm_weight.data, args->x.dtype, args->norm_weight.shape[0], work->norm_weight);
    honest_load(args->norm_bias.data, args->x.dtype, args->norm_bias.shape[0], work->norm_bias);
    honest_load(args->fc1_bias.data, args->x.dtype, width, work->fc1_bias);
    honest_load(args->fc2_bias.data, args->x.dtype, out, work->fc2_bias);
    return QVL_OK;
}

/* The rows of all tokens, normalised and rounded. */
static void normalise(const struct qvl_backend *backend, const struct qvl_merger_args *args,
                      const struct work *work)
{
    const int64_t dim = args->x.shape[1], width = args->group * dim;
    const bool whole = args->norm == QVL_MERGER_NORM_GROUP;
    const bool by_patch = !whole || honest_fault(backend, QVL_FAULT_MERGE_DEEPSTACK_NORM_BEFORE_GROUP);
    const int64_t n = by_patch ? dim : width;
    for (int64_t i = 0; i < args->x.shape[0]; i++)
        honest_load(honest_at(&args->x, i, 0), args->x.dtype, dim, work->rows + i * dim);
    for (int64_t i = 0; i < args->x.shape[0] * dim / n; i++) {
        const int64_t part = whole && by_patch ? i % args->group * dim : 0; /* of a vector of the group */
        const struct honest_layer_norm norm = {.n = n,
                                               .eps = (float)args->eps,
                                               .weight = work->norm_weight + part,
                                               .bias = work->norm_bias + part};
        float *row = work->rows + i * n;
        honest_layer_norm_row(backend, &norm, row, work->hidden);
        for (int64_t j = 0; j < n; j++)
            row[j] = honest_round(args->x.dtype, work->hidden[j]);
    }
}

static void activate(const struct qvl_backend *backend, enum qvl_dtype dtype, int64_t count, float *hidden)
{
    const bool tanh_form = honest_fault(backend, QVL_FAULT_MERGE_GELU_TANH);
    for (int64_t i = 0; i < count; i++) {
        float before = honest_round(dtype, hidden[i]);
        if (honest_fault(backend, QVL_FAULT_VIT_MLP_FP16_OVERFLOW))
            before = honest_round(QVL_F16, before);
        hidden[i] = honest_round(dtype, honest_gelu_value(tanh_form ? QVL_GELU_TANH : QVL_GELU_ERF, before));
    }
}

enum qvl_status honest_merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                              struct qvl_error *error)
{
    const enum qvl_dtype dtype = args->x.dtype;
    const int64_t width = args->group * args->x.shape[1], out = args->y.shape[1], tokens = args->y.shape[0];
    struct work work;
    enum qvl_status status;
    QVL_TRY(qvl_merger_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "merger", error));
    QVL_TRY(honest_weight_check("merger.fc1", args->fc1, QVL_USE_LINEAR, width, width, error));
    QVL_TRY(honest_weight_check("merger.fc2", args->fc2, QVL_USE_LINEAR, out, width, error));
    QVL_TRY(make_work(args, tokens, &work, error));
    normalise(backend, args, &work);
    status = honest_multiply(
        backend,
        &(struct honest_product){
            .weight = args->fc1, .n = tokens, .x = work.rows, .bias = work.fc1_bias, .y = work.hidden},
        error);
    activate(backend, dtype, tokens * width, work.hidden);
    if (status == QVL_OK)
        status = honest_multiply(
            backend,
            &(struct honest_product){
                .weight = args->fc2, .n = tokens, .x = work.hidden, .bias = work.fc2_bias, .y = work.y},
            error);
    for (int64_t i = 0; i < tokens && status == QVL_OK; i++)
        honest_store(work.y + i * out, dtype, out, honest_at(&args->y, i, 0));
    free(work.rows);
    return status;
}
