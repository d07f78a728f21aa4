/* MRoPE tables: angle = position[axis(lane)] inv_freq[lane], in the interleaved form of Qwen3-VL or the
 * chunked form of Qwen2-VL. */
#include "ref/mrope.h"

#include "ref/kernels.h"
#include "ref/rope_frequencies.h"

int qvl_ref_mrope_axis(enum qvl_mrope_layout layout, const int64_t section[3], int64_t lane)
{
    if (layout == QVL_MROPE_CHUNKED)
        return lane < section[0] ? 0 : lane < section[0] + section[1] ? 1 : 2;
    if (lane % 3 == 1 && lane < 3 * section[1])
        return 1;
    if (lane % 3 == 2 && lane < 3 * section[2])
        return 2;
    return 0;
}

/* cos and sin of one lane before the rounding to storage. The original multiplies by m in float32. */
static void turn(enum qvl_angle_precision precision, int64_t position, float inv_freq_f32,
                 double inv_freq_f64, double m, double *cosine, double *sine)
{
    if (precision == QVL_ANGLE_F64) {
        const double angle = (double)position * inv_freq_f64;
        *cosine = cos(angle) * m;
        *sine = sin(angle) * m;
    } else {
        const float angle = (float)position * inv_freq_f32;
        *cosine = (double)((float)cos((double)angle) * (float)m);
        *sine = (double)((float)sin((double)angle) * (float)m);
    }
}

enum qvl_status qvl_ref_mrope_table(struct qvl_backend *backend, const struct qvl_mrope_table_args *args,
                                    struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->cos.dtype);
    const int64_t lanes = args->head_dim / 2;
    double *inv_freq, *cosine, *sine, m;
    float *inv_freq_f32;
    QVL_TRY(qvl_mrope_table_check(args, error));
    QVL_TRY(qvl_ref_doubles("mrope_table", 4 * lanes, &inv_freq, error));
    cosine = inv_freq + lanes;
    sine = cosine + lanes;
    inv_freq_f32 = (float *)(sine + lanes);
    qvl_ref_rope_frequencies_f64(args->theta, args->head_dim, &args->scaling, inv_freq);
    qvl_ref_rope_frequencies_f32(args->theta, args->head_dim, &args->scaling, inv_freq_f32);
    m = qvl_ref_rope_attention_factor(&args->scaling);
    for (int64_t i = 0; i < args->cos.shape[0]; i++) {
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int axis = qvl_ref_mrope_axis(args->layout, args->section, lane);
            turn(args->precision, args->positions[axis * args->positions_stride + i], inv_freq_f32[lane],
                 inv_freq[lane], m, &cosine[lane], &sine[lane]);
        }
        qvl_round_row(&r, lanes, cosine);
        qvl_round_row(&r, lanes, sine);
        qvl_ref_store(cosine, &args->cos, i, 0);
        qvl_ref_store(sine, &args->sin, i, 0);
    }
    free(inv_freq);
    return QVL_OK;
}
