/* A process that runs cases for another: `qvl-audit worker`, started fresh from the same executable, so that
 * whatever a backend does to it (crash, hang, exit, a corrupted heap, a poisoned device context) costs one
 * case.
 *
 * Orders go in on one pipe, one case line each; answers come out on another, never on stdout:
 *   "ready DESCRIPTION"   the backends are open
 *   "call", "check"       the candidate's calls begin; they have ended
 *   "done OUTCOME"        cli/outcome.h
 *   "error STATUS MESSAGE" the backends cannot be opened, or the case cannot be judged
 * stdout of the worker is discarded, its stderr comes back on a third pipe. End of orders: it closes the
 * backends and exits with code 0. */
#ifndef QVL_CLI_WORKER_H
#define QVL_CLI_WORKER_H

#include <sys/types.h>

#include "cli/outcome.h"

#define QVL_WORKER_ORDERS 3 /* file descriptors inside the worker */
#define QVL_WORKER_ANSWERS 4

/* What a worker is started with. */
struct qvl_worker_setup {
    const char *backend; /* as the user named it */
    int threads;         /* 0: all */
    const char *save;    /* folder for the evidence of cases that do not pass; NULL: none */
};

struct qvl_worker {
    pid_t pid;                    /* 0: none */
    int orders, answers, noise;   /* ends of the pipes here; -1: closed */
    char text[QVL_OUTCOME_BYTES]; /* of answers, not yet whole lines */
    size_t used;
    char tail[sizeof((struct qvl_outcome *)0)->noise]; /* the end of its stderr */
};

QVL_MUST_USE enum qvl_status qvl_worker_start(struct qvl_worker *worker, const struct qvl_worker_setup *setup,
                                              struct qvl_error *error);

/* Send a line; false when the worker is gone. */
bool qvl_worker_order(struct qvl_worker *worker, const char *line);

/* No more orders: the worker closes its backends and ends. */
void qvl_worker_dismiss(struct qvl_worker *worker);

/* Take what has come in. False at the end of its answers. */
bool qvl_worker_listen(struct qvl_worker *worker);

/* The next whole line of the answers, without newline; false when there is none. */
bool qvl_worker_answer(struct qvl_worker *worker, char line[QVL_OUTCOME_BYTES]);

/* Append what it wrote to stderr to the tail. */
void qvl_worker_hear(struct qvl_worker *worker);

/* Kill the process and everything it started; qvl_worker_end follows. */
void qvl_worker_kill(struct qvl_worker *worker);

/* Reap the process; killed when it does not end within two seconds, with everything it started. `how` says
 * what became of it: "killed by SIGSEGV (Segmentation fault)", "exited with code 0". True when it ended by
 * itself with code 0. */
bool qvl_worker_end(struct qvl_worker *worker, char *how, size_t bytes);

#endif
