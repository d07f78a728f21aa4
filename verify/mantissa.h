/* The low-mantissa distribution: full significands whose leading parts cancel. Internal to verify/.
 *
 * `Plain` values are +-2^p (1 + j), `full` ones +-2^p (1 + j + e), with j random in the leading bits and e in
 * those that a demotion drops: in float32 j is a multiple of 2^-10 and 2^-12 <= e < 2^-11, so that 1 + j + e
 * becomes 1 + j in tf32, rounded or cut; in 16 bits e takes the lowest two bits. In a product sum_k x_k w_k
 * the first half of the columns holds full x > 0 and full w, the second half plain x < 0 and plain w with the
 * same leading parts: those add up to zero, and the sum of the low parts, all of one sign, is the result:
 * more than half of 2^-11 sum |x w|. An honest float32 sum of n terms is within 2 sqrt(n) 2^-24 sum |x w| of
 * it; demoted factors give zero, and a running sum of fewer bits, which climbs to sum |x w| / 2 on the way,
 * loses the low parts. j must be random in both factors: on a grid as coarse as that of plain powers of two,
 * the roundings of an honest sequential sum all go the same way. */
#ifndef QVL_VERIFY_MANTISSA_H
#define QVL_VERIFY_MANTISSA_H

#include "verify/problem.h"

/* Value of element (row, column) of an operand with `columns` in its last axis, by the operand's part. */
double qvl_mantissa_value(const struct qvl_case *chosen, const struct qvl_operand *operand, uint64_t stream,
                          int64_t row, int64_t column, int64_t columns);

/* Around `mean`: mean (1 + e) in the first half, mean in the second. Around zero: powers of two in its place
 * with `of_zero`, else zero (a bias would cover the low parts). */
double qvl_mantissa_vector(const struct qvl_case *chosen, uint64_t stream, int64_t index, int64_t count,
                           double mean, bool of_zero);

/* Element (o, k) of a weight. Through a hidden layer whose sums cancel everything is
 * uncertain to some percent, too much to judge the second layer by. So hidden unit j cancels for even j and
 * adds up for odd j, and output o of the second layer sees the units of its own parity: even outputs judge
 * the first layer, odd ones the second. */
double qvl_mantissa_weight(const struct qvl_case *chosen, uint64_t stream,
                           const struct qvl_weight_shape *shape, int64_t o, int64_t k);

#endif
