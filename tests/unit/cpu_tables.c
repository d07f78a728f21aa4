/* The cpu backend's rotary tables, position interpolation and embedding lookup. */
#include "cpu_test.h"

static const struct qvl_grid grids[3] = {{2, 4, 6}, {1, 10, 4}, {1, 42, 40}};
#define PATCHES (2 * 24 + 40 + 42 * 40)

static void positions(int64_t *to, int64_t n, int64_t stride, int64_t scale)
{
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t i = 0; i < n; i++)
            to[axis * stride + i] = i * scale + axis * 7;
}

/* The reference has no bounds for tables; both form the angle in float32 and its cosine in double, so the
 * results are equal bit for bit. */
static void text_tables(void **state)
{
    struct test_backends *backends = *state;
    enum { N = 17, STRIDE = 19 };
    const int64_t scales[] = {1, 977, 95000};
    int64_t where[3 * STRIDE];
    for (int variant = 0; variant < 24; variant++) {
        bool yarn = variant & 1, chunked = variant & 2, wide = variant & 4;
        const int64_t dim = variant % 3 == 2 ? 128 : 16, half = dim / 2;
        const int64_t third = half / 4;
        for (int t = 0; t < 3; t++) {
            struct test_tensor c[2], s[2];
            struct qvl_mrope_table_args args = {
                .positions = where,
                .positions_stride = STRIDE,
                .head_dim = dim,
                .theta = 5e6,
                .scaling = {yarn, 3.0, 262144, 32, 1, true, variant & 8 ? 1.25 : 0, 0, 0},
                .section = {half - 2 * third, third, third},
                .layout = chunked ? QVL_MROPE_CHUNKED : QVL_MROPE_INTERLEAVED,
                .precision = wide ? QVL_ANGLE_F64 : QVL_ANGLE_F32};
            positions(where, N, STRIDE, scales[variant / 8]);
            for (int i = 0; i < 2; i++) {
                c[i] = test_tensor(test_dtypes[t], 2, (int64_t[]){N, half}, 3);
                s[i] = test_tensor(test_dtypes[t], 2, (int64_t[]){N, half}, 3);
            }
            args.cos = c[0].view;
            args.sin = s[0].view;
            TEST_OK(backends->ref->ops.mrope_table(backends->ref, &args, &error));
            args.cos = c[1].view;
            args.sin = s[1].view;
            for (int b = 0; b < backends->count; b++) {
                memset(c[1].memory, 0xff, c[1].bytes);
                memset(s[1].memory, 0xff, s[1].bytes);
                TEST_OK(backends->cpu[b]->ops.mrope_table(backends->cpu[b], &args, &error));
                assert_memory_equal(c[0].memory, c[1].memory, c[0].bytes);
                assert_memory_equal(s[0].memory, s[1].memory, s[0].bytes);
            }
            for (int i = 0; i < 2; i++)
                test_drop(&c[i]), test_drop(&s[i]);
        }
    }
}

/* By hand, head_dim 16 and section 4 2 2: lanes turn with T H W T H W T T. With T = 0, H = 1, W = 2 lane i
 * has the angle H or W * 10000^(-i/8). */
static void axes_by_hand(void **state)
{
    struct test_backends *backends = *state;
    const int64_t where[3] = {0, 1, 2};
    const double turns[8] = {0, 1, 2, 0, 1, 2, 0, 0};
    for (int b = 0; b < backends->count; b++) {
        float c[8], s[8];
        struct qvl_mrope_table_args args = {.positions = where,
                                            .positions_stride = 1,
                                            .head_dim = 16,
                                            .theta = 10000,
                                            .section = {4, 2, 2},
                                            .cos = qvl_tensor_2d(c, QVL_F32, 1, 8),
                                            .sin = qvl_tensor_2d(s, QVL_F32, 1, 8)};
        TEST_OK(backends->cpu[b]->ops.mrope_table(backends->cpu[b], &args, &error));
        for (int i = 0; i < 8; i++) {
            assert_true(fabs(c[i] - cos(turns[i] * pow(10000, -i / 8.0))) < 1e-6);
            assert_true(fabs(s[i] - sin(turns[i] * pow(10000, -i / 8.0))) < 1e-6);
        }
    }
}

static void vision_tables(void **state)
{
    struct test_backends *backends = *state;
    const int64_t dims[] = {16, 72};
    for (int d = 0; d < 2; d++) {
        struct test_tensor c[2], s[2];
        struct qvl_vision_rope_table_args args = {
            .grids = grids, .grid_count = 3, .merge = 2, .head_dim = dims[d], .theta = 10000};
        for (int i = 0; i < 2; i++) {
            c[i] = test_tensor(QVL_F32, 2, (int64_t[]){PATCHES, dims[d] / 2}, 1);
            s[i] = test_tensor(QVL_F32, 2, (int64_t[]){PATCHES, dims[d] / 2}, 1);
        }
        args.cos = c[0].view;
        args.sin = s[0].view;
        TEST_OK(backends->ref->ops.vision_rope_table(backends->ref, &args, &error));
        args.cos = c[1].view;
        args.sin = s[1].view;
        for (int b = 0; b < backends->count; b++) {
            memset(c[1].memory, 0xff, c[1].bytes);
            TEST_OK(backends->cpu[b]->ops.vision_rope_table(backends->cpu[b], &args, &error));
            assert_memory_equal(c[0].memory, c[1].memory, c[0].bytes);
            assert_memory_equal(s[0].memory, s[1].memory, s[0].bytes);
        }
        /* Patch 5 of the 4 x 6 grid is row 0, column 3: lane 0 does not turn, lane dim/4 turns by 3. */
        assert_true(test_at(&c[1], 5 * (dims[d] / 2)) == 1);
        assert_true(fabs(test_at(&c[1], 5 * (dims[d] / 2) + dims[d] / 4) - cos(3)) < 1e-6);
        for (int i = 0; i < 2; i++)
            test_drop(&c[i]), test_drop(&s[i]);
    }
}

static void interpolation(void **state)
{
    struct test_backends *backends = *state;
    test_seed(51);
    for (int t = 0; t < 3; t++)
        for (int form = QVL_POS_ROUND_EACH; form <= QVL_POS_ROUND_ONCE; form++) {
            struct test_tensor table = test_random(test_dtypes[t], 2, (int64_t[]){49, 21}, 0, 1.0);
            struct test_tensor y = test_tensor(test_dtypes[t], 2, (int64_t[]){PATCHES, 21}, 2);
            struct qvl_pos_interp_args args = {.table = table.view,
                                               .grids = grids,
                                               .grid_count = 3,
                                               .merge = 2,
                                               .rounding = (enum qvl_pos_rounding)form,
                                               .y = y.view};
            TEST_OP(pos_interp, backends, args, y, "pos_interp");
            test_drop(&table), test_drop(&y);
        }
}

/* Table value = row + 100 * column: interpolation with aligned corners is linear, so patch (i, j) of a 4 x 7
 * grid has i * 6/3 + 100 * j * 6/6, the corners of the grid the corners of the table. */
static void corners_by_hand(void **state)
{
    struct test_backends *backends = *state;
    const struct qvl_grid grid = {1, 4, 7};
    for (int b = 0; b < backends->count; b++) {
        float table[49], y[28];
        struct qvl_pos_interp_args args = {.table = qvl_tensor_2d(table, QVL_F32, 49, 1),
                                           .grids = &grid,
                                           .grid_count = 1,
                                           .merge = 1,
                                           .y = qvl_tensor_2d(y, QVL_F32, 28, 1)};
        for (int i = 0; i < 49; i++) {
            const int row = i / 7, column = i % 7;
            table[i] = (float)(row + 100 * column);
        }
        TEST_OK(backends->cpu[b]->ops.pos_interp(backends->cpu[b], &args, &error));
        for (int i = 0; i < 28; i++) {
            const int row = i / 7, column = i % 7;
            assert_true(y[i] == (float)(2 * row + 100 * column));
        }
    }
}

static void embedding(void **state)
{
    struct test_backends *backends = *state;
    const int64_t ids[4] = {6, 0, 3, 6};
    test_seed(52);
    for (int b = 0; b < backends->count; b++)
        for (int t = 0; t < 3; t++)
            for (int u = 0; u < 3; u++) {
                struct qvl_backend *cpu = backends->cpu[b];
                struct test_tensor table = test_random(test_dtypes[t], 2, (int64_t[]){7, 19}, 0, 1.0);
                struct test_tensor y = test_tensor(test_dtypes[u], 2, (int64_t[]){4, 19}, 1);
                struct qvl_weight_desc desc = {.array = test_array(&table),
                                               .use = QVL_USE_ROWS | QVL_USE_LINEAR,
                                               .storage = test_dtypes[t],
                                               .name = "table"};
                struct qvl_weight *weight;
                struct qvl_error error = {.message = ""};
                const int64_t wrong[4] = {1, 2, 7, 0};
                struct qvl_embed_args args = {.ids = wrong, .y = y.view};
                TEST_OK(cpu->weight_prepare(cpu, &desc, &weight, &error));
                args.table = weight;
                assert_int_equal(cpu->ops.embed(cpu, &args, &error), QVL_BAD_INPUT);
                assert_non_null(strstr(error.message, "embed.ids[2]"));
                assert_true(isnan(test_at(&y, 0)));
                args.ids = ids;
                TEST_OK(cpu->ops.embed(cpu, &args, &error));
                for (int64_t i = 0; i < 4 * 19; i++) {
                    double rounded[1];
                    test_put(test_dtypes[u], rounded, 0, test_at(&table, ids[i / 19] * 19 + i % 19));
                    assert_true(test_at(&y, i) == test_get(test_dtypes[u], rounded, 0));
                }
                test_guards(&y);
                cpu->weight_destroy(cpu, weight);
                test_drop(&table), test_drop(&y);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_tables),   cmocka_unit_test(axes_by_hand),    cmocka_unit_test(vision_tables),
        cmocka_unit_test(interpolation), cmocka_unit_test(corners_by_hand), cmocka_unit_test(embedding),
    };
    return cmocka_run_group_tests(tests, test_open, test_close);
}
