/* The checks of a comparison: statuses and margins. */
#ifndef QVL_REPORTS_COMPARE_CHECKS_H
#define QVL_REPORTS_COMPARE_CHECKS_H

#include "reports/compare.h"
#include "reports/compare_timing.h"

struct qvl_check_counts {
    int64_t checks, regressed, fixed, failing, vanished, closer, added, invalid;
};

/* Append the record of one check; base[i] and other[i] belong to run i. A side has a status when all its runs
 * have it, else the first that is not PASSED. */
QVL_MUST_USE enum qvl_status qvl_checks_add(const struct qvl_record *const *base,
                                            const struct qvl_record *const *other, int64_t runs,
                                            const char *label, const struct qvl_compare_options *options,
                                            struct qvl_check_counts *counts, struct qvl_report *out,
                                            struct qvl_error *error);

/* Append the record of a check that one side lacks: of the base (vanished) or, with `added`, of the other. */
QVL_MUST_USE enum qvl_status qvl_checks_add_lone(const struct qvl_record *record, bool added,
                                                 const char *label, const struct qvl_compare_options *options,
                                                 struct qvl_check_counts *counts, struct qvl_report *out,
                                                 struct qvl_error *error);

#endif
