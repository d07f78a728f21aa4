/* Patch merger: group rows of merge-block order become one token, then fc1, GELU (erf), fc2. The main merger
 * normalises each patch before the grouping, the DeepStack mergers the whole group after it. */
#include "ref/merger.h"

#include "ref/kernels.h"

enum { TOKENS = 64 }; /* tokens computed together */

void qvl_ref_group_rows(int64_t tokens, int64_t group, int64_t dim, const double *rows, double *grouped)
{
    for (int64_t token = 0; token < tokens; token++)
        for (int64_t g = 0; g < group; g++)
            for (int64_t j = 0; j < dim; j++)
                grouped[token * group * dim + g * dim + j] = rows[(token * group + g) * dim + j];
}

struct work {
    double *rows, *rows_bound, *grouped, *grouped_bound, *hidden, *hidden_bound; /* [TOKENS][group * D] */
    double *y, *y_bound;                                                         /* [TOKENS][O] */
    double *norm_weight, *norm_bias, *fc1_bias, *fc2_bias;
};

static enum qvl_status make_work(const struct qvl_merger_args *args, struct work *work,
                                 struct qvl_error *error)
{
    const int64_t width = args->group * args->x.shape[1], out = args->y.shape[1];
    double *at;
    QVL_TRY(qvl_ref_doubles("merger", (6 * TOKENS + 3) * width + (2 * TOKENS + 1) * out, &at, error));
    work->rows = at;
    work->rows_bound = work->rows + TOKENS * width;
    work->grouped = work->rows_bound + TOKENS * width;
    work->grouped_bound = work->grouped + TOKENS * width;
    work->hidden = work->grouped_bound + TOKENS * width;
    work->hidden_bound = work->hidden + TOKENS * width;
    work->norm_weight = work->hidden_bound + TOKENS * width;
    work->norm_bias = work->norm_weight + width;
    work->fc1_bias = work->norm_bias + width;
    work->y = work->fc1_bias + width;
    work->y_bound = work->y + TOKENS * out;
    work->fc2_bias = work->y_bound + TOKENS * out;
    qvl_ref_load(&args->norm_weight, 0, 0, work->norm_weight);
    qvl_ref_load(&args->norm_bias, 0, 0, work->norm_bias);
    qvl_ref_load(&args->fc1_bias, 0, 0, work->fc1_bias);
    qvl_ref_load(&args->fc2_bias, 0, 0, work->fc2_bias);
    return QVL_OK;
}

/* LayerNorm in place on `count` rows of `width`, rounded. */
static void normalise(const struct qvl_merger_args *args, const struct qvl_rounding *r,
                      const struct work *work, int64_t count, int64_t width, double *rows, double *bounds)
{
    const struct qvl_ref_norm norm = {.n = width,
                                      .eps = args->eps,
                                      .weight = work->norm_weight,
                                      .bias = work->norm_bias,
                                      .cond = args->cond};
    for (int64_t i = 0; i < count; i++) {
        double *row = rows + i * width, *bound = bounds + i * width;
        if (args->cond)
            qvl_ref_layer_norm_bound(&norm, row, bound);
        qvl_ref_layer_norm_row(&norm, row, row);
        for (int64_t j = 0; args->cond && j < width; j++)
            bound[j] = qvl_bound_round(r->dtype, row[j], bound[j]);
        qvl_round_row(r, width, row);
    }
}

/* hidden = r( gelu( r( fc1(grouped) ) ) ) in place */
static void activate(const struct qvl_merger_args *args, const struct qvl_rounding *r, int64_t count,
                     double *hidden, double *bound)
{
    for (int64_t i = 0; i < count; i++) {
        const double before = qvl_round(r, hidden[i]);
        const double after = qvl_ref_gelu_value(QVL_GELU_ERF, before);
        if (args->cond) {
            bound[i] = qvl_bound_round(r->dtype, hidden[i], bound[i]);
            bound[i] = qvl_ref_gelu_bound(QVL_GELU_ERF, before, bound[i], args->cond);
            bound[i] = qvl_bound_round(r->dtype, after, bound[i]);
        }
        hidden[i] = qvl_round(r, after);
    }
}

static enum qvl_status merge_tokens(const struct qvl_merger_args *args, const struct qvl_rounding *r,
                                    const struct work *work, int64_t first, int64_t tokens,
                                    struct qvl_error *error)
{
    const int64_t group = args->group, dim = args->x.shape[1], width = group * dim, out = args->y.shape[1];
    for (int64_t i = 0; i < tokens * group; i++)
        qvl_ref_load(&args->x, first * group + i, 0, work->rows + i * dim);
    if (args->norm == QVL_MERGER_NORM_PATCH)
        normalise(args, r, work, tokens * group, dim, work->rows, work->rows_bound);
    qvl_ref_group_rows(tokens, group, dim, work->rows, work->grouped);
    if (args->norm == QVL_MERGER_NORM_GROUP)
        normalise(args, r, work, tokens, width, work->grouped, work->grouped_bound);
    else if (args->cond)
        qvl_ref_group_rows(tokens, group, dim, work->rows_bound, work->grouped_bound);
    QVL_TRY(qvl_ref_product(&(struct qvl_ref_product){.weight = args->fc1,
                                                      .n = tokens,
                                                      .x = work->grouped,
                                                      .bias = work->fc1_bias,
                                                      .y = work->hidden,
                                                      .cond = args->cond,
                                                      .x_bound = work->grouped_bound,
                                                      .y_bound = work->hidden_bound},
                            error));
    activate(args, r, tokens * width, work->hidden, work->hidden_bound);
    QVL_TRY(qvl_ref_product(&(struct qvl_ref_product){.weight = args->fc2,
                                                      .n = tokens,
                                                      .x = work->hidden,
                                                      .bias = work->fc2_bias,
                                                      .y = work->y,
                                                      .cond = args->cond,
                                                      .x_bound = work->hidden_bound,
                                                      .y_bound = work->y_bound},
                            error));
    for (int64_t i = 0; i < tokens; i++) {
        for (int64_t j = 0; args->cond && j < out; j++)
            qvl_bound_put(args->cond, (first + i) * out + j, work->y[i * out + j],
                          work->y_bound[i * out + j]);
        qvl_round_row(r, out, work->y + i * out);
        qvl_ref_store(work->y + i * out, &args->y, first + i, 0);
    }
    return QVL_OK;
}

enum qvl_status qvl_ref_merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                               struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    enum qvl_status status = QVL_OK;
    struct work work;
    int64_t width;
    QVL_TRY(qvl_merger_check(args, error));
    width = args->group * args->x.shape[1];
    QVL_TRY(qvl_ref_weight_check("merger.fc1", args->fc1, width, width, error));
    QVL_TRY(qvl_ref_weight_check("merger.fc2", args->fc2, args->y.shape[1], width, error));
    QVL_TRY(make_work(args, &work, error));
    for (int64_t first = 0; first < args->y.shape[0] && status == QVL_OK; first += TOKENS) {
        const int64_t left = args->y.shape[0] - first;
        status = merge_tokens(args, &r, &work, first, left < TOKENS ? left : TOKENS, error);
    }
    free(work.rows);
    return status;
}
