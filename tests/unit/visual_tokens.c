/* model/visual_tokens.c against prompts that the processor makes, and the tables of preprocess --tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/tokens.h"
#include "datasets/checkpoint.h"
#include "datasets/media.h"
#include "model/positions.h"
#include "model/visual_tokens.h"
#include "ref/pixels.h"

#define FOLDER "build/test-visual-tokens"

static struct qvl_error error;

#define ASSERT_GOOD(call)                                                                                    \
    do {                                                                                                     \
        if ((call) != QVL_OK)                                                                                \
            fail_msg("%s", error.message);                                                                   \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    return qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) == QVL_OK ? 0 : -1;
}

static struct qvl_processor *load(const char *folder, enum qvl_profile profile)
{
    struct qvl_processor *processor;
    const struct qvl_processor_options options = {.profile = profile, .sizes_only = true};
    ASSERT_GOOD(qvl_processor_load(folder, &qvl_ref_pixel_ops, &options, &processor, &error));
    return processor;
}

/* Tokens and largest position of a user message of that content. */
static struct qvl_prompt prompt_of(const struct qvl_processor *processor,
                                   const struct qvl_tokenizer *tokenizer, const char *content,
                                   int64_t *largest)
{
    char json[512];
    struct qvl_messages *messages;
    struct qvl_prompt prompt;
    struct qvl_positions positions;
    struct qvl_model_config config;
    const struct qvl_render_options render = {.template = QVL_TEMPLATE_QWEN3_INSTRUCT};
    snprintf(json, sizeof json, "[{\"role\":\"user\",\"content\":[%s]}]", content);
    ASSERT_GOOD(qvl_messages_parse(json, "tests/golden/media", NULL, &messages, &error));
    ASSERT_GOOD(qvl_processor_prompt(processor, tokenizer, &qvl_media_files, messages, &render, &prompt, NULL,
                                     NULL, &error));
    qvl_messages_destroy(messages);
    ASSERT_GOOD(qvl_model_config_read(FOLDER, &config, &error));
    ASSERT_GOOD(qvl_positions_build(&config, &prompt, &positions, &error));
    *largest = positions.delta + positions.count - 1;
    qvl_positions_free(&positions);
    return prompt;
}

/* The prompt with a medium less the prompt without it. */
static void counts_are_those_of_prompts(void **state)
{
    (void)state;
    static const char *const media[] = {
        "{\"type\":\"image\",\"image\":\"jpeg_420.jpg\"}",
        "{\"type\":\"image\",\"image\":\"bmp_rgb.bmp\"}",
        "{\"type\":\"video\",\"video\":\"h264_bframes.mp4\"}",
        "{\"type\":\"video\",\"video\":\"h264_bframes.mp4\",\"num_frames\":5}",
        "{\"type\":\"video\",\"video\":\"h264_ntsc.mp4\",\"fps\":7}",
        "{\"type\":\"video\",\"video\":\"h264_two_frames.mp4\"}",
        "{\"type\":\"video\",\"video\":\"h264_two_seconds.mkv\",\"max_pixels\":150000}",
    };
    struct qvl_tokenizer *tokenizer;
    ASSERT_GOOD(qvl_tokenizer_load(FOLDER, &tokenizer, &error));
    int videos = 0;
    for (int profile = 0; profile < QVL_PROFILE_COUNT; profile++) {
        struct qvl_processor *processor = load(FOLDER, (enum qvl_profile)profile);
        int64_t plain_largest, largest;
        struct qvl_prompt plain = prompt_of(processor, tokenizer, "", &plain_largest);
        for (size_t i = 0; i < sizeof media / sizeof *media; i++) {
            struct qvl_visual_tokens tokens;
            struct qvl_prompt prompt = prompt_of(processor, tokenizer, media[i], &largest);
            ASSERT_GOOD(qvl_visual_count_tokens(processor, tokenizer, prompt.visuals, &tokens, &error));
            assert_int_equal(tokens.total, prompt.count - plain.count);
            assert_int_equal(tokens.largest_position + 1, largest - plain_largest);
            assert_int_equal(tokens.total, tokens.visual + tokens.stamps + tokens.markers);
            assert_true(tokens.patch * prompt.visuals->grid.t >= tokens.total - 2);
            videos += prompt.visuals->is_video;
            qvl_prompt_free(&prompt);
        }
        qvl_prompt_free(&plain);
        qvl_processor_destroy(processor);
    }
    assert_int_equal(videos, 3 * 5);
    qvl_tokenizer_destroy(tokenizer);
}

/* 20 frames of 250 at 25 fps, stamps <0.3 seconds> .. <9.7 seconds>: 6 tokens each. */
static void released_rule_by_hand(void **state)
{
    (void)state;
    struct qvl_visual visual;
    struct qvl_visual_tokens tokens;
    struct qvl_processor *processor = load(NULL, QVL_PROFILE_HF4);
    ASSERT_GOOD(qvl_processor_plan(processor, NULL, 250, 720, 1280, 25, &visual, &error));
    assert_int_equal(visual.grid.t, 10);
    ASSERT_GOOD(qvl_visual_count_tokens(processor, NULL, &visual, &tokens, &error));
    assert_int_equal(tokens.visual, 10 * 22 * 40); /* 704 x 1280 */
    assert_int_equal(tokens.stamps, 60);
    assert_int_equal(tokens.markers, 20);
    assert_int_equal(tokens.patch, 6 + 2 + 880);
    assert_int_equal(tokens.largest_position, 10 * (6 + 2 + 40) - 1);
    qvl_visual_free(&visual);
    ASSERT_GOOD(qvl_processor_plan(processor, NULL, 0, 720, 1280, 0, &visual, &error));
    ASSERT_GOOD(qvl_visual_count_tokens(processor, NULL, &visual, &tokens, &error));
    assert_int_equal(tokens.total, 882);
    assert_int_equal(tokens.largest_position, 41);
    qvl_visual_free(&visual);
    qvl_processor_destroy(processor);
}

static const struct qvl_record *record_of(const struct qvl_report *report, const char *name)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->name, name) == 0)
            return report->records[i];
    fail_msg("no record \"%s\"", name);
    return NULL;
}

static int64_t integer_of(const struct qvl_record *record, const char *field)
{
    const struct qvl_field *found = qvl_record_find(record, field);
    if (!found)
        fail_msg("%s: no %s", record->name, field);
    return found ? found->value.integer : 0;
}

static void tell(struct qvl_tokens_options *options, struct qvl_report *report)
{
    const struct qvl_media_item none = {
        .min_pixels = -1, .max_pixels = -1, .total_pixels = -1, .num_frames = -1, .fps = -1};
    struct qvl_session_options session;
    qvl_session_defaults(&session);
    qvl_tokens_defaults(options, QVL_PROFILE_HF4);
    ASSERT_GOOD(qvl_tokens_report(options, &session, &none, report, &error));
}

/* Claims 3: 900 pairs in 256K leave 291 tokens a pair, 3600 in 1M (2^20) 291, in 1,000,000 277. The frames
 * found fit, and one more block of pixels in each does not. */
static void published_needle_budgets(void **state)
{
    (void)state;
    struct qvl_tokens_options options = {
        .contexts = {262144, 1000000, 1048576}, .context_count = 3, .reserve = 256, .source_fps = 30};
    struct qvl_report report = {0};
    assert_true(qvl_tokens_sizes("1080x1920", &options));
    assert_true(qvl_tokens_durations("30m,2h", &options));
    tell(&options, &report);
    static const struct {
        const char *name;
        int64_t room, context;
    } claims[] = {{"hf4 1080x1920 30m in 262144", 291, 262144},
                  {"hf4 1080x1920 2h in 1000000", 277, 1000000},
                  {"hf4 1080x1920 2h in 1048576", 291, 1048576}};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        const struct qvl_record *record = record_of(&report, claims[i].name);
        assert_int_equal(integer_of(record, "room_of_a_pair"), claims[i].room);
        assert_true(integer_of(record, "most_of_a_pair") <= claims[i].room);
        assert_true(integer_of(record, "total") <= claims[i].context - 256);
        assert_true(integer_of(record, "largest_position") < 131072);
    }
    const struct qvl_record *short_one = record_of(&report, claims[0].name);
    assert_int_equal(integer_of(short_one, "frames"), 1800);
    assert_int_equal(qvl_record_find(short_one, "resized")->value.integers[0], 384);
    assert_int_equal(qvl_record_find(short_one, "resized")->value.integers[1], 736);
    assert_int_equal(integer_of(short_one, "largest_position"), 30044);

    /* One pixel more of the budget found does not fit. */
    struct qvl_visual visual;
    struct qvl_visual_tokens tokens;
    struct qvl_processor *processor = load(NULL, QVL_PROFILE_HF4);
    struct qvl_media_item limits = {
        .min_pixels = 1, .max_pixels = -1, .num_frames = 1800, .fps = -1, .is_video = true};
    for (int more = 0; more < 2; more++) {
        limits.total_pixels = integer_of(short_one, "total_pixels") + more;
        ASSERT_GOOD(qvl_processor_plan(processor, &limits, 54000, 1080, 1920, 30, &visual, &error));
        ASSERT_GOOD(qvl_visual_count_tokens(processor, NULL, &visual, &tokens, &error));
        assert_int_equal(tokens.total > 262144 - 256, more);
        qvl_visual_free(&visual);
    }
    qvl_processor_destroy(processor);
    qvl_report_clear(&report);
}

static void budgets_limit_frames_and_pixels(void **state)
{
    (void)state;
    struct qvl_tokens_options options = {.source_fps = 30};
    struct qvl_report report = {0};
    assert_true(qvl_tokens_sizes("1080x1920", &options));
    assert_true(qvl_tokens_durations("30m", &options));
    assert_true(qvl_tokens_budgets("hf4,hf5,qvu,report,script", &options));
    tell(&options, &report);
    assert_int_equal(integer_of(record_of(&report, "hf4 1080x1920 30m"), "frames"), 768);
    assert_true(integer_of(record_of(&report, "hf4 1080x1920 30m"), "visual") <= 12288);
    assert_int_equal(integer_of(record_of(&report, "hf5 1080x1920 30m"), "markers"),
                     integer_of(record_of(&report, "hf4 1080x1920 30m"), "markers") + 2);
    assert_true(integer_of(record_of(&report, "qvu 1080x1920 30m"), "visual") <= 115200);
    const struct qvl_record *published = record_of(&report, "report 1080x1920 30m");
    assert_int_equal(integer_of(published, "frames"), 2048);
    assert_true(integer_of(published, "visual") <= 224 * 1024);
    assert_true(integer_of(published, "visual") <= 1024 * 640);
    assert_int_equal(integer_of(record_of(&report, "script 1080x1920 30m"), "frames"), 512);
    assert_int_equal(integer_of(record_of(&report, "script 1080x1920"), "visual"), 60 * 34);
    qvl_report_clear(&report);
}

static void bad_lists_are_refused(void **state)
{
    (void)state;
    struct qvl_tokens_options options = {0};
    static const char *const sizes[] = {"", "1080", "1080x", "1080x1920,", "0x5"};
    static const char *const durations[] = {"", "m", "10x", "-3s", "5s,,6s", "nan"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_false(qvl_tokens_sizes(sizes[i], &options));
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        assert_false(qvl_tokens_durations(durations[i], &options));
    assert_false(qvl_tokens_budgets("hf4,hf6", &options));
    assert_true(qvl_tokens_durations("90,1.5m,0.5h", &options));
    assert_true(options.durations[0] == 90 && options.durations[1] == 90 && options.durations[2] == 1800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_prompts), cmocka_unit_test(released_rule_by_hand),
        cmocka_unit_test(published_needle_budgets),    cmocka_unit_test(budgets_limit_frames_and_pixels),
        cmocka_unit_test(bad_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
