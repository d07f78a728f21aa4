#include "verify/model_answer.h"

#include <stdlib.h>

#include "base/random.h"

int64_t qvl_model_answer_count(const struct qvl_model_question *question, int64_t vocabulary)
{
    return (question->prompt->count + QVL_DECODED) * vocabulary;
}

int64_t qvl_largest_logit(const double *logits, int64_t count)
{
    int64_t largest = 0;
    for (int64_t i = 1; i < count; i++)
        if (logits[i] > logits[largest])
            largest = i;
    return largest;
}

int64_t qvl_ordinary_tokens(const struct qvl_model_config *config)
{
    const int64_t added = config->vision_start_token;
    return added > 0 && added < config->text.vocab ? added : config->text.vocab;
}

struct run {
    struct qvl_model *model;
    struct qvl_model_question *question;
    const struct qvl_model_way *way;
    struct qvl_sequence *sequence;
    struct qvl_sequence *companions[QVL_COMPANIONS];
    int64_t room;  /* tokens that a companion can take */
    int64_t *rows; /* 0, 1, 2, .. */
    float *logits; /* of one call */
    double *out;
    int64_t vocabulary;
};

/* A companion's next step: its prompt by 1, 2 or 3 tokens, then a token a call, until it is full. False when
 * it has nothing to do. */
static bool companion_step(const struct run *run, int index, struct qvl_step *step)
{
    static const int64_t token = 5;
    struct qvl_sequence *sequence = run->companions[index];
    const int64_t pending = qvl_sequence_pending(sequence);
    *step = (struct qvl_step){.sequence = sequence, .count = pending < index + 1 ? pending : index + 1};
    if (pending > 0)
        return true;
    step->tokens = &token;
    step->count = 1;
    return qvl_sequence_length(sequence) < run->room;
}

/* `count` tokens of the sequence in one call, the prompt's next or those given, amid its companions; logits
 * to their rows of the answer unless `discard`. */
static enum qvl_status advance(struct run *run, const int64_t *tokens, int64_t count, bool discard,
                               struct qvl_error *error)
{
    struct qvl_step steps[QVL_COMPANIONS + 1];
    const int64_t first = qvl_sequence_length(run->sequence);
    int64_t step_count = 0;
    for (int i = 0; i <= run->way->companions; i++) {
        if (i == (run->way->companions + 1) / 2) /* first alone, last of two, in the middle of more */
            steps[step_count++] = (struct qvl_step){.sequence = run->sequence,
                                                    .tokens = tokens,
                                                    .count = count,
                                                    .logit_rows = run->rows,
                                                    .logit_count = count};
        if (i < run->way->companions && companion_step(run, i, &steps[step_count]))
            step_count++;
    }
    QVL_TRY(qvl_model_forward(run->model, steps, step_count, run->logits, NULL, error));
    for (int64_t i = 0; i < count * run->vocabulary && !discard; i++)
        run->out[first * run->vocabulary + i] = (double)run->logits[i];
    return QVL_OK;
}

/* The prompt up to token `last` in chunks. */
static enum qvl_status prefill(struct run *run, int64_t last, struct qvl_error *error)
{
    for (int64_t length; (length = qvl_sequence_length(run->sequence)) < last;) {
        const int64_t left = last - length;
        QVL_TRY(advance(run, NULL, left < run->way->chunk ? left : run->way->chunk, false, error));
    }
    return QVL_OK;
}

static enum qvl_status decode(struct run *run, struct qvl_error *error)
{
    struct qvl_model_question *question = run->question;
    for (int64_t t = 0; t < QVL_DECODED; t++) {
        const int64_t row = question->prompt->count - 1 + t;
        if (question->choose)
            question->tokens[t] = qvl_largest_logit(run->out + row * run->vocabulary, run->vocabulary);
        QVL_TRY(advance(run, &question->tokens[t], 1, false, error));
    }
    return QVL_OK;
}

/* Half the prompt, then a fork takes the sequence's place. */
static enum qvl_status fork_half_way(struct run *run, bool original_goes_on, struct qvl_error *error)
{
    const int64_t count = run->question->prompt->count;
    struct qvl_sequence *copy = NULL;
    QVL_TRY(prefill(run, count / 2, error));
    QVL_TRY(qvl_sequence_fork(run->sequence, &copy, error));
    enum qvl_status status = QVL_OK;
    if (original_goes_on && count > count / 2)
        status = advance(run, NULL, count - count / 2, true, error);
    for (int64_t t = 0; t < QVL_DECODED && original_goes_on && status == QVL_OK; t++)
        status = advance(run, &(const int64_t){7 + t}, 1, true, error);
    qvl_sequence_destroy(run->sequence);
    run->sequence = copy;
    return status;
}

static enum qvl_status run_history(struct run *run, struct qvl_error *error)
{
    const int64_t count = run->question->prompt->count;
    const enum qvl_history history = run->way->history;
    if (history == QVL_HISTORY_FORK || history == QVL_HISTORY_FORK_BESIDE)
        QVL_TRY(fork_half_way(run, history == QVL_HISTORY_FORK_BESIDE, error));
    QVL_TRY(prefill(run, count, error));
    if (history == QVL_HISTORY_PROMPT_CUT) {
        QVL_TRY(qvl_sequence_truncate(run->sequence, count / 2, error));
        QVL_TRY(prefill(run, count, error));
    }
    if (history == QVL_HISTORY_DECODED_CUT) {
        for (int64_t t = 0; t < QVL_DECODED; t++)
            QVL_TRY(advance(run, &(const int64_t){7 + t}, 1, true, error));
        QVL_TRY(qvl_sequence_truncate(run->sequence, count, error));
    }
    return decode(run, error);
}

/* Companion 1 has the same prompt; the others short texts. */
static enum qvl_status start_companion(struct run *run, int index, struct qvl_error *error)
{
    int64_t ids[16];
    struct qvl_prompt text = {.ids = ids, .count = 3 + 6 * index};
    const int64_t ordinary = qvl_ordinary_tokens(qvl_model_get_config(run->model));
    for (int64_t i = 0; i < text.count; i++)
        ids[i] = (int64_t)qvl_random_below(9, (uint64_t)index, (uint64_t)i, (uint64_t)ordinary);
    QVL_TRY(qvl_sequence_create(run->model, run->room, &run->companions[index], error));
    return qvl_sequence_prompt(run->companions[index], index == 1 ? run->question->prompt : &text, NULL,
                               error);
}

static enum qvl_status start(struct run *run, struct qvl_error *error)
{
    const struct qvl_prompt *prompt = run->question->prompt;
    const size_t rows = (size_t)prompt->count + QVL_DECODED;
    run->rows = malloc(rows * sizeof *run->rows);
    run->logits = malloc(rows * (size_t)run->vocabulary * sizeof *run->logits);
    if (!run->rows || !run->logits)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the logits of %zu rows", rows);
    for (size_t i = 0; i < rows; i++)
        run->rows[i] = (int64_t)i;
    QVL_TRY(qvl_sequence_create(run->model, (int64_t)rows, &run->sequence, error));
    QVL_TRY(qvl_sequence_prompt(run->sequence, prompt, NULL, error));
    for (int i = 0; i < run->way->companions; i++)
        QVL_TRY(start_companion(run, i, error));
    return QVL_OK;
}

enum qvl_status qvl_model_answer(struct qvl_model *model, struct qvl_model_question *question,
                                 const struct qvl_model_way *way, double *logits, struct qvl_error *error)
{
    struct run run = {.model = model,
                      .question = question,
                      .way = way,
                      .room = question->prompt->count + 20,
                      .out = logits,
                      .vocabulary = qvl_model_get_config(model)->text.vocab};
    enum qvl_status status = start(&run, error);
    if (status == QVL_OK)
        status = run_history(&run, error);
    qvl_sequence_destroy(run.sequence);
    for (int i = 0; i < QVL_COMPANIONS; i++)
        qvl_sequence_destroy(run.companions[i]);
    free(run.rows);
    free(run.logits);
    return status;
}
