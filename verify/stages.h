/* Stage by stage: one prompt through the reference and through a backend, compared at every tap, twice.
 *
 * Free-running: each engine reads what it computed itself. There is no closed bound from end to end, so the
 * tolerance of a stage is measured: the reference runs again with its roundings randomised
 * (qvl_backend_options.jitter_seed), and how far these draws are from the exact-rounding run is what honest
 * rounding does to this stage of this prompt. Forced: after each stage the reference's values take the place
 * of the candidate's, and of the draws', so that every stage is judged on right inputs against what its own
 * roundings do. The first failure free-running is where an error shows; the forced ones are where errors
 * arise.
 *
 * A backend that also accumulates in float32 makes, beside the rounding u_store of each result, an error of
 * about sqrt(n) u_acc in a sum of n terms, so tolerance = SAFETY * deviation * sqrt(1 + n (u_acc /
 * u_store)^2), n the longest sum of the model. docs/NUMERICS.md has the derivation and the constant. */
#ifndef QVL_VERIFY_STAGES_H
#define QVL_VERIFY_STAGES_H

#include "model/model.h"
#include "model/tap_store.h"
#include "qvl/record.h"
#include "verify/envelope.h"
#include "verify/stage_run.h"

/* The largest of a few draws underestimates the largest honest deviation (docs/NUMERICS.md). */
#define QVL_STAGE_SAFETY 2.0

/* What accumulating in float32 adds to a rounding error: sqrt(1 + n (u_acc / u_store)^2). */
double qvl_stage_factor(const struct qvl_model_config *config, enum qvl_dtype storage, int64_t tokens);

/* When the forced run is made beside the free one. */
enum qvl_forced_run { QVL_FORCED_ALWAYS, QVL_FORCED_ON_FAILURE };

struct qvl_stage_options {
    enum qvl_dtype storage;
    enum qvl_pos_rounding pos_rounding; /* these as qvl_model_options */
    enum qvl_angle_precision angles;
    int64_t chunk; /* prompt tokens a call on the backend; 0: the whole prompt (the reference always takes it
                      whole) */
    int draws;     /* jittered runs, at least 1 */
    uint64_t seed; /* of the first draw, not 0 */
    int threads;   /* of the backend */
    uint64_t candidate_jitter; /* not 0: the candidate, `ref`, is itself a jittered run */
    int64_t logit_rows;        /* last prompt tokens whose logits are compared, at most; 0: 1 */
    enum qvl_forced_run forced;
    const char *const *patterns; /* stages to compare (globs); none: all. Only these are forced */
    int64_t pattern_count;
    void (*progress)(void *context, int done, int total); /* runs finished, may be NULL */
    void *context;
    /* Runs a pass of the candidate elsewhere than in this process: `taken` gets its wanted stages, `forced`
     * (NULL: free) takes their place. May be NULL. */
    enum qvl_status (*run_candidate)(void *context, const struct qvl_stage_pass *pass,
                                     const struct qvl_tap_store *forced, struct qvl_tap_store *taken,
                                     struct qvl_error *error);
    void *candidate_context;
};

/* One stage of one run. */
struct qvl_stage_result {
    char name[128];
    enum qvl_case_status status;
    int64_t rows, width;
    int64_t first_token;  /* stage "logits": the token of its row 0; else 0 */
    double largest;       /* of the reference's values */
    double error;         /* at the worst element, the one with the largest margin */
    double tolerance;     /* there */
    double margin;        /* error / tolerance */
    int64_t row, column;  /* of the worst element */
    double expected, got; /* there */
    int64_t failures;     /* elements beyond their tolerance */
    int64_t failed_rows;  /* that hold one */
    int64_t failed_columns;
};

struct qvl_stage_run {
    struct qvl_stage_result *results; /* in the order of the forward pass, "logits" last */
    int64_t count;                    /* 0: not run */
    int64_t compared;                 /* not SKIPPED */
    int64_t failed;
    int64_t first; /* the first that failed, or -1 */
};

struct qvl_stage_report {
    struct qvl_stage_run free, forced;
    struct qvl_envelope envelope; /* of the logits; draws 0 when they were not among the stages */
};

/* A stage that differs in shape or is missing on the backend is FAILED with an infinite error. *report is
 * cleared on failure, else owned (qvl_stage_report_free). */
enum qvl_status qvl_verify_stages(const char *folder, const struct qvl_prompt *prompt,
                                  qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                  const struct qvl_stage_options *options, struct qvl_stage_report *report,
                                  struct qvl_error *error);

/* The same for stages that another engine has taken; those that it lacks are SKIPPED, QVL_BAD_INPUT when it
 * has none of the reference's. Forced, the reference reads the other engine's stages and predicts each from
 * the one before. The rows of its "logits" are the prompt's tokens positions[0..position_count-1], ascending.
 */
enum qvl_status qvl_verify_taken(const char *folder, const struct qvl_prompt *prompt,
                                 qvl_backend_open_fn *reference, const struct qvl_tap_store *taken,
                                 const int64_t *positions, int64_t position_count,
                                 const struct qvl_stage_options *options, struct qvl_stage_report *report,
                                 struct qvl_error *error);

void qvl_stage_report_free(struct qvl_stage_report *report); /* clears; a zeroed one is accepted */

/* Terms of the longest sum of a forward pass: a projection's input, or the keys of an attention row. */
double qvl_stage_longest_sum(const struct qvl_model_config *config, int64_t tokens);

#endif
