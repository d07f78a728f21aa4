/* The summation orders. */
#include "honest.h"

enum { LANES = 16, LEAF = 4 };

const char *qvl_sum_order_name(enum qvl_sum_order order)
{
    static const char *const names[QVL_SUM_ORDER_COUNT] = {"sequential", "reversed", "blocked", "pairwise",
                                                           "fused"};
    return (unsigned)order < QVL_SUM_ORDER_COUNT ? names[order] : "?";
}

static float add_lanes(const float lane[LANES])
{
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

static float dot_blocked(int64_t n, const float *a, const float *b)
{
    float lane[LANES] = {0}, tail = 0;
    const int64_t whole = n - n % LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += a[k + i] * b[k + i];
    for (int64_t k = whole; k < n; k++)
        tail += a[k] * b[k];
    return add_lanes(lane) + tail;
}

static float dot_pairwise(int64_t n, const float *a, const float *b)
{
    const int64_t half = n / 2;
    float sum = 0;
    if (n > LEAF)
        return dot_pairwise(half, a, b) + dot_pairwise(n - half, a + half, b + half);
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

float honest_dot(enum qvl_sum_order order, int64_t n, const float *a, const float *b)
{
    float sum = 0;
    switch (order) {
    case QVL_SUM_REVERSED:
        for (int64_t k = n - 1; k >= 0; k--)
            sum += a[k] * b[k];
        return sum;
    case QVL_SUM_BLOCKED: return dot_blocked(n, a, b);
    case QVL_SUM_PAIRWISE: return dot_pairwise(n, a, b);
    case QVL_SUM_FUSED:
        for (int64_t k = 0; k < n; k++)
            sum = fmaf(a[k], b[k], sum);
        return sum;
    default:
        for (int64_t k = 0; k < n; k++)
            sum += a[k] * b[k];
        return sum;
    }
}

static float sum_pairwise(int64_t n, const float *a)
{
    const int64_t half = n / 2;
    float sum = 0;
    if (n > LEAF)
        return sum_pairwise(half, a) + sum_pairwise(n - half, a + half);
    for (int64_t k = 0; k < n; k++)
        sum += a[k];
    return sum;
}

float honest_sum(enum qvl_sum_order order, int64_t n, const float *a)
{
    float lane[LANES] = {0}, sum = 0;
    switch (order) {
    case QVL_SUM_REVERSED:
        for (int64_t k = n - 1; k >= 0; k--)
            sum += a[k];
        return sum;
    case QVL_SUM_BLOCKED:
        for (int64_t k = 0; k < n; k++)
            lane[k % LANES] += a[k];
        return add_lanes(lane);
    case QVL_SUM_PAIRWISE: return sum_pairwise(n, a);
    default:
        for (int64_t k = 0; k < n; k++)
            sum += a[k];
        return sum;
    }
}
