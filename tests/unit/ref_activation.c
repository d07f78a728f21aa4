#include "ref_fixture.h"

/* Both forms near x = -2.7, where they differ most (4.7e-4), and at the ends. */
static void gelu_has_two_forms(void **state)
{
    (void)state;
    const double x_values[6] = {-2.7, 0, 1, 3, -6, 100};
    const double erf_form[6] = {-0.009361, 0, 0.841345, 2.995950, -5.919e-9, 100};
    const double tanh_form[6] = {-0.0088876, 0, 0.841192, 2.996363, 0, 100};
    const struct qvl_tensor x = matrix(QVL_F32, 2, 3, x_values);
    struct qvl_tensor y = matrix(QVL_F32, 2, 3, NULL);
    expect_ok(ref->ops.gelu(ref, &(struct qvl_gelu_args){.x = x, .form = QVL_GELU_ERF, .y = y}, &error));
    expect_values(&y, erf_form, 1e-6);
    expect_ok(ref->ops.gelu(ref, &(struct qvl_gelu_args){.x = x, .form = QVL_GELU_TANH, .y = y}, &error));
    expect_values(&y, tanh_form, 1e-6);
}

/* The bound covers a float32 evaluation over [-6, 6] and is small against the gap between the forms. */
static void gelu_bound_covers_float32(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++)
        for (int i = -600; i <= 600; i++) {
            const float x = (float)i / 100;
            const float inner = form == QVL_GELU_TANH ? tanhf(0.79788456f * (x + 0.044715f * x * x * x))
                                                      : erff(x * 0.70710678f);
            const float y = 0.5f * x * (1 + inner);
            const struct qvl_condition cond = {.accumulate = 0x1p-24};
            const double bound = qvl_ref_gelu_bound(form, (double)x, 0, &cond);
            assert_true(fabs((double)y - qvl_ref_gelu_value(form, (double)x)) <= bound);
            assert_true(bound < 1e-5);
        }
}

/* silu(0) = 0, silu(1) = 0.731059; large negative gates vanish, NaN and infinities pass. */
static void swiglu_gates(void **state)
{
    (void)state;
    const struct qvl_tensor gate = matrix(QVL_F32, 2, 3, (const double[]){0, 1, -1, 50, -200, INFINITY});
    const struct qvl_tensor up = matrix(QVL_F32, 2, 3, (const double[]){7, 10, 100, 2, 1e10, -1});
    const struct qvl_tensor y = matrix(QVL_F32, 2, 3, NULL);
    expect_ok(ref->ops.swiglu(ref, &(struct qvl_swiglu_args){.gate = gate, .up = up, .y = y}, &error));
    assert_true(at(&y, 0) == 0);
    assert_true(fabs(at(&y, 1) - 7.310586) < 1e-5);
    assert_true(fabs(at(&y, 2) + 26.894142) < 1e-5);
    assert_true(at(&y, 3) == 100);
    assert_true(fabs(at(&y, 4)) < 1e-60);
    assert_true(at(&y, 5) == -INFINITY);
}

/* bf16 rounds silu before the product: silu(1) = 0.731059 -> 0.73046875, times 3 = 2.19140625 -> 2.1875;
 * rounded once 2.193176 -> 2.1875; with up = 9 the two part: 6.57421875 -> 6.5625 and 6.579527 -> 6.59375. */
static void swiglu_rounds_twice(void **state)
{
    (void)state;
    const struct qvl_tensor gate = matrix(QVL_BF16, 1, 2, (const double[]){1, 1});
    const struct qvl_tensor up = matrix(QVL_BF16, 1, 2, (const double[]){3, 9});
    const struct qvl_tensor y = matrix(QVL_BF16, 1, 2, NULL);
    expect_ok(ref->ops.swiglu(ref, &(struct qvl_swiglu_args){.gate = gate, .up = up, .y = y}, &error));
    expect_values(&y, (const double[]){2.1875, 6.5625}, 0);
}

/* In place over b, through row strides. */
static void add_adds(void **state)
{
    (void)state;
    struct qvl_tensor a = matrix(QVL_BF16, 2, 3, (const double[]){256, 1, NAN, -2, 0.5, NAN});
    struct qvl_tensor b = matrix(QVL_BF16, 2, 3, (const double[]){1, 2, 9, 3, 0.25, 9});
    const struct qvl_tensor whole = b;
    a.shape[1] = b.shape[1] = 2;
    expect_ok(ref->ops.add(ref, &(struct qvl_add_args){.a = a, .b = b, .y = b}, &error));
    expect_values(&whole, (const double[]){256, 3, 9, 1, 0.75, 9}, 0); /* 257 is a tie in bf16, to even */
}

/* softmax of ln 1, ln 2, ln 5 is 1/8, 2/8, 5/8; large offsets cancel; -inf is 0; all -inf is all 0; NaN
 * spreads. */
static void softmax_normalises(void **state)
{
    (void)state;
    const double inf = INFINITY;
    const struct qvl_tensor x = matrix(
        QVL_F32, 5, 3,
        (const double[]){0, log(2), log(5), 3e38, -3e38, 3e38, -inf, 1, 1, -inf, -inf, -inf, 0, NAN, 1});
    expect_ok(ref->ops.softmax(ref, &(struct qvl_softmax_args){.x = x, .y = x}, &error));
    const double expected[12] = {0.125, 0.25, 0.625, 0.5, 0, 0.5, 0, 0.5, 0.5, 0, 0, 0};
    for (int i = 0; i < 12; i++)
        assert_true(fabs(at(&x, i) - expected[i]) < 1e-7);
    for (int i = 12; i < 15; i++)
        assert_true(isnan(at(&x, i)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_has_two_forms), cmocka_unit_test(gelu_bound_covers_float32),
        cmocka_unit_test(swiglu_gates),       cmocka_unit_test(swiglu_rounds_twice),
        cmocka_unit_test(add_adds),           cmocka_unit_test(softmax_normalises),
    };
    return RUN_REF_TESTS(tests);
}
