/* Stage by stage: one prompt through the reference and through a backend, compared at every tap.
 *
 * There is no closed bound from end to end, so the tolerance of a stage is measured: the reference runs again
 * with its roundings randomised (qvl_backend_options.jitter_seed), and the largest deviation of these draws
 * from the exact-rounding run is what honest rounding does to this stage of this prompt. A backend that also
 * accumulates in float32 makes, beside the rounding u_store of each result, an error of about sqrt(n) u_acc
 * in a sum of n terms, so tolerance = SAFETY * deviation * sqrt(1 + n (u_acc / u_store)^2), n the longest sum
 * of the model. docs/NUMERICS.md has the derivation and the constant. */
#ifndef QVL_VERIFY_STAGES_H
#define QVL_VERIFY_STAGES_H

#include "model/model.h"
#include "model/tap_store.h"
#include "qvl/record.h"

struct qvl_stage_options {
    enum qvl_dtype storage;
    int64_t chunk; /* prompt tokens a call on the backend; 0: the whole prompt (the reference always takes it
                      whole) */
    int draws;     /* jittered runs, at least 1 */
    uint64_t seed; /* of the first draw, not 0 */
    int threads;   /* of the backend */
    const char *const *patterns; /* stages to compare (globs); none: all */
    int64_t pattern_count;
    void (*progress)(void *context, int done, int total); /* runs finished, may be NULL */
    void *context;
};

struct qvl_stage_result {
    char name[128];
    enum qvl_case_status status;
    int64_t rows, width;
    double largest; /* of the reference's values */
    double error;   /* largest difference */
    double tolerance;
    double margin;       /* error / tolerance */
    int64_t row, column; /* of the worst element */
};

/* Results in the order of the forward pass, the logits of the last token last under the name "logits";
 * malloc'd, caller frees. A stage that differs in shape or is missing on the backend is FAILED with an
 * infinite error. */
enum qvl_status qvl_verify_stages(const char *folder, const struct qvl_prompt *prompt,
                                  qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                  const struct qvl_stage_options *options, struct qvl_stage_result **results,
                                  int64_t *count, struct qvl_error *error);

#endif
