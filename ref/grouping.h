/* The two orders of the patches of a picture (facts: merge-block order of the image processor). */
#ifndef QVL_REF_GROUPING_H
#define QVL_REF_GROUPING_H

#include "qvl/ops.h"

/* Place in the picture of the patch at `index` (0 .. h*w-1) of merge-block order: blocks of merge x merge
 * patches in raster order, and raster order inside a block. */
void qvl_ref_block_to_raster(int64_t index, int64_t width, int64_t merge, int64_t *row, int64_t *column);

/* The inverse: index in merge-block order of the patch at (row, column). */
int64_t qvl_ref_raster_to_block(int64_t row, int64_t column, int64_t width, int64_t merge);

#endif
