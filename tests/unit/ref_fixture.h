/* Shared by the tests of the reference: a backend, tensors from lists of numbers, comparisons. */
#ifndef QVL_TEST_REF_FIXTURE_H
#define QVL_TEST_REF_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ref/kernels.h"
#include "ref/ref.h"

static struct qvl_backend *ref;
static struct qvl_error error;
static void *blocks[512];
static int block_count;

static inline int open_ref(void **state)
{
    (void)state;
    return qvl_ref_open(NULL, &ref, &error) == QVL_OK ? 0 : -1;
}

static inline int close_ref(void **state)
{
    (void)state;
    while (block_count > 0)
        free(blocks[--block_count]);
    ref->close(ref);
    return 0;
}

static inline void *block(size_t bytes)
{
    void *data = calloc(1, bytes + 1);
    assert_non_null(data);
    assert_true(block_count < 512);
    return blocks[block_count++] = data;
}

/* Succeeds, or fails with the message of the backend. */
static inline void expect_ok(enum qvl_status status)
{
    if (status != QVL_OK)
        fail_msg("%s: %s", qvl_status_name(status), error.message);
}

/* Refuses with this status and a message that contains `text`. */
static inline void expect_refusal(enum qvl_status status, enum qvl_status expected, const char *text)
{
    assert_int_equal(status, expected);
    if (!strstr(error.message, text))
        fail_msg("message '%s' does not contain '%s'", error.message, text);
}

/* A contiguous tensor holding `values` (rounded to nearest), or NaN everywhere when NULL. */
static inline struct qvl_tensor tensor_of(enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                          const double *values)
{
    struct qvl_tensor tensor = qvl_tensor_make(NULL, dtype, rank, shape);
    const int64_t count = qvl_tensor_count(&tensor);
    tensor.data = block((size_t)count * qvl_dtype_bytes(dtype));
    for (int64_t i = 0; i < count; i++) {
        const double value = values ? qvl_round_nearest(dtype, values[i]) : NAN;
        qvl_store_row(&value, dtype, 1, (char *)tensor.data + (size_t)i * qvl_dtype_bytes(dtype));
    }
    return tensor;
}

static inline struct qvl_tensor vector(enum qvl_dtype dtype, int64_t n, const double *values)
{
    return tensor_of(dtype, 1, &n, values);
}

static inline struct qvl_tensor matrix(enum qvl_dtype dtype, int64_t rows, int64_t columns,
                                       const double *values)
{
    return tensor_of(dtype, 2, (const int64_t[]){rows, columns}, values);
}

static inline struct qvl_tensor cube(enum qvl_dtype dtype, int64_t a, int64_t b, int64_t c,
                                     const double *values)
{
    return tensor_of(dtype, 3, (const int64_t[]){a, b, c}, values);
}

/* Element `index` of a contiguous tensor. */
static inline double at(const struct qvl_tensor *tensor, int64_t index)
{
    double value;
    qvl_load_row((const char *)tensor->data + (size_t)index * qvl_dtype_bytes(tensor->dtype), tensor->dtype,
                 1, &value);
    return value;
}

/* Every element of a contiguous tensor, within `tolerance`; `expected` has as many. */
static inline void expect_values(const struct qvl_tensor *tensor, const double *expected, double tolerance)
{
    for (int64_t i = 0; i < qvl_tensor_count(tensor); i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        if (!(fabs(at(tensor, i) - expected[i]) <= tolerance))
            fail_msg("element %lld is %.17g, expected %.17g", (long long)i, at(tensor, i), expected[i]);
}

static inline struct qvl_weight *prepare(unsigned use, bool input_first, const struct qvl_tensor *values)
{
    struct qvl_weight_desc desc = {
        .use = use, .input_first = input_first, .storage = values->dtype, .name = "test.weight"};
    struct qvl_weight *weight;
    desc.array = (struct qvl_array){.data = values->data, .dtype = values->dtype, .rank = values->rank};
    memcpy(desc.array.shape, values->shape, sizeof desc.array.shape);
    expect_ok(ref->weight_prepare(ref, &desc, &weight, &error));
    return weight;
}

#define RUN_REF_TESTS(tests) cmocka_run_group_tests(tests, open_ref, close_ref)

#endif
