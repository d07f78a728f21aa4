/* GELU (Hendrycks and Gimpel 2016), exact and tanh form: y = r( gelu(x) ). */
#include "ref/kernels.h"

static const double SQRT_2_OVER_PI = 0.79788456080286535588;
static const double SQRT_1_OVER_2 = 0.70710678118654752440;

/* gelu(x) = 0.5 x (1 + inner(x)) */
static double inner(enum qvl_gelu_form form, double x)
{
    if (form == QVL_GELU_TANH)
        return tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
    return erf(x * SQRT_1_OVER_2);
}

/* d inner / dx */
static double inner_slope(enum qvl_gelu_form form, double x)
{
    if (form == QVL_GELU_TANH) {
        const double t = inner(form, x);
        return (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x);
    }
    return SQRT_2_OVER_PI * exp(-x * x / 2);
}

double qvl_ref_gelu_value(enum qvl_gelu_form form, double x)
{
    return 0.5 * x * (1 + inner(form, x));
}

/* The argument of tanh or erf is formed with four roundings, the function and the sum 1 + inner keep the
 * absolute error of 1 (they cancel for negative x), and the products two more. */
double qvl_ref_gelu_bound(enum qvl_gelu_form form, double x, double x_bound, const struct qvl_condition *cond)
{
    const double u = cond->accumulate;
    const double slope = fabs(inner_slope(form, x));
    const double half = fabs(0.5 * x);
    const double own = half * slope * fabs(x) * 4 * u + half * (QVL_BOUND_FUNCTION + 1) * u +
                       2 * u * fabs(qvl_ref_gelu_value(form, x));
    return isfinite(x) ? own + (1 + half * slope) * x_bound : 0;
}

enum qvl_status qvl_ref_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                             struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->x.shape[1];
    double *row;
    QVL_TRY(qvl_gelu_check(args, error));
    QVL_TRY(qvl_ref_doubles("gelu", n, &row, error));
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        qvl_ref_load(&args->x, i, 0, row);
        for (int64_t j = 0; j < n; j++) {
            const double y = qvl_ref_gelu_value(args->form, row[j]);
            if (args->cond)
                qvl_bound_put(args->cond, i * n + j, y,
                              qvl_ref_gelu_bound(args->form, row[j], 0, args->cond));
            row[j] = y;
        }
        qvl_round_row(&r, n, row);
        qvl_ref_store(row, &args->y, i, 0);
    }
    free(row);
    return QVL_OK;
}
