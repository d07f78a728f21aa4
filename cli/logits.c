/* qvl-audit logits: logits, inputs and stages of one prompt as a safetensors file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cli/visual_tensors.h"
#include "model/tap_store.h"

#define MAX_PATTERNS 64
#define MAX_POSITIONS 4096
/* Logits held at once when --chunk is not given: 2^26 float32 values are 256 MiB. */
#define LOGITS_AT_ONCE ((int64_t)1 << 26)

struct logits_options {
    struct qvl_session_options session;
    const char *out;
    const char *positions;
    char *taps; /* the argument, cut at its commas */
    const char *patterns[MAX_PATTERNS];
    int64_t pattern_count;
};

enum { OPTION_OUT = 0x2000, OPTION_POSITIONS, OPTION_TAPS };

static const struct argp_option options_table[] = {
    {"out", OPTION_OUT, "FILE", 0, "The safetensors file to write", 3},
    {"positions", OPTION_POSITIONS, "LIST", 0, "Rows whose logits are kept: last:4 (default), all, or 1,5,9",
     3},
    {"taps", OPTION_TAPS, "GLOBS", 0, "Stages to write: all, or patterns separated by commas", 3},
    {0}};

static void parse_taps(struct logits_options *options, char *argument, struct argp_state *state)
{
    if (strcmp(argument, "all") == 0) {
        options->patterns[0] = "*";
        options->pattern_count = 1;
        return;
    }
    free(options->taps);
    options->taps = strdup(argument);
    options->pattern_count = 0;
    char *rest = NULL;
    for (char *part = strtok_r(options->taps, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        if (options->pattern_count == MAX_PATTERNS)
            argp_error(state, "--taps takes at most %d patterns", MAX_PATTERNS);
        options->patterns[options->pattern_count++] = part;
    }
    if (options->pattern_count == 0)
        argp_error(state, "--taps names no pattern");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct logits_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = state->child_inputs[1] = &options->session; return 0;
    case OPTION_OUT: options->out = argument; return 0;
    case OPTION_POSITIONS: options->positions = argument; return 0;
    case OPTION_TAPS: parse_taps(options, argument, state); return 0;
    case ARGP_KEY_END:
        if (!options->out)
            argp_error(state, "--out FILE.safetensors is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&qvl_session_model_argp, 0, NULL, 0}, {&qvl_session_prompt_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .children = children,
    .doc = "Run a prompt and write what the model saw and computed: token ids, position ids, grids, frame "
           "indices, patch rows, "
           "logits of the chosen rows, the arg max of every row, and any stage by the module path of the "
           "original "
           "framework (docs/MODEL.md).\v"
           "Example: every decoder layer of a prompt, and the logits of its last four rows\n\n"
           "  qvl-audit logits --weights DIR --messages chat.json --out out.safetensors --taps "
           "'model.language_model.layers.*'"};

/* Everything that goes into the file. */
struct outcome {
    int64_t *positions; /* [position_count] ascending rows whose logits are kept */
    int64_t position_count;
    float *logits;   /* [position_count][vocab] */
    int64_t *argmax; /* [tokens] */
    struct qvl_tap_store taps;
    const struct qvl_positions *position_ids;
};

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* --positions against the length of the prompt: ascending, without repeats. */
static enum qvl_status choose_positions(const char *text, int64_t tokens, struct outcome *outcome,
                                        struct qvl_error *error)
{
    int64_t listed[MAX_POSITIONS];
    int64_t count = 0;
    int64_t last = 4;
    const bool list = text && strcmp(text, "all") != 0 && strncmp(text, "last:", 5) != 0;
    if (list && !qvl_number_counts(text, listed, MAX_POSITIONS, &count))
        return qvl_fail(error, QVL_USAGE, "--positions is last:N, all, or a list like 1,5,9; not %s", text);
    if (text && strncmp(text, "last:", 5) == 0 && (!qvl_number_count(text + 5, &last) || last < 1))
        return qvl_fail(error, QVL_USAGE, "--positions last:N needs a positive number, not %s", text + 5);
    if (text && strcmp(text, "all") == 0)
        last = tokens;
    if (!list)
        count = last < tokens ? last : tokens;
    outcome->positions = malloc(sizeof(int64_t) * (size_t)count);
    if (!outcome->positions)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld positions", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        outcome->positions[i] = list ? listed[i] : tokens - count + i;
        if (outcome->positions[i] >= tokens)
            return qvl_fail(error, QVL_USAGE,
                            "--positions names row %lld; the prompt has %lld tokens (rows 0..%lld)",
                            (long long)outcome->positions[i], (long long)tokens, (long long)(tokens - 1));
    }
    qsort(outcome->positions, (size_t)count, sizeof(int64_t), by_value);
    for (int64_t i = 0; i < count; i++)
        if (outcome->position_count == 0 ||
            outcome->positions[outcome->position_count - 1] != outcome->positions[i])
            outcome->positions[outcome->position_count++] = outcome->positions[i];
    return QVL_OK;
}

/* The lowest index of the largest value; a row without any number gives 0. */
static int64_t argmax(const float *row, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (row[i] > row[best] || isnan(row[best]))
            best = i;
    return best;
}

/* Take the rows first .. first + count - 1 out of a chunk's logits. */
static void keep_rows(struct outcome *outcome, const float *logits, int64_t first, int64_t count,
                      int64_t vocabulary)
{
    for (int64_t i = 0; i < count; i++)
        outcome->argmax[first + i] = argmax(logits + i * vocabulary, vocabulary);
    for (int64_t k = 0; k < outcome->position_count; k++) {
        const int64_t row = outcome->positions[k] - first;
        if (row >= 0 && row < count)
            memcpy(outcome->logits + k * vocabulary, logits + row * vocabulary,
                   sizeof(float) * (size_t)vocabulary);
    }
}

static enum qvl_status forward(struct qvl_session *session, struct qvl_sequence *sequence, int64_t chunk,
                               const struct qvl_taps *taps, struct outcome *outcome, struct qvl_error *error)
{
    const int64_t vocabulary = qvl_model_get_config(session->model)->text.vocab;
    const int64_t total = qvl_sequence_pending(sequence);
    int64_t *rows = malloc(sizeof(int64_t) * (size_t)chunk);
    float *logits = malloc(sizeof(float) * (size_t)(chunk * vocabulary));
    struct qvl_progress progress;
    enum qvl_status status = QVL_OK;
    if (!rows || !logits)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows of logits; give a smaller --chunk",
                          (long long)chunk);
    for (int64_t i = 0; rows && i < chunk; i++)
        rows[i] = i;
    qvl_progress_begin(&progress, "forward", "token", total);
    while (status == QVL_OK && qvl_sequence_pending(sequence) > 0) {
        const int64_t first = qvl_sequence_length(sequence);
        const int64_t pending = qvl_sequence_pending(sequence);
        const int64_t count = pending < chunk ? pending : chunk;
        const struct qvl_step step = {
            .sequence = sequence, .count = count, .logit_rows = rows, .logit_count = count};
        status = qvl_model_forward(session->model, &step, 1, logits, taps, error);
        if (status == QVL_OK)
            keep_rows(outcome, logits, first, count, vocabulary);
        qvl_progress_update(&progress, first + count);
    }
    qvl_progress_end(&progress);
    free(rows);
    free(logits);
    return status;
}

static enum qvl_status run(struct qvl_session *session, const struct logits_options *options,
                           struct qvl_sequence **sequence, struct outcome *outcome, struct qvl_error *error)
{
    const int64_t tokens = session->prompt.count;
    const int64_t vocabulary = qvl_model_get_config(session->model)->text.vocab;
    int64_t chunk = options->session.chunk;
    if (chunk == 0)
        chunk = LOGITS_AT_ONCE / vocabulary < QVL_DEFAULT_CHUNK ? LOGITS_AT_ONCE / vocabulary + 1
                                                                : QVL_DEFAULT_CHUNK;
    chunk = chunk < tokens ? chunk : tokens;
    QVL_TRY(choose_positions(options->positions, tokens, outcome, error));
    outcome->logits = malloc(sizeof(float) * (size_t)(outcome->position_count * vocabulary));
    outcome->argmax = malloc(sizeof(int64_t) * (size_t)tokens);
    if (!outcome->logits || !outcome->argmax)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the logits of %lld rows; name fewer --positions",
                        (long long)outcome->position_count);
    outcome->taps =
        (struct qvl_tap_store){.patterns = options->patterns, .pattern_count = options->pattern_count};
    const struct qvl_taps taps = qvl_tap_store_taps(&outcome->taps);
    const struct qvl_taps *wanted = options->pattern_count ? &taps : NULL;
    QVL_TRY(qvl_sequence_create(session->model, tokens, sequence, error));
    QVL_TRY(qvl_sequence_prompt(*sequence, &session->prompt, wanted, error));
    outcome->position_ids = qvl_sequence_positions(*sequence);
    return forward(session, *sequence, chunk, wanted, outcome, error);
}

static void add_all(struct qvl_tensor_list *list, const struct qvl_session *session,
                    const struct outcome *outcome)
{
    const int64_t tokens = session->prompt.count;
    const int64_t vocabulary = qvl_model_get_config(session->model)->text.vocab;
    qvl_tensor_list_add(list, "input_ids", QVL_I64, 1, &tokens, session->prompt.ids);
    qvl_tensor_list_add(list, "position_ids", QVL_I64, 2, (int64_t[]){3, tokens}, outcome->position_ids->ids);
    qvl_tensor_list_add_visuals(list, session->prompt.visuals, session->prompt.visual_count,
                                qvl_processor_settings(session->processor));
    qvl_tensor_list_add(list, "logits_positions", QVL_I64, 1, &outcome->position_count, outcome->positions);
    qvl_tensor_list_add(list, "logits", QVL_F32, 2, (int64_t[]){outcome->position_count, vocabulary},
                        outcome->logits);
    qvl_tensor_list_add(list, "argmax", QVL_I64, 1, &tokens, outcome->argmax);
    for (int64_t i = 0; i < outcome->taps.count; i++) {
        const struct qvl_tap_entry *entry = &outcome->taps.entries[i];
        qvl_tensor_list_add(list, entry->name, QVL_F32, entry->rank, entry->shape, entry->values);
    }
}

static enum qvl_status write_file(const char *path, const struct qvl_session *session,
                                  const struct outcome *outcome, struct qvl_error *error)
{
    const struct qvl_safetensors_metadata metadata[] = {
        {"backend", session->backend.backend->name},
        {"dtype", qvl_dtype_name(session->storage)},
        {"processor", qvl_profile_name(session->options->processor.profile)},
        {"plan", qvl_model_plan(session->model)}};
    struct qvl_tensor_list list = {0};
    add_all(&list, session, outcome);
    const enum qvl_status status =
        qvl_tensor_list_write(&list, path, metadata, sizeof metadata / sizeof *metadata, error);
    qvl_tensor_list_free(&list);
    return status;
}

static enum qvl_status report(const struct qvl_output *output, const struct logits_options *options,
                              const struct qvl_session *session, const struct outcome *outcome,
                              struct qvl_error *error)
{
    struct qvl_report report = {0};
    struct qvl_record *record = qvl_record_create("logits", options->out, QVL_CASE_NONE);
    qvl_session_describe(session, record);
    qvl_record_int(record, "tokens", session->prompt.count, "token", QVL_FROM_MEASURED);
    qvl_record_int(record, "visuals", session->prompt.visual_count, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "position_delta", outcome->position_ids->delta, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "logit_rows", outcome->position_count, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "stages", outcome->taps.count, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "argmax_last", outcome->argmax[session->prompt.count - 1], NULL,
                   QVL_FROM_MEASURED);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK)
        status = qvl_output_write(output, &report, error);
    qvl_report_clear(&report);
    return status;
}

enum qvl_status qvl_verb_logits(int argc, char **argv, struct qvl_error *error)
{
    struct logits_options options = {0};
    struct qvl_output output = {0};
    struct outcome outcome = {0};
    struct qvl_sequence *sequence = NULL;
    qvl_session_defaults(&options.session);
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    struct qvl_session session = {.options = &options.session};
    enum qvl_status status = qvl_session_open_prompt(&session, error);
    if (status == QVL_OK)
        status = qvl_session_open_model(&session, error);
    if (status == QVL_OK)
        status = run(&session, &options, &sequence, &outcome, error);
    if (status == QVL_OK)
        status = write_file(options.out, &session, &outcome, error);
    if (status == QVL_OK)
        status = report(&output, &options, &session, &outcome, error);
    free(outcome.positions);
    free(outcome.logits);
    free(outcome.argmax);
    qvl_tap_store_free(&outcome.taps);
    qvl_sequence_destroy(sequence);
    qvl_session_close(&session);
    free(options.taps);
    return status;
}
