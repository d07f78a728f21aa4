/* The cpu backend's sampling step, by hand and against the reference. */
#include "cpu_test.h"

static struct qvl_sample_args plain(float *logits, int64_t vocab, int64_t *token)
{
    return (struct qvl_sample_args){.logits = qvl_tensor_1d(logits, QVL_F32, vocab),
                                    .repetition_penalty = 1,
                                    .temperature = 1,
                                    .top_p = 1,
                                    .token = token};
}

static int64_t run(struct qvl_backend *backend, const struct qvl_sample_args *args)
{
    TEST_OK(backend->ops.sample(backend, args, &error));
    return *args->token;
}

/* Greedy: ties to the lowest id; the penalties change the winner: 3 / 2 < 2 (prompt id 1), 2 - 1 < 1.5
 * (output id 2), -1 * 2 = -2 (negative logits grow more negative). */
static void greedy_by_hand(void **state)
{
    struct test_backends *backends = *state;
    for (int b = 0; b < backends->count; b++) {
        float logits[5] = {1.5f, 3, 2, 3, -1};
        const int64_t prompt[3] = {1, 1, 4}, output[2] = {3, 2};
        int64_t token;
        struct qvl_sample_args args = plain(logits, 5, &token);
        args.greedy = true;
        assert_int_equal(run(backends->cpu[b], &args), 1);
        args.prompt = prompt;
        args.prompt_count = 3;
        args.repetition_penalty = 2;
        assert_int_equal(run(backends->cpu[b], &args), 3);
        args.output = output;
        args.output_count = 2; /* now 1.5, 1.5, 1, 1.5, -2 */
        assert_int_equal(run(backends->cpu[b], &args), 0);
        args.presence_penalty = -4; /* 1.5, 1.5, 5, 5.5, -2 */
        assert_int_equal(run(backends->cpu[b], &args), 3);
    }
}

/* Logits ln 1, ln 2, ln 3, ln 4: probabilities 0.1 to 0.4. top_k 3 leaves 2/9, 3/9, 4/9; top_p 0.65 drops the
 * first two (0.1 <= 0.35, 0.3 <= 0.35, 0.6 > 0.35), leaving 3/7 and 4/7. */
static void distribution_by_hand(void **state)
{
    struct test_backends *backends = *state;
    for (int b = 0; b < backends->count; b++) {
        float logits[4] = {0, logf(2), logf(3), logf(4)}, p[4];
        int64_t token;
        struct qvl_sample_args args = plain(logits, 4, &token);
        args.probabilities = p;
        args.uniform = 0.29;
        assert_int_equal(run(backends->cpu[b], &args), 1);
        args.uniform = 0.31;
        assert_int_equal(run(backends->cpu[b], &args), 2);
        args.top_k = 3;
        args.uniform = 0.2;
        assert_int_equal(run(backends->cpu[b], &args), 1);
        assert_true(p[0] == 0 && fabsf(p[1] - 2.0f / 9) < 1e-6f && fabsf(p[3] - 4.0f / 9) < 1e-6f);
        args.top_k = 0;
        args.top_p = 0.65;
        assert_int_equal(run(backends->cpu[b], &args), 2);
        assert_true(p[0] == 0 && p[1] == 0 && fabsf(p[2] - 3.0f / 7) < 1e-6f);
        args.top_p = 0.01; /* the largest always stays */
        assert_int_equal(run(backends->cpu[b], &args), 3);
        assert_true(p[3] == 1);
        args.top_p = 1;
        args.temperature = 0.5; /* squares: 1 4 9 16 of 30 */
        args.uniform = 13.5 / 30;
        assert_int_equal(run(backends->cpu[b], &args), 2);
        assert_true(fabsf(p[2] - 0.3f) < 1e-6f);
    }
}

static void against_reference(void **state)
{
    struct test_backends *backends = *state;
    enum { VOCAB = 1201 };
    static float logits[VOCAB], p[2][VOCAB];
    test_seed(61);
    for (int round = 0; round < 300; round++) {
        int64_t prompt[5], output[7], token[2];
        struct qvl_sample_args args = plain(logits, VOCAB, &token[0]);
        for (int i = 0; i < VOCAB; i++)
            logits[i] = (float)(round % 3 ? test_normal() * 3 : (double)test_below(5)); /* many ties */
        if (round % 10 == 9)
            logits[test_below(VOCAB)] = round % 20 == 9 ? NAN : -INFINITY;
        for (int i = 0; i < 7; i++)
            output[i] = prompt[i % 5] = test_below(VOCAB);
        args.prompt = prompt, args.prompt_count = 5;
        args.output = output, args.output_count = 7;
        args.greedy = round % 7 == 0;
        args.repetition_penalty = 1 + test_uniform();
        args.presence_penalty = test_uniform() * 2;
        args.temperature = 0.3 + test_uniform();
        args.top_k = (int64_t[]){0, 1, 20, 255, 300, VOCAB, 5000}[test_below(7)];
        args.top_p = test_below(2) ? 1 : test_uniform();
        args.uniform = test_uniform();
        args.probabilities = p[0];
        run(backends->ref, &args);
        args.token = &token[1];
        args.probabilities = p[1];
        for (int b = 0; b < backends->count; b++) {
            run(backends->cpu[b], &args);
            assert_int_equal(token[0], token[1]);
            for (int i = 0; i < VOCAB; i++)
                assert_true(isnan(p[0][i]) ? isnan(p[1][i]) : fabsf(p[0][i] - p[1][i]) <= 2e-7f * p[0][i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_by_hand),
        cmocka_unit_test(distribution_by_hand),
        cmocka_unit_test(against_reference),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
