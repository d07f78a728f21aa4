/* The chat templates of the family, written out. What each template does with a message list is followed to
 * the byte, odd corners included: they decide which tokens the model gets. */
#include <stdlib.h>
#include <string.h>

#include "model/messages_parts.h"

#define IM_START "<|im_start|>"
#define IM_END "<|im_end|>\n"

static const char tool_head[] =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
static const char tool_tail[] =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" IM_END;

/* Where the marker of a medium stands in the content being rendered. */
struct mark {
    int64_t item;
    size_t offset;
};

struct renderer {
    const struct qvl_messages *messages;
    const struct qvl_render_options *options;
    struct qvl_bytes *out;
    struct qvl_bytes content; /* one message, for the template that looks into it */
    struct mark *marks;       /* of `content`, [media_count] */
    int64_t mark_count;
    int64_t images, videos; /* counted so far, for the labels */
    int64_t *shown, *shown_count;
};

/* A stretch of the content of one message. */
struct range {
    size_t start, end;
};

static void append_span(struct qvl_bytes *out, struct span span)
{
    qvl_bytes_append(out, span.text, span.size);
}

static void append_media(struct renderer *renderer, int64_t item, bool counted)
{
    bool video = renderer->messages->media_items[item].is_video;
    int64_t *count = video ? &renderer->videos : &renderer->images;
    *count += counted;
    if (renderer->options->add_vision_id) {
        char label[40];
        snprintf(label, sizeof label, "%s %lld: ", video ? "Video" : "Picture", (long long)*count);
        qvl_bytes_text(&renderer->content, label);
    }
    renderer->marks[renderer->mark_count++] = (struct mark){.item = item, .offset = renderer->content.size};
    qvl_bytes_text(&renderer->content, video ? "<|vision_start|><|video_pad|><|vision_end|>"
                                             : "<|vision_start|><|image_pad|><|vision_end|>");
}

/* Text and media of a message into `content`; `counted` ones move the label numbers. */
static struct range render_content(struct renderer *renderer, const struct message *message, bool counted)
{
    renderer->content.size = 0;
    renderer->mark_count = 0;
    for (int64_t i = 0; i < message->part_count; i++) {
        const struct message_part *part = &message->parts[i];
        if (part->media_item >= 0)
            append_media(renderer, part->media_item, counted);
        else
            append_span(&renderer->content, part->text);
    }
    return (struct range){.start = 0, .end = renderer->content.size};
}

/* Copy a part of `content` to the prompt; the media in it are shown. */
static void emit(struct renderer *renderer, struct range range)
{
    qvl_bytes_append(renderer->out, renderer->content.data + range.start, range.end - range.start);
    for (int64_t i = 0; i < renderer->mark_count; i++)
        if (renderer->marks[i].offset >= range.start && renderer->marks[i].offset < range.end)
            renderer->shown[(*renderer->shown_count)++] = renderer->marks[i].item;
}

/* The `text` keys of all parts, also of parts that are media. */
static void emit_texts(struct renderer *renderer, const struct message *message)
{
    for (int64_t i = 0; i < message->part_count; i++)
        append_span(renderer->out, message->parts[i].text);
}

static void open_turn(struct renderer *renderer, const char *role)
{
    qvl_bytes_text(renderer->out, IM_START);
    qvl_bytes_text(renderer->out, role);
}

static bool is_thinking(const struct renderer *renderer)
{
    return renderer->options->template == QVL_TEMPLATE_QWEN3_THINKING;
}

/* The system turn that opens the prompt, with the tool definitions. */
static void render_system(struct renderer *renderer)
{
    const struct qvl_messages *messages = renderer->messages;
    const struct message *first = &messages->messages[0];
    if (first->role != ROLE_SYSTEM && !messages->tools)
        return;
    open_turn(renderer, "system\n");
    if (first->role == ROLE_SYSTEM && is_thinking(renderer))
        emit(renderer, render_content(renderer, first, false));
    else if (first->role == ROLE_SYSTEM)
        emit_texts(renderer, first);
    if (!messages->tools) {
        qvl_bytes_text(renderer->out, IM_END);
        return;
    }
    if (first->role == ROLE_SYSTEM)
        qvl_bytes_text(renderer->out, "\n\n");
    qvl_bytes_text(renderer->out, tool_head);
    for (const struct qvl_json_node *tool = messages->tools->first; tool; tool = tool->next) {
        qvl_bytes_text(renderer->out, "\n");
        qvl_json_tree_dump(tool, renderer->out);
    }
    qvl_bytes_text(renderer->out, tool_tail);
}

static void render_calls(struct renderer *renderer, const struct message *message, bool after_text)
{
    for (int64_t i = 0; i < message->call_count; i++) {
        const struct tool_call *call = &message->calls[i];
        qvl_bytes_text(renderer->out, i > 0 || after_text ? "\n<tool_call>\n" : "<tool_call>\n");
        qvl_bytes_text(renderer->out, "{\"name\": \"");
        append_span(renderer->out, call->name);
        qvl_bytes_text(renderer->out, "\", \"arguments\": ");
        if (call->arguments->kind == QVL_JSON_STRING)
            qvl_bytes_append(renderer->out, call->arguments->text, call->arguments->size);
        else
            qvl_json_tree_dump(call->arguments, renderer->out);
        qvl_bytes_text(renderer->out, "}\n</tool_call>");
    }
}

/* Consecutive tool messages share one user turn. */
static void render_tool(struct renderer *renderer, int64_t index, struct range content)
{
    const struct qvl_messages *messages = renderer->messages;
    if (index == 0 || messages->messages[index - 1].role != ROLE_TOOL)
        open_turn(renderer, "user");
    qvl_bytes_text(renderer->out, "\n<tool_response>\n");
    emit(renderer, content);
    qvl_bytes_text(renderer->out, "\n</tool_response>");
    if (index + 1 == messages->count || messages->messages[index + 1].role != ROLE_TOOL)
        qvl_bytes_text(renderer->out, IM_END);
}

static void render_turn(struct renderer *renderer, const char *role, struct range content)
{
    open_turn(renderer, role);
    qvl_bytes_text(renderer->out, "\n");
    emit(renderer, content);
    qvl_bytes_text(renderer->out, IM_END);
}

static void render_instruct(struct renderer *renderer)
{
    render_system(renderer);
    for (int64_t i = 0; i < renderer->messages->count; i++) {
        const struct message *message = &renderer->messages->messages[i];
        switch (message->role) {
        case ROLE_USER: render_turn(renderer, "user", render_content(renderer, message, true)); break;
        case ROLE_ASSISTANT:
            open_turn(renderer, "assistant\n");
            emit_texts(renderer, message);
            render_calls(renderer, message, message->has_content);
            qvl_bytes_text(renderer->out, IM_END);
            break;
        case ROLE_TOOL: render_tool(renderer, i, render_content(renderer, message, true)); break;
        default: break; /* the template drops system messages behind the first message */
        }
    }
    if (renderer->options->add_generation_prompt)
        open_turn(renderer, "assistant\n");
}

static void render_qwen2(struct renderer *renderer)
{
    if (renderer->messages->messages[0].role != ROLE_SYSTEM)
        qvl_bytes_text(renderer->out, IM_START "system\nYou are a helpful assistant." IM_END);
    for (int64_t i = 0; i < renderer->messages->count; i++) {
        const struct message *message = &renderer->messages->messages[i];
        render_turn(renderer, message_role_names[message->role], render_content(renderer, message, true));
    }
    if (renderer->options->add_generation_prompt)
        open_turn(renderer, "assistant\n");
}

static struct range strip_newlines(const char *text, struct range range, bool left, bool right)
{
    while (left && range.start < range.end && text[range.start] == '\n')
        range.start++;
    while (right && range.end > range.start && text[range.end - 1] == '\n')
        range.end--;
    return range;
}

/* The place of the first or last occurrence of `word` in a range, or SIZE_MAX. */
static size_t find_word(const char *text, struct range range, const char *word, bool last)
{
    size_t found = SIZE_MAX, length = strlen(word);
    for (size_t at = range.start; at + length <= range.end; at++) {
        const char *hit = memchr(text + at, word[0], range.end - length + 1 - at);
        if (!hit)
            break;
        at = (size_t)(hit - text);
        if (memcmp(hit, word, length) != 0)
            continue;
        found = at;
        if (!last)
            break;
    }
    return found;
}

/* The last user message that is not wholly a tool response; the last message if there is none. */
static int64_t last_query(struct renderer *renderer)
{
    static const char open[] = "<tool_response>", close[] = "</tool_response>";
    const size_t open_size = sizeof open - 1, close_size = sizeof close - 1;
    for (int64_t i = renderer->messages->count - 1; i >= 0; i--) {
        if (renderer->messages->messages[i].role != ROLE_USER)
            continue;
        size_t size = render_content(renderer, &renderer->messages->messages[i], false).end;
        const char *text = renderer->content.data;
        if (size < open_size || memcmp(text, open, open_size) != 0 || size < close_size ||
            memcmp(text + size - close_size, close, close_size) != 0)
            return i;
    }
    return renderer->messages->count - 1;
}

/* Split "<think>R</think>TEXT", as rendered into `content`, at the outermost tags. */
static void split_reasoning(const char *text, struct range *content, struct range *reasoning)
{
    size_t close = find_word(text, *content, "</think>", false);
    if (close == SIZE_MAX)
        return;
    size_t rest = find_word(text, *content, "</think>", true) + strlen("</think>");
    *reasoning = strip_newlines(text, (struct range){content->start, close}, false, true);
    size_t open = find_word(text, *reasoning, "<think>", true);
    if (open != SIZE_MAX)
        reasoning->start = open + strlen("<think>");
    *reasoning = strip_newlines(text, *reasoning, true, false);
    *content = strip_newlines(text, (struct range){rest, content->end}, true, false);
}

/* Reasoning is kept behind the last user query, and only in the last message or where there is some. */
static void render_thinking_assistant(struct renderer *renderer, const struct message *message,
                                      bool after_query, bool last)
{
    struct range content = render_content(renderer, message, true), reasoning = {0, 0};
    struct span given = message->reasoning;
    if (!given.text)
        split_reasoning(renderer->content.data, &content, &reasoning);
    bool after_text = content.end > content.start;
    open_turn(renderer, "assistant\n");
    if (after_query && (last || (given.text ? given.size > 0 : reasoning.end > reasoning.start))) {
        qvl_bytes_text(renderer->out, "<think>\n");
        if (given.text) {
            struct range kept = strip_newlines(given.text, (struct range){0, given.size}, true, true);
            qvl_bytes_append(renderer->out, given.text + kept.start, kept.end - kept.start);
        } else {
            emit(renderer, strip_newlines(renderer->content.data, reasoning, true, true));
        }
        qvl_bytes_text(renderer->out, "\n</think>\n\n");
        content = strip_newlines(renderer->content.data, content, true, false);
    }
    emit(renderer, content);
    render_calls(renderer, message, after_text);
    qvl_bytes_text(renderer->out, IM_END);
}

static void render_thinking(struct renderer *renderer)
{
    int64_t query = last_query(renderer), count = renderer->messages->count;
    render_system(renderer);
    for (int64_t i = 0; i < count; i++) {
        const struct message *message = &renderer->messages->messages[i];
        if (message->role == ROLE_ASSISTANT) {
            render_thinking_assistant(renderer, message, i > query, i + 1 == count);
            continue;
        }
        struct range content = render_content(renderer, message, true);
        if (message->role == ROLE_TOOL)
            render_tool(renderer, i, content);
        else if (message->role == ROLE_USER || i > 0)
            render_turn(renderer, message_role_names[message->role], content);
    }
    if (renderer->options->add_generation_prompt)
        open_turn(renderer, "assistant\n<think>\n");
}

enum qvl_status chat_template_render(const struct qvl_messages *messages,
                                     const struct qvl_render_options *options, struct qvl_bytes *out,
                                     int64_t *shown, int64_t *shown_count, struct qvl_error *error)
{
    struct renderer renderer = {
        .messages = messages, .options = options, .out = out, .shown = shown, .shown_count = shown_count};
    *shown_count = 0;
    renderer.marks = calloc((size_t)messages->media_count + 1, sizeof *renderer.marks);
    bool good = renderer.marks && qvl_bytes_reserve(&renderer.content, 1);
    if (good && options->template == QVL_TEMPLATE_QWEN3_INSTRUCT)
        render_instruct(&renderer);
    else if (good && options->template == QVL_TEMPLATE_QWEN3_THINKING)
        render_thinking(&renderer);
    else if (good)
        render_qwen2(&renderer);
    good = good && !renderer.content.failed && !out->failed;
    free(renderer.marks);
    qvl_bytes_free(&renderer.content);
    return good ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "out of memory while rendering the chat");
}
