#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "model/messages.h"

#define IMAGE "<|vision_start|><|image_pad|><|vision_end|>"
#define VIDEO "<|vision_start|><|video_pad|><|vision_end|>"

static char folder[64];
static const char *const names[] = {"a.png",
                                    "b c.png",
                                    "v.mp4",
                                    "chat.json",
                                    "tools.json",
                                    "tokenizer_config.json",
                                    "chat_template.json",
                                    "chat_template.jinja"};

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(qvl_file_write(path, text, strlen(text), NULL), QVL_OK);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/qvl_messages_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    for (int i = 0; i < 3; i++)
        write_text(names[i], "x");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_file(names[i]);
    return rmdir(folder);
}

static struct qvl_messages *parse(const char *json, const char *tools)
{
    struct qvl_messages *messages;
    struct qvl_error error;
    if (qvl_messages_parse(json, folder, tools, &messages, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return messages;
}

static void assert_renders(const char *json, const char *tools, struct qvl_render_options options,
                           const char *expected)
{
    struct qvl_messages *messages = parse(json, tools);
    const struct qvl_media_item *items;
    char *text;
    size_t size;
    int64_t count;
    assert_int_equal(qvl_messages_render(messages, &options, &text, &size, &items, &count, NULL), QVL_OK);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
    free(text);
    qvl_messages_destroy(messages);
}

static void instruct_template(void **state)
{
    (void)state;
    const struct qvl_render_options plain = {.template = QVL_TEMPLATE_QWEN3_INSTRUCT};
    const struct qvl_render_options open = {
        .template = QVL_TEMPLATE_QWEN3_INSTRUCT, .add_generation_prompt = true, .add_vision_id = true};
    assert_renders("[{\"role\":\"user\",\"content\":\"Hi\"}]", NULL, plain,
                   "<|im_start|>user\nHi<|im_end|>\n");
    assert_renders(
        "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":["
        "{\"type\":\"image\",\"image\":\"a.png\"},{\"type\":\"text\",\"text\":\"and\"},"
        "{\"type\":\"video\",\"video\":\"v.mp4\"},{\"image_url\":{\"url\":\"b c.png\"}}]},"
        "{\"role\":\"system\",\"content\":\"dropped\"},{\"role\":\"assistant\",\"content\":\"A\"}]",
        NULL, open,
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nPicture 1: " IMAGE "andVideo 1: " VIDEO
        "Picture 2: " IMAGE "<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>assistant\n");
    assert_renders(
        "[{\"role\":\"assistant\",\"content\":[{\"type\":\"image\",\"image\":\"a.png\"},{\"text\":\"t\"}]}]",
        NULL, open, "<|im_start|>assistant\nt<|im_end|>\n<|im_start|>assistant\n");
}

static void tools_and_calls(void **state)
{
    (void)state;
    const struct qvl_render_options plain = {.template = QVL_TEMPLATE_QWEN3_INSTRUCT};
    assert_renders(
        "[{\"role\":\"user\",\"content\":\"q\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.0,\"y\":[]}}},{\"name\":\"g\",\"arguments\":\"{"
        "}\"}]},"
        "{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"tool\",\"content\":[{\"image\":\"a.png\"}]},"
        "{\"role\":\"assistant\",\"content\":\"so\",\"tool_calls\":[{\"name\":\"h\",\"arguments\":null}]}]",
        "[{\"type\":\"function\",\"n\":12345678901234567890}]", plain,
        "<|im_start|>system\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
        "{\"type\": \"function\", \"n\": 12345678901234567890}\n</tools>\n\nFor each function call, return a "
        "json "
        "object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
        "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n"
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1.0, \"y\": []}}\n</tool_call>\n"
        "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call><|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n" IMAGE
        "\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nso\n<tool_call>\n{\"name\": \"h\", \"arguments\": "
        "null}\n</tool_call><|im_end|>\n");
    assert_renders("[{\"role\":\"user\",\"content\":\"q\"}]", "[]", plain, "<|im_start|>user\nq<|im_end|>\n");
}

static void thinking_template(void **state)
{
    (void)state;
    const struct qvl_render_options open = {.template = QVL_TEMPLATE_QWEN3_THINKING,
                                            .add_generation_prompt = true};
    assert_renders("[{\"role\":\"user\",\"content\":\"1\"},"
                   "{\"role\":\"assistant\",\"content\":\"<think>\\nold\\n</think>\\n\\nA\"},"
                   "{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"2\"},"
                   "{\"role\":\"assistant\",\"content\":\"\\nB\",\"reasoning_content\":\"\\nnew\\n\"}]",
                   NULL, open,
                   "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
                   "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n2<|im_end|>\n"
                   "<|im_start|>assistant\n<think>\nnew\n</think>\n\nB<|im_end|>\n"
                   "<|im_start|>assistant\n<think>\n");
}

static void qwen2_template(void **state)
{
    (void)state;
    const struct qvl_render_options open = {.template = QVL_TEMPLATE_QWEN2, .add_generation_prompt = true};
    assert_renders("[{\"role\":\"user\",\"content\":[{\"image\":\"a.png\"},{\"text\":\"t\"}]}]", NULL, open,
                   "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" IMAGE
                   "t<|im_end|>\n<|im_start|>assistant\n");
    assert_renders("[{\"role\":\"system\",\"content\":\"S\"}]", NULL, open,
                   "<|im_start|>system\nS<|im_end|>\n<|im_start|>assistant\n");
}

static void media_items(void **state)
{
    (void)state;
    char json[1024], path[128];
    snprintf(
        json, sizeof json,
        "[{\"role\":\"user\",\"content\":["
        "{\"type\":\"image\",\"image\":\"a.png\",\"min_pixels\":1024,\"max_pixels\":200704.0},"
        "{\"image_url\":{\"url\":\"data:image/png;base64,AAEC/w==\"}},"
        "{\"type\":\"image\",\"url\":\"file://%s/b%%20c.png\"},"
        "{\"type\":\"video\",\"video\":\"%s/v.mp4\",\"fps\":1.5,\"num_frames\":null,\"total_pixels\":99},"
        "{\"type\":\"video\",\"video\":[\"a.png\",\"file:b c.png\"],\"num_frames\":2}]},"
        "{\"role\":\"assistant\",\"content\":[{\"image\":\"a.png\"},{\"text\":\"t\"}]},"
        "{\"role\":\"tool\",\"content\":[{\"image\":\"data:;base64,AAEC\"}]}]",
        folder, folder);
    struct qvl_messages *messages = parse(json, NULL);
    const struct qvl_media_item *items;
    struct qvl_render_options options = {.template = QVL_TEMPLATE_QWEN2};
    char *text;
    size_t size;
    int64_t count;
    assert_int_equal(qvl_messages_render(messages, &options, &text, &size, &items, &count, NULL), QVL_OK);
    free(text);
    assert_int_equal(count, 7); /* this template shows the media of assistants too */
    options.template = QVL_TEMPLATE_QWEN3_INSTRUCT;
    assert_int_equal(qvl_messages_render(messages, &options, &text, &size, &items, &count, NULL), QVL_OK);
    free(text);
    assert_int_equal(count, 6);
    snprintf(path, sizeof path, "%s/a.png", folder);
    assert_string_equal(items[0].path, path);
    assert_false(items[0].is_video);
    assert_int_equal(items[0].min_pixels, 1024);
    assert_int_equal(items[0].max_pixels, 200704);
    assert_int_equal(items[0].num_frames, -1);
    assert_true(items[0].fps == -1);
    assert_null(items[1].path);
    assert_int_equal(items[1].size, 4);
    assert_memory_equal(items[1].bytes, "\0\1\2\xff", 4);
    snprintf(path, sizeof path, "%s/b c.png", folder);
    assert_string_equal(items[2].path, path);
    assert_true(items[3].is_video && items[3].fps == 1.5);
    assert_int_equal(items[3].num_frames, -1);
    assert_int_equal(items[3].total_pixels, 99);
    assert_true(items[4].is_video);
    assert_null(items[4].path);
    assert_int_equal(items[4].frame_count, 2);
    assert_string_equal(items[4].frame_paths[1], path);
    assert_int_equal(items[4].num_frames, 2);
    assert_int_equal(items[5].size, 3);
    qvl_messages_destroy(messages);
}

#define USER(parts) "[{\"role\":\"user\",\"content\":[" parts "]}]"

static void bad_messages(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"[{\"role\":\"user\",", "messages: line 1"},
        {"{}", "messages: must be a JSON array"},
        {"[]", "must be a JSON array of at least one message"},
        {"[1]", "messages[0]: must be an object"},
        {"[{\"content\":\"x\"}]", "messages[0].role: the key is missing"},
        {"[{\"role\":\"User\",\"content\":\"x\"}]",
         "messages[0].role: \"User\" is not one of system, user, assistant, tool"},
        {"[{\"role\":7,\"content\":\"x\"}]", "messages[0].role: \"(not a string)\""},
        {"[{\"role\":\"user\"}]", "messages[0].content: the key is missing"},
        {"[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}]",
         "messages[0].content: must not be null"},
        {"[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":{}}]",
         "messages[1].content: must be a string or a list"},
        {USER("\"x\""), "messages[0].content[0]: must be an object"},
        {USER("{}"), "content[0]: has none of the keys text, image, image_url, video"},
        {USER("{\"type\":\"audio\"}"), "content[0]: has none of the keys"},
        {USER("{\"type\":\"text\",\"image2\":\"a.png\"}"), "content[0].text: the key is missing"},
        {USER("{\"text\":5}"), "content[0].text: must be a string"},
        {USER("{\"type\":\"image\"}"), "content[0].image: the key is missing"},
        {USER("{\"type\":\"video\"}"), "content[0].video: the key is missing"},
        {USER("{\"image\":null}"), "content[0].image: must be a path"},
        {USER("{\"image\":\"\"}"), "content[0].image: must be a path"},
        {USER("{\"image\":\"a\\u0000.png\"}"), "content[0].image: a path cannot hold a NUL"},
        {USER("{\"image_url\":{\"uri\":\"a.png\"}}"), "content[0].image_url: must be a path"},
        {USER("{\"text\":\"x\"},{\"image\":\"no.png\"}"), "content[1].image: "},
        {USER("{\"image\":\"no.png\"}"), "/no.png: no such file"},
        {USER("{\"image\":\".\"}"), "no such file"},
        {USER("{\"image\":\"file:///no/such.png\"}"), "/no/such.png: no such file"},
        {USER("{\"image\":\"https://example.org/a.png\"}"),
         "https://example.org/a.png is remote; download it"},
        {USER("{\"image\":\"data:image/png,abc\"}"), "content[0].image: a data: URL must be"},
        {USER("{\"image\":\"data:image/png;base64,a*b=\"}"), "not valid base64"},
        {USER("{\"image\":\"data:image/png;base64,\"}"), "the data: URL is empty"},
        {USER("{\"image\":[\"a.png\"]}"), "content[0].image: must be a path"},
        {USER("{\"video\":[]}"), "content[0].video: the list of frames is empty"},
        {USER("{\"video\":[\"a.png\",\"no.png\"]}"), "content[0].video[1]: "},
        {USER("{\"video\":[\"a.png\",5]}"), "content[0].video[1]: must be a path"},
        {USER("{\"image\":\"a.png\",\"max_pixels\":0}"),
         "content[0].max_pixels: must be a whole number above zero"},
        {USER("{\"image\":\"a.png\",\"min_pixels\":\"9\"}"), "content[0].min_pixels: must be a whole number"},
        {USER("{\"video\":\"v.mp4\",\"num_frames\":2.5}"), "content[0].num_frames: must be a whole number"},
        {USER("{\"video\":\"v.mp4\",\"fps\":-1}"), "content[0].fps: must be a number above zero"},
        {USER("{\"video\":\"v.mp4\",\"fps\":1e999}"), "content[0].fps: must be a number above zero"},
        {"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":{}}]",
         "messages[0].tool_calls: must be a list"},
        {"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"arguments\":{}}}]}]",
         "messages[0].tool_calls[0].name: the key is missing"},
        {"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"name\":\"f\"}]}]",
         "messages[0].tool_calls[0].arguments: the key is missing"},
        {"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[7]}]", "tool_calls[0].name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qvl_messages *messages;
        struct qvl_error error;
        assert_int_equal(qvl_messages_parse(cases[i].json, folder, NULL, &messages, &error), QVL_BAD_INPUT);
        assert_null(messages);
        if (!strstr(error.message, cases[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].json, error.message, cases[i].message);
    }
}

static void bad_tools(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"{}", "tools: must be a JSON array"},
                                           {"[{},7]", "tools[1]: must be an object"},
                                           {"[", "tools: line 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qvl_messages *messages;
        struct qvl_error error;
        assert_int_equal(qvl_messages_parse("[{\"role\":\"user\",\"content\":\"\"}]", folder, cases[i][0],
                                            &messages, &error),
                         QVL_BAD_INPUT);
        assert_non_null(strstr(error.message, cases[i][1]));
    }
}

static void files(void **state)
{
    (void)state;
    char chat[128], tools[128];
    struct qvl_messages *messages;
    struct qvl_error error;
    snprintf(chat, sizeof chat, "%s/chat.json", folder);
    snprintf(tools, sizeof tools, "%s/tools.json", folder);
    assert_int_equal(qvl_messages_read(chat, NULL, &messages, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, chat));
    write_text("chat.json", USER("{\"image\":\"a.png\"}")); /* relative to the file */
    assert_int_equal(qvl_messages_read(chat, NULL, &messages, &error), QVL_OK);
    qvl_messages_destroy(messages);
    assert_int_equal(qvl_messages_read(chat, tools, &messages, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, tools));
    write_text("tools.json", "[]");
    assert_int_equal(qvl_messages_read(chat, tools, &messages, &error), QVL_OK);
    qvl_messages_destroy(messages);
    write_text("chat.json", USER("{\"image\":\"c.png\"}"));
    assert_int_equal(qvl_messages_read(chat, NULL, &messages, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, chat));
    qvl_messages_destroy(NULL);
}

static void assert_detected(enum qvl_template expected)
{
    enum qvl_template found;
    struct qvl_error error;
    assert_int_equal(qvl_template_detect(folder, &found, &error), QVL_OK);
    assert_int_equal(found, expected);
}

static void template_detection(void **state)
{
    (void)state;
    enum qvl_template found;
    struct qvl_error error;
    assert_detected(QVL_TEMPLATE_QWEN3_INSTRUCT);
    write_text("tokenizer_config.json",
               "{\"chat_template\":\"{% if loop.first %}You are a helpful assistant.{% endif %}\"}");
    assert_detected(QVL_TEMPLATE_QWEN2);
    write_text("chat_template.json",
               "{\"chat_template\":\"<think>{%- if add_generation_prompt %}{{- 'assistant\\\\n' }}\"}");
    assert_detected(QVL_TEMPLATE_QWEN3_INSTRUCT);
    write_text("chat_template.json",
               "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"\"},{\"name\":\"default\",\"template\":"
               "\"{%- if add_generation_prompt %}{{- 'assistant\\\\n<think>\\\\n' }}\"}]}");
    assert_detected(QVL_TEMPLATE_QWEN3_THINKING);
    write_text("chat_template.jinja", "{{ messages }}");
    assert_detected(QVL_TEMPLATE_QWEN3_INSTRUCT);
    remove_file("chat_template.jinja");
    write_text("chat_template.json", "{");
    assert_int_equal(qvl_template_detect(folder, &found, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "chat_template.json"));
}

/* Damaged chats: an error or a prompt in each template, never a crash. */
static void random_chats(void **state)
{
    (void)state;
    static const char start[] =
        "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":[{\"type\":\"image\","
        "\"image\":\"a.png\"},"
        "{\"text\":\"<think>t</think>\"}]},{\"role\":\"assistant\",\"content\":\"x</"
        "think>y\",\"tool_calls\":[{\"name\":\"f\","
        "\"arguments\":{\"a\":1}}]},{\"role\":\"tool\",\"content\":[{\"video\":\"v.mp4\",\"fps\":2}]}]";
    const uint64_t seed = 41;
    int64_t parsed = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 4000; round++) {
        char json[sizeof start], *text;
        memcpy(json, start, sizeof start);
        for (uint64_t i = 0; i < 1 + round % 3; i++) {
            uint64_t from = qvl_random_below(seed, round, 3 * i, sizeof start - 9);
            uint64_t to = qvl_random_below(seed, round, 3 * i + 1, sizeof start - 9);
            memmove(json + to, json + from, qvl_random_below(seed, round, 3 * i + 2, 8));
        }
        struct qvl_messages *messages;
        struct qvl_error error = {.status = QVL_OK};
        if (qvl_messages_parse(json, folder, round % 2 ? "[{\"a\":1}]" : NULL, &messages, &error) != QVL_OK) {
            assert_true(error.status == QVL_BAD_INPUT && error.message[0]);
            continue;
        }
        parsed++;
        for (int template = 0; template <3; template ++) {
            struct qvl_render_options options = {.template = (enum qvl_template) template,
                                                 .add_generation_prompt = true,
                                                 .add_vision_id = round % 5 == 0};
            const struct qvl_media_item *items;
            size_t size;
            int64_t count;
            assert_int_equal(qvl_messages_render(messages, &options, &text, &size, &items, &count, NULL),
                             QVL_OK);
            assert_int_equal(strlen(text), size);
            free(text);
        }
        qvl_messages_destroy(messages);
    }
    assert_true(parsed > 100 && parsed < 3900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instruct_template),  cmocka_unit_test(tools_and_calls),
        cmocka_unit_test(thinking_template),  cmocka_unit_test(qwen2_template),
        cmocka_unit_test(media_items),        cmocka_unit_test(bad_messages),
        cmocka_unit_test(bad_tools),          cmocka_unit_test(files),
        cmocka_unit_test(template_detection), cmocka_unit_test(random_chats)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
