/* qvl-audit verify: a backend against the reference, op by op or stage by stage. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/verify.h"
#include "verify/checker_faults.h"

enum {
    OPTION_OP = 0x2000,
    OPTION_CASE,
    OPTION_SEED,
    OPTION_LIST,
    OPTION_DRAWS,
    OPTION_TOKENS,
    OPTION_ALL,
    OPTION_TIMINGS,
    OPTION_TIMEOUT,
    OPTION_JOBS,
    OPTION_RESUME,
    OPTION_SAVE,
    OPTION_INVARIANCE,
    OPTION_PLAIN_RUN,
    OPTION_FAIL_ON
};

static const struct argp_option options_table[] = {
    {"op", OPTION_OP, "NAME", 0, "Only the cases of one op", 3},
    {"case", OPTION_CASE, "LINE", 0, "One case by its line, or those whose line contains the text", 3},
    {"list", OPTION_LIST, NULL, 0, "Print the case lines and stop", 3},
    {"seed", OPTION_SEED, "S", 0, "Seed of the inputs, or of the randomised roundings", 3},
    {"all", OPTION_ALL, NULL, 0,
     "Tables show every case, not only those that did not pass and a summary an op", 3},
    {"timings", OPTION_TIMINGS, NULL, 0, "Records of op cases have their seconds, which differ run by run",
     3},
    {"jobs", OPTION_JOBS, "N", 0,
     "Worker processes (default: as many as cores, at most 8); 0: run in this process, for a debugger", 3},
    {"timeout", OPTION_TIMEOUT, "S", 0,
     "Seconds that the calls of a case may take, six times that for a check of several (default 30)", 3},
    {"resume", OPTION_RESUME, "FILE", 0,
     "Journal of the finished cases: a run that was cut off goes on from it", 3},
    {"save-failing", OPTION_SAVE, "DIR", 0, "Inputs, outputs and tolerances of cases that did not pass", 3},
    {"fail-on", OPTION_FAIL_ON, "LIST", 0,
     "Statuses for exit code 1: of failed,crashed,timeout,mistrusted (the default), unsupported, skipped, "
     "invalid; or none",
     3},
    {"invariance", OPTION_INVARIANCE, NULL, 0,
     "With --weights: whether logits depend on chunk size, batch company, threads, BLAS core type, KV split, "
     "image order or repetition",
     3},
    {"plain-run", OPTION_PLAIN_RUN, "FILE", OPTION_HIDDEN, NULL, 3},
    {"draws", OPTION_DRAWS, "N", 0,
     "With --weights: runs of the reference with randomised roundings (default 4)", 3},
    {"tokens", OPTION_TOKENS, "N", 0, "With --weights: a prompt of N random text tokens", 3},
    {0}};

/* "failed,crashed" as bits of struct qvl_report's fail_on; 0 when a word is unknown. */
static unsigned parse_fail_on(const char *list)
{
    unsigned bits = 1U << QVL_CASE_NONE;
    if (strcmp(list, "none") == 0)
        return bits;
    for (const char *word = list;; word++) {
        const size_t length = strcspn(word, ",");
        int status = QVL_CASE_FAILED;
        while (status < QVL_CASE_STATUS_COUNT &&
               (strncasecmp(word, qvl_case_status_name((enum qvl_case_status)status), length) != 0 ||
                qvl_case_status_name((enum qvl_case_status)status)[length] != '\0'))
            status++;
        if (status == QVL_CASE_STATUS_COUNT)
            return 0;
        bits |= 1U << status;
        word += length;
        if (!*word)
            return bits;
    }
}

static double parse_seconds(const char *argument, struct argp_state *state)
{
    char *end;
    const double seconds = strtod(argument, &end);
    if (*end || !(seconds > 0 && seconds <= 1e6))
        argp_error(state, "--timeout is a number of seconds, not %s", argument);
    return seconds;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_verify_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->child_inputs[1] = &options->session;
        state->child_inputs[2] = options;
        return 0;
    case OPTION_OP: options->op = argument; return 0;
    case OPTION_CASE: options->text = argument; return 0;
    case OPTION_INVARIANCE: options->invariance = true; return 0;
    case OPTION_PLAIN_RUN: options->plain_run = argument; return 0;
    case OPTION_LIST: options->list = true; return 0;
    case OPTION_ALL: options->all = true; return 0;
    case OPTION_TIMINGS: options->timings = true; return 0;
    case OPTION_RESUME: options->resume = argument; return 0;
    case OPTION_SAVE: options->save = argument; return 0;
    case OPTION_TIMEOUT: options->timeout = parse_seconds(argument, state); return 0;
    case OPTION_JOBS:
        if (!qvl_number_count(argument, &options->jobs) || options->jobs > 1024)
            argp_error(state, "--jobs is a number from 0 to 1024, not %s", argument);
        return 0;
    case OPTION_FAIL_ON:
        if (!(options->fail_on = parse_fail_on(argument)))
            argp_error(state, "--fail-on is a list of statuses like failed,crashed, or none, not %s",
                       argument);
        return 0;
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

static const struct argp_child children[] = {{&qvl_session_model_argp, 0, NULL, 0},
                                             {&qvl_session_prompt_argp, 0, NULL, 0},
                                             {&qvl_verify_stages_argp, 0, NULL, 0},
                                             {0}};
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

/* Tables leave out the op cases and stages that passed and those that the backend does not have, and the
 * counts that the note under them states; the files have all. */
static bool is_brief(const struct qvl_record *record)
{
    if (strcmp(record->kind, "coverage") == 0)
        return false;
    const bool many = strcmp(record->kind, "op_case") == 0 || strcmp(record->kind, "stage") == 0;
    return !many || (record->status != QVL_CASE_PASSED && record->status != QVL_CASE_UNSUPPORTED);
}

/* Everything that was asked for, and with the tables the lines that repeat what failed. */
static enum qvl_status write_all(const struct qvl_verify_options *options, const struct qvl_output *output,
                                 struct qvl_report *report, struct qvl_error *error)
{
    QVL_TRY(qvl_output_write_chosen(output, report, options->all ? NULL : is_brief, error));
    return qvl_output_has_tables(output) ? qvl_verify_print_repros(report, error) : QVL_OK;
}

/* What two reports must share to be compared. Places of files are no part of it; how many processes share the
 * work is not, either. */
static enum qvl_status describe_workload(const struct qvl_verify_options *options, struct qvl_report *report,
                                         struct qvl_error *error)
{
    const struct qvl_session_options *session = &options->session;
    struct qvl_record *workload = qvl_record_create("workload", "verify", QVL_CASE_NONE);
    report->workload = workload;
    const struct {
        const char *name, *value;
    } texts[] = {{"backend", session->backend},
                 {"of", options->invariance ? "invariance"
                        : session->weights  ? "stages"
                                            : "ops"},
                 {"weights", session->weights},
                 {"dtype", session->has_dtype ? qvl_dtype_name(session->dtype) : NULL},
                 {"op", options->op},
                 {"case", options->text},
                 {"prompt", session->text},
                 {"messages", session->messages}};
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"threads", session->threads},
                  {"seed", options->has_seed ? options->seed : 0},
                  {"draws", options->draws},
                  {"tokens", options->tokens}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value)
            qvl_record_text(workload, texts[i].name, texts[i].value, QVL_FROM_SETTING);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value)
            qvl_record_int(workload, counts[i].name, counts[i].value, NULL, QVL_FROM_SETTING);
    return qvl_record_check(workload, error);
}

enum qvl_status qvl_verb_verify(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_verify_options options = {.draws = 4, .jobs = -1, .timeout = 30};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    int interrupted = 0;
    qvl_session_defaults(&options.session);
    options.session.weights_optional = options.session.prompt_optional = true;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    if (options.plain_run)
        return qvl_verify_plain_run(&options, error);
    report.fail_on = options.fail_on;
    QVL_TRY(qvl_checker_check(error));
    enum qvl_status status = describe_workload(&options, &report, error);
    if (status == QVL_OK)
        status = options.invariance        ? qvl_verb_verify_invariance(&options, argc, argv, &report, error)
                 : options.session.weights ? qvl_verb_verify_stages(&options, &report, error)
                                           : qvl_verb_verify_ops(&options, &report, &interrupted, error);
    if (status == QVL_OK && !options.list) {
        status = write_all(&options, &output, &report, error);
        if (status == QVL_OK)
            status = qvl_report_outcome(&report);
    }
    qvl_report_clear(&report);
    if (interrupted) {
        raise(interrupted); /* with what was finished printed, end as the signal would have */
        return QVL_FAILED;
    }
    return status;
}
