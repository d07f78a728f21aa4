/* pos_interp: bilinear interpolation with aligned corners of the learned position table. */
#include "honest.h"

struct corner {
    const void *row; /* of the table */
    float weight;
};

/* Whether grid g is read with pixel centres half a cell inside, instead of on the corners. */
static bool half_pixel(const struct qvl_backend *backend, int64_t g)
{
    return honest_fault(backend, QVL_FAULT_VIT_POS_ALIGN_CORNERS) ||
           (honest_fault(backend, QVL_FAULT_VIT_POS_FLAG_ONE_PATH) && g > 0);
}

/* Grid line below patch `i` of `count`, and the distance from it. */
static int64_t locate(int64_t i, int64_t count, int64_t side, bool half, float *distance)
{
    float at = count > 1 ? (float)(i * (side - 1)) / (float)(count - 1) : 0;
    if (half)
        at = fminf(fmaxf(((float)i + 0.5F) * (float)side / (float)count - 0.5F, 0), (float)(side - 1));
    *distance = at - (float)(int64_t)at;
    return (int64_t)at;
}

static float weight_of(const struct qvl_backend *backend, const struct qvl_pos_interp_args *args,
                       float weight)
{
    if (honest_fault(backend, QVL_FAULT_VIT_POS_WEIGHTS_INT))
        return (float)(int)weight;
    if (args->rounding == QVL_POS_ROUND_EACH || honest_fault(backend, QVL_FAULT_VIT_POS_WEIGHTS_BF16))
        return honest_round(args->table.dtype, weight);
    return weight;
}

static void find_corners(const struct qvl_backend *backend, const struct qvl_pos_interp_args *args, int64_t g,
                         const int64_t place[2], struct corner corner[4])
{
    const struct qvl_grid *grid = &args->grids[g];
    const int64_t side = (int64_t)sqrt((double)args->table.shape[0]);
    float dy, dx;
    const int64_t y = locate(place[0], grid->h, side, half_pixel(backend, g), &dy);
    const int64_t x = locate(place[1], grid->w, side, half_pixel(backend, g), &dx);
    const float weight[4] = {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx};
    for (int c = 0; c < 4; c++) {
        const int64_t row = honest_least(y + c / 2, side - 1), column = honest_least(x + c % 2, side - 1);
        corner[c].row = honest_at(&args->table, row * side + column, 0);
        corner[c].weight = weight_of(backend, args, weight[c]);
    }
    if (honest_fault(backend, QVL_FAULT_VIT_POS_NO_INTERP)) {
        const int64_t row = place[0] % side, column = place[1] % side;
        for (int c = 0; c < 4; c++)
            corner[c] = (struct corner){honest_at(&args->table, row * side + column, 0), c == 0};
    }
}

static float blend(const struct qvl_pos_interp_args *args, const struct corner corner[4], int64_t j)
{
    const enum qvl_dtype dtype = args->table.dtype;
    const bool each = args->rounding == QVL_POS_ROUND_EACH;
    float sum = 0;
    for (int c = 0; c < 4; c++) {
        float product = corner[c].weight * honest_get(corner[c].row, dtype, j);
        if (each)
            product = honest_round(dtype, product);
        sum = c == 0 ? product : sum + product;
        if (each)
            sum = honest_round(dtype, sum);
    }
    return sum;
}

enum qvl_status honest_pos_interp(struct qvl_backend *backend, const struct qvl_pos_interp_args *args,
                                  struct qvl_error *error)
{
    int64_t out = 0;
    QVL_TRY(qvl_pos_interp_check(args, error));
    QVL_TRY(honest_no_cond(args->cond, "pos_interp", error));
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        for (int64_t i = 0; i < grid->t * grid->h * grid->w; i++, out++) {
            const int64_t inside = i % (grid->h * grid->w);
            struct corner corner[4];
            int64_t place[2];
            honest_block_order(inside, grid->w, args->merge, &place[0], &place[1]);
            if (honest_fault(backend, QVL_FAULT_VIT_PATCH_RASTER_ORDER)) {
                place[0] = inside / grid->w;
                place[1] = inside % grid->w;
            }
            find_corners(backend, args, g, place, corner);
            for (int64_t j = 0; j < args->table.shape[1]; j++)
                honest_put(honest_at(&args->y, out, 0), args->y.dtype, j, blend(args, corner, j));
        }
    }
    return QVL_OK;
}
