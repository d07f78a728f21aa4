/* Records of cases: one a case, one an entry of the op table, one of the whole. */
#ifndef QVL_CLI_CASE_RECORDS_H
#define QVL_CLI_CASE_RECORDS_H

#include "cli/pool.h"
#include "qvl/record.h"

struct qvl_case_records {
    const char *backend; /* as the user named it */
    int threads;         /* 0: not given */
    bool timings;        /* seconds of each case; without them two runs give the same bytes */
};

/* "qvl-audit verify --backend ./a.so --case '...'", quoted for a shell. */
void qvl_case_repro(const struct qvl_case_records *options, const char *case_line, char *text, size_t bytes);

/* All of them, in the order of the cases; those that were not run are stated as not measured. */
QVL_MUST_USE enum qvl_status qvl_case_records_add(const struct qvl_case_records *options,
                                                  const struct qvl_case *cases,
                                                  const struct qvl_pool_result *result,
                                                  struct qvl_report *report, struct qvl_error *error);

#endif
