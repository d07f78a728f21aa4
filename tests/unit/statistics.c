/* reports/statistics: against hand-worked numbers, against all sign patterns, and by simulation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "reports/statistics.h"

#define SEED 20261126

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, expected, tolerance);
}

static void quantiles(void **state)
{
    (void)state;
    double odd[] = {5, 1, 9, 3, 7};
    double even[] = {4, 1, 3, 2};
    near(qvl_quantile(odd, 5, 0.5), 5, 0);
    near(qvl_quantile(odd, 5, 0.1), 1.8, 1e-15); /* 0.4 of the way from 1 to 3 */
    near(qvl_quantile(odd, 5, 1), 9, 0);
    near(qvl_quantile(even, 4, 0.5), 2.5, 0);
    near(qvl_normal_quantile(0.975), 1.959963984540054, 1e-12);
    near(qvl_normal_quantile(0.5), 0, 1e-12);
    near(qvl_normal_quantile(0.005), -2.5758293035489004, 1e-12);
}

/* All 2^5 sign patterns are as likely: only one has a rank sum of 15, two have 14 or more. */
static void signed_ranks_by_hand(void **state)
{
    (void)state;
    struct qvl_paired test;
    const double rising[] = {1, 2, 3, 4, 5};
    const double one_below[] = {-1, 2, 3, 4, 5};
    const double with_zero[] = {0, 1, 2, 3, 4, 5};
    assert_int_equal(qvl_paired_test(rising, 5, 0.9, &test, NULL), QVL_OK);
    near(test.p_above, 1.0 / 32, 1e-15);
    near(test.p_below, 1, 1e-15);
    near(test.estimate, 3, 1e-15);
    assert_int_equal(qvl_paired_test(one_below, 5, 0.9, &test, NULL), QVL_OK);
    near(test.p_above, 2.0 / 32, 1e-15);
    near(test.p_below, 31.0 / 32, 1e-15);
    assert_int_equal(qvl_paired_test(with_zero, 6, 0.9, &test, NULL), QVL_OK);
    near(test.p_above, 1.0 / 32, 1e-15); /* a zero has no direction */
    const double zeros[] = {0, 0, 0};
    assert_int_equal(qvl_paired_test(zeros, 3, 0.9, &test, NULL), QVL_OK);
    near(test.p_above, 1, 0);
    near(test.estimate, 0, 0);
    assert_int_equal(qvl_paired_test(zeros, 0, 0.9, &test, NULL), QVL_USAGE);
    assert_int_equal(qvl_paired_test(zeros, QVL_PAIRED_MAX + 1, 0.9, &test, NULL), QVL_USAGE);
}

/* Hollander and Wolfe's depression scores: V = 5 of 45, one-sided p = 10/512. The 95 % interval leaves out 5
 * of the 45 pairwise means at each end, since 10/512 <= 0.025 < 14/512. */
static void a_published_example(void **state)
{
    (void)state;
    struct qvl_paired test;
    const double before[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    const double after[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    double differences[9], means[45];
    int64_t next = 0;
    for (int i = 0; i < 9; i++)
        differences[i] = after[i] - before[i];
    assert_int_equal(qvl_paired_test(differences, 9, 0.95, &test, NULL), QVL_OK);
    near(test.p_below, 10.0 / 512, 1e-12);
    for (int i = 0; i < 9; i++)
        for (int k = i; k < 9; k++)
            means[next++] = 0.5 * (differences[i] + differences[k]);
    near(test.estimate, qvl_quantile(means, 45, 0.5), 0);
    near(test.estimate, -0.46, 1e-9);
    assert_true(test.bounded);
    near(test.low, means[5], 0);
    near(test.high, means[39], 0);
}

/* The exact distribution with ties, against every pattern; the approximation, against the exact one. */
static void tails_against_enumeration(void **state)
{
    (void)state;
    struct qvl_paired test;
    const double tied[] = {1, -1, 2, 2, 3, 3, 3, -4};
    const double ranks[] = {1.5, 1.5, 3.5, 3.5, 6, 6, 6, 8};
    int at_least = 0;
    for (int pattern = 0; pattern < 256; pattern++) {
        double sum = 0;
        for (int i = 0; i < 8; i++)
            sum += pattern >> i & 1 ? ranks[i] : 0;
        at_least += sum >= 1.5 + 3.5 + 3.5 + 6 + 6 + 6;
    }
    double observed[8];
    for (int i = 0; i < 8; i++)
        observed[i] = tied[i];
    assert_int_equal(qvl_paired_test(observed, 8, 0.9, &test, NULL), QVL_OK);
    near(test.p_above, at_least / 256.0, 1e-15);
    /* 60 differences are exact, 61 approximate: nearly the same sample must have nearly the same p. */
    double many[61];
    for (int i = 0; i < 61; i++)
        many[i] = (i % 3 ? 1 : -1) * (1 + 0.01 * i);
    struct qvl_paired exact, approximate;
    assert_int_equal(qvl_paired_test(many + 1, 60, 0.99, &exact, NULL), QVL_OK);
    assert_int_equal(qvl_paired_test(many, 61, 0.99, &approximate, NULL), QVL_OK);
    near(approximate.p_above / exact.p_above, 1, 0.1);
    near(approximate.low, exact.low, 0.05);
    near(approximate.error / exact.error, 1, 0.1);
}

static void too_few_for_a_verdict(void **state)
{
    (void)state;
    struct qvl_paired test;
    const double three[] = {0.1, 0.2, 0.3};
    assert_int_equal(qvl_paired_minimum(0.005), 8); /* 2^-7 = 0.0078, 2^-8 = 0.0039 */
    assert_int_equal(qvl_paired_minimum(0.5), 1);
    assert_int_equal(qvl_paired_test(three, 3, 0.99, &test, NULL), QVL_OK);
    assert_false(test.bounded);
    assert_true(isinf(test.low) && isinf(test.high));
    assert_true(isinf(qvl_paired_detectable(&test, 0.005)));
}

/* Sorted p of 0.01, 0.02, 0.03, 0.5 times 4/1, 4/2, 4/3, 4/4, and the least from the right. */
static void false_discoveries_by_hand(void **state)
{
    (void)state;
    const double p[] = {0.5, 0.01, 0.03, 0.02};
    const double expected[] = {0.5, 0.04, 0.04, 0.04};
    const double equal[] = {0.5, 0.5, 0.5};
    double adjusted[4];
    assert_int_equal(qvl_false_discovery(p, 4, adjusted, NULL), QVL_OK);
    for (int i = 0; i < 4; i++)
        near(adjusted[i], expected[i], 1e-15);
    assert_int_equal(qvl_false_discovery(equal, 3, adjusted, NULL), QVL_OK);
    near(adjusted[0], 0.5, 1e-15);
}

static void trends(void **state)
{
    (void)state;
    double change, p;
    double rising[20], flat[20];
    for (int i = 0; i < 20; i++) {
        rising[i] = 0.5 * i;
        flat[i] = i % 2 ? 1 : -1;
    }
    rising[7] = 1000; /* an outlier does not matter */
    assert_true(qvl_trend(rising, 20, &change, &p));
    near(change, 9.5, 1e-12);
    assert_true(p < 1e-6);
    assert_true(qvl_trend(flat, 20, &change, &p));
    near(change, 0, 1e-12);
    assert_true(p > 0.3);
    assert_false(qvl_trend(flat, 1, &change, &p));
}

/* White noise stays as it is, on the whole; neighbours that resemble each other become few. */
static void blocks_follow_the_correlation(void **state)
{
    (void)state;
    double kept[2] = {0, 0};
    for (int strong = 0; strong < 2; strong++)
        for (uint64_t trial = 0; trial < 200; trial++) {
            double values[200];
            double level = 0;
            for (uint64_t i = 0; i < 200; i++) {
                level = (strong ? 0.95 : 0) * level + (double)qvl_random_normal(SEED, trial + 1000, i);
                values[i] = level;
            }
            kept[strong] += (double)qvl_blocks(values, 200) / 200;
        }
    print_message("seed %d: of 200 differences, blocks left of white noise %.0f, of AR(1) with 0.95 %.1f\n",
                  SEED, kept[0], kept[1]);
    assert_true(kept[0] > 150);
    assert_true(kept[1] < 15); /* (1 - 0.95) / (1 + 0.95) of 200 is 5 */
    double many[5000];
    for (int i = 0; i < 5000; i++)
        many[i] = i % 7;
    assert_in_range(qvl_blocks(many, 5000), 1, QVL_PAIRED_MAX);
    double constant[9] = {0};
    assert_int_equal(qvl_blocks(constant, 9), 9);
}

/* The interval holds the truth as often as it says, and the power is the stated one. Student's t with 3
 * degrees has the heavy tails of timings. */
static void coverage_and_power(void **state)
{
    (void)state;
    int covered = 0, found = 0, false_alarms = 0;
    const int trials = 1000;
    double detectable = 0;
    for (int trial = 0; trial < trials; trial++) {
        double noise[24], shifted[24];
        struct qvl_paired test;
        for (uint64_t i = 0; i < 24; i++) {
            double scale = 0;
            for (uint64_t k = 0; k < 3; k++) {
                const double z = (double)qvl_random_normal(SEED, 7000000 + (uint64_t)trial, 4 * i + k + 1);
                scale += z * z / 3;
            }
            noise[i] = 0.01 * (double)qvl_random_normal(SEED, 7000000 + (uint64_t)trial, 4 * i) / sqrt(scale);
        }
        assert_int_equal(qvl_paired_test(noise, 24, 0.99, &test, NULL), QVL_OK);
        covered += test.low <= 0 && test.high >= 0;
        false_alarms += test.p_above <= 0.005;
        detectable += qvl_paired_detectable(&test, 0.005) / trials;
        for (int i = 0; i < 24; i++)
            shifted[i] = noise[i] + 0.0105; /* about the mean detectable shift, asserted below */
        assert_int_equal(qvl_paired_test(shifted, 24, 0.99, &test, NULL), QVL_OK);
        found += test.p_above <= 0.005;
    }
    print_message(
        "seed %d: 99 %% interval covers %.2f %%, false alarms %.2f %%, detectable %.4f, found %.1f %%\n",
        SEED, 100.0 * covered / trials, 100.0 * false_alarms / trials, detectable, 100.0 * found / trials);
    assert_true(covered >= trials * 98 / 100);
    assert_true(false_alarms <= trials / 100);
    near(detectable, 0.0105, 0.0010);
    assert_true(found >= trials * 80 / 100 && found <= trials * 98 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles),
        cmocka_unit_test(signed_ranks_by_hand),
        cmocka_unit_test(a_published_example),
        cmocka_unit_test(tails_against_enumeration),
        cmocka_unit_test(too_few_for_a_verdict),
        cmocka_unit_test(false_discoveries_by_hand),
        cmocka_unit_test(trends),
        cmocka_unit_test(blocks_follow_the_correlation),
        cmocka_unit_test(coverage_and_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
