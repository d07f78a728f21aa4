/* Reproducible random numbers: the value at (seed, stream, index) depends on nothing else, so any part of a
 * sequence can be made alone, in any order, on any CPU, and repeated in NumPy with uint64 arithmetic.
 *
 *   mix(z):  z ^= z >> 30; z *= 0xbf58476d1ce4e5b9; z ^= z >> 27; z *= 0x94d049bb133111eb; z ^= z >> 31
 *   key    = mix(mix(seed + G) + stream + G)          G = 0x9e3779b97f4a7c15, all modulo 2^64
 *   bits   = mix(key + (index + 1) * G)               the SplitMix64 sequence that starts at state `key`
 *   uniform = (bits >> 11) * 2^-53                    in [0, 1)
 *   normal  = (S - 393210) * 2^-16                    S = sum of the twelve 16-bit pieces of the bits at
 *                                                     indices 3i, 3i+1, 3i+2
 *
 * `normal` has mean 0, variance 1 - 2^-32, range (-6, 6), and is exact in float32: no rounding anywhere.
 * Source of mix and G: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014). */
#ifndef QVL_BASE_RANDOM_H
#define QVL_BASE_RANDOM_H

#include <stdint.h>

#define QVL_RANDOM_GAMMA UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t qvl_random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t qvl_random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t key = qvl_random_mix(qvl_random_mix(seed + QVL_RANDOM_GAMMA) + stream + QVL_RANDOM_GAMMA);
    return qvl_random_mix(key + (index + 1) * QVL_RANDOM_GAMMA);
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static inline double qvl_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(qvl_random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

/* Uniform integer in [0, bound), bound > 0: the high half of the 128-bit product bits * bound. */
static inline uint64_t qvl_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound)
{
    uint64_t bits = qvl_random_bits(seed, stream, index);
    uint64_t low_low = (bits & 0xffffffffU) * (bound & 0xffffffffU);
    uint64_t high_low = (bits >> 32) * (bound & 0xffffffffU);
    uint64_t low_high = (bits & 0xffffffffU) * (bound >> 32);
    uint64_t middle = (low_low >> 32) + (high_low & 0xffffffffU) + low_high;
    return (bits >> 32) * (bound >> 32) + (high_low >> 32) + (middle >> 32);
}

static inline float qvl_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    int32_t sum = 0;
    for (uint64_t draw = 3 * index; draw < 3 * index + 3; draw++) {
        uint64_t bits = qvl_random_bits(seed, stream, draw);
        sum += (int32_t)(bits & 0xffff) + (int32_t)((bits >> 16) & 0xffff) +
               (int32_t)((bits >> 32) & 0xffff) + (int32_t)(bits >> 48);
    }
    return (float)(sum - 393210) * 0x1p-16f;
}

/* A stream number from a name (FNV-1a, 64 bits), so that each tensor or case has its own sequence. */
static inline uint64_t qvl_random_stream(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
