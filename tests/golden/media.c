/* Pictures and videos against what the original framework sees in the same files (tests/golden/media.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "datasets/media.h"

#define FOLDER "tests/golden/media/"

static cJSON *expected;

static void hex_sha256(const uint8_t *bytes, size_t size, char hex[QVL_SHA256_HEX_BYTES])
{
    struct qvl_error error;
    assert_int_equal(qvl_sha256_memory(bytes, size, hex, &error), QVL_OK);
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
    char path[256], hex[QVL_SHA256_HEX_BYTES];
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

struct frames_check {
    const cJSON *hashes; /* of all frames of the file */
    const int64_t *indices;
    int64_t received, height, width;
    int differing;
};

static enum qvl_status check_frame(void *context, int64_t k, const struct qvl_picture *picture,
                                   struct qvl_error *error)
{
    struct frames_check *check = context;
    char hex[QVL_SHA256_HEX_BYTES];
    (void)error;
    assert_int_equal(k, check->received);
    check->received++;
    assert_int_equal(picture->height, check->height);
    assert_int_equal(picture->width, check->width);
    hex_sha256(picture->rgb, (size_t)(picture->height * picture->width * 3), hex);
    const cJSON *hash = cJSON_GetArrayItem(check->hashes, (int)check->indices[k]);
    check->differing += strncmp(hex, cJSON_GetStringValue(hash), 16) != 0;
    return QVL_OK;
}

/* Read the given frames; the number whose bytes are not the original's. */
static int frames_that_differ(struct qvl_video *video, const cJSON *wanted, const int64_t *indices,
                              int64_t count)
{
    struct qvl_error error;
    struct frames_check check = {.hashes = cJSON_GetObjectItem(wanted, "rgb"),
                                 .indices = indices,
                                 .height = video->height,
                                 .width = video->width};
    if (video->read(video, indices, count, check_frame, &check, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_int_equal(check.received, count);
    assert_int_equal(video->corrupt_frames, 0);
    return check.differing;
}

static int video_differs(const cJSON *wanted)
{
    char path[256];
    struct qvl_error error;
    struct qvl_video *video;
    int64_t indices[64], some[12];
    const bool exact = cJSON_IsTrue(cJSON_GetObjectItem(wanted, "exact"));
    snprintf(path, sizeof path, FOLDER "%s", text_of(wanted, "file"));
    if (qvl_video_open(path, NULL, 0, &video, &error) != QVL_OK) {
        print_error("%s\n", error.message);
        return 1;
    }
    const int64_t frames = (int64_t)number_of(wanted, "frames");
    int wrong = video->frames != frames || video->height != (int64_t)number_of(wanted, "height") ||
                video->width != (int64_t)number_of(wanted, "width") ||
                video->fps != number_of(wanted, "fps") || video->exact != exact;
    if (cJSON_HasObjectItem(wanted, "fps_scanned"))
        wrong += video->fps_scanned != number_of(wanted, "fps_scanned");
    assert_true(frames <= 64);
    for (int64_t i = 0; i < frames; i++)
        indices[i] = i;
    for (int64_t i = 0; i < 12; i++)
        some[i] = frames * (i / 2) / 6;
    int differing = video->frames == frames ? frames_that_differ(video, wanted, indices, frames) : 0;
    if (video->frames == frames)
        wrong += exact && frames_that_differ(video, wanted, some, 12) != 0;
    wrong += exact && (differing != 0 || video->inexact_reason);
    wrong += video->exact != exact;
    if (wrong || !exact)
        print_message("%s: %lld frames of %lld x %lld, %.9g and %.9g fps, %s; %d frames differ\n", path,
                      (long long)video->frames, (long long)video->width, (long long)video->height, video->fps,
                      video->fps_scanned, video->exact ? "exact" : video->inexact_reason, differing);
    video->close(video);
    return wrong;
}

static void videos_equal_torchcodec(void **state)
{
    const cJSON *wanted;
    int wrong = 0, count = 0;
    (void)state;
    cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(expected, "videos"))
    {
        wrong += video_differs(wanted);
        count++;
    }
    assert_true(count >= 20);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(images_equal_pillow),
                                       cmocka_unit_test(videos_equal_torchcodec)};
    return cmocka_run_group_tests(tests, load_expected, free_expected);
}
