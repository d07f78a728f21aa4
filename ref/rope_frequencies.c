/* RoPE (Su et al. 2021, eq. 15) and YaRN (Peng et al. 2023, section 3.2-3.4), in the form of the original
 * code: cd(r) = d ln(L0 / (2 pi r)) / (2 ln theta) low = max(floor(cd(beta_fast)), 0), high =
 * min(ceil(cd(beta_slow)), d-1) ramp_i = clamp((i - low) / (high - low), 0, 1) inv_freq_i = ramp_i / (s p_i)
 * + (1 - ramp_i) / p_i,  p_i = theta^(2i/d) */
#include "ref/rope_frequencies.h"

static double correction_dim(double rotations, double theta, int64_t dim, double original_max_positions)
{
    const double pi = 3.14159265358979323846;
    return (double)dim * log(original_max_positions / (rotations * 2 * pi)) / (2 * log(theta));
}

void qvl_ref_yarn_range(double theta, int64_t dim, const struct qvl_rope_scaling *scaling, double *low,
                        double *high)
{
    *low = correction_dim(scaling->beta_fast, theta, dim, scaling->original_max_positions);
    *high = correction_dim(scaling->beta_slow, theta, dim, scaling->original_max_positions);
    if (scaling->truncate) {
        *low = floor(*low);
        *high = ceil(*high);
    }
    *low = fmax(*low, 0);
    *high = fmin(*high, (double)(dim - 1));
    if (*low == *high)
        *high += 0.001;
}

void qvl_ref_rope_frequencies_f32(double theta, int64_t dim, const struct qvl_rope_scaling *scaling,
                                  float *inv_freq)
{
    double low = 0, high = 1;
    const bool yarn = scaling && scaling->yarn;
    if (yarn)
        qvl_ref_yarn_range(theta, dim, scaling, &low, &high);
    for (int64_t i = 0; i < dim / 2; i++) {
        const float exponent = (float)(2 * i) / (float)dim;
        const float power = (float)pow(theta, (double)exponent);
        inv_freq[i] = 1.0f / power;
        if (yarn) {
            const float interpolated = 1.0f / ((float)scaling->factor * power);
            const float ramp = fminf(fmaxf(((float)i - (float)low) / (float)(high - low), 0.0f), 1.0f);
            const float keep = 1.0f - ramp;
            inv_freq[i] = interpolated * (1.0f - keep) + inv_freq[i] * keep;
        }
    }
}

void qvl_ref_rope_frequencies_f64(double theta, int64_t dim, const struct qvl_rope_scaling *scaling,
                                  double *inv_freq)
{
    double low = 0, high = 1;
    const bool yarn = scaling && scaling->yarn;
    if (yarn)
        qvl_ref_yarn_range(theta, dim, scaling, &low, &high);
    for (int64_t i = 0; i < dim / 2; i++) {
        const double power = pow(theta, (double)(2 * i) / (double)dim);
        inv_freq[i] = 1.0 / power;
        if (yarn) {
            const double ramp = fmin(fmax(((double)i - low) / (high - low), 0.0), 1.0);
            inv_freq[i] = ramp / (scaling->factor * power) + (1.0 - ramp) / power;
        }
    }
}

/* g(s, k) = 1 for s <= 1, else 0.1 k ln(s) + 1 */
static double attention_scale(double factor, double mscale)
{
    return factor <= 1 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

double qvl_ref_rope_attention_factor(const struct qvl_rope_scaling *scaling)
{
    if (!scaling || !scaling->yarn)
        return 1.0;
    if (scaling->attention_factor > 0)
        return scaling->attention_factor;
    if (scaling->mscale != 0 && scaling->mscale_all_dim != 0)
        return attention_scale(scaling->factor, scaling->mscale) /
               attention_scale(scaling->factor, scaling->mscale_all_dim);
    return attention_scale(scaling->factor, 1.0);
}
