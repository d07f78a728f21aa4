/* Position ids against the worked example and the rules they come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/positions.h"

enum { IMAGE = 900, VIDEO = 901 };

static struct qvl_model_config config_of(int64_t merge)
{
    struct qvl_model_config config = {.image_token = IMAGE, .video_token = VIDEO};
    config.vision.merge = merge;
    return config;
}

static struct qvl_prompt prompt_of(int64_t *ids, int64_t count, struct qvl_visual *visuals,
                                   int64_t visual_count)
{
    return (struct qvl_prompt){.ids = ids, .count = count, .visuals = visuals, .visual_count = visual_count};
}

static void assert_rows(const struct qvl_positions *positions, const int64_t *t, const int64_t *h,
                        const int64_t *w)
{
    assert_memory_equal(positions->ids, t, sizeof(int64_t) * (size_t)positions->count);
    assert_memory_equal(positions->ids + positions->count, h, sizeof(int64_t) * (size_t)positions->count);
    assert_memory_equal(positions->ids + 2 * positions->count, w, sizeof(int64_t) * (size_t)positions->count);
}

static void text_image_text(void **state)
{
    (void)state;
    /* 3 text tokens, an image of 2 x 3 merged cells, 2 text tokens. */
    int64_t ids[] = {1, 2, 3, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, 4, 5};
    struct qvl_visual image = {.grid = {1, 4, 6}};
    const struct qvl_model_config config = config_of(2);
    const struct qvl_prompt prompt = prompt_of(ids, 11, &image, 1);
    struct qvl_positions positions;
    struct qvl_error error;
    assert_int_equal(qvl_positions_build(&config, &prompt, &positions, &error), QVL_OK);
    assert_rows(&positions, (int64_t[]){0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7},
                (int64_t[]){0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7}, (int64_t[]){0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7});
    assert_int_equal(positions.delta, 8 - 11);
    assert_int_equal(positions.visual_count, 6);
    assert_int_equal(positions.visual[0], 3);
    assert_int_equal(positions.visual[5], 8);
    qvl_positions_free(&positions);
}

static void video_frames_are_separate_images(void **state)
{
    (void)state;
    /* Two temporal patches of 3 x 1 merged cells (merge 1), each behind one text token; the frame does not
     * move T. */
    int64_t ids[] = {7, VIDEO, VIDEO, VIDEO, 7, VIDEO, VIDEO, VIDEO, 8};
    struct qvl_visual video = {.is_video = true, .grid = {2, 3, 1}};
    const struct qvl_model_config config = config_of(1);
    const struct qvl_prompt prompt = prompt_of(ids, 9, &video, 1);
    struct qvl_positions positions;
    struct qvl_error error;
    assert_int_equal(qvl_positions_build(&config, &prompt, &positions, &error), QVL_OK);
    assert_rows(&positions, (int64_t[]){0, 1, 1, 1, 4, 5, 5, 5, 8}, (int64_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8},
                (int64_t[]){0, 1, 1, 1, 4, 5, 5, 5, 8});
    assert_int_equal(positions.delta, 0);
    qvl_positions_free(&positions);
}

static void adjacent_frames_need_no_text(void **state)
{
    (void)state;
    int64_t ids[] = {VIDEO, VIDEO, VIDEO, VIDEO};
    struct qvl_visual video = {.is_video = true, .grid = {2, 1, 2}};
    const struct qvl_model_config config = config_of(1);
    const struct qvl_prompt prompt = prompt_of(ids, 4, &video, 1);
    struct qvl_positions positions;
    struct qvl_error error;
    assert_int_equal(qvl_positions_build(&config, &prompt, &positions, &error), QVL_OK);
    assert_rows(&positions, (int64_t[]){0, 0, 2, 2}, (int64_t[]){0, 0, 2, 2}, (int64_t[]){0, 1, 2, 3});
    qvl_positions_free(&positions);
}

static void text_only(void **state)
{
    (void)state;
    int64_t ids[] = {5, 5, 5};
    const struct qvl_model_config config = config_of(2);
    const struct qvl_prompt prompt = prompt_of(ids, 3, NULL, 0);
    struct qvl_positions positions;
    struct qvl_error error;
    assert_int_equal(qvl_positions_build(&config, &prompt, &positions, &error), QVL_OK);
    assert_rows(&positions, (int64_t[]){0, 1, 2}, (int64_t[]){0, 1, 2}, (int64_t[]){0, 1, 2});
    assert_int_equal(positions.delta, 0);
    qvl_positions_free(&positions);
}

static void assert_refused(int64_t *ids, int64_t count, struct qvl_visual *visuals, int64_t visual_count,
                           const char *words)
{
    const struct qvl_model_config config = config_of(2);
    const struct qvl_prompt prompt = prompt_of(ids, count, visuals, visual_count);
    struct qvl_positions positions;
    struct qvl_error error;
    assert_int_equal(qvl_positions_build(&config, &prompt, &positions, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, words));
    assert_null(positions.ids);
}

static void mismatches_are_refused(void **state)
{
    (void)state;
    struct qvl_visual image = {.grid = {1, 4, 6}};
    struct qvl_visual video = {.is_video = true, .grid = {2, 2, 2}};
    assert_refused((int64_t[]){1, IMAGE, IMAGE, 2}, 4, &image, 1,
                   "needs 6 placeholder tokens in a row at token 1, found 2");
    assert_refused((int64_t[]){1, IMAGE}, 2, NULL, 0, "missing");
    assert_refused((int64_t[]){1, IMAGE}, 2, &video, 1, "a video");
    assert_refused((int64_t[]){1, 2}, 2, &image, 1, "0 of 1");
    assert_refused((int64_t[]){VIDEO, 2}, 2, &video, 1, "1 temporal patches");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_image_text),
        cmocka_unit_test(video_frames_are_separate_images),
        cmocka_unit_test(adjacent_frames_need_no_text),
        cmocka_unit_test(text_only),
        cmocka_unit_test(mismatches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
