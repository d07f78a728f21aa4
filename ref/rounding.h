/* r(): from double to a storage type in one step, and rows of storage to rows of double and back.
 *
 * A value never passes through float32 on its way to bf16 or f16, because rounding twice is not rounding
 * once. */
#ifndef QVL_REF_ROUNDING_H
#define QVL_REF_ROUNDING_H

#include "qvl/tensor.h"

struct qvl_rounding {
    enum qvl_dtype dtype;
    uint64_t *jitter; /* NULL: to nearest, ties to even. Otherwise the state of the generator that decides,
                         per value, between the two neighbours with probability by distance. Borrowed. */
};

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

/* A uniform number in [0, 1): splitmix64. */
static inline double qvl_jitter_uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Up with probability (v - lower) / spacing, else down: the mean over many draws is v. */
static inline double qvl_round_jittered(enum qvl_dtype dtype, double v, uint64_t *state)
{
    double spacing, units;
    if (!isfinite(v))
        return v;
    spacing = qvl_spacing(dtype, v);
    units = floor(v / spacing);
    if (qvl_jitter_uniform(state) < v / spacing - units)
        units += 1;
    v = units * spacing;
    return fabs(v) > qvl_largest(dtype) ? copysign(INFINITY, v) : v;
}

/* r(v) */
static inline double qvl_round(const struct qvl_rounding *rounding, double v)
{
    if (rounding->jitter)
        return qvl_round_jittered(rounding->dtype, v, rounding->jitter);
    return qvl_round_nearest(rounding->dtype, v);
}

static inline void qvl_round_row(const struct qvl_rounding *rounding, int64_t n, double *row)
{
    if (rounding->dtype == QVL_F32 && !rounding->jitter) {
        for (int64_t i = 0; i < n; i++)
            row[i] = (double)(float)row[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        row[i] = qvl_round(rounding, row[i]);
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
