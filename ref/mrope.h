/* Multimodal rotary embedding: which of the three positions turns a lane. */
#ifndef QVL_REF_MROPE_H
#define QVL_REF_MROPE_H

#include "qvl/ops.h"

/* 0 (T), 1 (H) or 2 (W) for lane 0 .. head_dim/2 - 1. */
int qvl_ref_mrope_axis(enum qvl_mrope_layout layout, const int64_t section[3], int64_t lane);

#endif
