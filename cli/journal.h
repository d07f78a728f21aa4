/* A journal of finished cases: a run that was cut off goes on where it stopped.
 *
 * Line 1 names what the results depend on beside the case line; every other line is an outcome
 * (cli/outcome.h). Lines are appended as cases finish. A torn last line is dropped on opening. */
#ifndef QVL_CLI_JOURNAL_H
#define QVL_CLI_JOURNAL_H

#include "cli/outcome.h"

struct qvl_journal;

/* Open or make the file at `path` for results that depend on `subject` (one line, without tabs).
 * QVL_USAGE: the file belongs to another subject, or another run has it open. QVL_BAD_INPUT: it is no
 * journal, or a line before the last is damaged. */
QVL_MUST_USE enum qvl_status qvl_journal_open(const char *path, const char *subject,
                                              struct qvl_journal **journal, struct qvl_error *error);

/* The outcome of a case that was finished before; NULL when there is none. Borrowed. */
const struct qvl_outcome *qvl_journal_find(const struct qvl_journal *journal, const char *case_line);

/* Append; on disk (synced) at the latest when the journal is closed, and about once a second before. */
QVL_MUST_USE enum qvl_status qvl_journal_add(struct qvl_journal *journal, const char *case_line,
                                             const struct qvl_outcome *outcome, struct qvl_error *error);

void qvl_journal_close(struct qvl_journal *journal); /* NULL is accepted */

#endif
