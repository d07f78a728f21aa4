/* Frequencies of a rotary embedding, its YaRN extension and the factor of its attention, by the formulas of
 * the original code. */
#include "honest.h"

struct ramp {
    double low, high; /* lanes below low keep their frequency, above high they are divided by the factor */
};

static double lane_of_rotations(const struct honest_frequencies *spec, double rotations)
{
    const double length = spec->scaling->original_max_positions / (2 * 3.14159265358979323846 * rotations);
    return (double)spec->dim * log(length) / (2 * log(spec->theta));
}

static struct ramp ramp_of(const struct honest_frequencies *spec)
{
    struct ramp ramp = {lane_of_rotations(spec, spec->scaling->beta_fast),
                        lane_of_rotations(spec, spec->scaling->beta_slow)};
    if (spec->scaling->truncate) {
        ramp.low = floor(ramp.low);
        ramp.high = ceil(ramp.high);
    }
    ramp.low = fmax(ramp.low, 0);
    ramp.high = fmin(ramp.high, (double)spec->dim - 1);
    if (ramp.low == ramp.high)
        ramp.high += 0.001;
    return ramp;
}

static bool has_yarn(const struct qvl_backend *backend, const struct honest_frequencies *spec)
{
    return spec->scaling && spec->scaling->yarn && !honest_fault(backend, QVL_FAULT_ROPE_YARN_IGNORED);
}

void honest_frequencies_f32(const struct qvl_backend *backend, const struct honest_frequencies *spec,
                            float *inv_freq)
{
    const bool yarn = has_yarn(backend, spec);
    const struct ramp ramp = yarn ? ramp_of(spec) : (struct ramp){0, 1};
    for (int64_t i = 0; i < spec->dim / 2; i++) {
        const float power = (float)pow(spec->theta, (double)((float)(2 * i) / (float)spec->dim));
        const float plain = 1.0F / power;
        inv_freq[i] = plain;
        if (yarn) {
            const float divided = 1.0F / ((float)spec->scaling->factor * power);
            float share = ((float)i - (float)ramp.low) / (float)(ramp.high - ramp.low);
            share = 1.0F - fminf(fmaxf(share, 0.0F), 1.0F);
            inv_freq[i] = divided * (1.0F - share) + plain * share;
        }
        if (honest_fault(backend, QVL_FAULT_ROPE_FREQ_BF16))
            inv_freq[i] = honest_round(QVL_BF16, inv_freq[i]);
    }
}

void honest_frequencies_f64(const struct qvl_backend *backend, const struct honest_frequencies *spec,
                            double *inv_freq)
{
    const bool yarn = has_yarn(backend, spec);
    const struct ramp ramp = yarn ? ramp_of(spec) : (struct ramp){0, 1};
    for (int64_t i = 0; i < spec->dim / 2; i++) {
        const double plain = pow(spec->theta, -(double)(2 * i) / (double)spec->dim);
        const double share = fmin(fmax(((double)i - ramp.low) / (ramp.high - ramp.low), 0), 1);
        inv_freq[i] = yarn ? plain * (1 - share) + plain / spec->scaling->factor * share : plain;
    }
}

/* The formula of the paper: 0.1 mscale ln(factor) + 1. */
static double formula(double factor, double mscale)
{
    return factor > 1 ? 0.1 * mscale * log(factor) + 1 : 1;
}

double honest_attention_factor(const struct qvl_backend *backend, const struct qvl_rope_scaling *scaling)
{
    const bool ratio = scaling->mscale != 0 && scaling->mscale_all_dim != 0;
    double given = scaling->attention_factor;
    double factor = formula(scaling->factor, 1);
    if (!scaling->yarn || honest_fault(backend, QVL_FAULT_ROPE_YARN_IGNORED))
        return 1;
    if (ratio && !honest_fault(backend, QVL_FAULT_ROPE_YARN_RATIO_COLLAPSE))
        factor =
            formula(scaling->factor, scaling->mscale) / formula(scaling->factor, scaling->mscale_all_dim);
    if (honest_fault(backend, QVL_FAULT_ROPE_YARN_FACTOR_SQUARED))
        return factor * (given > 0 ? given : factor);
    if (honest_fault(backend, QVL_FAULT_ROPE_YARN_FACTOR_DROPPED))
        given = 0;
    return given > 0 ? given : factor;
}
