/* qvl-audit env: the environment record. */
#include "cli/backends.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "reports/environment.h"

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    argp_error(state, "unexpected argument \"%s\"", argument);
    return 0;
}

static const struct argp parser = {.parser = parse_option,
                                   .doc = "Print what this machine is: processor, caches, memory, system, "
                                          "compiler, libraries, and the variables that "
                                          "select kernels and threads. Every report carries this record.\v"
                                          "Example: keep it beside a measurement\n\n"
                                          "  qvl-audit env --json environment.json"};

enum qvl_status qvl_verb_env(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    struct qvl_record *record;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, NULL, &output, error));
    QVL_TRY(qvl_environment_collect(&record, error));
    qvl_backends_describe(record);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
