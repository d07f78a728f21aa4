/* The honest-rounding envelope: hand-worked metrics, ranks and limits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "verify/envelope.h"

/* Two rows of four logits: one decided, one close. */
static float exact_values[8] = {0, 1, 4, 2, 3.0F, 0, 2.875F, 1};

static struct qvl_tap_entry logits_of(float *values)
{
    return (struct qvl_tap_entry){.name = "logits", .rank = 2, .shape = {2, 4}, .values = values};
}

static void copy(float to[8])
{
    for (int i = 0; i < 8; i++)
        to[i] = exact_values[i];
}

static void metrics_are_those_of_the_definition(void **state)
{
    (void)state;
    const struct qvl_tap_entry exact = logits_of(exact_values);
    float changed[8];
    double values[QVL_ENVELOPE_METRICS];
    copy(changed);
    struct qvl_tap_entry other = logits_of(changed);
    qvl_envelope_measure(&exact, &other, values);
    for (int metric = 0; metric < QVL_ENVELOPE_METRICS; metric++)
        assert_true(values[metric] == 0);
    changed[6] = 3.125F; /* the close row turns */
    changed[0] = -0.5F;
    qvl_envelope_measure(&exact, &other, values);
    assert_true(values[QVL_ENVELOPE_LARGEST] == 0.5);
    assert_true(fabs(values[QVL_ENVELOPE_RMS] - sqrt((0.25 * 0.25 + 0.5 * 0.5) / 8)) < 1e-12);
    assert_true(values[QVL_ENVELOPE_FLIPS] == 1);
    double expected = 0;
    for (int row = 0; row < 2; row++) {
        double p = 0, q = 0;
        for (int i = 0; i < 4; i++) {
            p += exp(exact_values[4 * row + i]);
            q += exp(changed[4 * row + i]);
        }
        for (int i = 0; i < 4; i++) {
            const double share = exp(exact_values[4 * row + i]) / p;
            expected += share * log(share / (exp(changed[4 * row + i]) / q)) / 2;
        }
    }
    assert_true(fabs(values[QVL_ENVELOPE_KL] - expected) < 1e-12);
    /* A shift of a whole row changes no probability. */
    copy(changed);
    for (int i = 0; i < 4; i++)
        changed[i] += 8;
    qvl_envelope_measure(&exact, &other, values);
    assert_true(values[QVL_ENVELOPE_KL] < 1e-15);
    changed[5] = NAN;
    qvl_envelope_measure(&exact, &other, values);
    assert_true(isinf(values[QVL_ENVELOPE_LARGEST]) && isinf(values[QVL_ENVELOPE_KL]));
    other.shape[0] = 1;
    qvl_envelope_measure(&exact, &other, values);
    assert_true(isinf(values[QVL_ENVELOPE_FLIPS]));
}

static struct qvl_envelope judge(float *candidate, double safety, double factor)
{
    const double draws[3][QVL_ENVELOPE_METRICS] = {
        {0.1, 0.02, 1e-4, 0}, {0.3, 0.01, 3e-4, 1}, {0.2, 0.03, 2e-4, 0}};
    const struct qvl_tap_entry exact = logits_of(exact_values);
    const struct qvl_tap_entry other = logits_of(candidate);
    struct qvl_envelope envelope;
    struct qvl_error error;
    assert_int_equal(qvl_envelope_judge(&exact, &other, draws, 3, safety, factor, &envelope, &error), QVL_OK);
    return envelope;
}

static void ranks_and_limits_follow_the_draws(void **state)
{
    (void)state;
    float changed[8];
    copy(changed);
    changed[1] += 0.25F; /* largest 0.25: two draws are less, one is more */
    struct qvl_envelope envelope = judge(changed, 2, 1);
    const struct qvl_envelope_result *largest = &envelope.metrics[QVL_ENVELOPE_LARGEST];
    assert_true(largest->smallest == 0.1 && largest->median == 0.2 && largest->largest == 0.3);
    assert_int_equal(largest->at_least, 1);
    assert_true(largest->p == 0.5);
    assert_true(largest->limit == 0.6);
    assert_int_equal(largest->status, QVL_CASE_PASSED);
    assert_true(envelope.metrics[QVL_ENVELOPE_RMS].limit == 0.06);
    assert_true(fabs(envelope.metrics[QVL_ENVELOPE_KL].limit - 4 * 3e-4) < 1e-18);
    /* Errors up to 0.6 may turn the row whose two largest logits are 0.125 apart, not the one with 2. */
    assert_true(envelope.metrics[QVL_ENVELOPE_FLIPS].limit == 1);
    /* Accumulating in float32 adds a factor: it scales the limit, and the candidate for its rank. */
    envelope = judge(changed, 2, 5);
    assert_true(fabs(envelope.metrics[QVL_ENVELOPE_LARGEST].scaled - 0.05) < 1e-15);
    assert_int_equal(envelope.metrics[QVL_ENVELOPE_LARGEST].at_least, 3);
    assert_true(envelope.metrics[QVL_ENVELOPE_LARGEST].limit == 3.0);
}

static void what_is_beyond_fails(void **state)
{
    (void)state;
    float changed[8];
    copy(changed);
    changed[1] += 0.75F;
    assert_int_equal(judge(changed, 2, 1).metrics[QVL_ENVELOPE_LARGEST].status, QVL_CASE_FAILED);
    copy(changed);
    changed[6] += 0.25F; /* a flip that rounding explains */
    assert_int_equal(judge(changed, 2, 1).metrics[QVL_ENVELOPE_FLIPS].status, QVL_CASE_PASSED);
    copy(changed);
    changed[3] += 3; /* one that it does not */
    struct qvl_envelope envelope = judge(changed, 2, 1);
    assert_int_equal(envelope.unexplained_flips, 1);
    assert_int_equal(envelope.metrics[QVL_ENVELOPE_FLIPS].status, QVL_CASE_FAILED);
    changed[3] = NAN;
    envelope = judge(changed, 2, 1);
    assert_int_equal(envelope.metrics[QVL_ENVELOPE_RMS].status, QVL_CASE_FAILED);
    assert_int_equal(envelope.metrics[QVL_ENVELOPE_RMS].at_least, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_those_of_the_definition),
        cmocka_unit_test(ranks_and_limits_follow_the_draws),
        cmocka_unit_test(what_is_beyond_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
