/* report.json back into records. */
#ifndef QVL_REPORTS_READ_H
#define QVL_REPORTS_READ_H

#include "qvl/record.h"

/* A report as it was written by this or another build. */
struct qvl_saved_report {
    char *file;               /* as given */
    char *version;            /* of the program that wrote it */
    char *git_commit;         /* of that program */
    char *created;            /* "2026-11-26T17:54:43Z" */
    char *workload_digest;    /* SHA-256 of the section /workload */
    struct qvl_report report; /* environment, workload, records, omissions, notes; no command line */
};

/* Parse a report, which must hold against the schema, its own hashes and its own counts. Whole numbers become
 * integers and have 53 bits (more: a real); numbers of an array become reals when one of them is. `name`
 * stands for the file. *saved is owned (qvl_saved_report_destroy). QVL_BAD_INPUT: no JSON, no report, or
 * changed after it was written; the message names the place. */
QVL_MUST_USE enum qvl_status qvl_report_parse(const char *text, size_t size, const char *name,
                                              struct qvl_saved_report **saved, struct qvl_error *error);

/* The same from a file of at most 1 GiB. */
QVL_MUST_USE enum qvl_status qvl_report_read(const char *path, struct qvl_saved_report **saved,
                                             struct qvl_error *error);

void qvl_saved_report_destroy(struct qvl_saved_report *saved); /* NULL is accepted */

/* One record from its JSON tree, without checks against the schema. *record is owned. */
struct qvl_json;
QVL_MUST_USE enum qvl_status qvl_record_parse(const struct qvl_json *at, struct qvl_record **record,
                                              struct qvl_error *error);

#endif
