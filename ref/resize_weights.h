/* Weights of one axis of the antialiased bicubic resize (facts 1.5). */
#ifndef QVL_REF_RESIZE_WEIGHTS_H
#define QVL_REF_RESIZE_WEIGHTS_H

#include "qvl/pixels.h"

/* Output o of the axis is sum over j < count[o] of weight[o * taps + j] * input[first[o] + j]. */
struct qvl_resize_axis {
    int64_t in, out;
    int64_t taps; /* row length of the weight table, the largest count possible */
    int64_t *first, *count;
    int bits;       /* fixed point: weights are multiples of 2^-bits */
    int32_t *fixed; /* [out][taps]; NULL for QVL_RESIZE_TORCHVISION_F32 */
    float *real;    /* [out][taps]; only for QVL_RESIZE_TORCHVISION_F32 */
};

/* a * b + c in one rounding. The product is exact in double; rounding the sum twice differs from a true fused
 * multiply-add about once in 2^29 sums, by one unit in the last place of a float32. */
static inline float qvl_fused_f32(float a, float b, float c)
{
    return (float)((double)a * (double)b + (double)c);
}

/* Compute the weights once for a whole call. On failure the axis is empty. */
enum qvl_status qvl_resize_axis_create(enum qvl_resize_method method, int64_t in, int64_t out,
                                       struct qvl_resize_axis *axis, struct qvl_error *error);
void qvl_resize_axis_free(struct qvl_resize_axis *axis); /* a zeroed axis is accepted */

#endif
