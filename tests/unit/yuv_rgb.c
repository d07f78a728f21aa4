#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "datasets/yuv_rgb.h"

static void assert_rgb(const uint8_t *rgb, int r, int g, int b)
{
    assert_int_equal(rgb[0], r);
    assert_int_equal(rgb[1], g);
    assert_int_equal(rgb[2], b);
}

static void convert_one(enum qvl_yuv_standard standard, bool full, int y, int u, int v, uint8_t rgb[3])
{
    const uint8_t planes[3] = {(uint8_t)y, (uint8_t)u, (uint8_t)v};
    const struct qvl_yuv_matrix matrix = qvl_yuv_matrix(standard, full);
    const struct qvl_yuv420 picture = {
        .height = 1, .width = 1, .y = planes, .u = planes + 1, .v = planes + 2};
    qvl_yuv420_to_rgb(&picture, &matrix, rgb);
}

static void matrices(void **state)
{
    (void)state;
    struct qvl_yuv_matrix m = qvl_yuv_matrix(QVL_YUV_BT601, false);
    assert_int_equal(m.oy, 16);
    assert_int_equal(m.cy, 9539);
    assert_int_equal(m.rv, 13075);
    assert_int_equal(m.gu, -3209);
    assert_int_equal(m.gv, -6660);
    assert_int_equal(m.bu, 16525);
    m = qvl_yuv_matrix(QVL_YUV_BT709, false);
    assert_int_equal(m.rv, 14686);
    assert_int_equal(m.gu, -1747);
    assert_int_equal(m.gv, -4366);
    assert_int_equal(m.bu, 17305);
    /* 104597*224/255 = 91881; (91881*8192 + 32768) >> 16 = 11485 */
    m = qvl_yuv_matrix(QVL_YUV_BT601, true);
    assert_int_equal(m.oy, 0);
    assert_int_equal(m.cy, 8192);
    assert_int_equal(m.rv, 11485);
    assert_int_equal(m.gu, -2819);
    assert_int_equal(m.gv, -5850);
    assert_int_equal(m.bu, 14516);
}

static void single_pixels(void **state)
{
    uint8_t rgb[3];
    (void)state;
    convert_one(QVL_YUV_BT601, false, 16, 128, 128, rgb);
    assert_rgb(rgb, 0, 0, 0);
    convert_one(QVL_YUV_BT601, false, 235, 128, 128, rgb);
    assert_rgb(rgb, 255, 255, 255);
    convert_one(QVL_YUV_BT601, false, 0, 128, 128, rgb);
    assert_rgb(rgb, 0, 0, 0);
    /* y = (520*9539) >> 16 = 75, v*rv >> 16 = 178, u*gu >> 16 = 14, v*gv >> 16 = -92, u*bu >> 16 = -77 */
    convert_one(QVL_YUV_BT601, false, 81, 90, 240, rgb);
    assert_rgb(rgb, 253, 0, 0);
    /* y = (1072*9539) >> 16 = 156; u = -80, v = 88: 156 + 17, 156 + 3 - 9, 156 - 21 */
    convert_one(QVL_YUV_BT601, false, 150, 118, 139, rgb);
    assert_rgb(rgb, 173, 150, 135);
    /* the same with BT.709: 156 + 19, 156 + 2 - 6, 156 - 22 */
    convert_one(QVL_YUV_BT709, false, 150, 118, 139, rgb);
    assert_rgb(rgb, 175, 152, 134);
    /* full range: y = 150; 150 + 15, 150 + 3 - 8, 150 - 18 */
    convert_one(QVL_YUV_BT601, true, 150, 118, 139, rgb);
    assert_rgb(rgb, 165, 145, 132);
}

/* 5 x 3 pixels: three columns and two rows of chroma, each value used for its own 2 x 2 block. */
static void odd_sides_and_strides(void **state)
{
    uint8_t y[3 * 8], u[2 * 6], v[2 * 7], rgb[3 * 5 * 3], flipped[3 * 5 * 3], one[3];
    const struct qvl_yuv_matrix matrix = qvl_yuv_matrix(QVL_YUV_BT601, false);
    (void)state;
    for (size_t i = 0; i < sizeof y; i++)
        y[i] = (uint8_t)(40 + 7 * i);
    for (size_t i = 0; i < sizeof u; i++)
        u[i] = (uint8_t)(100 + 3 * i);
    for (size_t i = 0; i < sizeof v; i++)
        v[i] = (uint8_t)(150 - 2 * i);
    const struct qvl_yuv420 picture = {
        .height = 3, .width = 5, .y = y, .u = u, .v = v, .y_stride = 8, .u_stride = 6, .v_stride = 7};
    qvl_yuv420_to_rgb(&picture, &matrix, rgb);
    for (int row = 0; row < 3; row++)
        for (int x = 0; x < 5; x++) {
            convert_one(QVL_YUV_BT601, false, y[row * 8 + x], u[row / 2 * 6 + x / 2], v[row / 2 * 7 + x / 2],
                        one);
            assert_memory_equal(rgb + (row * 5 + x) * 3, one, 3);
        }
    /* bottom up: the last stored row comes first */
    const struct qvl_yuv420 upside_down = {.height = 3,
                                           .width = 5,
                                           .y = y + 16,
                                           .u = u + 6,
                                           .v = v + 7,
                                           .y_stride = -8,
                                           .u_stride = -6,
                                           .v_stride = -7};
    qvl_yuv420_to_rgb(&upside_down, &matrix, flipped);
    convert_one(QVL_YUV_BT601, false, y[16 + 4], u[6 + 2], v[7 + 2], one);
    assert_memory_equal(flipped + 4 * 3, one, 3);
    convert_one(QVL_YUV_BT601, false, y[0 + 1], u[0], v[0], one);
    assert_memory_equal(flipped + (2 * 5 + 1) * 3, one, 3);
}

static void rgb_to_yuv(void **state)
{
    /* 3 x 2: red, red, black over red, red, white */
    const uint8_t rgb[2 * 3 * 3] = {255, 0, 0, 255, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 255, 255, 255};
    uint8_t y[2 * 4], u[2], v[2];
    (void)state;
    memset(y, 77, sizeof y);
    qvl_rgb_to_yuv420(rgb, 2, 3, y, 4, u, 2, v, 2);
    const uint8_t wanted[2 * 4] = {81, 81, 16, 77, 81, 81, 235, 77};
    assert_memory_equal(y, wanted, sizeof y);
    assert_int_equal(u[0], 90);
    assert_int_equal(v[0], 240);
    assert_int_equal(u[1], 128);
    assert_int_equal(v[1], 128);
}

/* Colours that do not change over 2 x 2 pixels survive there and back to within the rounding of 8-bit YUV. */
static void there_and_back(void **state)
{
    const struct qvl_yuv_matrix matrix = qvl_yuv_matrix(QVL_YUV_BT601, false);
    (void)state;
    for (int colour = 0; colour < 1000; colour++) {
        uint8_t rgb[12], y[4], u, v, back[12];
        const uint8_t pixel[3] = {(uint8_t)(colour % 10 * 28), (uint8_t)(colour / 10 % 10 * 28),
                                  (uint8_t)(colour / 100 * 28)};
        for (int i = 0; i < 4; i++)
            memcpy(rgb + 3 * i, pixel, 3);
        qvl_rgb_to_yuv420(rgb, 2, 2, y, 2, &u, 1, &v, 1);
        const struct qvl_yuv420 picture = {
            .height = 2, .width = 2, .y = y, .u = &u, .v = &v, .y_stride = 2, .u_stride = 1, .v_stride = 1};
        qvl_yuv420_to_rgb(&picture, &matrix, back);
        for (int i = 0; i < 12; i++)
            assert_true(abs(back[i] - rgb[i]) <= 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices),
        cmocka_unit_test(single_pixels),
        cmocka_unit_test(odd_sides_and_strides),
        cmocka_unit_test(rgb_to_yuv),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
