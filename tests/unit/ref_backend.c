#include "ref_fixture.h"

/* A column-major view is filled and read through its strides; aligned memory; NULL is released. */
static void copies_through_strides(void **state)
{
    (void)state;
    const float host[6] = {1, 2, 3, 4, 5, 6};
    float back[6] = {0};
    void *data;
    expect_ok(ref->allocate(ref, 8 * sizeof(float), &data, &error));
    assert_int_equal((uintptr_t)data % 64, 0);
    memset(data, 0, 8 * sizeof(float));
    const struct qvl_tensor view = {
        .data = data, .dtype = QVL_F32, .rank = 2, .shape = {3, 2}, .stride = {1, 4}};
    expect_ok(ref->upload(ref, &view, host, &error));
    const float expected[8] = {1, 3, 5, 0, 2, 4, 6, 0};
    assert_memory_equal(data, expected, sizeof expected);
    expect_ok(ref->download(ref, &view, back, &error));
    assert_memory_equal(back, host, sizeof host);
    ref->release(ref, data);
    ref->release(ref, NULL);
}

/* Nothing to do is no error: zero rows everywhere, zero bytes, an empty upload. */
static void accepts_empty_input(void **state)
{
    (void)state;
    const double one[3] = {1, 1, 1};
    const struct qvl_tensor none = matrix(QVL_F32, 0, 3, NULL),
                            w = matrix(QVL_F32, 2, 3, (const double[6]){1});
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR | QVL_USE_ROWS, false, &w);
    void *data;
    expect_ok(ref->allocate(ref, 0, &data, &error));
    ref->release(ref, data);
    expect_ok(ref->upload(ref, &none, NULL, &error));
    expect_ok(ref->ops.linear(
        ref, &(struct qvl_linear_args){.x = none, .weight = weight, .y = matrix(QVL_F32, 0, 2, NULL)},
        &error));
    expect_ok(ref->ops.embed(ref, &(struct qvl_embed_args){.table = weight, .y = none}, &error));
    expect_ok(ref->ops.rms_norm(
        ref, &(struct qvl_rms_norm_args){.x = none, .weight = vector(QVL_F32, 3, one), .y = none}, &error));
    expect_ok(ref->ops.softmax(ref, &(struct qvl_softmax_args){.x = none, .y = none}, &error));
    expect_ok(ref->ops.attention(
        ref,
        &(struct qvl_attention_args){.q = cube(QVL_F32, 0, 2, 4, NULL), .y = cube(QVL_F32, 0, 2, 4, NULL)},
        &error));
    ref->weight_destroy(ref, weight);
    ref->weight_destroy(ref, NULL);
}

/* More memory than there is: a status and the number, no crash. */
static void names_what_it_cannot_allocate(void **state)
{
    (void)state;
    const struct qvl_cache_desc desc = {1 << 20, 1 << 20, 1 << 20, 1 << 20, QVL_F32};
    struct qvl_cache *cache;
    void *data;
    expect_refusal(ref->allocate(ref, SIZE_MAX, &data, &error), QVL_NO_MEMORY, "bytes are not available");
    assert_null(data);
    expect_refusal(ref->cache_create(ref, &desc, &cache, &error), QVL_NO_MEMORY,
                   "cache: a capacity of 1048576");
    assert_null(cache);
}

/* The check functions name op and field. */
static void refuses_wrong_arguments(void **state)
{
    (void)state;
    const double zeros[24] = {0};
    const struct qvl_tensor a = matrix(QVL_F32, 2, 3, zeros), b = matrix(QVL_F32, 3, 2, zeros);
    const struct qvl_tensor half = matrix(QVL_F16, 2, 3, zeros), w = matrix(QVL_F32, 4, 3, zeros);
    struct qvl_weight *weight = prepare(QVL_USE_LINEAR, false, &w);
    struct qvl_tensor overlapping = a, transposed = b;
    overlapping.stride[0] = 2;
    transposed.shape[0] = 2;
    transposed.shape[1] = 3;
    transposed.stride[0] = 1;
    transposed.stride[1] = 2;
    struct qvl_add_args add = {.a = a, .b = b, .y = a};
    expect_refusal(ref->ops.add(ref, &add, &error), QVL_USAGE, "add.b: shape[0] is 3, expected 2");
    add.b = half;
    expect_refusal(ref->ops.add(ref, &add, &error), QVL_USAGE, "add.b: type is f16, expected f32");
    add.b = transposed;
    expect_refusal(ref->ops.add(ref, &add, &error), QVL_USAGE, "add.b: stride[1] is 2");
    add.b = a;
    add.y = overlapping;
    expect_refusal(ref->ops.add(ref, &add, &error), QVL_USAGE, "add.y: stride[0] is 2, so elements overlap");
    add.y = a;
    add.a.data = NULL;
    expect_refusal(ref->ops.add(ref, &add, &error), QVL_USAGE, "add.a: data is NULL");
    expect_refusal(ref->ops.linear(ref, &(struct qvl_linear_args){.x = a, .y = w}, &error), QVL_USAGE,
                   "linear.weight: is NULL");
    expect_refusal(ref->ops.linear(
                       ref,
                       &(struct qvl_linear_args){.x = a, .weight = weight, .y = matrix(QVL_F32, 2, 5, zeros)},
                       &error),
                   QVL_USAGE, "linear.weight: is [4, 3], the operands ask for [5, 3]");
    const struct qvl_tensor square = matrix(QVL_F32, 3, 3, zeros);
    expect_refusal(
        ref->ops.linear(ref, &(struct qvl_linear_args){.x = square, .weight = weight, .y = square}, &error),
        QVL_USAGE, "linear.y: overlaps an input");
    const struct qvl_grid odd = {1, 2, 3};
    expect_refusal(ref->ops.pos_interp(ref,
                                       &(struct qvl_pos_interp_args){.table = matrix(QVL_F32, 4, 3, zeros),
                                                                     .grids = &odd,
                                                                     .grid_count = 1,
                                                                     .merge = 2,
                                                                     .y = matrix(QVL_F32, 6, 3, NULL)},
                                       &error),
                   QVL_USAGE, "pos_interp.grids[0]: is 1 x 2 x 3");
    ref->weight_destroy(ref, weight);
}

/* Sampling parameters out of range. */
static void refuses_wrong_sampling(void **state)
{
    (void)state;
    const double zeros[3] = {0};
    const int64_t id = 3;
    int64_t token;
    struct qvl_sample_args args = {.logits = vector(QVL_F32, 3, zeros),
                                   .repetition_penalty = 1,
                                   .temperature = 1,
                                   .top_p = 1,
                                   .token = &token};
    struct qvl_sample_args wrong = args;
    wrong.temperature = 0;
    expect_refusal(ref->ops.sample(ref, &wrong, &error), QVL_USAGE, "sample.temperature: is 0");
    wrong = args;
    wrong.top_p = 1.5;
    expect_refusal(ref->ops.sample(ref, &wrong, &error), QVL_USAGE, "sample.top_p: is 1.5");
    wrong = args;
    wrong.uniform = 1;
    expect_refusal(ref->ops.sample(ref, &wrong, &error), QVL_USAGE, "sample.uniform: is 1");
    wrong = args;
    wrong.output = &id;
    wrong.output_count = 1;
    expect_refusal(ref->ops.sample(ref, &wrong, &error), QVL_USAGE,
                   "sample.output[0]: is 3, expected 0 to 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_through_strides),        cmocka_unit_test(accepts_empty_input),
        cmocka_unit_test(names_what_it_cannot_allocate), cmocka_unit_test(refuses_wrong_arguments),
        cmocka_unit_test(refuses_wrong_sampling),
    };
    return RUN_REF_TESTS(tests);
}
