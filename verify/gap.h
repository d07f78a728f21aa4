/* What lies around the elements of an operand: guard zones, and gaps between rows. Internal to verify/. */
#ifndef QVL_VERIFY_GAP_H
#define QVL_VERIFY_GAP_H

#include "qvl/tensor.h"

/* What the elements of an output hold before the call: in bytes 0xff, NaN in every float type and -1 in the
 * integers. */
enum { QVL_POISON = 0xff };

/* One element of a gap. In the float types a signalling NaN: whatever a kernel computes from it is quiet, so
 * that a kernel which also works on the gaps cannot leave them as they were; another one for inputs than for
 * outputs, so that it cannot copy them either. */
static inline void qvl_gap_element(enum qvl_dtype dtype, bool input, unsigned char element[8])
{
    const uint32_t single = input ? 0x7fb5b5b5U : 0x7fa6a6a6U;
    const uint16_t half = dtype == QVL_F16 ? (input ? 0x7db5U : 0x7da6U) : (input ? 0x7fb5U : 0x7fa6U);
    memset(element, input ? QVL_POISON : QVL_POISON - 1, 8);
    if (dtype == QVL_F32)
        memcpy(element, &single, sizeof single);
    else if (dtype == QVL_BF16 || dtype == QVL_F16)
        memcpy(element, &half, sizeof half);
}

/* Make `bytes` of memory, whole elements, a gap. */
static inline void qvl_gap_fill(enum qvl_dtype dtype, bool input, unsigned char *memory, size_t bytes)
{
    const size_t size = qvl_dtype_bytes(dtype);
    unsigned char element[8];
    qvl_gap_element(dtype, input, element);
    for (size_t at = 0; at < bytes; at += size)
        memcpy(memory + at, element, size);
}

/* Whether `bytes` of memory, whole elements, are still the gap they were. */
static inline bool qvl_gap_intact(enum qvl_dtype dtype, bool input, const unsigned char *memory, size_t bytes)
{
    const size_t size = qvl_dtype_bytes(dtype);
    unsigned char element[8];
    qvl_gap_element(dtype, input, element);
    for (size_t at = 0; at < bytes; at += size)
        if (memcmp(memory + at, element, size) != 0)
            return false;
    return true;
}

#endif
