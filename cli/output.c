#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/backends.h"
#include "reports/environment.h"

enum { OPTION_JSON = 0x1000, OPTION_JSONL, OPTION_CSV, OPTION_JUNIT, OPTION_MARKDOWN, OPTION_HTML };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Results (FILE left out or \"-\": standard output, in place of the table):", 100},
    {"json", OPTION_JSON, "FILE", 0, "report.json: everything, with environment and hashes", 100},
    {"jsonl", OPTION_JSONL, "FILE", 0, "one record a line", 100},
    {"csv", OPTION_CSV, "FILE", 0, "one record a row", 100},
    {"junit", OPTION_JUNIT, "FILE", 0, "the checks, for CI", 100},
    {"markdown", OPTION_MARKDOWN, "FILE", 0, "the tables as Markdown", 100},
    {"html", OPTION_HTML, "FILE", 0, "a page with plots and tables, complete in itself", 100},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_output *output = state->input;
    switch (key) {
    case OPTION_JSON: output->files[QVL_REPORT_JSON] = argument; return 0;
    case OPTION_JSONL: output->files[QVL_REPORT_JSONL] = argument; return 0;
    case OPTION_CSV: output->files[QVL_REPORT_CSV] = argument; return 0;
    case OPTION_JUNIT: output->files[QVL_REPORT_JUNIT] = argument; return 0;
    case OPTION_HTML: output->files[QVL_REPORT_HTML] = argument; return 0;
    case OPTION_MARKDOWN: output->files[QVL_REPORT_MARKDOWN] = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What the one argp in front of the verb's options and ours hands to each. */
struct inputs {
    void *own;
    struct qvl_output *output;
};

static error_t parse_joined(int key, char *argument, struct argp_state *state)
{
    struct inputs *inputs = state->input;
    (void)argument;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = inputs->own;
    state->child_inputs[1] = inputs->output;
    return 0;
}

static bool is_output_option(const char *argument)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].name && strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, options[i].name) == 0)
            return true;
    return false;
}

/* Our options but those whose names the verb gives another meaning (`tokenize --jsonl`). */
static void drop_taken(const struct argp_option *taken, struct argp_option *kept)
{
    for (const struct argp_option *option = options; option->name || option->doc; option++) {
        bool free_name = true;
        for (const struct argp_option *other = taken; option->name && other && other->name; other++)
            free_name = free_name && strcmp(option->name, other->name) != 0;
        if (free_name)
            *kept++ = *option;
    }
    *kept = (struct argp_option){0};
}

/* A copy of argv with "-" behind each output option that names no file; *count its length. NULL: no memory.
 */
static char **with_files(int argc, char **argv, int *count)
{
    static char standard_output[] = "-";
    char **copy = malloc((2 * (size_t)argc + 1) * sizeof *copy);
    if (!copy)
        return NULL;
    *count = 0;
    for (int i = 0; i < argc; i++) {
        copy[(*count)++] = argv[i];
        bool last = i + 1 == argc;
        if (is_output_option(argv[i]) && (last || strncmp(argv[i + 1], "--", 2) == 0))
            copy[(*count)++] = standard_output;
    }
    copy[*count] = NULL;
    return copy;
}

enum qvl_status qvl_output_parse(const struct argp *parser, int argc, char **argv, void *input,
                                 struct qvl_output *output, struct qvl_error *error)
{
    struct inputs inputs = {input, output};
    struct argp own = *parser;
    own.args_doc = own.doc = NULL; /* stated once, by `whole` */
    struct argp_option kept[sizeof options / sizeof *options];
    drop_taken(parser->options, kept);
    const struct argp ours = {.options = kept, .parser = parse_option};
    const struct argp_child children[] = {{&own, 0, NULL, 0}, {&ours, 0, NULL, 0}, {0}};
    const struct argp whole = {
        .parser = parse_joined, .args_doc = parser->args_doc, .doc = parser->doc, .children = children};
    int count = 0;
    char **copy = with_files(argc, argv, &count);
    if (!copy)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the command line");
    error_t failed = argp_parse(&whole, count, copy, 0, NULL, &inputs);
    free(copy);
    output->argc = argc;
    output->argv = (const char *const *)argv;
    return failed ? qvl_fail(error, QVL_USAGE, "wrong options: %s", strerror(failed)) : QVL_OK;
}

bool qvl_output_wanted(const struct qvl_output *output)
{
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++)
        if (output->files[form])
            return true;
    return false;
}

bool qvl_output_has_tables(const struct qvl_output *output)
{
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++)
        if (output->files[form] && strcmp(output->files[form], "-") == 0)
            return false;
    return true;
}

enum qvl_status qvl_output_print(const void *data, size_t size, struct qvl_error *error)
{
    if (fwrite(data, 1, size, stdout) != size || fflush(stdout) != 0)
        return qvl_fail(error, QVL_IO, "cannot write to standard output: %s", strerror(errno));
    return QVL_OK;
}

static enum qvl_status print_form(const struct qvl_report *report, enum qvl_report_form form,
                                  struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_report_text(report, form, &text, &size, error));
    enum qvl_status status = qvl_output_print(text, size, error);
    free(text);
    return status;
}

enum qvl_status qvl_output_stamp(const struct qvl_output *output, struct qvl_report *report,
                                 struct qvl_error *error)
{
    report->argc = output->argc;
    report->argv = output->argv;
    report->created = (int64_t)time(NULL);
    if (report->environment)
        return QVL_OK;
    QVL_TRY(qvl_environment_collect(&report->environment, error));
    qvl_backends_describe(report->environment);
    return qvl_record_check(report->environment, error);
}

/* The tables of the records that `show` (NULL: all) chooses. */
static enum qvl_status print_tables(const struct qvl_report *report, qvl_output_choice *show,
                                    struct qvl_error *error)
{
    struct qvl_report chosen = *report;
    chosen.record_count = 0;
    chosen.records = malloc(sizeof(struct qvl_record *) * (size_t)(report->record_count + 1));
    if (!chosen.records)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the tables");
    for (int64_t i = 0; i < report->record_count; i++)
        if (!show || show(report->records[i]))
            chosen.records[chosen.record_count++] = report->records[i];
    const enum qvl_status status = print_form(&chosen, QVL_REPORT_TABLE, error);
    free(chosen.records);
    return status;
}

enum qvl_status qvl_output_write_chosen(const struct qvl_output *output, struct qvl_report *report,
                                        qvl_output_choice *show, struct qvl_error *error)
{
    bool printed = false;
    if (output->files[QVL_REPORT_JSON] || output->files[QVL_REPORT_HTML])
        QVL_TRY(qvl_output_stamp(output, report, error));
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++) {
        const char *file = output->files[form];
        if (file && strcmp(file, "-") != 0)
            QVL_TRY(qvl_report_write(report, (enum qvl_report_form)form, file, error));
    }
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++) {
        const char *file = output->files[form];
        if (!file || strcmp(file, "-") != 0)
            continue;
        printed = true;
        QVL_TRY(print_form(report, (enum qvl_report_form)form, error));
    }
    return printed ? QVL_OK : print_tables(report, show, error);
}

enum qvl_status qvl_output_write(const struct qvl_output *output, struct qvl_report *report,
                                 struct qvl_error *error)
{
    return qvl_output_write_chosen(output, report, NULL, error);
}

enum qvl_status qvl_output_finish(const struct qvl_output *output, struct qvl_report *report,
                                  struct qvl_error *error)
{
    QVL_TRY(qvl_output_write(output, report, error));
    return qvl_report_outcome(report);
}
