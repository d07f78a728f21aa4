#include "verify/mantissa.h"

#include "base/random.h"

/* Streams beside an operand's own. */
enum { STREAM_LOW = 1, STREAM_POWER, STREAM_LEADING, STREAM_SIGN };
#define STREAM_KEYS UINT64_C(0x6b657973) /* of keys and values alike */

/* Query rows in turn: scores of some units, which the low parts of q and k make, and scores near zero, so
 * that the sum over the values has known weights. */
enum { QUERY_LARGE = 3, QUERY_SMALL = -10, KEY_LARGE = 2 }; /* powers of two */

/* e: bits that a demotion drops. */
static double low_part(const struct qvl_case *chosen, uint64_t stream, int64_t index)
{
    const uint64_t bits = qvl_random_bits(chosen->seed, stream + STREAM_LOW, (uint64_t)index);
    if (chosen->dtype == QVL_F32)
        return (double)(0x800 | bits % 0x800 | 1) * 0x1p-23;
    return (double)(1 + bits % 3) * 2 * qvl_dtype_roundoff(chosen->dtype);
}

/* 1/2, 1 or 2. */
static double power(const struct qvl_case *chosen, uint64_t stream, int64_t index)
{
    return ldexp(0.5, (int)qvl_random_below(chosen->seed, stream + STREAM_POWER, (uint64_t)index, 3));
}

/* 1 + j, j in the bits above e: with random ones in both factors the roundings of an honest sum have no
 * pattern. */
static double leading(const struct qvl_case *chosen, uint64_t stream, int64_t index)
{
    const double unit = chosen->dtype == QVL_F32 ? 0x1p-10 : 8 * qvl_dtype_roundoff(chosen->dtype);
    const uint64_t bits = qvl_random_bits(chosen->seed, stream + STREAM_LEADING, (uint64_t)index);
    return 1 + (double)(bits % (uint64_t)(1 / unit)) * unit;
}

static bool coin(const struct qvl_case *chosen, uint64_t stream, int64_t index)
{
    return qvl_random_bits(chosen->seed, stream + STREAM_SIGN, (uint64_t)index) >> 63;
}

/* Where a column stands: in the plain second half, and which pair it belongs to. An odd last one is full. */
static bool is_plain(int64_t column, int64_t columns, int64_t *pair)
{
    const int64_t half = columns / 2;
    const bool plain = column >= half && column < 2 * half;
    *pair = plain ? column - half : column;
    return plain;
}

double qvl_mantissa_value(const struct qvl_case *chosen, const struct qvl_operand *operand, uint64_t stream,
                          int64_t row, int64_t column, int64_t columns)
{
    const double low = low_part(chosen, stream, row * columns + column);
    const int shrink = chosen->dtype == QVL_BF16 ? 2 : 0; /* its low parts are large */
    const bool full_key = coin(chosen, STREAM_KEYS, row);
    int64_t pair;
    const bool plain = is_plain(column, columns, &pair);
    const double size = power(chosen, stream, row * columns + pair);
    const double lead = leading(chosen, stream, row * columns + pair);
    switch (operand->part) {
    case QVL_PART_QUERY:
        return ldexp(size * (plain ? -lead : lead + low), row % 2 ? QUERY_SMALL : QUERY_LARGE - shrink);
    case QVL_PART_KEY:
        return ldexp(size * (!full_key ? -lead : plain ? lead : lead + low), KEY_LARGE - shrink / 2);
    case QVL_PART_VALUE: return power(chosen, stream, column) * (full_key ? lead + low : -lead);
    default: return size * (plain ? -lead : lead + low);
    }
}

double qvl_mantissa_vector(const struct qvl_case *chosen, uint64_t stream, int64_t index, int64_t count,
                           double mean, bool of_zero)
{
    int64_t pair;
    if (mean == 0 && !of_zero)
        return 0;
    const double value = mean == 0 ? power(chosen, stream, index) : mean;
    return is_plain(index, count, &pair) ? value : value * (1 + low_part(chosen, stream, index));
}

double qvl_mantissa_weight(const struct qvl_case *chosen, uint64_t stream,
                           const struct qvl_weight_shape *shape, int64_t o, int64_t k)
{
    const int64_t period = shape->period > 0 ? shape->period : shape->in;
    /* hidden sums that add up are of size 4 */
    const double scale =
        shape->layer == QVL_LAYER_FIRST ? 4 / (double)shape->in : sqrt(1 / (double)shape->in);
    int64_t pair;
    const bool plain = is_plain(k % period, period, &pair);
    const int64_t index = o * shape->in + k, partner = index - k % period + pair;
    double value = leading(chosen, stream, partner) + (plain ? 0 : low_part(chosen, stream, index));
    value = ldexp(value, (int)lround(log2(scale)));
    if (shape->layer == QVL_LAYER_FIRST)
        return plain && o % shape->units % 2 ? -value : value;
    if (shape->layer == QVL_LAYER_SECOND && (o ^ k) % 2)
        return 0;
    if (shape->layer == QVL_LAYER_ONLY)
        value *= power(chosen, stream, partner);
    return coin(chosen, stream, o) ? -value : value;
}
