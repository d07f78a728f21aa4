/* Conversion of host arrays between storage types. */
#ifndef QVL_MODEL_CONVERT_H
#define QVL_MODEL_CONVERT_H

#include "qvl/tensor.h"

/* `count` values of type `dtype` (a storage type) at `from` to float32. */
void qvl_to_f32(float *to, const void *from, enum qvl_dtype dtype, size_t count);

/* `count` float32 values to type `dtype` (a storage type), to nearest even. */
void qvl_from_f32(void *to, enum qvl_dtype dtype, const float *from, size_t count);

#endif
