/* qvl-audit env: the environment record. */
#include "bench/limits.h"
#include "cli/backends.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "reports/environment.h"

struct env_options {
    bool limits;
    const char *backend;
};

enum { OPTION_LIMITS = 0x2000, OPTION_BACKEND };

static const struct argp_option options_table[] = {
    {"limits", OPTION_LIMITS, NULL, 0,
     "Also measure what this machine does at most: multiply-adds, read bandwidth by threads and by array "
     "size, "
     "matrix products and the cost of a call through the backend (10 s)",
     0},
    {"backend", OPTION_BACKEND, "NAME", 0, "With --limits: the backend to measure (default cpu)", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct env_options *options = state->input;
    switch (key) {
    case OPTION_LIMITS: options->limits = true; return 0;
    case OPTION_BACKEND: options->backend = argument; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument \"%s\"", argument); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {.options = options_table,
                                   .parser = parse_option,
                                   .doc = "Print what this machine is: processor, caches, memory, system, "
                                          "compiler, libraries, and the variables that "
                                          "select kernels and threads. Every report carries this record.\v"
                                          "Example: keep it beside a measurement\n\n"
                                          "  qvl-audit env --limits --json environment.json"};

static enum qvl_status measure_limits(const char *name, struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_opened_backend opened = {0};
    struct qvl_limits limits;
    QVL_TRY(qvl_backend_open_named(name, NULL, &opened, error));
    const struct qvl_limits_options options = {.host = true, .sweep = true, .backend = true};
    enum qvl_status status = qvl_limits_measure(opened.backend, &options, &limits, error);
    if (status == QVL_OK)
        status = qvl_limits_report(&limits, report, error);
    qvl_backend_close_named(&opened);
    return status;
}

enum qvl_status qvl_verb_env(int argc, char **argv, struct qvl_error *error)
{
    struct env_options options = {.backend = "cpu"};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    struct qvl_record *record;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    QVL_TRY(qvl_environment_collect(&record, error));
    qvl_backends_describe(record);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK && options.limits)
        status = measure_limits(options.backend, &report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
