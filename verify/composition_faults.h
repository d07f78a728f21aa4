/* Faults of the path from messages to tokens and from tokens to positions, which no backend sees: hooks at
 * the moments between the steps of an honest path. */
#ifndef QVL_VERIFY_COMPOSITION_FAULTS_H
#define QVL_VERIFY_COMPOSITION_FAULTS_H

#include "model/model.h"

enum qvl_path_moment {
    QVL_PATH_PROMPTED, /* the sequence has its prompt: positions and visual features are there */
    QVL_PATH_STEP,     /* about to process `count` tokens */
    QVL_PATH_STEPPED,  /* has processed `count` tokens */
    QVL_PATH_FORKED,   /* is the copy */
    QVL_PATH_TRUNCATED
};

struct qvl_path_event {
    enum qvl_path_moment moment;
    struct qvl_sequence *sequence;
    const struct qvl_sequence *first; /* of the batch that the step is part of */
    const struct qvl_prompt *prompt;  /* of the sequence */
    int64_t count;
    int64_t lanes; /* sequences of the batch */
};

/* What a fault remembers from one sequence to the next. Zeroed at first; freed with qvl_path_state_free. */
struct qvl_path_state {
    bool any;
    int64_t delta;
    int64_t *ids; /* of the last prompt */
    int64_t count;
    void *features;
    size_t bytes;
};

void qvl_path_state_free(struct qvl_path_state *state);

struct qvl_path_fault {
    const char *name;
    int section;
    const char *fault;
    const char *entry;
    /* Each may be NULL. */
    enum qvl_status (*visuals)(struct qvl_prompt *prompt,
                               struct qvl_error *error); /* media read, no ids yet */
    void (*text)(char *text, size_t *size);              /* placeholders expanded; may only get shorter */
    enum qvl_status (*sequence)(struct qvl_path_state *state, const struct qvl_path_event *event,
                                struct qvl_error *error);
};

/* The faults in the order of the museum; NULL beyond the last. */
const struct qvl_path_fault *qvl_path_fault_at(int64_t index);

#endif
