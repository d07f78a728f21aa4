/* The output options every verb shares: --json, --jsonl, --csv, --junit, --markdown, --html. */
#ifndef QVL_CLI_OUTPUT_H
#define QVL_CLI_OUTPUT_H

#include <argp.h>
#include <stdbool.h>

#include "reports/writer.h"

struct qvl_output {
    const char *files[QVL_REPORT_FORM_COUNT]; /* borrowed from argv; NULL: not wanted; "-": stdout */
    int argc;                                 /* the command line, for report.json */
    const char *const *argv;
};

/* Parse the arguments of a verb. `parser` has the verb's own options and `input`; the output options join
 * them as an argp child whose input is `output`, but for those whose names the verb uses itself. FILE may be
 * left out of an output option at the end of the line or in front of another option: it is then stdout. Ends
 * the process on --help (0) and on wrong usage (2). */
QVL_MUST_USE enum qvl_status qvl_output_parse(const struct argp *parser, int argc, char **argv, void *input,
                                              struct qvl_output *output, struct qvl_error *error);

/* Whether any of the forms was asked for. */
bool qvl_output_wanted(const struct qvl_output *output);

/* Whether the tables go to stdout, for want of a form that does. */
bool qvl_output_has_tables(const struct qvl_output *output);

/* Set time, command line and, unless the verb has done so, the environment: what report.json needs. */
QVL_MUST_USE enum qvl_status qvl_output_stamp(const struct qvl_output *output, struct qvl_report *report,
                                              struct qvl_error *error);

/* Stamp the report if report.json or a page is wanted, write the files, then print to stdout what goes there:
 * the forms that name no file, or else the tables. Nothing is printed when a file could not be written. The
 * status of a good write is QVL_OK whatever the report says. */
QVL_MUST_USE enum qvl_status qvl_output_write(const struct qvl_output *output, struct qvl_report *report,
                                              struct qvl_error *error);

/* The same with tables of the chosen records only; every file format has all. */
typedef bool qvl_output_choice(const struct qvl_record *record);
QVL_MUST_USE enum qvl_status qvl_output_write_chosen(const struct qvl_output *output,
                                                     struct qvl_report *report, qvl_output_choice *show,
                                                     struct qvl_error *error);

/* qvl_output_write, then the outcome of the checks in the report. */
QVL_MUST_USE enum qvl_status qvl_output_finish(const struct qvl_output *output, struct qvl_report *report,
                                               struct qvl_error *error);

/* Write bytes to stdout and flush; QVL_IO when the reader is gone or the disk is full. */
QVL_MUST_USE enum qvl_status qvl_output_print(const void *data, size_t size, struct qvl_error *error);

#endif
