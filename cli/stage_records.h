/* Stage verification as records, for `verify` and `run`. */
#ifndef QVL_CLI_STAGE_RECORDS_H
#define QVL_CLI_STAGE_RECORDS_H

#include "qvl/record.h"
#include "verify/divergence.h"

/* What the stages of one comparison add up to. */
struct qvl_stage_summary {
    int64_t stages, failed;
    double worst_margin;
    char worst[128];         /* the stage of the worst margin */
    char first_failure[128]; /* in the order of the forward pass; "" when none failed */
    char verdict[QVL_VERDICT_BYTES];
};

/* Compare and add a record of kind "stage" for each stage, named "LABEL STAGE" (both runs in one record), one
 * of kind "divergence" and one of kind "envelope" for each metric of the logits. `repro` is the command line
 * that repeats the comparison; what failed carries it. */
QVL_MUST_USE enum qvl_status
qvl_stage_add_records(const char *folder, const struct qvl_prompt *prompt, qvl_backend_open_fn *reference,
                      qvl_backend_open_fn *candidate, const struct qvl_stage_options *options,
                      const char *label, const char *repro, struct qvl_report *report,
                      struct qvl_stage_summary *summary, struct qvl_error *error);

/* The same records of a comparison that has been made. */
QVL_MUST_USE enum qvl_status qvl_stage_records(const struct qvl_stage_report *from, const char *folder,
                                               const struct qvl_prompt *prompt,
                                               const struct qvl_stage_options *options, const char *label,
                                               const char *repro, struct qvl_report *report,
                                               struct qvl_stage_summary *summary, struct qvl_error *error);

#endif
