/* The cpu backend's KV cache and both attentions. The oracle is the reference on float32 copies of the stored
 * values: this backend keeps scores and probabilities in float32 whatever the storage type, so the
 * reference's 16-bit roundings of them must not count. */
#include "cpu_test.h"

struct heads {
    int64_t kv, ratio, dim;
};

static struct qvl_cache *make_cache(struct qvl_backend *backend, const struct heads *heads, int64_t capacity,
                                    enum qvl_dtype dtype)
{
    struct qvl_cache *cache = NULL;
    struct qvl_cache_desc desc = {2, heads->kv, heads->dim, capacity, dtype};
    TEST_OK(backend->cache_create(backend, &desc, &cache, &error));
    return cache;
}

/* The same values as float32. */
static struct test_tensor widened(const struct test_tensor *tensor)
{
    struct test_tensor wide = test_tensor(QVL_F32, tensor->view.rank, tensor->view.shape, 1);
    for (int64_t i = 0; i < qvl_tensor_count(&tensor->view); i++)
        test_set(&wide, i, test_at(tensor, i));
    return wide;
}

#define SEQUENCES 4

/* A ragged batch: what each sequence holds before, and how many rows it brings now. */
struct batch {
    int64_t before[SEQUENCES], rows[SEQUENCES];
};

static void append(struct qvl_backend *backend, const struct qvl_segment *segments,
                   const struct test_tensor *k, const struct test_tensor *v)
{
    struct qvl_cache_append_args args = {
        .layer = 1, .k = k->view, .v = v->view, .segments = segments, .segment_count = SEQUENCES};
    TEST_OK(backend->ops.cache_append(backend, &args, &error));
}

/* Two appends (before, then rows), then attention of the new rows. */
static void run_batch(struct qvl_backend *backend, const struct heads *heads, const struct batch *batch,
                      const struct test_tensor tensor[5], struct qvl_attention_args *args)
{
    struct qvl_segment first[SEQUENCES], second[SEQUENCES];
    int64_t old_rows = 0, new_rows = 0;
    for (int s = 0; s < SEQUENCES; s++) {
        struct qvl_cache *cache =
            make_cache(backend, heads, batch->before[s] + batch->rows[s] + 3, tensor[0].view.dtype);
        first[s] = (struct qvl_segment){cache, old_rows, batch->before[s]};
        second[s] = (struct qvl_segment){cache, new_rows, batch->rows[s]};
        old_rows += batch->before[s];
        new_rows += batch->rows[s];
    }
    append(backend, first, &tensor[0], &tensor[1]);
    append(backend, second, &tensor[2], &tensor[3]);
    args->layer = 1;
    args->segments = second;
    args->segment_count = SEQUENCES;
    args->scale = 1.0f / sqrtf((float)heads->dim);
    TEST_OK(backend->ops.attention(backend, args, &error));
    for (int s = 0; s < SEQUENCES; s++) {
        assert_int_equal(backend->cache_length(backend, second[s].cache, 1),
                         batch->before[s] + batch->rows[s]);
        assert_int_equal(backend->cache_length(backend, second[s].cache, 0), 0);
        backend->cache_destroy(backend, second[s].cache);
    }
}

static void check_batch(struct test_backends *backends, const struct heads *heads, const struct batch *batch,
                        enum qvl_dtype dtype)
{
    int64_t old_rows = 0, n = 0;
    for (int s = 0; s < SEQUENCES; s++) {
        old_rows += batch->before[s];
        n += batch->rows[s];
    }
    const int64_t old_shape[3] = {old_rows, heads->kv, heads->dim}, kv_shape[3] = {n, heads->kv, heads->dim};
    const int64_t q_shape[3] = {n, heads->kv * heads->ratio, heads->dim};
    struct test_tensor own[5] = {
        test_random(dtype, 3, old_shape, 2, 1.0), test_random(dtype, 3, old_shape, 0, 1.0),
        test_random(dtype, 3, kv_shape, 1, 1.0), test_random(dtype, 3, kv_shape, 3, 1.0),
        test_random(dtype, 3, q_shape, 2, 1.5)};
    struct test_tensor wide[5], y = test_tensor(dtype, 3, q_shape, 1),
                                y_wide = test_tensor(QVL_F32, 3, q_shape, 1);
    struct test_expected expected = test_expect(qvl_tensor_count(&y.view));
    struct qvl_attention_args args = {.y = y_wide.view, .cond = &expected.condition};
    for (int i = 0; i < 5; i++)
        wide[i] = widened(&own[i]);
    args.q = wide[4].view;
    run_batch(backends->ref, heads, batch, wide, &args);
    args = (struct qvl_attention_args){.q = own[4].view, .y = y.view};
    for (int b = 0; b < backends->count; b++) {
        memset(y.memory, 0xff, y.bytes);
        run_batch(backends->cpu[b], heads, batch, own, &args);
        test_compare("attention", &y, &expected);
        test_guards(&y);
    }
    test_expected_drop(&expected);
    for (int i = 0; i < 5; i++)
        test_drop(&own[i]), test_drop(&wide[i]);
    test_drop(&y), test_drop(&y_wide);
}

/* Decode, prefill, an idle sequence and a chunk in one batch, for every ratio and head size. */
static void ragged_batches(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads[] = {{2, 1, 16}, {3, 3, 64}, {2, 4, 72}, {2, 7, 80}, {2, 12, 128}, {1, 2, 20}};
    const struct batch batch = {{40, 0, 11, 300}, {1, 23, 0, 9}};
    test_seed(31);
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
        for (int t = 0; t < 3; t++)
            check_batch(backends, &heads[h], &batch, test_dtypes[t]);
}

/* Lengths around the edges of a block of keys (256), of a task's rows (128) and of a part of the keys (2048).
 */
static void block_edges(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads = {2, 2, 16};
    const struct batch batches[] = {{{255, 256, 257, 511}, {1, 1, 1, 2}},
                                    {{0, 0, 250, 256}, {63, 64, 65, 130}},
                                    {{2047, 2048, 4095, 4097}, {1, 3, 2, 8}}};
    test_seed(32);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        for (int t = 0; t < 2; t++)
            check_batch(backends, &heads, &batches[i], test_dtypes[t]);
}

/* By hand: two keys seen by the first row, three by the second; V of KV head g is 10 g + key. With q = 0 all
 * seen keys weigh the same, so row 0 gives 10 g + 0.5, row 1 gives 10 g + 1, and query head h reads KV head h
 * / 3. */
static void mask_and_heads_by_hand(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads = {2, 3, 4};
    for (int b = 0; b < backends->count; b++) {
        struct qvl_backend *cpu = backends->cpu[b];
        struct qvl_cache *cache = make_cache(cpu, &heads, 3, QVL_F32);
        struct test_tensor kv = test_random(QVL_F32, 3, (int64_t[]){3, 2, 4}, 0, 1.0);
        struct test_tensor q = test_tensor(QVL_F32, 3, (int64_t[]){2, 6, 4}, 0);
        struct test_tensor y = test_tensor(QVL_F32, 3, (int64_t[]){2, 6, 4}, 0);
        struct qvl_segment segment = {cache, 0, 3};
        struct qvl_cache_append_args put = {0, kv.view, kv.view, &segment, 1};
        struct qvl_attention_args args = {
            .q = q.view, .segments = &segment, .segment_count = 1, .scale = 1, .y = y.view};
        for (int64_t i = 0; i < 24; i++) {
            const int64_t head = i / 4 % 2, key = i / 8;
            test_set(&kv, i, (double)(head * 10 + key));
        }
        for (int64_t i = 0; i < 48; i++)
            test_set(&q, i, 0);
        TEST_OK(cpu->ops.cache_append(cpu, &put, &error));
        segment.count = 2;
        TEST_OK(cpu->ops.attention(cpu, &args, &error));
        for (int64_t i = 0; i < 48; i++) {
            const int64_t kv_head = i / 4 % 6 / 3;
            assert_true(test_at(&y, i) == (double)(kv_head * 10) + (i < 24 ? 0.5 : 1.0));
        }
        cpu->cache_destroy(cpu, cache);
        test_drop(&kv), test_drop(&q), test_drop(&y);
    }
}

/* More query rows than keys: the first rows see nothing and give zeros. */
static void rows_without_keys(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads = {1, 1, 16};
    test_seed(33);
    for (int b = 0; b < backends->count; b++)
        for (int64_t n = 5; n <= 40; n += 35) {
            struct qvl_backend *cpu = backends->cpu[b];
            struct qvl_cache *cache = make_cache(cpu, &heads, 4, QVL_F32);
            struct test_tensor kv = test_random(QVL_F32, 3, (int64_t[]){2, 1, 16}, 0, 1.0);
            struct test_tensor q = test_random(QVL_F32, 3, (int64_t[]){n, 1, 16}, 0, 1.0);
            struct test_tensor y = test_tensor(QVL_F32, 3, (int64_t[]){n, 1, 16}, 0);
            struct qvl_segment segment = {cache, 0, 2};
            struct qvl_cache_append_args put = {0, kv.view, kv.view, &segment, 1};
            struct qvl_attention_args args = {
                .q = q.view, .segments = &segment, .segment_count = 1, .scale = 1, .y = y.view};
            TEST_OK(cpu->ops.cache_append(cpu, &put, &error));
            segment.count = n;
            TEST_OK(cpu->ops.attention(cpu, &args, &error));
            for (int64_t i = 0; i < (n - 2) * 16; i++)
                assert_true(test_at(&y, i) == 0);
            for (int64_t c = 0; c < 16; c++) /* the row before the last sees the first key alone */
                assert_true(test_at(&y, (n - 2) * 16 + c) == test_at(&kv, c));
            cpu->cache_destroy(cpu, cache);
            test_drop(&kv), test_drop(&q), test_drop(&y);
        }
}

/* NaN and infinity in the last key and value reach the last query row only, in prefill and in decode. */
static void later_keys_do_not_leak(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads = {2, 2, 16};
    const int64_t lengths[] = {3, 40, 300};
    test_seed(34);
    for (int b = 0; b < backends->count; b++)
        for (int l = 0; l < 3; l++) {
            struct qvl_backend *cpu = backends->cpu[b];
            int64_t n = lengths[l];
            struct qvl_cache *cache = make_cache(cpu, &heads, n, QVL_BF16);
            struct test_tensor k = test_random(QVL_BF16, 3, (int64_t[]){n, 2, 16}, 0, 1.0);
            struct test_tensor v = test_random(QVL_BF16, 3, (int64_t[]){n, 2, 16}, 0, 1.0);
            struct test_tensor q = test_random(QVL_BF16, 3, (int64_t[]){n, 4, 16}, 0, 1.0);
            struct test_tensor y = test_tensor(QVL_BF16, 3, (int64_t[]){n, 4, 16}, 0);
            struct qvl_segment segment = {cache, 0, n};
            struct qvl_cache_append_args put = {0, k.view, v.view, &segment, 1};
            struct qvl_attention_args args = {
                .q = q.view, .segments = &segment, .segment_count = 1, .scale = 0.25f, .y = y.view};
            test_set(&k, (n - 1) * 32 + 3, NAN);
            test_set(&v, (n - 1) * 32 + 4, INFINITY);
            TEST_OK(cpu->ops.cache_append(cpu, &put, &error));
            TEST_OK(cpu->ops.attention(cpu, &args, &error));
            for (int64_t i = 0; i < (n - 1) * 64; i++)
                assert_true(isfinite(test_at(&y, i)));
            assert_true(isnan(test_at(&y, (n - 1) * 64)));
            cpu->cache_destroy(cpu, cache);
            test_drop(&k), test_drop(&v), test_drop(&q), test_drop(&y);
        }
}

/* Prefill in one piece, in chunks of 1, 3, 64 and with the rest: the same within one rounding of float32
 * sums. */
static void chunks_agree(void **state)
{
    struct test_backends *backends = *state;
    const struct heads heads = {2, 3, 16};
    const int64_t chunks[] = {1, 3, 64, 150};
    enum { N = 150, H = 6, D = 16 };
    struct qvl_backend *cpu = backends->cpu[backends->count - 1];
    struct test_tensor k = test_random(QVL_F32, 3, (int64_t[]){N, 2, D}, 0, 1.0);
    struct test_tensor v = test_random(QVL_F32, 3, (int64_t[]){N, 2, D}, 0, 1.0);
    struct test_tensor q = test_random(QVL_F32, 3, (int64_t[]){N, H, D}, 0, 1.0);
    struct test_tensor y[4];
    for (int c = 0; c < 4; c++) {
        struct qvl_cache *cache = make_cache(cpu, &heads, N, QVL_F32);
        y[c] = test_tensor(QVL_F32, 3, (int64_t[]){N, H, D}, 0);
        for (int64_t first = 0; first < N; first += chunks[c]) {
            struct qvl_segment segment = {cache, first, first + chunks[c] > N ? N - first : chunks[c]};
            struct qvl_cache_append_args put = {0, k.view, v.view, &segment, 1};
            struct qvl_attention_args args = {
                .q = q.view, .segments = &segment, .segment_count = 1, .scale = 0.25f, .y = y[c].view};
            TEST_OK(cpu->ops.cache_append(cpu, &put, &error));
            TEST_OK(cpu->ops.attention(cpu, &args, &error));
        }
        for (int64_t i = 0; i < N * H * D; i++)
            assert_true(fabs(test_at(&y[c], i) - test_at(&y[0], i)) < 2e-6);
        cpu->cache_destroy(cpu, cache);
    }
    for (int c = 0; c < 4; c++)
        test_drop(&y[c]);
    test_drop(&k), test_drop(&v), test_drop(&q);
}

/* Segments of one buffer [n, 3, heads, dim]: views of q, k and v; an empty segment among them. */
static void vision_segments(void **state)
{
    struct test_backends *backends = *state;
    const int64_t dims[] = {16, 64, 72, 20}, starts[] = {0, 5, 5, 145, 432, 433};
    enum { N = 433, HEADS = 3 };
    test_seed(36);
    for (size_t d = 0; d < 4; d++)
        for (int t = 0; t < 3; t++) {
            const int64_t dim = dims[d], shape[3] = {N, HEADS, dim};
            struct test_tensor qkv = test_random(test_dtypes[t], 3, (int64_t[]){N, 3 * HEADS, dim}, 0, 1.2);
            struct test_tensor wide = test_tensor(QVL_F32, 3, (int64_t[]){N, 3 * HEADS, dim}, 0);
            struct test_tensor y = test_tensor(test_dtypes[t], 3, shape, 2);
            struct test_tensor y_wide = test_tensor(QVL_F32, 3, shape, 0);
            struct test_expected expected = test_expect(N * HEADS * dim);
            struct qvl_vision_attention_args args = {
                .segment_starts = starts, .segment_count = 5, .scale = 1.0f / sqrtf((float)dim)};
            for (int64_t i = 0; i < qvl_tensor_count(&wide.view); i++)
                test_set(&wide, i, test_at(&qkv, i));
            for (int b = -1; b < backends->count; b++) {
                struct qvl_backend *backend = b < 0 ? backends->ref : backends->cpu[b];
                const struct test_tensor *from = b < 0 ? &wide : &qkv;
                args.q = args.k = args.v = from->view;
                args.q.shape[1] = args.k.shape[1] = args.v.shape[1] = HEADS;
                args.k.data =
                    (char *)from->view.data + HEADS * dim * (int64_t)qvl_dtype_bytes(from->view.dtype);
                args.v.data = (char *)args.k.data + HEADS * dim * (int64_t)qvl_dtype_bytes(from->view.dtype);
                args.y = b < 0 ? y_wide.view : y.view;
                args.cond = b < 0 ? &expected.condition : NULL;
                memset(y.memory, 0xff, y.bytes);
                TEST_OK(backend->ops.vision_attention(backend, &args, &error));
                if (b >= 0) {
                    test_compare("vision_attention", &y, &expected);
                    test_guards(&y);
                }
            }
            test_expected_drop(&expected);
            test_drop(&qkv), test_drop(&wide), test_drop(&y), test_drop(&y_wide);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ragged_batches),         cmocka_unit_test(block_edges),
        cmocka_unit_test(mask_and_heads_by_hand), cmocka_unit_test(rows_without_keys),
        cmocka_unit_test(later_keys_do_not_leak), cmocka_unit_test(chunks_agree),
        cmocka_unit_test(vision_segments),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
