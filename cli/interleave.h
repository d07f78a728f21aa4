/* Two commands run alternately, each writing a report. */
#ifndef QVL_CLI_INTERLEAVE_H
#define QVL_CLI_INTERLEAVE_H

#include "reports/read.h"

struct qvl_interleave_options {
    const char *commands[2]; /* base and other: shell commands that take --json FILE at their end */
    int64_t pairs;
    const char *keep; /* folder to leave the reports in; NULL: a temporary one, which is removed */
    /* Called with the reports of an untimed first pair, so that what cannot be compared is refused at once.
     */
    enum qvl_status (*check)(void *context, const struct qvl_saved_report *base,
                             const struct qvl_saved_report *other, struct qvl_error *error);
    void *context;
};

/* Run base and other, other and base, base and other, ... `reports[side][pair]` are owned, also on failure
 * (qvl_saved_report_destroy each; NULL where there is none). Exit codes 1 and 5 of a command are fine when
 * its report is there. QVL_UNAVAILABLE: a command did not write a report; the message has the end of what it
 * wrote to stderr. *interrupted is the signal that ended the runs, 0 for none. */
QVL_MUST_USE enum qvl_status qvl_interleave(const struct qvl_interleave_options *options,
                                            struct qvl_saved_report **reports[2], int *interrupted,
                                            struct qvl_error *error);

#endif
