#include "verify/stages.h"

#include <math.h>
#include <stdlib.h>

#include "verify/deviation.h"

/* One comparison: what both of its runs share. */
struct comparison {
    struct qvl_stage_pass pass; /* of the reference, exact roundings, free */
    const struct qvl_stage_options *options;
    double factor; /* what accumulating in float32 adds */
    bool sparse;   /* stages that the candidate lacks are SKIPPED */
    int done, total;
};

static void advance(struct comparison *comparison)
{
    comparison->done++;
    if (comparison->options->progress)
        comparison->options->progress(comparison->options->context, comparison->done, comparison->total);
}

/* A pass with the options' stages kept and, unless NULL, `forced` in their place. */
static enum qvl_status run(struct comparison *comparison, const struct qvl_stage_pass *pass,
                           const struct qvl_tap_store *forced, struct qvl_tap_store *store,
                           struct qvl_error *error)
{
    *store = (struct qvl_tap_store){.patterns = comparison->options->patterns,
                                    .pattern_count = comparison->options->pattern_count,
                                    .forced = forced};
    QVL_TRY(qvl_stage_pass_run(pass, store, error));
    advance(comparison);
    return QVL_OK;
}

double qvl_stage_longest_sum(const struct qvl_model_config *config, int64_t tokens)
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

double qvl_stage_factor(const struct qvl_model_config *config, enum qvl_dtype storage, int64_t tokens)
{
    const double ratio = qvl_dtype_roundoff(QVL_F32) / qvl_dtype_roundoff(storage);
    return sqrt(1.0 + qvl_stage_longest_sum(config, tokens) * ratio * ratio);
}

/* The jittered runs into `deviations` and, unless NULL, the metrics of their logits. */
static enum qvl_status draw(struct comparison *comparison, const struct qvl_tap_store *forced,
                            struct qvl_deviations *deviations, double (*metrics)[QVL_ENVELOPE_METRICS],
                            struct qvl_error *error)
{
    const struct qvl_tap_entry *logits = qvl_tap_store_find(deviations->exact, "logits");
    for (int k = 0; k < comparison->options->draws; k++) {
        struct qvl_stage_pass pass = comparison->pass;
        struct qvl_tap_store store = {0};
        pass.backend.jitter_seed = comparison->options->seed + (uint64_t)k;
        const enum qvl_status status = run(comparison, &pass, forced, &store, error);
        if (status == QVL_OK) {
            qvl_deviations_add(deviations, &store);
            if (metrics && logits)
                qvl_envelope_measure(logits, qvl_tap_store_find(&store, "logits"), metrics[k]);
        }
        qvl_tap_store_free(&store);
        if (status != QVL_OK)
            return status;
    }
    qvl_deviations_finish(deviations);
    return QVL_OK;
}

static enum qvl_status judge(const struct comparison *comparison, const struct qvl_deviations *deviations,
                             const struct qvl_tap_store *candidate, bool local, struct qvl_stage_run *judged,
                             struct qvl_error *error)
{
    const struct qvl_tap_store *exact = deviations->exact;
    const struct qvl_deviation_rule rule = {.safety = QVL_STAGE_SAFETY,
                                            .accumulate = comparison->factor,
                                            .local = local,
                                            .storage = comparison->pass.model.storage};
    *judged =
        (struct qvl_stage_run){.results = calloc((size_t)exact->count, sizeof *judged->results), .first = -1};
    if (!judged->results)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld stage results", (long long)exact->count);
    for (int64_t i = 0; i < exact->count; i++) {
        const struct qvl_tap_entry *entry = qvl_tap_store_find(candidate, exact->entries[i].name);
        struct qvl_stage_result *result = &judged->results[judged->count];
        qvl_deviation_judge(deviations, i, entry, &rule, result);
        if (!entry && comparison->sparse)
            result->status = QVL_CASE_SKIPPED;
        if (strcmp(result->name, "logits") == 0)
            result->first_token = comparison->pass.positions[0];
        if (result->status == QVL_CASE_FAILED && judged->failed++ == 0)
            judged->first = judged->count;
        judged->compared += result->status != QVL_CASE_SKIPPED;
        judged->count++;
    }
    return QVL_OK;
}

/* Draws around `exact` and the verdicts on `candidate`; `forced` is what both have read, NULL when free. */
static enum qvl_status compare(struct comparison *comparison, const struct qvl_tap_store *forced,
                               const struct qvl_tap_store *exact, const struct qvl_tap_store *candidate,
                               struct qvl_stage_report *report, struct qvl_error *error)
{
    const int draws = comparison->options->draws;
    const struct qvl_tap_entry *logits = qvl_tap_store_find(exact, "logits");
    const struct qvl_tap_entry *theirs = qvl_tap_store_find(candidate, "logits");
    struct qvl_deviations deviations = {0};
    double(*metrics)[QVL_ENVELOPE_METRICS] = calloc((size_t)draws, sizeof *metrics);
    enum qvl_status status =
        metrics ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for %d draws", draws);
    if (status == QVL_OK)
        status = qvl_deviations_create(exact, &deviations, error);
    if (status == QVL_OK)
        status = draw(comparison, forced, &deviations, metrics, error);
    if (status == QVL_OK)
        status = judge(comparison, &deviations, candidate, forced != NULL,
                       forced ? &report->forced : &report->free, error);
    if (status == QVL_OK && !forced && logits && theirs)
        status = qvl_envelope_judge(logits, theirs, (const double(*)[QVL_ENVELOPE_METRICS])metrics, draws,
                                    QVL_STAGE_SAFETY, comparison->factor, &report->envelope, error);
    qvl_deviations_free(&deviations);
    free(metrics);
    return status;
}

/* The last tokens of the prompt, whose logits are compared; owned. */
static enum qvl_status last_positions(int64_t tokens, int64_t wanted, int64_t **positions, int64_t *count,
                                      struct qvl_error *error)
{
    *count = wanted < 1 ? 1 : wanted < tokens ? wanted : tokens;
    *positions = malloc(sizeof **positions * (size_t)*count);
    if (!*positions)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld positions", (long long)*count);
    for (int64_t i = 0; i < *count; i++)
        (*positions)[i] = tokens - *count + i;
    return QVL_OK;
}

static enum qvl_status begin(const char *folder, const struct qvl_prompt *prompt,
                             qvl_backend_open_fn *reference, const struct qvl_stage_options *options,
                             struct comparison *comparison, struct qvl_error *error)
{
    struct qvl_model_config config;
    if (options->draws < 1 || options->seed == 0)
        return qvl_fail(error, QVL_USAGE,
                        "verify stages: at least one draw and a seed other than 0 are needed");
    QVL_TRY(qvl_model_config_read(folder, &config, error));
    *comparison = (struct comparison){.options = options,
                                      .factor = qvl_stage_factor(&config, options->storage, prompt->count),
                                      .total = 2 * (options->draws + 1) + 1};
    comparison->pass = (struct qvl_stage_pass){.folder = folder,
                                               .prompt = prompt,
                                               .open = reference,
                                               .backend = {.threads = options->threads},
                                               .model = {.storage = options->storage,
                                                         .pos_rounding = options->pos_rounding,
                                                         .angles = options->angles}};
    return QVL_OK;
}

/* The exact-rounding run of the reference. */
static enum qvl_status run_exact(struct comparison *comparison, struct qvl_tap_store *exact,
                                 struct qvl_error *error)
{
    QVL_TRY(run(comparison, &comparison->pass, NULL, exact, error));
    return exact->count > 0 ? QVL_OK
                            : qvl_fail(error, QVL_USAGE, "verify stages: no stage matches the patterns");
}

static bool wants_forced(const struct qvl_stage_options *options, const struct qvl_stage_report *report)
{
    return options->forced == QVL_FORCED_ALWAYS || report->free.failed > 0;
}

static enum qvl_status run_candidate(struct comparison *comparison, const struct qvl_stage_pass *pass,
                                     const struct qvl_tap_store *forced, struct qvl_tap_store *store,
                                     struct qvl_error *error)
{
    const struct qvl_stage_options *options = comparison->options;
    if (!options->run_candidate)
        return run(comparison, pass, forced, store, error);
    *store = (struct qvl_tap_store){0};
    QVL_TRY(options->run_candidate(options->candidate_context, pass, forced, store, error));
    advance(comparison);
    return QVL_OK;
}

enum qvl_status qvl_verify_stages(const char *folder, const struct qvl_prompt *prompt,
                                  qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                  const struct qvl_stage_options *options, struct qvl_stage_report *report,
                                  struct qvl_error *error)
{
    struct comparison comparison;
    struct qvl_tap_store exact = {0};
    struct qvl_tap_store tried = {0};
    struct qvl_tap_store led = {0};
    int64_t *positions = NULL;
    *report = (struct qvl_stage_report){0};
    QVL_TRY(begin(folder, prompt, reference, options, &comparison, error));
    QVL_TRY(last_positions(prompt->count, options->logit_rows, &positions, &comparison.pass.position_count,
                           error));
    comparison.pass.positions = positions;
    struct qvl_stage_pass pass = comparison.pass;
    pass.open = candidate;
    pass.chunk = options->chunk;
    pass.backend.jitter_seed = options->candidate_jitter;
    enum qvl_status status = run_exact(&comparison, &exact, error);
    if (status == QVL_OK)
        status = run_candidate(&comparison, &pass, NULL, &tried, error);
    if (status == QVL_OK)
        status = compare(&comparison, NULL, &exact, &tried, report, error);
    if (status == QVL_OK && wants_forced(options, report))
        status = run_candidate(&comparison, &pass, &exact, &led, error);
    if (status == QVL_OK && led.count > 0)
        status = compare(&comparison, &exact, &exact, &led, report, error);
    free(positions);
    qvl_tap_store_free(&exact);
    qvl_tap_store_free(&tried);
    qvl_tap_store_free(&led);
    if (status != QVL_OK)
        qvl_stage_report_free(report);
    return status;
}

/* At least one stage must be known by name. */
static enum qvl_status check_names(const struct qvl_tap_store *exact, const struct qvl_tap_store *taken,
                                   struct qvl_error *error)
{
    for (int64_t i = 0; i < taken->count; i++)
        if (qvl_tap_store_find(exact, taken->entries[i].name))
            return QVL_OK;
    return qvl_fail(error, QVL_BAD_INPUT,
                    "none of %lld tensors has the name of a stage, like \"%s\" (docs/TAPS.md)",
                    (long long)taken->count, exact->entries[exact->count - 1].name);
}

enum qvl_status qvl_verify_taken(const char *folder, const struct qvl_prompt *prompt,
                                 qvl_backend_open_fn *reference, const struct qvl_tap_store *taken,
                                 const int64_t *positions, int64_t position_count,
                                 const struct qvl_stage_options *options, struct qvl_stage_report *report,
                                 struct qvl_error *error)
{
    struct comparison comparison;
    struct qvl_tap_store exact = {0};
    struct qvl_tap_store predicted = {0};
    *report = (struct qvl_stage_report){0};
    QVL_TRY(begin(folder, prompt, reference, options, &comparison, error));
    comparison.pass.positions = positions;
    comparison.pass.position_count = position_count;
    comparison.sparse = true;
    enum qvl_status status = run_exact(&comparison, &exact, error);
    if (status == QVL_OK)
        status = check_names(&exact, taken, error);
    if (status == QVL_OK)
        status = compare(&comparison, NULL, &exact, taken, report, error);
    if (status == QVL_OK && wants_forced(options, report))
        status = run(&comparison, &comparison.pass, taken, &predicted, error);
    if (status == QVL_OK && predicted.count > 0)
        status = compare(&comparison, taken, &predicted, taken, report, error);
    qvl_tap_store_free(&exact);
    qvl_tap_store_free(&predicted);
    if (status != QVL_OK)
        qvl_stage_report_free(report);
    return status;
}

void qvl_stage_report_free(struct qvl_stage_report *report)
{
    free(report->free.results);
    free(report->forced.results);
    *report = (struct qvl_stage_report){0};
}
