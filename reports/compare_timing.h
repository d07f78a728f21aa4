/* The timing rows of a comparison. */
#ifndef QVL_REPORTS_COMPARE_TIMING_H
#define QVL_REPORTS_COMPARE_TIMING_H

#include "reports/compare.h"
#include "reports/statistics.h"

struct qvl_timing {
    char *name;             /* owned */
    const char *fault;      /* why there is no test, or NULL */
    double base, other;     /* medians of all samples, seconds */
    int64_t samples[2];     /* of the base, of the other side */
    double *differences;    /* owned: log(other / base) of samples, or of pairs of runs */
    int64_t count, tested;  /* before and after qvl_blocks */
    struct qvl_paired test; /* zeroed with a fault */
    double floor;           /* what the run differs from itself by, as a logarithm */
    double drift[2], drift_p[2];
    double above, below; /* one-sided p, adjusted for the number of rows */
};

/* The fault of a row that the other side lacks. */
extern const char qvl_timing_vanished[];

struct qvl_timings {
    struct qvl_timing *items; /* owned */
    int64_t count, capacity;
};

struct qvl_compare_counts {
    int64_t rows, regressed, improved, same, inconclusive, vanished, invalid;
};

/* Add the rows of one pair of records: base[i] and other[i] belong to run i of the comparison. */
QVL_MUST_USE enum qvl_status qvl_timings_add(struct qvl_timings *timings,
                                             const struct qvl_record *const *base,
                                             const struct qvl_record *const *other, int64_t runs,
                                             const char *name, const struct qvl_compare_options *options,
                                             struct qvl_error *error);

/* Test all rows together and append their records. */
QVL_MUST_USE enum qvl_status qvl_timings_judge(struct qvl_timings *timings, int64_t runs, const char *label,
                                               const struct qvl_compare_options *options,
                                               struct qvl_compare_counts *counts, struct qvl_report *out,
                                               struct qvl_error *error);

void qvl_timings_free(struct qvl_timings *timings);

/* Whether the record has a field with samples in seconds. */
bool qvl_record_is_timed(const struct qvl_record *record);

#endif
