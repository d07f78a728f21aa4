/* Control-rate verdicts by hand, and the phases against the timings they are made of. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/control.h"
#include "configs.h"

static struct qvl_hardware_table hardware;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

/* One inference takes 80 ms for an action of tokens, 50 ms for a chunk of which up to 25 actions are
 * executed. */
static void answers_by_hand(void **state)
{
    const struct qvl_control_loop loop = {.chunk = 50, .executed = 25};
    struct qvl_control_time time = {.token_period = 0.08,
                                    .chunk_period = 0.05,
                                    .token_floor = 0.06,
                                    .chunk_floor = 0.04,
                                    .token_binding = QVL_CONTROL_TOKENS,
                                    .chunk_binding = QVL_CONTROL_PREFILL};
    (void)state;
    struct qvl_control_answer answer = qvl_control_answer(&time, &loop, 10);
    assert_int_equal(answer.verdict, QVL_CONTROL_FEASIBLE);
    assert_int_equal(answer.binding, QVL_CONTROL_TOKENS);
    assert_true(near(answer.replan_rate, 10) && near(answer.reaction, 0.18));

    answer = qvl_control_answer(&time, &loop, 50); /* 3 actions of 20 ms cover the inference */
    assert_int_equal(answer.verdict, QVL_CONTROL_WITH_CHUNKS);
    assert_int_equal(answer.executed, 3);
    assert_true(near(answer.replan_rate, 1 / 0.06) && near(answer.reaction, 0.11));
    assert_true(near(answer.reaction_sync, 0.11));

    answer = qvl_control_answer(&time, &loop, 1000); /* 25 ms of actions, 50 ms of inference, 40 ms at best */
    assert_int_equal(answer.verdict, QVL_CONTROL_INFEASIBLE);
    assert_int_equal(answer.binding, QVL_CONTROL_PREFILL);
    assert_true(answer.by_physics);
    assert_int_equal(answer.executed, 25);
    assert_true(near(answer.replan_rate, 20) && near(answer.reaction, 0.1));
    assert_true(near(answer.reaction_sync, 0.075));
    time.chunk_floor = 0.02;
    assert_false(qvl_control_answer(&time, &loop, 1000).by_physics);
}

static void phases_are_the_timings(void **state)
{
    const struct qvl_model_config config = config_of("qwen3-vl-2b");
    const struct qvl_deployment deployment = {.config = &config,
                                              .device = {qvl_hardware_find(&hardware, "agx-orin-64"), NULL},
                                              .ways = 1,
                                              .batch = 1};
    const struct qvl_grid grid = {1, 30, 40};
    struct qvl_control_loop loop = {.grids = &grid,
                                    .grid_count = 1,
                                    .text_tokens = 20,
                                    .context = 4096,
                                    .persistent = true,
                                    .other = 0.01,
                                    .action_tokens = 7,
                                    .chunk = 50,
                                    .executed = 25,
                                    .adapter = {1024, 8, 10}};
    struct qvl_control_time time, whole;
    struct qvl_model_time vision, prefill, decode;
    (void)state;
    assert_int_equal(qvl_control_time(&deployment, &loop, &time, NULL), QVL_OK);
    assert_int_equal(qvl_time_vision(&deployment, &grid, 1, &vision, NULL), QVL_OK);
    assert_int_equal(qvl_time_prefill(&deployment, 4096 - 320, 320, &prefill, NULL), QVL_OK);
    assert_int_equal(qvl_time_decode(&deployment, 4096, &decode, NULL), QVL_OK);
    assert_true(near(time.seconds[QVL_CONTROL_VISION], vision.seconds));
    assert_true(near(time.seconds[QVL_CONTROL_PREFILL], prefill.seconds));
    assert_true(near(time.seconds[QVL_CONTROL_TOKENS], 6 * decode.seconds)); /* the first is the prefill's */
    assert_true(near(time.token_period, 0.01 + vision.seconds + prefill.seconds + 6 * decode.seconds));
    assert_true(near(time.token_floor,
                     0.01 + vision.floor_seconds + prefill.floor_seconds + 6 * decode.floor_seconds));
    assert_int_equal(time.token_binding, QVL_CONTROL_TOKENS);
    /* ten passes over 100.7M parameters of two bytes at 204.8 GB/s, and the activations of 50 rows */
    const double streamed = 10 * 12 * 1024.0 * 1024 * 8 * 2 / 204.8e9;
    assert_true(time.floor_seconds[QVL_CONTROL_ADAPTER] > streamed);
    assert_true(time.floor_seconds[QVL_CONTROL_ADAPTER] < 1.2 * streamed);
    assert_int_equal(time.source, QVL_TIME_ROOFLINE);

    loop.persistent = false;
    assert_int_equal(qvl_control_time(&deployment, &loop, &whole, NULL), QVL_OK);
    assert_true(whole.seconds[QVL_CONTROL_PREFILL] > 5 * time.seconds[QVL_CONTROL_PREFILL]);
    loop.context = 319;
    assert_int_equal(qvl_control_time(&deployment, &loop, &whole, NULL), QVL_USAGE);
}

/* 22.19B active parameters less the embedding, and the cache, once through 204.8 and 273 GB/s. */
static void the_flagship_on_edge_modules(void **state)
{
    static const struct {
        const char *name;
        double bandwidth;
    } modules[] = {{"agx-orin-64", 204.8e9}, {"agx-thor", 273e9}};
    const struct qvl_model_config config = config_of("qwen3-vl-235b-a22b");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct qvl_deployment deployment = {
            .config = &config,
            .device = {qvl_hardware_find(&hardware, modules[i].name), NULL},
            .ways = 1,
            .batch = 1};
        const struct qvl_memory_load load = {4096, NULL, 0};
        struct qvl_model_time decode;
        assert_int_equal(qvl_time_decode(&deployment, 4096, &decode, NULL), QVL_OK);
        const double least = 2 * (22190763520.0 - 151936 * 4096.0) / modules[i].bandwidth;
        assert_true(decode.floor_seconds > least && decode.floor_seconds < 1.03 * least);
        assert_false(qvl_memory_count(&deployment, &load).fits);
        assert_int_equal(qvl_memory_least_ways(&deployment, &load), 0);
    }
}

static int setup(void **state)
{
    (void)state;
    return qvl_hardware_load(NULL, &hardware, NULL) == QVL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    qvl_hardware_free(&hardware);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_by_hand),
        cmocka_unit_test(phases_are_the_timings),
        cmocka_unit_test(the_flagship_on_edge_modules),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
