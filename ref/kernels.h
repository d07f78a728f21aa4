/* What the files of the reference share: its state, its opaque handles, and the parts that ops are made of.
 */
#ifndef QVL_REF_KERNELS_H
#define QVL_REF_KERNELS_H

#include <stdlib.h>

#include "qvl/backend.h"
#include "qvl/check.h"

#include "ref/error_bound.h"
#include "ref/rounding.h"

struct qvl_ref_state {
    bool jitters;
    uint64_t jitter; /* state of the generator of stochastic rounding */
};

struct qvl_weight {
    enum qvl_dtype dtype;
    const char *data;         /* borrowed from the checkpoint, or `owned` */
    void *owned;              /* NULL when borrowed */
    int64_t experts, out, in; /* experts is 1 but for QVL_USE_EXPERTS */
    bool input_first;         /* [experts, in, out] instead of [experts, out, in] */
};

struct qvl_cache {
    struct qvl_cache_desc desc;
    int64_t *length; /* [layers] */
    char *k, *v;     /* [layers][capacity][kv_heads][head_dim] */
};

/* One function an op: `qvl_ref_NAME`, the entry of the table. */
#define QVL_REF_DECLARE(name)                                                                                \
    enum qvl_status qvl_ref_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,        \
                                   struct qvl_error *error);
QVL_OPS(QVL_REF_DECLARE)
#undef QVL_REF_DECLARE

/* How results of `dtype` are rounded by this backend. */
static inline struct qvl_rounding qvl_ref_rounding(struct qvl_backend *backend, enum qvl_dtype dtype)
{
    struct qvl_ref_state *state = backend->state;
    return (struct qvl_rounding){dtype, state->jitters ? &state->jitter : NULL};
}

/* Address of row i of a matrix, or of row j in group i of a tensor of three axes. */
static inline void *qvl_ref_at(const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    const int64_t offset = i * tensor->stride[0] + (tensor->rank > 2 ? j * tensor->stride[1] : 0);
    return (char *)tensor->data + (size_t)offset * qvl_dtype_bytes(tensor->dtype);
}

static inline void qvl_ref_load(const struct qvl_tensor *tensor, int64_t i, int64_t j, double *row)
{
    qvl_load_row(qvl_ref_at(tensor, i, j), tensor->dtype, tensor->shape[tensor->rank - 1], row);
}

/* Store a row whose values are already rounded. */
static inline void qvl_ref_store(const double *row, const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    qvl_store_row(row, tensor->dtype, tensor->shape[tensor->rank - 1], qvl_ref_at(tensor, i, j));
}

/* `count` doubles (at least one), to be freed by the caller. */
enum qvl_status qvl_ref_doubles(const char *op, int64_t count, double **doubles, struct qvl_error *error);

/* The cache layer exists and has this geometry and type. */
enum qvl_status qvl_ref_cache_check(const char *op, const struct qvl_cache *cache, int64_t layer,
                                    enum qvl_dtype dtype, int64_t head_dim, struct qvl_error *error);

/* Row `row` of head `head` of a cache layer in `store` (cache->k or cache->v). */
static inline char *qvl_ref_cache_at(const struct qvl_cache *cache, char *store, int64_t layer, int64_t row,
                                     int64_t head)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    const int64_t index = ((layer * desc->capacity + row) * desc->kv_heads + head) * desc->head_dim;
    return store + (size_t)index * qvl_dtype_bytes(desc->storage);
}

/* Row o of expert e as [in] doubles; exact. */
void qvl_ref_weight_row(const struct qvl_weight *weight, int64_t expert, int64_t o, double *row);

/* QVL_USAGE unless the weight is [out, in]; QVL_CHECK_ANY matches anything. `where` is "op.field". */
enum qvl_status qvl_ref_weight_check(const char *where, const struct qvl_weight *weight, int64_t out,
                                     int64_t in, struct qvl_error *error);

/* Matrix product of one expert: y[i][o] = sum_k x[i][k] W[o][k] + bias[o], unrounded. x [n][in], bias [out]
 * or NULL, y [n][out]. With `cond`, x_bound [n][in] (NULL: x is exact) is carried through to y_bound
 * [n][out]. */
struct qvl_ref_product {
    const struct qvl_weight *weight;
    int64_t expert;
    int64_t n;
    const double *x;
    const double *bias;
    double *y;
    const struct qvl_condition *cond;
    const double *x_bound;
    double *y_bound;
};
enum qvl_status qvl_ref_product(const struct qvl_ref_product *product, struct qvl_error *error);

/* A whole layer on tensors: y[i] = r( W x[rows[i]] + bias ). `rows` NULL: in order; `round_input`: x becomes
 * r(x) first. `bias` may be NULL. */
struct qvl_ref_projection {
    const struct qvl_tensor *x;
    const int64_t *rows;
    bool round_input;
    const struct qvl_weight *weight;
    const struct qvl_tensor *bias;
    const struct qvl_tensor *y;
    const struct qvl_condition *cond;
};
enum qvl_status qvl_ref_project(struct qvl_backend *backend, const struct qvl_ref_projection *projection,
                                struct qvl_error *error);

/* LayerNorm of one row, unrounded. With `cond` also its bounds; x_bound may be NULL. y may be x. */
struct qvl_ref_norm {
    int64_t n;
    double eps;
    const double *weight, *bias;
    const struct qvl_condition *cond;
};
void qvl_ref_layer_norm_row(const struct qvl_ref_norm *norm, const double *x, double *y);
void qvl_ref_layer_norm_bound(const struct qvl_ref_norm *norm, const double *x, double *bound);

double qvl_ref_gelu_value(enum qvl_gelu_form form, double x);
/* Bound of gelu(x) when x itself is off by x_bound. */
double qvl_ref_gelu_bound(enum qvl_gelu_form form, double x, double x_bound,
                          const struct qvl_condition *cond);

double qvl_ref_silu_value(double gate);
double qvl_ref_silu_bound(double gate, double gate_bound, const struct qvl_condition *cond);

/* y = softmax(x), unrounded, n values; y may be x. A row of -inf becomes zeros. */
void qvl_ref_softmax_row(int64_t n, const double *x, double *y);
/* bound of each y when x is off by x_bound (NULL: exact). */
void qvl_ref_softmax_bound(int64_t n, const double *x, const double *y, const double *x_bound,
                           const struct qvl_condition *cond, double *bound);

/* Attention of one query head over the keys and values of one KV head. Set the first five fields, open, set
 * the keys, then per query: load q, set `keys`, call. float32 holds every storage type exactly. */
struct qvl_ref_attend {
    int64_t head_dim;
    int64_t capacity; /* keys there is room for */
    double scale;
    struct qvl_rounding rounding;
    const struct qvl_condition *cond;
    int64_t keys;    /* that the query sees: 0 .. keys - 1 */
    float *k_lanes;  /* [head_dim][capacity] */
    float *v;        /* [capacity][head_dim] */
    double *q, *y;   /* [head_dim]; y is not rounded */
    double *y_bound; /* [head_dim], with cond */
    double *work;    /* [4 capacity] */
};
enum qvl_status qvl_ref_attend_open(struct qvl_ref_attend *attend, const char *op, struct qvl_error *error);
void qvl_ref_attend_close(struct qvl_ref_attend *attend);
/* Key and value j, rows of the storage type. */
void qvl_ref_attend_set(struct qvl_ref_attend *attend, int64_t j, const void *k, const void *v);
/* s = r(r(q.k) scale), p = r(softmax(s)), y = sum p v. */
void qvl_ref_attend(struct qvl_ref_attend *attend);

#endif
