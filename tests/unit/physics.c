/* The physics gate and the conditions of a measurement, on timings that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/physics.h"

/* A machine of 100 GFLOP/s a thread in float32, 800 in bfloat16 tiles, 2 threads; 10 GB/s, 100 in the cache.
 */
static struct qvl_limits machine(void)
{
    struct qvl_limits limits = {.threads = 2, .count = 5};
    const struct qvl_limit rows[] = {
        {.name = "fma_f32_1_threads", .threads = 1, .median = 90e9, .best = 100e9},
        {.name = "fma_f32_2_threads", .threads = 2, .median = 90e9, .best = 110e9},
        {.name = "tile_bf16_1_threads", .threads = 1, .best = 800e9},
        {.name = "read_2_threads", .threads = 2, .median = 8e9, .best = 10e9},
        {.name = "cache_read_1_threads", .threads = 1, .best = 50e9}};
    memcpy(limits.rows, rows, sizeof rows);
    return limits;
}

static void limits_of_all_threads_bound_a_rate(void **state)
{
    const struct qvl_limits limits = machine();
    (void)state;
    /* two threads were disturbed: twice the best of one counts */
    assert_float_equal(qvl_limits_peak(&limits, QVL_F32, false), 200e9, 1);
    assert_float_equal(qvl_limits_peak(&limits, QVL_F32, true), 1600e9, 1);
    assert_float_equal(qvl_limits_peak(&limits, QVL_BF16, false), 1600e9, 1);
    assert_float_equal(qvl_limits_memory(&limits), 10e9, 1);
    assert_float_equal(qvl_limits_cache(&limits), 100e9, 1);
}

static void faster_than_the_roofline_is_impossible(void **state)
{
    const struct qvl_limits limits = machine();
    const struct qvl_roofline roofline = qvl_roofline_of_host(&limits, QVL_F32, false);
    const struct qvl_work product = {.flops = 200e6, .bytes = 1e6};
    struct qvl_work stream = {.bytes = 100e6};
    char reason[256] = "";
    (void)state;
    assert_float_equal(qvl_physics_floor(&roofline, &product), 1e-3, 1e-12);
    assert_true(qvl_physics_possible(&roofline, &product, 1.0e-3, reason, sizeof reason));
    assert_true(qvl_physics_possible(&roofline, &product, 0.96e-3, reason, sizeof reason)); /* the margin */
    assert_string_equal(reason, "");
    assert_false(qvl_physics_possible(&roofline, &product, 0.94e-3, reason, sizeof reason));
    assert_non_null(strstr(reason, "0.00094 s is less than the 0.001 s"));
    /* 100 MB take 1 ms from the cache and 10 ms from beyond it */
    assert_true(qvl_physics_possible(&roofline, &stream, 1.1e-3, reason, sizeof reason));
    stream.cold = true;
    assert_false(qvl_physics_possible(&roofline, &stream, 1.1e-3, reason, sizeof reason));
    assert_true(qvl_physics_possible(&roofline, &stream, 11e-3, reason, sizeof reason));
}

static void datasheets_bound_a_device(void **state)
{
    const struct qvl_hardware device = {.flops = {[QVL_RATE_FP32] = 1e12, [QVL_RATE_BF16] = 4e12},
                                        .bandwidth = 1e12};
    const struct qvl_roofline roofline = qvl_roofline_of_device(&device, QVL_BF16, false);
    const struct qvl_work hot = {.flops = 4e9, .bytes = 1e12};
    char reason[256];
    (void)state;
    assert_true(qvl_physics_possible(&roofline, &hot, 1e-3, reason, sizeof reason));
    assert_false(qvl_physics_possible(&roofline, &hot, 0.5e-3, reason, sizeof reason));
    /* a type without a rate has no bound */
    const struct qvl_roofline none = qvl_roofline_of_device(&device, QVL_F16, false);
    assert_true(qvl_physics_possible(&none, &hot, 1e-9, reason, sizeof reason));
}

static void conditions_break_only_with_the_samples(void **state)
{
    const struct qvl_moment before = {.spin = 1e-3, .busy = 1000, .own = 10, .total = 5000};
    struct qvl_moment after = {.spin = 1.01e-3, .busy = 1100, .own = 105, .total = 5200};
    const double calm = 0.02, wild = 0.3;
    (void)state;
    struct qvl_conditions conditions = qvl_conditions_between(&before, &after, wild);
    assert_string_equal(conditions.broken, ""); /* noisy, but nothing outside to blame */
    assert_float_equal(conditions.noise, 0.3, 1e-12);
    assert_float_equal(conditions.others, 0.025, 1e-12);
    after.busy = 1195; /* others took half of all */
    conditions = qvl_conditions_between(&before, &after, wild);
    assert_non_null(strstr(conditions.broken, "other programs used the processors"));
    assert_string_equal(qvl_conditions_between(&before, &after, calm).broken, "");
    after.busy = 1100;
    after.spin = 1.3e-3;
    assert_non_null(strstr(qvl_conditions_between(&before, &after, wild).broken, "clock"));
    after.spin = 1e-3;
    after.stolen = 40;
    assert_non_null(strstr(qvl_conditions_between(&before, &after, wild).broken, "hypervisor"));

    struct qvl_record *record = qvl_record_create("timing", "x", QVL_CASE_PASSED);
    conditions = qvl_conditions_between(&before, &after, wild);
    qvl_conditions_record(&conditions, true, record);
    assert_int_equal(record->status, QVL_CASE_INVALID);
    assert_float_equal(qvl_record_find(record, "stolen")->value.real, 0.2, 1e-12);
    qvl_record_destroy(record);
}

static void caches_are_where_the_sweep_drops(void **state)
{
    struct qvl_limits limits = {.sweep_count = 8,
                                .sweep_bytes = {1, 2, 4, 8, 16, 32, 64, 128},
                                .sweep_rates = {100, 101, 99, 50, 52, 49, 10, 9}};
    double bytes[4];
    (void)state;
    assert_int_equal(qvl_limits_caches(&limits, bytes, 4), 2);
    assert_float_equal(bytes[0], 4, 0);
    assert_float_equal(bytes[1], 32, 0);
}

/* That figures come out, in their places; how large they are is the machine's affair. */
static void this_machine_has_limits(void **state)
{
    const struct qvl_limits_options options = {
        .seconds = 0.001, .memory = 1 << 22, .host = true, .sweep = true};
    struct qvl_limits limits;
    struct qvl_report report = {0};
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_limits_measure(NULL, &options, &limits, &error), QVL_OK);
    assert_non_null(qvl_limits_find(&limits, "fma_f32_1_threads"));
    assert_non_null(qvl_limits_find(&limits, "read_1_threads"));
    assert_true(qvl_limits_peak(&limits, QVL_F32, false) > 0);
    assert_true(qvl_limits_peak(&limits, QVL_BF16, false) >= 2 * qvl_limits_peak(&limits, QVL_F32, false));
    assert_true(limits.sweep_count >= 5);
    assert_int_equal(qvl_limits_report(&limits, &report, &error), QVL_OK);
    assert_int_equal(report.record_count, limits.count + 1);
    qvl_report_clear(&report);
    const struct qvl_moment now = qvl_moment_now();
    assert_true(now.spin > 0 && now.spin < 1 && now.processors > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_all_threads_bound_a_rate),
        cmocka_unit_test(faster_than_the_roofline_is_impossible),
        cmocka_unit_test(datasheets_bound_a_device),
        cmocka_unit_test(conditions_break_only_with_the_samples),
        cmocka_unit_test(caches_are_where_the_sweep_drops),
        cmocka_unit_test(this_machine_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
