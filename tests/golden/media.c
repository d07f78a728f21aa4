/* Pictures and videos against what the original framework sees in the same files (tests/golden/media.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/media.h"

#define FOLDER "tests/golden/media/"

static cJSON *expected;

static void hex_sha256(const uint8_t *bytes, size_t size, char hex[65])
{
    uint8_t digest[32];
    struct AVSHA *sha = av_sha_alloc();
    assert_non_null(sha);
    av_sha_init(sha, 256);
    av_sha_update(sha, bytes, size);
    av_sha_final(sha, digest);
    av_free(sha);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
    assert_non_null(text);
    return text;
}

static double number_of(const cJSON *object, const char *key)
{
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(object, key)));
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static int image_differs(const cJSON *wanted, enum qvl_alpha_rule rule, const char *key)
{
    char path[256], hex[65];
    struct qvl_picture picture;
    struct qvl_error error;
    snprintf(path, sizeof path, FOLDER "%s", text_of(wanted, "file"));
    if (qvl_image_read(path, NULL, 0, rule, &picture, &error) != QVL_OK) {
        print_error("%s\n", error.message);
        return 1;
    }
    hex_sha256(picture.rgb, (size_t)(picture.height * picture.width * 3), hex);
    int differs = picture.height != (int64_t)number_of(wanted, "height") ||
                  picture.width != (int64_t)number_of(wanted, "width") ||
                  strcmp(hex, text_of(wanted, key)) != 0;
    if (differs)
        print_error("%s (%s, alpha rule %s): %lld x %lld pixels, starting %d %d %d, are not the original's\n",
                    path, text_of(wanted, "mode"), key, (long long)picture.width, (long long)picture.height,
                    picture.rgb[0], picture.rgb[1], picture.rgb[2]);
    free(picture.rgb);
    return differs;
}

static void images_equal_pillow(void **state)
{
    const cJSON *wanted;
    int wrong = 0, count = 0;
    (void)state;
    cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(expected, "images"))
    {
        wrong += image_differs(wanted, QVL_ALPHA_DROP, "drop");
        wrong += image_differs(wanted, QVL_ALPHA_WHITE, "white");
        wrong += image_differs(wanted, QVL_ALPHA_WHITE_RGBA, "white_rgba");
        count++;
    }
    assert_true(count >= 80);
    assert_int_equal(wrong, 0);
}

static int load_expected(void **state)
{
    char *text;
    FILE *file = fopen(FOLDER "expected.json", "rb");
    (void)state;
    if (!file)
        return -1;
    text = calloc(1, 1 << 20);
    if (!text || fread(text, 1, (1 << 20) - 1, file) == 0)
        return -1;
    fclose(file);
    expected = cJSON_Parse(text);
    free(text);
    return expected ? 0 : -1;
}

static int free_expected(void **state)
{
    (void)state;
    cJSON_Delete(expected);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(images_equal_pillow)};
    return cmocka_run_group_tests(tests, load_expected, free_expected);
}
