/* What the path under test does with its texts, and the judgement of what came out. */
#include <stdlib.h>

#include "verify/composition_parts.h"
#include "verify/deviation.h"
#include "verify/stage_run.h"

#define DRAWS 3

/* ---- The expectation ---- */

/* One run of the reference over the whole text, with every stage and the logits of every token. */
static enum qvl_status run_reference(const struct qvl_composition *composition,
                                     const struct composition_history *history, uint64_t jitter,
                                     struct qvl_tap_store *store, struct qvl_error *error)
{
    const struct qvl_prompt *whole = &history->whole;
    int64_t *positions = malloc(sizeof(int64_t) * (size_t)whole->count);
    if (!positions)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the logits of a prompt");
    for (int64_t i = 0; i < whole->count; i++)
        positions[i] = i;
    const struct qvl_stage_pass pass = {.folder = composition->folders[history->checkpoint],
                                        .prompt = whole,
                                        .open = composition->options.reference,
                                        .backend = {.threads = 1, .jitter_seed = jitter},
                                        .model = {.storage = QVL_F32},
                                        .positions = positions,
                                        .position_count = whole->count};
    const enum qvl_status status = qvl_stage_pass_run(&pass, store, error);
    free(positions);
    return status;
}

static enum qvl_status measure(const struct qvl_composition *composition,
                               const struct composition_history *history, struct qvl_deviations *deviations,
                               struct qvl_error *error)
{
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct qvl_tap_store store = {0};
        const enum qvl_status status =
            run_reference(composition, history, composition->options.seed + draw, &store, error);
        if (status == QVL_OK)
            qvl_deviations_add(deviations, &store);
        qvl_tap_store_free(&store);
        if (status != QVL_OK)
            return status;
    }
    qvl_deviations_finish(deviations);
    return QVL_OK;
}

/* Tolerances as those of free runs in verify/stages.h, for sums in float32 of float32 values. */
enum qvl_status composition_expect(const struct qvl_composition *composition,
                                   struct composition_history *history, struct qvl_error *error)
{
    const struct qvl_tap_store *expected = &history->expected;
    struct qvl_deviations deviations = {0};
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_read(composition->folders[history->checkpoint], &config, error));
    QVL_TRY(run_reference(composition, history, 0, &history->expected, error));
    const double factor = QVL_STAGE_SAFETY * sqrt(1.0 + qvl_stage_longest_sum(&config, history->whole.count));
    history->tolerance = calloc((size_t)expected->count + 1, sizeof *history->tolerance);
    enum qvl_status status = history->tolerance ? qvl_deviations_create(expected, &deviations, error)
                                                : qvl_fail(error, QVL_NO_MEMORY, "no memory for tolerances");
    if (status == QVL_OK)
        status = measure(composition, history, &deviations, error);
    for (int64_t i = 0; status == QVL_OK && i < expected->count; i++)
        history->tolerance[i] = factor * deviations.stages[i].overall;
    qvl_deviations_free(&deviations);
    return status;
}

/* ---- The path under test ---- */

/* One text on its way through the model. */
struct lane {
    const struct composition_history *history;
    struct qvl_prompt
        prompt; /* what the path made of it; rows and ids borrowed from the history unless own */
    bool own;
    struct qvl_sequence *sequence;
    struct qvl_tap_store taps;
    bool has_taps; /* every forward call of the course is of this lane alone */
    float *logits; /* [count][vocab] */
    bool *seen;    /* [count] */
};

struct course {
    const struct qvl_composition *composition;
    const struct qvl_composition_path *path;
    struct qvl_backend *backend;
    struct qvl_model *model;
    struct qvl_path_state state;
    struct lane lanes[COMPOSITION_LANES];
    int64_t vocabulary;
};

static enum qvl_status tell(struct course *course, enum qvl_path_moment moment, const struct lane *lane,
                            const struct lane *first, int64_t count, int64_t lanes, struct qvl_error *error)
{
    const struct qvl_path_fault *fault = course->path->fault;
    const struct qvl_path_event event = {.moment = moment,
                                         .sequence = lane->sequence,
                                         .first = first->sequence,
                                         .prompt = &lane->prompt,
                                         .count = count,
                                         .lanes = lanes};
    return fault && fault->sequence ? fault->sequence(&course->state, &event, error) : QVL_OK;
}

/* Tokens of the next step: up to `chunk` of the prompt (0: all), then one decoded token at a time. */
static int64_t next_count(const struct lane *lane, int64_t chunk)
{
    const int64_t pending = qvl_sequence_pending(lane->sequence);
    if (pending == 0)
        return 1;
    return chunk > 0 && chunk < pending ? chunk : pending;
}

static bool is_done(const struct lane *lane)
{
    return qvl_sequence_length(lane->sequence) >= lane->prompt.count + COMPOSITION_FORCED;
}

/* One forward call of several lanes; the logits of all rows are kept. */
static enum qvl_status forward(struct course *course, struct lane *const *lanes, int64_t lane_count,
                               int64_t chunk, struct qvl_error *error)
{
    struct qvl_step steps[COMPOSITION_LANES];
    int64_t starts[COMPOSITION_LANES];
    int64_t rows[256];
    int64_t total = 0;
    for (int64_t i = 0; i < (int64_t)(sizeof rows / sizeof *rows); i++)
        rows[i] = i;
    for (int64_t i = 0; i < lane_count; i++) {
        struct lane *lane = lanes[i];
        const bool decodes = qvl_sequence_pending(lane->sequence) == 0;
        starts[i] = qvl_sequence_length(lane->sequence);
        steps[i] =
            (struct qvl_step){.sequence = lane->sequence,
                              .tokens = decodes ? lane->history->whole.ids + lane->history->whole.count -
                                                      COMPOSITION_FORCED + (starts[i] - lane->prompt.count)
                                                : NULL,
                              .count = next_count(lane, chunk),
                              .logit_rows = rows};
        steps[i].logit_count = steps[i].count;
        total += steps[i].count;
        QVL_TRY(tell(course, QVL_PATH_STEP, lane, lanes[0], steps[i].count, lane_count, error));
    }
    float *logits = malloc(sizeof(float) * (size_t)(total * course->vocabulary));
    if (!logits)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    const struct qvl_taps taps = qvl_tap_store_taps(&lanes[0]->taps);
    enum qvl_status status =
        qvl_model_forward(course->model, steps, lane_count, logits, lanes[0]->has_taps ? &taps : NULL, error);
    const float *from = logits;
    for (int64_t i = 0; status == QVL_OK && i < lane_count; i++) {
        const int64_t values = steps[i].count * course->vocabulary;
        memcpy(lanes[i]->logits + starts[i] * course->vocabulary, from, sizeof(float) * (size_t)values);
        for (int64_t k = 0; k < steps[i].count; k++)
            lanes[i]->seen[starts[i] + k] = true;
        from += values;
        status = tell(course, QVL_PATH_STEPPED, lanes[i], lanes[0], steps[i].count, lane_count, error);
    }
    free(logits);
    return status;
}

static enum qvl_status prefill(struct course *course, struct lane *lane, int64_t chunk,
                               struct qvl_error *error)
{
    while (qvl_sequence_pending(lane->sequence) > 0)
        QVL_TRY(forward(course, &lane, 1, chunk, error));
    return QVL_OK;
}

static enum qvl_status decode(struct course *course, struct lane *lane, struct qvl_error *error)
{
    while (!is_done(lane))
        QVL_TRY(forward(course, &lane, 1, 0, error));
    return QVL_OK;
}

/* ---- Lanes ---- */

static enum qvl_status open_lane(struct course *course, struct lane *lane,
                                 const struct composition_history *history, struct qvl_error *error)
{
    const struct qvl_composition_path *path = course->path;
    lane->history = history;
    lane->own = path->pixels || (path->fault && (path->fault->visuals || path->fault->text));
    lane->prompt = history->whole;
    lane->prompt.count -= COMPOSITION_FORCED;
    if (lane->own)
        QVL_TRY(composition_prompt(course->composition, history->media, history->checkpoint, path,
                                   &lane->prompt, error));
    const size_t tokens = (size_t)(lane->prompt.count + COMPOSITION_FORCED);
    lane->logits = malloc(sizeof(float) * tokens * (size_t)course->vocabulary);
    lane->seen = calloc(tokens, sizeof *lane->seen);
    if (!lane->logits || !lane->seen)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for logits");
    return QVL_OK;
}

static enum qvl_status start_lane(struct course *course, struct lane *lane,
                                  const struct composition_history *history, struct qvl_error *error)
{
    const struct qvl_taps taps = qvl_tap_store_taps(&lane->taps);
    QVL_TRY(open_lane(course, lane, history, error));
    QVL_TRY(
        qvl_sequence_create(course->model, lane->prompt.count + COMPOSITION_FORCED, &lane->sequence, error));
    QVL_TRY(qvl_sequence_prompt(lane->sequence, &lane->prompt, lane->has_taps ? &taps : NULL, error));
    return tell(course, QVL_PATH_PROMPTED, lane, lane, 0, 1, error);
}

static enum qvl_status fork_lane(struct course *course, const struct lane *from, struct lane *lane,
                                 const struct composition_history *history, struct qvl_error *error)
{
    QVL_TRY(open_lane(course, lane, history, error));
    QVL_TRY(qvl_sequence_fork(from->sequence, &lane->sequence, error));
    return tell(course, QVL_PATH_FORKED, lane, lane, 0, 1, error);
}

static enum qvl_status drop_last(struct course *course, struct lane *lane, struct qvl_error *error)
{
    QVL_TRY(qvl_sequence_truncate(lane->sequence, qvl_sequence_length(lane->sequence) - 1, error));
    return tell(course, QVL_PATH_TRUNCATED, lane, lane, 0, 1, error);
}

/* ---- Courses ---- */

static enum qvl_status run_forked(struct course *course, const struct composition_history *other,
                                  int64_t chunk, struct qvl_error *error)
{
    struct lane *lanes = course->lanes;
    QVL_TRY(prefill(course, &lanes[0], chunk, error));
    QVL_TRY(fork_lane(course, &lanes[0], &lanes[1], other, error));
    while (!is_done(&lanes[0])) {
        struct lane *one = &lanes[0];
        struct lane *two = &lanes[1];
        QVL_TRY(forward(course, &one, 1, 0, error));
        QVL_TRY(forward(course, &two, 1, 0, error));
    }
    return QVL_OK;
}

static enum qvl_status run_truncated(struct course *course, int64_t chunk, struct qvl_error *error)
{
    struct lane *lane = &course->lanes[0];
    QVL_TRY(prefill(course, lane, chunk, error));
    QVL_TRY(drop_last(course, lane, error));
    QVL_TRY(prefill(course, lane, chunk, error));
    QVL_TRY(decode(course, lane, error));
    QVL_TRY(drop_last(course, lane, error));
    return decode(course, lane, error);
}

/* The first lane is some tokens ahead, so that a batch holds a decode step and a piece of a prompt. */
static enum qvl_status run_batched(struct course *course, int64_t chunk, struct qvl_error *error)
{
    struct lane *both[] = {&course->lanes[0], &course->lanes[1]};
    QVL_TRY(forward(course, both, 2, chunk, error));
    while (!is_done(both[0]) && !is_done(both[1]))
        QVL_TRY(forward(course, both, 2, chunk, error));
    for (int i = 0; i < 2; i++)
        while (!is_done(both[i]))
            QVL_TRY(forward(course, &both[i], 1, chunk, error));
    return QVL_OK;
}

static enum qvl_status run_interleaved(struct course *course, int64_t chunk, struct qvl_error *error)
{
    struct lane *both[] = {&course->lanes[0], &course->lanes[1]};
    for (int i = 0; i < 2; i++)
        QVL_TRY(prefill(course, both[i], chunk, error));
    while (!is_done(both[0]))
        for (int i = 0; i < 2; i++)
            QVL_TRY(forward(course, &both[i], 1, 0, error));
    return QVL_OK;
}

static enum qvl_status run_course(struct course *course, const struct composition_script *script,
                                  struct qvl_error *error)
{
    const struct composition_history *one = &course->composition->histories[script->texts[0]];
    const struct composition_history *two = &course->composition->histories[script->texts[1]];
    struct lane *lanes = course->lanes;
    lanes[0].has_taps = script->course == ALONE || script->course == IN_A_ROW;
    lanes[1].has_taps = script->course == IN_A_ROW;
    QVL_TRY(start_lane(course, &lanes[0], one, error));
    if (script->course == FORKED)
        return run_forked(course, two, script->chunk, error);
    if (script->course == TRUNCATED)
        return run_truncated(course, script->chunk, error);
    if (script->course == ALONE || script->course == IN_A_ROW) {
        QVL_TRY(prefill(course, &lanes[0], script->chunk, error));
        QVL_TRY(decode(course, &lanes[0], error));
    }
    if (script->course == ALONE)
        return QVL_OK;
    QVL_TRY(start_lane(course, &lanes[1], two, error));
    if (script->course == BATCHED)
        return run_batched(course, script->chunk, error);
    if (script->course == INTERLEAVED)
        return run_interleaved(course, script->chunk, error);
    QVL_TRY(prefill(course, &lanes[1], script->chunk, error));
    return decode(course, &lanes[1], error);
}

/* ---- Judging ---- */

/* Rows of one stage; false when one is beyond the tolerance, and then `attempt` says where. `seen` may be
 * NULL: all rows. */
static bool judge_rows(const struct qvl_tap_entry *expected, double tolerance, const float *got, int64_t rows,
                       const bool *seen, struct qvl_selftest_attempt *attempt)
{
    const int64_t width = qvl_tap_entry_width(expected);
    double error = 0, square = 0, worst = -1, worst_got = 0, worst_wanted = 0;
    int64_t row = 0, column = 0;
    bool good = true;
    for (int64_t k = 0; k < rows * width; k++) {
        const double wanted = expected->values[k];
        if (seen && !seen[k / width])
            continue;
        const double difference = fabs((double)got[k] - wanted);
        error += difference * difference;
        square += wanted * wanted;
        if (!(difference <= worst)) {
            worst = isnan(difference) ? INFINITY : difference;
            row = k / width;
            column = k % width;
            worst_got = got[k];
            worst_wanted = wanted;
        }
        good = good && difference <= tolerance;
    }
    if (good)
        return true;
    attempt->status = QVL_CASE_FAILED;
    attempt->nmse = isfinite(error) ? error / square : INFINITY;
    snprintf(attempt->where, sizeof attempt->where, "%.100s", expected->name);
    snprintf(attempt->message, sizeof attempt->message,
             "%.90s row %lld column %lld is %.6g, expected %.6g within %.2g", expected->name, (long long)row,
             (long long)column, worst_got, worst_wanted, tolerance);
    return false;
}

/* Every stage that was watched, in the order of the forward pass, then the logits. */
static bool judge_lane(const struct lane *lane, struct qvl_selftest_attempt *attempt)
{
    const struct qvl_tap_store *expected = &lane->history->expected;
    const int64_t tokens = lane->prompt.count + COMPOSITION_FORCED;
    for (int64_t i = 0; i < expected->count; i++) {
        const struct qvl_tap_entry *entry = &expected->entries[i];
        const bool logits = strcmp(entry->name, "logits") == 0;
        const struct qvl_tap_entry *got = logits ? NULL : qvl_tap_store_find(&lane->taps, entry->name);
        if ((logits && tokens != entry->shape[0]) ||
            (got &&
             (got->shape[0] != entry->shape[0] || qvl_tap_entry_width(got) != qvl_tap_entry_width(entry)))) {
            attempt->status = QVL_CASE_FAILED;
            snprintf(attempt->where, sizeof attempt->where, "%.100s", entry->name);
            snprintf(attempt->message, sizeof attempt->message, "%.90s has another shape than expected",
                     entry->name);
            return false;
        }
        if (got &&
            !judge_rows(entry, lane->history->tolerance[i], got->values, entry->shape[0], NULL, attempt))
            return false;
        if (logits &&
            !judge_rows(entry, lane->history->tolerance[i], lane->logits, tokens, lane->seen, attempt))
            return false;
    }
    return true;
}

static void close_course(struct course *course)
{
    for (int i = 0; i < COMPOSITION_LANES; i++) {
        struct lane *lane = &course->lanes[i];
        qvl_sequence_destroy(lane->sequence);
        qvl_tap_store_free(&lane->taps);
        if (lane->own)
            qvl_prompt_free(&lane->prompt);
        free(lane->logits);
        free(lane->seen);
    }
    qvl_path_state_free(&course->state);
    qvl_model_destroy(course->model);
    if (course->backend)
        course->backend->close(course->backend);
}

static enum qvl_status open_course(struct course *course, const struct composition_script *script,
                                   struct qvl_error *error)
{
    const struct qvl_composition *composition = course->composition;
    const struct qvl_backend_options options = {.threads = 1};
    const struct qvl_model_options model_options = {.storage = QVL_F32};
    const enum composition_checkpoint checkpoint = composition->histories[script->texts[0]].checkpoint;
    if (course->path->open)
        QVL_TRY(course->path->open(course->path->context, &options, &course->backend, error));
    else
        QVL_TRY(composition->options.honest(&options, &course->backend, error));
    QVL_TRY(qvl_model_load(composition->folders[checkpoint], course->backend, &model_options, &course->model,
                           error));
    course->vocabulary = qvl_model_get_config(course->model)->text.vocab;
    return QVL_OK;
}

enum qvl_status composition_script_run(const struct qvl_composition *composition,
                                       const struct composition_script *script,
                                       const struct qvl_composition_path *path,
                                       struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    struct course course = {.composition = composition, .path = path};
    struct qvl_error said = {.message = ""};
    enum qvl_status status = open_course(&course, script, error);
    if (status == QVL_OK) {
        /* A path that refuses or fails is its own result. */
        const enum qvl_status ended = run_course(&course, script, &said);
        attempt->status = QVL_CASE_PASSED;
        if (ended != QVL_OK) {
            attempt->status = QVL_CASE_FAILED;
            snprintf(attempt->message, sizeof attempt->message, "%s: %.200s", qvl_status_name(ended),
                     said.message);
        }
        for (int i = 0; ended == QVL_OK && i < COMPOSITION_LANES; i++)
            if (course.lanes[i].sequence && !judge_lane(&course.lanes[i], attempt))
                break;
    }
    close_course(&course);
    return status;
}
