/* The cpu backend's matrix products (linear, patch_embed, output_head, merger) against the reference and
 * against exact integer sums. */
#include "cpu_test.h"

static struct qvl_weight *prepare(struct qvl_backend *backend, const struct test_tensor *array,
                                  enum qvl_dtype storage)
{
    struct qvl_weight *weight = NULL;
    struct qvl_weight_desc desc = {
        .array = test_array(array), .use = QVL_USE_LINEAR, .storage = storage, .name = "w"};
    TEST_OK(backend->weight_prepare(backend, &desc, &weight, &error));
    return weight;
}

/* Like TEST_OP for ops with one weight: each backend gets its own handle. */
#define TEST_WEIGHT_OP(op, backends, args, w, out, what)                                                     \
    do {                                                                                                     \
        struct test_expected expected_ = test_expect(qvl_tensor_count(&(out).view));                         \
        struct qvl_weight *own_ = prepare((backends)->ref, &(w), (w).view.dtype);                            \
        (args).weight = own_;                                                                                \
        (args).cond = &expected_.condition;                                                                  \
        TEST_OK((backends)->ref->ops.op((backends)->ref, &(args), &error));                                  \
        (backends)->ref->weight_destroy((backends)->ref, own_);                                              \
        (args).cond = NULL;                                                                                  \
        for (int b_ = 0; b_ < (backends)->count; b_++) {                                                     \
            struct qvl_backend *cpu_ = (backends)->cpu[b_];                                                  \
            (args).weight = own_ = prepare(cpu_, &(w), (w).view.dtype);                                      \
            memset((out).memory, 0xff, (out).bytes);                                                         \
            TEST_OK(cpu_->ops.op(cpu_, &(args), &error));                                                    \
            test_compare(what, &(out), &expected_);                                                          \
            test_guards(&(out));                                                                             \
            cpu_->weight_destroy(cpu_, own_);                                                                \
        }                                                                                                    \
        test_expected_drop(&expected_);                                                                      \
    } while (0)

/* Rows across the few-row limit, outputs and inputs across vector and block edges. */
static void linear_shapes(void **state)
{
    struct test_backends *backends = *state;
    const int64_t rows[] = {0, 1, 2, 3, 5, 16, 17, 33};
    const int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 200}, {130, 47}, {259, 1100}};
    test_seed(21);
    for (size_t s = 0; s < 5; s++)
        for (size_t r = 0; r < 8; r++)
            for (int t = 0; t < 3; t++) {
                int64_t out = sizes[s][0], in = sizes[s][1];
                struct test_tensor x = test_random(test_dtypes[t], 2, (int64_t[]){rows[r], in}, 3, 1.0);
                struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){out, in}, 0, 1.0);
                struct test_tensor b = test_random(test_dtypes[t], 1, &out, 0, 3.0);
                struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){rows[r], out}, 5);
                struct qvl_linear_args args = {.x = x.view, .bias = &b.view, .y = y.view};
                TEST_WEIGHT_OP(linear, backends, args, w, y, "linear with bias");
                args.bias = NULL;
                TEST_WEIGHT_OP(linear, backends, args, w, y, "linear");
                test_drop(&x), test_drop(&w), test_drop(&b), test_drop(&y);
            }
}

/* More rows than a block holds, and weights of another type than the activations. */
static void linear_blocks(void **state)
{
    struct test_backends *backends = *state;
    test_seed(22);
    for (int t = 0; t < 3; t++)
        for (int u = 0; u < 3; u++) {
            struct test_tensor x = test_random(test_dtypes[t], 2, (int64_t[]){1030, 19}, 1, 1.0);
            struct test_tensor w = test_random(test_dtypes[u], 2, (int64_t[]){23, 19}, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){1030, 23}, 2);
            struct qvl_linear_args args = {.x = x.view, .y = y.view};
            TEST_WEIGHT_OP(linear, backends, args, w, y, "linear in blocks");
            test_drop(&x), test_drop(&w), test_drop(&y);
        }
}

/* Sums of small integers are exact in any order, so every bit must be right; the inputs are rows that all
 * alias one (stride 0), which OpenBLAS cannot express. */
static void exact_integers(void **state)
{
    struct test_backends *backends = *state;
    const int64_t rows[] = {3, 19};
    enum { IN = 67, OUT = 29 };
    test_seed(23);
    for (int b = 0; b < backends->count; b++)
        for (int t = 0; t < 3; t++)
            for (int r = 0; r < 2; r++) {
                struct qvl_backend *cpu = backends->cpu[b];
                struct test_tensor x = test_tensor(test_dtypes[t], 2, (int64_t[]){1, IN}, 0);
                struct test_tensor w = test_tensor(test_dtypes[t], 2, (int64_t[]){OUT, IN}, 0);
                struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){rows[r], OUT}, 0);
                struct qvl_weight *weight;
                struct qvl_linear_args args = {.x = x.view, .y = y.view};
                for (int64_t i = 0; i < IN; i++)
                    test_set(&x, i, (double)(test_below(3) - 1));
                for (int64_t i = 0; i < OUT * IN; i++)
                    test_set(&w, i, (double)(test_below(7) - 3));
                args.x.shape[0] = rows[r];
                args.x.stride[0] = 0;
                args.weight = weight = prepare(cpu, &w, test_dtypes[t]);
                TEST_OK(cpu->ops.linear(cpu, &args, &error));
                for (int64_t i = 0; i < rows[r] * OUT; i++) {
                    double sum = 0; /* at most 201: exact in bf16 */
                    for (int64_t k = 0; k < IN; k++)
                        sum += test_at(&x, k) * test_at(&w, i % OUT * IN + k);
                    assert_true(test_at(&y, i) == sum);
                }
                cpu->weight_destroy(cpu, weight);
                test_drop(&x), test_drop(&w), test_drop(&y);
            }
}

/* A NaN in one row of x stays in that row of y; an infinity in one row of W in that column. */
static void not_finite(void **state)
{
    struct test_backends *backends = *state;
    test_seed(24);
    for (int t = 0; t < 2; t++)
        for (int64_t n = 3; n <= 20; n += 17) {
            struct test_tensor x = test_random(test_dtypes[t], 2, (int64_t[]){n, 40}, 1, 1.0);
            struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){7, 40}, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){n, 7}, 2);
            struct qvl_linear_args args = {.x = x.view, .y = y.view};
            test_set(&x, 1 * 40 + 39, NAN);
            test_set(&w, 4 * 40 + 7, INFINITY);
            TEST_WEIGHT_OP(linear, backends, args, w, y, "linear, not finite");
            test_drop(&x), test_drop(&w), test_drop(&y);
        }
}

static void patch_embed(void **state)
{
    struct test_backends *backends = *state;
    test_seed(25);
    for (int t = 0; t < 3; t++)
        for (int64_t n = 0; n <= 720; n = n ? 30 * n : 4) {
            int64_t out = 19;
            struct test_tensor x = test_random(QVL_F32, 2, (int64_t[]){n, 48}, 0, 1.0);
            struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){out, 48}, 0, 1.0);
            struct test_tensor b = test_random(test_dtypes[t], 1, &out, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){n, out}, 1);
            struct qvl_patch_embed_args args = {.x = x.view, .bias = &b.view, .y = y.view};
            TEST_WEIGHT_OP(patch_embed, backends, args, w, y, "patch_embed");
            test_drop(&x), test_drop(&w), test_drop(&b), test_drop(&y);
        }
}

static void output_head(void **state)
{
    struct test_backends *backends = *state;
    const int64_t list[3] = {6, 0, 6};
    test_seed(26);
    for (int t = 0; t < 3; t++) {
        struct test_tensor x = test_random(test_dtypes[t], 2, (int64_t[]){7, 30}, 0, 1.0);
        struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){501, 30}, 0, 1.0);
        struct test_tensor all = test_tensor(test_dtypes[t], 2, (int64_t[]){7, 501}, 1);
        struct test_tensor some = test_tensor(test_dtypes[t], 2, (int64_t[]){3, 501}, 1);
        struct qvl_output_head_args args = {.x = x.view, .y = all.view};
        TEST_WEIGHT_OP(output_head, backends, args, w, all, "output_head");
        args.rows = list;
        args.y = some.view;
        TEST_WEIGHT_OP(output_head, backends, args, w, some, "output_head of rows");
        test_drop(&x), test_drop(&w), test_drop(&all), test_drop(&some);
    }
}

static void run_merger(struct qvl_backend *backend, struct qvl_merger_args *args,
                       const struct test_tensor *fc1, const struct test_tensor *fc2)
{
    struct qvl_weight *one = prepare(backend, fc1, fc1->view.dtype),
                      *two = prepare(backend, fc2, fc2->view.dtype);
    args->fc1 = one;
    args->fc2 = two;
    TEST_OK(backend->ops.merger(backend, args, &error));
    backend->weight_destroy(backend, one);
    backend->weight_destroy(backend, two);
}

static void merger(void **state)
{
    struct test_backends *backends = *state;
    test_seed(27);
    for (int t = 0; t < 3; t++)
        for (int norm = QVL_MERGER_NORM_PATCH; norm <= QVL_MERGER_NORM_GROUP; norm++) {
            enum qvl_dtype dtype = test_dtypes[t];
            int64_t dim = norm == QVL_MERGER_NORM_GROUP ? 48 : 12, wide = 48, out = 21;
            struct test_tensor x = test_random(dtype, 2, (int64_t[]){1200, 12}, 0, 1.0);
            struct test_tensor nw = test_random(dtype, 1, &dim, 0, 1.0),
                               nb = test_random(dtype, 1, &dim, 0, 0.3);
            struct test_tensor w1 = test_random(dtype, 2, (int64_t[]){wide, wide}, 0, 0.15);
            struct test_tensor b1 = test_random(dtype, 1, &wide, 0, 0.3);
            struct test_tensor w2 = test_random(dtype, 2, (int64_t[]){out, wide}, 0, 0.15);
            struct test_tensor b2 = test_random(dtype, 1, &out, 0, 0.3);
            struct test_tensor y = test_tensor(dtype, 2, (int64_t[]){300, out}, 2);
            struct test_expected expected = test_expect(300 * out);
            struct qvl_merger_args args = {.x = x.view,
                                           .group = 4,
                                           .norm = (enum qvl_merger_norm)norm,
                                           .norm_weight = nw.view,
                                           .norm_bias = nb.view,
                                           .eps = 1e-6,
                                           .fc1_bias = b1.view,
                                           .fc2_bias = b2.view,
                                           .y = y.view,
                                           .cond = &expected.condition};
            run_merger(backends->ref, &args, &w1, &w2);
            args.cond = NULL;
            for (int b = 0; b < backends->count; b++) {
                memset(y.memory, 0xff, y.bytes);
                run_merger(backends->cpu[b], &args, &w1, &w2);
                test_compare("merger", &y, &expected);
                test_guards(&y);
            }
            test_expected_drop(&expected);
            test_drop(&x), test_drop(&nw), test_drop(&nb), test_drop(&w1), test_drop(&b1);
            test_drop(&w2), test_drop(&b2), test_drop(&y);
        }
}

/* The result does not depend on the number of threads, bit for bit. */
static void same_with_any_threads(void **state)
{
    struct test_backends *backends = *state;
    test_seed(28);
    for (int64_t n = 3; n <= 40; n += 37)
        for (int t = 0; t < 2; t++) {
            struct test_tensor x = test_random(test_dtypes[t], 2, (int64_t[]){n, 300}, 0, 1.0);
            struct test_tensor w = test_random(test_dtypes[t], 2, (int64_t[]){700, 300}, 0, 1.0);
            struct test_tensor y[2] = {test_tensor(test_dtypes[t], 2, (int64_t[]){n, 700}, 0),
                                       test_tensor(test_dtypes[t], 2, (int64_t[]){n, 700}, 0)};
            for (int b = 0; b < backends->count; b++) {
                struct qvl_backend *cpu = backends->cpu[b];
                struct qvl_weight *weight = prepare(cpu, &w, test_dtypes[t]);
                struct qvl_linear_args args = {.x = x.view, .weight = weight, .y = y[b % 2].view};
                TEST_OK(cpu->ops.linear(cpu, &args, &error));
                cpu->weight_destroy(cpu, weight);
                if (b % 2)
                    assert_memory_equal(y[0].memory, y[1].memory, y[0].bytes);
            }
            test_drop(&x), test_drop(&w), test_drop(&y[0]), test_drop(&y[1]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_shapes),  cmocka_unit_test(linear_blocks),
        cmocka_unit_test(exact_integers), cmocka_unit_test(not_finite),
        cmocka_unit_test(patch_embed),    cmocka_unit_test(output_head),
        cmocka_unit_test(merger),         cmocka_unit_test(same_with_any_threads),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
