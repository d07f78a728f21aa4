/* Size rules against the test values of the facts and hand-worked edges. */
#include "ref/pixels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define IMAGE_MIN 65536
#define IMAGE_MAX 16777216
#define VIDEO_MIN 4096
#define VIDEO_MAX 25165824

static enum qvl_status size_of(enum qvl_size_rule rule, int64_t frames, int64_t height, int64_t width,
                               double min, double max, int64_t out[2], struct qvl_error *error)
{
    struct qvl_smart_resize_args args = {rule, frames, 2, height, width, 32, min, max, &out[0], &out[1]};
    return qvl_ref_pixel_ops.smart_resize(&args, error);
}

static void expect(enum qvl_size_rule rule, int64_t frames, int64_t height, int64_t width, double min,
                   double max, int64_t out_height, int64_t out_width)
{
    struct qvl_error error = {0};
    int64_t out[2] = {0, 0};
    assert_int_equal(size_of(rule, frames, height, width, min, max, out, &error), QVL_OK);
    assert_int_equal(out[0], out_height);
    assert_int_equal(out[1], out_width);
}

static void expect_error(enum qvl_size_rule rule, int64_t frames, int64_t height, int64_t width, double min,
                         double max, const char *says)
{
    struct qvl_error error = {0};
    int64_t out[2] = {-1, -1};
    assert_int_equal(size_of(rule, frames, height, width, min, max, out, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, says));
    assert_int_equal(out[0], -1);
}

static void images(void **state)
{
    (void)state;
    static const int64_t cases[][4] = {
        {480, 640, 480, 640}, {1080, 1920, 1088, 1920}, {720, 1280, 704, 1280},   {100, 100, 256, 256},
        {48, 80, 224, 352},   {400, 300, 384, 288},     {5000, 7000, 3456, 4832}, {1, 1, 256, 256}};
    for (int i = 0; i < 8; i++) {
        expect(QVL_SIZE_HF4, 0, cases[i][0], cases[i][1], IMAGE_MIN, IMAGE_MAX, cases[i][2], cases[i][3]);
        expect(QVL_SIZE_HF5, 0, cases[i][0], cases[i][1], IMAGE_MIN, IMAGE_MAX, cases[i][2], cases[i][3]);
        expect(QVL_SIZE_QVU, 0, cases[i][0], cases[i][1], IMAGE_MIN, IMAGE_MAX, cases[i][2], cases[i][3]);
    }
}

/* 16/32 is a tie that rounds to zero: QVU lifts it to one factor, HF leaves zero for a budget to repair. */
static void rounding_to_zero(void **state)
{
    (void)state;
    expect(QVL_SIZE_QVU, 0, 16, 64, 0, IMAGE_MAX, 32, 64);
    expect_error(QVL_SIZE_HF4, 0, 16, 64, 0, IMAGE_MAX, "0 x 64");
    expect(QVL_SIZE_HF4, 0, 16, 64, 1, IMAGE_MAX, 32, 32);
}

/* Above the budget HF keeps at least one factor a side, QVU can reach zero (an error when the file is
 * resized): 40 x 6000 -> beta = sqrt(240000 / 4096) = 7.65, 40 / 7.65 < 32. */
static void floor_branch(void **state)
{
    (void)state;
    expect(QVL_SIZE_HF4, 0, 40, 6000, 0, 4096, 32, 768);
    expect_error(QVL_SIZE_QVU, 0, 40, 6000, 0, 4096, "0 x 768");
}

static void videos(void **state)
{
    (void)state;
    expect(QVL_SIZE_HF4, 20, 720, 1280, VIDEO_MIN, VIDEO_MAX, 704, 1280);
    expect(QVL_SIZE_HF4, 64, 720, 1280, VIDEO_MIN, VIDEO_MAX, 448, 832);
    expect(QVL_SIZE_HF4, 768, 720, 1280, VIDEO_MIN, VIDEO_MAX, 128, 224);
    expect(QVL_SIZE_HF5, 64, 720, 1280, VIDEO_MIN, VIDEO_MAX, 448, 832);
}

/* 5 frames count as rne(5/2)*2 = 4 (a tie, to even) in the comparison and as 5 in the scale factor:
 * 4*64*96 = 24576 is not above 24576, so nothing changes; one below, beta = sqrt(5*64*96/24575) = 1.118. */
static void odd_frame_count(void **state)
{
    (void)state;
    expect(QVL_SIZE_HF4, 5, 64, 96, VIDEO_MIN, 24576, 64, 96);
    expect(QVL_SIZE_HF4, 5, 64, 96, VIDEO_MIN, 24575, 32, 64);
}

/* 20 x 50: s = max(32/20, 32/50) = 1.6 -> 32 x 80; 80/32 = 2.5 is a tie -> 64. */
static void tiny_frames(void **state)
{
    (void)state;
    expect(QVL_SIZE_HF5, 8, 20, 50, VIDEO_MIN, VIDEO_MAX, 32, 64);
    expect_error(QVL_SIZE_HF4, 8, 20, 50, VIDEO_MIN, VIDEO_MAX, "smaller than 32");
}

static void refused(void **state)
{
    (void)state;
    expect_error(QVL_SIZE_HF4, 0, 10, 2001, IMAGE_MIN, IMAGE_MAX, "above 200");
    expect(QVL_SIZE_HF4, 0, 10, 2000, IMAGE_MIN, IMAGE_MAX, 32, 3648);
    expect_error(QVL_SIZE_HF4, 0, 0, 100, IMAGE_MIN, IMAGE_MAX, "0 x 100");
    expect_error(QVL_SIZE_HF4, 1, 100, 100, VIDEO_MIN, VIDEO_MAX, "1 frame");
    expect_error(QVL_SIZE_QVU, 0, 100, 100, 5000, 4999, "below min_pixels");
    expect_error(QVL_SIZE_HF4, 0, 100, 100, NAN, IMAGE_MAX, "min_pixels");
    expect_error(QVL_SIZE_HF4, 0, (int64_t)1 << 40, 100, IMAGE_MIN, IMAGE_MAX, "must lie");
    expect_error(QVL_SIZE_HF4, (int64_t)1 << 40, 5000, 5000, IMAGE_MIN, IMAGE_MAX, "too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images),  cmocka_unit_test(rounding_to_zero), cmocka_unit_test(floor_branch),
        cmocka_unit_test(videos),  cmocka_unit_test(odd_frame_count),  cmocka_unit_test(tiny_frames),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
