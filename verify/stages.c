#include "verify/stages.h"

#include <math.h>
#include <stdlib.h>

#include "model/generate.h"

/* The largest of a few draws underestimates the largest honest deviation; twice it covered every honest
 * variant tried (docs/NUMERICS.md). */
#define SAFETY 2.0

static enum qvl_status run_sequence(struct qvl_model *model, struct qvl_sequence *sequence,
                                    const struct qvl_prompt *prompt, int64_t chunk, float *logits,
                                    struct qvl_tap_store *store, struct qvl_error *error)
{
    const struct qvl_taps taps = qvl_tap_store_taps(store);
    QVL_TRY(qvl_sequence_prompt(sequence, prompt, &taps, error));
    const struct qvl_generate_options options = {.chunk = chunk > 0 ? chunk : prompt->count};
    QVL_TRY(qvl_prefill(model, sequence, &options, logits, &taps, error));
    const int64_t vocabulary = qvl_model_get_config(model)->text.vocab;
    return taps.wants(taps.context, "logits")
               ? taps.take(taps.context, "logits", 0, 2, (const int64_t[]){1, vocabulary}, logits, error)
               : QVL_OK;
}

/* One run with all wanted taps and the last token's logits (stage "logits"). */
static enum qvl_status run_stages(const char *folder, const struct qvl_prompt *prompt,
                                  struct qvl_backend *backend, enum qvl_dtype storage, int64_t chunk,
                                  struct qvl_tap_store *store, struct qvl_error *error)
{
    const struct qvl_model_options options = {.storage = storage};
    struct qvl_model *model = NULL;
    struct qvl_sequence *sequence = NULL;
    QVL_TRY(qvl_model_load(folder, backend, &options, &model, error));
    enum qvl_status status = qvl_sequence_create(model, prompt->count, &sequence, error);
    float *logits = malloc(sizeof(float) * (size_t)qvl_model_get_config(model)->text.vocab);
    if (status == QVL_OK && !logits)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    if (status == QVL_OK)
        status = run_sequence(model, sequence, prompt, chunk, logits, store, error);
    free(logits);
    qvl_sequence_destroy(sequence);
    qvl_model_destroy(model);
    return status;
}

static enum qvl_status open_and_run(const char *folder, const struct qvl_prompt *prompt,
                                    qvl_backend_open_fn *open, const struct qvl_stage_options *options,
                                    uint64_t jitter, int64_t chunk, struct qvl_tap_store *store,
                                    struct qvl_error *error)
{
    const struct qvl_backend_options backend_options = {.threads = options->threads, .jitter_seed = jitter};
    struct qvl_backend *backend = NULL;
    store->patterns = options->patterns;
    store->pattern_count = options->pattern_count;
    QVL_TRY(open(&backend_options, &backend, error));
    const enum qvl_status status = run_stages(folder, prompt, backend, options->storage, chunk, store, error);
    backend->close(backend);
    return status;
}

/* The longest sum of a forward pass: a projection's input, or the keys of an attention row. */
static double longest_sum(const struct qvl_model_config *config, int64_t tokens)
{
    const struct qvl_vision_config *vision = &config->vision;
    const int64_t lengths[] = {config->text.hidden,
                               config->text.heads * config->text.head_dim,
                               config->text.intermediate,
                               config->text.moe_intermediate,
                               vision->intermediate,
                               vision->hidden * vision->merge * vision->merge,
                               vision->channels * vision->temporal_patch * vision->patch * vision->patch,
                               tokens};
    int64_t longest = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        longest = lengths[i] > longest ? lengths[i] : longest;
    return (double)longest;
}

/* Raise deviation[i] to the largest difference of a jittered run from the reference in stage i. */
static void widen(double *deviation, const struct qvl_tap_store *reference, const struct qvl_tap_store *draw)
{
    for (int64_t i = 0; i < reference->count; i++) {
        const struct qvl_tap_entry *a = &reference->entries[i];
        const struct qvl_tap_entry *b = qvl_tap_store_find(draw, a->name);
        const int64_t values = a->shape[0] * qvl_tap_entry_width(a);
        for (int64_t k = 0; b && k < values; k++)
            deviation[i] = fmax(deviation[i], fabs((double)a->values[k] - (double)b->values[k]));
    }
}

static bool same_shape(const struct qvl_tap_entry *a, const struct qvl_tap_entry *b)
{
    return b && a->rank == b->rank && memcmp(a->shape, b->shape, sizeof(int64_t) * (size_t)a->rank) == 0;
}

/* Passes only by err <= tolerance, so that a NaN anywhere fails. Where the reference is not finite the
 * candidate must be the same kind of value. */
static void compare(const struct qvl_tap_entry *reference, const struct qvl_tap_entry *candidate,
                    double tolerance, struct qvl_stage_result *result)
{
    snprintf(result->name, sizeof result->name, "%s", reference->name);
    result->rows = reference->shape[0];
    result->width = qvl_tap_entry_width(reference);
    result->tolerance = tolerance;
    result->status = QVL_CASE_FAILED;
    result->error = result->margin = INFINITY;
    if (!same_shape(reference, candidate))
        return;
    bool good = true;
    result->error = 0;
    for (int64_t k = 0; k < result->rows * result->width; k++) {
        const double want = reference->values[k];
        const double got = candidate->values[k];
        const double difference = isfinite(want) ? fabs(got - want) : 0;
        const bool fits = isfinite(want) ? difference <= tolerance : isnan(want) ? isnan(got) : want == got;
        if (isfinite(want))
            result->largest = fmax(result->largest, fabs(want));
        if (difference > result->error || (!fits && good)) {
            result->error = difference;
            result->row = k / result->width;
            result->column = k % result->width;
        }
        good = good && fits;
    }
    result->margin = result->error == 0 ? 0 : result->error / tolerance;
    result->status = good ? QVL_CASE_PASSED : QVL_CASE_FAILED;
}

/* The jittered runs, each folded into `deviation` [reference->count]. */
static enum qvl_status measure_deviation(const char *folder, const struct qvl_prompt *prompt,
                                         qvl_backend_open_fn *reference,
                                         const struct qvl_stage_options *options,
                                         const struct qvl_tap_store *exact, double *deviation,
                                         struct qvl_error *error)
{
    for (int draw = 0; draw < options->draws; draw++) {
        struct qvl_tap_store store = {0};
        const enum qvl_status status = open_and_run(folder, prompt, reference, options,
                                                    options->seed + (uint64_t)draw, 0, &store, error);
        if (status == QVL_OK)
            widen(deviation, exact, &store);
        qvl_tap_store_free(&store);
        if (status != QVL_OK)
            return status;
        if (options->progress)
            options->progress(options->context, draw + 2, options->draws + 2);
    }
    return QVL_OK;
}

static enum qvl_status compare_all(const char *folder, const struct qvl_prompt *prompt,
                                   const struct qvl_tap_store *exact, const struct qvl_tap_store *candidate,
                                   const double *deviation, const struct qvl_stage_options *options,
                                   struct qvl_stage_result **results, struct qvl_error *error)
{
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_read(folder, &config, error));
    const double ratio = qvl_dtype_roundoff(QVL_F32) / qvl_dtype_roundoff(options->storage);
    const double factor = SAFETY * sqrt(1.0 + longest_sum(&config, prompt->count) * ratio * ratio);
    *results = calloc((size_t)exact->count, sizeof **results);
    if (!*results)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld stage results", (long long)exact->count);
    for (int64_t i = 0; i < exact->count; i++)
        compare(&exact->entries[i], qvl_tap_store_find(candidate, exact->entries[i].name),
                factor * deviation[i], &(*results)[i]);
    return QVL_OK;
}

enum qvl_status qvl_verify_stages(const char *folder, const struct qvl_prompt *prompt,
                                  qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                  const struct qvl_stage_options *options, struct qvl_stage_result **results,
                                  int64_t *count, struct qvl_error *error)
{
    struct qvl_tap_store exact = {0};
    struct qvl_tap_store tried = {0};
    double *deviation = NULL;
    *results = NULL;
    *count = 0;
    if (options->draws < 1 || options->seed == 0)
        return qvl_fail(error, QVL_USAGE,
                        "verify stages: at least one draw and a seed other than 0 are needed");
    enum qvl_status status = open_and_run(folder, prompt, reference, options, 0, 0, &exact, error);
    if (status == QVL_OK && options->progress)
        options->progress(options->context, 1, options->draws + 2);
    if (status == QVL_OK && exact.count == 0)
        status = qvl_fail(error, QVL_USAGE, "verify stages: no stage matches the patterns");
    if (status == QVL_OK && !(deviation = calloc((size_t)exact.count, sizeof *deviation)))
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld stages", (long long)exact.count);
    if (status == QVL_OK)
        status = measure_deviation(folder, prompt, reference, options, &exact, deviation, error);
    if (status == QVL_OK)
        status = open_and_run(folder, prompt, candidate, options, 0, options->chunk, &tried, error);
    if (status == QVL_OK)
        status = compare_all(folder, prompt, &exact, &tried, deviation, options, results, error);
    if (status == QVL_OK)
        *count = exact.count;
    free(deviation);
    qvl_tap_store_free(&exact);
    qvl_tap_store_free(&tried);
    return status;
}
