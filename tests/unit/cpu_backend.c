/* The cpu backend as a handle: opening, memory, prepared weights, the KV cache, and what it refuses. */
#include "cpu_test.h"

static void open_and_describe(void **state)
{
    struct qvl_backend *backend;
    struct qvl_error error = {.message = ""};
    const struct qvl_backend_options two = {.threads = 2}, wrong = {.threads = -1};
    (void)state;
    TEST_OK(qvl_cpu_open(&two, &backend, &error));
    assert_string_equal(backend->name, "cpu");
    assert_int_equal(backend->struct_size, sizeof *backend);
    assert_int_equal(backend->abi, QVL_BACKEND_ABI);
    assert_int_equal(backend->math.accumulate, QVL_F32);
    assert_false(backend->math.tf32 || backend->math.rounds_attention_scores);
    assert_non_null(strstr(backend->description, "OpenBLAS"));
    assert_non_null(strstr(backend->description, "2 threads"));
    assert_non_null(strstr(backend->description, qvl_cpu_isa_name(qvl_cpu_isa_best())));
#define HAS(name) assert_non_null(backend->ops.name);
    QVL_OPS(HAS)
#undef HAS
    backend->close(backend);
    TEST_OK(qvl_cpu_open(NULL, &backend, &error));
    backend->close(backend);
    assert_int_equal(qvl_cpu_open(&wrong, &backend, &error), QVL_USAGE);
    assert_null(backend);
    assert_int_equal(qvl_cpu_open_isa(NULL, QVL_CPU_ISA_COUNT, &backend, &error), QVL_UNAVAILABLE);
}

/* Strided views of one allocation; two backends alive. */
static void memory(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    const int32_t host[6] = {1, 2, 3, 4, 5, 6};
    int32_t back[6] = {0}, all[16];
    void *data = NULL;
    struct qvl_tensor view;
    TEST_OK(cpu->allocate(cpu, sizeof all, &data, &error));
    assert_int_equal((uintptr_t)data % 64, 0);
    memset(data, 0, sizeof all);
    view = qvl_tensor_2d((int32_t *)data + 1, QVL_I32, 2, 3);
    view.stride[0] = 8;
    view.stride[1] = 2;
    TEST_OK(cpu->upload(cpu, &view, host, &error));
    memcpy(all, data, sizeof all);
    for (int i = 0; i < 16; i++)
        assert_int_equal(all[i], i % 2 && i % 8 < 7 ? i / 8 * 3 + i % 8 / 2 + 1 : 0);
    TEST_OK(cpu->download(cpu, &view, back, &error));
    assert_memory_equal(back, host, sizeof host);
    TEST_OK(cpu->sync(cpu, &error));
    cpu->release(cpu, data);
    cpu->release(cpu, NULL);
    struct qvl_error error = {.message = ""};
    assert_int_equal(cpu->allocate(cpu, SIZE_MAX - 5, &data, &error), QVL_NO_MEMORY);
    assert_null(data);
}

/* A borrowed weight follows its array; a converted or misaligned one is a copy with the values rounded. */
static void weights(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    float ones[4] = {1, 1, 1, 1}, y[4];
    unsigned char odd[17];
    const double wide[4] = {1 + 0x1p-9, 2, 3, 4}; /* 1 + 2^-9 rounds to 1 in bf16 */
    struct qvl_weight_desc desc = {
        .array = {ones, QVL_F32, 2, {4, 1}}, .use = QVL_USE_LINEAR, .storage = QVL_F32};
    struct qvl_weight *weight;
    float x = 1;
    struct qvl_linear_args args = {.x = qvl_tensor_2d(&x, QVL_F32, 1, 1),
                                   .y = qvl_tensor_2d(y, QVL_F32, 1, 4)};
    TEST_OK(cpu->weight_prepare(cpu, &desc, &weight, &error));
    args.weight = weight;
    ones[2] = 5;
    TEST_OK(cpu->ops.linear(cpu, &args, &error));
    assert_true(y[2] == 5);
    cpu->weight_destroy(cpu, weight);
    memcpy(odd + 1, ones, sizeof ones);
    desc.array.data = odd + 1;
    TEST_OK(cpu->weight_prepare(cpu, &desc, &weight, &error));
    args.weight = weight;
    TEST_OK(cpu->ops.linear(cpu, &args, &error));
    assert_true(y[2] == 5 && y[3] == 1);
    cpu->weight_destroy(cpu, weight);
    desc.array.data = wide;
    desc.array.dtype = QVL_F64;
    desc.storage = QVL_BF16;
    TEST_OK(cpu->weight_prepare(cpu, &desc, &weight, &error));
    args.weight = weight;
    TEST_OK(cpu->ops.linear(cpu, &args, &error));
    assert_true(y[0] == 1 && y[3] == 4);
    cpu->weight_destroy(cpu, weight);
    cpu->weight_destroy(cpu, NULL);
}

static void weights_refused(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    const float data[6] = {0};
    const struct qvl_weight_desc good = {
        .array = {data, QVL_F32, 2, {2, 3}}, .use = QVL_USE_LINEAR, .storage = QVL_F32, .name = "layer.q"};
    struct qvl_weight_desc bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].use = 0;
    bad[1].use = QVL_USE_LINEAR | QVL_USE_EXPERTS;
    bad[2].array.rank = 3;
    bad[3].array.shape[1] = 0;
    bad[4].storage = QVL_I32;
    bad[5].array.dtype = QVL_U8;
    bad[6].array.data = NULL;
    bad[7].input_first = true;
    for (int i = 0; i < 8; i++) {
        struct qvl_weight *weight = NULL;
        struct qvl_error error = {.message = ""};
        assert_int_equal(cpu->weight_prepare(cpu, &bad[i], &weight, &error), QVL_USAGE);
        assert_null(weight);
        assert_non_null(strstr(error.message, "layer.q"));
    }
}

/* Rows of a bf16 cache: [count, 2 heads, 3 lanes], value = row * 20 + head * 10 + lane (exact in bf16 below
 * 256). */
static double row_value(int64_t first, int64_t i)
{
    const int64_t row = first + i / 6, head = i / 3 % 2, lane = i % 3;
    return (double)(row * 20 + head * 10 + lane);
}

static void put_rows(struct qvl_backend *cpu, struct qvl_cache *cache, int64_t first, int64_t count,
                     enum qvl_status expected)
{
    struct test_tensor k = test_tensor(QVL_BF16, 3, (int64_t[]){count, 2, 3}, 1);
    struct test_tensor v = test_tensor(QVL_BF16, 3, (int64_t[]){count, 2, 3}, 0);
    struct qvl_segment segment = {cache, 0, count};
    struct qvl_cache_append_args args = {0, k.view, v.view, &segment, 1};
    struct qvl_error error = {.message = ""};
    for (int64_t i = 0; i < count * 6; i++) {
        double value = row_value(first, i);
        test_set(&k, i, value);
        test_set(&v, i, -value);
    }
    assert_int_equal(cpu->ops.cache_append(cpu, &args, &error), expected);
    test_drop(&k), test_drop(&v);
}

static void check_rows(struct qvl_backend *cpu, struct qvl_cache *cache, int64_t first, int64_t count,
                       int64_t value_of_first)
{
    uint16_t k[60], v[60];
    TEST_OK(cpu->cache_export(cpu, cache, 0, first, count, k, v, &error));
    for (int64_t i = 0; i < count * 6; i++) {
        double value = row_value(value_of_first, i);
        assert_true(qvl_bf16_to_f32(k[i]) == value && qvl_bf16_to_f32(v[i]) == -value);
    }
}

static void cache_life(void **state)
{
    struct test_backends *backends = *state;
    for (int b = 0; b < backends->count; b++) {
        struct qvl_backend *cpu = backends->cpu[b];
        const struct qvl_cache_desc desc = {2, 2, 3, 6, QVL_BF16};
        struct qvl_cache *cache, *copy;
        struct qvl_error error = {.message = ""};
        uint16_t none[6];
        TEST_OK(cpu->cache_create(cpu, &desc, &cache, &error));
        put_rows(cpu, cache, 0, 4, QVL_OK);
        put_rows(cpu, cache, 9, 3, QVL_NO_MEMORY); /* 4 + 3 > 6: nothing is appended */
        assert_int_equal(cpu->cache_length(cpu, cache, 0), 4);
        TEST_OK(cpu->cache_fork(cpu, cache, &copy, &error));
        put_rows(cpu, cache, 4, 2, QVL_OK);
        put_rows(cpu, copy, 7, 1, QVL_OK);
        check_rows(cpu, cache, 0, 6, 0);
        check_rows(cpu, copy, 0, 4, 0);
        check_rows(cpu, copy, 4, 1, 7);
        TEST_OK(cpu->cache_truncate(cpu, cache, 1, &error));
        assert_int_equal(cpu->cache_length(cpu, cache, 0), 1);
        assert_int_equal(cpu->cache_length(cpu, cache, 1), 0);
        put_rows(cpu, cache, 5, 2, QVL_OK);
        check_rows(cpu, cache, 0, 1, 0);
        check_rows(cpu, cache, 1, 2, 5);
        check_rows(cpu, copy, 0, 4, 0);
        assert_int_equal(cpu->cache_export(cpu, cache, 0, 2, 2, none, none, &error), QVL_USAGE);
        assert_int_equal(cpu->cache_export(cpu, cache, 2, 0, 1, none, none, &error), QVL_USAGE);
        assert_int_equal(cpu->cache_truncate(cpu, cache, -1, &error), QVL_USAGE);
        cpu->cache_destroy(cpu, cache);
        cpu->cache_destroy(cpu, copy);
        cpu->cache_destroy(cpu, NULL);
    }
}

static void caches_refused(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    const struct qvl_cache_desc bad[5] = {{0, 1, 4, 8, QVL_F32},
                                          {1, 0, 4, 8, QVL_F32},
                                          {1, 1, 0, 8, QVL_F32},
                                          {1, 1, 4, -1, QVL_F32},
                                          {1, 1, 4, 8, QVL_I32}};
    const struct qvl_cache_desc huge = {1, 8, 128, INT64_C(1) << 50, QVL_BF16}, small = {1, 2, 4, 8, QVL_F32};
    struct qvl_error error = {.message = ""};
    struct qvl_cache *cache;
    float data[24] = {0};
    struct qvl_segment segment = {NULL, 0, 1};
    struct qvl_cache_append_args append = {0, qvl_tensor_3d(data, QVL_F32, 1, 3, 4),
                                           qvl_tensor_3d(data, QVL_F32, 1, 3, 4), &segment, 1};
    struct qvl_attention_args attention = {.q = qvl_tensor_3d(data, QVL_F32, 1, 3, 4),
                                           .segments = &segment,
                                           .segment_count = 1,
                                           .y = qvl_tensor_3d(data + 12, QVL_F32, 1, 3, 4)};
    for (int i = 0; i < 5; i++)
        assert_int_equal(cpu->cache_create(cpu, &bad[i], &cache, &error), QVL_USAGE);
    assert_int_equal(cpu->cache_create(cpu, &huge, &cache, &error), QVL_NO_MEMORY);
    assert_null(cache);
    TEST_OK(cpu->cache_create(cpu, &small, &cache, &error));
    segment.cache = cache;
    assert_int_equal(cpu->ops.cache_append(cpu, &append, &error), QVL_USAGE); /* 3 heads into 2 */
    assert_int_equal(cpu->ops.attention(cpu, &attention, &error), QVL_USAGE); /* 3 heads over 2 */
    append.layer = attention.layer = 1;
    assert_int_equal(cpu->ops.cache_append(cpu, &append, &error), QVL_USAGE);
    assert_int_equal(cpu->ops.attention(cpu, &attention, &error), QVL_USAGE);
    cpu->cache_destroy(cpu, cache);
}

/* The error analysis is the reference's alone; a weight of the wrong shape or use is named. */
static void ops_refused(void **state)
{
    struct test_backends *backends = *state;
    struct qvl_backend *cpu = backends->cpu[0];
    struct qvl_error error = {.message = ""};
    struct qvl_condition condition = {.accumulate = 0x1p-24};
    float data[16] = {0}, out[16];
    struct qvl_weight_desc desc = {
        .array = {data, QVL_F32, 2, {2, 3}}, .use = QVL_USE_ROWS, .storage = QVL_F32, .name = "w"};
    struct qvl_weight *rows, *linear;
    struct qvl_add_args add = {qvl_tensor_2d(data, QVL_F32, 2, 3), qvl_tensor_2d(data, QVL_F32, 2, 3),
                               qvl_tensor_2d(out, QVL_F32, 2, 3), &condition};
    struct qvl_linear_args args = {.x = qvl_tensor_2d(data, QVL_F32, 2, 3),
                                   .y = qvl_tensor_2d(out, QVL_F32, 2, 2)};
    assert_int_equal(cpu->ops.add(cpu, &add, &error), QVL_UNSUPPORTED);
    add.cond = NULL;
    add.b.shape[1] = 2;
    assert_int_equal(cpu->ops.add(cpu, &add, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "add.b"));
    TEST_OK(cpu->weight_prepare(cpu, &desc, &rows, &error));
    desc.use = QVL_USE_LINEAR;
    TEST_OK(cpu->weight_prepare(cpu, &desc, &linear, &error));
    args.weight = rows;
    assert_int_equal(cpu->ops.linear(cpu, &args, &error), QVL_USAGE);
    args.weight = linear;
    args.x = qvl_tensor_2d(data, QVL_F32, 2, 4);
    assert_int_equal(cpu->ops.linear(cpu, &args, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "linear.weight"));
    cpu->weight_destroy(cpu, rows);
    cpu->weight_destroy(cpu, linear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_and_describe), cmocka_unit_test(memory),     cmocka_unit_test(weights),
        cmocka_unit_test(weights_refused),   cmocka_unit_test(cache_life), cmocka_unit_test(caches_refused),
        cmocka_unit_test(ops_refused),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
