/* Which differences between two reports make their figures incomparable. The table is in comparable.c and in
 * docs/REPORT.md. */
#ifndef QVL_REPORTS_COMPARABLE_H
#define QVL_REPORTS_COMPARABLE_H

#include "reports/read.h"

/* What two reports must agree in, unless the user asks to compare across it. */
enum qvl_condition {
    QVL_CONDITION_WORKLOAD, /* what was run: verb, contexts, repeats, seed, ... Never crossed */
    QVL_CONDITION_MODEL,
    QVL_CONDITION_DTYPE,
    QVL_CONDITION_MATH, /* the arithmetic the backend promises */
    QVL_CONDITION_THREADS,
    QVL_CONDITION_MACHINE,
    QVL_CONDITION_SETTINGS, /* environment variables that select kernels and place threads */
    QVL_CONDITION_COUNT,
    QVL_CONDITION_NONE = QVL_CONDITION_COUNT /* a difference that is only stated */
};

/* "workload", "model", ... */
const char *qvl_condition_name(enum qvl_condition condition);

/* Called for each difference; `base` and `other` are texts of the two values, "(not stated)" for none. */
typedef enum qvl_status qvl_difference_fn(void *context, const char *place, enum qvl_condition condition,
                                          const char *base, const char *other, struct qvl_error *error);

/* Compare tool, workload and environment of two reports field by field. */
QVL_MUST_USE enum qvl_status qvl_report_differences(const struct qvl_saved_report *base,
                                                    const struct qvl_saved_report *other,
                                                    qvl_difference_fn *difference, void *context,
                                                    struct qvl_error *error);

#endif
