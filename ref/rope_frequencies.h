/* Inverse frequencies of the rotary embeddings, with and without YaRN. */
#ifndef QVL_REF_ROPE_FREQUENCIES_H
#define QVL_REF_ROPE_FREQUENCIES_H

#include "qvl/ops.h"

/* inv_freq[i] = 1 / theta^(2i/dim), i < dim/2, as the original: the exponent 2i/dim in float32, the power
 * rounded to float32, everything after it in float32; `scaling` may be NULL (no YaRN). */
void qvl_ref_rope_frequencies_f32(double theta, int64_t dim, const struct qvl_rope_scaling *scaling,
                                  float *inv_freq);

/* The same formula in double throughout. */
void qvl_ref_rope_frequencies_f64(double theta, int64_t dim, const struct qvl_rope_scaling *scaling,
                                  double *inv_freq);

/* The factor m of cosine and sine: 1 without YaRN. */
double qvl_ref_rope_attention_factor(const struct qvl_rope_scaling *scaling);

/* The pairs between which YaRN blends: low keeps its frequency, high is divided by the factor. */
void qvl_ref_yarn_range(double theta, int64_t dim, const struct qvl_rope_scaling *scaling, double *low,
                        double *high);

#endif
