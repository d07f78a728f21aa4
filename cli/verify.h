/* The parts of the verb `verify`. */
#ifndef QVL_CLI_VERIFY_H
#define QVL_CLI_VERIFY_H

#include "cli/session.h"
#include "qvl/record.h"

struct qvl_verify_options {
    struct qvl_session_options session;
    const char *op, *text;
    int64_t seed, draws, tokens;
    bool has_seed, list, all;
};

/* The entries of the backend's op table, case by case, into the report; with --list only print the cases. */
QVL_MUST_USE enum qvl_status qvl_verb_verify_ops(const struct qvl_verify_options *options,
                                                 struct qvl_report *report, struct qvl_error *error);

/* Every stage of the checkpoint on a prompt, into the report. */
QVL_MUST_USE enum qvl_status qvl_verb_verify_stages(const struct qvl_verify_options *options,
                                                    struct qvl_report *report, struct qvl_error *error);

#endif
