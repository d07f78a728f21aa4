/* Values of a storage type from counters (base/random.h), cheap enough for operands of gigabytes. Internal to
 * verify/. */
#ifndef QVL_VERIFY_COUNTER_VALUES_H
#define QVL_VERIFY_COUNTER_VALUES_H

#include "base/random.h"
#include "qvl/tensor.h"

/* 32 random bits for each element of a row of d, a multiple of 4; a draw serves two of f32 and four of the
 * narrow types, which use the upper half alone. */
static inline void qvl_counter_bits(enum qvl_dtype dtype, uint64_t seed, uint64_t stream, int64_t dim,
                                    uint64_t row, uint32_t *out)
{
    const uint64_t d = (uint64_t)dim;
    if (dtype == QVL_F32) {
        for (uint64_t i = 0; i < d / 2; i++) {
            const uint64_t bits = qvl_random_bits(seed, stream, row * d / 2 + i);
            out[2 * i] = (uint32_t)bits;
            out[2 * i + 1] = (uint32_t)(bits >> 32);
        }
        return;
    }
    for (uint64_t i = 0; i < d / 4; i++) {
        const uint64_t bits = qvl_random_bits(seed, stream, row * d / 4 + i);
        for (int k = 0; k < 4; k++)
            out[4 * i + (uint64_t)k] = (uint32_t)(bits >> 16 * k) << 16;
    }
}

/* Bits of precision. */
static inline int qvl_counter_precision(enum qvl_dtype dtype)
{
    return dtype == QVL_F32 ? 24 : dtype == QVL_BF16 ? 8 : 11;
}

/* In [-1, 1): a multiple of 2^-T with T bits of precision. */
static inline float qvl_counter_signed(uint32_t bits, int precision)
{
    return (float)((int32_t)bits >> (31 - precision)) * (1 / (float)(1 << precision));
}

/* In [0.5, 1): T bits of precision, the first of them set. */
static inline float qvl_counter_positive(uint32_t bits, int precision)
{
    const int32_t units = (1 << (precision - 1)) + (int32_t)(bits >> (33 - precision));
    return (float)units * (1 / (float)(1 << precision));
}

/* From -3 to 3. */
static inline float qvl_counter_whole(uint32_t bits)
{
    return (float)((int32_t)((bits >> 16) * 7 >> 16) - 3);
}

#endif
