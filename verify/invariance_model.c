#include "verify/invariance_model.h"

#include <stdlib.h>

#include "base/random.h"
#include "verify/deviation.h"
#include "verify/model_answer.h"
#include "verify/pairs.h"
#include "verify/stage_run.h"
#include "verify/visual_order.h"

_Static_assert(QVL_INVARIANCE_TOKENS == QVL_DECODED, "one number of decoded tokens");

enum { MOST_SETTINGS = 16, MOST_VISUALS = 8 };

static const char *const patterns[] = {"logits", "model.visual.merger",
                                       "model.visual.deepstack_merger_list.*"};

/* Everything that the dimensions share. */
struct audit {
    const char *folder;
    const struct qvl_prompt *prompt;
    qvl_backend_open_fn *reference, *candidate;
    const struct qvl_invariance_options *options;
    struct qvl_model_config config;
    struct qvl_backend *backend; /* the candidate, and its model */
    struct qvl_model *model;
    struct qvl_model_question question;
    struct qvl_tap_store exact; /* of the reference: logits of all rows, features of all visuals */
    struct qvl_deviations deviations;
    int done;
};

/* The answers of one dimension. */
struct panel {
    const char *labels[MOST_SETTINGS];
    char texts[MOST_SETTINGS][48];
    double *answers[MOST_SETTINGS];
    int count;
    int64_t elements;
    bool features; /* of the visuals, else logits */
    enum qvl_status refused;
    struct qvl_error refusal; /* what stopped the last setting */
};

/* ---- models ---- */

static enum qvl_status open_model(const struct audit *audit, int threads, struct qvl_backend **backend,
                                  struct qvl_model **model, struct qvl_error *error)
{
    const struct qvl_backend_options backend_options = {.threads = threads};
    *model = NULL;
    QVL_TRY(audit->candidate(&backend_options, backend, error));
    const enum qvl_status status =
        qvl_model_load(audit->folder, *backend, &audit->options->model, model, error);
    if (status != QVL_OK) {
        (*backend)->close(*backend);
        *backend = NULL;
    }
    return status;
}

static void close_model(struct qvl_backend *backend, struct qvl_model *model)
{
    qvl_model_destroy(model);
    if (backend)
        backend->close(backend);
}

/* ---- settings ---- */

/* Room for one more answer under a printf-formatted label; NULL when there is no memory or an earlier setting
 * was refused. */
static double *new_answer(struct panel *panel, const char *format, ...) QVL_PRINTF(2, 3);

static double *new_answer(struct panel *panel, const char *format, ...)
{
    va_list arguments;
    if (panel->refused != QVL_OK)
        return NULL;
    va_start(arguments, format);
    vsnprintf(panel->texts[panel->count], sizeof panel->texts[0], format, arguments);
    va_end(arguments);
    panel->labels[panel->count] = panel->texts[panel->count];
    panel->answers[panel->count] = malloc(((size_t)panel->elements + 1) * sizeof(double));
    if (!panel->answers[panel->count])
        panel->refused = qvl_fail(&panel->refusal, QVL_NO_MEMORY, "no memory for %lld values of an answer",
                                  (long long)panel->elements);
    return panel->answers[panel->count++];
}

/* Ask the model in one way. */
static void ask(struct audit *audit, struct panel *panel, struct qvl_model *model,
                const struct qvl_model_way *way, double *answer)
{
    if (answer && panel->refused == QVL_OK)
        panel->refused = qvl_model_answer(model, &audit->question, way, answer, &panel->refusal);
}

static struct qvl_model_way plain_way(const struct audit *audit)
{
    return (struct qvl_model_way){.chunk = audit->prompt->count};
}

static void ask_repeat(struct audit *audit, struct panel *panel)
{
    const struct qvl_model_way way = plain_way(audit);
    const struct qvl_model_way other = {.chunk = 5, .companions = 2};
    struct qvl_backend *backend = NULL;
    struct qvl_model *model = NULL;
    for (int i = 1; i <= 3; i++)
        ask(audit, panel, audit->model, &way, new_answer(panel, "run %d", i));
    double *after = new_answer(panel, "run 4, after other sequences");
    ask(audit, panel, audit->model, &other, after);
    ask(audit, panel, audit->model, &way, after);
    if (panel->refused == QVL_OK)
        panel->refused = open_model(audit, audit->options->threads, &backend, &model, &panel->refusal);
    ask(audit, panel, model, &way, new_answer(panel, "another load"));
    close_model(backend, model);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* 1, 3, an odd number, one with an edge inside the first image, and all. */
static void ask_chunks(struct audit *audit, struct panel *panel)
{
    const struct qvl_prompt *prompt = audit->prompt;
    int64_t image = 0, run = 0;
    while (image < prompt->count && prompt->ids[image] != audit->config.image_token &&
           prompt->ids[image] != audit->config.video_token)
        image++;
    while (image + run < prompt->count && prompt->ids[image + run] == prompt->ids[image])
        run++;
    int64_t chunks[] = {1, 3, 7, image + (run + 1) / 2, prompt->count};
    qsort(chunks, sizeof chunks / sizeof *chunks, sizeof *chunks, ascending);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        if (chunks[i] <= prompt->count && (i == 0 || chunks[i] != chunks[i - 1]))
            ask(audit, panel, audit->model, &(const struct qvl_model_way){.chunk = chunks[i]},
                new_answer(panel, "chunk %lld", (long long)chunks[i]));
}

static void ask_batches(struct audit *audit, struct panel *panel)
{
    for (int others = 0; others <= QVL_COMPANIONS; others++)
        ask(audit, panel, audit->model, &(const struct qvl_model_way){.chunk = 5, .companions = others},
            others == 0 ? new_answer(panel, "alone") : new_answer(panel, "batch of %d", others + 1));
}

static void ask_threads(struct audit *audit, struct panel *panel)
{
    const struct qvl_model_way way = plain_way(audit);
    for (int threads = 1; threads <= 3 && panel->refused == QVL_OK; threads++) {
        struct qvl_backend *backend = NULL;
        struct qvl_model *model = NULL;
        double *answer = new_answer(panel, "%d thread%s", threads, threads > 1 ? "s" : "");
        if (answer)
            panel->refused = open_model(audit, threads, &backend, &model, &panel->refusal);
        ask(audit, panel, model, &way, answer);
        close_model(backend, model);
    }
}

static void ask_cores(struct audit *audit, struct panel *panel)
{
    const struct qvl_invariance_options *options = audit->options;
    float *logits = malloc(((size_t)panel->elements + 1) * sizeof *logits);
    if (!logits)
        panel->refused = qvl_fail(&panel->refusal, QVL_NO_MEMORY, "no memory for logits");
    for (int i = 0; i < options->core_count && i < MOST_SETTINGS && panel->refused == QVL_OK; i++) {
        char label[48] = "";
        double *answer = NULL;
        const enum qvl_status status = options->core(options->context, i, audit->question.tokens, label,
                                                     logits, panel->elements, &panel->refusal);
        if (status == QVL_UNSUPPORTED)
            continue;
        answer = new_answer(panel, "%s", label);
        panel->refused = panel->refused == QVL_OK ? status : panel->refused;
        for (int64_t k = 0; answer && status == QVL_OK && k < panel->elements; k++)
            answer[k] = (double)logits[k];
    }
    free(logits);
}

/* All in the halves that a fork makes, so that the size of the pieces is not what differs. */
static void ask_splits(struct audit *audit, struct panel *panel)
{
    static const char *const names[] = {"prefill and decode", "fork half way", "fork beside its original",
                                        "prompt cut and redone", "decoded tokens cut"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        const struct qvl_model_way way = {.chunk = audit->prompt->count > 1 ? audit->prompt->count / 2 : 1,
                                          .history = (enum qvl_history)i};
        ask(audit, panel, audit->model, &way, new_answer(panel, "%s", names[i]));
    }
}

/* All in the natural order, reversed, each two neighbours exchanged, and one by one. */
static void ask_orders(struct audit *audit, struct panel *panel)
{
    const struct qvl_prompt *prompt = audit->prompt;
    const int count = (int)prompt->visual_count;
    for (int variant = 0; variant <= count && panel->refused == QVL_OK; variant++) {
        int order[MOST_VISUALS];
        for (int i = 0; i < count; i++)
            order[i] = variant == count ? count - 1 - i : i;
        if (variant > 0 && variant < count) {
            order[variant - 1] = variant;
            order[variant] = variant - 1;
        }
        double *features = variant == 0 ? new_answer(panel, "given order")
                           : variant < count
                               ? new_answer(panel, "visuals %d and %d exchanged", variant, variant + 1)
                               : new_answer(panel, "reversed order");
        if (features)
            panel->refused = qvl_visual_features(audit->model, prompt->visuals, order, count, &audit->exact,
                                                 features, &panel->refusal);
    }
    double *alone = new_answer(panel, "each visual alone");
    for (int i = 0; i < count && alone && panel->refused == QVL_OK; i++)
        panel->refused =
            qvl_visual_features(audit->model, prompt->visuals, &i, 1, &audit->exact, alone, &panel->refusal);
}

/* ---- verdicts ---- */

/* Values of all stages but the logits. */
static int64_t feature_count(const struct qvl_tap_store *store)
{
    int64_t count = 0;
    for (int64_t e = 0; e < store->count; e++)
        if (strcmp(store->entries[e].name, "logits") != 0)
            count += store->entries[e].shape[0] * qvl_tap_entry_width(&store->entries[e]);
    return count;
}

/* How far two answers may be apart: twice what one may be from the reference. */
static void set_tolerances(const struct audit *audit, bool features, double *tolerance)
{
    const double factor =
        2 * QVL_STAGE_SAFETY *
        qvl_stage_factor(&audit->config, audit->options->model.storage, audit->prompt->count + QVL_DECODED);
    for (int64_t e = 0; e < audit->exact.count; e++) {
        const struct qvl_tap_entry *entry = &audit->exact.entries[e];
        const int64_t count = entry->shape[0] * qvl_tap_entry_width(entry);
        if ((strcmp(entry->name, "logits") != 0) != features)
            continue;
        for (int64_t k = 0; k < count; k++)
            *tolerance++ = isnan(entry->values[k])   ? NAN
                           : isinf(entry->values[k]) ? 0
                                                     : factor * audit->deviations.stages[e].overall;
    }
}

/* "logits[3][17]" */
static void name_element(const struct audit *audit, const struct panel *panel, int64_t element, char *text,
                         size_t bytes)
{
    for (int64_t e = 0; e < audit->exact.count; e++) {
        const struct qvl_tap_entry *entry = &audit->exact.entries[e];
        const int64_t width = qvl_tap_entry_width(entry), count = entry->shape[0] * width;
        if ((strcmp(entry->name, "logits") != 0) != panel->features)
            continue;
        if (element < count) {
            snprintf(text, bytes, "%s[%lld][%lld]", entry->name, (long long)(element / width),
                     (long long)(element % width));
            return;
        }
        element -= count;
    }
}

static void name_pair(const struct audit *audit, const struct panel *panel, const struct qvl_pair *pair,
                      bool violated, double tolerance, struct qvl_dimension_result *result)
{
    const double a = panel->answers[pair->first][pair->element];
    const double b = panel->answers[pair->second][pair->element];
    char place[160] = "";
    name_element(audit, panel, pair->element, place, sizeof place);
    snprintf(result->message, sizeof result->message,
             "%s and %s %s: %s is %.9g and %.9g, %.3g apart, honest results at most %.3g",
             panel->labels[pair->first], panel->labels[pair->second],
             violated ? "differ" : "are the smallest pair that is not bit-identical", place, a, b,
             fabs(a - b), tolerance);
}

static int64_t count_flips(const struct audit *audit, const struct panel *panel)
{
    const int64_t vocabulary = audit->config.text.vocab;
    int64_t flips = 0;
    for (int64_t row = 0; !panel->features && row < panel->elements / vocabulary; row++) {
        const int64_t token = qvl_largest_logit(panel->answers[0] + row * vocabulary, vocabulary);
        bool flipped = false;
        for (int s = 1; s < panel->count; s++)
            flipped |= qvl_largest_logit(panel->answers[s] + row * vocabulary, vocabulary) != token;
        flips += flipped;
    }
    return flips;
}

static enum qvl_status conclude(const struct audit *audit, struct panel *panel,
                                struct qvl_dimension_result *result, struct qvl_error *error)
{
    double *tolerance = malloc(((size_t)panel->elements + 1) * sizeof *tolerance);
    struct qvl_pairs found;
    if (!tolerance)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld tolerances", (long long)panel->elements);
    set_tolerances(audit, panel->features, tolerance);
    const struct qvl_answers answers = {.values = (const double *const *)panel->answers,
                                        .settings = panel->count,
                                        .elements = panel->elements,
                                        .tolerance = tolerance};
    qvl_pairs_search(&answers, &found);
    result->verdict = qvl_pairs_verdict(&found);
    result->margin = found.margin;
    result->status = found.missing || found.violated ? QVL_CASE_FAILED : QVL_CASE_PASSED;
    result->flips = found.missing ? 0 : count_flips(audit, panel);
    if (found.missing) {
        char place[160] = "";
        name_element(audit, panel, found.missing_element, place, sizeof place);
        result->margin = INFINITY;
        snprintf(result->message, sizeof result->message, "%s leaves a NaN in %s",
                 panel->labels[found.missing_setting], place);
    } else if (found.inexact) {
        const struct qvl_pair *pair = found.violated ? &found.broken : &found.changed;
        name_pair(audit, panel, pair, found.violated, tolerance[pair->element], result);
    }
    free(tolerance);
    return QVL_OK;
}

/* A setting that fails where the first one did not is a difference too. */
static void report_refusal(const struct panel *panel, struct qvl_dimension_result *result)
{
    const int last = panel->count - 1;
    result->status = panel->refused == QVL_UNSUPPORTED ? QVL_CASE_UNSUPPORTED : QVL_CASE_FAILED;
    result->verdict = last > 0 ? QVL_VERDICT_VIOLATED : NULL;
    snprintf(result->message, sizeof result->message, "%s%s%.48s: %s: %.300s",
             last > 0 ? panel->labels[0] : "", last > 0 ? " has a result, " : "",
             last >= 0 ? panel->labels[last] : "", qvl_status_name(panel->refused), panel->refusal.message);
}

/* Why a dimension cannot be asked; NULL when it can. */
static const char *why_not(const struct audit *audit, enum qvl_dimension dimension)
{
    if (audit->options->only && !(audit->options->only >> dimension & 1))
        return "not asked for";
    if (dimension == QVL_DIMENSION_CORE && !audit->options->core)
        return "needs processes of its own, with other core types of the kernel library";
    if (dimension == QVL_DIMENSION_ORDER &&
        (audit->prompt->visual_count < 2 || audit->prompt->visual_count > MOST_VISUALS))
        return "needs a prompt with two to eight images or videos";
    return NULL;
}

static enum qvl_status audit_dimension(struct audit *audit, enum qvl_dimension dimension,
                                       struct qvl_dimension_result *result, struct qvl_error *error)
{
    static void (*const askers[])(struct audit *, struct panel *) = {
        [QVL_DIMENSION_REPEAT] = ask_repeat, [QVL_DIMENSION_CHUNK] = ask_chunks,
        [QVL_DIMENSION_BATCH] = ask_batches, [QVL_DIMENSION_THREADS] = ask_threads,
        [QVL_DIMENSION_CORE] = ask_cores,    [QVL_DIMENSION_SPLIT] = ask_splits,
        [QVL_DIMENSION_ORDER] = ask_orders,
    };
    static const char *const names[] = {
#define NAME(name, text) text,
        QVL_DIMENSIONS(NAME)
#undef NAME
    };
    struct panel panel = {.features = dimension == QVL_DIMENSION_ORDER, .refused = QVL_OK};
    const char *reason = why_not(audit, dimension);
    enum qvl_status status = QVL_OK;
    *result = (struct qvl_dimension_result){.dimension = names[dimension], .status = QVL_CASE_SKIPPED};
    panel.elements = panel.features ? feature_count(&audit->exact)
                                    : qvl_model_answer_count(&audit->question, audit->config.text.vocab);
    if (!reason)
        askers[dimension](audit, &panel);
    result->settings = panel.count;
    result->elements = panel.elements;
    if (reason)
        snprintf(result->message, sizeof result->message, "%s", reason);
    else if (panel.refused == QVL_NO_MEMORY)
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: %.900s", names[dimension], panel.refusal.message);
    else if (panel.refused != QVL_OK)
        report_refusal(&panel, result);
    else if (panel.count < 2)
        snprintf(result->message, sizeof result->message, "fewer than two settings to compare");
    else
        status = conclude(audit, &panel, result, error);
    for (int s = 0; s < panel.count; s++)
        free(panel.answers[s]);
    return status;
}

/* ---- the reference ---- */

/* The prompt with the decoded tokens, as a prompt. `ids` and the visuals stay the caller's. */
static struct qvl_prompt extended_prompt(const struct audit *audit, int64_t *ids)
{
    struct qvl_prompt extended = *audit->prompt;
    memcpy(ids, audit->prompt->ids, (size_t)extended.count * sizeof *ids);
    memcpy(ids + extended.count, audit->question.tokens, sizeof audit->question.tokens);
    extended.ids = ids;
    extended.count += QVL_DECODED;
    return extended;
}

static enum qvl_status run_reference(struct audit *audit, struct qvl_stage_pass *pass,
                                     struct qvl_error *error)
{
    QVL_TRY(qvl_stage_pass_run(pass, &audit->exact, error));
    QVL_TRY(qvl_deviations_create(&audit->exact, &audit->deviations, error));
    for (int draw = 0; draw < audit->options->draws; draw++) {
        struct qvl_tap_store store = {.patterns = audit->exact.patterns,
                                      .pattern_count = audit->exact.pattern_count};
        pass->backend.jitter_seed = audit->options->seed + (uint64_t)draw;
        const enum qvl_status status = qvl_stage_pass_run(pass, &store, error);
        if (status == QVL_OK)
            qvl_deviations_add(&audit->deviations, &store);
        qvl_tap_store_free(&store);
        QVL_TRY(status);
    }
    qvl_deviations_finish(&audit->deviations);
    return QVL_OK;
}

/* What honest rounding does to the answers. */
static enum qvl_status measure_reference(struct audit *audit, struct qvl_error *error)
{
    const int64_t count = audit->prompt->count + QVL_DECODED;
    int64_t *ids = malloc(2 * (size_t)count * sizeof *ids);
    if (!ids)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld token ids", (long long)count);
    const struct qvl_prompt extended = extended_prompt(audit, ids);
    for (int64_t i = 0; i < count; i++)
        ids[count + i] = i;
    struct qvl_stage_pass pass = {.folder = audit->folder,
                                  .prompt = &extended,
                                  .open = audit->reference,
                                  .backend = {.threads = audit->options->threads},
                                  .model = audit->options->model,
                                  .positions = ids + count,
                                  .position_count = count};
    audit->exact.patterns = patterns;
    audit->exact.pattern_count = sizeof patterns / sizeof *patterns;
    const enum qvl_status status = run_reference(audit, &pass, error);
    free(ids);
    return status;
}

/* The candidate's model, and the tokens that it decodes greedily, which every later answer is given. */
static enum qvl_status choose_tokens(struct audit *audit, struct qvl_error *error)
{
    const struct qvl_model_way way = plain_way(audit);
    QVL_TRY(open_model(audit, audit->options->threads, &audit->backend, &audit->model, error));
    audit->question = (struct qvl_model_question){.prompt = audit->prompt, .choose = true};
    double *logits =
        malloc((size_t)qvl_model_answer_count(&audit->question, audit->config.text.vocab) * sizeof *logits);
    if (!logits)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    const enum qvl_status status = qvl_model_answer(audit->model, &audit->question, &way, logits, error);
    audit->question.choose = false;
    free(logits);
    return status;
}

enum qvl_status qvl_verify_invariance(const char *folder, const struct qvl_prompt *prompt,
                                      qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                      const struct qvl_invariance_options *options,
                                      struct qvl_dimension_result *results, struct qvl_error *error)
{
    struct audit audit = {.folder = folder,
                          .prompt = prompt,
                          .reference = reference,
                          .candidate = candidate,
                          .options = options};
    if (options->draws < 1 || options->seed == 0)
        return qvl_fail(error, QVL_USAGE, "verify invariance: at least one draw and a seed other than 0");
    QVL_TRY(qvl_model_config_read(folder, &audit.config, error));
    enum qvl_status status = choose_tokens(&audit, error);
    if (status == QVL_OK)
        status = measure_reference(&audit, error);
    for (int d = 0; d < QVL_DIMENSION_COUNT && status == QVL_OK; d++) {
        if (options->progress)
            options->progress(options->context, d, QVL_DIMENSION_COUNT);
        status = audit_dimension(&audit, (enum qvl_dimension)d, &results[d], error);
    }
    qvl_deviations_free(&audit.deviations);
    qvl_tap_store_free(&audit.exact);
    close_model(audit.backend, audit.model);
    return status;
}

enum qvl_status qvl_invariance_plain(const char *folder, const struct qvl_prompt *prompt,
                                     qvl_backend_open_fn *candidate,
                                     const struct qvl_invariance_options *options, const int64_t *tokens,
                                     float **logits, int64_t *count, struct qvl_error *error)
{
    struct audit audit = {.folder = folder, .prompt = prompt, .candidate = candidate, .options = options};
    const struct qvl_model_way way = plain_way(&audit);
    *logits = NULL;
    QVL_TRY(open_model(&audit, options->threads, &audit.backend, &audit.model, error));
    audit.question.prompt = prompt;
    memcpy(audit.question.tokens, tokens, sizeof audit.question.tokens);
    *count = qvl_model_answer_count(&audit.question, qvl_model_get_config(audit.model)->text.vocab);
    double *answer = malloc((size_t)*count * sizeof *answer);
    enum qvl_status status = QVL_OK;
    *logits = malloc((size_t)*count * sizeof **logits);
    if (!answer || !*logits)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld logits", (long long)*count);
    if (status == QVL_OK)
        status = qvl_model_answer(audit.model, &audit.question, &way, answer, error);
    for (int64_t i = 0; status == QVL_OK && i < *count; i++)
        (*logits)[i] = (float)answer[i];
    free(answer);
    close_model(audit.backend, audit.model);
    if (status != QVL_OK) {
        free(*logits);
        *logits = NULL;
    }
    return status;
}

enum qvl_status qvl_invariance_prompt(const struct qvl_model_config *config, uint64_t seed,
                                      struct qvl_prompt *prompt, struct qvl_error *error)
{
    enum { IMAGE, WIDE_IMAGE, VIDEO, VISUALS };
    const struct qvl_vision_config *vision = &config->vision;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    const int64_t merge = vision->merge;
    const int order[VISUALS] = {IMAGE, WIDE_IMAGE, VIDEO};
    struct qvl_visual visuals[VISUALS] = {
        {.grid = {1, 3 * merge, 2 * merge}},
        {.grid = {1, 2 * merge, 5 * merge}},
        {.grid = {2, 2 * merge, 2 * merge}, .is_video = true},
    };
    QVL_TRY(qvl_prompt_of_visuals(config, visuals, order, VISUALS, seed, prompt, error));
    for (int v = 0; v < VISUALS; v++) {
        struct qvl_visual *visual = &prompt->visuals[v];
        const int64_t values = visual->grid.t * visual->grid.h * visual->grid.w * width;
        visual->rows = malloc((size_t)values * sizeof *visual->rows);
        if (!visual->rows) {
            qvl_prompt_free(prompt);
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for the patches of a prompt");
        }
        for (int64_t i = 0; i < values; i++)
            visual->rows[i] = (float)(2 * qvl_random_uniform(seed, 30 + (uint64_t)v, (uint64_t)i) - 1);
    }
    return QVL_OK;
}
