/* Patch rows: order of rows and columns, padding of the last temporal patch, both normalisations. */
#include "ref/pixels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Patch 3, merge 2, temporal patch 4, two blocks down, three across: every size different. */
enum { P = 3, M = 2, T = 4, BLOCKS_DOWN = 2, BLOCKS_ACROSS = 3, H = 12, W = 18, FRAMES = 6, GRID_T = 2 };
#define COLUMNS (3 * T * P * P)
#define ROWS (GRID_T * (H / P) * (W / P))

static uint8_t pixel_of(int64_t frame, int64_t y, int64_t x, int64_t c)
{
    return (uint8_t)((frame * 89 + y * 37 + x * 11 + c * 151 + y * x) & 255);
}

static struct qvl_patch_rows_args make_args(const uint8_t *const *frames, float *rows)
{
    return (struct qvl_patch_rows_args){.frames = frames,
                                        .frame_count = FRAMES,
                                        .height = H,
                                        .width = W,
                                        .patch = P,
                                        .temporal_patch = T,
                                        .merge = M,
                                        .mean = {0.5, 0.25, 0.0},
                                        .std = {0.5, 0.25, 1.0},
                                        .rescale = 1.0 / 255.0,
                                        .form = QVL_NORMALISE_FAST,
                                        .rows = rows};
}

/* Every element against the index formulas; frames 6 and 7 repeat frame 5. */
static void order_and_padding(void **state)
{
    (void)state;
    uint8_t *frames[FRAMES];
    float *rows = malloc(sizeof(float) * ROWS * COLUMNS);
    struct qvl_error error = {0};
    for (int f = 0; f < FRAMES; f++) {
        frames[f] = malloc(H * W * 3);
        for (int i = 0; i < H * W * 3; i++)
            frames[f][i] = pixel_of(f, i / 3 / W, i / 3 % W, i % 3);
    }
    struct qvl_patch_rows_args args = make_args((const uint8_t *const *)frames, rows);
    assert_int_equal(qvl_ref_pixel_ops.patch_rows(&args, &error), QVL_OK);
    for (int64_t y = 0; y < H; y++)
        for (int64_t x = 0; x < W; x++)
            for (int64_t f = 0; f < GRID_T * T; f++)
                for (int64_t c = 0; c < 3; c++) {
                    int64_t by = y / (P * M), my = y / P % M, bx = x / (P * M), mx = x / P % M;
                    int64_t row = (((f / T * BLOCKS_DOWN + by) * BLOCKS_ACROSS + bx) * M + my) * M + mx;
                    int64_t column = ((c * T + f % T) * P + y % P) * P + x % P;
                    float value = pixel_of(f < FRAMES ? f : FRAMES - 1, y, x, c);
                    float expected = (value - 255.0f * (float)args.mean[c]) / (255.0f * (float)args.std[c]);
                    assert_float_equal(rows[row * COLUMNS + column], expected, 0.0f);
                }
    for (int f = 0; f < FRAMES; f++)
        free(frames[f]);
    free(rows);
}

/* Black is -1 and white 1 under mean = std = 0.5. 1: fast (1 - 127.5)/127.5; slow f32(1/255) - 0.5 is exact
 * to f32 rounding, divided by 0.5. They differ in the last bit for some levels. */
static void normalisation(void **state)
{
    (void)state;
    uint8_t frame[16 * 16 * 3];
    float fast[3 * 16 * 16];
    float slow[3 * 16 * 16];
    const uint8_t *frames[1] = {frame};
    struct qvl_patch_rows_args args = make_args(frames, fast);
    struct qvl_error error = {0};
    int different = 0;

    for (int i = 0; i < 256; i++)
        memset(frame + 3 * i, i, 3);
    for (int c = 0; c < 3; c++)
        args.mean[c] = args.std[c] = 0.5;
    args.frame_count = args.temporal_patch = args.merge = 1;
    args.height = args.width = args.patch = 16;
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_OK);
    args.form = QVL_NORMALISE_SLOW;
    args.rows = slow;
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_OK);
    assert_float_equal(fast[0], -1.0f, 0.0f);
    assert_float_equal(fast[255], 1.0f, 0.0f);
    assert_float_equal(slow[0], -1.0f, 0.0f);
    assert_float_equal(slow[255], 1.0f, 0.0f);
    assert_float_equal(fast[1], -126.5f / 127.5f, 0.0f);
    for (int i = 0; i < 256; i++) {
        assert_float_equal(fast[i], slow[i], 6.1e-8f);
        different += fast[i] != slow[i];
    }
    assert_int_equal(different, 128);
}

static void bad_arguments(void **state)
{
    (void)state;
    uint8_t frame[H * W * 3] = {0};
    const uint8_t *frames[FRAMES] = {frame, frame, frame, frame, frame, frame};
    float rows[1];
    struct qvl_error error = {0};
    struct qvl_patch_rows_args args = make_args(frames, rows);
    args.width = W + 1;
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "12 x 19"));
    args = make_args(frames, rows);
    args.std[1] = 0;
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_USAGE);
    args = make_args(frames, NULL);
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_padding),
        cmocka_unit_test(normalisation),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
