/* qvl-audit verify: a backend against the reference, op by op or stage by stage. */
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/stage_records.h"
#include "cli/verbs.h"
#include "verify/verify.h"

struct verify_options {
    struct qvl_session_options session;
    const char *op, *text;
    int64_t seed, draws, tokens;
    bool has_seed, list, all;
};

enum { OPTION_OP = 0x2000, OPTION_CASE, OPTION_SEED, OPTION_LIST, OPTION_DRAWS, OPTION_TOKENS, OPTION_ALL };

static const struct argp_option options_table[] = {
    {"op", OPTION_OP, "NAME", 0, "Only the cases of one op", 3},
    {"case", OPTION_CASE, "LINE", 0, "One case by its line, or those whose line contains the text", 3},
    {"list", OPTION_LIST, NULL, 0, "Print the case lines and stop", 3},
    {"seed", OPTION_SEED, "S", 0, "Seed of the inputs, or of the randomised roundings", 3},
    {"all", OPTION_ALL, NULL, 0,
     "Tables show every case, not only those that did not pass and a summary an op", 3},
    {"draws", OPTION_DRAWS, "N", 0,
     "With --weights: runs of the reference with randomised roundings (default 4)", 3},
    {"tokens", OPTION_TOKENS, "N", 0, "With --weights: a prompt of N random text tokens", 3},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct verify_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = state->child_inputs[1] = &options->session; return 0;
    case OPTION_OP: options->op = argument; return 0;
    case OPTION_CASE: options->text = argument; return 0;
    case OPTION_LIST: options->list = true; return 0;
    case OPTION_ALL: options->all = true; return 0;
    case OPTION_SEED:
        if (!qvl_number_count(argument, &options->seed) || options->seed < 1)
            argp_error(state, "--seed is a number from 1, not %s", argument);
        options->has_seed = true;
        return 0;
    case OPTION_DRAWS:
        if (!qvl_number_count(argument, &options->draws) || options->draws < 1 || options->draws > 1000)
            argp_error(state, "--draws is a number from 1 to 1000, not %s", argument);
        return 0;
    case OPTION_TOKENS:
        if (!qvl_number_count(argument, &options->tokens) || options->tokens < 1)
            argp_error(state, "--tokens is a positive number, not %s", argument);
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
    .doc = "Without --weights: the entries of a backend's op table against the reference, case by case, each "
           "element within a "
           "tolerance that follows from its sums and types. With --weights: every stage of the checkpoint on "
           "a prompt, against "
           "what honest rounding does to that stage. Every failure carries the command that repeats it.\v"
           "Example: a plugin's attention, then a whole checkpoint on it\n\n"
           "  qvl-audit verify --backend ./libmine.so --op attention\n"
           "  qvl-audit verify --backend ./libmine.so --weights ./small --prompt hello --dtype bf16"};

static void index_text(const struct qvl_case_result *result, char text[128])
{
    size_t used = (size_t)snprintf(text, 128, "%s", result->operand ? result->operand : "");
    for (int32_t axis = 0; axis < result->rank && used < 100; axis++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld%s", axis ? "," : "[",
                                 (long long)result->index[axis], axis + 1 == result->rank ? "]" : "");
}

static struct qvl_record *case_record(const char *line, const char *op, const struct qvl_case_result *result)
{
    char place[128];
    index_text(result, place);
    struct qvl_record *record = qvl_record_create("op_case", line, result->status);
    qvl_record_text(record, "op", op, QVL_FROM_SETTING);
    qvl_record_int(record, "elements", result->elements, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "failures", result->failures, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "margin", result->margin, "1", QVL_FROM_MEASURED);
    qvl_record_real(record, "drift", result->drift, "1", QVL_FROM_MEASURED);
    qvl_record_text(record, "worst", place, QVL_FROM_MEASURED);
    qvl_record_real(record, "expected", result->expected, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "got", result->got, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "tolerance", result->tolerance, NULL, QVL_FROM_MEASURED);
    if (result->message[0])
        qvl_record_text(record, "message", result->message, QVL_FROM_MEASURED);
    if (result->status != QVL_CASE_PASSED)
        qvl_record_text(record, "repro", result->repro, QVL_FROM_SETTING);
    return record;
}

/* What the cases of one op add up to. */
struct op_summary {
    int64_t cases, passed, failed, unsupported;
    double margin, drift;
};

static void add_to_summary(struct op_summary *summary, const struct qvl_case_result *result)
{
    summary->cases++;
    summary->passed += result->status == QVL_CASE_PASSED;
    summary->unsupported += result->status == QVL_CASE_UNSUPPORTED;
    summary->failed += result->status != QVL_CASE_PASSED && result->status != QVL_CASE_UNSUPPORTED;
    if (!(result->margin <= summary->margin))
        summary->margin = result->margin;
    if (!(result->drift <= summary->drift))
        summary->drift = result->drift;
}

static enum qvl_status summary_records(const struct op_summary *summaries, struct qvl_report *report,
                                       struct qvl_error *error)
{
    for (int op = 0; op < qvl_verify_op_count(); op++) {
        const struct op_summary *summary = &summaries[op];
        if (summary->cases == 0)
            continue;
        struct qvl_record *record = qvl_record_create("op", qvl_verify_name(op), QVL_CASE_NONE);
        qvl_record_int(record, "cases", summary->cases, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "passed", summary->passed, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "failed", summary->failed, NULL, QVL_FROM_MEASURED);
        qvl_record_int(record, "unsupported", summary->unsupported, NULL, QVL_FROM_MEASURED);
        qvl_record_real(record, "worst_margin", summary->margin, "1", QVL_FROM_MEASURED);
        qvl_record_real(record, "worst_drift", summary->drift, "1", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status run_cases(const struct qvl_case *cases, int64_t count,
                                 const struct qvl_case_context *context, struct op_summary *summaries,
                                 struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_progress progress;
    enum qvl_status status = QVL_OK;
    qvl_progress_begin(&progress, "verify", "case", count);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        struct qvl_case_result result;
        char line[QVL_CASE_LINE_BYTES];
        qvl_case_print(&cases[i], line);
        status = qvl_case_run(&cases[i], context, &result, error);
        if (status != QVL_OK) {
            qvl_fail_in(error, status, line);
            break;
        }
        const int op = qvl_verify_op(cases[i].check);
        add_to_summary(&summaries[op], &result);
        status = qvl_report_take(report, case_record(line, qvl_verify_name(op), &result), error);
        qvl_progress_update(&progress, i + 1);
    }
    qvl_progress_end(&progress);
    return status;
}

/* The cases of the options: one by its whole line, or the built-in ones that the filters leave. */
static enum qvl_status choose_cases(const struct verify_options *options, struct qvl_case **cases,
                                    int64_t *count, struct qvl_error *error)
{
    struct qvl_error ignored;
    struct qvl_case one;
    if (options->text && strchr(options->text, '=') &&
        qvl_case_parse(options->text, &one, &ignored) == QVL_OK) {
        if (options->has_seed)
            one.seed = (uint64_t)options->seed;
        if (options->session.has_dtype)
            one.dtype = options->session.dtype;
        if (!(*cases = malloc(sizeof **cases)))
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a case");
        **cases = one;
        *count = 1;
        return QVL_OK;
    }
    const struct qvl_case_filter filter = {.op = options->op,
                                           .text = options->text,
                                           .has_dtype = options->session.has_dtype,
                                           .dtype = options->session.dtype,
                                           .has_seed = options->has_seed,
                                           .seed = (uint64_t)options->seed};
    QVL_TRY(qvl_cases(&filter, cases, count, error));
    if (*count > 0)
        return QVL_OK;
    free(*cases);
    *cases = NULL;
    return qvl_fail(error, QVL_USAGE, "no case is left by these options; `verify --list` prints all");
}

static enum qvl_status list_cases(const struct qvl_case *cases, int64_t count, struct qvl_error *error)
{
    for (int64_t i = 0; i < count; i++) {
        char line[QVL_CASE_LINE_BYTES + 1];
        qvl_case_print(&cases[i], line);
        strcat(line, "\n");
        QVL_TRY(qvl_output_print(line, strlen(line), error));
    }
    return QVL_OK;
}

static enum qvl_status verify_ops(const struct verify_options *options, struct qvl_report *report,
                                  struct qvl_error *error)
{
    const struct qvl_backend_options backend_options = {.threads = options->session.threads};
    struct qvl_opened_backend reference = {0};
    struct qvl_opened_backend candidate = {0};
    struct qvl_case_context context = {.threads = options->session.threads};
    struct qvl_case *cases = NULL;
    int64_t count = 0;
    QVL_TRY(choose_cases(options, &cases, &count, error));
    if (options->list) {
        const enum qvl_status status = list_cases(cases, count, error);
        free(cases);
        return status;
    }
    struct op_summary *summaries = calloc((size_t)qvl_verify_op_count(), sizeof *summaries);
    enum qvl_status status = summaries ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for summaries");
    if (status == QVL_OK)
        status = qvl_backend_open_named("ref", NULL, &reference, error);
    if (status == QVL_OK)
        status = qvl_backend_open_named(options->session.backend, &backend_options, &candidate, error);
    if (status == QVL_OK)
        status = qvl_backend_find(options->session.backend, &context.open, error);
    if (status == QVL_OK) {
        context.reference = reference.backend;
        context.candidate = candidate.backend;
        status = run_cases(cases, count, &context, summaries, report, error);
    }
    if (status == QVL_OK)
        status = summary_records(summaries, report, error);
    qvl_backend_close_named(&candidate);
    qvl_backend_close_named(&reference);
    free(summaries);
    free(cases);
    return status;
}

static void show_runs(void *context, int done, int total)
{
    struct qvl_progress *progress = context;
    progress->total = total;
    qvl_progress_update(progress, done);
}

static enum qvl_status make_prompt(const struct verify_options *options, struct qvl_session *session,
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

static enum qvl_status verify_stages(const struct verify_options *options, struct qvl_report *report,
                                     struct qvl_error *error)
{
    struct qvl_session session = {.options = &options->session};
    struct qvl_model_config config;
    struct qvl_stage_summary summary;
    struct qvl_progress progress;
    qvl_backend_open_fn *reference;
    qvl_backend_open_fn *candidate;
    char repro[512];
    QVL_TRY(qvl_model_config_read(options->session.weights, &config, error));
    QVL_TRY(qvl_backend_find("ref", &reference, error));
    QVL_TRY(qvl_backend_find(options->session.backend, &candidate, error));
    const enum qvl_dtype stored = config.has_dtype ? config.dtype : QVL_BF16;
    const struct qvl_stage_options stages = {.storage =
                                                 options->session.has_dtype ? options->session.dtype : stored,
                                             .chunk = options->session.chunk,
                                             .draws = (int)options->draws,
                                             .seed = options->has_seed ? (uint64_t)options->seed : 1,
                                             .threads = options->session.threads,
                                             .progress = show_runs,
                                             .context = &progress};
    snprintf(repro, sizeof repro, "the same command with --dtype %s --seed %llu",
             qvl_dtype_name(stages.storage), (unsigned long long)stages.seed);
    enum qvl_status status = make_prompt(options, &session, error);
    qvl_progress_begin(&progress, "stages", "run", options->draws + 2);
    if (status == QVL_OK)
        status = qvl_stage_report(options->session.weights, &session.prompt, reference, candidate, &stages,
                                  options->session.backend, repro, report, &summary, error);
    qvl_progress_end(&progress);
    qvl_session_close(&session);
    return status;
}

/* Tables leave out the op cases that passed; the files have all. */
static bool is_brief(const struct qvl_record *record)
{
    return strcmp(record->kind, "op_case") != 0 || record->status != QVL_CASE_PASSED;
}

enum qvl_status qvl_verb_verify(int argc, char **argv, struct qvl_error *error)
{
    struct verify_options options = {.draws = 4};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    qvl_session_defaults(&options.session);
    options.session.weights_optional = options.session.prompt_optional = true;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status = options.session.weights ? verify_stages(&options, &report, error)
                                                     : verify_ops(&options, &report, error);
    if (status == QVL_OK && !options.list) {
        status = qvl_output_write_chosen(&output, &report, options.all ? NULL : is_brief, error);
        if (status == QVL_OK)
            status = qvl_report_outcome(&report);
    }
    qvl_report_clear(&report);
    return status;
}
