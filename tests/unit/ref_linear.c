#include "ref_fixture.h"

/* x [2,3], W [4,3]: y = x W^T + b by hand. */
static void multiplies(void **state)
{
    (void)state;
    const struct qvl_tensor x = matrix(QVL_F32, 2, 3, (const double[]){1, 2, 3, -1, 0, 5});
    const struct qvl_tensor w =
        matrix(QVL_F32, 4, 3, (const double[]){1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 10, 100});
    const struct qvl_tensor b = vector(QVL_F32, 4, (const double[]){0.5, -1, 2, 0});
    const struct qvl_tensor y = matrix(QVL_F32, 2, 4, NULL);
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    double value[8], bound[8];
    struct qvl_condition cond = {.accumulate = 0x1p-24, .value = value, .bound = bound};
    expect_ok(ref->ops.linear(
        ref, &(struct qvl_linear_args){.x = x, .weight = weight, .bias = &b, .y = y, .cond = &cond}, &error));
    expect_values(&y, (const double[]){1.5, 1, 5, 321, -0.5, -1, 7, 499}, 0);
    assert_true(value[3] == 321);
    /* c sqrt(3) 2^-24 (1 + 20 + 300 + |0|) */
    assert_float_equal(bound[3] / (2 * sqrt(3) * 0x1p-24 * 321), 1, 1e-12);
    assert_float_equal(bound[4] / (2 * sqrt(3) * 0x1p-24 * 1.5), 1, 1e-12);
    ref->weight_destroy(ref, weight);
}

/* Row strides of x and y larger than the rows; what lies between stays. */
static void respects_strides(void **state)
{
    (void)state;
    struct qvl_tensor x = matrix(QVL_F32, 2, 5, (const double[]){1, 2, 3, NAN, NAN, -1, 0, 5, NAN, NAN});
    const struct qvl_tensor w = matrix(QVL_F32, 1, 3, (const double[]){1, 10, 100});
    struct qvl_tensor y = matrix(QVL_F32, 2, 2, (const double[]){7, 8, 9, 10});
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    x.shape[1] = 3;
    y.shape[1] = 1;
    expect_ok(ref->ops.linear(ref, &(struct qvl_linear_args){.x = x, .weight = weight, .y = y}, &error));
    y.shape[1] = 2;
    expect_values(&y, (const double[]){321, 8, 499, 10}, 0);
    ref->weight_destroy(ref, weight);
}

/* K = 4096 terms of +8 in f16 are 32768, not the 16384 at which sequential f16 sums stall. The bias joins
 * before the one rounding: 1 + 2^-8 + 2^-9 is 1 + 2^-7 in bf16, where 1 + 2^-8 alone would already have
 * fallen to 1. */
static void accumulates_wide_and_rounds_once(void **state)
{
    (void)state;
    const double eight = 8, w_values[2] = {1, 0x1p-8};
    double ones[4096], eights[4096];
    for (int i = 0; i < 4096; i++) {
        ones[i] = 1;
        eights[i] = eight;
    }
    struct qvl_tensor x = matrix(QVL_F16, 1, 4096, ones), w = matrix(QVL_F16, 1, 4096, eights);
    struct qvl_tensor y = matrix(QVL_F16, 1, 1, NULL);
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    expect_ok(ref->ops.linear(ref, &(struct qvl_linear_args){.x = x, .weight = weight, .y = y}, &error));
    assert_true(at(&y, 0) == 32768);
    ref->weight_destroy(ref, weight);

    x = matrix(QVL_BF16, 1, 2, (const double[]){1, 1});
    w = matrix(QVL_BF16, 1, 2, w_values);
    y = matrix(QVL_BF16, 1, 1, NULL);
    const struct qvl_tensor bias = vector(QVL_BF16, 1, (const double[]){0x1p-9});
    weight = prepare(QVL_USE_LINEAR, false, &w);
    expect_ok(ref->ops.linear(ref, &(struct qvl_linear_args){.x = x, .weight = weight, .bias = &bias, .y = y},
                              &error));
    assert_true(at(&y, 0) == 1 + 0x1p-7);
    ref->weight_destroy(ref, weight);
}

/* More rows than one pass holds, K = 200 and distinct values: against the integer sum. */
static void covers_all_rows_and_terms(void **state)
{
    (void)state;
    enum { N = 131, K = 200, O = 3 };
    double *x_values = block(N * K * sizeof(double)), *w_values = block(O * K * sizeof(double));
    for (int i = 0; i < N * K; i++)
        x_values[i] = (i * 7) % 31 - 15;
    for (int i = 0; i < O * K; i++)
        w_values[i] = (i * 5) % 23 - 11;
    const struct qvl_tensor x = matrix(QVL_BF16, N, K, x_values), w = matrix(QVL_BF16, O, K, w_values);
    const struct qvl_tensor y = matrix(QVL_BF16, N, O, NULL);
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    expect_ok(ref->ops.linear(ref, &(struct qvl_linear_args){.x = x, .weight = weight, .y = y}, &error));
    for (int i = 0; i < N; i++)
        for (int o = 0; o < O; o++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += x_values[i * K + k] * w_values[o * K + k];
            assert_true(at(&y, i * O + o) == qvl_round_nearest(QVL_BF16, sum));
        }
    ref->weight_destroy(ref, weight);
}

/* Two temporal slices of opposite sign and a bias of 1: a still image sums both. x is rounded to bf16 first.
 */
static void embeds_patches(void **state)
{
    (void)state;
    const struct qvl_tensor x = matrix(QVL_F32, 1, 4, (const double[]){3, 1 + 0x1p-9, 3, 1});
    const int64_t conv[5] = {2, 1, 2, 1, 2}; /* D, C, T, P_y, P_x */
    const struct qvl_tensor w = tensor_of(QVL_BF16, 5, conv, (const double[]){2, 4, -2, -4, 0, 1, 0, 0});
    const struct qvl_tensor b = vector(QVL_BF16, 2, (const double[]){1, 0});
    const struct qvl_tensor y = matrix(QVL_BF16, 1, 2, NULL);
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    expect_ok(ref->ops.patch_embed(
        ref, &(struct qvl_patch_embed_args){.x = x, .weight = weight, .bias = &b, .y = y}, &error));
    expect_values(&y, (const double[]){1, 1}, 0);
    ref->weight_destroy(ref, weight);
}

/* The head on rows 2 and 0 of x, and on all of them; a tied weight serves as table and as head. */
static void heads_and_embeds_with_one_weight(void **state)
{
    (void)state;
    const struct qvl_tensor table = matrix(QVL_F32, 4, 2, (const double[]){1, 2, 3, 4, -5, 6, 7, -8});
    const struct qvl_tensor x = matrix(QVL_F32, 3, 2, (const double[]){1, 0, 0, 1, 2, 3});
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR | QVL_USE_ROWS, false, &table);
    struct qvl_tensor y = matrix(QVL_F32, 2, 4, NULL);
    expect_ok(ref->ops.output_head(
        ref,
        &(struct qvl_output_head_args){.x = x, .rows = (const int64_t[]){2, 0}, .weight = weight, .y = y},
        &error));
    expect_values(&y, (const double[]){8, 18, 8, -10, 1, 3, -5, 7}, 0);
    y = matrix(QVL_F32, 3, 4, NULL);
    expect_ok(
        ref->ops.output_head(ref, &(struct qvl_output_head_args){.x = x, .weight = weight, .y = y}, &error));
    expect_values(&y, (const double[]){1, 3, -5, 7, 2, 4, 6, -8, 8, 18, 8, -10}, 0);

    y = matrix(QVL_F32, 3, 2, NULL);
    expect_ok(ref->ops.embed(
        ref, &(struct qvl_embed_args){.ids = (const int64_t[]){3, 0, 3}, .table = weight, .y = y}, &error));
    expect_values(&y, (const double[]){7, -8, 1, 2, 7, -8}, 0);
    expect_refusal(
        ref->ops.embed(ref,
                       &(struct qvl_embed_args){.ids = (const int64_t[]){0, 4, 1}, .table = weight, .y = y},
                       &error),
        QVL_BAD_INPUT, "embed.ids[1]: token id 4");
    ref->weight_destroy(ref, weight);
}

/* A weight kept in another type is rounded to nearest even; one of the same type is borrowed. */
static void prepares_weights(void **state)
{
    (void)state;
    const struct qvl_tensor w = matrix(QVL_F32, 1, 2, (const double[]){1 + 0x1p-8, 1 + 3 * 0x1p-8});
    struct qvl_weight_desc desc = {.array = {.data = w.data, .dtype = QVL_F32, .rank = 2, .shape = {1, 2}},
                                   .use = QVL_USE_LINEAR,
                                   .storage = QVL_BF16,
                                   .name = "layer.weight"};
    struct qvl_weight *weight;
    double row[2];
    expect_ok(ref->weight_prepare(ref, &desc, &weight, &error));
    qvl_ref_weight_row(weight, 0, 0, row);
    assert_true(row[0] == 1 && row[1] == 1 + 0x1p-6);
    ref->weight_destroy(ref, weight);

    desc.storage = QVL_F32;
    expect_ok(ref->weight_prepare(ref, &desc, &weight, &error));
    assert_ptr_equal(weight->data, w.data);
    ref->weight_destroy(ref, weight);

    desc.use = QVL_USE_EXPERTS;
    expect_refusal(ref->weight_prepare(ref, &desc, &weight, &error), QVL_USAGE, "layer.weight: rank 2");
    assert_null(weight);
    desc.use = QVL_USE_LINEAR;
    desc.array.dtype = QVL_I64;
    expect_refusal(ref->weight_prepare(ref, &desc, &weight, &error), QVL_USAGE, "layer.weight: type i64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies),
        cmocka_unit_test(respects_strides),
        cmocka_unit_test(accumulates_wide_and_rounds_once),
        cmocka_unit_test(covers_all_rows_and_terms),
        cmocka_unit_test(embeds_patches),
        cmocka_unit_test(heads_and_embeds_with_one_weight),
        cmocka_unit_test(prepares_weights),
    };
    return RUN_REF_TESTS(tests);
}
