/* pos_interp: the learned position table, interpolated to each grid. */
#include "cpu_state.h"

void qvl_cpu_patch_place(const struct qvl_grid *grid, int64_t merge, int64_t patch, int64_t *y, int64_t *x)
{
    int64_t inside = patch % (merge * merge), block = patch / (merge * merge), across = grid->w / merge;
    *y = block / across * merge + inside / merge;
    *x = block % across * merge + inside % merge;
}

/* One axis: the two table lines around coordinate `index` of `count`, and the fraction between them. */
static void place(int64_t index, int64_t count, int64_t side, int64_t line[2], float *fraction)
{
    float at = count > 1 ? (float)index * (float)(side - 1) / (float)(count - 1) : 0.0f;
    line[0] = (int64_t)at;
    line[1] = line[0] + 1 < side ? line[0] + 1 : side - 1;
    *fraction = at - (float)line[0];
}

/* One output row from four table rows. */
static void blend(const struct cpu_simd *simd, const struct qvl_pos_interp_args *args, const int64_t row[4],
                  float weight[4], float *sum, float *term, char *to)
{
    enum qvl_dtype dtype = args->table.dtype;
    int64_t dim = args->table.shape[1];
    bool each = args->rounding == QVL_POS_ROUND_EACH;
    if (each)
        simd->round(dtype, weight, 4);
    for (int corner = 0; corner < 4; corner++) {
        float *part = corner ? term : sum;
        simd->load(dtype, qvl_cpu_at(&args->table, row[corner]), part, dim);
        simd->multiply(part, weight[corner], dim);
        if (each)
            simd->round(dtype, part, dim);
        if (corner == 0)
            continue;
        for (int64_t i = 0; i < dim; i++)
            sum[i] += term[i];
        if (each)
            simd->round(dtype, sum, dim);
    }
    simd->store(dtype, sum, to, dim);
}

static void interpolate(const struct cpu_simd *simd, const struct qvl_pos_interp_args *args,
                        const struct qvl_grid *grid, int64_t side, int64_t patch, float *work, char *to)
{
    int64_t y, x, ys[2], xs[2];
    float dy, dx;
    qvl_cpu_patch_place(grid, args->merge, patch, &y, &x);
    place(y, grid->h, side, ys, &dy);
    place(x, grid->w, side, xs, &dx);
    blend(simd, args,
          (int64_t[]){ys[0] * side + xs[0], ys[0] * side + xs[1], ys[1] * side + xs[0], ys[1] * side + xs[1]},
          (float[]){(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx}, work,
          work + args->table.shape[1], to);
}

enum qvl_status qvl_cpu_pos_interp(struct qvl_backend *backend, const struct qvl_pos_interp_args *args,
                                   struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t dim = args->table.shape[1], row = 0;
    int64_t side = (int64_t)sqrt((double)args->table.shape[0]);
    size_t bytes = (size_t)dim * qvl_dtype_bytes(args->y.dtype);
    float *work;
    QVL_TRY(qvl_pos_interp_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "pos_interp", error));
    CPU_SCRATCH(state, work, state->threads * 2 * dim * 4, error);
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        int64_t patches = grid->h * grid->w;
#pragma omp parallel for num_threads(qvl_cpu_team(state, patches *dim)) schedule(static)
        for (int64_t p = 0; p < patches; p++)
            interpolate(state->simd, args, grid, side, p, work + qvl_cpu_thread() * 2 * dim,
                        qvl_cpu_at(&args->y, row + p));
        for (int64_t i = patches; i < grid->t * patches; i++)
            memcpy(qvl_cpu_at(&args->y, row + i), qvl_cpu_at(&args->y, row + i - patches), bytes);
        row += grid->t * patches;
    }
    return QVL_OK;
}
