/* Scaled dot-product attention of one query (Vaswani et al. 2017, eq. 1), with the rounding points of the
 * eager implementation: s = r( r(q.k) scale ), p = r( softmax(s) ), y = sum p v. */
#include "ref/kernels.h"

enum { BLOCK = 512 }; /* keys whose sums stay in the first-level cache */

enum qvl_status qvl_ref_attend_open(struct qvl_ref_attend *attend, const char *op, struct qvl_error *error)
{
    const int64_t d = attend->head_dim, capacity = attend->capacity;
    QVL_TRY(qvl_ref_doubles(op, 3 * d + 4 * capacity + d * capacity, &attend->q, error));
    attend->y = attend->q + d;
    attend->y_bound = attend->y + d;
    attend->work = attend->y_bound + d;
    attend->k_lanes = (float *)(attend->work + 4 * capacity);
    attend->v = attend->k_lanes + d * capacity;
    return QVL_OK;
}

void qvl_ref_attend_close(struct qvl_ref_attend *attend)
{
    free(attend->q);
}

void qvl_ref_attend_set(struct qvl_ref_attend *attend, int64_t j, const void *k, const void *v)
{
    double *row = attend->y;
    qvl_load_row(k, attend->rounding.dtype, attend->head_dim, row);
    for (int64_t c = 0; c < attend->head_dim; c++)
        attend->k_lanes[c * attend->capacity + j] = (float)row[c];
    qvl_load_row(v, attend->rounding.dtype, attend->head_dim, row);
    for (int64_t c = 0; c < attend->head_dim; c++)
        attend->v[j * attend->head_dim + c] = (float)row[c];
}

/* products[j] = q . k_j, each sum in the order of the lanes */
static void multiply_keys(const struct qvl_ref_attend *attend, double *products)
{
    for (int64_t first = 0; first < attend->keys; first += BLOCK) {
        const int64_t last = first + BLOCK < attend->keys ? first + BLOCK : attend->keys;
        for (int64_t j = first; j < last; j++)
            products[j] = 0;
        for (int64_t c = 0; c < attend->head_dim; c++) {
            const float *lane = attend->k_lanes + c * attend->capacity;
            for (int64_t j = first; j < last; j++)
                products[j] += attend->q[c] * (double)lane[j];
        }
    }
}

/* Bounds of s = r(r(product) scale). */
static void scores_bound(const struct qvl_ref_attend *attend, const double *products, double *bound)
{
    const enum qvl_dtype dtype = attend->rounding.dtype;
    for (int64_t j = 0; j < attend->keys; j++) {
        double magnitude = 0;
        for (int64_t c = 0; c < attend->head_dim; c++)
            magnitude += fabs(attend->q[c] * (double)attend->k_lanes[c * attend->capacity + j]);
        const double score = qvl_round_nearest(dtype, products[j]) * attend->scale;
        bound[j] = qvl_bound_sum(attend->cond, attend->head_dim, magnitude);
        bound[j] = qvl_bound_round(dtype, products[j], bound[j]);
        bound[j] = bound[j] * fabs(attend->scale) + attend->cond->accumulate * fabs(score);
        bound[j] = qvl_bound_round(dtype, score, bound[j]);
    }
}

/* Bounds of y from those of p before its rounding. */
static void values_bound(const struct qvl_ref_attend *attend, const double *p, const double *bound)
{
    for (int64_t c = 0; c < attend->head_dim; c++)
        attend->y_bound[c] = 0;
    for (int64_t j = 0; j < attend->keys; j++) {
        const double after = qvl_bound_round(attend->rounding.dtype, p[j], bound[j]);
        const double own = qvl_bound_sum(attend->cond, attend->keys, p[j]);
        for (int64_t c = 0; c < attend->head_dim; c++)
            attend->y_bound[c] += (after + own) * fabs((double)attend->v[j * attend->head_dim + c]);
    }
}

void qvl_ref_attend(struct qvl_ref_attend *attend)
{
    const int64_t keys = attend->keys, d = attend->head_dim;
    double *s = attend->work, *p = s + keys, *s_bound = p + keys, *p_bound = s_bound + keys;
    multiply_keys(attend, s);
    if (attend->cond)
        scores_bound(attend, s, s_bound);
    qvl_round_row(&attend->rounding, keys, s);
    for (int64_t j = 0; j < keys; j++)
        s[j] *= attend->scale;
    qvl_round_row(&attend->rounding, keys, s);
    qvl_ref_softmax_row(keys, s, p);
    if (attend->cond) {
        qvl_ref_softmax_bound(keys, s, p, s_bound, attend->cond, p_bound);
        values_bound(attend, p, p_bound);
    }
    qvl_round_row(&attend->rounding, keys, p);
    for (int64_t c = 0; c < d; c++)
        attend->y[c] = 0;
    for (int64_t j = 0; j < keys; j++)
        for (int64_t c = 0; c < d; c++)
            attend->y[c] += p[j] * (double)attend->v[j * d + c];
}
