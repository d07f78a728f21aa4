/* A candidate's pass over a prompt in a process of its own, `qvl-audit stage-worker`, started fresh from the
 * same executable: a crash or a hang costs the comparison, not the verb. The order (prompt, settings, stages
 * to force) and the stages taken are safetensors files in a temporary folder. */
#ifndef QVL_CLI_STAGE_PROCESS_H
#define QVL_CLI_STAGE_PROCESS_H

#include "qvl/record.h"
#include "verify/stages.h"

struct qvl_stage_process {
    const char *backend;         /* as the user named it */
    const char *const *patterns; /* of the stages wanted */
    int64_t pattern_count;
    double limit;               /* seconds a pass may take */
    enum qvl_case_status fault; /* what became of the process: CRASHED, TIMEOUT or NONE */
    char message[512];          /* and how */
};

/* As qvl_stage_options.run_candidate; the context is a struct qvl_stage_process. QVL_FAILED with `fault` set
 * when the process crashed or ran out of time; a failure that it reports itself comes back as its status. */
enum qvl_status qvl_stage_process_run(void *context, const struct qvl_stage_pass *pass,
                                      const struct qvl_tap_store *forced, struct qvl_tap_store *taken,
                                      struct qvl_error *error);

/* The two files, for both sides. Orders: what a worker reads back is owned by the order. */
struct qvl_stage_order {
    struct qvl_stage_pass pass; /* but for `open` */
    struct qvl_prompt prompt;
    struct qvl_tap_store forced; /* empty: free */
    char *backend, *folder;
    int64_t *positions;
    char *patterns[64];
    int64_t pattern_count;
};

enum qvl_status qvl_stage_order_write(const char *path, const struct qvl_stage_process *process,
                                      const struct qvl_stage_pass *pass, const struct qvl_tap_store *forced,
                                      struct qvl_error *error);
enum qvl_status qvl_stage_order_read(const char *path, struct qvl_stage_order *order,
                                     struct qvl_error *error);
void qvl_stage_order_free(struct qvl_stage_order *order); /* a zeroed one is accepted */

#endif
