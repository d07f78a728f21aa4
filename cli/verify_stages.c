/* verify, the part with a checkpoint: every stage of a prompt, of a backend or of another engine's files. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "cli/numbers.h"
#include "cli/progress.h"
#include "cli/stage_process.h"
#include "cli/stage_records.h"
#include "cli/verify.h"
#include "verify/foreign.h"

/* Logits compared: 2^24 float32 values are 64 MiB, held three times. */
#define LOGIT_VALUES ((int64_t)1 << 24)

/* Bytes of a list of names in a record; what does not fit is counted. */
#define LIST_BYTES 1024

enum { OPTION_TAPS = 0x3000, OPTION_STAGES, OPTION_JITTER };

static const struct argp_option options_table[] = {
    {"taps", OPTION_TAPS, "PATH", 0,
     "With --weights: judge the stages in a safetensors file, or in those of a folder, that another engine "
     "wrote for the same prompt, in place of a backend (docs/TAPS.md)",
     3},
    {"stages", OPTION_STAGES, "GLOB", 0, "With --weights: only stages of this name; may be repeated", 3},
    {"jitter", OPTION_JITTER, "S", 0,
     "With --backend ref: the candidate's roundings are randomised too, so that two honest runs are compared",
     3},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_verify_options *options = state->input;
    const int64_t most = sizeof options->stages / sizeof *options->stages;
    switch (key) {
    case OPTION_TAPS: options->taps = argument; return 0;
    case OPTION_STAGES:
        if (options->stage_count == most)
            argp_error(state, "--stages may be given %d times", (int)most);
        options->stages[options->stage_count++] = argument;
        return 0;
    case OPTION_JITTER:
        if (!qvl_number_count(argument, &options->jitter) || options->jitter < 1)
            argp_error(state, "--jitter is a number from 1, not %s", argument);
        return 0;
    case ARGP_KEY_END:
        if ((options->taps || options->stage_count || options->jitter) && !options->session.weights)
            argp_error(state, "--taps, --stages and --jitter need --weights DIR");
        if (options->jitter && (options->taps || strcmp(options->session.backend, "ref") != 0))
            argp_error(state, "--jitter needs --backend ref");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp qvl_verify_stages_argp = {.options = options_table, .parser = parse_option};

static enum qvl_status make_prompt(const struct qvl_verify_options *options, struct qvl_session *session,
                                   struct qvl_error *error)
{
    const struct qvl_session_options *from = &options->session;
    const bool given = from->messages || from->text || from->image_count || from->video_count;
    if (given && options->tokens)
        return qvl_fail(error, QVL_USAGE, "--tokens and a prompt exclude each other");
    if (given)
        return qvl_session_open_prompt(session, error);
    return qvl_session_random_prompt(from->weights, options->tokens ? options->tokens : 64,
                                     options->has_seed ? (uint64_t)options->seed : 1, &session->prompt,
                                     error);
}

/* What one comparison needs. */
struct work {
    const struct qvl_verify_options *options;
    struct qvl_session session; /* its prompt */
    struct qvl_model_config config;
    struct qvl_stage_options stages;
    struct qvl_progress progress;
    qvl_backend_open_fn *reference;
    struct qvl_stage_process process; /* of the candidate */
    double begin;                     /* of the first run, the reference's */
    char repro[1024];
    struct qvl_report *report;
};

/* A pass of a candidate may take --timeout, or this many times as long as the reference's. */
#define PASS_LIMIT 20

static void show_runs(void *context, int done, int total)
{
    struct work *work = context;
    work->progress.total = total;
    qvl_progress_update(&work->progress, done);
    if (done == 1)
        work->process.limit = fmax(work->options->timeout, PASS_LIMIT * (qvl_clock() - work->begin));
}

/* Append " NAME 'VALUE'" to a command line that is cut at its end. */
static void append(char *line, size_t size, const char *name, const char *value)
{
    const size_t used = strlen(line);
    if (value)
        snprintf(line + used, size - used, " %s '%s'", name, value);
}

static void make_repro(struct work *work)
{
    const struct qvl_session_options *session = &work->options->session;
    const size_t size = sizeof work->repro;
    char number[32];
    snprintf(work->repro, size, "qvl-audit verify --dtype %s --draws %d --seed %llu",
             qvl_dtype_name(work->stages.storage), work->stages.draws, (unsigned long long)work->stages.seed);
    append(work->repro, size, "--weights", session->weights);
    append(work->repro, size, "--taps", work->options->taps);
    append(work->repro, size, "--backend", work->options->taps ? NULL : session->backend);
    append(work->repro, size, "--messages", session->messages);
    append(work->repro, size, "--prompt", session->text);
    for (int i = 0; i < session->image_count; i++)
        append(work->repro, size, "--image", session->images[i]);
    for (int i = 0; i < session->video_count; i++)
        append(work->repro, size, "--video", session->videos[i]);
    append(work->repro, size, "--processor", qvl_profile_name(session->processor.profile));
    snprintf(number, sizeof number, "%lld", (long long)work->options->tokens);
    append(work->repro, size, "--tokens", work->options->tokens ? number : NULL);
    snprintf(number, sizeof number, "%lld", (long long)session->chunk);
    append(work->repro, size, "--chunk", session->chunk ? number : NULL);
    snprintf(number, sizeof number, "%lld", (long long)work->options->jitter);
    append(work->repro, size, "--jitter", work->options->jitter ? number : NULL);
}

static enum qvl_status note_verdict(const struct work *work, const struct qvl_stage_summary *summary,
                                    struct qvl_error *error)
{
    char line[sizeof work->repro + 32];
    QVL_TRY(qvl_report_note(work->report, summary->verdict, error));
    snprintf(line, sizeof line, "REPRO FAILED: %s", work->repro);
    return summary->failed ? qvl_report_note(work->report, line, error) : QVL_OK;
}

/* The candidate's process did not bring its stages. */
static enum qvl_status add_fault(const struct work *work, struct qvl_error *error)
{
    char line[sizeof work->repro + 32];
    struct qvl_record *record =
        qvl_record_create("stages", work->options->session.backend, work->process.fault);
    qvl_record_text(record, "message", work->process.message, QVL_FROM_MEASURED);
    qvl_record_text(record, "repro", work->repro, QVL_FROM_SETTING);
    qvl_record_detail(record);
    QVL_TRY(qvl_report_take(work->report, record, error));
    snprintf(line, sizeof line, "REPRO %s: %s", qvl_case_status_name(work->process.fault), work->repro);
    QVL_TRY(qvl_report_note(work->report, line, error));
    error->message[0] = '\0'; /* the record says it */
    return QVL_OK;
}

static enum qvl_status verify_backend(struct work *work, struct qvl_error *error)
{
    const char *name = work->options->session.backend;
    struct qvl_stage_summary summary;
    qvl_backend_open_fn *candidate = NULL;
    if (!work->stages.run_candidate) /* else its process finds it: to load a library is to run it */
        QVL_TRY(qvl_backend_find(name, &candidate, error));
    const enum qvl_status status =
        qvl_stage_add_records(work->session.options->weights, &work->session.prompt, work->reference,
                              candidate, &work->stages, name, work->repro, work->report, &summary, error);
    if (status == QVL_FAILED && work->process.fault != QVL_CASE_NONE)
        return add_fault(work, error);
    QVL_TRY(status);
    return note_verdict(work, &summary, error);
}

/* ---- Stages of another engine ---- */

/* A list of names that says how many it leaves out. */
struct name_list {
    char text[LIST_BYTES];
    int64_t count, left_out;
};

static void add_name(struct name_list *list, const char *name)
{
    const size_t used = strlen(list->text);
    list->count++;
    if (used + strlen(name) + 40 < sizeof list->text)
        snprintf(list->text + used, sizeof list->text - used, "%s%s", used ? ", " : "", name);
    else
        list->left_out++;
}

static void add_names(struct qvl_record *record, const char *field, struct name_list *list)
{
    const size_t used = strlen(list->text);
    char counted[64];
    if (list->left_out)
        snprintf(list->text + used, sizeof list->text - used, " and %lld more", (long long)list->left_out);
    snprintf(counted, sizeof counted, "%s_count", field);
    qvl_record_int(record, counted, list->count, NULL, QVL_FROM_MEASURED);
    if (list->count) {
        qvl_record_text(record, field, list->text, QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
}

static enum qvl_status add_inputs(struct work *work, const struct qvl_dump_input *inputs, bool *equal,
                                  struct qvl_error *error)
{
    *equal = true;
    for (int i = 0; i < QVL_DUMP_INPUTS; i++) {
        struct qvl_record *record = qvl_record_create("input", inputs[i].name, inputs[i].status);
        if (inputs[i].message[0])
            qvl_record_text(record, "message", inputs[i].message, QVL_FROM_MEASURED);
        if (inputs[i].status == QVL_CASE_FAILED) {
            qvl_record_text(record, "repro", work->repro, QVL_FROM_SETTING);
            qvl_record_detail(record);
        }
        QVL_TRY(qvl_report_take(work->report, record, error));
        if (inputs[i].status != QVL_CASE_FAILED)
            continue;
        /* Positions are the other engine's own work, so that its stages still tell something. */
        const bool positions = strcmp(inputs[i].name, "position_ids") == 0;
        char note[512];
        snprintf(note, sizeof note, "%s: %s %s%s", positions ? "other positions" : "another prompt",
                 inputs[i].name, inputs[i].message,
                 positions ? "" : "; stages are compared once the inputs are equal");
        QVL_TRY(qvl_report_note(work->report, note, error));
        *equal = *equal && positions;
    }
    return QVL_OK;
}

static bool is_compared(const struct qvl_stage_run *run, const char *name)
{
    for (int64_t i = 0; i < run->count; i++)
        if (strcmp(run->results[i].name, name) == 0)
            return true;
    return false;
}

static enum qvl_status note_names(struct qvl_report *report, const char *what, const struct name_list *list,
                                  struct qvl_error *error)
{
    char note[256];
    if (list->count == 0)
        return QVL_OK;
    snprintf(note, sizeof note, "%lld %s: %.150s%s", (long long)list->count, what, list->text,
             strlen(list->text) > 150 ? " ..." : "");
    return qvl_report_note(report, note, error);
}

/* What of the files was compared, what they lack, what no stage is called, and what has another shape. */
static enum qvl_status add_matching(const struct work *work, const struct qvl_tap_store *taken,
                                    const struct qvl_stage_run *run, struct qvl_error *error)
{
    struct name_list missing = {0}, unknown = {0}, shapes = {0};
    struct qvl_record *record = qvl_record_create("taps", work->options->taps, QVL_CASE_NONE);
    for (int64_t i = 0; i < run->count; i++) {
        const struct qvl_stage_result *result = &run->results[i];
        if (result->status == QVL_CASE_SKIPPED) {
            add_name(&missing, result->name);
        } else if (result->status == QVL_CASE_FAILED && result->failures == 0) {
            const struct qvl_tap_entry *entry = qvl_tap_store_find(taken, result->name);
            char text[256];
            snprintf(text, sizeof text, "%s is %lld x %lld, the reference has %lld x %lld", result->name,
                     (long long)entry->shape[0], (long long)qvl_tap_entry_width(entry),
                     (long long)result->rows, (long long)result->width);
            add_name(&shapes, text);
        }
    }
    for (int64_t i = 0; i < taken->count; i++)
        if (!is_compared(run, taken->entries[i].name))
            add_name(&unknown, taken->entries[i].name);
    qvl_record_text(record, "dtype", qvl_dtype_name(work->stages.storage), QVL_FROM_SETTING);
    qvl_record_int(record, "compared", run->compared, NULL, QVL_FROM_MEASURED);
    add_names(record, "missing", &missing);
    add_names(record, "unknown", &unknown);
    add_names(record, "other_shape", &shapes);
    QVL_TRY(qvl_report_take(work->report, record, error));
    QVL_TRY(note_names(work->report, "stages are not in the files", &missing, error));
    QVL_TRY(note_names(work->report, "tensors of the files are no stage of the reference", &unknown, error));
    return note_names(work->report, "stages have another shape", &shapes, error);
}

static enum qvl_status judge_taken(struct work *work, const struct qvl_tap_store *taken,
                                   const int64_t *positions, int64_t position_count, struct qvl_error *error)
{
    const char *folder = work->options->session.weights;
    struct qvl_stage_report made;
    struct qvl_stage_summary summary;
    QVL_TRY(qvl_verify_taken(folder, &work->session.prompt, work->reference, taken, positions, position_count,
                             &work->stages, &made, error));
    enum qvl_status status = add_matching(work, taken, &made.free, error);
    if (status == QVL_OK)
        status = qvl_stage_records(&made, folder, &work->session.prompt, &work->stages, "taps", work->repro,
                                   work->report, &summary, error);
    if (status == QVL_OK)
        status = note_verdict(work, &summary, error);
    qvl_stage_report_free(&made);
    return status;
}

static enum qvl_status verify_taps(struct work *work, const struct qvl_dump *dump, struct qvl_error *error)
{
    struct qvl_dump_input inputs[QVL_DUMP_INPUTS];
    struct qvl_tap_store taken = {0};
    int64_t *positions = NULL;
    int64_t position_count = 0;
    bool equal;
    QVL_TRY(qvl_dump_check_inputs(dump, &work->session.prompt, &work->config, inputs, error));
    QVL_TRY(add_inputs(work, inputs, &equal, error));
    if (!equal)
        return QVL_OK;
    QVL_TRY(qvl_dump_stages(dump, work->session.prompt.count, &taken, &positions, &position_count, error));
    const enum qvl_status status = judge_taken(work, &taken, positions, position_count, error);
    free(positions);
    qvl_tap_store_free(&taken);
    return status;
}

/* ---- Both ---- */

static void set_options(struct work *work)
{
    const struct qvl_verify_options *options = work->options;
    const struct qvl_session_options *session = &options->session;
    const enum qvl_dtype stored = work->config.has_dtype ? work->config.dtype : QVL_BF16;
    work->stages = (struct qvl_stage_options){.storage = session->has_dtype ? session->dtype : stored,
                                              .pos_rounding = session->processor.profile == QVL_PROFILE_HF5
                                                                  ? QVL_POS_ROUND_ONCE
                                                                  : QVL_POS_ROUND_EACH,
                                              .angles = session->angles,
                                              .chunk = session->chunk,
                                              .draws = (int)options->draws,
                                              .seed = options->has_seed ? (uint64_t)options->seed : 1,
                                              .threads = session->threads,
                                              .candidate_jitter = (uint64_t)options->jitter,
                                              .logit_rows = LOGIT_VALUES / work->config.text.vocab + 1,
                                              .patterns = options->stages,
                                              .pattern_count = options->stage_count,
                                              .progress = show_runs,
                                              .context = work};
    work->process = (struct qvl_stage_process){
        .backend = session->backend, .patterns = options->stages, .pattern_count = options->stage_count};
    if (options->jobs != 0) {
        work->stages.run_candidate = qvl_stage_process_run;
        work->stages.candidate_context = &work->process;
    }
}

enum qvl_status qvl_verb_verify_stages(const struct qvl_verify_options *options, struct qvl_report *report,
                                       struct qvl_error *error)
{
    struct work work = {.options = options, .session = {.options = &options->session}, .report = report};
    struct qvl_dump dump = {0};
    QVL_TRY(qvl_model_config_read(options->session.weights, &work.config, error));
    QVL_TRY(qvl_backend_find("ref", &work.reference, error));
    if (options->taps)
        QVL_TRY(qvl_dump_open(options->taps, &dump, error));
    set_options(&work);
    if (!options->session.has_dtype)
        qvl_dump_storage(&dump, &work.stages.storage);
    make_repro(&work);
    enum qvl_status status = make_prompt(options, &work.session, error);
    work.begin = qvl_clock();
    qvl_progress_begin(&work.progress, "stages", "run", 2 * (options->draws + 1) + 1);
    if (status == QVL_OK)
        status = options->taps ? verify_taps(&work, &dump, error) : verify_backend(&work, error);
    qvl_progress_end(&work.progress);
    qvl_session_close(&work.session);
    qvl_dump_close(&dump);
    return status;
}
