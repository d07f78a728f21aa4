/* Shared by the tests of the cpu backend: backends of every instruction set and thread count, strided tensors
 * between guards, and the comparison with the reference's running error analysis. */
#ifndef QVL_CPU_TEST_H
#define QVL_CPU_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"

static const enum qvl_dtype test_dtypes[3] = {QVL_F32, QVL_BF16, QVL_F16};

/* A generator of our own (xorshift64*), so that a printed seed repeats a run anywhere. */
static uint64_t test_state;

static inline void test_seed(uint64_t seed)
{
    test_state = seed * 0x9e3779b97f4a7c15U + 1;
    print_message("seed %llu\n", (unsigned long long)seed);
}

static inline double test_uniform(void)
{
    test_state ^= test_state >> 12;
    test_state ^= test_state << 25;
    test_state ^= test_state >> 27;
    return (double)((test_state * 0x2545f4914f6cdd1dU) >> 11) * 0x1p-53;
}

static inline int64_t test_below(int64_t limit)
{
    return (int64_t)(test_uniform() * (double)limit);
}

/* Mean 0, variance 1, roughly normal. */
static inline double test_normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += test_uniform();
    return sum;
}

static inline double test_get(enum qvl_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case QVL_F32: return ((const float *)data)[index];
    case QVL_BF16: return qvl_bf16_to_f32(((const uint16_t *)data)[index]);
    case QVL_F16: return qvl_f16_to_f32(((const uint16_t *)data)[index]);
    default: return NAN;
    }
}

static inline void test_put(enum qvl_dtype dtype, void *data, int64_t index, double value)
{
    if (dtype == QVL_F32)
        ((float *)data)[index] = (float)value;
    else
        ((uint16_t *)data)[index] =
            dtype == QVL_BF16 ? qvl_f32_to_bf16((float)value) : qvl_f32_to_f16((float)value);
}

/* A tensor inside poisoned memory: every byte that is not an element stays 0xff (NaN in every type). */
struct test_tensor {
    struct qvl_tensor view;
    unsigned char *memory;
    size_t bytes;
};

static inline int64_t test_offset(const struct qvl_tensor *tensor, int64_t element)
{
    int64_t offset = 0;
    for (int32_t axis = tensor->rank - 1; axis >= 0; axis--) {
        const int64_t extent = tensor->shape[axis] > 0 ? tensor->shape[axis] : 1;
        offset += element % extent * tensor->stride[axis];
        element /= extent;
    }
    return offset;
}

/* `pad` extra elements after each row of the last axis, a guard before and after. */
static inline struct test_tensor test_tensor(enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                             int64_t pad)
{
    struct test_tensor made = {.view = qvl_tensor_make(NULL, dtype, rank, shape)};
    int64_t count = shape[rank - 1] + pad;
    for (int32_t axis = rank - 2; axis >= 0; axis--) {
        made.view.stride[axis] = count;
        count *= shape[axis];
    }
    made.bytes = (size_t)(count + 64) * qvl_dtype_bytes(dtype);
    made.memory = malloc(made.bytes ? made.bytes : 1);
    assert_non_null(made.memory);
    memset(made.memory, 0xff, made.bytes);
    made.view.data = made.memory + 32 * qvl_dtype_bytes(dtype);
    return made;
}

static inline double test_at(const struct test_tensor *tensor, int64_t element)
{
    return test_get(tensor->view.dtype, tensor->view.data, test_offset(&tensor->view, element));
}

static inline void test_set(struct test_tensor *tensor, int64_t element, double value)
{
    test_put(tensor->view.dtype, tensor->view.data, test_offset(&tensor->view, element), value);
}

static inline struct test_tensor test_random(enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                             int64_t pad, double scale)
{
    struct test_tensor made = test_tensor(dtype, rank, shape, pad);
    for (int64_t i = 0; i < qvl_tensor_count(&made.view); i++)
        test_set(&made, i, test_normal() * scale);
    return made;
}

/* Contiguous values as a weight or bias brings them. */
static inline struct qvl_array test_array(const struct test_tensor *tensor)
{
    struct qvl_array array = {
        .data = tensor->view.data, .dtype = tensor->view.dtype, .rank = tensor->view.rank};
    assert_true(qvl_tensor_is_contiguous(&tensor->view));
    memcpy(array.shape, tensor->view.shape, sizeof array.shape);
    return array;
}

/* Nothing outside the elements was written. */
static inline void test_guards(struct test_tensor *tensor)
{
    size_t size = qvl_dtype_bytes(tensor->view.dtype);
    int64_t count = qvl_tensor_count(&tensor->view);
    unsigned char *is_element = calloc(tensor->bytes, 1);
    assert_non_null(is_element);
    for (int64_t i = 0; i < count; i++)
        memset(is_element + ((size_t)test_offset(&tensor->view, i) + 32) * size, 1, size);
    for (size_t i = 0; i < tensor->bytes; i++)
        if (!is_element[i] && tensor->memory[i] != 0xff)
            fail_msg("byte %zu beside the elements was written", i);
    free(is_element);
}

static inline void test_drop(struct test_tensor *tensor)
{
    free(tensor->memory);
    tensor->memory = NULL;
}

/* The reference's value and bound for each element of an output. */
struct test_expected {
    struct qvl_condition condition;
    int64_t count;
};

static inline struct test_expected test_expect(int64_t count)
{
    struct test_expected made = {.condition = {.accumulate = 0x1p-24}, .count = count};
    made.condition.value = calloc((size_t)count + 1, sizeof(double));
    made.condition.bound = calloc((size_t)count + 1, sizeof(double));
    assert_true(made.condition.value && made.condition.bound);
    return made;
}

static inline void test_expected_drop(struct test_expected *expected)
{
    free(expected->condition.value);
    free(expected->condition.bound);
}

/* Every element within the reference's bound plus one rounding of the output type; non-finite in kind.
 * Returns the worst share of the tolerance that was used. */
static inline double test_compare(const char *what, const struct test_tensor *got,
                                  const struct test_expected *expected)
{
    double unit = qvl_dtype_roundoff(got->view.dtype), worst = 0;
    assert_int_equal(qvl_tensor_count(&got->view), expected->count);
    for (int64_t i = 0; i < expected->count; i++) {
        double value = expected->condition.value[i], bound = expected->condition.bound[i];
        double y = test_at(got, i);
        double tolerance = bound + unit * (fabs(value) + bound) + 0x1p-25 * (unit == 0x1p-11);
        if (isfinite(value) ? fabs(y - value) <= tolerance : (isnan(value) ? isnan(y) : y == value)) {
            if (isfinite(value) && tolerance > 0 && fabs(y - value) / tolerance > worst)
                worst = fabs(y - value) / tolerance;
            continue;
        }
        fail_msg("%s: element %lld of %lld is %.9g, expected %.9g +- %.3g", what, (long long)i,
                 (long long)expected->count, y, value, tolerance);
    }
    return worst;
}

/* Every instruction set that this machine runs, with one and with two threads. */
#define TEST_BACKENDS (2 * QVL_CPU_ISA_COUNT)

struct test_backends {
    struct qvl_backend *ref;
    struct qvl_backend *cpu[TEST_BACKENDS];
    int count;
};

static inline int test_open(void **state)
{
    static struct test_backends backends;
    memset(&backends, 0, sizeof backends);
    if (qvl_ref_open(NULL, &backends.ref, NULL) != QVL_OK)
        return -1;
    for (int isa = 0; isa < QVL_CPU_ISA_COUNT; isa++)
        for (int threads = 1; threads <= 2; threads++) {
            struct qvl_backend_options options = {.threads = threads};
            struct qvl_backend **cpu = &backends.cpu[backends.count];
            enum qvl_status status = qvl_cpu_open_isa(&options, (enum qvl_cpu_isa)isa, cpu, NULL);
            if (status != QVL_OK && status != QVL_UNAVAILABLE)
                return -1;
            backends.count += status == QVL_OK;
        }
    assert_true(backends.count >= 2);
    *state = &backends;
    return 0;
}

static inline int test_close(void **state)
{
    struct test_backends *backends = *state;
    backends->ref->close(backends->ref);
    for (int i = 0; i < backends->count; i++)
        backends->cpu[i]->close(backends->cpu[i]);
    return 0;
}

/* Run ARGS.y through the reference once, then through every cpu backend into a poisoned output. `args` must
 * be an lvalue whose field y is `y.view`. */
#define TEST_OP(op, backends, args, out, what)                                                               \
    do {                                                                                                     \
        struct test_expected expected_ = test_expect(qvl_tensor_count(&(out).view));                         \
        struct qvl_error error_ = {.message = ""};                                                           \
        (args).cond = &expected_.condition;                                                                  \
        if ((backends)->ref->ops.op((backends)->ref, &(args), &error_) != QVL_OK)                            \
            fail_msg("ref: %s", error_.message);                                                             \
        (args).cond = NULL;                                                                                  \
        for (int b_ = 0; b_ < (backends)->count; b_++) {                                                     \
            memset((out).memory, 0xff, (out).bytes);                                                         \
            if ((backends)->cpu[b_]->ops.op((backends)->cpu[b_], &(args), &error_) != QVL_OK)                \
                fail_msg("cpu: %s", error_.message);                                                         \
            test_compare(what, &(out), &expected_);                                                          \
            test_guards(&(out));                                                                             \
        }                                                                                                    \
        test_expected_drop(&expected_);                                                                      \
    } while (0)

#define TEST_OK(call)                                                                                        \
    do {                                                                                                     \
        struct qvl_error error = {.message = ""};                                                            \
        if ((call) != QVL_OK)                                                                                \
            fail_msg("%s", error.message);                                                                   \
    } while (0)

#endif
