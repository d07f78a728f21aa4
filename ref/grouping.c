#include "ref/grouping.h"

void qvl_ref_block_to_raster(int64_t index, int64_t width, int64_t merge, int64_t *row, int64_t *column)
{
    const int64_t block = index / (merge * merge);
    const int64_t inside = index % (merge * merge);
    const int64_t blocks_across = width / merge;
    *row = block / blocks_across * merge + inside / merge;
    *column = block % blocks_across * merge + inside % merge;
}

int64_t qvl_ref_raster_to_block(int64_t row, int64_t column, int64_t width, int64_t merge)
{
    const int64_t block = row / merge * (width / merge) + column / merge;
    return block * merge * merge + row % merge * merge + column % merge;
}
