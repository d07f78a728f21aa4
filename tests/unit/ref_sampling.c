#include "ref_fixture.h"

static int64_t token;
static float probabilities[8];

/* Everything off: plain softmax sampling at `uniform`. */
static struct qvl_sample_args plain(int64_t vocab, const double *logits, double uniform)
{
    return (struct qvl_sample_args){.logits = vector(QVL_F32, vocab, logits),
                                    .repetition_penalty = 1,
                                    .temperature = 1,
                                    .top_p = 1,
                                    .uniform = uniform,
                                    .token = &token,
                                    .probabilities = probabilities};
}

static void expect_distribution(const struct qvl_sample_args *args, const double *expected)
{
    expect_ok(ref->ops.sample(ref, args, &error));
    for (int64_t i = 0; i < args->logits.shape[0]; i++)
        if (!(fabs((double)probabilities[i] - expected[i]) < 1e-6))
            fail_msg("id %lld has %g, expected %g", (long long)i, (double)probabilities[i], expected[i]);
}

/* Weights 1, 2, 4, 1: cumulative 1/8, 3/8, 7/8, 1. */
static void draws_the_first_id_above_uniform(void **state)
{
    (void)state;
    const double logits[4] = {0, log(2), log(4), 0};
    const double uniform[6] = {0, 0.124, 0.126, 0.374, 0.376, 0.999999};
    const int64_t expected[6] = {0, 0, 1, 1, 2, 3};
    for (int i = 0; i < 6; i++) {
        struct qvl_sample_args args = plain(4, logits, uniform[i]);
        expect_distribution(&args, (const double[]){0.125, 0.25, 0.5, 0.125});
        assert_int_equal(token, expected[i]);
    }
}

/* Argmax, lowest id on ties; all negative; all -inf or NaN still give a valid id. */
static void greedy_takes_the_largest(void **state)
{
    (void)state;
    const double rows[4][3] = {
        {-3, -1, -1}, {-5, -6, -4}, {-INFINITY, -INFINITY, -INFINITY}, {NAN, NAN, NAN}};
    const int64_t expected[4] = {1, 2, 0, 0};
    for (int i = 0; i < 4; i++) {
        struct qvl_sample_args args = plain(3, rows[i], 0.5);
        args.greedy = true;
        expect_ok(ref->ops.sample(ref, &args, &error));
        assert_int_equal(token, expected[i]);
        assert_true(probabilities[token] == 1);
        args.greedy = false;
        expect_ok(ref->ops.sample(ref, &args, &error));
        assert_in_range(token, 0, 2);
    }
}

/* Repetition 2: ids 0 (prompt), 1 and 2 (output, twice), once each: 2 -> 1, -1 -> -2, 4 -> 2; id 3 stays
 * at 1.5. */
static void repetition_penalty_counts_each_id_once(void **state)
{
    (void)state;
    const int64_t prompt[2] = {0, 1}, output[3] = {1, 2, 2};
    struct qvl_sample_args args = plain(4, (const double[]){2, -1, 4, 1.5}, 0);
    args.repetition_penalty = 2;
    args.prompt = prompt;
    args.prompt_count = 2;
    args.output = output;
    args.output_count = 3;
    const double sum = exp(1) + exp(-2) + exp(2) + exp(1.5);
    expect_distribution(&args, (const double[]){exp(1) / sum, exp(-2) / sum, exp(2) / sum, exp(1.5) / sum});
    args.greedy = true;
    args.repetition_penalty = 3; /* 4 / 3 falls below 1.5 */
    expect_ok(ref->ops.sample(ref, &args, &error));
    assert_int_equal(token, 3);
}

/* Presence 1.5: once for ids of the output, not of the prompt; after repetition, before temperature. */
static void presence_penalty_sees_the_output_only(void **state)
{
    (void)state;
    const int64_t prompt[1] = {0}, output[3] = {2, 2, 2};
    struct qvl_sample_args args = plain(3, (const double[]){1, 1, 4}, 0);
    args.prompt = prompt;
    args.prompt_count = 1;
    args.output = output;
    args.output_count = 3;
    args.presence_penalty = 1.5;
    double sum = 2 * exp(1) + exp(2.5);
    expect_distribution(&args, (const double[]){exp(1) / sum, exp(1) / sum, exp(2.5) / sum});
    args.repetition_penalty = 2; /* id 0: 0.5; id 2: 4 / 2 - 1.5 = 0.5 */
    args.temperature = 0.5;      /* doubles everything after the penalties */
    sum = 2 * exp(1) + exp(2);
    expect_distribution(&args, (const double[]){exp(1) / sum, exp(2) / sum, exp(1) / sum});
}

/* Temperature 0.5 squares the weights 1, 2, 4. */
static void temperature_divides(void **state)
{
    (void)state;
    struct qvl_sample_args args = plain(3, (const double[]){0, log(2), log(4)}, 0);
    args.temperature = 0.5;
    expect_distribution(&args, (const double[]){1 / 21.0, 4 / 21.0, 16 / 21.0});
}

/* top-k 2 of 3, 5, 5, 5, 1: all values equal to the second largest stay; k above the vocabulary is off. */
static void top_k_keeps_ties(void **state)
{
    (void)state;
    struct qvl_sample_args args = plain(5, (const double[]){3, 5, 5, 5, 1}, 0.99);
    args.top_k = 2;
    expect_distribution(&args, (const double[]){0, 1 / 3.0, 1 / 3.0, 1 / 3.0, 0});
    assert_int_equal(token, 3);
    args = plain(3, (const double[]){0, 0, 0}, 0);
    args.top_k = 50;
    expect_distribution(&args, (const double[]){1 / 3.0, 1 / 3.0, 1 / 3.0});
}

/* Weights 1, 2, 4, 1 of 8 ascending: cumulative 1/8, 2/8, 4/8, 1. top-p 0.7 drops while the sum <= 0.3: two;
 * 0.5 drops the sum 0.5 as well; a tiny p leaves the largest. */
static void top_p_drops_the_tail(void **state)
{
    (void)state;
    const double logits[4] = {0, log(2), log(4), 0};
    struct qvl_sample_args args = plain(4, logits, 0);
    args.top_p = 0.7;
    expect_distribution(&args, (const double[]){0, 1 / 3.0, 2 / 3.0, 0});
    args.top_p = 0.49;
    expect_distribution(&args, (const double[]){0, 0, 1, 0});
    args.top_p = 1e-9;
    expect_distribution(&args, (const double[]){0, 0, 1, 0});
    args.top_p = 0.99; /* 1/8 > 0.01: nothing goes */
    expect_distribution(&args, (const double[]){0.125, 0.25, 0.5, 0.125});
}

/* top-k first, then top-p on what is left and renormalised: 8, 4, 2, 1 with k = 2 leaves 2/3, 1/3. */
static void top_p_follows_top_k(void **state)
{
    (void)state;
    struct qvl_sample_args args = plain(4, (const double[]){log(8), log(4), log(2), 0}, 0);
    args.top_k = 2;
    args.top_p = 0.65; /* 1/3 <= 0.35 */
    expect_distribution(&args, (const double[]){1, 0, 0, 0});
    args.top_p = 0.7;
    expect_distribution(&args, (const double[]){2 / 3.0, 1 / 3.0, 0, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_the_first_id_above_uniform),
        cmocka_unit_test(greedy_takes_the_largest),
        cmocka_unit_test(repetition_penalty_counts_each_id_once),
        cmocka_unit_test(presence_penalty_sees_the_output_only),
        cmocka_unit_test(temperature_divides),
        cmocka_unit_test(top_k_keeps_ties),
        cmocka_unit_test(top_p_drops_the_tail),
        cmocka_unit_test(top_p_follows_top_k),
    };
    return RUN_REF_TESTS(tests);
}
