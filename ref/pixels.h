/* The reference preprocessing kernels: plain C, one file each, in the order of the published formulas. */
#ifndef QVL_REF_PIXELS_H
#define QVL_REF_PIXELS_H

#include "qvl/pixels.h"

enum qvl_status qvl_ref_smart_resize(const struct qvl_smart_resize_args *args, struct qvl_error *error);
enum qvl_status qvl_ref_resize(const struct qvl_resize_args *args, struct qvl_error *error);
enum qvl_status qvl_ref_patch_rows(const struct qvl_patch_rows_args *args, struct qvl_error *error);

extern const struct qvl_pixel_ops qvl_ref_pixel_ops;

#endif
