/* Rotary embedding, rotate-half form: y = x cos + rot(x) sin, rot(x) = [-x[d/2:], x[:d/2]]. */
#include "ref/kernels.h"

/* One component: straight * cosine + turned * sine, before the last rounding. */
static double rotate(const struct qvl_rope_args *args, const struct qvl_rounding *r, double straight,
                     double cosine, double turned, double sine)
{
    if (args->rounding == QVL_ROPE_ROUND_EACH)
        return qvl_round(r, straight * cosine) + qvl_round(r, turned * sine);
    return straight * cosine + turned * sine;
}

static double rotate_bound(const struct qvl_rope_args *args, enum qvl_dtype dtype, double straight,
                           double cosine, double turned, double sine)
{
    const struct qvl_condition *cond = args->cond;
    const double a = straight * cosine, b = turned * sine;
    if (args->rounding == QVL_ROPE_ROUND_EACH)
        return qvl_bound_round(dtype, a, qvl_bound_product(cond, dtype, a)) +
               qvl_bound_round(dtype, b, qvl_bound_product(cond, dtype, b)) +
               cond->accumulate * fabs(qvl_round_nearest(dtype, a) + qvl_round_nearest(dtype, b));
    return qvl_bound_sum(cond, 2, fabs(a) + fabs(b));
}

enum qvl_status qvl_ref_rope(struct qvl_backend *backend, const struct qvl_rope_args *args,
                             struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t heads = args->x.shape[1], d = args->x.shape[2], half = d / 2;
    double *x, *y, *cosine, *sine;
    QVL_TRY(qvl_rope_check(args, error));
    QVL_TRY(qvl_ref_doubles("rope", 3 * d, &x, error));
    y = x + d;
    cosine = y + d;
    sine = cosine + half;
    for (int64_t row = 0; row < args->x.shape[0] * heads; row++) {
        const int64_t i = row / heads, h = row % heads;
        qvl_ref_load(&args->x, i, h, x);
        qvl_ref_load(&args->cos, i, 0, cosine);
        qvl_ref_load(&args->sin, i, 0, sine);
        for (int64_t j = 0; j < d; j++) {
            const int64_t lane = j % half;
            const double turned = j < half ? -x[j + half] : x[j - half];
            y[j] = rotate(args, &r, x[j], cosine[lane], turned, sine[lane]);
            if (args->cond)
                qvl_bound_put(args->cond, row * d + j, y[j],
                              rotate_bound(args, r.dtype, x[j], cosine[lane], turned, sine[lane]));
        }
        qvl_round_row(&r, d, y);
        qvl_ref_store(y, &args->y, i, h);
    }
    free(x);
    return QVL_OK;
}
