#include "ref_fixture.h"

/* [3, 4, 0, 0]: mean square 25/4, rms 2.5. */
static void rms_norm_divides_by_the_root_mean_square(void **state)
{
    (void)state;
    const struct qvl_tensor x = matrix(QVL_F32, 2, 4, (const double[]){3, 4, 0, 0, -2, -2, -2, 2});
    const struct qvl_tensor w = vector(QVL_F32, 4, (const double[]){1, 10, 100, -3});
    const struct qvl_tensor y = matrix(QVL_F32, 2, 4, NULL);
    expect_ok(ref->ops.rms_norm(ref, &(struct qvl_rms_norm_args){.x = x, .weight = w, .y = y}, &error));
    expect_values(&y, (const double[]){1.2, 16, 0, 0, -1, -10, -100, -3}, 1e-6);
}

/* QK-norm on a strided view: 2 rows, 3 heads of 2 inside rows of 8, in place; the other columns stay. */
static void rms_norm_works_on_heads_of_a_view(void **state)
{
    (void)state;
    const struct qvl_tensor buffer =
        matrix(QVL_F32, 2, 8, (const double[]){1, 7, 3, 4, 5, 5, 100, 200, 1, -1, 8, 6, 0, 2, 300, 400});
    const struct qvl_tensor w = vector(QVL_F32, 2, (const double[]){1, 2});
    struct qvl_tensor view = {
        .data = buffer.data, .dtype = QVL_F32, .rank = 3, .shape = {2, 3, 2}, .stride = {8, 2, 1}};
    expect_ok(ref->ops.rms_norm(ref, &(struct qvl_rms_norm_args){.x = view, .weight = w, .y = view}, &error));
    const double r2 = sqrt(2);
    expect_values(&buffer,
                  (const double[]){0.2, 2.8, 3 * r2 / 5, 8 * r2 / 5, 1, 2, 100, 200, 1, -2, 8 * r2 / 10,
                                   12 * r2 / 10, 0, 2 * r2, 300, 400},
                  1e-6);
}

/* eps is the model's: a row of 1e-3 has a mean square of 1e-6, so eps 1e-6 halves the square. */
static void rms_norm_uses_its_eps(void **state)
{
    (void)state;
    const struct qvl_tensor x = matrix(QVL_F32, 1, 2, (const double[]){1e-3, -1e-3});
    const struct qvl_tensor w = vector(QVL_F32, 2, (const double[]){1, 1});
    const struct qvl_tensor y = matrix(QVL_F32, 1, 2, NULL);
    expect_ok(ref->ops.rms_norm(ref, &(struct qvl_rms_norm_args){.x = x, .weight = w, .eps = 1e-6, .y = y},
                                &error));
    expect_values(&y, (const double[]){sqrt(0.5), -sqrt(0.5)}, 1e-6);
    expect_ok(ref->ops.rms_norm(ref, &(struct qvl_rms_norm_args){.x = x, .weight = w, .eps = 1e-5, .y = y},
                                &error));
    expect_values(&y, (const double[]){sqrt(1 / 11.0), -sqrt(1 / 11.0)}, 1e-6);
}

/* 1280 values of 8 in f16: the sum of squares, 81920, is above the largest f16 and must not overflow. In bf16
 * the value is rounded before the weight; at least a few of the weights tell that from one rounding at the
 * end. */
static void rms_norm_rounds_before_the_weight(void **state)
{
    (void)state;
    double eights[1280], ones[1280];
    int separated = 0;
    for (int i = 0; i < 1280; i++) {
        eights[i] = 8;
        ones[i] = 1;
    }
    struct qvl_tensor x = matrix(QVL_F16, 1, 1280, eights), y = matrix(QVL_F16, 1, 1280, NULL);
    expect_ok(ref->ops.rms_norm(
        ref, &(struct qvl_rms_norm_args){.x = x, .weight = vector(QVL_F16, 1280, ones), .y = y}, &error));
    expect_values(&y, ones, 0);

    x = matrix(QVL_BF16, 1, 3, (const double[]){1, 5, 2});
    y = matrix(QVL_BF16, 1, 3, NULL);
    for (int k = 1; k < 16; k++) {
        const double weight = 1 + k * 0x1p-7;
        const struct qvl_tensor w = vector(QVL_BF16, 3, (const double[]){weight, weight, weight});
        expect_ok(ref->ops.rms_norm(ref, &(struct qvl_rms_norm_args){.x = x, .weight = w, .y = y}, &error));
        for (int j = 0; j < 3; j++) {
            const double normal = at(&x, j) / sqrt(10);
            const double twice = qvl_round_nearest(QVL_BF16, weight * qvl_round_nearest(QVL_BF16, normal));
            assert_true(at(&y, j) == twice);
            separated += twice != qvl_round_nearest(QVL_BF16, weight * normal);
        }
    }
    assert_true(separated >= 5);
}

/* [1, 2, 3, 6]: mean 3, variance 14/4. */
static void layer_norm_centres_and_scales(void **state)
{
    (void)state;
    const struct qvl_tensor x = matrix(QVL_F32, 1, 4, (const double[]){1, 2, 3, 6});
    const struct qvl_tensor w = vector(QVL_F32, 4, (const double[]){1, 2, 3, -1});
    const struct qvl_tensor b = vector(QVL_F32, 4, (const double[]){0, 10, 20, 30});
    const struct qvl_tensor y = matrix(QVL_F32, 1, 4, NULL);
    const double s = 1 / sqrt(3.5);
    expect_ok(ref->ops.layer_norm(ref, &(struct qvl_layer_norm_args){.x = x, .weight = w, .bias = b, .y = y},
                                  &error));
    expect_values(&y, (const double[]){-2 * s, 10 - 2 * s, 20, 30 - 3 * s}, 2e-6);
}

/* A constant row is its own mean: the result is the bias, also for large values and with eps. */
static void layer_norm_of_a_constant_row_is_the_bias(void **state)
{
    (void)state;
    const double constants[3] = {0, -7.3, 60000};
    const double bias[3] = {0.5, -1, 2};
    for (int k = 0; k < 3; k++) {
        const double c = constants[k];
        const struct qvl_tensor x = matrix(QVL_F16, 1, 3, (const double[]){c, c, c});
        const struct qvl_tensor w = vector(QVL_F16, 3, (const double[]){3, 4, 5});
        const struct qvl_tensor y = matrix(QVL_F16, 1, 3, NULL);
        expect_ok(ref->ops.layer_norm(
            ref,
            &(struct qvl_layer_norm_args){
                .x = x, .weight = w, .bias = vector(QVL_F16, 3, bias), .eps = 1e-6, .y = y},
            &error));
        expect_values(&y, bias, 0);
    }
}

/* The bound of a shifted row grows with the shift: 1e4 beside a spread of 1 costs four digits. */
static void layer_norm_bound_knows_cancellation(void **state)
{
    (void)state;
    double bound[2][4];
    for (int k = 0; k < 2; k++) {
        const double shift = k * 1e4;
        const struct qvl_tensor x =
            matrix(QVL_F32, 1, 4, (const double[]){shift - 1, shift + 1, shift - 1, shift + 1});
        const struct qvl_tensor w = vector(QVL_F32, 4, (const double[]){1, 1, 1, 1});
        const struct qvl_tensor y = matrix(QVL_F32, 1, 4, NULL);
        struct qvl_condition cond = {.accumulate = 0x1p-24, .bound = bound[k]};
        expect_ok(ref->ops.layer_norm(
            ref,
            &(struct qvl_layer_norm_args){.x = x,
                                          .weight = w,
                                          .bias = vector(QVL_F32, 4, (const double[]){0, 0, 0, 0}),
                                          .y = y,
                                          .cond = &cond},
            &error));
    }
    assert_true(bound[1][0] / bound[0][0] > 1e3 && bound[1][0] < 5e-3 && bound[0][0] < 2e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rms_norm_divides_by_the_root_mean_square),
        cmocka_unit_test(rms_norm_works_on_heads_of_a_view),
        cmocka_unit_test(rms_norm_uses_its_eps),
        cmocka_unit_test(rms_norm_rounds_before_the_weight),
        cmocka_unit_test(layer_norm_centres_and_scales),
        cmocka_unit_test(layer_norm_of_a_constant_row_is_the_bias),
        cmocka_unit_test(layer_norm_bound_knows_cancellation),
    };
    return RUN_REF_TESTS(tests);
}
