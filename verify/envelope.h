/* The honest-rounding envelope: how far the logits of jittered reference runs are from the exact-rounding
 * run, and where a candidate stands among them.
 *
 * If the candidate were one more draw, its rank among n draws would be uniform, and p = (1 + draws at least
 * as far) / (n + 1) would be at most 1 / (n + 1) with that probability. The verdict is looser: `limit` is the
 * largest draw times the allowance of stages (docs/NUMERICS.md). */
#ifndef QVL_VERIFY_ENVELOPE_H
#define QVL_VERIFY_ENVELOPE_H

#include "model/tap_store.h"
#include "qvl/record.h"

enum qvl_envelope_metric {
    QVL_ENVELOPE_LARGEST, /* largest |difference| of a logit */
    QVL_ENVELOPE_RMS,     /* root mean square difference of the logits */
    QVL_ENVELOPE_KL,      /* mean over rows of KL(reference || other) of the softmaxes, in nats */
    QVL_ENVELOPE_FLIPS,   /* rows whose largest logit is another token's */
    QVL_ENVELOPE_METRICS
};

struct qvl_envelope_result {
    const char *name; /* static */
    enum qvl_case_status status;
    double smallest, median, largest; /* of the draws */
    double value;                     /* of the candidate */
    double scaled;                    /* value without what accumulating in float32 adds: what is ranked */
    double limit;                     /* for the value. Of flips: the rows that honest rounding may flip */
    int64_t at_least;                 /* draws at least as far as `scaled` */
    double p;
};

struct qvl_envelope {
    int draws;
    int64_t rows, vocabulary;
    double factor;             /* what accumulating in float32 adds to a rounding error */
    int64_t unexplained_flips; /* at rows whose two largest logits are farther apart than twice the limit */
    struct qvl_envelope_result metrics[QVL_ENVELOPE_METRICS];
};

/* Metrics of the logits of a run against those of the exact-rounding run. Infinite when shapes differ or a
 * logit is no number. */
void qvl_envelope_measure(const struct qvl_tap_entry *exact, const struct qvl_tap_entry *other,
                          double values[QVL_ENVELOPE_METRICS]);

/* `draws` metrics of jittered runs, `safety` the allowance beside `factor`. */
enum qvl_status qvl_envelope_judge(const struct qvl_tap_entry *exact, const struct qvl_tap_entry *candidate,
                                   const double (*draws)[QVL_ENVELOPE_METRICS], int count, double safety,
                                   double factor, struct qvl_envelope *envelope, struct qvl_error *error);

#endif
