/* Scaled dot-product attention of one query (Vaswani et al. 2017, eq. 1), with the rounding points of the
 * eager implementation: s = r( r(q.k) scale ), p = r( softmax(s) ), y = sum p v. */
#include "ref/kernels.h"

/* Bounds of s in `bound`; on entry p holds r(q.k) unrounded, on return s. */
static void scores_bound(const struct qvl_ref_attend *attend, const double *q, const double *products,
                         double *bound)
{
    const enum qvl_dtype dtype = attend->rounding.dtype;
    for (int64_t j = 0; j < attend->keys; j++) {
        double magnitude = 0, score, rounded;
        for (int64_t c = 0; c < attend->head_dim; c++)
            magnitude += fabs(q[c] * attend->k_lanes[c * attend->key_stride + j]);
        rounded = qvl_round_nearest(dtype, products[j]);
        score = rounded * attend->scale;
        bound[j] =
            qvl_bound_round(dtype, products[j], qvl_bound_sum(attend->cond, attend->head_dim, magnitude));
        bound[j] = bound[j] * fabs(attend->scale) + attend->cond->accumulate * fabs(score);
        bound[j] = qvl_bound_round(dtype, score, bound[j]);
    }
}

/* Bounds of y from those of the rounded p. */
static void values_bound(const struct qvl_ref_attend *attend, const double *p, const double *bound)
{
    for (int64_t c = 0; c < attend->head_dim; c++)
        attend->y_bound[c] = 0;
    for (int64_t j = 0; j < attend->keys; j++) {
        const double after = qvl_bound_round(attend->rounding.dtype, p[j], bound[j]);
        const double own = qvl_bound_sum(attend->cond, attend->keys, p[j]);
        for (int64_t c = 0; c < attend->head_dim; c++)
            attend->y_bound[c] += (after + own) * fabs(attend->v[j * attend->head_dim + c]);
    }
}

void qvl_ref_attend(const struct qvl_ref_attend *attend, const double *q, double *y)
{
    const int64_t keys = attend->keys, d = attend->head_dim;
    double *p = attend->p, *s_bound = p + keys, *p_bound = s_bound + keys;
    for (int64_t j = 0; j < keys; j++)
        p[j] = 0;
    for (int64_t c = 0; c < d; c++)
        for (int64_t j = 0; j < keys; j++)
            p[j] += q[c] * attend->k_lanes[c * attend->key_stride + j];
    if (attend->cond)
        scores_bound(attend, q, p, s_bound);
    qvl_round_row(&attend->rounding, keys, p);
    for (int64_t j = 0; j < keys; j++)
        p[j] *= attend->scale;
    qvl_round_row(&attend->rounding, keys, p);
    if (attend->cond) {
        double *scores = p_bound + keys;
        memcpy(scores, p, (size_t)keys * sizeof *p);
        qvl_ref_softmax_row(keys, p, p);
        qvl_ref_softmax_bound(keys, scores, p, s_bound, attend->cond, p_bound);
        values_bound(attend, p, p_bound);
    } else {
        qvl_ref_softmax_row(keys, p, p);
    }
    qvl_round_row(&attend->rounding, keys, p);
    for (int64_t c = 0; c < d; c++)
        y[c] = 0;
    for (int64_t j = 0; j < keys; j++)
        for (int64_t c = 0; c < d; c++)
            y[c] += p[j] * attend->v[j * d + c];
}
