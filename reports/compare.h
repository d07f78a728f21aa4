/* Two sets of reports against each other: what regressed, improved, stayed the same. docs/REPORT.md,
 * "Comparing reports". */
#ifndef QVL_REPORTS_COMPARE_H
#define QVL_REPORTS_COMPARE_H

#include "reports/comparable.h"

struct qvl_compare_options {
    double threshold;  /* relative change that matters, 0.05; 0: QVL_COMPARE_THRESHOLD of one or many runs */
    double confidence; /* of intervals; a direction is tested at half of what is left; 0.99 */
    unsigned across;   /* bits 1 << enum qvl_condition that may differ; then nothing is called a regression */
    bool allow_missing; /* rows of the base that are gone do not count as regressions */
};

/* One run on each side cannot see what differs from run to run. */
#define QVL_COMPARE_THRESHOLD_ONE 0.05
#define QVL_COMPARE_THRESHOLD_MANY 0.02
#define QVL_COMPARE_CONFIDENCE 0.99

struct qvl_comparison {
    const struct qvl_saved_report *const *base;  /* [runs] */
    const struct qvl_saved_report *const *other; /* [runs], other[i] measured next to base[i] */
    int64_t runs;
    const char *names[2]; /* of base and other: the files, or the commands that wrote them */
    const char *label; /* stands behind the names of rows when several comparisons share a report; or NULL */
};

/* Append to `out`: a "difference" for each condition that differs; a "timing" for each row with samples; a
 * "check" for each row with a status; a "figure" for each one that changed; and a "comparison" with the
 * counts. Statuses: FAILED regressed or vanished, SKIPPED inconclusive, INVALID not comparable, PASSED
 * anything else, none across conditions. QVL_INCOMPARABLE: conditions differ that must not, or there is
 * nothing in common; the differences are appended all the same. */
QVL_MUST_USE enum qvl_status qvl_compare_reports(const struct qvl_comparison *comparison,
                                                 const struct qvl_compare_options *options,
                                                 struct qvl_report *out, struct qvl_error *error);

/* Whether a table for people shows a record of a comparison: all but the rows that stayed the same. */
bool qvl_compare_shown(const struct qvl_record *record);

#endif
