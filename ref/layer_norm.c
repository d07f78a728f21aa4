/* LayerNorm (Ba et al. 2016): y = r( (x - mean) / sqrt(var + eps) w + b ), var = mean((x - mean)^2). */
#include "ref/kernels.h"

static void moments(int64_t n, const double *x, double *mean, double *variance)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += x[j];
    *mean = sum / (double)n;
    sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += (x[j] - *mean) * (x[j] - *mean);
    *variance = sum / (double)n;
}

void qvl_ref_layer_norm_row(const struct qvl_ref_norm *norm, const double *x, double *y)
{
    double mean, variance, scale;
    moments(norm->n, x, &mean, &variance);
    scale = 1 / sqrt(variance + norm->eps);
    for (int64_t j = 0; j < norm->n; j++)
        y[j] = (x[j] - mean) * scale * norm->weight[j] + norm->bias[j];
}

/* The mean is off by `shift`; a shift of the mean changes the variance by its square only. The division of
 * the variance by n and its sum with eps are rounded, then 1/sqrt, two products and the sum with the bias. */
void qvl_ref_layer_norm_bound(const struct qvl_ref_norm *norm, const double *x, double *bound)
{
    const struct qvl_condition *cond = norm->cond;
    const double u = cond->accumulate;
    const double terms = qvl_bound_terms(norm->n, x, bound);
    double mean, variance, scale, magnitude = 0, shift, relative;
    moments(norm->n, x, &mean, &variance);
    for (int64_t j = 0; j < norm->n; j++)
        magnitude += fabs(x[j]);
    shift = qvl_bound_sum(cond, terms, magnitude / (double)norm->n) + u * fabs(mean);
    scale = 1 / sqrt(variance + norm->eps);
    relative = 0.5 * scale * scale *
                   (qvl_bound_sum(cond, terms, variance) + u * (2 * variance + norm->eps) + shift * shift) +
               QVL_BOUND_FUNCTION * u;
    for (int64_t j = 0; j < norm->n; j++) {
        const double normal = fabs((x[j] - mean) * scale);
        const double weighted = normal * fabs(norm->weight[j]);
        bound[j] = fabs(norm->weight[j]) * (scale * (shift + u * fabs(x[j] - mean)) + normal * relative) +
                   u * (2 * weighted + fabs(norm->bias[j]));
    }
}

enum qvl_status qvl_ref_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                   struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->x.shape[1];
    double *x, *bound;
    QVL_TRY(qvl_layer_norm_check(args, error));
    QVL_TRY(qvl_ref_doubles("layer_norm", 5 * n, &x, error));
    bound = x + n;
    const struct qvl_ref_norm norm = {
        .n = n, .eps = args->eps, .weight = x + 2 * n, .bias = x + 3 * n, .cond = args->cond};
    double *y = x + 4 * n;
    qvl_load_row(args->weight.data, args->weight.dtype, n, x + 2 * n);
    qvl_load_row(args->bias.data, args->bias.dtype, n, x + 3 * n);
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        qvl_ref_load(&args->x, i, 0, x);
        qvl_ref_layer_norm_row(&norm, x, y);
        if (args->cond) {
            qvl_ref_layer_norm_bound(&norm, x, bound);
            for (int64_t j = 0; j < n; j++)
                qvl_bound_put(args->cond, i * n + j, y[j], bound[j]);
        }
        qvl_round_row(&r, n, y);
        qvl_ref_store(y, &args->y, i, 0);
    }
    free(x);
    return QVL_OK;
}
