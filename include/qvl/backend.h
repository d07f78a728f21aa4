/* A backend: memory, prepared weights, KV caches, ordering, and the op table. This header (with what it
 * includes) is all a plugin needs: export `qvl_backend_open` from a shared object and pass it with `--backend
 * ./libmine.so`. For kernels on host memory qvl/plugin.h has the rest ready. C11 and C++17; docs/PLUGINS.md
 * is the guide.
 *
 * `close` and the functions of memory must be there. Any entry may be NULL; so may the functions of weights
 * and of caches when no entry of the table needs them (qvl_backend_lacks). */
#ifndef QVL_BACKEND_H
#define QVL_BACKEND_H

#include "qvl/ops.h"

#define QVL_BACKEND_ABI 1

/* What a prepared weight will be used for (bits). */
enum qvl_weight_use {
    QVL_USE_LINEAR = 1, /* [out, in]: linear, patch_embed, merger, output_head */
    QVL_USE_ROWS = 2,   /* [rows, dim]: embed; may be combined with QVL_USE_LINEAR for a tied head */
    QVL_USE_EXPERTS = 4 /* [experts, out, in], or [experts, in, out] when input_first */
};

struct qvl_weight_desc {
    struct qvl_array array; /* borrowed; must stay valid and unchanged until the weight is destroyed */
    unsigned use;           /* enum qvl_weight_use bits */
    bool input_first;       /* QVL_USE_EXPERTS only: stored [experts, in, out] */
    enum qvl_dtype storage; /* type to keep it in; values of another type are rounded to nearest even */
    const char *name;       /* borrowed, for messages */
};

struct qvl_cache_desc {
    int64_t layers;
    int64_t kv_heads;
    int64_t head_dim;
    int64_t capacity; /* rows; append beyond it fails */
    enum qvl_dtype storage;
};

/* The arithmetic a backend promises; tolerances follow from it. */
struct qvl_math {
    enum qvl_dtype accumulate;    /* QVL_F64, QVL_F32 or QVL_F16: type of long sums */
    bool tf32;                    /* float32 inputs of products are rounded to 10 mantissa bits */
    bool rounds_attention_scores; /* performs the r() of s and p in the attention contracts */
};

struct qvl_backend {
    uint32_t struct_size;    /* sizeof(struct qvl_backend) of the plugin's headers */
    uint32_t abi;            /* QVL_BACKEND_ABI of the plugin's headers */
    const char *name;        /* "ref", "cpu", ... static */
    const char *description; /* one line: library, core type, threads; owned by the backend */
    struct qvl_math math;
    void *state; /* private to the backend */

    void (*close)(struct qvl_backend *backend); /* frees the backend itself */

    /* Memory. `allocate` gives at least 64-byte aligned memory, contents undefined. */
    enum qvl_status (*allocate)(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error);
    void (*release)(struct qvl_backend *backend, void *data); /* NULL is accepted */
    /* Copy between host memory (contiguous, same element type) and a tensor (any strides). Complete on
     * return. */
    enum qvl_status (*upload)(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error);
    enum qvl_status (*download)(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error);
    enum qvl_status (*sync)(struct qvl_backend *backend, struct qvl_error *error);

    /* Weights. */
    enum qvl_status (*weight_prepare)(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error);
    void (*weight_destroy)(struct qvl_backend *backend, struct qvl_weight *weight); /* NULL is accepted */

    /* KV cache of one sequence. Each layer has its own length, which cache_append of that layer advances. */
    enum qvl_status (*cache_create)(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error);
    void (*cache_destroy)(struct qvl_backend *backend, struct qvl_cache *cache); /* NULL is accepted */
    int64_t (*cache_length)(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer);
    /* Drop rows from the end: every layer longer than `length` gets that length. */
    enum qvl_status (*cache_truncate)(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                      struct qvl_error *error);
    /* An independent copy with the same contents; later appends to either do not affect the other. */
    enum qvl_status (*cache_fork)(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error);
    /* Rows first .. first+count-1 of a layer as host arrays [count, kv_heads, head_dim] in storage type. */
    enum qvl_status (*cache_export)(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer,
                                    int64_t first, int64_t count, void *host_k, void *host_v,
                                    struct qvl_error *error);

    struct qvl_ops ops;
};

struct qvl_backend_options {
    int threads;          /* 0: as many as the machine has */
    uint64_t jitter_seed; /* `ref` only; 0: off. Otherwise every r() rounds up or down at random, with
                             probability by distance (stochastic rounding): the honest-rounding envelope */
};

/* What a plugin exports under the name "qvl_backend_open". `options` may be NULL: the defaults. */
typedef enum qvl_status qvl_backend_open_fn(const struct qvl_backend_options *options,
                                            struct qvl_backend **backend, struct qvl_error *error);

/* The first function of memory that is NULL; NULL when all are there. */
static inline const char *qvl_backend_lacks_memory(const struct qvl_backend *backend)
{
    return !backend->close      ? "close"
           : !backend->allocate ? "allocate"
           : !backend->release  ? "release"
           : !backend->upload   ? "upload"
           : !backend->download ? "download"
           : !backend->sync     ? "sync"
                                : NULL;
}

static inline const char *qvl_backend_lacks_weights(const struct qvl_backend *backend)
{
    return !backend->weight_prepare ? "weight_prepare" : !backend->weight_destroy ? "weight_destroy" : NULL;
}

static inline const char *qvl_backend_lacks_cache(const struct qvl_backend *backend)
{
    return !backend->cache_create     ? "cache_create"
           : !backend->cache_destroy  ? "cache_destroy"
           : !backend->cache_length   ? "cache_length"
           : !backend->cache_truncate ? "cache_truncate"
           : !backend->cache_fork     ? "cache_fork"
           : !backend->cache_export   ? "cache_export"
                                      : NULL;
}

/* What keeps an entry of the table from being called: the name of the entry itself when it is NULL, or of the
 * first function that it needs beside it; NULL when nothing does. */
static inline const char *qvl_backend_lacks(const struct qvl_backend *backend, const char *entry)
{
    static const char *const with_weights[] = {"patch_embed", "linear",      "merger",
                                               "embed",       "moe_experts", "output_head"};
    static const char *const with_cache[] = {"cache_append", "attention"};
#define QVL_ENTRY_LACKING(name)                                                                              \
    if (strcmp(entry, #name) == 0 && !backend->ops.name)                                                     \
        return #name;
    QVL_OPS(QVL_ENTRY_LACKING)
#undef QVL_ENTRY_LACKING
    for (size_t i = 0; i < sizeof with_weights / sizeof *with_weights; i++)
        if (strcmp(entry, with_weights[i]) == 0)
            return qvl_backend_lacks_weights(backend);
    for (size_t i = 0; i < sizeof with_cache / sizeof *with_cache; i++)
        if (strcmp(entry, with_cache[i]) == 0)
            return qvl_backend_lacks_cache(backend);
    return NULL;
}

#endif
