/* r(): to nearest even, or to a random neighbour when the backend jitters. */
#ifndef QVL_REF_ROUNDING_H
#define QVL_REF_ROUNDING_H

#include "qvl/rounding.h"

struct qvl_rounding {
    enum qvl_dtype dtype;
    uint64_t *jitter; /* NULL: to nearest, ties to even. Otherwise the state of the generator that decides,
                         per value, between the two neighbours with probability by distance. Borrowed. */
};

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

#endif
