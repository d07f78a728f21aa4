#include "ref_fixture.h"

static int32_t chosen_at(const struct qvl_tensor *chosen, int64_t index)
{
    return ((const int32_t *)chosen->data)[index];
}

static struct qvl_tensor indices(int64_t rows, int64_t columns, const int32_t *values)
{
    const int64_t shape[2] = {rows, columns};
    struct qvl_tensor tensor = qvl_tensor_make(block((size_t)(rows * columns) * 4), QVL_I32, 2, shape);
    if (values)
        memcpy(tensor.data, values, (size_t)(rows * columns) * 4);
    return tensor;
}

/* Logits ln 1, ln 4, ln 2, ln 3 and negative ones; ties take the lowest index; NaN still gives distinct
 * indices. */
static void routes_to_the_largest(void **state)
{
    (void)state;
    const struct qvl_tensor logits =
        matrix(QVL_F32, 4, 5, (const double[]){0, log(4), log(2), log(3), -9, -5,  -5,  -7,   -5,  -5,
                                               2, NAN,    1,      3,      0,  -80, -90, -100, -81, -82});
    const struct qvl_tensor chosen = indices(4, 3, NULL), weights = matrix(QVL_F32, 4, 3, NULL);
    expect_ok(ref->ops.moe_route(
        ref, &(struct qvl_moe_route_args){.logits = logits, .top_k = 3, .chosen = chosen, .weights = weights},
        &error));
    const int32_t expected[6] = {1, 3, 2, 0, 1, 3};
    for (int i = 0; i < 6; i++)
        assert_int_equal(chosen_at(&chosen, i), expected[i]);
    const double weight[6] = {4.0 / 9, 3.0 / 9, 2.0 / 9, 1 / 3.0, 1 / 3.0, 1 / 3.0};
    for (int i = 0; i < 6; i++)
        assert_true(fabs(at(&weights, i) - weight[i]) < 1e-7);
    for (int i = 6; i < 9; i++)
        for (int j = 6; j < 9; j++)
            assert_true(chosen_at(&chosen, i) >= 0 && chosen_at(&chosen, i) < 5 &&
                        (i == j || chosen_at(&chosen, i) != chosen_at(&chosen, j)));
    assert_true(chosen_at(&chosen, 9) == 0 && chosen_at(&chosen, 10) == 3 && chosen_at(&chosen, 11) == 4);
}

/* top_k = 1: the weight is 1 for every row. */
static void renormalises_one_expert_to_one(void **state)
{
    (void)state;
    const struct qvl_tensor logits = matrix(QVL_BF16, 3, 2, (const double[]){1, 2, -3, -4, 0.5, 0.5});
    const struct qvl_tensor chosen = indices(3, 1, NULL), weights = matrix(QVL_BF16, 3, 1, NULL);
    expect_ok(ref->ops.moe_route(
        ref, &(struct qvl_moe_route_args){.logits = logits, .top_k = 1, .chosen = chosen, .weights = weights},
        &error));
    expect_values(&weights, (const double[]){1, 1, 1}, 0);
    assert_true(chosen_at(&chosen, 0) == 1 && chosen_at(&chosen, 1) == 0 && chosen_at(&chosen, 2) == 0);
}

enum { E = 3, H = 2, F = 1 };

/* Expert e: gate = (e+1) x0, up = 10 x1 + e x0, down = (1, -e) a. Both stored layouts; 70 rows pass one
 * batch. */
static void experts_are_swiglu_mlps(void **state)
{
    (void)state;
    enum { N = 70 };
    double out_first[E * 2 * F * H], in_first[E * H * 2 * F], down_out_first[E * H * F], x_values[N * H];
    int32_t chosen_values[N * 2];
    for (int e = 0; e < E; e++) {
        const double gate[2] = {e + 1.0, 0}, up[2] = {(double)e, 10}, down[2] = {1, -(double)e};
        for (int k = 0; k < H; k++) {
            out_first[e * 4 + k] = in_first[e * 4 + 2 * k] = gate[k];
            out_first[e * 4 + 2 + k] = in_first[e * 4 + 2 * k + 1] = up[k];
            down_out_first[e * 2 + k] = down[k];
        }
    }
    for (int i = 0; i < N; i++) {
        x_values[2 * i] = 0.125 * (i % 9) - 0.5;
        x_values[2 * i + 1] = 0.25 * (i % 5) - 0.25;
        chosen_values[2 * i] = i % E;
        chosen_values[2 * i + 1] = (i + 1 + i / E % 2) % E;
    }
    const struct qvl_tensor x = matrix(QVL_F32, N, H, x_values), chosen = indices(N, 2, chosen_values);
    for (int input_first = 0; input_first < 2; input_first++) {
        const struct qvl_tensor gate_up =
            input_first ? cube(QVL_F32, E, H, 2 * F, in_first) : cube(QVL_F32, E, 2 * F, H, out_first);
        const struct qvl_tensor down =
            input_first ? cube(QVL_F32, E, F, H, down_out_first) : cube(QVL_F32, E, H, F, down_out_first);
        const struct qvl_tensor y = cube(QVL_F32, N, 2, H, NULL);
        struct qvl_moe_experts_args args = {.x = x, .chosen = chosen, .y = y};
        struct qvl_weight *gate_up_weight = prepare(QVL_USE_EXPERTS, input_first, &gate_up);
        struct qvl_weight *down_weight = prepare(QVL_USE_EXPERTS, input_first, &down);
        args.gate_up = gate_up_weight;
        args.down = down_weight;
        expect_ok(ref->ops.moe_experts(ref, &args, &error));
        for (int i = 0; i < 2 * N; i++) {
            const int e = chosen_values[i];
            const double x0 = x_values[i / 2 * 2], x1 = x_values[i / 2 * 2 + 1], gate = (e + 1) * x0;
            const double a = gate / (1 + exp(-gate)) * (e * x0 + 10 * x1);
            assert_true(fabs(at(&y, 2 * i) - a) < 1e-5);
            assert_true(fabs(at(&y, 2 * i + 1) + e * a) < 1e-5);
        }
        ref->weight_destroy(ref, gate_up_weight);
        ref->weight_destroy(ref, down_weight);
    }
}

/* Expert ids outside the table are refused by place. */
static void refuses_unknown_experts(void **state)
{
    (void)state;
    const double ones[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct qvl_tensor gate_up = cube(QVL_F32, E, 2 * F, H, ones), down = cube(QVL_F32, E, H, F, ones);
    struct qvl_weight *gate_up_weight = prepare(QVL_USE_EXPERTS, false, &gate_up);
    struct qvl_weight *down_weight = prepare(QVL_USE_EXPERTS, false, &down);
    struct qvl_moe_experts_args args = {.x = matrix(QVL_F32, 2, H, ones),
                                        .chosen = indices(2, 1, (const int32_t[]){2, 3}),
                                        .gate_up = gate_up_weight,
                                        .down = down_weight,
                                        .y = cube(QVL_F32, 2, 1, H, NULL)};
    expect_refusal(ref->ops.moe_experts(ref, &args, &error), QVL_USAGE, "moe_experts.chosen[1][0]: is 3");
    args.down = gate_up_weight;
    expect_refusal(ref->ops.moe_experts(ref, &args, &error), QVL_USAGE, "moe_experts.gate_up: is [2, 2]");
    ref->weight_destroy(ref, gate_up_weight);
    ref->weight_destroy(ref, down_weight);
}

/* y = r( r(w0 x0) + r(w1 x1) ): in bf16 the products round first. */
static void combines_with_rounded_products(void **state)
{
    (void)state;
    const double a = 1 + 0x1p-7;
    const struct qvl_tensor x = cube(QVL_BF16, 1, 2, 3, (const double[]){a, 2, 0, 0x1p-8, 4, -1});
    const struct qvl_tensor weights = matrix(QVL_BF16, 1, 2, (const double[]){a, 1});
    struct qvl_tensor y = matrix(QVL_BF16, 1, 3, NULL);
    expect_ok(ref->ops.moe_combine(ref, &(struct qvl_moe_combine_args){.x = x, .weights = weights, .y = y},
                                   &error));
    /* a^2 = 1 + 2^-6 + 2^-14 -> 1 + 2^-6; plus 2^-8 is a tie, to even */
    expect_values(&y, (const double[]){1 + 0x1p-6, 6, -1}, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_to_the_largest),          cmocka_unit_test(renormalises_one_expert_to_one),
        cmocka_unit_test(experts_are_swiglu_mlps),        cmocka_unit_test(refuses_unknown_experts),
        cmocka_unit_test(combines_with_rounded_products),
    };
    return RUN_REF_TESTS(tests);
}
