/* Vision rotary tables: the first half of the lanes turns with the patch row, the second with the column. */
#include "ref/grouping.h"
#include "ref/kernels.h"
#include "ref/rope_frequencies.h"

/* float32 angle = coordinate * inv_freq, as the original */
static void turn(int64_t lanes, int64_t coordinate, const float *inv_freq, double *cosine, double *sine)
{
    for (int64_t k = 0; k < lanes; k++) {
        const float angle = (float)coordinate * inv_freq[k];
        cosine[k] = cos((double)angle);
        sine[k] = sin((double)angle);
    }
}

enum qvl_status qvl_ref_vision_rope_table(struct qvl_backend *backend,
                                          const struct qvl_vision_rope_table_args *args,
                                          struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, QVL_F32);
    const int64_t lanes = args->head_dim / 2, quarter = lanes / 2;
    double *cosine, *sine;
    float *inv_freq;
    int64_t out = 0;
    QVL_TRY(qvl_vision_rope_table_check(args, error));
    QVL_TRY(qvl_ref_doubles("vision_rope_table", 3 * lanes, &cosine, error));
    sine = cosine + lanes;
    inv_freq = (float *)(sine + lanes);
    qvl_ref_rope_frequencies_f32(args->theta, lanes, NULL, inv_freq);
    for (int64_t g = 0; g < args->grid_count; g++) {
        const struct qvl_grid *grid = &args->grids[g];
        for (int64_t i = 0; i < grid->t * grid->h * grid->w; i++, out++) {
            int64_t row, column;
            qvl_ref_block_to_raster(i % (grid->h * grid->w), grid->w, args->merge, &row, &column);
            turn(quarter, row, inv_freq, cosine, sine);
            turn(quarter, column, inv_freq, cosine + quarter, sine + quarter);
            qvl_round_row(&r, lanes, cosine);
            qvl_round_row(&r, lanes, sine);
            qvl_ref_store(cosine, &args->cos, out, 0);
            qvl_ref_store(sine, &args->sin, out, 0);
        }
    }
    free(cosine);
    return QVL_OK;
}
