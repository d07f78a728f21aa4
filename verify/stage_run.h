/* One forward pass of a prompt with its stages kept. */
#ifndef QVL_VERIFY_STAGE_RUN_H
#define QVL_VERIFY_STAGE_RUN_H

#include "model/model.h"
#include "model/tap_store.h"

struct qvl_stage_pass {
    const char *folder;
    const struct qvl_prompt *prompt;
    qvl_backend_open_fn *open;
    struct qvl_backend_options backend;
    struct qvl_model_options model;
    int64_t chunk;            /* prompt tokens a call; 0: all */
    const int64_t *positions; /* [position_count] ascending tokens: the rows of the stage "logits" */
    int64_t position_count;
};

/* Open the backend, load the model, run the prompt into `store`, whose patterns and `forced` are set. */
enum qvl_status qvl_stage_pass_run(const struct qvl_stage_pass *pass, struct qvl_tap_store *store,
                                   struct qvl_error *error);

#endif
