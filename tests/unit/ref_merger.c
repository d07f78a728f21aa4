#include "ref_fixture.h"

#include "ref/merger.h"

/* Four rows side by side: row0 | row1 | row2 | row3. */
static void groups_rows_side_by_side(void **state)
{
    (void)state;
    double rows[24], grouped[24];
    for (int i = 0; i < 24; i++)
        rows[i] = i;
    qvl_ref_group_rows(2, 4, 3, rows, grouped);
    for (int i = 0; i < 24; i++)
        assert_true(grouped[i] == i); /* contiguous rows: grouping is a change of shape */
    qvl_ref_group_rows(3, 2, 4, rows, grouped);
    assert_true(grouped[8] == 8 && grouped[23] == 23);
}

/* LayerNorm of a patch [a, b] with a > b is [1, -1]; of a group it depends on all four patches. fc1 picks
 * lanes. */
static void normalises_before_or_after_grouping(void **state)
{
    (void)state;
    enum { D = 2, GROUP = 4, WIDTH = 8, OUT = 3 };
    const struct qvl_tensor x =
        matrix(QVL_F32, 8, D, (const double[]){3, 1, 0, 8, 5, 4, 1, 1, -1, 1, -2, 2, -3, 3, 4, -4});
    double identity[WIDTH * WIDTH] = {0}, pick[OUT * WIDTH] = {0}, ones[WIDTH], zeros[WIDTH] = {0};
    for (int i = 0; i < WIDTH; i++) {
        identity[i * WIDTH + i] = 1;
        ones[i] = 1;
    }
    pick[0] = 1;             /* lane 0 */
    pick[WIDTH + 3] = 1;     /* lane 3 */
    pick[2 * WIDTH + 7] = 2; /* twice lane 7 */
    const struct qvl_tensor fc1 = matrix(QVL_F32, WIDTH, WIDTH, identity),
                            fc2 = matrix(QVL_F32, OUT, WIDTH, pick);
    struct qvl_weight *fc1_weight = prepare(QVL_USE_LINEAR, false, &fc1);
    struct qvl_weight *fc2_weight = prepare(QVL_USE_LINEAR, false, &fc2);
    struct qvl_merger_args args = {.x = x,
                                   .group = GROUP,
                                   .norm = QVL_MERGER_NORM_PATCH,
                                   .norm_weight = vector(QVL_F32, D, ones),
                                   .norm_bias = vector(QVL_F32, D, zeros),
                                   .fc1 = fc1_weight,
                                   .fc1_bias = vector(QVL_F32, WIDTH, zeros),
                                   .fc2 = fc2_weight,
                                   .fc2_bias = vector(QVL_F32, OUT, (const double[]){0, 10, 0}),
                                   .y = matrix(QVL_F32, 2, OUT, NULL),
                                   .eps = 1e-12};
    const double g1 = 0.5 * (1 + erf(sqrt(0.5))), g_1 = g1 - 1; /* gelu(1), gelu(-1) */
    expect_ok(ref->ops.merger(ref, &args, &error));
    expect_values(&args.y, (const double[]){g1, 10 + g1, 0, g_1, 10 + g1, 2 * g_1}, 1e-6);

    args.norm = QVL_MERGER_NORM_GROUP;
    args.norm_weight = vector(QVL_F32, WIDTH, ones);
    args.norm_bias = vector(QVL_F32, WIDTH, zeros);
    expect_ok(ref->ops.merger(ref, &args, &error));
    /* second group: mean 0, variance (1+1+4+4+9+9+16+16)/8 = 7.5 */
    const double s = 1 / sqrt(7.5);
    const double lane[3] = {-s, 2 * s, -4 * s};
    double expected[3];
    for (int i = 0; i < 3; i++)
        expected[i] = 0.5 * lane[i] * (1 + erf(lane[i] * sqrt(0.5)));
    assert_true(fabs(at(&args.y, 3) - expected[0]) < 1e-6);
    assert_true(fabs(at(&args.y, 4) - 10 - expected[1]) < 2e-6);
    assert_true(fabs(at(&args.y, 5) - 2 * expected[2]) < 1e-6);
    ref->weight_destroy(ref, fc1_weight);
    ref->weight_destroy(ref, fc2_weight);
}

/* The fused entry equals its parts bit for bit, in every storage type, for more tokens than one batch. */
static void equals_its_parts(void **state)
{
    (void)state;
    enum { D = 3, GROUP = 4, WIDTH = 12, OUT = 5, TOKENS = 67 };
    double values[TOKENS * WIDTH];
    for (int i = 0; i < TOKENS * WIDTH; i++)
        values[i] = sin(1.7 * i) + 0.1 * cos(0.3 * i);
    for (enum qvl_dtype dtype = QVL_F32; dtype <= QVL_F16; dtype++)
        for (int norm = 0; norm < 2; norm++) {
            const int64_t dim = norm ? WIDTH : D, rows = norm ? TOKENS : TOKENS * GROUP;
            const struct qvl_tensor x = matrix(dtype, TOKENS * GROUP, D, values);
            struct qvl_tensor w1 = matrix(dtype, WIDTH, WIDTH, values + 9),
                              w2 = matrix(dtype, OUT, WIDTH, values + 5);
            struct qvl_weight *fc1 = prepare(QVL_USE_LINEAR, false, &w1),
                              *fc2 = prepare(QVL_USE_LINEAR, false, &w2);
            const struct qvl_merger_args args = {.x = x,
                                                 .group = GROUP,
                                                 .norm = norm,
                                                 .norm_weight = vector(dtype, dim, values + 2),
                                                 .norm_bias = vector(dtype, dim, values + 3),
                                                 .eps = 1e-6,
                                                 .fc1 = fc1,
                                                 .fc1_bias = vector(dtype, WIDTH, values + 4),
                                                 .fc2 = fc2,
                                                 .fc2_bias = vector(dtype, OUT, values + 1),
                                                 .y = matrix(dtype, TOKENS, OUT, NULL)};
            const struct qvl_tensor source = qvl_tensor_2d(x.data, dtype, rows, dim);
            const struct qvl_tensor normal = matrix(dtype, rows, dim, NULL),
                                    h = matrix(dtype, TOKENS, WIDTH, NULL);
            const struct qvl_tensor y = matrix(dtype, TOKENS, OUT, NULL);
            expect_ok(ref->ops.merger(ref, &args, &error));
            expect_ok(ref->ops.layer_norm(ref,
                                          &(struct qvl_layer_norm_args){.x = source,
                                                                        .weight = args.norm_weight,
                                                                        .bias = args.norm_bias,
                                                                        .eps = 1e-6,
                                                                        .y = normal},
                                          &error));
            expect_ok(ref->ops.linear(
                ref,
                &(struct qvl_linear_args){.x = qvl_tensor_2d(normal.data, dtype, TOKENS, WIDTH),
                                          .weight = fc1,
                                          .bias = &args.fc1_bias,
                                          .y = h},
                &error));
            expect_ok(
                ref->ops.gelu(ref, &(struct qvl_gelu_args){.x = h, .form = QVL_GELU_ERF, .y = h}, &error));
            expect_ok(ref->ops.linear(
                ref, &(struct qvl_linear_args){.x = h, .weight = fc2, .bias = &args.fc2_bias, .y = y},
                &error));
            for (int i = 0; i < TOKENS * OUT; i++)
                assert_true(at(&y, i) == at(&args.y, i));
            ref->weight_destroy(ref, fc1);
            ref->weight_destroy(ref, fc2);
        }
}

/* Scatter into chosen rows and DeepStack add on them: other rows stay; bf16 rounds the sum once. */
static void places_and_adds_rows(void **state)
{
    (void)state;
    const int64_t rows[2] = {3, 0};
    const struct qvl_tensor src = matrix(QVL_BF16, 2, 3, (const double[]){1, 2, 3, 4, 5, 6});
    const struct qvl_tensor y =
        matrix(QVL_BF16, 4, 3, (const double[]){10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120});
    expect_ok(ref->ops.scatter_rows(ref, &(struct qvl_scatter_rows_args){.src = src, .rows = rows, .y = y},
                                    &error));
    expect_values(&y, (const double[]){4, 5, 6, 40, 50, 60, 70, 80, 90, 1, 2, 3}, 0);
    const struct qvl_tensor more = matrix(QVL_BF16, 2, 3, (const double[]){255, 256, 0, -4, -1, 0x1p-9});
    expect_ok(ref->ops.add_rows(ref, &(struct qvl_add_rows_args){.src = more, .rows = rows, .y = y}, &error));
    expect_values(&y, (const double[]){0, 4, 6, 40, 50, 60, 70, 80, 90, 256, 258, 3}, 0);
    const int64_t beyond[2] = {0, 4};
    expect_refusal(ref->ops.scatter_rows(
                       ref, &(struct qvl_scatter_rows_args){.src = src, .rows = beyond, .y = y}, &error),
                   QVL_USAGE, "scatter_rows.rows[1]: is 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_rows_side_by_side),
        cmocka_unit_test(normalises_before_or_after_grouping),
        cmocka_unit_test(equals_its_parts),
        cmocka_unit_test(places_and_adds_rows),
    };
    return RUN_REF_TESTS(tests);
}
