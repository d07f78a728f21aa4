/* What the files of the cpu backend share: its state, scratch memory, weights, caches and matrix product. */
#ifndef QVL_CPU_STATE_H
#define QVL_CPU_STATE_H

#include "qvl/check.h"

#include "bf16.h"
#include "blas.h"
#include "simd.h"

#define CPU_ALIGNMENT 64

struct cpu_scratch_block {
    char *data;
    size_t bytes;
    size_t used;
};

#define CPU_SCRATCH_BLOCKS 32 /* more than any op asks for in one call */

/* A stack of memory that lives as long as the backend. Pointers stay valid until the mark below them is
 * released; blocks are kept for the next call. */
struct cpu_scratch {
    struct cpu_scratch_block block[CPU_SCRATCH_BLOCKS];
    int count;
    int current;
    size_t wish; /* smallest size of the next block */
};

struct cpu_mark {
    int block;
    size_t used;
};

struct cpu_state {
    int threads;
    enum qvl_cpu_isa isa;
    const struct cpu_simd *simd; /* borrowed, static */
    const struct cpu_bf16 *bf16; /* borrowed, static; NULL without bf16 instructions */
    struct cpu_blas blas;
    struct cpu_scratch scratch;
    char description[256];
};

/* The state of a backend, with its scratch stack emptied: the first line of every op. */
struct cpu_state *qvl_cpu_enter(struct qvl_backend *backend);

/* `bytes` of memory aligned to 64 bytes, contents undefined; NULL, with the error recorded, when there is
 * none. */
void *qvl_cpu_scratch(struct cpu_state *state, int64_t bytes, struct qvl_error *error);

/* pointer = scratch memory, or return QVL_NO_MEMORY. */
#define CPU_SCRATCH(state, pointer, bytes, error)                                                            \
    do {                                                                                                     \
        (pointer) = qvl_cpu_scratch(state, bytes, error);                                                    \
        if (!(pointer))                                                                                      \
            return QVL_NO_MEMORY;                                                                            \
    } while (0)

struct cpu_mark qvl_cpu_scratch_mark(const struct cpu_state *state);
void qvl_cpu_scratch_release(struct cpu_state *state, struct cpu_mark mark);
void qvl_cpu_scratch_free(struct cpu_state *state);

/* Memory aligned to 64 bytes; NULL when there is none or the machine has less. free() releases it. Large
 * pieces are committed when first touched. */
void *qvl_cpu_memory(int64_t bytes);

/* Physical memory of the machine. */
int64_t qvl_cpu_machine_bytes(void);

/* Threads that `work` is worth: one where starting the others would cost more than it saves. The unit is one
 * element of an elementwise op, about a nanosecond; a multiply-add of a matrix product counts as 1/CPU_MAC.
 */
#define CPU_MAC 16
static inline int qvl_cpu_team(const struct cpu_state *state, int64_t work)
{
    return work < (1 << 15) ? 1 : state->threads;
}

static inline int64_t qvl_cpu_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Inside an OpenMP region: let OpenBLAS calls of this thread run on this thread alone. Every region that
 * calls it does so, also a region of one thread, which OpenBLAS would not recognise as parallel. */
void qvl_cpu_single_blas(void);

/* Number of the calling thread inside an OpenMP region. */
int qvl_cpu_thread(void);

/* Ops other than the reference fill no condition sums. */
enum qvl_status qvl_cpu_no_cond(const struct qvl_condition *cond, const char *op, struct qvl_error *error);

static inline char *qvl_cpu_at(const struct qvl_tensor *tensor, int64_t row)
{
    return (char *)tensor->data + row * tensor->stride[0] * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

static inline char *qvl_cpu_at2(const struct qvl_tensor *tensor, int64_t row, int64_t head)
{
    return (char *)tensor->data +
           (row * tensor->stride[0] + head * tensor->stride[1]) * (int64_t)qvl_dtype_bytes(tensor->dtype);
}

/* A matrix as stored: [out, in], or [in, out] when input_first; contiguous. */
struct cpu_matrix {
    const void *data;
    enum qvl_dtype dtype;
    int64_t out, in;
    bool input_first;
};

struct qvl_weight {
    const void *data; /* borrowed from the caller when its type is the storage type and it is aligned */
    void *owned;      /* else a converted copy */
    enum qvl_dtype dtype;
    unsigned use;
    bool input_first;
    int64_t experts; /* 1 for a plain matrix */
    int64_t out, in; /* for QVL_USE_ROWS: rows, dim */
};

/* One expert of a weight (0 for a plain matrix). */
struct cpu_matrix qvl_cpu_matrix(const struct qvl_weight *weight, int64_t expert);

/* QVL_USAGE unless the weight was prepared for `use` and has the given shape (-1: any). `where` is
 * "op.field". */
enum qvl_status qvl_cpu_weight_fits(const struct qvl_weight *weight, unsigned use, int64_t out, int64_t in,
                                    const char *where, struct qvl_error *error);

/* y[i][o] = round( sum_k x[i][k] * W[o][k] + bias[o] ): x [n, in], y [n, out], row strides free, any storage
 * types; bias [out] or NULL. Sums in float32. */
enum qvl_status qvl_cpu_gemm(struct cpu_state *state, const struct qvl_tensor *x,
                             const struct cpu_matrix *weight, const struct qvl_tensor *bias,
                             const struct qvl_tensor *y, struct qvl_error *error);

/* y = r( r(silu(gate)) * up ) for `count` contiguous elements. In place allowed. */
void qvl_cpu_swiglu_piece(const struct cpu_simd *simd, enum qvl_dtype dtype, const void *gate, const void *up,
                          void *y, int64_t count);

/* LayerNorm of one row of `dim` values of type `dtype`; weight and bias as float32, `values` [dim] is
 * scratch. */
void qvl_cpu_layer_norm_row(const struct cpu_simd *simd, enum qvl_dtype dtype, const void *x,
                            const float *weight, const float *bias, double eps, int64_t dim, float *values,
                            void *y);

/* Row and column of patch number `patch` of a frame in merge-block order (by, bx, my, mx). */
void qvl_cpu_patch_place(const struct qvl_grid *grid, int64_t merge, int64_t patch, int64_t *y, int64_t *x);

/* y = r(gelu(x)) over the rows of a matrix. In place allowed. */
void qvl_cpu_gelu_rows(const struct cpu_state *state, const struct qvl_tensor *x, enum qvl_gelu_form form,
                       const struct qvl_tensor *y);

/* Softmax of contiguous float32 values in place; all of them -inf gives zeros. */
void qvl_cpu_softmax_row(const struct cpu_simd *simd, float *values, int64_t count);
bool qvl_cpu_none_is_nan(const float *values, int64_t count);

/* The KV cache of one sequence, head-major: layer, then KV head, then row. A row is padded with zeros to a
 * whole number of vectors, so that the keys of a head are one contiguous matrix. */
struct qvl_cache {
    int64_t layers, kv_heads, head_dim, capacity;
    enum qvl_dtype dtype;
    int64_t row;     /* elements from one row to the next */
    int64_t *length; /* [layers] */
    char **k, **v;   /* [layers] -> [kv_heads, capacity, row] */
};

/* First row of a KV head in layer memory. */
static inline char *qvl_cpu_cache_head(const struct qvl_cache *cache, char *layer, int64_t head)
{
    return layer + head * cache->capacity * cache->row * (int64_t)qvl_dtype_bytes(cache->dtype);
}

/* Entries of the backend that live in files of their own. */
enum qvl_status qvl_cpu_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                       struct qvl_weight **weight, struct qvl_error *error);
void qvl_cpu_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight);
enum qvl_status qvl_cpu_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                     struct qvl_cache **cache, struct qvl_error *error);
void qvl_cpu_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache);
int64_t qvl_cpu_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer);
enum qvl_status qvl_cpu_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                       struct qvl_error *error);
enum qvl_status qvl_cpu_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                   struct qvl_cache **copy, struct qvl_error *error);
enum qvl_status qvl_cpu_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache,
                                     int64_t layer, int64_t first, int64_t count, void *host_k, void *host_v,
                                     struct qvl_error *error);

/* Every entry of the op table. */
#define CPU_OP(name)                                                                                         \
    enum qvl_status qvl_cpu_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,        \
                                   struct qvl_error *error);
QVL_OPS(CPU_OP)
#undef CPU_OP

#endif
