/* Both backends in this process, and cases run on them. */
#ifndef QVL_CLI_RUNNER_H
#define QVL_CLI_RUNNER_H

#include "cli/backends.h"
#include "cli/outcome.h"

struct qvl_runner {
    void (*calling)(void *data, bool begins); /* set by the caller; see struct qvl_case_context */
    struct qvl_opened_backend reference, candidate;
    struct qvl_case_context context;
};

/* `save`: a folder for the tensors of op cases that do not pass, NULL: none. Names are borrowed. */
QVL_MUST_USE enum qvl_status qvl_runner_open(struct qvl_runner *runner, const char *backend, int threads,
                                             const char *save, struct qvl_error *error);
void qvl_runner_close(struct qvl_runner *runner);

/* Errors as qvl_case_run, but for memory that is not there: then the outcome is SKIPPED. */
QVL_MUST_USE enum qvl_status qvl_runner_run(const struct qvl_runner *runner, const struct qvl_case *chosen,
                                            struct qvl_outcome *outcome, struct qvl_error *error);

#endif
