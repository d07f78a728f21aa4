#include "verify/stage_run.h"

#include <stdlib.h>

/* One chunk: `rows` is scratch for its logit rows, `*done` the positions whose logits are there. */
static enum qvl_status run_chunk(const struct qvl_stage_pass *pass, struct qvl_model *model,
                                 struct qvl_sequence *sequence, int64_t chunk, const struct qvl_taps *taps,
                                 int64_t *rows, float *logits, int64_t *done, struct qvl_error *error)
{
    const int64_t first = qvl_sequence_length(sequence);
    const int64_t pending = qvl_sequence_pending(sequence);
    const int64_t vocabulary = qvl_model_get_config(model)->text.vocab;
    struct qvl_step step = {
        .sequence = sequence, .count = pending < chunk ? pending : chunk, .logit_rows = rows};
    const int64_t begin = *done;
    while (*done < pass->position_count && pass->positions[*done] < first + step.count)
        rows[step.logit_count++] = pass->positions[(*done)++] - first;
    return qvl_model_forward(model, &step, 1, logits + begin * vocabulary, taps, error);
}

static enum qvl_status run_prompt(const struct qvl_stage_pass *pass, struct qvl_model *model,
                                  struct qvl_sequence *sequence, const struct qvl_taps *taps, int64_t *rows,
                                  float *logits, struct qvl_error *error)
{
    const int64_t chunk = pass->chunk > 0 ? pass->chunk : pass->prompt->count;
    const int64_t vocabulary = qvl_model_get_config(model)->text.vocab;
    int64_t done = 0;
    QVL_TRY(qvl_sequence_prompt(sequence, pass->prompt, taps, error));
    while (qvl_sequence_pending(sequence) > 0)
        QVL_TRY(run_chunk(pass, model, sequence, chunk, taps, rows, logits, &done, error));
    if (pass->position_count == 0 || !taps->wants(taps->context, "logits"))
        return QVL_OK;
    return taps->take(taps->context, "logits", 0, 2, (const int64_t[]){pass->position_count, vocabulary},
                      logits, error);
}

enum qvl_status qvl_stage_pass_run(const struct qvl_stage_pass *pass, struct qvl_tap_store *store,
                                   struct qvl_error *error)
{
    const struct qvl_taps taps = qvl_tap_store_taps(store);
    struct qvl_backend *backend = NULL;
    struct qvl_model *model = NULL;
    struct qvl_sequence *sequence = NULL;
    float *logits = NULL;
    int64_t *rows = malloc(sizeof(int64_t) * (size_t)(pass->position_count + 1));
    enum qvl_status status = pass->open(&pass->backend, &backend, error);
    if (status == QVL_OK)
        status = qvl_model_load(pass->folder, backend, &pass->model, &model, error);
    if (status == QVL_OK)
        status = qvl_sequence_create(model, pass->prompt->count, &sequence, error);
    if (status == QVL_OK)
        logits = malloc(sizeof(float) *
                        (size_t)(pass->position_count * qvl_model_get_config(model)->text.vocab + 1));
    if (status == QVL_OK && (!logits || !rows))
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows of logits",
                          (long long)pass->position_count);
    if (status == QVL_OK)
        status = run_prompt(pass, model, sequence, &taps, rows, logits, error);
    free(rows);
    free(logits);
    qvl_sequence_destroy(sequence);
    qvl_model_destroy(model);
    if (backend)
        backend->close(backend);
    return status;
}
