/* Learned position embedding: bilinear interpolation with aligned corners of an N x N table. */
#include "ref/grouping.h"
#include "ref/kernels.h"

/* Error of a corner's weight. The coordinate is a product and a quotient of whole numbers, one rounding;
 * formed as i * step, or from the other end as torch.linspace does, it has two of numbers up to side - 1,
 * which moves both factors of the weight. Their differences from 1 and the product are rounded. */
static double weight_error(int64_t side)
{
    return (2 * 2 * (double)(side - 1) + 3) * 0x1p-24;
}

struct corner {
    const char *row; /* of the table */
    float weight;
};

/* Grid line below the coordinate of patch `i` of `count`, and the distance from it, in float32. */
static int64_t locate(int64_t i, int64_t count, int64_t side, float *distance)
{
    const float coordinate = count > 1 ? (float)(i * (side - 1)) / (float)(count - 1) : 0.0f;
    const int64_t below = (int64_t)coordinate;
    *distance = coordinate - (float)below;
    return below;
}

static void corners_of(const struct qvl_pos_interp_args *args, const struct qvl_grid *grid, int64_t row,
                       int64_t column, struct corner corners[4])
{
    const int64_t side = (int64_t)sqrt((double)args->table.shape[0]);
    float dy, dx;
    const int64_t y0 = locate(row, grid->h, side, &dy), x0 = locate(column, grid->w, side, &dx);
    const int64_t y1 = y0 + 1 < side ? y0 + 1 : side - 1, x1 = x0 + 1 < side ? x0 + 1 : side - 1;
    corners[0] = (struct corner){qvl_ref_at(&args->table, y0 * side + x0, 0), (1 - dy) * (1 - dx)};
    corners[1] = (struct corner){qvl_ref_at(&args->table, y0 * side + x1, 0), (1 - dy) * dx};
    corners[2] = (struct corner){qvl_ref_at(&args->table, y1 * side + x0, 0), dy * (1 - dx)};
    corners[3] = (struct corner){qvl_ref_at(&args->table, y1 * side + x1, 0), dy * dx};
}

/* sum of weight * table row over the corners, left to right; with ROUND_EACH every weight, product and
 * partial sum is rounded. `work` holds one row. */
static void blend(const struct qvl_pos_interp_args *args, const struct qvl_rounding *r,
                  const struct corner corners[4], double *work, double *y)
{
    const int64_t n = args->table.shape[1];
    const bool each = args->rounding == QVL_POS_ROUND_EACH;
    for (int c = 0; c < 4; c++) {
        const double weight = each ? qvl_round(r, (double)corners[c].weight) : (double)corners[c].weight;
        qvl_load_row(corners[c].row, args->table.dtype, n, work);
        for (int64_t j = 0; j < n; j++) {
            const double product = each ? qvl_round(r, weight * work[j]) : weight * work[j];
            y[j] = c == 0 ? product : y[j] + product;
            if (each && c > 0 && c < 3)
                y[j] = qvl_round(r, y[j]);
        }
    }
}

/* The same steps with their bounds: weights are off by what the coordinates are. */
static double blend_bound(const struct qvl_pos_interp_args *args, const struct corner corners[4],
                          const double table[4])
{
    const enum qvl_dtype dtype = args->table.dtype;
    const struct qvl_condition *cond = args->cond;
    const bool each = args->rounding == QVL_POS_ROUND_EACH;
    double sum = 0, bound = 0;
    for (int c = 0; c < 4; c++) {
        double weight = (double)corners[c].weight;
        double weight_bound = weight_error((int64_t)sqrt((double)args->table.shape[0]));
        double product_bound;
        if (each) {
            weight_bound = qvl_bound_round(dtype, weight, weight_bound);
            weight = qvl_round_nearest(dtype, weight);
        }
        product_bound = weight_bound * fabs(table[c]) + cond->accumulate * fabs(weight * table[c]);
        if (each)
            product_bound = qvl_bound_round(dtype, weight * table[c], product_bound);
        sum += each ? qvl_round_nearest(dtype, weight * table[c]) : weight * table[c];
        bound += product_bound + cond->accumulate * fabs(sum);
        if (each && c > 0 && c < 3) {
            bound = qvl_bound_round(dtype, sum, bound);
            sum = qvl_round_nearest(dtype, sum);
        }
    }
    return bound;
}

enum qvl_status qvl_ref_pos_interp(struct qvl_backend *backend, const struct qvl_pos_interp_args *args,
                                   struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y.dtype);
    const int64_t n = args->table.shape[1];
    double *y, *work;
    int64_t out = 0;
    QVL_TRY(qvl_pos_interp_check(args, error));
    QVL_TRY(qvl_ref_doubles("pos_interp", 2 * n, &y, error));
    work = y + n;
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        for (int64_t i = 0; i < grid->t * grid->h * grid->w; i++, out++) {
            struct corner corners[4];
            int64_t row, column;
            qvl_ref_block_to_raster(i % (grid->h * grid->w), grid->w, args->merge, &row, &column);
            corners_of(args, grid, row, column, corners);
            blend(args, &r, corners, work, y);
            for (int64_t j = 0; args->cond && j < n; j++) {
                double table[4];
                for (int c = 0; c < 4; c++)
                    qvl_load_row(corners[c].row + (size_t)j * qvl_dtype_bytes(args->table.dtype),
                                 args->table.dtype, 1, &table[c]);
                qvl_bound_put(args->cond, out * n + j, y[j], blend_bound(args, corners, table));
            }
            qvl_round_row(&r, n, y);
            qvl_ref_store(y, &args->y, out, 0);
        }
    }
    free(y);
    return QVL_OK;
}
