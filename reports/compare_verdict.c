/* What the numbers of a timing row say, and its record. */
#include <inttypes.h>
#include <math.h>

#include "reports/compare_timing.h"

/* The share of the threshold that a change surely exceeds: runs that follow on each other are never quite
 * alike, and a test against no difference at all found one in 2 of 50 comparisons of a build with itself. */
#define SURE 0.5

enum verdict { REGRESSED, IMPROVED, SAME, INCONCLUSIVE, VANISHED, INVALID };

struct judgement {
    enum verdict verdict;
    double threshold;  /* logarithm of the change that matters */
    double level;      /* one-sided, of a direction */
    double detectable; /* logarithm */
    int64_t needed;    /* differences for a verdict on a change as large as the threshold */
    char message[256];
};

static const char *word_of(enum verdict verdict, bool across)
{
    static const char *const words[] = {"regressed",    "improved", "same",
                                        "inconclusive", "vanished", "invalid"};
    if (across && verdict <= SAME)
        return (const char *const[]){"slower", "faster", "alike"}[verdict];
    return words[verdict];
}

static double percent(double logarithm)
{
    return 100 * expm1(logarithm);
}

/* Enough for the threshold by the spread seen, and for any verdict among so many rows. */
static int64_t needed_for(const struct qvl_timing *row, const struct judgement *judgement, int64_t rows)
{
    const int64_t least = qvl_paired_minimum(judgement->level / (double)rows);
    const double error = isfinite(row->test.error) ? row->test.error : 0;
    const double detectable = (qvl_normal_quantile(1 - judgement->level) + qvl_normal_quantile(0.9)) * error;
    const double share = detectable / (SURE * judgement->threshold);
    const double needed = ceil((double)row->count * share * share);
    if (!(needed < 1e9))
        return 1000000000;
    return (int64_t)needed > least ? (int64_t)needed : least;
}

static void explain(const struct qvl_timing *row, int64_t runs, int64_t rows, struct judgement *judgement)
{
    const char *what = runs > 1 ? "pairs of runs" : "samples";
    const double size = fabs(row->test.estimate);
    judgement->needed = needed_for(row, judgement, rows);
    if (row->test.count < qvl_paired_minimum(judgement->level))
        snprintf(judgement->message, sizeof judgement->message,
                 "%" PRId64 " %s%s; a verdict needs at least %" PRId64, row->count, what,
                 row->tested < row->count ? ", many of them alike their neighbours" : "", judgement->needed);
    else if (size < row->floor && size >= judgement->threshold)
        snprintf(judgement->message, sizeof judgement->message,
                 runs > 1 ? "%+.2g %%, but one side differs from itself by %.2g %%"
                          : "%+.2g %%, but samples differ by %.2g %% within a run; take turns (--interleave)",
                 percent(row->test.estimate), percent(row->floor));
    else
        snprintf(judgement->message, sizeof judgement->message,
                 "%" PRId64 " %s find a change of %.2g %%; %.2g %% need about %" PRId64, row->count, what,
                 percent(judgement->detectable), percent(judgement->threshold), judgement->needed);
}

static void judge(const struct qvl_timing *row, int64_t runs, int64_t rows,
                  const struct qvl_compare_options *options, struct judgement *judgement)
{
    const struct qvl_paired *test = &row->test;
    const double least = runs > 1 ? QVL_COMPARE_THRESHOLD_MANY : QVL_COMPARE_THRESHOLD_ONE;
    *judgement = (struct judgement){.threshold = log1p(options->threshold > 0 ? options->threshold : least),
                                    .level = 0.5 * (1 - options->confidence),
                                    .detectable = INFINITY};
    if (row->fault) {
        judgement->verdict = row->fault == qvl_timing_vanished ? VANISHED : INVALID;
        snprintf(judgement->message, sizeof judgement->message, "%s", row->fault);
        return;
    }
    const double threshold = judgement->threshold;
    const double size = fabs(test->estimate);
    const double least_size = test->estimate > 0 ? test->low : -test->high;
    const bool matters =
        size >= threshold && size >= row->floor && test->bounded && least_size >= SURE * threshold;
    const double nonzero = qvl_paired_detectable(test, judgement->level);
    judgement->detectable = nonzero + SURE * threshold;
    if (matters && test->estimate > 0 && row->above <= judgement->level)
        judgement->verdict = REGRESSED;
    else if (matters && test->estimate < 0 && row->below <= judgement->level)
        judgement->verdict = IMPROVED;
    else if (test->bounded && size < threshold &&
             ((test->low > -threshold && test->high < threshold) || nonzero <= threshold))
        judgement->verdict = SAME;
    else
        judgement->verdict = INCONCLUSIVE;
    if (judgement->verdict == INCONCLUSIVE)
        explain(row, runs, rows, judgement);
    else if (judgement->verdict != SAME)
        snprintf(judgement->message, sizeof judgement->message, "%+.2g %%, between %+.2g and %+.2g %%",
                 percent(test->estimate), percent(test->low), percent(test->high));
}

static enum qvl_case_status status_of(enum verdict verdict, const struct qvl_compare_options *options)
{
    if (options->across)
        return QVL_CASE_NONE;
    switch (verdict) {
    case REGRESSED: return QVL_CASE_FAILED;
    case VANISHED: return options->allow_missing ? QVL_CASE_PASSED : QVL_CASE_FAILED;
    case INCONCLUSIVE: return QVL_CASE_SKIPPED;
    case INVALID: return QVL_CASE_INVALID;
    default: return QVL_CASE_PASSED;
    }
}

static void put_detail(struct qvl_record *record, const char *name, double value, const char *unit)
{
    if (isfinite(value))
        qvl_record_real(record, name, value, unit, QVL_FROM_MEASURED);
    else
        qvl_record_missing(record, name, "too few differences");
    qvl_record_detail(record);
}

static void put_count(struct qvl_record *record, const char *name, int64_t value)
{
    qvl_record_int(record, name, value, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
}

/* Everything that the verdict rests on. */
static void put_statistics(struct qvl_record *record, const struct qvl_timing *row,
                           const struct judgement *judgement, const struct qvl_compare_options *options)
{
    qvl_record_real(record, "confidence", options->confidence, "1", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_real(record, "threshold", expm1(judgement->threshold), "1", QVL_FROM_SETTING);
    qvl_record_detail(record);
    put_detail(record, "p_slower", row->test.p_above, "1");
    put_detail(record, "p_faster", row->test.p_below, "1");
    put_detail(record, "p_slower_of_all_rows", row->above, "1");
    put_detail(record, "p_faster_of_all_rows", row->below, "1");
    put_detail(record, "standard_error", row->test.error, "1");
    put_detail(record, "detectable", expm1(judgement->detectable), "1");
    put_detail(record, "noise_floor", expm1(row->floor), "1");
    put_detail(record, "drift_base", expm1(row->drift[0]), "1");
    put_detail(record, "drift_base_p", row->drift_p[0], "1");
    put_detail(record, "drift_other", expm1(row->drift[1]), "1");
    put_detail(record, "drift_other_p", row->drift_p[1], "1");
    put_count(record, "differences", row->count);
    put_count(record, "independent_differences", row->tested);
    if (judgement->needed)
        put_count(record, "needed", judgement->needed);
    qvl_record_reals(record, "log_ratios", row->differences, row->count, "1", QVL_FROM_MEASURED);
    qvl_record_detail(record);
}

static struct qvl_record *make_record(const struct qvl_timing *row, const struct judgement *judgement,
                                      const char *label, const struct qvl_compare_options *options)
{
    char name[768];
    snprintf(name, sizeof name, "%s%s%s", row->name, label ? " of " : "", label ? label : "");
    struct qvl_record *record = qvl_record_create("timing", name, status_of(judgement->verdict, options));
    if (isfinite(row->base))
        qvl_record_real(record, "base", row->base, "s", QVL_FROM_MEASURED);
    if (isfinite(row->other))
        qvl_record_real(record, "other", row->other, "s", QVL_FROM_MEASURED);
    if (!row->fault) {
        qvl_record_real(record, "ratio", exp(row->test.estimate), "1", QVL_FROM_MEASURED);
        if (row->test.bounded) {
            qvl_record_real(record, "low", exp(row->test.low), "1", QVL_FROM_MEASURED);
            qvl_record_real(record, "high", exp(row->test.high), "1", QVL_FROM_MEASURED);
        } else {
            qvl_record_missing(record, "low", "too few differences");
            qvl_record_missing(record, "high", "too few differences");
        }
    }
    qvl_record_text(record, "verdict", word_of(judgement->verdict, options->across != 0), QVL_FROM_MEASURED);
    if (judgement->message[0])
        qvl_record_text(record, "message", judgement->message, QVL_FROM_MEASURED);
    put_count(record, "samples_base", row->samples[0]);
    put_count(record, "samples_other", row->samples[1]);
    if (!row->fault)
        put_statistics(record, row, judgement, options);
    return record;
}

/* Adjust the p values for the number of rows, each direction for itself: rows that truly improved must not
 * make it easier to call another one regressed. */
static enum qvl_status adjust(struct qvl_timings *timings, int64_t *tested, struct qvl_error *error)
{
    const int64_t count = timings->count;
    double *p = calloc(2 * (size_t)(count + 1), sizeof(double));
    if (!p)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)count);
    enum qvl_status status = QVL_OK;
    *tested = 0;
    for (int64_t i = 0; i < count; i++)
        *tested += !timings->items[i].fault;
    for (int direction = 0; direction < 2 && status == QVL_OK && *tested > 0; direction++) {
        int64_t next = 0;
        for (int64_t i = 0; i < count; i++)
            if (!timings->items[i].fault)
                p[next++] = direction ? timings->items[i].test.p_below : timings->items[i].test.p_above;
        status = qvl_false_discovery(p, next, p + next, error);
        const double *adjusted = p + next;
        for (int64_t i = 0; i < count && status == QVL_OK; i++)
            if (!timings->items[i].fault)
                *(direction ? &timings->items[i].below : &timings->items[i].above) = *adjusted++;
    }
    free(p);
    return status;
}

enum qvl_status qvl_timings_judge(struct qvl_timings *timings, int64_t runs, const char *label,
                                  const struct qvl_compare_options *options,
                                  struct qvl_compare_counts *counts, struct qvl_report *out,
                                  struct qvl_error *error)
{
    int64_t tested;
    QVL_TRY(adjust(timings, &tested, error));
    for (int64_t i = 0; i < timings->count; i++) {
        struct judgement judgement;
        judge(&timings->items[i], runs, tested, options, &judgement);
        int64_t *const tally[] = {&counts->regressed,    &counts->improved, &counts->same,
                                  &counts->inconclusive, &counts->vanished, &counts->invalid};
        counts->rows++;
        ++*tally[judgement.verdict];
        QVL_TRY(qvl_report_take(out, make_record(&timings->items[i], &judgement, label, options), error));
    }
    return QVL_OK;
}
