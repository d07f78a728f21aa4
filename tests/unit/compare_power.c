/* How often a comparison cries wolf and how often it sees a slowdown of 5 %, on synthetic runs with the noise
 * of shared machines. Seeds are printed; every run gives the same counts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"
#include "reports/compare.h"

#define SEED 5
#define COMPARISONS 50
#define RUNS 30
#define SAMPLES 20

/* Relative sizes, all at once in one kind of machine. */
struct noise {
    const char *name;
    double sample;    /* of single samples */
    double run;       /* from run to run, normal */
    double ramp;      /* over all runs: the machine warms up */
    double jump;      /* half of the time after the middle: another process came */
    double slow_run;  /* share of runs that are a third slower */
    double preempted; /* share of samples that take up to 40 times as long */
};

static const struct noise kinds[] = {
    {.name = "quiet", .sample = 0.01, .run = 0.003},
    {.name = "heavy tails", .sample = 0.05, .run = 0.015, .preempted = 0.1},
    {.name = "drift", .sample = 0.03, .run = 0.01, .ramp = 0.3, .jump = 0.25},
    {.name = "bimodal runs", .sample = 0.03, .run = 0.01, .slow_run = 0.04, .preempted = 0.03},
};

static uint64_t draws; /* each comparison of each kind has fresh noise */

static double uniform(void)
{
    return qvl_random_uniform(SEED, 0, draws++);
}

static double normal(void)
{
    return (double)qvl_random_normal(SEED, 1, draws++);
}

/* `turn` of `turns` is the time at which the run takes place. */
static void fill_samples(const struct noise *noise, int64_t turn, int64_t turns, double factor, int64_t count,
                         double *samples)
{
    const double place = (double)turn / (double)turns;
    double level = 1e-3 * factor * exp(noise->run * normal()) * (1 + noise->ramp * place);
    if (place > 0.5)
        level *= 1 + noise->jump;
    if (uniform() < noise->slow_run)
        level *= 1.33;
    for (int64_t i = 0; i < count; i++) {
        samples[i] = level * exp(noise->sample * normal());
        if (uniform() < noise->preempted)
            samples[i] *= 1 + 40 * uniform() * uniform();
    }
}

static struct qvl_saved_report *make_run(const struct noise *noise, int64_t turn, int64_t turns,
                                         double factor, int64_t rows, int64_t count)
{
    double samples[400];
    struct qvl_saved_report *saved = calloc(1, sizeof *saved);
    assert_non_null(saved);
    saved->file = qvl_record_copy("synthetic");
    saved->version = qvl_record_copy("0");
    saved->git_commit = qvl_record_copy("0000000");
    saved->created = qvl_record_copy("");
    saved->workload_digest = qvl_record_copy("");
    saved->report.environment = qvl_record_create("environment", "this machine", QVL_CASE_NONE);
    for (int64_t row = 0; row < rows; row++) {
        char name[32];
        snprintf(name, sizeof name, "row %lld", (long long)row);
        struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_NONE);
        fill_samples(noise, turn, turns, factor, count, samples);
        qvl_record_reals(record, "samples", samples, count, "s", QVL_FROM_MEASURED);
        assert_int_equal(qvl_report_take(&saved->report, record, NULL), QVL_OK);
    }
    return saved;
}

struct tally {
    int regressed, improved, same, inconclusive; /* comparisons with at least one such row */
};

static int64_t count_of(const struct qvl_report *report, const char *verdict)
{
    int64_t count = 0;
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_field *field = qvl_record_find(report->records[i], "verdict");
        count += field && strcmp(field->value.text, verdict) == 0;
    }
    return count;
}

static void compare_once(const struct noise *noise, int64_t runs, double factor, int64_t rows,
                         int64_t samples, struct tally *tally)
{
    struct qvl_saved_report *sides[2][RUNS];
    const struct qvl_compare_options options = {.confidence = QVL_COMPARE_CONFIDENCE};
    struct qvl_report out = {0};
    for (int64_t i = 0; i < 2 * runs; i++) {
        const int64_t side = (i + i / 2) % 2; /* base first, then last */
        sides[side][i / 2] = make_run(noise, i, 2 * runs, side ? factor : 1, rows, samples);
    }
    const struct qvl_comparison comparison = {(const struct qvl_saved_report *const *)sides[0],
                                              (const struct qvl_saved_report *const *)sides[1],
                                              runs,
                                              {"base", "other"},
                                              NULL};
    assert_int_equal(qvl_compare_reports(&comparison, &options, &out, NULL), QVL_OK);
    tally->regressed += count_of(&out, "regressed") > 0;
    tally->improved += count_of(&out, "improved") > 0;
    tally->same += count_of(&out, "same") > 0;
    tally->inconclusive += count_of(&out, "inconclusive") > 0;
    assert_int_equal(qvl_report_outcome(&out), count_of(&out, "regressed") ? QVL_FAILED : QVL_OK);
    qvl_report_clear(&out);
    for (int64_t i = 0; i < runs; i++) {
        qvl_saved_report_destroy(sides[0][i]);
        qvl_saved_report_destroy(sides[1][i]);
    }
}

static struct tally compare_often(const struct noise *noise, int64_t runs, double factor, int64_t rows,
                                  int64_t samples)
{
    struct tally tally = {0};
    for (int i = 0; i < COMPARISONS; i++)
        compare_once(noise, runs, factor, rows, samples, &tally);
    print_message("seed %d, %-12s %lld runs, %lld rows, x%.2f: regressed %d, improved %d, same %d, "
                  "inconclusive %d of %d\n",
                  SEED, noise->name, (long long)runs, (long long)rows, factor, tally.regressed,
                  tally.improved, tally.same, tally.inconclusive, COMPARISONS);
    return tally;
}

static void taking_turns(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const struct tally same = compare_often(&kinds[k], RUNS, 1, 1, SAMPLES);
        const struct tally slower = compare_often(&kinds[k], RUNS, 1.05, 1, SAMPLES);
        assert_true(same.regressed <= 1 && same.improved <= 1);
        assert_true(slower.regressed >= 45 && slower.improved == 0);
    }
}

static void a_hundred_rows(void **state)
{
    (void)state;
    const struct tally same = compare_often(&kinds[1], 20, 1, 100, SAMPLES);
    assert_true(same.regressed <= 1 && same.improved <= 1);
}

/* Two single runs: what differs from run to run must not pass for a regression; a doubled time must be seen.
 */
static void single_runs(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct tally same = compare_often(&kinds[k], 1, 1, 1, 200);
        const struct tally slower = compare_often(&kinds[k], 1, 2, 1, 200);
        assert_true(same.regressed <= 1 && same.improved <= 1);
        assert_true(slower.regressed >= 45);
    }
}

/* Ten runs of a noisy machine give no verdict, and no alarm either. */
static void too_few_runs(void **state)
{
    (void)state;
    const struct noise noise = {.name = "few", .sample = 0.05, .run = 0.03};
    const struct tally few = compare_often(&noise, 10, 1, 1, SAMPLES);
    assert_true(few.inconclusive >= 45 && few.regressed <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taking_turns),
        cmocka_unit_test(a_hundred_rows),
        cmocka_unit_test(single_runs),
        cmocka_unit_test(too_few_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
