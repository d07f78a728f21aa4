/* The whole way from files to patch rows and token ids: committed pictures and clips against the original
 * processors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasets/media.h"
#include "tests/support/golden_rows.h"

#define FILES "tests/golden/pixels/files.json"
#define FOLDER "tests/golden"

static void committed_files(void **state)
{
    (void)state;
    assert_true(check_all_rows(FILES, "committed", FOLDER, &qvl_media_files) > 30);
}

static struct qvl_tokenizer *tokenizer;

static int load_tokenizer(void **state)
{
    (void)state;
    return qvl_tokenizer_load(FOLDER "/tokenizer", &tokenizer, &error) == QVL_OK ? 0 : -1;
}

static int destroy_tokenizer(void **state)
{
    (void)state;
    qvl_tokenizer_destroy(tokenizer);
    return 0;
}

static void check_prompt(const struct qvl_json *entry)
{
    struct qvl_processor_options options = {0};
    struct qvl_render_options render = {.template = QVL_TEMPLATE_QWEN3_INSTRUCT,
                                        .add_generation_prompt = true};
    struct qvl_processor *processor;
    struct qvl_messages *messages;
    struct qvl_prompt prompt;
    struct qvl_json ids = member(entry, "ids");
    const char *profile = text_of(entry, "profile");
    const cJSON *node;
    int64_t i = 0;
    char *text = NULL;
    size_t size;

    assert_true(qvl_profile_parse(profile, &options.profile));
    MUST(qvl_messages_parse(text_of(entry, "messages"), FOLDER, NULL, &messages, &error));
    MUST(qvl_processor_load(NULL, &qvl_ref_pixel_ops, &options, &processor, &error));
    MUST(qvl_processor_prompt(processor, tokenizer, &qvl_media_files, messages, &render, &prompt, &text,
                              &size, &error));
    assert_int_equal(prompt.visual_count, 4);
    assert_int_equal(prompt.count, cJSON_GetArraySize(ids.node));
    cJSON_ArrayForEach(node, ids.node)
    {
        if ((int64_t)node->valuedouble != prompt.ids[i])
            fail_msg("%s: id %lld is %lld where the original has %.0f", profile, (long long)i,
                     (long long)prompt.ids[i], node->valuedouble);
        i++;
    }
    assert_int_equal(size, strlen(text));
    free(text);
    qvl_prompt_free(&prompt);
    qvl_processor_destroy(processor);
    qvl_messages_destroy(messages);
}

/* Two images, two videos and text: the ids after expansion under each profile. */
static void prompts(void **state)
{
    (void)state;
    cJSON *root;
    int64_t count;
    struct qvl_json list;
    MUST(qvl_json_read(FILES, &root, &error));
    struct qvl_json at = qvl_json_at_root(root, FILES);
    MUST(qvl_json_array(&at, "prompts", &list, &count, &error));
    assert_int_equal(count, QVL_PROFILE_COUNT);
    for (int64_t i = 0; i < count; i++) {
        struct qvl_json entry = qvl_json_item(&list, i);
        check_prompt(&entry);
    }
    cJSON_Delete(root);
}

static void refuse(const char *messages_json, const char *says)
{
    struct qvl_processor_options options = {0};
    struct qvl_render_options render = {.template = QVL_TEMPLATE_QWEN3_INSTRUCT,
                                        .add_generation_prompt = true};
    struct qvl_processor *processor;
    struct qvl_messages *messages;
    struct qvl_prompt prompt;
    char *text = NULL;
    size_t size;

    MUST(qvl_messages_parse(messages_json, FOLDER, NULL, &messages, &error));
    MUST(qvl_processor_load(NULL, &qvl_ref_pixel_ops, &options, &processor, &error));
    assert_int_equal(qvl_processor_prompt(processor, tokenizer, &qvl_media_files, messages, &render, &prompt,
                                          &text, &size, &error),
                     QVL_BAD_INPUT);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    assert_null(text);
    assert_null(prompt.ids);
    assert_null(prompt.visuals);
    qvl_processor_destroy(processor);
    qvl_messages_destroy(messages);
}

/* The message names the file; the image read before it is freed. */
static void bad_media(void **state)
{
    (void)state;
#define USER(part)                                                                                           \
    "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"media/png_1x1.png\"}," part "]}]"
    refuse(USER("{\"type\":\"video\",\"video\":\"media/h264_one_frame.mp4\"}"),
           "h264_one_frame.mp4: 1 frame");
    refuse(USER("{\"type\":\"video\",\"video\":\"media/bad_audio_only.mp4\"}"), "bad_audio_only.mp4");
    refuse(USER("{\"type\":\"video\",\"video\":\"media/bad_middle.mp4\",\"fps\":20}"), "bad_middle.mp4");
    refuse(USER("{\"type\":\"text\",\"text\":\"<|image_pad|>\"}"),
           "2 <|image_pad|> placeholders for 1 images");
    refuse(USER("{\"type\":\"video\",\"video\":\"pixels/bt601_untagged.mp4\",\"fps\":3,\"num_frames\":4}"),
           "use one");
#undef USER
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(committed_files), cmocka_unit_test(prompts),
                                       cmocka_unit_test(bad_media)};
    return cmocka_run_group_tests(tests, load_tokenizer, destroy_tokenizer);
}
