/* What `flops` does beside counting by formula: its other forms, each chosen by one option. */
#ifndef QVL_CLI_FLOPS_MODES_H
#define QVL_CLI_FLOPS_MODES_H

#include "cli/session.h"
#include "qvl/record.h"

/* flops --weights: run the checkpoint on its prompt and count what it calls, beside the formulas. */
QVL_MUST_USE enum qvl_status qvl_flops_counted(const struct qvl_session_options *options, int64_t decode,
                                               struct qvl_report *report, struct qvl_error *error);

#endif
