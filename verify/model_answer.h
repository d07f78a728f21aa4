/* One prompt through a model in different ways: in chunks, among other sequences, over forks and cuts of its
 * cache. Internal to verify/. */
#ifndef QVL_VERIFY_MODEL_ANSWER_H
#define QVL_VERIFY_MODEL_ANSWER_H

#include "model/model.h"

#define QVL_DECODED 4 /* tokens after the prompt, one a call */
#define QVL_COMPANIONS 3

enum qvl_history {
    QVL_HISTORY_PLAIN,
    QVL_HISTORY_FORK,        /* the first half of the prompt, a fork, and the rest on it */
    QVL_HISTORY_FORK_BESIDE, /* the same, after the original has gone on */
    QVL_HISTORY_PROMPT_CUT,  /* the second half of the prompt cut and done again */
    QVL_HISTORY_DECODED_CUT  /* other tokens decoded and cut */
};

struct qvl_model_way {
    int64_t chunk;  /* prompt tokens a call */
    int companions; /* other sequences in every call, 0 to QVL_COMPANIONS */
    enum qvl_history history;
};

struct qvl_model_question {
    const struct qvl_prompt *prompt;
    int64_t tokens[QVL_DECODED]; /* that follow the prompt, whatever the logits say */
    bool choose;                 /* take them from the logits, and store them */
};

/* Values of an answer: [prompt->count + QVL_DECODED][vocabulary] logits. */
int64_t qvl_model_answer_count(const struct qvl_model_question *question, int64_t vocabulary);

enum qvl_status qvl_model_answer(struct qvl_model *model, struct qvl_model_question *question,
                                 const struct qvl_model_way *way, double *logits, struct qvl_error *error);

/* Index of the largest of `count` values, the first of equal ones. */
int64_t qvl_largest_logit(const double *logits, int64_t count);

/* Ids below this are ordinary text in any checkpoint of the family: the added tokens, of which vision_start
 * is one, come after them. */
int64_t qvl_ordinary_tokens(const struct qvl_model_config *config);

#endif
