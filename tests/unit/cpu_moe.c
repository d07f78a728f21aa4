/* The cpu backend's MoE entries: routing with ties and NaN, experts in both stored layouts, combination. */
#include "cpu_test.h"

static void route(void **state)
{
    struct test_backends *backends = *state;
    test_seed(41);
    for (int t = 0; t < 3; t++) {
        enum { N = 650, EXPERTS = 20, TOP = 3 };
        struct test_tensor logits = test_random(test_dtypes[t], 2, (int64_t[]){N, EXPERTS}, 2, 2.0);
        struct test_tensor weights = test_tensor(test_dtypes[t], 2, (int64_t[]){N, TOP}, 1);
        int32_t chosen[N * TOP], other[N * TOP];
        struct qvl_moe_route_args args = {.logits = logits.view,
                                          .top_k = TOP,
                                          .chosen = qvl_tensor_2d(chosen, QVL_I32, N, TOP),
                                          .weights = weights.view};
        for (int64_t e = 0; e < EXPERTS; e++)
            test_set(&logits, 4 * EXPERTS + e, e == 9 || e == 3 ? 1.0 : 0.5); /* exact ties around rank k */
        TEST_OP(moe_route, backends, args, weights, "moe_route");
        for (int b = 0; b < backends->count; b++) {
            TEST_OK(backends->ref->ops.moe_route(backends->ref, &args, &error));
            memcpy(other, chosen, sizeof other);
            TEST_OK(backends->cpu[b]->ops.moe_route(backends->cpu[b], &args, &error));
            assert_memory_equal(chosen, other, sizeof other);
        }
        assert_int_equal(chosen[4 * TOP], 3);
        assert_int_equal(chosen[4 * TOP + 1], 9);
        assert_int_equal(chosen[4 * TOP + 2], 0); /* of 18 equal ones the lowest index */
        test_drop(&logits), test_drop(&weights);
    }
}

/* A row with NaN still yields distinct experts in range. */
static void route_nan(void **state)
{
    struct test_backends *backends = *state;
    for (int b = 0; b < backends->count; b++)
        for (int all = 0; all < 2; all++) {
            float logits[6] = {1, NAN, 2, NAN, 0, 3}, weights[4];
            int32_t chosen[4];
            struct qvl_moe_route_args args = {.logits = qvl_tensor_2d(logits, QVL_F32, 1, 6),
                                              .top_k = 4,
                                              .chosen = qvl_tensor_2d(chosen, QVL_I32, 1, 4),
                                              .weights = qvl_tensor_2d(weights, QVL_F32, 1, 4)};
            for (int e = 0; all && e < 6; e++)
                logits[e] = NAN;
            TEST_OK(backends->cpu[b]->ops.moe_route(backends->cpu[b], &args, &error));
            for (int s = 0; s < 4; s++) {
                assert_in_range(chosen[s], 0, 5);
                assert_true(isnan(weights[s]));
                for (int other = 0; other < s; other++)
                    assert_int_not_equal(chosen[s], chosen[other]);
            }
        }
}

static struct qvl_weight *experts(struct qvl_backend *backend, const struct test_tensor *array,
                                  bool input_first)
{
    struct qvl_weight *weight = NULL;
    struct qvl_weight_desc desc = {.array = test_array(array),
                                   .use = QVL_USE_EXPERTS,
                                   .input_first = input_first,
                                   .storage = array->view.dtype,
                                   .name = "experts"};
    TEST_OK(backend->weight_prepare(backend, &desc, &weight, &error));
    return weight;
}

/* [experts, a, b] as [experts, b, a]. */
static struct test_tensor transposed(const struct test_tensor *from)
{
    int64_t a = from->view.shape[1], b = from->view.shape[2];
    struct test_tensor to = test_tensor(from->view.dtype, 3, (int64_t[]){from->view.shape[0], b, a}, 0);
    for (int64_t i = 0; i < qvl_tensor_count(&from->view); i++)
        test_set(&to, i / (a * b) * a * b + i % b * a + i / b % a, test_at(from, i));
    return to;
}

static void run_experts(struct qvl_backend *backend, struct qvl_moe_experts_args *args,
                        const struct test_tensor *gate_up, const struct test_tensor *down, bool input_first)
{
    struct qvl_weight *one = experts(backend, gate_up, input_first),
                      *two = experts(backend, down, input_first);
    args->gate_up = one;
    args->down = two;
    TEST_OK(backend->ops.moe_experts(backend, args, &error));
    backend->weight_destroy(backend, one);
    backend->weight_destroy(backend, two);
}

/* Rows choose unevenly: expert 0 is crowded (many rows), 4 has few, 2 has none. Both layouts agree. */
static void expert_mlps(void **state)
{
    struct test_backends *backends = *state;
    enum { HIDDEN = 24, INNER = 10, EXPERTS = 5, TOP = 2 };
    test_seed(42);
    for (int t = 0; t < 3; t++)
        for (int64_t n = 0; n <= 23; n += n ? 22 : 1) {
            enum qvl_dtype dtype = test_dtypes[t];
            struct test_tensor x = test_random(dtype, 2, (int64_t[]){n, HIDDEN}, 1, 1.0);
            struct test_tensor gate_up =
                test_random(dtype, 3, (int64_t[]){EXPERTS, 2 * INNER, HIDDEN}, 0, 0.2);
            struct test_tensor down = test_random(dtype, 3, (int64_t[]){EXPERTS, HIDDEN, INNER}, 0, 0.3);
            struct test_tensor gate_up_t = transposed(&gate_up), down_t = transposed(&down);
            struct test_tensor y = test_tensor(dtype, 3, (int64_t[]){n, TOP, HIDDEN}, 2);
            struct test_expected expected = test_expect(n * TOP * HIDDEN);
            int32_t chosen[23 * TOP];
            struct qvl_moe_experts_args args = {.x = x.view,
                                                .chosen = qvl_tensor_2d(chosen, QVL_I32, n, TOP),
                                                .y = y.view,
                                                .cond = &expected.condition};
            for (int64_t i = 0; i < n; i++) {
                chosen[i * TOP] = 0;
                chosen[i * TOP + 1] = i % 6 == 1 ? 4 : i % 2 ? 1 : 3;
            }
            run_experts(backends->ref, &args, &gate_up, &down, false);
            args.cond = NULL;
            for (int b = 0; b < backends->count; b++)
                for (int first = 0; first < 2; first++) {
                    memset(y.memory, 0xff, y.bytes);
                    run_experts(backends->cpu[b], &args, first ? &gate_up_t : &gate_up,
                                first ? &down_t : &down, first);
                    test_compare(first ? "moe_experts, input first" : "moe_experts", &y, &expected);
                    test_guards(&y);
                }
            test_expected_drop(&expected);
            test_drop(&x), test_drop(&gate_up), test_drop(&down), test_drop(&y);
            test_drop(&gate_up_t), test_drop(&down_t);
        }
}

/* An input-first weight wider than the columns of one task (256), and more inputs than a widened block (512).
 */
static void wide_experts(void **state)
{
    struct test_backends *backends = *state;
    test_seed(43);
    for (int t = 0; t < 2; t++)
        for (int64_t n = 2; n <= 20; n += 18) {
            enum { HIDDEN = 530, INNER = 310 };
            enum qvl_dtype dtype = test_dtypes[t];
            struct test_tensor x = test_random(dtype, 2, (int64_t[]){n, HIDDEN}, 0, 1.0);
            struct test_tensor gate_up = test_random(dtype, 3, (int64_t[]){1, HIDDEN, 2 * INNER}, 0, 0.05);
            struct test_tensor down = test_random(dtype, 3, (int64_t[]){1, INNER, HIDDEN}, 0, 0.05);
            struct test_tensor y = test_tensor(dtype, 3, (int64_t[]){n, 1, HIDDEN}, 0);
            struct test_expected expected = test_expect(n * HIDDEN);
            int32_t chosen[20] = {0};
            struct qvl_moe_experts_args args = {.x = x.view,
                                                .chosen = qvl_tensor_2d(chosen, QVL_I32, n, 1),
                                                .y = y.view,
                                                .cond = &expected.condition};
            run_experts(backends->ref, &args, &gate_up, &down, true);
            args.cond = NULL;
            for (int b = 0; b < backends->count; b++) {
                memset(y.memory, 0xff, y.bytes);
                run_experts(backends->cpu[b], &args, &gate_up, &down, true);
                test_compare("wide experts", &y, &expected);
            }
            test_expected_drop(&expected);
            test_drop(&x), test_drop(&gate_up), test_drop(&down), test_drop(&y);
        }
}

static void wrong_expert_is_refused(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    struct test_tensor x = test_random(QVL_F32, 2, (int64_t[]){1, 4}, 0, 1.0);
    struct test_tensor gate_up = test_random(QVL_F32, 3, (int64_t[]){2, 6, 4}, 0, 1.0);
    struct test_tensor down = test_random(QVL_F32, 3, (int64_t[]){2, 4, 3}, 0, 1.0);
    struct test_tensor y = test_tensor(QVL_F32, 3, (int64_t[]){1, 1, 4}, 0);
    struct qvl_weight *one = experts(cpu, &gate_up, false), *two = experts(cpu, &down, false);
    int32_t chosen = 2;
    struct qvl_error error = {.message = ""};
    struct qvl_moe_experts_args args = {.x = x.view,
                                        .chosen = qvl_tensor_2d(&chosen, QVL_I32, 1, 1),
                                        .gate_up = one,
                                        .down = two,
                                        .y = y.view};
    assert_int_equal(cpu->ops.moe_experts(cpu, &args, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "moe_experts.chosen[0][0]"));
    args.gate_up = two;
    assert_int_equal(cpu->ops.moe_experts(cpu, &args, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "moe_experts.gate_up"));
    assert_true(isnan(test_at(&y, 0)));
    cpu->weight_destroy(cpu, one);
    cpu->weight_destroy(cpu, two);
    test_drop(&x), test_drop(&gate_up), test_drop(&down), test_drop(&y);
}

static void combine(void **state)
{
    struct test_backends *backends = *state;
    test_seed(44);
    for (int t = 0; t < 3; t++)
        for (int64_t n = 0; n <= 250; n += 125) {
            struct test_tensor x = test_random(test_dtypes[t], 3, (int64_t[]){n, 4, 37}, 3, 1.0);
            struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){n, 4}, 1, 0.3);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){n, 37}, 2);
            struct qvl_moe_combine_args args = {.x = x.view, .weights = w.view, .y = y.view};
            TEST_OP(moe_combine, backends, args, y, "moe_combine");
            test_drop(&x), test_drop(&w), test_drop(&y);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route),       cmocka_unit_test(route_nan),
        cmocka_unit_test(expert_mlps), cmocka_unit_test(wide_experts),
        cmocka_unit_test(combine),     cmocka_unit_test(wrong_expert_is_refused),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
