/* SwiGLU (Shazeer 2020): y = r( r(silu(gate)) up ). */
#include "ref/kernels.h"

double qvl_ref_silu_value(double gate)
{
    return gate / (1 + exp(-gate));
}

/* silu' = sigmoid (1 + g (1 - sigmoid)); the exponential loses roundoffs of its argument as well as its own,
 * then come a sum and a division. */
double qvl_ref_silu_bound(double gate, double gate_bound, const struct qvl_condition *cond)
{
    const double sigmoid = 1 / (1 + exp(-gate));
    const double value = fabs(qvl_ref_silu_value(gate));
    const double own = value * (2 * QVL_BOUND_FUNCTION + 1 + fabs(gate) * (1 - sigmoid)) * cond->accumulate;
    if (!isfinite(gate))
        return 0;
    return own + sigmoid * (1 + fabs(gate) * (1 - sigmoid)) * gate_bound +
           (1 + fabs(gate)) * QVL_BOUND_UNDERFLOW;
}

enum qvl_status qvl_ref_swiglu(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                               struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->y.shape[1];
    double *gate, *up;
    QVL_TRY(qvl_swiglu_check(args, error));
    QVL_TRY(qvl_ref_doubles("swiglu", 2 * n, &gate, error));
    up = gate + n;
    for (int64_t i = 0; i < args->y.shape[0]; i++) {
        qvl_ref_load(&args->gate, i, 0, gate);
        qvl_ref_load(&args->up, i, 0, up);
        for (int64_t j = 0; j < n; j++) {
            const double silu = qvl_ref_silu_value(gate[j]);
            const double y = qvl_round(&r, silu) * up[j];
            if (args->cond) {
                const double bound = qvl_ref_silu_bound(gate[j], 0, args->cond);
                qvl_bound_put(args->cond, i * n + j, y,
                              qvl_bound_round(r.dtype, silu, bound) * fabs(up[j]) +
                                  qvl_bound_product(args->cond, r.dtype, y));
            }
            gate[j] = y;
        }
        qvl_round_row(&r, n, gate);
        qvl_ref_store(gate, &args->y, i, 0);
    }
    free(gate);
    return QVL_OK;
}
