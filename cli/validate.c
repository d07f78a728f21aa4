/* qvl-audit validate: reports against the schema and their own hashes. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "reports/validate.h"

#define MAX_REPORTS 256
#define MAX_REPORT_BYTES ((size_t)1 << 30)

struct validate_options {
    const char *files[MAX_REPORTS];
    int count;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct validate_options *options = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (options->count == MAX_REPORTS)
            argp_error(state, "more than %d reports", MAX_REPORTS);
        options->files[options->count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->count == 0)
            argp_error(state, "name the report to validate");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {.parser = parse_option,
                                   .args_doc = "REPORT.json...",
                                   .doc = "Check reports against the JSON Schema and their own hashes. A "
                                          "value that was changed after the report was "
                                          "written is named by its JSON pointer. Exit code 1: a report does "
                                          "not hold; 3: a file is no JSON at all.\v"
                                          "Example: check a report that somebody sent\n\n"
                                          "  qvl-audit validate report.json"};

/* An output file that is also an input would be overwritten by the verdict on it. */
static enum qvl_status check_outputs(const struct validate_options *options, const struct qvl_output *output,
                                     struct qvl_error *error)
{
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++)
        for (int i = 0; i < options->count && output->files[form]; i++)
            if (strcmp(output->files[form], options->files[i]) == 0)
                return qvl_fail(error, QVL_USAGE,
                                "%s is the report to validate and cannot be the output as well",
                                options->files[i]);
    return QVL_OK;
}

static enum qvl_status validate_file(const char *file, struct qvl_report *findings, struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_file_read(file, MAX_REPORT_BYTES, &text, &size, error));
    enum qvl_status status = qvl_report_validate(text, size, file, findings, error);
    free(text);
    return status;
}

enum qvl_status qvl_verb_validate(int argc, char **argv, struct qvl_error *error)
{
    struct validate_options options = {.count = 0};
    struct qvl_output output = {0};
    struct qvl_report findings = {0};
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    QVL_TRY(check_outputs(&options, &output, error));
    enum qvl_status status = QVL_OK;
    for (int i = 0; i < options.count && status == QVL_OK; i++)
        status = validate_file(options.files[i], &findings, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &findings, error);
    qvl_report_clear(&findings);
    return status;
}
