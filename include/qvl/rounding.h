/* Rounding from double to a storage type in one step, and rows of storage to rows of double and back.
 *
 * A value never passes through float32 on its way to bf16 or f16, because rounding twice is not rounding
 * once. */
#ifndef QVL_ROUNDING_H
#define QVL_ROUNDING_H

#include "qvl/tensor.h"

/* The distance between neighbouring values of `dtype` around v: 2^(floor(log2 |v|) + 1 - p) with p bits of
 * precision, and no less than the smallest subnormal. */
static inline double qvl_spacing(enum qvl_dtype dtype, double v)
{
    const double step = 2 * qvl_dtype_roundoff(dtype);
    const double least = dtype == QVL_F16 ? 0x1p-24 : dtype == QVL_BF16 ? 0x1p-133 : 0x1p-149;
    uint64_t bits;
    double power;
    memcpy(&bits, &v, sizeof bits);
    bits &= UINT64_C(0x7ff0000000000000); /* the exponent alone: |v| cut to a power of two */
    memcpy(&power, &bits, sizeof power);
    return power * step > least ? power * step : least;
}

static inline double qvl_largest(enum qvl_dtype dtype)
{
    return dtype == QVL_F16 ? 65504.0 : dtype == QVL_BF16 ? 0x1.fep127 : 0x1.fffffep127;
}

/* To nearest, ties to even; beyond the largest value to infinity; NaN and infinities stay. */
static inline double qvl_round_nearest(enum qvl_dtype dtype, double v)
{
    const double shift = 0x1.8p52; /* adding it leaves no bits after the point: the sum is rounded to even */
    double spacing, units;
    if (dtype == QVL_F32)
        return (double)(float)v;
    if (!isfinite(v))
        return v;
    spacing = qvl_spacing(dtype, v);
    units = v / spacing + shift;
    units -= shift;
    v = copysign(units * spacing, v);
    return fabs(v) > qvl_largest(dtype) ? copysign(INFINITY, v) : v;
}

/* n contiguous stored values to double; exact. `data` need not be aligned (mapped checkpoints are not). */
static inline void qvl_load_row(const void *data, enum qvl_dtype dtype, int64_t n, double *row)
{
    for (int64_t i = 0; i < n; i++) {
        if (dtype == QVL_F32) {
            float value;
            memcpy(&value, (const char *)data + i * 4, sizeof value);
            row[i] = (double)value;
        } else {
            uint16_t bits;
            memcpy(&bits, (const char *)data + i * 2, sizeof bits);
            row[i] = (double)(dtype == QVL_BF16 ? qvl_bf16_to_f32(bits) : qvl_f16_to_f32(bits));
        }
    }
}

/* n values, each already a value of the type (the result of r() or of a load), to contiguous storage. */
static inline void qvl_store_row(const double *row, enum qvl_dtype dtype, int64_t n, void *data)
{
    for (int64_t i = 0; i < n; i++) {
        const float value = (float)row[i];
        if (dtype == QVL_F32) {
            memcpy((char *)data + i * 4, &value, sizeof value);
        } else {
            const uint16_t bits = dtype == QVL_BF16 ? qvl_f32_to_bf16(value) : qvl_f32_to_f16(value);
            memcpy((char *)data + i * 2, &bits, sizeof bits);
        }
    }
}

#endif
