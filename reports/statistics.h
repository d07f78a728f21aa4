/* Paired statistics that survive heavy tails, drift and bursts: ranks and medians, nothing random.
 * Differences are differences of logarithms, so a shift of log(1.05) is a slowdown by 5 %. */
#ifndef QVL_REPORTS_STATISTICS_H
#define QVL_REPORTS_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "qvl/status.h"

/* More differences than this are first reduced to medians of blocks (qvl_blocks). */
#define QVL_PAIRED_MAX 400

/* The value at fraction p of `values`, linear between neighbours; sorts them. count > 0. */
double qvl_quantile(double *values, int64_t count, double p);

struct qvl_paired {
    int64_t count;
    double estimate;  /* Hodges-Lehmann: the median of all pairwise means */
    bool bounded;     /* `count` is enough for an interval at this confidence */
    double low, high; /* the interval of the signed-rank test, when bounded; else infinite */
    double p_above;   /* one-sided signed-rank test: probability of such ranks if nothing lies above 0 */
    double p_below;
    double error; /* standard error of the estimate */
};

/* Signed-rank test of 1..QVL_PAIRED_MAX differences; exact up to 60, the normal approximation beyond. The
 * interval is two-sided at `confidence`. */
QVL_MUST_USE enum qvl_status qvl_paired_test(const double *differences, int64_t count, double confidence,
                                             struct qvl_paired *result, struct qvl_error *error);

/* Differences below which even the clearest sign pattern is not significant at one-sided level `level`. */
int64_t qvl_paired_minimum(double level);

/* The shift that a test at one-sided level `level` finds in 9 of 10 tries, from the standard error. */
double qvl_paired_detectable(const struct qvl_paired *result, double level);

/* Neighbours in time resemble each other and are no independent evidence. Replace the differences by the
 * medians of blocks as long as their correlation time (sum of the autocorrelations of their ranks, Geyer's
 * initial positive sequence), and of as many as it takes to have at most QVL_PAIRED_MAX. Returns how many are
 * left, 0: no memory. */
int64_t qvl_blocks(double *differences, int64_t count);

/* Theil-Sen slope times the length: by how much the values (at most QVL_PAIRED_MAX) change from first to
 * last; and the two-sided p of Mann and Kendall's test. Returns false when there is no memory or count < 2.
 */
bool qvl_trend(const double *values, int64_t count, double *change, double *p);

/* Benjamini and Hochberg: adjusted[i] <= level exactly when row i is among those found at false discovery
 * rate `level`. When no row differs, the chance of finding any is at most `level`. */
QVL_MUST_USE enum qvl_status qvl_false_discovery(const double *p, int64_t count, double *adjusted,
                                                 struct qvl_error *error);

/* Quantile of the standard normal distribution, 0 < p < 1. */
double qvl_normal_quantile(double p);

#endif
