/* qvl-audit verify: a backend against the reference, op by op or stage by stage. */
#include <string.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/verify.h"

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
    struct qvl_verify_options *options = state->input;
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

/* Tables leave out the op cases that passed; the files have all. */
static bool is_brief(const struct qvl_record *record)
{
    return strcmp(record->kind, "op_case") != 0 || record->status != QVL_CASE_PASSED;
}

enum qvl_status qvl_verb_verify(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_verify_options options = {.draws = 4};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    qvl_session_defaults(&options.session);
    options.session.weights_optional = options.session.prompt_optional = true;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status = options.session.weights ? qvl_verb_verify_stages(&options, &report, error)
                                                     : qvl_verb_verify_ops(&options, &report, error);
    if (status == QVL_OK && !options.list) {
        status = qvl_output_write_chosen(&output, &report, options.all ? NULL : is_brief, error);
        if (status == QVL_OK)
            status = qvl_report_outcome(&report);
    }
    qvl_report_clear(&report);
    return status;
}
