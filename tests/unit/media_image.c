/* Pictures that are not there, not pictures, cut short, damaged or absurd, and the alpha rules. */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/random.h"
#include "datasets/exif.h"
#include "datasets/image_writer.h"
#include "datasets/media.h"

#define FOLDER "tests/golden/media/"

static void assert_refused(const char *path, const void *bytes, size_t size, const char *text)
{
    struct qvl_picture picture;
    struct qvl_error error;
    enum qvl_status status = qvl_image_read(path, bytes, size, QVL_ALPHA_DROP, &picture, &error);
    if (status != QVL_BAD_INPUT || !strstr(error.message, text) ||
        !strstr(error.message, path ? path : "data: URL"))
        fail_msg("%s: status %s, message '%s' without '%s'", path ? path : "data: URL",
                 qvl_status_name(status), status == QVL_OK ? "" : error.message, text);
    assert_null(picture.rgb);
}

static void not_pictures(void **state)
{
    static const char text[] = "once upon a time there was a picture that was not one\n";
    (void)state;
    assert_refused(FOLDER "missing.png", NULL, 0, "no such file");
    assert_refused("tests/golden", NULL, 0, "tests/golden");
    assert_refused(NULL, text, 0, "empty");
    assert_refused(NULL, text, sizeof text - 1, "not a picture");
    assert_refused("dev", NULL, 0, "dev");
    assert_refused(FOLDER "h264_untagged.mp4", NULL, 0, "give it as a video");
    assert_refused(NULL, "\xff\xd8\xff\xd9", 4, "JPEG");
    assert_refused(NULL, "\xff\xd8\xff", 3, "JPEG");
    assert_refused(NULL, "RIFF\x04\0\0\0WEBP", 12, "WebP");
}

/* Where a file may lose bytes without losing a pixel (an end marker, padding), the original opens it too. */
static void truncated_pictures(void **state)
{
    static const char *const patterns[] = {"*.jpg", "*.webp", "*.png", "*.gif", "*.bmp", "*.tiff", "*.p?m"};
    int count = 0;
    (void)state;
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        char pattern[64];
        glob_t files;
        snprintf(pattern, sizeof pattern, FOLDER "%s", patterns[p]);
        assert_int_equal(glob(pattern, 0, NULL, &files), 0);
        for (size_t i = 0; i < files.gl_pathc; i++) {
            char *data;
            size_t size;
            struct qvl_error error;
            assert_int_equal(qvl_file_read(files.gl_pathv[i], 1 << 20, &data, &size, &error), QVL_OK);
            if (strstr(files.gl_pathv[i], "animated"))
                size /= 3; /* the first frame alone is wanted */
            /* a copy of its own, so that a read beyond the end is seen */
            static const int cuts[] = {10, 25, 50, 75, 90};
            for (int c = 0; c < 5; c++) {
                size_t left = size * (size_t)cuts[c] / 100;
                char *copy = malloc(left);
                assert_non_null(copy);
                memcpy(copy, data, left);
                assert_refused(files.gl_pathv[i], copy, left, "");
                free(copy);
                count++;
            }
            free(data);
        }
        globfree(&files);
    }
    assert_true(count >= 5 * 80);
}

/* Any bytes at all: an answer of one kind or the other, without a crash or a leak. */
static void damaged_pictures(void **state)
{
    const uint64_t seed = (uint64_t)time(NULL);
    glob_t files;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    assert_int_equal(glob(FOLDER "*.[jpwgbt][pnemig]*", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 80);
    for (size_t i = 0; i < files.gl_pathc; i++)
        for (uint64_t trial = 0; trial < 8; trial++) {
            char *data;
            size_t size;
            struct qvl_error error = {.status = QVL_OK};
            struct qvl_picture picture;
            const uint64_t stream = i * 8 + trial;
            assert_int_equal(qvl_file_read(files.gl_pathv[i], 1 << 20, &data, &size, &error), QVL_OK);
            for (uint64_t k = 0; k < 1 + trial * 3; k++)
                data[qvl_random_below(seed, stream, 2 * k, size)] =
                    (char)qvl_random_bits(seed, stream, 2 * k + 1);
            enum qvl_status status = qvl_image_read(NULL, data, size, QVL_ALPHA_WHITE, &picture, &error);
            if (status == QVL_OK)
                assert_true(picture.rgb && picture.width > 0 && picture.height > 0);
            else
                assert_true(error.status == status && error.message[0] && !picture.rgb);
            free(picture.rgb);
            free(data);
        }
    globfree(&files);
}

static void overwrite(char *at, const char *bytes, size_t count)
{
    memcpy(at, bytes, count);
}

/* Headers that promise more pixels than the limit are refused before anything is allocated. */
static void decompression_bombs(void **state)
{
    char *data;
    size_t size;
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_file_read(FOLDER "png_rgb8.png", 1 << 20, &data, &size, &error), QVL_OK);
    overwrite(data + 16, "\0\x01\x86\xa0\0\x01\x86\xa0", 8); /* 100000 x 100000 */
    assert_refused("bomb.png", data, size, "100000 x 100000 pixels are more than the limit of 178956970");
    free(data);
    assert_int_equal(qvl_file_read(FOLDER "bmp_rgb.bmp", 1 << 20, &data, &size, &error), QVL_OK);
    overwrite(data + 18, "\0\0\x01\0\0\0\xff\xff", 8); /* 65536 x -65536 (top down) */
    assert_refused("bomb.bmp", data, size, "65536 x 65536 pixels are more than the limit");
    free(data);
    assert_int_equal(qvl_file_read(FOLDER "gif_palette.gif", 1 << 20, &data, &size, &error), QVL_OK);
    overwrite(data + 6, "\xff\xff\xff\xff", 4);
    assert_refused("bomb.gif", data, size, "65535 x 65535 pixels are more than the limit");
    free(data);
    assert_int_equal(qvl_file_read(FOLDER "jpeg_444.jpg", 1 << 20, &data, &size, &error), QVL_OK);
    char *frame = memmem(data, size, "\xff\xc0", 2); /* start of frame: length, precision, height, width */
    assert_non_null(frame);
    overwrite(frame + 5, "\xfd\xe8\xfd\xe8", 4);
    assert_refused("bomb.jpg", data, size, "65000 x 65000 pixels are more than the limit");
    free(data);
    assert_int_equal(qvl_file_read(FOLDER "webp_animated.webp", 1 << 20, &data, &size, &error), QVL_OK);
    overwrite(data + 24, "\xfe\x3f\0\xfe\x3f\0", 6); /* canvas minus one */
    assert_refused("bomb.webp", data, size, "16383 x 16383 pixels are more than the limit");
    free(data);
}

/* A JPEG whose entropy data are damaged in the middle is shown as the original shows it; one that lost its
 * end marker is refused, as the original refuses it. */
static void jpeg_damage(void **state)
{
    char *data;
    size_t size;
    struct qvl_error error;
    struct qvl_picture picture;
    (void)state;
    assert_int_equal(qvl_file_read(FOLDER "jpeg_420.jpg", 1 << 20, &data, &size, &error), QVL_OK);
    overwrite(data + size - 40, "\x12\x34\x56\x78", 4);
    assert_int_equal(qvl_image_read(NULL, data, size, QVL_ALPHA_DROP, &picture, &error), QVL_OK);
    assert_int_equal(picture.width, 29);
    assert_int_equal(picture.height, 19);
    free(picture.rgb);
    assert_refused("cut.jpg", data, size - 1, "truncated");
    assert_refused("cut.jpg", data, size - 2, "truncated");
    free(data);
}

static void orientations(void **state)
{
    /* 3 x 2 (columns x rows) pixels 0..5:  0 1 2 / 3 4 5 */
    static const uint8_t wanted[9][6] = {{0},
                                         {0, 1, 2, 3, 4, 5},
                                         {2, 1, 0, 5, 4, 3},
                                         {5, 4, 3, 2, 1, 0},
                                         {3, 4, 5, 0, 1, 2},
                                         {0, 3, 1, 4, 2, 5},
                                         {3, 0, 4, 1, 5, 2},
                                         {5, 2, 4, 1, 3, 0},
                                         {2, 5, 1, 4, 0, 3}};
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct qvl_error error;
        struct qvl_picture picture = {.height = 2, .width = 3, .rgb = malloc(18)};
        assert_non_null(picture.rgb);
        for (int i = 0; i < 18; i++)
            picture.rgb[i] = (uint8_t)(i / 3 * 10 + i % 3);
        assert_int_equal(qvl_orient(&picture, orientation, &error), QVL_OK);
        assert_int_equal(picture.width, orientation < 5 ? 3 : 2);
        assert_int_equal(picture.height, orientation < 5 ? 2 : 3);
        for (int i = 0; i < 18; i++)
            assert_int_equal(picture.rgb[i], wanted[orientation][i / 3] * 10 + i % 3);
        free(picture.rgb);
    }
}

static void malformed_exif(void **state)
{
    uint8_t exif[26] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    (void)state;
    assert_int_equal(qvl_exif_orientation(exif, sizeof exif), 6);
    for (size_t size = 0; size < 22; size++)
        assert_int_equal(qvl_exif_orientation(exif, size), 0);
    exif[4] = 0xff; /* directory beyond the end */
    assert_int_equal(qvl_exif_orientation(exif, sizeof exif), 0);
    exif[4] = 8;
    exif[8] = 0xff; /* more entries than there are */
    assert_int_equal(qvl_exif_orientation(exif, sizeof exif), 6);
    exif[14] = 2; /* two values */
    assert_int_equal(qvl_exif_orientation(exif, sizeof exif), 0);
    assert_int_equal(qvl_xmp_orientation((const uint8_t *)"<tiff:Orientation>8</", 21), 8);
    assert_int_equal(qvl_xmp_orientation((const uint8_t *)"tiff:Orientation=\"", 18), 0);
    assert_int_equal(qvl_xmp_orientation((const uint8_t *)"tiff:Orientation=7", 18), 0);
}

/* One pixel of an RGBA PNG, 10 200 77 at alpha 100:
 * (10*100 + 255*155 + 127) / 255 = 159, (200*100 + 39525 + 127) / 255 = 233, (77*100 + 39525 + 127) / 255 =
 * 185 */
static void alpha_rules(void **state)
{
    static const uint8_t png[] = {
        0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0,    0,    13,   'I',  'H',  'D',  'R', 0,  0,
        0,    1,   0,   0,   0,    1,    8,    6,    0,    0,    0,    0x1f, 0x15, 0xc4, 0x89, 0,   0,  0,
        16,   'I', 'D', 'A', 'T',  0x78, 0x01, 0x01, 0x05, 0x00, 0xfa, 0xff, 0x00, 10,   200,  77,  100};
    static const int wanted[3][3] = {{10, 200, 77}, {159, 233, 185}, {159, 233, 185}};
    uint8_t file[sizeof png + 8 + 12];
    struct qvl_picture picture;
    struct qvl_error error;
    (void)state;
    memcpy(file, png, sizeof png);
    /* Adler-32 of 0 10 200 77 100: a = 1 + 387, b = 5*1 + 4*10 + 3*200 + 2*77 + 100 = 899 = 0x383; checksum
     * of the chunk; IEND */
    static const uint8_t tail[20] = {0x03, 0x83, 0x01, 0x84, 0,   0,   0,    0,    0,    0,
                                     0,    0,    'I',  'E',  'N', 'D', 0xae, 0x42, 0x60, 0x82};
    memcpy(file + sizeof png, tail, sizeof tail);
    uint32_t crc = 0xffffffffU;
    for (const uint8_t *at = file + 37; at < file + sizeof png + 4; at++) {
        crc ^= *at;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
    }
    for (int i = 0; i < 4; i++)
        file[sizeof png + 4 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    for (int rule = QVL_ALPHA_DROP; rule <= QVL_ALPHA_WHITE_RGBA; rule++) {
        if (qvl_image_read(NULL, file, sizeof file, (enum qvl_alpha_rule)rule, &picture, &error) != QVL_OK)
            fail_msg("%s", error.message);
        for (int c = 0; c < 3; c++)
            assert_int_equal(picture.rgb[c], wanted[rule][c]);
        free(picture.rgb);
    }
    file[50] ^= 1; /* the checksum no longer fits */
    assert_refused("damaged.png", file, sizeof file, "damaged");
}

static void png_round_trip(void **state)
{
    static const char path[] = "build/media_image_test.png";
    uint8_t pixels[7 * 5 * 3];
    struct qvl_picture picture = {.height = 7, .width = 5, .rgb = pixels}, back;
    struct qvl_error error;
    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    if (qvl_png_write(path, &picture, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_int_equal(qvl_image_read(path, NULL, 0, QVL_ALPHA_DROP, &back, &error), QVL_OK);
    assert_int_equal(back.height, 7);
    assert_int_equal(back.width, 5);
    assert_memory_equal(back.rgb, pixels, sizeof pixels);
    free(back.rgb);
    assert_int_equal(remove(path), 0);
    assert_int_equal(qvl_png_write("build/no/such/folder/x.png", &picture, &error), QVL_IO);
    assert_non_null(strstr(error.message, "build/no/such/folder/x.png"));
    picture.width = 0;
    assert_int_equal(qvl_png_write(path, &picture, &error), QVL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_pictures),     cmocka_unit_test(truncated_pictures),
        cmocka_unit_test(damaged_pictures), cmocka_unit_test(decompression_bombs),
        cmocka_unit_test(jpeg_damage),      cmocka_unit_test(orientations),
        cmocka_unit_test(malformed_exif),   cmocka_unit_test(alpha_rules),
        cmocka_unit_test(png_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
