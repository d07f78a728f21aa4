/* One forward call: gather the steps of several sequences into a ragged batch, run the decoder, advance the
 * sequences. */
#include <stdlib.h>

#include "model/engine.h"

/* Host arrays of a batch, allocated as one block each and freed together. */
struct batch_storage {
    struct qvl_batch batch;
    struct qvl_batch_part *parts;
    struct qvl_segment *segments;
    int64_t *ids;
    int64_t *positions;
    int64_t *visual_rows;
    int64_t *logit_rows;
};

static void free_storage(struct batch_storage *storage)
{
    free(storage->parts);
    free(storage->segments);
    free(storage->ids);
    free(storage->positions);
    free(storage->visual_rows);
    free(storage->logit_rows);
}

static enum qvl_status check_step(const struct qvl_model *model, const struct qvl_step *step, int64_t i,
                                  struct qvl_error *error)
{
    const struct qvl_sequence *sequence = step->sequence;
    if (!sequence || sequence->model != model || step->count <= 0)
        return qvl_fail(error, QVL_USAGE, "step %lld: needs a sequence of this model and at least one token",
                        (long long)i);
    const int64_t pending = qvl_sequence_pending(sequence);
    if (!step->tokens && step->count > pending)
        return qvl_fail(error, QVL_USAGE, "step %lld: asks for %lld prompt tokens, %lld are pending",
                        (long long)i, (long long)step->count, (long long)pending);
    if (step->tokens && pending > 0)
        return qvl_fail(error, QVL_USAGE, "step %lld: %lld prompt tokens must be processed before decoding",
                        (long long)i, (long long)pending);
    if (sequence->processed + step->count > sequence->capacity)
        return qvl_fail(error, QVL_BAD_INPUT, "step %lld: %lld tokens exceed the sequence's capacity of %lld",
                        (long long)i, (long long)(sequence->processed + step->count),
                        (long long)sequence->capacity);
    for (int64_t k = 0; k < step->logit_count; k++)
        if (step->logit_rows[k] < 0 || step->logit_rows[k] >= step->count)
            return qvl_fail(error, QVL_USAGE, "step %lld: logits of row %lld wanted, it has %lld rows",
                            (long long)i, (long long)step->logit_rows[k], (long long)step->count);
    for (int64_t k = 0; step->tokens && k < step->count; k++)
        if (step->tokens[k] < 0 || step->tokens[k] >= model->config.text.vocab)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "step %lld: token id %lld is outside the vocabulary of %lld", (long long)i,
                            (long long)step->tokens[k], (long long)model->config.text.vocab);
    return QVL_OK;
}

static enum qvl_status allocate_storage(struct batch_storage *storage, const struct qvl_step *steps,
                                        int64_t step_count, struct qvl_error *error)
{
    int64_t rows = 0;
    int64_t logit_count = 0;
    for (int64_t i = 0; i < step_count; i++) {
        rows += steps[i].count;
        logit_count += steps[i].logit_count;
    }
    const size_t row_bytes = sizeof(int64_t) * (size_t)rows;
    storage->parts = calloc((size_t)step_count, sizeof *storage->parts);
    storage->segments = calloc((size_t)step_count, sizeof *storage->segments);
    storage->ids = malloc(row_bytes);
    storage->positions = malloc(3 * row_bytes);
    storage->visual_rows = malloc(row_bytes);
    storage->logit_rows = malloc(sizeof(int64_t) * (size_t)(logit_count + 1));
    if (!storage->parts || !storage->segments || !storage->ids || !storage->positions ||
        !storage->visual_rows || !storage->logit_rows)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a batch of %lld rows", (long long)rows);
    storage->batch = (struct qvl_batch){.parts = storage->parts,
                                        .segments = storage->segments,
                                        .part_count = step_count,
                                        .rows = rows,
                                        .ids = storage->ids,
                                        .positions = storage->positions,
                                        .logit_rows = storage->logit_rows,
                                        .logit_count = logit_count};
    return QVL_OK;
}

/* The first visual token of the sequence at or after `token`. */
static int64_t first_visual_from(const struct qvl_positions *positions, int64_t token)
{
    int64_t low = 0;
    int64_t high = positions->visual_count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (positions->visual[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Fill ids, positions and visual rows of one step; returns the number of visual rows. */
static int64_t fill_part(struct batch_storage *storage, const struct qvl_step *step, int64_t i, int64_t row,
                         int64_t *visual_rows)
{
    struct qvl_sequence *sequence = step->sequence;
    const struct qvl_positions *positions = &sequence->positions;
    const int64_t begin = sequence->processed;
    const int64_t rows = storage->batch.rows;
    for (int64_t k = 0; k < step->count; k++) {
        const int64_t token = begin + k;
        storage->ids[row + k] = step->tokens ? step->tokens[k] : sequence->ids[token];
        for (int64_t axis = 0; axis < 3; axis++)
            storage->positions[axis * rows + row + k] = token < positions->count
                                                            ? positions->ids[axis * positions->count + token]
                                                            : token + positions->delta;
    }
    struct qvl_batch_part *part = &storage->parts[i];
    *part = (struct qvl_batch_part){.sequence = sequence,
                                    .first_row = row,
                                    .count = step->count,
                                    .visual_rows = visual_rows,
                                    .first_visual = first_visual_from(positions, begin)};
    while (part->first_visual + part->visual_count < positions->visual_count &&
           positions->visual[part->first_visual + part->visual_count] < begin + step->count) {
        visual_rows[part->visual_count] = positions->visual[part->first_visual + part->visual_count] - begin;
        part->visual_count++;
    }
    storage->segments[i] = (struct qvl_segment){.cache = sequence->cache, .first = row, .count = step->count};
    return part->visual_count;
}

static void fill_storage(struct batch_storage *storage, const struct qvl_step *steps, int64_t step_count)
{
    int64_t row = 0;
    int64_t logit = 0;
    int64_t *visual_rows = storage->visual_rows;
    for (int64_t i = 0; i < step_count; i++) {
        visual_rows += fill_part(storage, &steps[i], i, row, visual_rows);
        for (int64_t k = 0; k < steps[i].logit_count; k++)
            storage->logit_rows[logit++] = row + steps[i].logit_rows[k];
        row += steps[i].count;
    }
}

static void advance(const struct qvl_step *step)
{
    struct qvl_sequence *sequence = step->sequence;
    if (step->tokens)
        memcpy(sequence->ids + sequence->processed, step->tokens, sizeof(int64_t) * (size_t)step->count);
    sequence->processed += step->count;
}

static enum qvl_status check_steps(const struct qvl_model *model, const struct qvl_step *steps,
                                   int64_t step_count, const struct qvl_taps *taps, struct qvl_error *error)
{
    if (step_count <= 0)
        return qvl_fail(error, QVL_USAGE, "a forward call needs at least one step");
    if (taps && step_count != 1)
        return qvl_fail(error, QVL_USAGE, "taps need a forward call with one step, not %lld",
                        (long long)step_count);
    for (int64_t i = 0; i < step_count; i++) {
        QVL_TRY(check_step(model, &steps[i], i, error));
        for (int64_t k = 0; k < i; k++)
            if (steps[k].sequence == steps[i].sequence)
                return qvl_fail(error, QVL_USAGE, "steps %lld and %lld name the same sequence", (long long)k,
                                (long long)i);
    }
    return QVL_OK;
}

enum qvl_status qvl_model_forward(struct qvl_model *model, const struct qvl_step *steps, int64_t step_count,
                                  float *logits, const struct qvl_taps *taps, struct qvl_error *error)
{
    struct batch_storage storage = {0};
    QVL_TRY(check_steps(model, steps, step_count, taps, error));
    enum qvl_status status = allocate_storage(&storage, steps, step_count, error);
    if (status == QVL_OK) {
        fill_storage(&storage, steps, step_count);
        status = qvl_decoder_forward(model, &storage.batch, logits, taps, error);
    }
    for (int64_t i = 0; i < step_count; i++) {
        struct qvl_sequence *sequence = steps[i].sequence;
        if (status == QVL_OK) {
            advance(&steps[i]);
        } else {
            /* Layers that had already appended their rows forget them; truncating to less than a length
             * cannot fail. */
            struct qvl_error ignored;
            if (model->backend->cache_truncate(model->backend, sequence->cache, sequence->processed,
                                               &ignored) != QVL_OK)
                break;
        }
    }
    free_storage(&storage);
    return status;
}
