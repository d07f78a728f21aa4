/* The cpu backend's norms, activations, additions, rotations and softmax against the reference, in every
 * storage type, instruction set and thread count, on strided views, in place and with non-finite values. */
#include "cpu_test.h"

/* Rows and columns: single values, one short of a vector, whole vectors, longer than a working piece, and
 * enough elements for several threads. */
static const int64_t shapes[][2] = {{1, 1}, {3, 7}, {2, 16}, {5, 33}, {0, 5}, {37, 12}, {64, 515}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static void norms(void **state)
{
    struct test_backends *backends = *state;
    test_seed(11);
    for (size_t s = 0; s < SHAPES; s++)
        for (int t = 0; t < 3; t++) {
            const int64_t *shape = shapes[s];
            struct test_tensor x = test_random(test_dtypes[t], 2, shape, 3, 2.0);
            struct test_tensor w = test_random(test_dtypes[t], 1, shape + 1, 0, 1.0);
            struct test_tensor b = test_random(test_dtypes[t], 1, shape + 1, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, shape, 5);
            struct qvl_rms_norm_args rms = {.x = x.view, .weight = w.view, .eps = 1e-6, .y = y.view};
            struct qvl_layer_norm_args layer = {
                .x = x.view, .weight = w.view, .bias = b.view, .eps = 1e-6, .y = y.view};
            TEST_OP(rms_norm, backends, rms, y, "rms_norm");
            TEST_OP(layer_norm, backends, layer, y, "layer_norm");
            test_drop(&x), test_drop(&w), test_drop(&b), test_drop(&y);
        }
}

/* QK-norm: three axes with a gap after every head. */
static void qk_norm(void **state)
{
    struct test_backends *backends = *state;
    const int64_t shape[3] = {300, 6, 20};
    test_seed(12);
    for (int t = 0; t < 3; t++) {
        struct test_tensor x = test_random(test_dtypes[t], 3, shape, 4, 3.0);
        struct test_tensor w = test_random(test_dtypes[t], 1, shape + 2, 0, 1.0);
        struct test_tensor y = test_tensor(test_dtypes[t], 3, shape, 1);
        struct qvl_rms_norm_args args = {.x = x.view, .weight = w.view, .eps = 1e-6, .y = y.view};
        TEST_OP(rms_norm, backends, args, y, "qk norm");
        test_drop(&x), test_drop(&w), test_drop(&y);
    }
}

static void activations(void **state)
{
    struct test_backends *backends = *state;
    test_seed(13);
    for (size_t s = 0; s < SHAPES; s++)
        for (int t = 0; t < 3; t++) {
            struct test_tensor x = test_random(test_dtypes[t], 2, shapes[s], 2, 4.0);
            struct test_tensor u = test_random(test_dtypes[t], 2, shapes[s], 1, 2.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, shapes[s], 3);
            struct qvl_gelu_args gelu = {.x = x.view, .form = QVL_GELU_TANH, .y = y.view};
            struct qvl_swiglu_args swiglu = {.gate = x.view, .up = u.view, .y = y.view};
            struct qvl_add_args add = {.a = x.view, .b = u.view, .y = y.view};
            TEST_OP(gelu, backends, gelu, y, "gelu tanh");
            gelu.form = QVL_GELU_ERF;
            TEST_OP(gelu, backends, gelu, y, "gelu erf");
            TEST_OP(swiglu, backends, swiglu, y, "swiglu");
            TEST_OP(add, backends, add, y, "add");
            test_drop(&x), test_drop(&u), test_drop(&y);
        }
}

/* Every power of two and its neighbourhood, both signs, Inf and NaN: where exp overflows, underflows or
 * rounds. */
static void wide_range(void **state)
{
    struct test_backends *backends = *state;
    const int64_t shape[2] = {2, 1200};
    for (int t = 0; t < 3; t++) {
        struct test_tensor x = test_tensor(test_dtypes[t], 2, shape, 0);
        struct test_tensor u = test_tensor(test_dtypes[t], 2, shape, 0);
        struct test_tensor y = test_tensor(test_dtypes[t], 2, shape, 0);
        struct qvl_gelu_args gelu = {.x = x.view, .form = QVL_GELU_TANH, .y = y.view};
        struct qvl_swiglu_args swiglu = {.gate = x.view, .up = u.view, .y = y.view};
        struct qvl_softmax_args softmax = {.x = x.view, .y = y.view};
        for (int64_t i = 0; i < 2 * 1200; i++) {
            double size =
                i < 1600 ? ldexp(1 + (double)(i % 8) / 8, (int)(i / 16) - 60) : (double)(i - 1600) / 7;
            test_set(&x, i, i % 2 ? -size : size);
            test_set(&u, i, 1);
        }
        TEST_OP(gelu, backends, gelu, y, "gelu tanh, wide");
        gelu.form = QVL_GELU_ERF;
        TEST_OP(gelu, backends, gelu, y, "gelu erf, wide");
        TEST_OP(swiglu, backends, swiglu, y, "swiglu, wide");
        TEST_OP(softmax, backends, softmax, y, "softmax, wide");
        test_set(&x, 5, INFINITY);
        test_set(&x, 6, NAN);
        TEST_OP(gelu, backends, gelu, y, "gelu erf, not finite");
        gelu.form = QVL_GELU_TANH;
        TEST_OP(gelu, backends, gelu, y, "gelu tanh, not finite");
        TEST_OP(swiglu, backends, swiglu, y, "swiglu, not finite");
        TEST_OP(softmax, backends, softmax, y, "softmax, not finite");
        test_drop(&x), test_drop(&u), test_drop(&y);
    }
}

static void softmax_rows(void **state)
{
    struct test_backends *backends = *state;
    test_seed(14);
    for (size_t s = 0; s < SHAPES; s++)
        for (int t = 0; t < 3; t++) {
            struct test_tensor x = test_random(test_dtypes[t], 2, shapes[s], 2, 6.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, shapes[s], 3);
            struct qvl_softmax_args args = {.x = x.view, .y = y.view};
            for (int64_t j = 0; j < shapes[s][1] && shapes[s][0]; j++)
                test_set(&x, j, -INFINITY); /* a row of -inf yields zeros */
            TEST_OP(softmax, backends, args, y, "softmax");
            test_drop(&x), test_drop(&y);
        }
}

static void rotations(void **state)
{
    struct test_backends *backends = *state;
    const int64_t dims[] = {2, 20, 72, 128};
    test_seed(15);
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (int t = 0; t < 3; t++)
            for (int form = QVL_ROPE_ROUND_EACH; form <= QVL_ROPE_ROUND_ONCE; form++) {
                const int64_t n = dims[d] == 128 ? 90 : 5;
                const int64_t shape[3] = {n, 3, dims[d]}, table[2] = {n, dims[d] / 2};
                enum qvl_dtype type = form == QVL_ROPE_ROUND_EACH ? test_dtypes[t] : QVL_F32;
                struct test_tensor x = test_random(test_dtypes[t], 3, shape, 2, 1.5);
                struct test_tensor c = test_random(type, 2, table, 1, 0.5);
                struct test_tensor s = test_random(type, 2, table, 3, 0.5);
                struct test_tensor y = test_tensor(test_dtypes[t], 3, shape, 6);
                struct qvl_rope_args args = {.x = x.view,
                                             .cos = c.view,
                                             .sin = s.view,
                                             .rounding = (enum qvl_rope_rounding)form,
                                             .y = y.view};
                TEST_OP(rope, backends, args, y, "rope");
                test_drop(&x), test_drop(&c), test_drop(&s), test_drop(&y);
            }
}

/* Working in place gives the same bits as working from one tensor into another. */
static void in_place(void **state)
{
    struct test_backends *backends = *state;
    const int64_t shape[2] = {63, 530};
    test_seed(16);
    for (int b = 0; b < backends->count; b++)
        for (int t = 0; t < 3; t++) {
            struct qvl_backend *cpu = backends->cpu[b];
            struct test_tensor x = test_random(test_dtypes[t], 2, shape, 0, 1.0);
            struct test_tensor u = test_random(test_dtypes[t], 2, shape, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, shape, 0);
            TEST_OK(cpu->ops.swiglu(cpu, &(struct qvl_swiglu_args){.gate = x.view, .up = u.view, .y = y.view},
                                    &error));
            TEST_OK(cpu->ops.swiglu(cpu, &(struct qvl_swiglu_args){.gate = x.view, .up = u.view, .y = u.view},
                                    &error));
            assert_memory_equal(u.memory, y.memory, y.bytes);
            TEST_OK(cpu->ops.add(cpu, &(struct qvl_add_args){.a = x.view, .b = u.view, .y = y.view}, &error));
            TEST_OK(cpu->ops.add(cpu, &(struct qvl_add_args){.a = x.view, .b = u.view, .y = x.view}, &error));
            assert_memory_equal(x.memory, y.memory, y.bytes);
            TEST_OK(cpu->ops.softmax(cpu, &(struct qvl_softmax_args){.x = x.view, .y = y.view}, &error));
            TEST_OK(cpu->ops.softmax(cpu, &(struct qvl_softmax_args){.x = x.view, .y = x.view}, &error));
            assert_memory_equal(x.memory, y.memory, y.bytes);
            test_drop(&x), test_drop(&u), test_drop(&y);
        }
}

/* DeepStack: y[rows[i]] += src[i] and nothing else; scatter: y[rows[i]] = src[i]. */
static void rows(void **state)
{
    struct test_backends *backends = *state;
    const int64_t y_shape[2] = {7, 11000}, src_shape[2] = {3, 11000}, list[3] = {5, 0, 6};
    test_seed(17);
    for (int b = 0; b < backends->count; b++)
        for (int t = 0; t < 3; t++) {
            struct qvl_backend *cpu = backends->cpu[b];
            struct test_tensor y = test_random(test_dtypes[t], 2, y_shape, 2, 1.0);
            struct test_tensor src = test_random(test_dtypes[t], 2, src_shape, 4, 1.0);
            unsigned char *before = malloc(y.bytes);
            struct test_tensor old = {.view = y.view, .memory = before, .bytes = y.bytes};
            memcpy(before, y.memory, y.bytes);
            old.view.data = before + 32 * qvl_dtype_bytes(test_dtypes[t]);
            TEST_OK(cpu->ops.add_rows(
                cpu, &(struct qvl_add_rows_args){.src = src.view, .rows = list, .y = y.view}, &error));
            for (int64_t i = 0; i < 7 * 11000; i++) {
                int64_t at = i / 11000 == 5 ? 0 : i / 11000 == 0 ? 1 : i / 11000 == 6 ? 2 : -1;
                double sum = test_at(&old, i) + (at < 0 ? 0 : test_at(&src, at * 11000 + i % 11000));
                test_put(test_dtypes[t], before, 0, sum); /* round it (the guard of `before` is spare) */
                assert_true(test_at(&y, i) == test_get(test_dtypes[t], before, 0));
            }
            test_guards(&y);
            TEST_OK(cpu->ops.scatter_rows(
                cpu, &(struct qvl_scatter_rows_args){.src = src.view, .rows = list, .y = y.view}, &error));
            for (int64_t i = 0; i < 3 * 11000; i++)
                assert_true(test_at(&y, list[i / 11000] * 11000 + i % 11000) == test_at(&src, i));
            test_guards(&y);
            test_drop(&y), test_drop(&src), test_drop(&old);
        }
}

/* bf16 by hand: silu(2) = 1.7615942 lies between 225/128 and 226/128, nearer to 225/128 = 1.7578125;
 * times 1.125 that is 253.125/128, which rounds to 253/128 = 1.9765625. Without the inner rounding it would
 * be 254/128. */
static void swiglu_rounding_points(void **state)
{
    struct test_backends *backends = *state;
    const int64_t shape[2] = {1, 1};
    for (int b = 0; b < backends->count; b++) {
        struct test_tensor gate = test_tensor(QVL_BF16, 2, shape, 0), up = test_tensor(QVL_BF16, 2, shape, 0);
        struct test_tensor y = test_tensor(QVL_BF16, 2, shape, 0);
        test_set(&gate, 0, 2);
        test_set(&up, 0, 1.125);
        TEST_OK(backends->cpu[b]->ops.swiglu(
            backends->cpu[b], &(struct qvl_swiglu_args){.gate = gate.view, .up = up.view, .y = y.view},
            &error));
        assert_true(test_at(&y, 0) == 1.9765625);
        test_drop(&gate), test_drop(&up), test_drop(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),
        cmocka_unit_test(qk_norm),
        cmocka_unit_test(activations),
        cmocka_unit_test(wide_range),
        cmocka_unit_test(softmax_rows),
        cmocka_unit_test(rotations),
        cmocka_unit_test(in_place),
        cmocka_unit_test(rows),
        cmocka_unit_test(swiglu_rounding_points),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
