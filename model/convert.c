#include "model/convert.h"

void qvl_to_f32(float *to, const void *from, enum qvl_dtype dtype, size_t count)
{
    const uint16_t *half = from;
    if (dtype == QVL_F32)
        memcpy(to, from, count * sizeof(float));
    else if (dtype == QVL_BF16)
        for (size_t i = 0; i < count; i++)
            to[i] = qvl_bf16_to_f32(half[i]);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = qvl_f16_to_f32(half[i]);
}

void qvl_from_f32(void *to, enum qvl_dtype dtype, const float *from, size_t count)
{
    uint16_t *half = to;
    if (dtype == QVL_F32)
        memcpy(to, from, count * sizeof(float));
    else if (dtype == QVL_BF16)
        for (size_t i = 0; i < count; i++)
            half[i] = qvl_f32_to_bf16(from[i]);
    else
        for (size_t i = 0; i < count; i++)
            half[i] = qvl_f32_to_f16(from[i]);
}
