/* The Qwen3-VL model, written once against the op table: the same code runs on every backend.
 *
 * A model holds prepared weights. Everything that belongs to one conversation (prompt, position ids, visual
 * features, KV cache) lives in a sequence, so that several sequences of different lengths share a forward
 * call. A model and its sequences are used by one thread at a time. */
#ifndef QVL_MODEL_MODEL_H
#define QVL_MODEL_MODEL_H

#include "model/config.h"
#include "model/positions.h"
#include "model/prompt.h"
#include "qvl/backend.h"

struct qvl_model;
struct qvl_sequence;

#define QVL_DEFAULT_CHUNK 2048 /* prompt tokens of one forward call where the caller has no wish */

struct qvl_model_options {
    enum qvl_dtype storage;             /* type of weights and activations: QVL_F32, QVL_BF16 or QVL_F16 */
    enum qvl_pos_rounding pos_rounding; /* differs between releases in 16-bit storage only */
    enum qvl_angle_precision angles;    /* QVL_ANGLE_F32 as the original */
    int64_t available_bytes;            /* memory the model may plan with; 0: ask the system */
};

/* Watching a forward pass at named stages. Names are the original's module paths (docs/MODEL.md lists them).
 */
struct qvl_taps {
    void *context;
    /* True when the stage is wanted; others are not copied off the backend. */
    bool (*wants)(void *context, const char *name);
    /* Rows first .. first + shape[0] - 1 of the stage, in sequence order (patches or visual tokens for the
     * tower, tokens for the decoder), as float32 on the host, valid during the call. An error stops the
     * forward pass. */
    enum qvl_status (*take)(void *context, const char *name, int64_t first, int32_t rank,
                            const int64_t *shape, const float *values, struct qvl_error *error);
    /* May be NULL. Called after `take` with the same rows: true when `values` were replaced. They are then
     * rounded to the stage's type and take its place, so that the next step reads them. */
    bool (*give)(void *context, const char *name, int64_t first, int32_t rank, const int64_t *shape,
                 float *values);
};

/* Load a checkpoint folder onto a backend (borrowed; must outlive the model). QVL_BAD_INPUT, QVL_NO_MEMORY or
 * the backend's own status with a message that names file and tensor. */
enum qvl_status qvl_model_load(const char *folder, struct qvl_backend *backend,
                               const struct qvl_model_options *options, struct qvl_model **model,
                               struct qvl_error *error);
void qvl_model_destroy(struct qvl_model *model); /* NULL is accepted */

const struct qvl_model_config *qvl_model_get_config(const struct qvl_model *model);
const struct qvl_generation_config *qvl_model_get_generation(const struct qvl_model *model);

/* The entries the model chose when it was loaded, one per line, for the report ("merger: fused", ...). */
const char *qvl_model_plan(const struct qvl_model *model);

/* A sequence whose KV cache can hold `capacity` tokens. */
enum qvl_status qvl_sequence_create(struct qvl_model *model, int64_t capacity, struct qvl_sequence **sequence,
                                    struct qvl_error *error);
void qvl_sequence_destroy(struct qvl_sequence *sequence); /* NULL is accepted */

/* Give an empty sequence its prompt: computes position ids and runs the vision tower on its images and
 * videos. The prompt may be freed afterwards. `taps` may be NULL. QVL_BAD_INPUT when the prompt exceeds
 * capacity or the model's context. */
enum qvl_status qvl_sequence_prompt(struct qvl_sequence *sequence, const struct qvl_prompt *prompt,
                                    const struct qvl_taps *taps, struct qvl_error *error);

/* Tokens processed so far, prompt tokens not processed yet, and the position state. */
int64_t qvl_sequence_length(const struct qvl_sequence *sequence);
int64_t qvl_sequence_pending(const struct qvl_sequence *sequence);
const struct qvl_positions *qvl_sequence_positions(const struct qvl_sequence *sequence);

/* Go back to the first `length` tokens; decoded tokens beyond are forgotten, prompt tokens become pending
 * again. */
enum qvl_status qvl_sequence_truncate(struct qvl_sequence *sequence, int64_t length, struct qvl_error *error);

/* An independent copy with the same history, sharing nothing that either may change. */
enum qvl_status qvl_sequence_fork(const struct qvl_sequence *sequence, struct qvl_sequence **copy,
                                  struct qvl_error *error);

/* One sequence's part of a forward call. */
struct qvl_step {
    struct qvl_sequence *sequence;
    const int64_t *tokens; /* [count] decoded tokens to append, or NULL: the next `count` prompt tokens */
    int64_t count;
    const int64_t *logit_rows; /* [logit_count] rows of this step (0..count-1) whose logits are wanted */
    int64_t logit_count;
};

/* Run the steps as one ragged batch. `logits` receives [sum of logit_count][vocab] float32 (the values the
 * storage type holds), steps in order; may be NULL when no step asks for any. Taps need a call with one step.
 * A failed call leaves every sequence as it was before. */
enum qvl_status qvl_model_forward(struct qvl_model *model, const struct qvl_step *steps, int64_t step_count,
                                  float *logits, const struct qvl_taps *taps, struct qvl_error *error);

#endif
