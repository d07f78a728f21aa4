/* What became of one case, as data that outlives the process that ran it: the line that a worker sends and
 * that a journal keeps. */
#ifndef QVL_CLI_OUTCOME_H
#define QVL_CLI_OUTCOME_H

#include "verify/verify.h"

#define QVL_OUTCOME_BYTES 4096

struct qvl_outcome {
    struct qvl_case_result result; /* `operand` and `verdict` point into this struct; repro is empty */
    char operand[64], verdict[32];
    double seconds;   /* of the whole case, on the monotonic clock */
    char noise[1024]; /* the end of what the backend wrote to stderr when it crashed or hung; else empty */
};

/* Take a result over. */
void qvl_outcome_set(struct qvl_outcome *outcome, const struct qvl_case_result *result, double seconds);

void qvl_outcome_copy(struct qvl_outcome *to, const struct qvl_outcome *from);

/* One line without its newline: the case, then the fields, separated by tabs, and a checksum of all that. */
void qvl_outcome_print(const struct qvl_outcome *outcome, const char *case_line,
                       char text[QVL_OUTCOME_BYTES]);

/* Read such a line. False when it is torn or altered. */
bool qvl_outcome_parse(const char *text, char case_line[QVL_CASE_LINE_BYTES], struct qvl_outcome *outcome);

#endif
