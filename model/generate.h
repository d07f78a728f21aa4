/* Generation: prefill a sequence's prompt in chunks, then decode token by token. */
#ifndef QVL_MODEL_GENERATE_H
#define QVL_MODEL_GENERATE_H

#include "model/model.h"

struct qvl_generate_options {
    int64_t max_tokens;
    int64_t chunk; /* prompt tokens per forward call; 0: QVL_DEFAULT_CHUNK */
    bool ignore_eos;
    bool greedy;
    double temperature, top_p;
    int64_t top_k;
    double repetition_penalty, presence_penalty;
    uint64_t seed;
    /* Called after each token, may be NULL; `done` and `total` count prompt tokens while `token` is -1. */
    enum qvl_status (*progress)(void *context, int64_t token, int64_t done, int64_t total,
                                struct qvl_error *error);
    void *context;
};

enum qvl_finish {
    QVL_FINISH_STOP,  /* an end token, which is the last of `tokens` */
    QVL_FINISH_LENGTH /* max_tokens or the sequence's capacity */
};

struct qvl_generation {
    int64_t *tokens; /* [count], owned */
    int64_t count;
    enum qvl_finish finish;
    double prefill_seconds;
    double first_token_seconds; /* prefill and the first sampling step */
    double *step_seconds;       /* [count - 1] time of each decode step, owned */
};

/* Run the pending prompt tokens through the model; `logits` receives those of the last one ([vocab]). */
enum qvl_status qvl_prefill(struct qvl_model *model, struct qvl_sequence *sequence,
                            const struct qvl_generate_options *options, float *logits,
                            const struct qvl_taps *taps, struct qvl_error *error);

/* Prefill what is pending and generate. The sequence must hold at least one prompt token that is not yet
 * processed. The same seed gives the same tokens. Freed with qvl_generation_free. */
enum qvl_status qvl_generate(struct qvl_model *model, struct qvl_sequence *sequence,
                             const struct qvl_generate_options *options, struct qvl_generation *generation,
                             struct qvl_error *error);

void qvl_generation_free(struct qvl_generation *generation);

/* Options as the checkpoint's generation_config.json sets them, 64 tokens, default chunk, seed 0. */
void qvl_generate_defaults(const struct qvl_generation_config *from, struct qvl_generate_options *options);

#endif
