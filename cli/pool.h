/* Cases run in worker processes (cli/worker.h): a crash, an exit or a hang costs one case. */
#ifndef QVL_CLI_POOL_H
#define QVL_CLI_POOL_H

#include "cli/journal.h"
#include "cli/worker.h"

struct qvl_pool_options {
    struct qvl_worker_setup setup;
    int jobs;     /* worker processes; 0: none, the cases run in this process, unprotected */
    double limit; /* seconds that the candidate's calls of one case may take; a check that makes calls of its
                     own (a probe) and the reference's part of a case may take QVL_POOL_CHECK_LIMITS times as
                     long */
    struct qvl_journal *journal; /* NULL: none */
    void (*progress)(void *context, int64_t done);
    void *context;
};

#define QVL_POOL_CHECK_LIMITS 6

struct qvl_pool_result {
    struct qvl_outcome **outcomes; /* in the order of the cases; NULL: not run */
    int64_t count;
    enum qvl_case_status fault; /* what a worker did between cases or on closing its backend: CRASHED, TIMEOUT
                                   or NONE */
    char fault_message[512];
    int signal; /* SIGINT or SIGTERM ended the run early; 0: none did */
};

/* Run the cases, those that the journal has excepted. Results do not depend on the number of workers. When
 * three cases of an entry of the op table have timed out, its later ones are SKIPPED. The result is filled as
 * far as the run came, also on failure. Fails as qvl_backend_open_named when the backend cannot be opened,
 * with QVL_UNAVAILABLE when it crashes on being opened, and as qvl_case_run for the first case that cannot be
 * judged. */
QVL_MUST_USE enum qvl_status qvl_pool_run(const struct qvl_case *cases, int64_t count,
                                          const struct qvl_pool_options *options,
                                          struct qvl_pool_result *result, struct qvl_error *error);

void qvl_pool_result_clear(struct qvl_pool_result *result); /* a zeroed one is accepted */

#endif
