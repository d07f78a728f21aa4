#include "ref_fixture.h"

#include "ref/grouping.h"

/* 4 x 4 patches in blocks of 2: 0,1,4,5,2,3,6,7,... and back; 4 x 6 in blocks of 1 is raster order. */
static void orders_blocks(void **state)
{
    (void)state;
    const int64_t expected[16] = {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
    int64_t row, column;
    for (int64_t i = 0; i < 16; i++) {
        qvl_ref_block_to_raster(i, 4, 2, &row, &column);
        assert_int_equal(row * 4 + column, expected[i]);
        assert_int_equal(qvl_ref_raster_to_block(row, column, 4, 2), i);
    }
    for (int64_t i = 0; i < 24; i++) {
        qvl_ref_block_to_raster(i, 6, 1, &row, &column);
        assert_int_equal(row * 6 + column, i);
    }
    for (int64_t i = 0; i < 54; i++) { /* 6 x 9 in blocks of 3 */
        qvl_ref_block_to_raster(i, 9, 3, &row, &column);
        assert_int_equal(qvl_ref_raster_to_block(row, column, 9, 3), i);
    }
}

/* Table value = row + 100 column on 4 x 4: bilinear interpolation returns the coordinates themselves. */
static void aligns_corners(void **state)
{
    (void)state;
    double table[2 * 16];
    for (int i = 0; i < 16; i++) {
        const int row = i / 4, column = i % 4;
        table[2 * i] = row + 100 * column;
        table[2 * i + 1] = -table[2 * i];
    }
    const struct qvl_grid grids[2] = {{2, 6, 10}, {1, 2, 4}};
    const int64_t rows = 2 * 60 + 8;
    const struct qvl_tensor y = matrix(QVL_F32, rows, 2, NULL);
    expect_ok(ref->ops.pos_interp(
        ref,
        &(struct qvl_pos_interp_args){
            .table = matrix(QVL_F32, 16, 2, table), .grids = grids, .grid_count = 2, .merge = 2, .y = y},
        &error));
    for (int64_t i = 0; i < rows; i++) {
        const struct qvl_grid *grid = i < 120 ? &grids[0] : &grids[1];
        const int64_t index = i < 120 ? i % 60 : i - 120;
        int64_t row, column;
        qvl_ref_block_to_raster(index, grid->w, 2, &row, &column);
        const double expected =
            row * 3.0 / (double)(grid->h - 1) + 100 * (column * 3.0 / (double)(grid->w - 1));
        assert_true(fabs(at(&y, 2 * i) - expected) < 2e-4);
        assert_true(at(&y, 2 * i + 1) == -at(&y, 2 * i));
    }
    /* the four corners hit the table exactly: block order places them at 0, 17, 42 and 59 */
    assert_true(at(&y, 0) == 0 && at(&y, 2 * 17) == 300 && at(&y, 2 * 42) == 3 && at(&y, 2 * 59) == 303);
}

/* A grid of one row reads line 0; a table of one entry serves every patch; 6 entries have a side of 2. */
static void handles_single_lines(void **state)
{
    (void)state;
    const struct qvl_grid line = {1, 1, 3};
    struct qvl_tensor y = matrix(QVL_F32, 3, 1, NULL);
    struct qvl_pos_interp_args args = {.table =
                                           matrix(QVL_F32, 6, 1, (const double[]){1, 5, 100, 200, 300, 400}),
                                       .grids = &line,
                                       .grid_count = 1,
                                       .merge = 1,
                                       .y = y};
    expect_ok(ref->ops.pos_interp(ref, &args, &error));
    expect_values(&y, (const double[]){1, 3, 5}, 0);
    args.table = matrix(QVL_F32, 1, 1, (const double[]){42});
    expect_ok(ref->ops.pos_interp(ref, &args, &error));
    expect_values(&y, (const double[]){42, 42, 42}, 0);
    args.grid_count = 0;
    args.y = matrix(QVL_F32, 0, 1, NULL);
    expect_ok(ref->ops.pos_interp(ref, &args, &error));
}

/* bf16 at x = 1/3 of the way (coordinate 1 on a side of 4, 10 columns: column 1 is 1/3): weights 2/3 and 1/3
 * are 0.66796875 and 0.333984375; 3 * the second is 1.001953125 -> 1; the sum rounds again. Once: 2/3 + 1
 * = 1.6640625. */
static void rounds_each_or_once(void **state)
{
    (void)state;
    double table[16] = {1, 3};
    const struct qvl_grid grid = {1, 1, 10};
    const struct qvl_tensor y = matrix(QVL_BF16, 10, 1, NULL);
    struct qvl_pos_interp_args args = {.table = matrix(QVL_BF16, 16, 1, table),
                                       .grids = &grid,
                                       .grid_count = 1,
                                       .merge = 1,
                                       .rounding = QVL_POS_ROUND_EACH,
                                       .y = y};
    expect_ok(ref->ops.pos_interp(ref, &args, &error));
    assert_true(at(&y, 1) == 1.671875); /* 0.66796875 + 1 = 1.66796875 is a tie, to even */
    args.rounding = QVL_POS_ROUND_ONCE;
    expect_ok(ref->ops.pos_interp(ref, &args, &error));
    assert_true(at(&y, 1) == 1.6640625);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_blocks),
        cmocka_unit_test(aligns_corners),
        cmocka_unit_test(handles_single_lines),
        cmocka_unit_test(rounds_each_or_once),
    };
    return RUN_REF_TESTS(tests);
}
