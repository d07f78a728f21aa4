#include "bench/latency.h"

#include <math.h>
#include <stdlib.h>

#include "bench/latency_parts.h"
#include "bench/stage_clock.h"
#include "model/generate.h"

struct work {
    struct qvl_model *model;
    const struct qvl_latency_options *options;
    float *logits;
    int64_t prefilled;   /* tokens of the prefill under way */
    int64_t done, total; /* tokens, for the progress */
    uint64_t stream;     /* a fresh one for every sequence, so that no two runs see the same ids */
};

static void advance(struct work *work, int64_t tokens)
{
    work->done += tokens;
    if (work->options->progress)
        work->options->progress(work->options->context, work->done, work->total);
}

static int64_t random_id(const struct work *work, int64_t index)
{
    return qvl_latency_token(qvl_model_get_config(work->model), work->options->seed, work->stream, index);
}

static bool plausible(const struct work *work)
{
    return qvl_latency_plausible(work->logits, qvl_model_get_config(work->model)->text.vocab);
}

static enum qvl_status start_sequence(struct work *work, int64_t context, int64_t steps,
                                      struct qvl_sequence **sequence, struct qvl_error *error)
{
    struct qvl_prompt prompt = {.count = context, .ids = malloc(sizeof(int64_t) * (size_t)context)};
    *sequence = NULL;
    if (!prompt.ids)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld token ids", (long long)context);
    work->stream++;
    for (int64_t i = 0; i < context; i++)
        prompt.ids[i] = random_id(work, i);
    enum qvl_status status = qvl_sequence_create(work->model, context + steps, sequence, error);
    if (status == QVL_OK)
        status = qvl_sequence_prompt(*sequence, &prompt, NULL, error);
    qvl_prompt_free(&prompt);
    return status;
}

static enum qvl_status show_prefill(void *context, int64_t token, int64_t done, int64_t total,
                                    struct qvl_error *error)
{
    struct work *work = context;
    (void)token;
    (void)total;
    (void)error;
    advance(work, done - work->prefilled);
    work->prefilled = done;
    return QVL_OK;
}

static enum qvl_status prefill(struct work *work, struct qvl_sequence *sequence, double *seconds,
                               struct qvl_error *error)
{
    const struct qvl_generate_options options = {
        .chunk = work->options->chunk, .progress = show_prefill, .context = work};
    const double start = qvl_stage_clock_now();
    work->prefilled = 0;
    QVL_TRY(qvl_prefill(work->model, sequence, &options, work->logits, NULL, error));
    *seconds = qvl_stage_clock_now() - start;
    return QVL_OK;
}

static enum qvl_status decode(struct work *work, struct qvl_sequence *sequence, int64_t steps,
                              struct qvl_samples *samples, bool *finite, struct qvl_error *error)
{
    const int64_t row = 0;
    for (int64_t i = 0; i < steps; i++) {
        const int64_t token = random_id(work, qvl_sequence_length(sequence));
        const struct qvl_step step = {
            .sequence = sequence, .tokens = &token, .count = 1, .logit_rows = &row, .logit_count = 1};
        const double start = qvl_stage_clock_now();
        QVL_TRY(qvl_model_forward(work->model, &step, 1, work->logits, NULL, error));
        samples->values[samples->count++] = qvl_stage_clock_now() - start;
        *finite = *finite && plausible(work);
        advance(work, 1);
    }
    return QVL_OK;
}

static enum qvl_status warm_up(struct work *work, int64_t context, struct qvl_error *error)
{
    struct qvl_sequence *sequence = NULL;
    double seconds;
    double value;
    bool finite = true;
    struct qvl_samples ignored = {.values = &value};
    enum qvl_status status = start_sequence(work, context, 1, &sequence, error);
    if (status == QVL_OK)
        status = prefill(work, sequence, &seconds, error);
    if (status == QVL_OK)
        status = decode(work, sequence, 1, &ignored, &finite, error);
    qvl_sequence_destroy(sequence);
    return status;
}

/* Where the last chunk of a prompt begins. */
static int64_t last_chunk(const struct qvl_latency_options *options, int64_t context)
{
    const int64_t chunk = options->chunk ? options->chunk : QVL_DEFAULT_CHUNK;
    return (context - 1) / chunk * chunk;
}

/* The last chunk of the prompt and a step behind it once more, at the same depths, watched. */
static enum qvl_status show_watcher(struct work *work, struct qvl_sequence *sequence, int64_t context,
                                    bool step, struct qvl_error *error)
{
    const struct qvl_latency_options *options = work->options;
    double seconds, value;
    struct qvl_samples ignored = {.values = &value};
    bool finite = true;
    if (!options->watch.tell)
        return QVL_OK;
    QVL_TRY(qvl_sequence_truncate(sequence, last_chunk(options, context), error));
    qvl_latency_tell(&options->watch, true);
    enum qvl_status status = prefill(work, sequence, &seconds, error);
    if (status == QVL_OK && step)
        status = decode(work, sequence, 1, &ignored, &finite, error);
    qvl_latency_tell(&options->watch, false);
    return status;
}

static enum qvl_status measure_runs(struct work *work, struct qvl_latency_point *point,
                                    struct qvl_error *error)
{
    const struct qvl_latency_options *options = work->options;
    for (int repeat = 0; repeat < options->repeats; repeat++) {
        const int64_t steps = repeat + 1 == options->repeats ? options->decode_steps : 0;
        struct qvl_sequence *sequence = NULL;
        enum qvl_status status = start_sequence(work, point->context, steps, &sequence, error);
        if (status == QVL_OK)
            status = prefill(work, sequence, &point->prefill.values[point->prefill.count], error);
        if (status == QVL_OK) {
            point->prefill.count++;
            point->finite = point->finite && plausible(work);
            status = decode(work, sequence, steps, &point->decode, &point->finite, error);
        }
        if (status == QVL_OK && repeat + 1 == options->repeats)
            status = show_watcher(work, sequence, point->context, steps > 0, error);
        qvl_sequence_destroy(sequence);
        QVL_TRY(status);
    }
    QVL_TRY(qvl_samples_summarise(&point->prefill, error));
    return point->decode.count ? qvl_samples_summarise(&point->decode, error) : QVL_OK;
}

static enum qvl_status measure_watched(struct work *work, struct qvl_latency_point *point,
                                       struct qvl_error *error)
{
    const struct qvl_moment before = qvl_moment_now();
    QVL_TRY(measure_runs(work, point, error));
    const struct qvl_moment after = qvl_moment_now();
    point->conditions = qvl_conditions_between(
        &before, &after, fmax(qvl_samples_noise(&point->prefill), qvl_samples_noise(&point->decode)));
    return QVL_OK;
}

static enum qvl_status measure_point(struct work *work, int64_t context, struct qvl_latency_point *point,
                                     struct qvl_error *error)
{
    const struct qvl_latency_options *options = work->options;
    *point = (struct qvl_latency_point){.context = context, .finite = true};
    point->prefill.values = malloc(sizeof(double) * (size_t)options->repeats);
    point->decode.values = malloc(sizeof(double) * (size_t)(options->decode_steps + 1));
    enum qvl_status status = QVL_OK;
    if (!point->prefill.values || !point->decode.values)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    if (status == QVL_OK)
        status = measure_watched(work, point, error);
    if (status != QVL_OK)
        qvl_latency_point_free(point);
    return status;
}

static enum qvl_status check(const struct qvl_model *model, const int64_t *contexts, int64_t count,
                             const struct qvl_latency_options *options, struct qvl_error *error)
{
    if (count < 1 || options->repeats < 1 || options->decode_steps < 0)
        return qvl_fail(error, QVL_USAGE,
                        "latency: needs a context, a repeat and no negative number of decode steps");
    for (int64_t i = 0; i < count; i++)
        if (contexts[i] < 1 || !qvl_latency_within(model, contexts[i], options))
            return qvl_fail(error, QVL_BAD_INPUT,
                            "latency: context %lld with %lld decode steps is outside the model's 1..%lld",
                            (long long)contexts[i], (long long)options->decode_steps,
                            (long long)qvl_model_get_config(model)->text.max_positions);
    return QVL_OK;
}

bool qvl_latency_within(const struct qvl_model *model, int64_t context,
                        const struct qvl_latency_options *options)
{
    return context + options->decode_steps <= qvl_model_get_config(model)->text.max_positions;
}

enum qvl_status qvl_latency_measure(struct qvl_model *model, const int64_t *contexts, int64_t count,
                                    const struct qvl_latency_options *options,
                                    struct qvl_latency_point *points, int64_t *done, struct qvl_error *error)
{
    struct work work = {.model = model, .options = options};
    *done = 0;
    QVL_TRY(check(model, contexts, count, options, error));
    const int64_t warm = contexts[0] < 64 ? contexts[0] : 64;
    work.total = warm + 1;
    for (int64_t i = 0; i < count; i++)
        work.total += contexts[i] * options->repeats + options->decode_steps +
                      (options->watch.tell ? contexts[i] - last_chunk(options, contexts[i]) + 1 : 0);
    work.logits = malloc(sizeof(float) * (size_t)qvl_model_get_config(model)->text.vocab);
    enum qvl_status status = QVL_OK;
    if (!work.logits)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    if (status == QVL_OK)
        status = warm_up(&work, warm, error);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        status = measure_point(&work, contexts[i], &points[i], error);
        *done += status == QVL_OK;
    }
    free(work.logits);
    return status;
}

void qvl_latency_point_free(struct qvl_latency_point *point)
{
    free(point->prefill.values);
    free(point->decode.values);
    memset(point, 0, sizeof *point);
}
