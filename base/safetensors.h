/* Safetensors files: 8-byte little-endian header length, a JSON header, tensor bytes without gaps.
 * Source: huggingface/safetensors README (format section). */
#ifndef QVL_BASE_SAFETENSORS_H
#define QVL_BASE_SAFETENSORS_H

#include "qvl/tensor.h"

/* ---- Reading ---- */

struct qvl_safetensors_entry {
    const char *name;       /* borrowed from the file object */
    struct qvl_array array; /* view of the mapped file, valid until close; data is aligned for its type */
};

struct qvl_safetensors_metadata {
    const char *key, *value;
};

struct qvl_safetensors {
    char *path;                            /* as given to open */
    struct qvl_safetensors_entry *entries; /* sorted by name (byte order) */
    int64_t count;
    struct qvl_safetensors_metadata *metadata; /* in file order */
    int64_t metadata_count;
    struct qvl_safetensors_owner *owner; /* private */
};

/* Map a file and check all of it: header length, header JSON, dtypes, shapes, sizes, offsets; the tensors
 * must cover the data exactly, without overlap or gap. Supported: F32 F16 BF16 F64 I32 I64 U8, rank <=
 * QVL_MAX_RANK. A tensor that the file places off its natural alignment is copied, every other one is a view.
 * QVL_BAD_INPUT names the file, the tensor and what is wrong. */
QVL_MUST_USE enum qvl_status qvl_safetensors_open(const char *path, struct qvl_safetensors **file,
                                                  struct qvl_error *error);
void qvl_safetensors_close(struct qvl_safetensors *file); /* NULL is accepted */

/* NULL when the file has no such tensor. */
const struct qvl_array *qvl_safetensors_find(const struct qvl_safetensors *file, const char *name);

/* The value of a metadata key, NULL when absent. */
const char *qvl_safetensors_metadata_find(const struct qvl_safetensors *file, const char *key);

/* "F32", "BF16", ... as the header spells it. */
const char *qvl_safetensors_dtype_name(enum qvl_dtype dtype);

/* ---- Writing ---- */

/* Produce elements first .. first+count-1 (row-major order) of a tensor into `elements`. */
typedef enum qvl_status qvl_safetensors_fill_fn(void *context, int64_t first, int64_t count, void *elements,
                                                struct qvl_error *error);

struct qvl_safetensors_tensor {
    const char *name;
    enum qvl_dtype dtype;
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    const void *data;              /* contiguous, row-major; or NULL with `fill` set */
    qvl_safetensors_fill_fn *fill; /* called with ascending, adjacent ranges of at most 2^17 elements */
    void *context;                 /* passed to fill */
};

enum qvl_safetensors_order {
    QVL_SAFETENSORS_SORTED, /* widest dtype first, then by name, as the original writer: always aligned */
    QVL_SAFETENSORS_GIVEN   /* as listed */
};

/* Write a file atomically (see qvl_file_write). Names must be unique and non-empty; the header is padded with
 * spaces to a multiple of 8 bytes. QVL_USAGE: duplicate or empty name, negative shape, neither data nor fill.
 */
QVL_MUST_USE enum qvl_status
qvl_safetensors_write(const char *path, const struct qvl_safetensors_tensor *tensors, int64_t count,
                      const struct qvl_safetensors_metadata *metadata, int64_t metadata_count,
                      enum qvl_safetensors_order order, struct qvl_error *error);

/* A description of a tensor whose bytes are in memory. */
static inline struct qvl_safetensors_tensor qvl_safetensors_tensor_of(const char *name,
                                                                      struct qvl_array array)
{
    struct qvl_safetensors_tensor tensor = {
        .name = name, .dtype = array.dtype, .rank = array.rank, .data = array.data};
    memcpy(tensor.shape, array.shape, sizeof tensor.shape);
    return tensor;
}

#endif
