/* Row softmax: y = r( exp(x - max) / sum exp(x - max) ). */
#include "ref/kernels.h"

void qvl_ref_softmax_row(int64_t n, const double *x, double *y)
{
    double most = -INFINITY;
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        if (x[j] > most)
            most = x[j];
    for (int64_t j = 0; j < n; j++) {
        y[j] = x[j] == -INFINITY ? 0 : exp(x[j] - most);
        sum += y[j];
    }
    for (int64_t j = 0; j < n && sum != 0; j++)
        y[j] /= sum;
}

/* A relative error e_j of each exponential moves y_j by y_j (e_j + sum_i y_i e_i). e_j: x - max is rounded,
 * and so is its product with log2 e where the kernel has a power of two only. The sum of n terms, its
 * reciprocal and the product with that add theirs. */
void qvl_ref_softmax_bound(int64_t n, const double *x, const double *y, const double *x_bound,
                           const struct qvl_condition *cond, double *bound)
{
    const double terms = qvl_bound_terms(n, y, bound);
    double most = -INFINITY;
    double mean = 0;
    for (int64_t j = 0; j < n; j++)
        if (x[j] > most)
            most = x[j];
    for (int64_t j = 0; j < n; j++) {
        bound[j] = 0;
        if (isfinite(x[j]) && isfinite(most))
            bound[j] =
                (x_bound ? x_bound[j] : 0) + (2 * (most - x[j]) + QVL_BOUND_FUNCTION) * cond->accumulate;
        mean += y[j] * bound[j];
    }
    for (int64_t j = 0; j < n; j++)
        bound[j] = y[j] * (bound[j] + mean + qvl_bound_sum(cond, terms, 1) +
                           (QVL_BOUND_FUNCTION + 1) * cond->accumulate) +
                   QVL_BOUND_UNDERFLOW;
}

enum qvl_status qvl_ref_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->x.shape[1];
    double *x, *y, *bound;
    QVL_TRY(qvl_softmax_check(args, error));
    QVL_TRY(qvl_ref_doubles("softmax", 3 * n, &x, error));
    y = x + n;
    bound = y + n;
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        qvl_ref_load(&args->x, i, 0, x);
        qvl_ref_softmax_row(n, x, y);
        if (args->cond) {
            qvl_ref_softmax_bound(n, x, y, NULL, args->cond, bound);
            for (int64_t j = 0; j < n; j++)
                qvl_bound_put(args->cond, i * n + j, y[j], bound[j]);
        }
        qvl_round_row(&r, n, y);
        qvl_ref_store(y, &args->y, i, 0);
    }
    free(x);
    return QVL_OK;
}
