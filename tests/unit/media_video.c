/* Videos that are not there, not videos, cut short or damaged; frames asked for in odd ways; and our own
 * writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "base/sha256.h"
#include "datasets/media.h"
#include "datasets/scene.h"
#include "datasets/video_writer.h"

#define FOLDER "tests/golden/media/"

static struct qvl_video *open_video(const char *path)
{
    struct qvl_video *video;
    struct qvl_error error;
    if (qvl_video_open(path, NULL, 0, &video, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return video;
}

static void assert_refused(const char *path, const void *bytes, size_t size, const char *text)
{
    struct qvl_video *video;
    struct qvl_error error;
    enum qvl_status status = qvl_video_open(path, bytes, size, &video, &error);
    if (status != QVL_BAD_INPUT || !strstr(error.message, text) ||
        !strstr(error.message, path ? path : "data: URL"))
        fail_msg("%s: status %s, message '%s' without '%s'", path ? path : "data: URL",
                 qvl_status_name(status), status == QVL_OK ? "" : error.message, text);
    assert_null(video);
}

static void not_videos(void **state)
{
    static const char text[] = "once upon a time there was a video that was not one\n";
    (void)state;
    assert_refused(FOLDER "missing.mp4", NULL, 0, "no such file");
    assert_refused("tests/golden", NULL, 0, "tests/golden");
    assert_refused(NULL, text, 0, "empty");
    assert_refused(NULL, text, sizeof text - 1, "not a picture or video");
    assert_refused(FOLDER "png_rgb8.png", NULL, 0, "give it as an image");
    assert_refused(FOLDER "bad_audio_only.mp4", NULL, 0,
                   "no video in it: this mov,mp4,m4a,3gp,3g2,mj2 file holds "
                   "audio (aac)");
}

/* Sound before or after the cut does not matter: the containers say how long they are. */
static void truncated_videos(void **state)
{
    static const char *const files[] = {FOLDER "h264_bframes.mp4", FOLDER "h264_two_seconds.mkv",
                                        FOLDER "bad_middle.mp4", FOLDER "vp9_odd_width.webm",
                                        FOLDER "h264_sound.mp4"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *data;
        size_t size;
        struct qvl_error error;
        assert_int_equal(qvl_file_read(files[i], 1 << 20, &data, &size, &error), QVL_OK);
        for (size_t left = 64; left < size; left += size / 7) {
            char *copy = malloc(left); /* so that a read beyond the end is seen */
            assert_non_null(copy);
            memcpy(copy, data, left);
            assert_refused(files[i], copy, left, left > 1000 ? "truncated" : "");
            free(copy);
        }
        free(data);
    }
}

/* The index is whole but no packet can be decoded. */
static void no_frame_decodes(void **state)
{
    char *data;
    size_t size;
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_file_read(FOLDER "bad_middle.mp4", 1 << 20, &data, &size, &error), QVL_OK);
    for (size_t at = 0; at + 8 < size; at++)
        if (!memcmp(data + at, "mdat", 4)) {
            memset(data + at + 4, 0x5a, size - at - 4);
            break;
        }
    assert_refused("noise.mp4", data, size, "no frame of its h264 video can be decoded (20 packets)");
    free(data);
}

struct seen {
    int64_t count, stop_at;
    int64_t order[64];
    char hashes[64][QVL_SHA256_HEX_BYTES];
};

static enum qvl_status see(void *context, int64_t k, const struct qvl_picture *picture,
                           struct qvl_error *error)
{
    struct seen *seen = context;
    assert_true(seen->count < 64);
    if (seen->stop_at && seen->count == seen->stop_at)
        return qvl_fail(error, QVL_FAILED, "enough");
    seen->order[seen->count] = k;
    assert_int_equal(qvl_sha256_memory(picture->rgb, (size_t)(picture->height * picture->width * 3),
                                       seen->hashes[seen->count], error),
                     QVL_OK);
    seen->count++;
    return QVL_OK;
}

/* Damage in the middle: the pass goes on with what the decoder gives, and says so. */
static void damaged_middle(void **state)
{
    struct qvl_error error;
    struct seen first = {0}, second = {0};
    struct qvl_video *video = open_video(FOLDER "bad_middle.mp4");
    int64_t indices[20];
    (void)state;
    for (int64_t i = 0; i < 20; i++)
        indices[i] = i;
    assert_int_equal(video->frames, 20);
    assert_true(video->exact);
    assert_int_equal(video->read(video, indices, 20, see, &first, &error), QVL_OK);
    assert_int_equal(first.count, 20);
    assert_true(video->corrupt_frames > 0);
    assert_false(video->exact);
    assert_non_null(strstr(video->inexact_reason, "damaged"));
    const int64_t corrupt = video->corrupt_frames;
    assert_int_equal(video->read(video, indices, 20, see, &second, &error), QVL_OK);
    assert_int_equal(video->corrupt_frames, corrupt);
    for (int i = 0; i < 20; i++)
        assert_string_equal(first.hashes[i], second.hashes[i]);
    /* before the damage nothing is wrong */
    second.count = 0;
    assert_int_equal(video->read(video, indices, 2, see, &second, &error), QVL_OK);
    assert_int_equal(video->corrupt_frames, 0);
    video->close(video);
}

static void chosen_frames(void **state)
{
    struct qvl_error error;
    struct seen all = {0}, some = {0};
    struct qvl_video *video = open_video(FOLDER "h264_bframes.mp4");
    int64_t indices[25];
    (void)state;
    for (int64_t i = 0; i < 25; i++)
        indices[i] = i;
    assert_int_equal(video->read(video, indices, 25, see, &all, &error), QVL_OK);
    for (int i = 4; i < 25; i++)
        assert_string_not_equal(all.hashes[i], all.hashes[i - 4]);
    const int64_t wanted[] = {3, 3, 7, 11, 11, 11, 24};
    assert_int_equal(video->read(video, wanted, 7, see, &some, &error), QVL_OK);
    assert_int_equal(some.count, 7);
    for (int k = 0; k < 7; k++) {
        assert_int_equal(some.order[k], k);
        assert_string_equal(some.hashes[k], all.hashes[wanted[k]]);
    }
    assert_int_equal(video->read(video, wanted, 0, see, &some, &error), QVL_OK);
    assert_int_equal(some.count, 7);
    some = (struct seen){.stop_at = 2};
    assert_int_equal(video->read(video, wanted, 7, see, &some, &error), QVL_FAILED);
    assert_string_equal(error.message, "enough");
    const int64_t descending[] = {4, 3}, beyond[] = {25}, negative[] = {-1};
    assert_int_equal(video->read(video, descending, 2, see, &some, &error), QVL_USAGE);
    assert_int_equal(video->read(video, beyond, 1, see, &some, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "25"));
    assert_int_equal(video->read(video, negative, 1, see, &some, &error), QVL_USAGE);
    video->close(video);
}

/* The bytes of a data: URL may go away after the call. */
static void from_memory(void **state)
{
    char *data;
    size_t size;
    struct qvl_error error;
    struct qvl_video *video, *file = open_video(FOLDER "h264_one_frame.mp4");
    struct seen a = {0}, b = {0};
    const int64_t zero = 0;
    (void)state;
    assert_int_equal(qvl_file_read(FOLDER "h264_one_frame.mp4", 1 << 20, &data, &size, &error), QVL_OK);
    assert_int_equal(qvl_media_files.open_video(NULL, data, size, &video, &error), QVL_OK);
    memset(data, 0, size);
    free(data);
    assert_int_equal(video->frames, 1);
    assert_string_equal(video->codec, "h264");
    assert_true(video->fps_known);
    assert_int_equal(video->read(video, &zero, 1, see, &a, &error), QVL_OK);
    assert_int_equal(file->read(file, &zero, 1, see, &b, &error), QVL_OK);
    assert_string_equal(a.hashes[0], b.hashes[0]);
    video->close(video);
    file->close(file);
}

/* Any bytes at all: an answer of one kind or the other, without a crash or a leak. */
static void damaged_videos(void **state)
{
    const uint64_t seed = (uint64_t)time(NULL);
    glob_t files;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    assert_int_equal(glob(FOLDER "*.[mw][pke][4vb]*", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 22);
    for (size_t i = 0; i < files.gl_pathc; i++)
        for (uint64_t trial = 0; trial < 6; trial++) {
            char *data;
            size_t size;
            struct qvl_error error = {.status = QVL_OK};
            struct qvl_video *video;
            struct seen seen = {0};
            const uint64_t stream = i * 8 + trial;
            assert_int_equal(qvl_file_read(files.gl_pathv[i], 1 << 20, &data, &size, &error), QVL_OK);
            for (uint64_t k = 0; k < 1 + trial * 4; k++)
                data[qvl_random_below(seed, stream, 2 * k, size)] =
                    (char)qvl_random_bits(seed, stream, 2 * k + 1);
            enum qvl_status status = qvl_video_open(NULL, data, size, &video, &error);
            if (status == QVL_OK) {
                const int64_t indices[2] = {video->frames / 2, video->frames - 1};
                status = video->read(video, indices, 2, see, &seen, &error);
                video->close(video);
            }
            if (status != QVL_OK)
                assert_true(error.status == status && error.message[0]);
            free(data);
        }
    globfree(&files);
}

static void scene_frames(void **state)
{
    enum { WIDTH = 72, HEIGHT = 50, BYTES = WIDTH * HEIGHT * 3 };
    struct qvl_error error;
    struct qvl_scene *scene, *other;
    char hex[QVL_SHA256_HEX_BYTES], again[QVL_SHA256_HEX_BYTES];
    uint8_t *a = malloc(BYTES), *b = malloc(BYTES);
    (void)state;
    assert_true(a && b);
    assert_int_equal(qvl_scene_create(5, WIDTH, HEIGHT, 30000, 1001, &scene, &error), QVL_OK);
    assert_int_equal(qvl_scene_create(6, WIDTH, HEIGHT, 30000, 1001, &other, &error), QVL_OK);
    qvl_scene_frame(scene, 12345, a);
    assert_int_equal(qvl_sha256_memory(a, BYTES, hex, &error), QVL_OK);
    qvl_scene_frame(scene, 12346, b);
    assert_memory_not_equal(a, b, BYTES);
    qvl_scene_frame(other, 12345, b);
    assert_memory_not_equal(a, b, BYTES);
    qvl_scene_frame(scene, 12345, b);
    assert_int_equal(qvl_sha256_memory(b, BYTES, again, &error), QVL_OK);
    assert_string_equal(hex, again);
    /* the same everywhere */
    assert_string_equal(hex, "1d26132ec1169e27236bd9f98094c23e388fc7cc226a7abbb3e68109b70ba2d2");
    qvl_scene_destroy(scene);
    qvl_scene_destroy(other);
    qvl_scene_destroy(NULL);
    free(a);
    free(b);
    assert_int_equal(qvl_scene_create(5, 15, 50, 24, 1, &scene, &error), QVL_USAGE);
    assert_int_equal(qvl_scene_create(5, 16, 50, 0, 1, &scene, &error), QVL_USAGE);
}

struct likeness {
    const struct qvl_scene *scene;
    uint8_t *frame;
    double squares;
    int64_t samples;
};

static enum qvl_status compare_with_scene(void *context, int64_t k, const struct qvl_picture *picture,
                                          struct qvl_error *error)
{
    struct likeness *likeness = context;
    const int64_t bytes = picture->height * picture->width * 3;
    (void)error;
    qvl_scene_frame(likeness->scene, k, likeness->frame);
    for (int64_t i = 0; i < bytes; i++) {
        double difference = (double)picture->rgb[i] - likeness->frame[i];
        likeness->squares += difference * difference;
    }
    likeness->samples += bytes;
    return QVL_OK;
}

/* What is written is read back: the frames in order, the rate, and the colours to within lossy coding. */
static void written_video(void **state)
{
    static const char path[] = "build/media_video_test.mp4";
    enum { WIDTH = 96, HEIGHT = 64, FRAMES = 37 };
    struct qvl_error error;
    struct qvl_scene *scene;
    struct qvl_video_writer *writer;
    int64_t indices[FRAMES];
    struct likeness likeness = {.frame = malloc(WIDTH * HEIGHT * 3)};
    (void)state;
    assert_non_null(likeness.frame);
    assert_int_equal(qvl_scene_create(11, WIDTH, HEIGHT, 30000, 1001, &scene, &error), QVL_OK);
    likeness.scene = scene;
    assert_int_equal(qvl_video_writer_create(path, WIDTH, HEIGHT, 30000, 1001, &writer, &error), QVL_OK);
    for (int64_t i = 0; i < FRAMES; i++) {
        indices[i] = i;
        qvl_scene_frame(scene, i, likeness.frame);
        assert_int_equal(qvl_video_writer_add(writer, likeness.frame, &error), QVL_OK);
    }
    assert_false(qvl_file_exists(path));
    const bool is_h264 = qvl_video_writer_is_h264(writer);
    if (qvl_video_writer_finish(writer, &error) != QVL_OK)
        fail_msg("%s", error.message);
    struct qvl_video *video = open_video(path);
    assert_int_equal(video->frames, FRAMES);
    assert_int_equal(video->width, WIDTH);
    assert_int_equal(video->height, HEIGHT);
    assert_true(video->fps == 30000.0 / 1001.0);
    assert_true(video->fps_scanned == 29.97003);
    assert_true(video->exact);
    assert_string_equal(video->codec, is_h264 ? "h264" : "mpeg4");
    assert_int_equal(video->read(video, indices, FRAMES, compare_with_scene, &likeness, &error), QVL_OK);
    const double mean_square = likeness.squares / (double)likeness.samples;
    print_message("mean square error %.1f\n", mean_square);
    assert_true(mean_square > 0.1 && mean_square < 300);
    video->close(video);
    qvl_scene_destroy(scene);
    free(likeness.frame);
    assert_int_equal(remove(path), 0);
}

static void refused_writing(void **state)
{
    static const char path[] = "build/media_video_never.mp4";
    uint8_t frame[16 * 16 * 3] = {0};
    struct qvl_error error;
    struct qvl_video_writer *writer;
    (void)state;
    assert_int_equal(qvl_video_writer_create(path, 97, 64, 24, 1, &writer, &error), QVL_USAGE);
    assert_null(writer);
    assert_int_equal(qvl_video_writer_create(path, 96, 64, 24, 0, &writer, &error), QVL_USAGE);
    assert_int_equal(qvl_video_writer_create(path, 16, 16, 24, 1, &writer, &error), QVL_OK);
    assert_int_equal(qvl_video_writer_finish(writer, &error), QVL_USAGE); /* no frame */
    assert_false(qvl_file_exists(path));
    assert_int_equal(qvl_video_writer_create(path, 16, 16, 24, 1, &writer, &error), QVL_OK);
    assert_int_equal(qvl_video_writer_add(writer, frame, &error), QVL_OK);
    qvl_video_writer_abort(writer);
    qvl_video_writer_abort(NULL);
    assert_false(qvl_file_exists(path));
    assert_int_equal(qvl_video_writer_create("build/no/such/folder.mp4", 16, 16, 24, 1, &writer, &error),
                     QVL_OK);
    assert_int_equal(qvl_video_writer_add(writer, frame, &error), QVL_OK);
    assert_int_equal(qvl_video_writer_finish(writer, &error), QVL_IO);
    assert_non_null(strstr(error.message, "build/no/such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_videos),       cmocka_unit_test(truncated_videos),
        cmocka_unit_test(no_frame_decodes), cmocka_unit_test(damaged_middle),
        cmocka_unit_test(chosen_frames),    cmocka_unit_test(from_memory),
        cmocka_unit_test(damaged_videos),   cmocka_unit_test(scene_frames),
        cmocka_unit_test(written_video),    cmocka_unit_test(refused_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
