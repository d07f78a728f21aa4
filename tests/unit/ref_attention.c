#include "ref_fixture.h"

static struct qvl_cache *make_cache(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t capacity,
                                    enum qvl_dtype storage)
{
    const struct qvl_cache_desc desc = {layers, kv_heads, head_dim, capacity, storage};
    struct qvl_cache *cache;
    expect_ok(ref->cache_create(ref, &desc, &cache, &error));
    return cache;
}

static void append(struct qvl_cache *cache, int64_t layer, struct qvl_tensor k, struct qvl_tensor v)
{
    const struct qvl_segment segment = {cache, 0, k.shape[0]};
    expect_ok(
        ref->ops.cache_append(ref,
                              &(struct qvl_cache_append_args){
                                  .layer = layer, .k = k, .v = v, .segments = &segment, .segment_count = 1},
                              &error));
}

static struct qvl_tensor attend(struct qvl_cache *cache, int64_t layer, struct qvl_tensor q, float scale)
{
    const struct qvl_segment segment = {cache, 0, q.shape[0]};
    const struct qvl_tensor y = cube(q.dtype, q.shape[0], q.shape[1], q.shape[2], NULL);
    expect_ok(ref->ops.attention(
        ref,
        &(struct qvl_attention_args){
            .layer = layer, .q = q, .segments = &segment, .segment_count = 1, .scale = scale, .y = y},
        &error));
    return y;
}

/* Equal scores: y is the mean of the visible values. q = 2, kv = 5: 4 and 5 visible keys. */
static void masks_bottom_right(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(2, 1, 2, 8, QVL_F32);
    const double zeros[10] = {0};
    append(cache, 1, cube(QVL_F32, 3, 1, 2, zeros),
           cube(QVL_F32, 3, 1, 2, (const double[]){1, 10, 2, 20, 3, 30}));
    append(cache, 1, cube(QVL_F32, 2, 1, 2, zeros), cube(QVL_F32, 2, 1, 2, (const double[]){4, 40, 5, 50}));
    const struct qvl_tensor y = attend(cache, 1, cube(QVL_F32, 2, 1, 2, (const double[]){9, 9, -9, 9}), 0.5f);
    expect_values(&y, (const double[]){2.5, 25, 3, 30}, 1e-6);
    assert_int_equal(ref->cache_length(ref, cache, 0), 0);
    assert_int_equal(ref->cache_length(ref, cache, 1), 5);
    ref->cache_destroy(ref, cache);
}

/* q = 5, kv = 2 (a truncated cache): rows 0..2 see no key and are 0, row 3 sees one, row 4 two. */
static void rows_without_keys_are_zero(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(1, 1, 1, 2, QVL_F32);
    append(cache, 0, cube(QVL_F32, 2, 1, 1, (const double[]){0, 0}),
           cube(QVL_F32, 2, 1, 1, (const double[]){6, 8}));
    const struct qvl_tensor y = attend(cache, 0, cube(QVL_F32, 5, 1, 1, (const double[]){1, 1, 1, 1, 1}), 1);
    expect_values(&y, (const double[]){0, 0, 0, 6, 7}, 0);
    ref->cache_destroy(ref, cache);
}

/* V of KV head j is j: query head i of 6 over 2 KV heads gets i / 3, of 12 over 3 gets i / 4. */
static void groups_query_heads_in_runs(void **state)
{
    (void)state;
    const int heads[2] = {6, 12}, kv_heads[2] = {2, 3};
    const double zeros[24] = {0};
    for (int k = 0; k < 2; k++) {
        struct qvl_cache *cache = make_cache(1, kv_heads[k], 2, 4, QVL_BF16);
        const double v[6] = {0, 0, 1, 1, 2, 2};
        append(cache, 0, cube(QVL_BF16, 1, kv_heads[k], 2, zeros), cube(QVL_BF16, 1, kv_heads[k], 2, v));
        const struct qvl_tensor y = attend(cache, 0, cube(QVL_BF16, 1, heads[k], 2, zeros), 1);
        for (int h = 0; h < heads[k]; h++)
            assert_int_equal((int)at(&y, 2 * h), h / (heads[k] / kv_heads[k]));
        ref->cache_destroy(ref, cache);
    }
}

/* Two keys with scores ln 1 and ln 3 after the scale: weights 1/4 and 3/4. */
static void weights_by_the_softmax_of_scaled_scores(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(1, 1, 2, 4, QVL_F32);
    append(cache, 0, cube(QVL_F32, 2, 1, 2, (const double[]){0, 5, 2, -1}),
           cube(QVL_F32, 2, 1, 2, (const double[]){4, -4, 8, 100}));
    const struct qvl_tensor y =
        attend(cache, 0, cube(QVL_F32, 1, 1, 2, (const double[]){2 * log(3), 0}), 0.25f);
    expect_values(&y, (const double[]){7, 74}, 1e-5);
    ref->cache_destroy(ref, cache);
}

/* bf16: q.k = 1 + 2^-8 + 2^-9 is r() = 1 + 2^-7 before the scale; p = r(softmax) and y = r(sum p v). */
static void rounds_scores_and_probabilities(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(1, 1, 3, 2, QVL_BF16);
    append(cache, 0, cube(QVL_BF16, 2, 1, 3, (const double[]){1, 0x1p-8, 0x1p-9, 0, 0, 0}),
           cube(QVL_BF16, 2, 1, 3, (const double[]){1, 0, 100, 0, 1, 0}));
    const struct qvl_tensor y = attend(cache, 0, cube(QVL_BF16, 1, 1, 3, (const double[]){1, 1, 1}), 0.3f);
    const double score = qvl_round_nearest(QVL_BF16, (1 + 0x1p-7) * (double)0.3f);
    const double p = qvl_round_nearest(QVL_BF16, 1 / (1 + exp(-score)));
    const double rest = qvl_round_nearest(QVL_BF16, 1 / (1 + exp(score)));
    expect_values(&y, (const double[]){p, rest, qvl_round_nearest(QVL_BF16, 100 * p)}, 0);
    ref->cache_destroy(ref, cache);
}

/* A ragged batch of three sequences in one call equals three calls; NaN in the free room of a cache is never
 * read. */
static void ragged_batch_equals_single_sequences(void **state)
{
    (void)state;
    enum { HEADS = 3, D = 2, ROWS = 6 };
    const int64_t past[3] = {4, 0, 2}, count[3] = {1, 3, 2}, first[3] = {5, 0, 3};
    struct qvl_cache *cache[3];
    struct qvl_segment segments[3];
    double values[ROWS * HEADS * D], history[4 * D];
    for (int i = 0; i < ROWS * HEADS * D; i++)
        values[i] = sin(i + 1.0);
    for (int i = 0; i < 4 * D; i++)
        history[i] = cos(i + 1.0);
    const struct qvl_tensor q = cube(QVL_F32, ROWS, HEADS, D, values);
    struct qvl_tensor kv = cube(QVL_F32, ROWS, HEADS, D, values), y = cube(QVL_F32, ROWS, HEADS, D, NULL);
    kv.shape[1] = 1; /* a strided view: KV head = first head */
    for (int s = 0; s < 3; s++) {
        cache[s] = make_cache(1, 1, D, 16, QVL_F32);
        memset(cache[s]->k, 0xff, 16 * D * 4);
        memset(cache[s]->v, 0xff, 16 * D * 4);
        if (past[s] > 0)
            append(cache[s], 0, cube(QVL_F32, past[s], 1, D, history), cube(QVL_F32, past[s], 1, D, history));
        segments[s] = (struct qvl_segment){cache[s], first[s], count[s]};
    }
    expect_ok(ref->ops.cache_append(
        ref, &(struct qvl_cache_append_args){.k = kv, .v = kv, .segments = segments, .segment_count = 3},
        &error));
    expect_ok(ref->ops.attention(
        ref,
        &(struct qvl_attention_args){.q = q, .segments = segments, .segment_count = 3, .scale = 0.7f, .y = y},
        &error));
    for (int s = 0; s < 3; s++) {
        assert_int_equal(ref->cache_length(ref, cache[s], 0), past[s] + count[s]);
        const struct qvl_tensor alone = attend(cache[s], 0, qvl_tensor_rows(q, first[s], count[s]), 0.7f);
        for (int64_t i = 0; i < count[s] * HEADS * D; i++)
            assert_true(at(&y, first[s] * HEADS * D + i) == at(&alone, i));
        ref->cache_destroy(ref, cache[s]);
    }
}

/* Capacity is a limit; a refused append changes nothing; fork is independent; truncate and export. */
static void cache_keeps_its_promises(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(2, 2, 1, 3, QVL_F16), *fork;
    const struct qvl_tensor two = cube(QVL_F16, 2, 2, 1, (const double[]){1, 2, 3, 4});
    const struct qvl_tensor other = cube(QVL_F16, 1, 2, 1, (const double[]){9, 8});
    const struct qvl_segment segment = {cache, 0, 2};
    uint16_t k[6], v[6];
    append(cache, 1, two, two);
    expect_refusal(
        ref->ops.cache_append(ref,
                              &(struct qvl_cache_append_args){
                                  .layer = 1, .k = two, .v = two, .segments = &segment, .segment_count = 1},
                              &error),
        QVL_NO_MEMORY, "cache_append: 2 rows");
    assert_int_equal(ref->cache_length(ref, cache, 1), 2);
    expect_ok(ref->cache_fork(ref, cache, &fork, &error));
    append(fork, 1, other, qvl_tensor_rows(two, 0, 1));
    append(cache, 1, qvl_tensor_rows(two, 1, 1), other);
    expect_ok(ref->cache_export(ref, fork, 1, 1, 2, k, v, &error));
    const float expected_k[4] = {3, 4, 9, 8}, expected_v[4] = {3, 4, 1, 2};
    for (int i = 0; i < 4; i++) {
        assert_true(qvl_f16_to_f32(k[i]) == expected_k[i]);
        assert_true(qvl_f16_to_f32(v[i]) == expected_v[i]);
    }
    expect_ok(ref->cache_export(ref, cache, 1, 2, 1, k, v, &error));
    assert_true(qvl_f16_to_f32(k[0]) == 3 && qvl_f16_to_f32(v[1]) == 8);
    expect_ok(ref->cache_truncate(ref, cache, 1, &error));
    assert_int_equal(ref->cache_length(ref, cache, 1), 1);
    assert_int_equal(ref->cache_length(ref, fork, 1), 3);
    expect_refusal(ref->cache_export(ref, cache, 1, 1, 1, k, v, &error), QVL_USAGE,
                   "cache_export: rows 1 + 1");
    expect_refusal(ref->cache_export(ref, cache, 2, 0, 0, k, v, &error), QVL_USAGE, "layer 2");
    ref->cache_destroy(ref, fork);
    ref->cache_destroy(ref, cache);
    ref->cache_destroy(ref, NULL);
}

/* Geometry that the cache does not have is refused by name. */
static void refuses_what_the_cache_is_not(void **state)
{
    (void)state;
    struct qvl_cache *cache = make_cache(1, 2, 4, 3, QVL_F32);
    const struct qvl_segment segment = {cache, 0, 1};
    const double zeros[24] = {0};
    struct qvl_attention_args args = {.segments = &segment, .segment_count = 1, .scale = 1};
    args.q = cube(QVL_F32, 1, 3, 4, zeros);
    args.y = cube(QVL_F32, 1, 3, 4, zeros);
    expect_refusal(ref->ops.attention(ref, &args, &error), QVL_USAGE, "3 heads are no multiple");
    args.layer = 1;
    expect_refusal(ref->ops.attention(ref, &args, &error), QVL_USAGE, "attention.layer: is 1");
    args.layer = 0;
    args.q = args.y = cube(QVL_BF16, 1, 2, 4, zeros);
    args.y = cube(QVL_BF16, 1, 2, 4, zeros);
    expect_refusal(ref->ops.attention(ref, &args, &error), QVL_UNSUPPORTED, "the cache stores f32");
    args.q = cube(QVL_F32, 1, 2, 6, zeros);
    args.y = cube(QVL_F32, 1, 2, 6, zeros);
    expect_refusal(ref->ops.attention(ref, &args, &error), QVL_USAGE, "head_dim is 6");
    ref->cache_destroy(ref, cache);
}

/* Three segments of 1, 0 and 3 rows in one qkv buffer [4][3][2 heads][2]: each sees itself only. */
static void vision_attention_stays_in_its_segment(void **state)
{
    (void)state;
    double buffer[48] = {0};
    for (int row = 0; row < 4; row++)
        for (int j = 0; j < 4; j++)
            buffer[row * 12 + 8 + j] = (row + 1) * (j < 2 ? 1 : -10); /* v of head 0 and 1 */
    const struct qvl_tensor qkv = matrix(QVL_F32, 4, 12, buffer);
    struct qvl_tensor view = {
        .data = qkv.data, .dtype = QVL_F32, .rank = 3, .shape = {4, 2, 2}, .stride = {12, 2, 1}};
    struct qvl_vision_attention_args args = {.q = view, .k = view, .v = view, .scale = 1};
    args.k.data = (float *)qkv.data + 4;
    args.v.data = (float *)qkv.data + 8;
    args.segment_starts = (const int64_t[]){0, 1, 1, 4};
    args.segment_count = 3;
    args.y = cube(QVL_F32, 4, 2, 2, NULL);
    expect_ok(ref->ops.vision_attention(ref, &args, &error));
    expect_values(&args.y, (const double[]){1, 1, -10, -10, 3, 3, -30, -30, 3, 3, -30, -30, 3, 3, -30, -30},
                  1e-5);
    ((float *)qkv.data)[3 * 12 + 8] = 300; /* row 3 of v: row 0 must not move */
    expect_ok(ref->ops.vision_attention(ref, &args, &error));
    assert_true(at(&args.y, 0) == 1 && fabs(at(&args.y, 4) - 305 / 3.0) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_bottom_right),
        cmocka_unit_test(rows_without_keys_are_zero),
        cmocka_unit_test(groups_query_heads_in_runs),
        cmocka_unit_test(weights_by_the_softmax_of_scaled_scores),
        cmocka_unit_test(rounds_scores_and_probabilities),
        cmocka_unit_test(ragged_batch_equals_single_sequences),
        cmocka_unit_test(cache_keeps_its_promises),
        cmocka_unit_test(refuses_what_the_cache_is_not),
        cmocka_unit_test(vision_attention_stays_in_its_segment),
    };
    return RUN_REF_TESTS(tests);
}
