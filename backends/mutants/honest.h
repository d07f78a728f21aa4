/* What the files of the honest backend share: its state with the fault that is switched on, its opaque
 * handles, and the parts that kernels are made of. Arithmetic is float32; r() goes from float32 to the
 * storage type. */
#ifndef QVL_BACKENDS_MUTANTS_HONEST_H
#define QVL_BACKENDS_MUTANTS_HONEST_H

#include <stdlib.h>

#include "qvl/backend.h"
#include "qvl/check.h"

#include "faults.h"
#include "mutants.h"

/* What a fault of the kind "state leaks from call to call" keeps. The honest kernels never look at it. */
struct honest_leak {
    int64_t calls; /* of linear */
    float *row;    /* the first input row of an earlier call, `width` floats */
    int64_t width;
    int64_t visible; /* keys that the first decoded row saw, 0: none yet */
};

struct honest_state {
    enum qvl_sum_order order;
    enum qvl_fault fault; /* QVL_FAULT_NONE: honest */
    struct honest_leak leak;
    char description[256];
};

struct qvl_weight {
    enum qvl_dtype dtype;
    unsigned use;
    const char *data;         /* borrowed, or `owned` */
    void *owned;              /* NULL when borrowed */
    int64_t experts, out, in; /* experts is 1 but for QVL_USE_EXPERTS */
    bool input_first;         /* [experts, in, out] */
};

struct qvl_cache {
    struct qvl_cache_desc desc;
    int64_t *length; /* [layers] */
    char *k, *v;     /* [layers][kv_heads][capacity][head_dim]; rows that were never written hold NaN */
};

/* One function an op: honest_NAME, the entry of the table. */
#define HONEST_DECLARE(name)                                                                                 \
    enum qvl_status honest_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,         \
                                  struct qvl_error *error);
QVL_OPS(HONEST_DECLARE)
#undef HONEST_DECLARE

enum qvl_status honest_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error);
void honest_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight);
enum qvl_status honest_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error);
void honest_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache);
int64_t honest_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer);
enum qvl_status honest_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error);
enum qvl_status honest_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error);
enum qvl_status honest_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                    int64_t first, int64_t count, void *host_k, void *host_v,
                                    struct qvl_error *error);

/* Whether this instance has the fault. */
static inline bool honest_fault(const struct qvl_backend *backend, enum qvl_fault fault)
{
    const struct honest_state *state = backend->state;
    return state->fault == fault;
}

/* ---- sums in the order of the instance (sums.c) ---- */

float honest_dot(enum qvl_sum_order order, int64_t n, const float *a, const float *b);
float honest_sum(enum qvl_sum_order order, int64_t n, const float *a);

/* ---- storage ---- */

static inline float honest_get(const void *data, enum qvl_dtype dtype, int64_t index)
{
    const char *at = (const char *)data + index * (int64_t)qvl_dtype_bytes(dtype);
    float value;
    uint16_t bits;
    if (dtype == QVL_F32) {
        memcpy(&value, at, sizeof value); /* mapped checkpoints are not aligned */
        return value;
    }
    memcpy(&bits, at, sizeof bits);
    return dtype == QVL_BF16 ? qvl_bf16_to_f32(bits) : qvl_f16_to_f32(bits);
}

static inline void honest_put(void *data, enum qvl_dtype dtype, int64_t index, float value)
{
    char *at = (char *)data + index * (int64_t)qvl_dtype_bytes(dtype);
    if (dtype == QVL_F32) {
        memcpy(at, &value, sizeof value);
    } else {
        const uint16_t bits = dtype == QVL_BF16 ? qvl_f32_to_bf16(value) : qvl_f32_to_f16(value);
        memcpy(at, &bits, sizeof bits);
    }
}

/* r(): the value that storage would keep. */
static inline float honest_round(enum qvl_dtype dtype, float value)
{
    switch (dtype) {
    case QVL_BF16: return qvl_bf16_to_f32(qvl_f32_to_bf16(value));
    case QVL_F16: return qvl_f16_to_f32(qvl_f32_to_f16(value));
    default: return value;
    }
}

void honest_load(const void *data, enum qvl_dtype dtype, int64_t n, float *row);
void honest_store(const float *row, enum qvl_dtype dtype, int64_t n, void *data);

/* Element offset of row i of a matrix, or of row j in group i of a tensor of three axes. */
static inline int64_t honest_offset(const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    return i * tensor->stride[0] + (tensor->rank > 2 ? j * tensor->stride[1] : 0);
}

static inline void *honest_at(const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    return (char *)tensor->data + honest_offset(tensor, i, j) * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

/* As honest_at with the element offset in 32 bits when this instance has that fault. */
static inline void *honest_at_or_32(const struct qvl_backend *backend, enum qvl_fault fault,
                                    const struct qvl_tensor *tensor, int64_t i, int64_t j)
{
    int64_t offset = honest_offset(tensor, i, j);
    if (honest_fault(backend, fault))
        offset = (int64_t)(uint32_t)offset;
    return (char *)tensor->data + offset * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

static inline int64_t honest_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- parts of kernels ---- */

/* `count` floats (at least one), to be freed by the caller. */
enum qvl_status honest_floats(const char *op, int64_t count, float **floats, struct qvl_error *error);

/* QVL_UNSUPPORTED when an error analysis is asked for. */
enum qvl_status honest_no_cond(const struct qvl_condition *cond, const char *op, struct qvl_error *error);

/* The weight was prepared for `use` and has this shape (QVL_CHECK_ANY: any) and type. */
enum qvl_status honest_weight_check(const char *where, const struct qvl_weight *weight, unsigned use,
                                    int64_t out, int64_t in, struct qvl_error *error);

/* Row o of the matrix of an expert. */
void honest_weight_row(const struct qvl_weight *weight, int64_t expert, int64_t o, float *row);

/* The cache layer exists and has this geometry and type. */
enum qvl_status honest_cache_check(const char *op, const struct qvl_cache *cache, int64_t layer,
                                   enum qvl_dtype dtype, int64_t kv_heads, int64_t head_dim,
                                   struct qvl_error *error);

/* Row `row` of KV head `head` of a layer in `store` (cache->k or cache->v). */
static inline char *honest_cache_at(const struct qvl_cache *cache, char *store, int64_t layer, int64_t head,
                                    int64_t row)
{
    const struct qvl_cache_desc *desc = &cache->desc;
    return store + ((layer * desc->kv_heads + head) * desc->capacity + row) * desc->head_dim *
                       (int64_t)qvl_dtype_bytes(desc->storage);
}

/* A matrix product in float32 before its last rounding (linear.c). */
struct honest_product {
    const struct qvl_weight *weight;
    int64_t expert;
    int64_t n;
    const float *x;    /* [n][in] */
    const float *bias; /* [out] or NULL */
    float *y;          /* [n][out] */
};
enum qvl_status honest_multiply(struct qvl_backend *backend, const struct honest_product *product,
                                struct qvl_error *error);

/* y = (x - mean) / sqrt(var + eps) * weight + bias before its last rounding (norm.c). */
struct honest_layer_norm {
    int64_t n;
    float eps;
    const float *weight, *bias;
};
void honest_layer_norm_row(const struct qvl_backend *backend, const struct honest_layer_norm *norm,
                           const float *x, float *y);

/* gelu(x) and silu(x) before their rounding (elementwise.c). */
float honest_gelu_value(enum qvl_gelu_form form, float x);
float honest_silu_value(float x);

/* Softmax of a row; a row of -inf gives zeros (elementwise.c). */
void honest_softmax_row(enum qvl_sum_order order, int64_t n, const float *x, float *y);

/* Row and column of patch `index` of a frame that is listed in merge blocks (rotary.c). */
void honest_block_order(int64_t index, int64_t width, int64_t merge, int64_t *row, int64_t *column);

/* Frequencies of a rotary embedding (frequencies.c). Both of n = dim / 2 entries. */
struct honest_frequencies {
    double theta;
    int64_t dim;
    const struct qvl_rope_scaling *scaling; /* NULL: none */
};
void honest_frequencies_f32(const struct qvl_backend *backend, const struct honest_frequencies *spec,
                            float *inv_freq);
void honest_frequencies_f64(const struct qvl_backend *backend, const struct honest_frequencies *spec,
                            double *inv_freq);
double honest_attention_factor(const struct qvl_backend *backend, const struct qvl_rope_scaling *scaling);

#endif
