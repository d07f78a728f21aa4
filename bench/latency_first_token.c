/* The tower, and the way from a preprocessed prompt to the first token, of a loaded model. */
#include <stdlib.h>

#include "base/random.h"
#include "bench/latency_parts.h"
#include "bench/stage_clock.h"
#include "model/generate.h"

static enum qvl_status encode(struct qvl_model *model, const struct qvl_prompt *prompt, double *seconds,
                              struct qvl_error *error)
{
    struct qvl_sequence *sequence = NULL;
    QVL_TRY(qvl_sequence_create(model, prompt->count, &sequence, error));
    const double start = qvl_stage_clock_now();
    const enum qvl_status status = qvl_sequence_prompt(sequence, prompt, NULL, error);
    *seconds = qvl_stage_clock_now() - start;
    qvl_sequence_destroy(sequence);
    return status;
}

enum qvl_status qvl_latency_vision(struct qvl_model *model, const struct qvl_grid *grid, int repeats,
                                   uint64_t seed, const struct qvl_latency_watch *watch,
                                   struct qvl_samples *samples, struct qvl_error *error)
{
    const struct qvl_model_config *config = qvl_model_get_config(model);
    enum qvl_status status = QVL_OK;
    *samples = (struct qvl_samples){.values = malloc(sizeof(double) * (size_t)(repeats + 1))};
    if (!samples->values)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %d timings", repeats);
    const int last = watch->tell ? repeats : repeats - 1; /* the first one warms up, one more is watched */
    for (int i = -1; i <= last && status == QVL_OK; i++) {
        struct qvl_prompt prompt = {0};
        double seconds = 0;
        if (i == repeats)
            qvl_latency_tell(watch, true);
        status = qvl_latency_visual_prompt(config, grid, grid->t > 1, 0, seed, &prompt, error);
        if (status == QVL_OK)
            status = qvl_latency_random_rows(config, seed + (uint64_t)(i + 1), &prompt.visuals[0], error);
        if (status == QVL_OK)
            status = encode(model, &prompt, &seconds, error);
        qvl_prompt_free(&prompt);
        if (i == repeats)
            qvl_latency_tell(watch, false);
        else if (status == QVL_OK && i >= 0)
            samples->values[samples->count++] = seconds;
    }
    return status == QVL_OK ? qvl_samples_summarise(samples, error) : status;
}

/* Greedy choice of a token from host logits, as generation makes it. */
static enum qvl_status choose(struct qvl_backend *backend, const float *logits, int64_t vocabulary,
                              double *seconds, struct qvl_error *error)
{
    struct qvl_tensor device = qvl_tensor_1d(NULL, QVL_F32, vocabulary);
    int64_t token;
    const struct qvl_sample_args base = {
        .greedy = true, .repetition_penalty = 1, .temperature = 1, .top_p = 1, .token = &token};
    struct qvl_sample_args args = base;
    *seconds = 0;
    if (!backend->ops.sample)
        return QVL_OK;
    QVL_TRY(backend->allocate(backend, sizeof(float) * (size_t)vocabulary, &device.data, error));
    const double start = qvl_stage_clock_now();
    enum qvl_status status = backend->upload(backend, &device, logits, error);
    args.logits = device;
    if (status == QVL_OK)
        status = backend->ops.sample(backend, &args, error);
    *seconds = qvl_stage_clock_now() - start;
    backend->release(backend, device.data);
    return status;
}

enum qvl_status qvl_latency_sample(struct qvl_backend *backend, int64_t vocabulary, int repeats,
                                   uint64_t seed, double *seconds, struct qvl_error *error)
{
    float *logits = malloc(sizeof(float) * (size_t)vocabulary);
    struct qvl_samples samples = {.values = malloc(sizeof(double) * (size_t)(repeats + 1))};
    enum qvl_status status = QVL_OK;
    if (!logits || !samples.values)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld logits", (long long)vocabulary);
    for (int i = 0; i < repeats && status == QVL_OK; i++) {
        for (int64_t k = 0; k < vocabulary; k++)
            logits[k] = qvl_random_normal(seed, (uint64_t)i, (uint64_t)k);
        status = choose(backend, logits, vocabulary, &samples.values[samples.count++], error);
    }
    if (status == QVL_OK)
        status = qvl_samples_summarise(&samples, error);
    *seconds = status == QVL_OK ? samples.median : 0;
    free(samples.values);
    free(logits);
    return status;
}

static enum qvl_status run(struct qvl_model *model, struct qvl_sequence *sequence,
                           const struct qvl_prompt *prompt, int64_t chunk, float *logits,
                           struct qvl_first_token *stages, struct qvl_error *error)
{
    const struct qvl_generate_options options = {.chunk = chunk};
    const double start = qvl_stage_clock_now();
    QVL_TRY(qvl_sequence_prompt(sequence, prompt, NULL, error));
    const double encoded = qvl_stage_clock_now();
    QVL_TRY(qvl_prefill(model, sequence, &options, logits, NULL, error));
    stages->vision = encoded - start;
    stages->prefill = qvl_stage_clock_now() - encoded;
    return QVL_OK;
}

enum qvl_status qvl_latency_first_token(struct qvl_model *model, struct qvl_backend *backend,
                                        const struct qvl_prompt *prompt, int64_t chunk,
                                        struct qvl_first_token *stages, struct qvl_error *error)
{
    const int64_t vocabulary = qvl_model_get_config(model)->text.vocab;
    float *logits = malloc(sizeof(float) * (size_t)vocabulary);
    struct qvl_sequence *sequence = NULL;
    if (!logits)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld logits", (long long)vocabulary);
    enum qvl_status status = qvl_sequence_create(model, prompt->count, &sequence, error);
    if (status == QVL_OK)
        status = run(model, sequence, prompt, chunk, logits, stages, error);
    if (status == QVL_OK)
        status = choose(backend, logits, vocabulary, &stages->sample, error);
    if (status == QVL_OK && !qvl_latency_plausible(logits, vocabulary))
        status =
            qvl_fail(error, QVL_INCOMPARABLE, "the logits of the first token are not finite or all equal");
    qvl_sequence_destroy(sequence);
    free(logits);
    return status;
}
