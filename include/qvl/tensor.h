/* Element types and the two kinds of array: host arrays and backend tensors.
 *
 * A `qvl_tensor` names memory of ONE backend (host memory for `ref` and `cpu`, device memory for a GPU);
 * only that backend dereferences `data`. A `qvl_array` is a read-only view of host memory (a mapped weight,
 * a tap that was downloaded). The two are different types so that the compiler sees a mix-up. */
#ifndef QVL_TENSOR_H
#define QVL_TENSOR_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "qvl/status.h"

enum qvl_dtype { QVL_F32 = 0, QVL_BF16, QVL_F16, QVL_F64, QVL_I32, QVL_I64, QVL_U8, QVL_DTYPE_COUNT };

#define QVL_MAX_RANK 5

/* shape[i] elements along axis i; stride[i] in ELEMENTS; axis 0 is the slowest in a contiguous tensor. */
struct qvl_tensor {
    void *data; /* address in the memory of the backend that allocated it; borrowed */
    enum qvl_dtype dtype;
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    int64_t stride[QVL_MAX_RANK];
};

/* A contiguous, row-major view of host memory. */
struct qvl_array {
    const void *data; /* borrowed */
    enum qvl_dtype dtype;
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
};

static inline size_t qvl_dtype_bytes(enum qvl_dtype dtype)
{
    static const size_t bytes[QVL_DTYPE_COUNT] = {4, 2, 2, 8, 4, 8, 1};
    return (unsigned)dtype < QVL_DTYPE_COUNT ? bytes[dtype] : 0;
}

/* "f32", "bf16", ... as the command line spells it. */
static inline const char *qvl_dtype_name(enum qvl_dtype dtype)
{
    static const char *const names[QVL_DTYPE_COUNT] = {"f32", "bf16", "f16", "f64", "i32", "i64", "u8"};
    return (unsigned)dtype < QVL_DTYPE_COUNT ? names[dtype] : "?";
}

/* True for the types a model stores activations and weights in. */
static inline bool qvl_dtype_is_storage(enum qvl_dtype dtype)
{
    return dtype == QVL_F32 || dtype == QVL_BF16 || dtype == QVL_F16;
}

/* Unit roundoff of round-to-nearest: half the distance from 1 to the next value. */
static inline double qvl_dtype_roundoff(enum qvl_dtype dtype)
{
    switch (dtype) {
    case QVL_F32: return 0x1p-24;
    case QVL_BF16: return 0x1p-8;
    case QVL_F16: return 0x1p-11;
    case QVL_F64: return 0x1p-53;
    default: return 0.0;
    }
}

/* A contiguous tensor over `data`. */
static inline struct qvl_tensor qvl_tensor_make(void *data, enum qvl_dtype dtype, int32_t rank,
                                                const int64_t *shape)
{
    struct qvl_tensor tensor;
    int64_t stride = 1;
    memset(&tensor, 0, sizeof tensor);
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.rank = rank;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        tensor.shape[axis] = shape[axis];
        tensor.stride[axis] = stride;
        stride *= shape[axis];
    }
    return tensor;
}

static inline struct qvl_tensor qvl_tensor_1d(void *data, enum qvl_dtype dtype, int64_t n)
{
    return qvl_tensor_make(data, dtype, 1, &n);
}

static inline struct qvl_tensor qvl_tensor_2d(void *data, enum qvl_dtype dtype, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = {rows, columns};
    return qvl_tensor_make(data, dtype, 2, shape);
}

static inline struct qvl_tensor qvl_tensor_3d(void *data, enum qvl_dtype dtype, int64_t a, int64_t b,
                                              int64_t c)
{
    const int64_t shape[3] = {a, b, c};
    return qvl_tensor_make(data, dtype, 3, shape);
}

static inline int64_t qvl_tensor_count(const struct qvl_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        count *= tensor->shape[axis];
    return count;
}

static inline int64_t qvl_array_count(const struct qvl_array *array)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < array->rank; axis++)
        count *= array->shape[axis];
    return count;
}

static inline bool qvl_tensor_is_contiguous(const struct qvl_tensor *tensor)
{
    int64_t stride = 1;
    for (int32_t axis = tensor->rank - 1; axis >= 0; axis--) {
        if (tensor->shape[axis] != 1 && tensor->stride[axis] != stride)
            return false;
        stride *= tensor->shape[axis];
    }
    return true;
}

/* Rows first .. first+count-1 of axis 0. */
static inline struct qvl_tensor qvl_tensor_rows(struct qvl_tensor tensor, int64_t first, int64_t count)
{
    tensor.data = (char *)tensor.data + (size_t)(first * tensor.stride[0]) * qvl_dtype_bytes(tensor.dtype);
    tensor.shape[0] = count;
    return tensor;
}

/* Conversions between storage types. Rounding is to nearest, ties to even; NaN stays NaN. */

static inline float qvl_bf16_to_f32(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static inline uint16_t qvl_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffU) > 0x7f800000U)
        return (uint16_t)((bits >> 16) | 0x40U);
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

static inline float qvl_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 0x1fU;
    uint32_t fraction = half & 0x3ffU;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7f800000U : (exponent + 112U) << 23) | (fraction << 13);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint16_t qvl_f32_to_f16(float value)
{
    uint32_t bits;
    uint32_t sign;
    memcpy(&bits, &value, sizeof bits);
    sign = (bits >> 16) & 0x8000U;
    bits &= 0x7fffffffU;
    if (bits > 0x7f800000U)
        return (uint16_t)(sign | 0x7e00U);
    if (bits >= 0x477ff000U) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00U);
    if (bits < 0x38800000U) { /* below 2^-14: a subnormal, a multiple of 2^-24 */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        return (uint16_t)(sign | (uint32_t)lrintf(magnitude * 0x1p24f));
    }
    bits += 0xfffU + ((bits >> 13) & 1U);
    return (uint16_t)(sign | ((bits - 0x38000000U) >> 13));
}

#endif
