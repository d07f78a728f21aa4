#include "ref_fixture.h"

/* Ties, neighbours of ties, overflow and subnormals of the three storage types. */
static void rounds_to_nearest_even(void **state)
{
    (void)state;
    const struct {
        enum qvl_dtype dtype;
        double value, expected;
    } cases[] = {
        {QVL_BF16, 1 + 0x1p-8, 1},                      /* tie to even, down */
        {QVL_BF16, 1 + 3 * 0x1p-8, 1 + 0x1p-6},         /* tie to even, up */
        {QVL_BF16, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7},   /* above the tie by less than float32 sees */
        {QVL_BF16, -1 - 0x1p-8 - 0x1p-40, -1 - 0x1p-7}, /* the same below zero */
        {QVL_BF16, 1 + 3 * 0x1p-8 - 0x1p-40, 1 + 0x1p-7},
        {QVL_BF16, 257, 256},
        {QVL_BF16, 0x1.fep127, 0x1.fep127},
        {QVL_BF16, 0x1.fefp127, 0x1.fep127},
        {QVL_BF16, 0x1.ffp127, INFINITY},
        {QVL_BF16, 0x1p-134, 0},
        {QVL_BF16, 0x1.8p-133, 0x1p-132},
        {QVL_F16, 1 + 0x1p-11, 1},
        {QVL_F16, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10},
        {QVL_F16, 65519, 65504},
        {QVL_F16, 65520, INFINITY},
        {QVL_F16, -70000, -INFINITY},
        {QVL_F16, 0x1p-25, 0},
        {QVL_F16, 0x1.8p-24, 0x1p-23},
        {QVL_F32, 1 + 0x1p-24, 1},
        {QVL_F32, 1 + 0x1p-24 + 0x1p-50, 1 + 0x1p-23},
        {QVL_F32, 0x1p128, INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double got = qvl_round_nearest(cases[i].dtype, cases[i].value);
        if (got != cases[i].expected)
            fail_msg("%s of %a is %a, expected %a", qvl_dtype_name(cases[i].dtype), cases[i].value, got,
                     cases[i].expected);
    }
    assert_true(isnan(qvl_round_nearest(QVL_BF16, NAN)));
    assert_true(signbit(qvl_round_nearest(QVL_F16, -0x1p-30)));
}

/* Every 16-bit value survives load, r() and store. */
static void keeps_stored_values(void **state)
{
    (void)state;
    const enum qvl_dtype types[2] = {QVL_BF16, QVL_F16};
    for (int t = 0; t < 2; t++)
        for (uint32_t bits = 0; bits < 0x10000; bits++) {
            const uint16_t stored[2] = {(uint16_t)bits, 0};
            uint16_t back[2];
            double value;
            qvl_load_row(stored, types[t], 1, &value);
            if (isnan(value))
                continue;
            value = qvl_round_nearest(types[t], value);
            qvl_store_row(&value, types[t], 1, back);
            assert_int_equal(back[0], stored[0]);
        }
}

/* 1 + 0.25 spacings goes up in a quarter of the draws, never elsewhere, and the same way twice. */
static void jitters_by_distance(void **state)
{
    (void)state;
    const double value = 1 + 0x1p-9;
    uint64_t first = 42, second = 42;
    const struct qvl_rounding r = {QVL_BF16, &first}, same = {QVL_BF16, &second};
    int up = 0;
    for (int i = 0; i < 4000; i++) {
        const double rounded = qvl_round(&r, value);
        assert_true(rounded == 1 || rounded == 1 + 0x1p-7);
        assert_true(rounded == qvl_round(&same, value));
        up += rounded > 1;
    }
    assert_in_range(up, 850, 1150); /* 1000 +- 5.5 standard deviations */
    for (int i = 0; i < 100; i++)
        assert_true(qvl_round(&r, -0.75) == -0.75);
}

/* Two backends with one seed agree, with another they differ; the state is not shared. */
static void jitter_belongs_to_the_backend(void **state)
{
    (void)state;
    const struct qvl_backend_options options[3] = {
        {.jitter_seed = 7}, {.jitter_seed = 7}, {.jitter_seed = 8}};
    double a[64], b[64];
    struct qvl_tensor x, y, sum[3];
    int differ = 0;
    for (int i = 0; i < 64; i++) {
        a[i] = 1 + i * 0x1p-7;
        b[i] = 1 / (3.0 + i);
    }
    x = matrix(QVL_BF16, 4, 16, a);
    y = matrix(QVL_BF16, 4, 16, b);
    for (int k = 0; k < 3; k++) {
        struct qvl_backend *jittered;
        expect_ok(qvl_ref_open(&options[k], &jittered, &error));
        sum[k] = matrix(QVL_BF16, 4, 16, NULL);
        expect_ok(jittered->ops.add(jittered, &(struct qvl_add_args){.a = x, .b = y, .y = sum[k]}, &error));
        jittered->close(jittered);
    }
    for (int i = 0; i < 64; i++) {
        assert_true(at(&sum[0], i) == at(&sum[1], i));
        differ += at(&sum[0], i) != at(&sum[2], i);
    }
    assert_true(differ > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_to_nearest_even),
        cmocka_unit_test(keeps_stored_values),
        cmocka_unit_test(jitters_by_distance),
        cmocka_unit_test(jitter_belongs_to_the_backend),
    };
    return RUN_REF_TESTS(tests);
}
