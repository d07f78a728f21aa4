#include "ref/pixels.h"

const struct qvl_pixel_ops qvl_ref_pixel_ops = {
    .smart_resize = qvl_ref_smart_resize,
    .resize = qvl_ref_resize,
    .patch_rows = qvl_ref_patch_rows,
};
