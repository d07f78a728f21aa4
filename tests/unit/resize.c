/* The four resize methods on hand-worked pictures. */
#include "ref/pixels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const enum qvl_resize_method methods[] = {QVL_RESIZE_TORCHVISION_U8, QVL_RESIZE_PILLOW,
                                                 QVL_RESIZE_PILLOW13, QVL_RESIZE_TORCHVISION_F32};
#define METHODS 4

static void resize(enum qvl_resize_method method, const uint8_t *src, int64_t height, int64_t width,
                   uint8_t *dst, int64_t out_height, int64_t out_width)
{
    struct qvl_resize_args args = {method, src, height, width, dst, out_height, out_width};
    struct qvl_error error = {0};
    assert_int_equal(qvl_ref_pixel_ops.resize(&args, &error), QVL_OK);
}

static void equal_sizes_copy(void **state)
{
    (void)state;
    uint8_t src[2 * 3 * 3];
    for (int i = 0; i < 18; i++)
        src[i] = (uint8_t)(i * 14);
    for (int m = 0; m < METHODS; m++) {
        uint8_t dst[18] = {0};
        resize(methods[m], src, 2, 3, dst, 2, 3);
        assert_memory_equal(src, dst, 18);
    }
}

/* Weights are normalised, so a flat picture stays flat at every size; channels must not mix. */
static void flat_stays_flat(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        {5, 7, 11, 3}, {9, 4, 2, 13}, {1, 6, 8, 8}, {6, 1, 3, 5}, {10, 12, 4, 6}};
    for (int m = 0; m < METHODS; m++)
        for (int s = 0; s < 5; s++) {
            int64_t in = sizes[s][0] * sizes[s][1];
            int64_t out = sizes[s][2] * sizes[s][3];
            uint8_t *src = malloc((size_t)in * 3);
            uint8_t *dst = calloc((size_t)out, 3);
            for (int64_t i = 0; i < in; i++)
                memcpy(src + 3 * i, (const uint8_t[]){0, 137, 255}, 3);
            resize(methods[m], src, sizes[s][0], sizes[s][1], dst, sizes[s][2], sizes[s][3]);
            for (int64_t i = 0; i < out; i++)
                assert_memory_equal(dst + 3 * i, ((const uint8_t[]){0, 137, 255}), 3);
            free(src);
            free(dst);
        }
}

/* Two pixels 0, 128 to four. Distances of output o from the inputs are o/2 - 1/4 and o/2 - 5/4; with
 * k(1/4) = 0.8671875, k(3/4) = 0.2265625, k(5/4) = -0.0703125, k(7/4) = -0.0234375 and normalisation over the
 * two inputs that exist, the second weight is k(5/4) / (k(1/4) + k(5/4)) = -0.0703125 / 0.796875 for o = 0
 * and k(3/4) / (k(1/4) + k(3/4)) = 0.2265625 / 1.09375 for o = 1; o = 2 and 3 mirror them. 128 times those is
 * -11.29, 26.51, 101.49, 139.29; the first clamps. */
static void doubling_by_hand(void **state)
{
    (void)state;
    const uint8_t src[6] = {0, 0, 0, 128, 128, 128};
    const uint8_t expected[4] = {0, 27, 101, 139};
    for (int m = 0; m < METHODS; m++) {
        uint8_t across[12];
        uint8_t down[12];
        resize(methods[m], src, 1, 2, across, 1, 4);
        resize(methods[m], src, 2, 1, down, 4, 1);
        for (int o = 0; o < 4; o++)
            for (int c = 0; c < 3; c++) {
                assert_int_equal(across[3 * o + c], expected[o]);
                /* an output one pixel wide skips the axis that stays, so it is the same sum */
                assert_int_equal(down[3 * o + c], expected[o]);
            }
    }
}

/* A one-pixel checkerboard shrunk by 4 averages to grey inside; without antialiasing it would stay black or
 * white. */
static void antialias(void **state)
{
    (void)state;
    uint8_t src[32 * 24 * 3];
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 24; x++)
            memset(src + (y * 24 + x) * 3, (x + y) % 2 ? 255 : 0, 3);
    for (int m = 0; m < METHODS; m++) {
        uint8_t dst[8 * 6 * 3];
        resize(methods[m], src, 32, 24, dst, 8, 6);
        for (int y = 2; y < 6; y++)
            for (int x = 2; x < 4; x++)
                assert_in_range(dst[(y * 6 + x) * 3], 126, 129);
    }
}

/* Height and width are not exchanged: a picture that only varies downwards keeps equal columns. */
static void axes_are_not_swapped(void **state)
{
    (void)state;
    uint8_t src[6 * 10 * 3];
    for (int y = 0; y < 6; y++)
        memset(src + y * 30, y * 50, 30);
    for (int m = 0; m < METHODS; m++) {
        uint8_t dst[4 * 7 * 3];
        resize(methods[m], src, 6, 10, dst, 4, 7);
        for (int y = 0; y < 4; y++)
            for (int i = 0; i < 21; i++)
                assert_int_equal(dst[y * 21 + i], dst[y * 21]);
        assert_true(dst[0] < dst[21] && dst[21] < dst[42] && dst[42] < dst[63]);
    }
}

static void bad_arguments(void **state)
{
    (void)state;
    uint8_t pixel[3] = {0};
    struct qvl_error error = {0};
    struct qvl_resize_args args = {QVL_RESIZE_PILLOW, pixel, 1, 1, pixel, 0, 1};
    assert_int_equal(qvl_ref_resize(&args, &error), QVL_USAGE);
    args.out_height = 1;
    args.width = (int64_t)1 << 40;
    assert_int_equal(qvl_ref_resize(&args, &error), QVL_USAGE);
    args.width = 1;
    args.src = NULL;
    assert_int_equal(qvl_ref_resize(&args, &error), QVL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_sizes_copy),     cmocka_unit_test(flat_stays_flat),
        cmocka_unit_test(doubling_by_hand),     cmocka_unit_test(antialias),
        cmocka_unit_test(axes_are_not_swapped), cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
