#include "model/generate.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "model/engine.h"

static enum qvl_status report(const struct qvl_generate_options *options, int64_t token, int64_t done,
                              int64_t total, struct qvl_error *error)
{
    return options->progress ? options->progress(options->context, token, done, total, error) : QVL_OK;
}

enum qvl_status qvl_prefill(struct qvl_model *model, struct qvl_sequence *sequence,
                            const struct qvl_generate_options *options, float *logits,
                            const struct qvl_taps *taps, struct qvl_error *error)
{
    const int64_t chunk = options->chunk > 0 ? options->chunk : QVL_DEFAULT_CHUNK;
    const int64_t total = qvl_sequence_pending(sequence);
    int64_t done = 0;
    while (done < total) {
        const int64_t count = total - done < chunk ? total - done : chunk;
        const int64_t last = count - 1;
        const struct qvl_step step = {.sequence = sequence,
                                      .count = count,
                                      .logit_rows = &last,
                                      .logit_count = done + count == total ? 1 : 0};
        QVL_TRY(qvl_model_forward(model, &step, 1, logits, taps, error));
        done += count;
        QVL_TRY(report(options, -1, done, total, error));
    }
    return QVL_OK;
}

static enum qvl_status sample(struct qvl_model *model, const struct qvl_sequence *sequence,
                              const struct qvl_generate_options *options, float *logits,
                              const struct qvl_generation *generation, int64_t *token,
                              struct qvl_error *error)
{
    struct qvl_backend *backend = model->backend;
    struct qvl_tensor device;
    QVL_TRY(qvl_workspace_tensor(&model->workspace, QVL_SLOT_LOGITS, QVL_F32, 1,
                                 (const int64_t[]){model->config.text.vocab}, &device, error));
    QVL_TRY(backend->upload(backend, &device, logits, error));
    const struct qvl_sample_args args = {
        .logits = device,
        .prompt = sequence->ids,
        .prompt_count = sequence->positions.count,
        .output = generation->tokens,
        .output_count = generation->count,
        .greedy = options->greedy,
        .repetition_penalty = options->repetition_penalty,
        .presence_penalty = options->presence_penalty,
        .temperature = options->temperature,
        .top_k = options->top_k,
        .top_p = options->top_p,
        .uniform = qvl_random_uniform(options->seed, 0, (uint64_t)generation->count),
        .token = token};
    return backend->ops.sample(backend, &args, error);
}

static bool is_end(const struct qvl_generation_config *generation, int64_t token)
{
    for (int64_t i = 0; i < generation->eos_count; i++)
        if (generation->eos[i] == token)
            return true;
    return false;
}

static enum qvl_status decode(struct qvl_model *model, struct qvl_sequence *sequence,
                              const struct qvl_generate_options *options, float *logits, double start,
                              struct qvl_generation *generation, struct qvl_error *error)
{
    generation->finish = QVL_FINISH_LENGTH;
    while (generation->count < options->max_tokens) {
        const double begin = qvl_clock();
        int64_t token;
        if (generation->count > 0) {
            if (sequence->processed >= sequence->capacity)
                return QVL_OK;
            const int64_t row = 0;
            const struct qvl_step step = {.sequence = sequence,
                                          .tokens = &generation->tokens[generation->count - 1],
                                          .count = 1,
                                          .logit_rows = &row,
                                          .logit_count = 1};
            QVL_TRY(qvl_model_forward(model, &step, 1, logits, NULL, error));
        }
        QVL_TRY(sample(model, sequence, options, logits, generation, &token, error));
        if (generation->count > 0)
            generation->step_seconds[generation->count - 1] = qvl_clock() - begin;
        else
            generation->first_token_seconds = qvl_clock() - start;
        generation->tokens[generation->count++] = token;
        QVL_TRY(report(options, token, generation->count, options->max_tokens, error));
        if (!options->ignore_eos && is_end(&model->generation, token)) {
            generation->finish = QVL_FINISH_STOP;
            return QVL_OK;
        }
    }
    return QVL_OK;
}

static enum qvl_status check_options(const struct qvl_sequence *sequence,
                                     const struct qvl_generate_options *options, struct qvl_error *error)
{
    if (options->max_tokens < 1)
        return qvl_fail(error, QVL_USAGE, "max_tokens is %lld; generate at least one token",
                        (long long)options->max_tokens);
    if (qvl_sequence_pending(sequence) < 1)
        return qvl_fail(error, QVL_USAGE,
                        "nothing to generate from: the sequence has no pending prompt token");
    if (!sequence->model->backend->ops.sample)
        return qvl_fail(error, QVL_UNSUPPORTED, "backend %s lacks the entry sample",
                        sequence->model->backend->name);
    return QVL_OK;
}

enum qvl_status qvl_generate(struct qvl_model *model, struct qvl_sequence *sequence,
                             const struct qvl_generate_options *options, struct qvl_generation *generation,
                             struct qvl_error *error)
{
    memset(generation, 0, sizeof *generation);
    QVL_TRY(check_options(sequence, options, error));
    float *logits = malloc(sizeof(float) * (size_t)model->config.text.vocab);
    generation->tokens = malloc(sizeof(int64_t) * (size_t)options->max_tokens);
    generation->step_seconds = malloc(sizeof(double) * (size_t)options->max_tokens);
    enum qvl_status status = QVL_OK;
    if (!logits || !generation->tokens || !generation->step_seconds)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory to generate %lld tokens",
                          (long long)options->max_tokens);
    const double start = qvl_clock();
    if (status == QVL_OK)
        status = qvl_prefill(model, sequence, options, logits, NULL, error);
    generation->prefill_seconds = qvl_clock() - start;
    if (status == QVL_OK)
        status = decode(model, sequence, options, logits, start, generation, error);
    free(logits);
    if (status != QVL_OK)
        qvl_generation_free(generation);
    return status;
}

void qvl_generation_free(struct qvl_generation *generation)
{
    free(generation->tokens);
    free(generation->step_seconds);
    memset(generation, 0, sizeof *generation);
}

void qvl_generate_defaults(const struct qvl_generation_config *from, struct qvl_generate_options *options)
{
    *options = (struct qvl_generate_options){.max_tokens = 64,
                                             .chunk = QVL_DEFAULT_CHUNK,
                                             .greedy = !from->do_sample,
                                             .temperature = from->temperature,
                                             .top_p = from->top_p,
                                             .top_k = from->top_k,
                                             .repetition_penalty = from->repetition_penalty};
}
