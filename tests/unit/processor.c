/* The processor over generated media: configs, selection, stamps, sizes, expansion, refusals. */
#include "model/processor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/frame_sampling.h"
#include "model/timestamps.h"
#include "ref/pixels.h"
#include "tests/support/noise_media.h"

static struct qvl_error error;

static struct qvl_processor *load(const char *folder, struct qvl_processor_options options)
{
    struct qvl_processor *processor = NULL;
    enum qvl_status status = qvl_processor_load(folder, &qvl_ref_pixel_ops, &options, &processor, &error);
    if (status != QVL_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, QVL_OK);
    return processor;
}

static struct qvl_media_item make_item(bool video, const char *path)
{
    return (struct qvl_media_item){.is_video = video,
                                   .path = (char *)path,
                                   .min_pixels = -1,
                                   .max_pixels = -1,
                                   .total_pixels = -1,
                                   .num_frames = -1,
                                   .fps = -1.0};
}

static void expect_indices(int64_t *indices, int64_t count, const int64_t *expected, int64_t expected_count)
{
    assert_int_equal(count, expected_count);
    for (int64_t i = 0; i < expected_count; i++)
        assert_int_equal(indices[i], expected[i]);
    free(indices);
}

/* 250 frames at 25 fps and 2 fps: n = 20, step 249/19 = 13.105..; the facts' stamps are 0.3 1.3 2.4 3.4 4.5.
 */
static void selection_hf(void **state)
{
    (void)state;
    struct qvl_sampling sampling = {.fps = 2.0, .min_frames = 4, .max_frames = 768};
    int64_t *indices = NULL;
    int64_t count = 0;
    double *stamps = NULL;
    int64_t stamp_count = 0;
    char text[QVL_TIMESTAMP_BYTES];
    static const char *const expected[5] = {"<0.3 seconds>", "<1.3 seconds>", "<2.4 seconds>",
                                            "<3.4 seconds>", "<4.5 seconds>"};

    assert_int_equal(qvl_sample_frames_hf(&sampling, 250, 25.0, &indices, &count, &error), QVL_OK);
    assert_int_equal(count, 20);
    assert_int_equal(indices[1], 13);
    assert_int_equal(indices[2], 26);
    assert_int_equal(indices[19], 249);
    assert_int_equal(qvl_timestamps(indices, count, 2, 25.0, &stamps, &stamp_count, &error), QVL_OK);
    assert_int_equal(stamp_count, 10);
    for (int j = 0; j < 5; j++) {
        qvl_timestamp_text(stamps[j], text);
        assert_string_equal(text, expected[j]);
    }
    free(stamps);
    free(indices);
    /* min_frames lifts to 4, the total caps it; num_frames may exceed the total and then repeats */
    assert_int_equal(qvl_sample_frames_hf(&sampling, 10, 25.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 3, 6, 9}, 4);
    assert_int_equal(qvl_sample_frames_hf(&sampling, 3, 25.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 1, 2}, 3);
    sampling.num_frames = 7;
    assert_int_equal(qvl_sample_frames_hf(&sampling, 3, 25.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 0, 1, 1, 1, 2, 2}, 7);
    sampling.num_frames = 13;
    assert_int_equal(qvl_sample_frames_hf(&sampling, 15, 25.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14}, 13);
    sampling.num_frames = 1;
    assert_int_equal(qvl_sample_frames_hf(&sampling, 15, 25.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0}, 1);
}

static void selection_qvu(void **state)
{
    (void)state;
    struct qvl_sampling sampling = {.fps = 2.0};
    int64_t *indices = NULL;
    int64_t count = 0;

    /* 11/4*2 = 5.5 -> 4 frames; linspace 0, 3.33, 6.67, 10 */
    assert_int_equal(qvl_sample_frames_qvu(&sampling, 11, 4.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 3, 7, 10}, 4);
    /* max_frames = floor2(min(768, 3)) = 2 wins over min_frames 4 */
    assert_int_equal(qvl_sample_frames_qvu(&sampling, 3, 4.0, &indices, &count, &error), QVL_OK);
    expect_indices(indices, count, (const int64_t[]){0, 2}, 2);
    /* 5/2 = 2.5 is a tie: to even -> 4 */
    sampling.num_frames = 5;
    assert_int_equal(qvl_sample_frames_qvu(&sampling, 9, 4.0, &indices, &count, &error), QVL_OK);
    assert_int_equal(count, 4);
    free(indices);
    sampling.num_frames = 12;
    assert_int_equal(qvl_sample_frames_qvu(&sampling, 9, 4.0, &indices, &count, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "12 frames selected of 9"));
    sampling.num_frames = 0;
    assert_int_equal(qvl_sample_frames_qvu(&sampling, 1, 4.0, &indices, &count, &error), QVL_BAD_INPUT);
}

/* Exact ties go to even (0.25 -> 0.2, 0.75 -> 0.8), an odd list repeats its last frame, and the rate is that
 * of the source: frame 300 of 30 fps is at 10 seconds. */
static void stamps(void **state)
{
    (void)state;
    static const int64_t indices[] = {0, 12, 12, 24, 300};
    double *seconds = NULL;
    int64_t count = 0;
    char text[QVL_TIMESTAMP_BYTES];

    assert_int_equal(qvl_timestamps(indices, 5, 2, 24.0, &seconds, &count, &error), QVL_OK);
    assert_int_equal(count, 3);
    qvl_timestamp_text(seconds[0], text);
    assert_string_equal(text, "<0.2 seconds>");
    qvl_timestamp_text(seconds[1], text);
    assert_string_equal(text, "<0.8 seconds>");
    assert_float_equal(seconds[2], 12.5, 0.0);
    free(seconds);
    assert_int_equal(qvl_timestamps(indices, 5, 3, 30.0, &seconds, &count, &error), QVL_OK);
    assert_int_equal(count, 2);
    assert_float_equal(seconds[0], (0.0 / 30 + 12.0 / 30) / 2, 0.0);
    qvl_timestamp_text(seconds[1], text); /* (24/30 + 300/30) / 2 = 5.4 */
    assert_string_equal(text, "<5.4 seconds>");
    free(seconds);
}

static void plan_image(void **state)
{
    (void)state;
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){0});
    struct qvl_media_item item = make_item(false, NULL);
    struct qvl_visual visual;

    assert_int_equal(qvl_processor_plan(processor, NULL, 0, 720, 1280, 0, &visual, &error), QVL_OK);
    assert_int_equal(visual.resized_height, 704);
    assert_int_equal(visual.grid.t, 1);
    assert_int_equal(visual.grid.h, 44);
    assert_int_equal(visual.grid.w, 80);
    assert_int_equal(qvl_processor_visual_tokens(processor, &visual), 22 * 40);
    item.max_pixels = 300 * 300;
    assert_int_equal(qvl_processor_plan(processor, &item, 0, 720, 1280, 0, &visual, &error), QVL_OK);
    assert_true(visual.resized_height * visual.resized_width <= 300 * 300);
    assert_int_equal(visual.resized_height, 224);
    assert_int_equal(visual.resized_width, 384);
    assert_int_equal(qvl_processor_plan(processor, NULL, 0, 10, 2001, 0, &visual, &error), QVL_BAD_INPUT);
    assert_null(visual.rows);
    qvl_processor_destroy(processor);
}

/* 64 frames of 720x1280 as in the facts; 128 frames at 4 fps are 64 at 2. */
static void plan_video(void **state)
{
    (void)state;
    struct qvl_visual visual;
    struct qvl_media_item item = make_item(true, NULL);
    for (int profile = 0; profile < 2; profile++) {
        struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){.profile = profile});
        assert_int_equal(qvl_processor_plan(processor, NULL, 128, 720, 1280, 4.0, &visual, &error), QVL_OK);
        assert_int_equal(visual.frames, 64);
        assert_int_equal(visual.total_frames, 128);
        assert_int_equal(visual.resized_height, 448);
        assert_int_equal(visual.resized_width, 832);
        assert_int_equal(visual.grid.t, 32);
        assert_int_equal(qvl_processor_patch_tokens(processor, &visual), 14 * 26);
        assert_int_equal(visual.frame_indices[63], 127);
        qvl_visual_free(&visual);
        item.num_frames = 5;
        item.fps = -1.0;
        assert_int_equal(qvl_processor_plan(processor, &item, 128, 64, 96, 4.0, &visual, &error), QVL_OK);
        assert_int_equal(visual.grid.t, 3);
        assert_int_equal(visual.frame_indices[1], 32); /* 31.75 */
        qvl_visual_free(&visual);
        item.fps = 1.0;
        assert_int_equal(qvl_processor_plan(processor, &item, 128, 64, 96, 4.0, &visual, &error),
                         QVL_BAD_INPUT);
        assert_non_null(strstr(error.message, "use one"));
        assert_int_equal(qvl_processor_plan(processor, NULL, 1, 64, 96, 4.0, &visual, &error), QVL_BAD_INPUT);
        assert_non_null(strstr(error.message, "1 frame"));
        assert_null(visual.frame_indices);
        qvl_processor_destroy(processor);
    }
}

/* The smaller of the two upper limits bounds frames*h*w under hf4; under qvu max_pixels bounds a frame:
 * 4 frames of 320x320. */
static void video_limits(void **state)
{
    (void)state;
    struct qvl_visual visual;
    struct qvl_media_item item = make_item(true, NULL);
    struct qvl_processor *hf = load(NULL, (struct qvl_processor_options){0});
    struct qvl_processor *qvu = load(NULL, (struct qvl_processor_options){.profile = QVL_PROFILE_QVU});

    item.num_frames = 4;
    item.max_pixels = 4 * 160 * 160;
    item.total_pixels = 4 * 320 * 320;
    assert_int_equal(qvl_processor_plan(hf, &item, 40, 320, 320, 10.0, &visual, &error), QVL_OK);
    assert_int_equal(visual.resized_height, 160);
    qvl_visual_free(&visual);
    item.max_pixels = -1;
    assert_int_equal(qvl_processor_plan(hf, &item, 40, 320, 320, 10.0, &visual, &error), QVL_OK);
    assert_int_equal(visual.resized_height, 320);
    qvl_visual_free(&visual);
    /* qvu: min 128*1024 = 131072 pixels of a frame enlarges 320x320; a lower minimum leaves it */
    assert_int_equal(qvl_processor_plan(qvu, &item, 40, 320, 320, 10.0, &visual, &error), QVL_OK);
    assert_int_equal(visual.resized_height, 384);
    qvl_visual_free(&visual);
    item.min_pixels = 1024;
    item.max_pixels = 160 * 160;
    assert_int_equal(qvl_processor_plan(qvu, &item, 40, 320, 320, 10.0, &visual, &error), QVL_OK);
    assert_int_equal(visual.resized_height, 160);
    qvl_visual_free(&visual);
    qvl_processor_destroy(hf);
    qvl_processor_destroy(qvu);
}

/* Rows of a video equal the rows of the reference kernels called frame by frame; 5 frames leave the last
 * temporal patch with a repeat. */
static void video_rows(void **state)
{
    (void)state;
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){.keep_resized = true});
    struct qvl_processor *plain = load(NULL, (struct qvl_processor_options){0});
    struct qvl_media_item item = make_item(true, "noise/5x40x70/1.5/9");
    struct qvl_visual visual;
    struct qvl_visual again;
    const uint8_t *frames[5];
    size_t row_bytes;
    float *rows;

    noise_log = (struct noise_log){.odd_frame = -1};
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_int_equal(visual.frames, 5);
    assert_int_equal(visual.resized_height, 32); /* 40/32 = 1.25 */
    assert_int_equal(visual.resized_width, 64);
    assert_int_equal(visual.grid.t, 3);
    assert_true(visual.exact);
    assert_int_equal(noise_log.frames, 5);
    assert_int_equal(noise_log.closed, 1);
    row_bytes = (size_t)(3 * 2 * 4) * 1536 * sizeof(float);
    rows = malloc(row_bytes);
    for (int f = 0; f < 5; f++)
        frames[f] = visual.resized_rgb + f * 32 * 64 * 3;
    struct qvl_patch_rows_args args = {
        frames, 5, 32, 64, 16, 2, 2, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, 1.0 / 255, QVL_NORMALISE_FAST, rows};
    assert_int_equal(qvl_ref_patch_rows(&args, &error), QVL_OK);
    assert_memory_equal(rows, visual.rows, row_bytes);
    assert_int_equal(qvl_processor_visual(plain, &noise_reader, &item, &again, &error), QVL_OK);
    assert_null(again.resized_rgb);
    assert_memory_equal(rows, again.rows, row_bytes);
    free(rows);
    qvl_visual_free(&visual);
    qvl_visual_free(&again);
    qvl_processor_destroy(processor);
    qvl_processor_destroy(plain);
}

static void image_rows(void **state)
{
    (void)state;
    struct qvl_processor *processor =
        load(NULL, (struct qvl_processor_options){.profile = QVL_PROFILE_QVU, .keep_resized = true});
    struct qvl_media_item item = make_item(false, "noise/1x1/3");
    struct qvl_visual visual;

    /* qvu: 4 tokens at least, so one pixel becomes 64x64; both temporal slices are the same frame */
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_int_equal(noise_log.alpha, QVL_ALPHA_WHITE_RGBA);
    assert_int_equal(visual.resized_height, 64);
    assert_int_equal(visual.grid.h, 4);
    assert_memory_equal(visual.rows, visual.rows + 256, 256 * sizeof(float));
    assert_memory_equal(visual.resized_rgb, visual.resized_rgb + 3 * 100, 3);
    qvl_visual_free(&visual);
    qvl_processor_destroy(processor);
}

static void frame_lists(void **state)
{
    (void)state;
    static char *paths[3] = {"noise/100x70/1", "noise/100x70/2", "noise/100x70/3"};
    struct qvl_media_item item = make_item(true, NULL);
    struct qvl_visual visual;
    struct qvl_processor *hf = load(NULL, (struct qvl_processor_options){0});
    struct qvl_processor *qvu = load(NULL, (struct qvl_processor_options){.profile = QVL_PROFILE_QVU});

    item.frame_paths = paths;
    item.frame_count = 3;
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_int_equal(visual.frames, 3);
    assert_float_equal(visual.fps, 24.0, 0.0);
    assert_int_equal(visual.grid.t, 2);
    assert_int_equal(visual.resized_height, 96);
    qvl_visual_free(&visual);
    /* qvu: 100x70 in multiples of 64 is 128x64, below 16384 pixels: beta = sqrt(16384/7000) = 1.53 gives
     * ceil(2.39) and ceil(1.67) times 64; the odd count is made even */
    assert_int_equal(qvl_processor_visual(qvu, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_int_equal(visual.frames, 4);
    assert_int_equal(visual.frame_indices[3], 3);
    assert_float_equal(visual.fps, 2.0, 0.0);
    assert_int_equal(visual.source_height, 192);
    assert_int_equal(visual.source_width, 128);
    assert_float_equal(visual.timestamps[1], 1.25, 0.0);
    qvl_visual_free(&visual);
    paths[2] = "noise/101x70/3";
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "noise/101x70/3"));
    assert_null(visual.rows);
    paths[2] = "noise/100x70/3";
    item.num_frames = 2;
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    item.num_frames = -1;
    item.frame_count = 0;
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    qvl_processor_destroy(hf);
    qvl_processor_destroy(qvu);
}

/* Every refusal names the medium, closes the video and leaves nothing behind. */
static void refused_media(void **state)
{
    (void)state;
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){0});
    struct qvl_processor *lenient = load(NULL, (struct qvl_processor_options){.accept_damaged = true});
    struct qvl_media_item item = make_item(true, "noise/1x64x64/25/1");
    struct qvl_visual visual;

    noise_log = (struct noise_log){.odd_frame = -1};
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "noise/1x64x64/25/1: 1 frame"));
    assert_int_equal(noise_log.closed, 1);
    item.path = "noise/20x64x64/5/1";
    noise_log.odd_frame = 4;
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "frame 4 is 64 x 65"));
    assert_null(visual.rows);
    noise_log.odd_frame = -1;
    noise_log.corrupt = 2;
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "2 of the 8 selected frames are damaged"));
    assert_int_equal(qvl_processor_visual(lenient, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_false(visual.exact);
    assert_string_equal(visual.inexact_reason, "damaged frames");
    qvl_visual_free(&visual);
    noise_log.corrupt = 0;
    noise_log.inexact = true;
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_false(visual.exact);
    assert_string_equal(visual.inexact_reason, "test");
    qvl_visual_free(&visual);
    noise_log.inexact = false;
    item = make_item(false, "noise/10x2001/1");
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "noise/10x2001/1: aspect ratio"));
    item = make_item(false, "missing.png");
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    qvl_processor_destroy(processor);
    qvl_processor_destroy(lenient);
}

/* Limits that ask for more memory than there is: a message, no crash, also where bytes exceed 2^63. */
static void too_large(void **state)
{
    (void)state;
    struct qvl_processor *hf = load(NULL, (struct qvl_processor_options){0});
    struct qvl_processor *qvu = load(NULL, (struct qvl_processor_options){.profile = QVL_PROFILE_QVU});
    struct qvl_media_item item = make_item(false, "noise/64x64/1");
    struct qvl_visual visual;
    item.min_pixels = (int64_t)1 << 40;
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_NO_MEMORY);
    assert_non_null(strstr(error.message, "patch rows need 26388279066624 bytes"));
    assert_null(visual.rows);
    item = make_item(true, "noise/1048576x64x64/1/1");
    item.num_frames = 1 << 20;
    item.min_pixels = (int64_t)1 << 46;
    assert_int_equal(qvl_processor_visual(qvu, &noise_reader, &item, &visual, &error), QVL_NO_MEMORY);
    assert_null(visual.frame_indices);
    item.num_frames = (1 << 20) + 2;
    assert_int_equal(qvl_processor_visual(hf, &noise_reader, &item, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "at most 1048576"));
    qvl_processor_destroy(hf);
    qvl_processor_destroy(qvu);
}

static void sizes_only(void **state)
{
    (void)state;
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){.sizes_only = true});
    struct qvl_media_item item = make_item(true, "noise/20x64x64/5/1");
    struct qvl_visual visual;
    noise_log = (struct noise_log){.odd_frame = -1};
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_int_equal(noise_log.frames, 0);
    assert_null(visual.rows);
    assert_int_equal(visual.grid.t, 4);
    qvl_visual_free(&visual);
    item = make_item(false, "noise/64x64/1");
    assert_int_equal(qvl_processor_visual(processor, &noise_reader, &item, &visual, &error), QVL_OK);
    assert_null(visual.rows);
    assert_int_equal(visual.grid.h, 16);
    qvl_processor_destroy(processor);
}

static void expect_expansion(enum qvl_profile profile, const char *text, const struct qvl_visual *visuals,
                             int64_t count, const char *expected)
{
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){.profile = profile});
    char *expanded = NULL;
    size_t size = 0;
    assert_int_equal(
        qvl_processor_expand(processor, text, strlen(text), visuals, count, &expanded, &size, &error),
        QVL_OK);
    assert_string_equal(expanded, expected);
    assert_int_equal(size, strlen(expected));
    free(expanded);
    qvl_processor_destroy(processor);
}

#define S "<|vision_start|>"
#define E "<|vision_end|>"
#define I "<|image_pad|>"
#define V "<|video_pad|>"

/* One video of 2 temporal patches with 1x2 tokens each, then an image of 1x3 tokens, then a second video. */
static void expansion(void **state)
{
    (void)state;
    double first[2] = {0.25, 1.25};
    double second[1] = {0.75};
    const struct qvl_visual visuals[3] = {{.is_video = true, .grid = {2, 2, 4}, .timestamps = first},
                                          {.is_video = false, .grid = {1, 2, 6}},
                                          {.is_video = true, .grid = {1, 2, 2}, .timestamps = second}};
    const char *text = "a" S V E "b" S I E S V E "c";
    const char *replaced =
        "a<0.2 seconds>" S V V E "<1.2 seconds>" S V V E "b" S I I I E "<0.8 seconds>" S V E "c";
    expect_expansion(QVL_PROFILE_HF4, text, visuals, 3, replaced);
    expect_expansion(QVL_PROFILE_QVU, text, visuals, 3, replaced);
    expect_expansion(QVL_PROFILE_HF5, text, visuals, 3,
                     "a" S "<0.2 seconds>" S V V E "<1.2 seconds>" S V V E E "b" S I I I E S
                     "<0.8 seconds>" S V E E "c");
    /* a bare token in front: the original fills the triples first */
    expect_expansion(QVL_PROFILE_HF4, "x" V "y" S V E S I E, visuals, 3,
                     "x<0.8 seconds>" S V E "y<0.2 seconds>" S V V E "<1.2 seconds>" S V V E S I I I E);
    expect_expansion(QVL_PROFILE_HF4, "<|vision <" S, NULL, 0, "<|vision <" S);
    expect_expansion(QVL_PROFILE_HF4, "", NULL, 0, "");
}

static void expansion_mismatch(void **state)
{
    (void)state;
    struct qvl_processor *processor = load(NULL, (struct qvl_processor_options){0});
    const struct qvl_visual image = {.is_video = false, .grid = {1, 2, 2}};
    char *expanded = NULL;
    size_t size;
    const char *text = S I E "and " I;
    assert_int_equal(qvl_processor_expand(processor, text, strlen(text), &image, 1, &expanded, &size, &error),
                     QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "2 <|image_pad|> placeholders for 1 images"));
    text = S V E S I E;
    assert_int_equal(qvl_processor_expand(processor, text, strlen(text), &image, 1, &expanded, &size, &error),
                     QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "1 <|video_pad|> placeholders for 0 videos"));
    assert_null(expanded);
    qvl_processor_destroy(processor);
}

static char folder[] = "/tmp/qvl-processor-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static void write_file(const char *name, const char *text)
{
    char *path = NULL;
    assert_int_equal(qvl_path_join(folder, name, &path, &error), QVL_OK);
    if (text)
        assert_int_equal(qvl_file_write(path, text, strlen(text), &error), QVL_OK);
    else
        unlink(path);
    free(path);
}

static int remove_folder(void **state)
{
    (void)state;
    write_file("preprocessor_config.json", NULL);
    write_file("video_preprocessor_config.json", NULL);
    write_file("processor_config.json", NULL);
    return rmdir(folder);
}

/* Absent keys have the class's value, absent files the released ones; the video reader of the original falls
 * back to the image file. */
static void config_sources(void **state)
{
    (void)state;
    const struct qvl_processor_settings *settings;
    struct qvl_processor *processor = load(folder, (struct qvl_processor_options){0});
    settings = qvl_processor_settings(processor);
    assert_string_equal(settings->image.source, "");
    assert_int_equal(settings->image.min_pixels, 65536);
    assert_int_equal(settings->video.max_pixels, 25165824);
    qvl_processor_destroy(processor);

    write_file("preprocessor_config.json", "{\"min_pixels\": 3136, \"max_pixels\": 12845056, \"fps\": 3}");
    processor = load(folder, (struct qvl_processor_options){0});
    settings = qvl_processor_settings(processor);
    assert_string_equal(settings->image.source, "preprocessor_config.json");
    assert_int_equal(settings->image.patch, 14);
    assert_int_equal(settings->image.max_pixels, 12845056);
    assert_float_equal(settings->image.mean[1], 0.4578275, 0.0);
    assert_string_equal(settings->video.source, "preprocessor_config.json");
    assert_int_equal(settings->video.patch, 16);
    assert_int_equal(settings->video.min_pixels, 131072);
    assert_float_equal(settings->video.fps, 3.0, 0.0);
    qvl_processor_destroy(processor);

    write_file(
        "video_preprocessor_config.json",
        "{\"size\": {\"shortest_edge\": 4096, \"longest_edge\": 8192}, \"fps\": null, \"num_frames\": 6,"
        " \"temporal_patch_size\": 4}");
    write_file("processor_config.json",
               "{\"video_processor\": {\"patch_size\": 8, \"cap_pixels_per_frame\": true},"
               " \"image_processor\": {\"patch_size\": 12}}");
    processor = load(folder, (struct qvl_processor_options){0});
    settings = qvl_processor_settings(processor);
    assert_string_equal(settings->video.source, "video_preprocessor_config.json");
    assert_int_equal(settings->video.max_pixels, 8192);
    assert_int_equal(settings->video.num_frames, 6);
    assert_int_equal(settings->video.temporal_patch, 4);
    assert_int_equal(settings->image.temporal_patch, 2);
    qvl_processor_destroy(processor);
    processor = load(folder, (struct qvl_processor_options){.profile = QVL_PROFILE_HF5});
    settings = qvl_processor_settings(processor);
    assert_string_equal(settings->video.source, "processor_config.json");
    assert_int_equal(settings->video.patch, 8);
    assert_true(settings->video.cap_pixels_per_frame);
    assert_int_equal(settings->image.patch, 12);
    qvl_processor_destroy(processor);
}

/* Patches that 5.23.0 reports with cap_pixels_per_frame on. */
static void capped_pixels(void **state)
{
    (void)state;
    static const int64_t cases[][4] = {
        {4, 1080, 1920, 5760}, {20, 720, 1280, 28800}, {64, 1080, 1920, 46592}, {7, 500, 900, 7168}};
    struct qvl_media_item item = make_item(true, NULL);
    struct qvl_processor *processor;
    struct qvl_visual visual;
    write_file("processor_config.json", "{\"video_processor\": {\"cap_pixels_per_frame\": true,"
                                        " \"size\": {\"shortest_edge\": 4096, \"longest_edge\": 25165824}}}");
    processor = load(folder, (struct qvl_processor_options){.profile = QVL_PROFILE_HF5});
    for (int i = 0; i < 4; i++) {
        item.num_frames = cases[i][0];
        assert_int_equal(
            qvl_processor_plan(processor, &item, 900, cases[i][1], cases[i][2], 30.0, &visual, &error),
            QVL_OK);
        assert_int_equal(visual.grid.t * visual.grid.h * visual.grid.w, cases[i][3]);
        qvl_visual_free(&visual);
    }
    qvl_processor_destroy(processor);
}

static void bad_configs(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[1]", "expected an object"},
        {"{\"size\": {\"shortest_edge\": 4}}", "size"},
        {"{\"patch_size\": \"16\"}", "patch_size"},
        {"{\"patch_size\": 0}", "patch_size"},
        {"{\"merge_size\": 65}", "merge_size"},
        {"{\"image_mean\": [0.5, 0.5]}", "image_mean"},
        {"{\"image_std\": [0.5, 0, 0.5]}", "image_std"},
        {"{\"rescale_factor\": 0}", "rescale_factor"},
        {"{\"do_resize\": false}", "do_resize"},
        {"{\"resample\": 2}", "resample"},
        {"{\"num_frames\": 4}", "num_frames"},
        {"{\"fps\": -1}", "fps"},
        {"{\"size\": 3}", "size"},
        {"{", "video_preprocessor_config.json"},
    };
    struct qvl_processor *processor = NULL;
    struct qvl_processor_options options = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("video_preprocessor_config.json", cases[i][0]);
        assert_int_equal(qvl_processor_load(folder, &qvl_ref_pixel_ops, &options, &processor, &error),
                         QVL_BAD_INPUT);
        assert_non_null(strstr(error.message, "video_preprocessor_config.json"));
        assert_non_null(strstr(error.message, cases[i][1]));
    }
    assert_null(processor);
}

static void other_family(void **state)
{
    (void)state;
    struct qvl_visual visual;
    struct qvl_processor *processor;
    write_file("video_preprocessor_config.json", "{\"video_processor_type\": \"Qwen2VLVideoProcessor\"}");
    processor = load(folder, (struct qvl_processor_options){0});
    assert_int_equal(qvl_processor_plan(processor, NULL, 10, 64, 64, 5.0, &visual, &error), QVL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "Qwen3VLVideoProcessor"));
    assert_int_equal(qvl_processor_plan(processor, NULL, 0, 64, 64, 0, &visual, &error), QVL_OK);
    qvl_processor_destroy(processor);
}

/* temporal_patch 4 and merge 2: hf4 groups stamps by merge and takes the first ones, hf5 by temporal_patch.
 */
static void stamp_groups(void **state)
{
    (void)state;
    struct qvl_visual visual;
    struct qvl_processor *processor;
    write_file("processor_config.json", NULL);
    write_file("video_preprocessor_config.json", "{\"temporal_patch_size\": 4}");
    processor = load(folder, (struct qvl_processor_options){.profile = QVL_PROFILE_HF5});
    assert_int_equal(qvl_processor_plan(processor, NULL, 8, 64, 64, 2.0, &visual, &error), QVL_OK);
    assert_int_equal(visual.grid.t, 2);
    assert_float_equal(visual.timestamps[1], 2.75, 0.0); /* frames 4..7 at 2 fps */
    qvl_visual_free(&visual);
    qvl_processor_destroy(processor);
    processor = load(folder, (struct qvl_processor_options){0});
    assert_int_equal(qvl_processor_plan(processor, NULL, 8, 64, 64, 2.0, &visual, &error), QVL_OK);
    assert_float_equal(visual.timestamps[1], 1.25, 0.0); /* frames 2..3 */
    qvl_visual_free(&visual);
    qvl_processor_destroy(processor);
    write_file("video_preprocessor_config.json", "{\"temporal_patch_size\": 2, \"merge_size\": 4}");
    processor = load(folder, (struct qvl_processor_options){0});
    assert_int_equal(qvl_processor_plan(processor, NULL, 8, 64, 64, 2.0, &visual, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "2 timestamps for 4 temporal patches"));
    qvl_processor_destroy(processor);
}

static void profile_names(void **state)
{
    (void)state;
    enum qvl_profile profile = QVL_PROFILE_HF4;
    assert_true(qvl_profile_parse("qvu", &profile));
    assert_int_equal(profile, QVL_PROFILE_QVU);
    assert_false(qvl_profile_parse("hf6", &profile));
    assert_string_equal(qvl_profile_name(QVL_PROFILE_HF5), "hf5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_hf),
        cmocka_unit_test(selection_qvu),
        cmocka_unit_test(stamps),
        cmocka_unit_test(plan_image),
        cmocka_unit_test(plan_video),
        cmocka_unit_test(video_limits),
        cmocka_unit_test(video_rows),
        cmocka_unit_test(image_rows),
        cmocka_unit_test(frame_lists),
        cmocka_unit_test(refused_media),
        cmocka_unit_test(sizes_only),
        cmocka_unit_test(expansion),
        cmocka_unit_test(expansion_mismatch),
        cmocka_unit_test(config_sources),
        cmocka_unit_test(capped_pixels),
        cmocka_unit_test(too_large),
        cmocka_unit_test(bad_configs),
        cmocka_unit_test(other_family),
        cmocka_unit_test(stamp_groups),
        cmocka_unit_test(profile_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
