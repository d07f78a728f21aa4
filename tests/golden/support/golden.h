/* A golden file (made by tests/golden/model.py) and runs of our model on its prompt. */
#ifndef QVL_TESTS_GOLDEN_H
#define QVL_TESTS_GOLDEN_H

#include "base/safetensors.h"
#include "model/processor.h"
#include "model/tap_store.h"

struct golden {
    char name[128]; /* of the file, without folder and ending */
    struct qvl_safetensors *file;
    char checkpoint[512];     /* folder of the checkpoint, written anew */
    enum qvl_dtype storage;   /* of the original's run */
    enum qvl_profile profile; /* release that made it */
    struct qvl_prompt prompt; /* what our processor makes of its messages */
};

/* Open a golden, write its checkpoint (or the one of `spec`, when not NULL), and run our tokenizer and
 * processor on its messages. False after printing what went wrong. */
bool golden_open(const char *path, const char *spec, struct golden *golden);
void golden_close(struct golden *golden);

/* A tensor of the file, or NULL. */
const struct qvl_array *golden_find(const struct golden *golden, const char *name, const char *suffix);

/* Element of an array of any storage type. */
double golden_value(const struct qvl_array *array, int64_t index);
int64_t golden_integer(const struct qvl_array *array, int64_t index); /* QVL_I64 */

/* The sum of a row with the fixed random signs of tests/golden/model.py. */
double golden_projection(const float *row, int64_t width);

/* A run over the whole prompt. */
struct golden_run {
    struct qvl_tap_store taps;
    float *logits; /* [prompt.count][vocabulary] */
    int64_t vocabulary;
    int64_t *position_ids; /* [3][prompt.count] */
    int64_t delta;
    struct qvl_sequence *sequence; /* when it was kept: free the run before the model */
};

/* How the prompt is cut: pieces of `chunk` tokens (0: all that is left), the first one of `first` (0: as the
 * others). */
struct golden_chunks {
    int64_t first, chunk;
};

/* Run the prompt on a model; `taps` says whether stages are kept. With `spare` the sequence is kept too, with
 * room for that many tokens more. Freed with golden_run_free. */
enum qvl_status golden_run_model(const struct golden *golden, struct qvl_model *model,
                                 struct golden_chunks chunks, bool taps, int64_t spare,
                                 struct golden_run *run, struct qvl_error *error);
void golden_run_free(struct golden_run *run);

/* Load the golden's checkpoint as the original ran it (storage and rounding of the position table). */
enum qvl_status golden_load(const struct golden *golden, struct qvl_backend *backend,
                            struct qvl_model **model, struct qvl_error *error);

/* Greedy tokens after the prompt of a run that kept its sequence, end tokens ignored. `tokens` [count]. The
 * last prompt token is taken back and processed again. */
enum qvl_status golden_greedy(const struct golden_run *run, struct qvl_model *model, int64_t count,
                              int64_t *tokens, struct qvl_error *error);

#endif
