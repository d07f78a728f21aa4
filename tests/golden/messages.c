/* Chats rendered by the original's templates; tests/golden/messages.py makes and describes the records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/json_tree.h"
#include "model/messages.h"

#define FOLDER "tests/golden/messages"
#define MOST_SHOWN 5

static int64_t count_word(const char *text, size_t size, const char *word)
{
    int64_t count = 0;
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= size; at++)
        count += memcmp(text + at, word, length) == 0;
    return count;
}

static enum qvl_template template_of(const struct qvl_json_node *record)
{
    const char *name = qvl_json_tree_member(record, "template")->text;
    return strcmp(name, "instruct") == 0   ? QVL_TEMPLATE_QWEN3_INSTRUCT
           : strcmp(name, "thinking") == 0 ? QVL_TEMPLATE_QWEN3_THINKING
                                           : QVL_TEMPLATE_QWEN2;
}

static bool is_true(const struct qvl_json_node *record, const char *key)
{
    return qvl_json_tree_member(record, key)->kind == QVL_JSON_TRUE;
}

/* The media are those whose markers stand in the text, in its order. */
static bool media_fit(const char *text, size_t size, const struct qvl_media_item *items, int64_t count)
{
    static const char image[] = "<|vision_start|><|image_pad|>", video[] = "<|vision_start|><|video_pad|>";
    int64_t at_item = 0;
    for (size_t at = 0; at + sizeof image - 1 <= size; at++) {
        bool is_video = memcmp(text + at, video, sizeof video - 1) == 0;
        if (!is_video && memcmp(text + at, image, sizeof image - 1) != 0)
            continue;
        if (at_item >= count || items[at_item++].is_video != is_video)
            return false;
    }
    return at_item == count;
}

static bool renders_the_same(const struct qvl_json_node *record)
{
    struct qvl_messages *messages;
    struct qvl_error error;
    const struct qvl_json_node *tools = qvl_json_tree_member(record, "tools");
    const struct qvl_json_node *expected = qvl_json_tree_member(record, "text");
    if (qvl_messages_parse(qvl_json_tree_member(record, "messages")->text, FOLDER,
                           tools->kind == QVL_JSON_STRING ? tools->text : NULL, &messages, &error) != QVL_OK)
        fail_msg("%s", error.message);
    struct qvl_render_options options = {.template = template_of(record),
                                         .add_generation_prompt = is_true(record, "add_generation_prompt"),
                                         .add_vision_id = is_true(record, "add_vision_id")};
    char *text;
    size_t size;
    const struct qvl_media_item *items;
    int64_t count;
    assert_int_equal(qvl_messages_render(messages, &options, &text, &size, &items, &count, NULL), QVL_OK);
    bool same = size == expected->size && memcmp(text, expected->text, size) == 0;
    if (same)
        assert_true(media_fit(text, size, items, count));
    else
        print_error("%s\nexpected: %s\nfound:    %s\n", qvl_json_tree_member(record, "messages")->text,
                    expected->text, text);
    free(text);
    qvl_messages_destroy(messages);
    return same;
}

static void chats_render_as_in_the_original(void **state)
{
    (void)state;
    char *data;
    size_t size;
    int64_t records = 0, failures = 0, markers = 0;
    assert_int_equal(qvl_file_read(FOLDER "/chats.jsonl", (size_t)64 << 20, &data, &size, NULL), QVL_OK);
    for (char *line = data; *line && failures < MOST_SHOWN; records++) {
        size_t length = strcspn(line, "\n");
        struct qvl_json_tree *tree;
        assert_int_equal(qvl_json_tree_parse(line, length, "chats.jsonl", &tree, NULL), QVL_OK);
        failures += !renders_the_same(qvl_json_tree_root(tree));
        markers += count_word(line, length, "_pad|>");
        qvl_json_tree_destroy(tree);
        line += length + (line[length] == '\n');
    }
    print_message("%lld of %lld chats equal\n", (long long)(records - failures), (long long)records);
    free(data);
    assert_int_equal(failures, 0);
    assert_true(records >= 600);
    assert_true(markers >= 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chats_render_as_in_the_original)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
