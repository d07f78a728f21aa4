#include "model/messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/messages_parts.h"

#define MAX_FILE_BYTES ((size_t)1 << 30) /* data: URLs may be long */

const char *const message_role_names[ROLE_COUNT] = {"system", "user", "assistant", "tool"};

enum qvl_status message_fail(const struct message_place *place, const char *key, struct qvl_error *error,
                             const char *format, ...)
{
    char what[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return qvl_fail(error, QVL_BAD_INPUT, "%.200s: %s%s%s: %s", place->name, place->path, key ? "." : "",
                    key ? key : "", what);
}

static struct span span_of(const struct qvl_json_node *node)
{
    return (struct span){.text = node->text, .size = node->size};
}

static bool is_string(const struct qvl_json_node *node, const char *text)
{
    return node && node->kind == QVL_JSON_STRING && node->size == strlen(text) &&
           memcmp(node->text, text, node->size) == 0;
}

static enum qvl_status out_of_memory(const struct message_place *place, struct qvl_error *error)
{
    return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory at %s", place->name, place->path);
}

static enum qvl_status add_media(struct qvl_messages *messages, const struct qvl_json_node *part,
                                 bool is_video, const char *folder, const struct message_place *place,
                                 struct qvl_error *error)
{
    void *items = messages->media_items;
    bool good = qvl_array_reserve(&items, &messages->media_capacity, (size_t)messages->media_count + 1,
                                  sizeof *messages->media_items);
    messages->media_items = items;
    if (!good)
        return out_of_memory(place, error);
    QVL_TRY(message_media_read(part, is_video, folder, place, &messages->media_items[messages->media_count],
                               error));
    messages->media_count++;
    return QVL_OK;
}

/* Whether a part names a kind that the template does not know, together with its value. The template drops
 * it. */
static bool is_foreign(const struct qvl_json_node *part, const struct qvl_json_node *type)
{
    return type && type->kind == QVL_JSON_STRING && !is_string(type, "text") &&
           qvl_json_tree_member(part, type->text);
}

/* A part is an image if its type says so or it has the key; else a video likewise; else text. */
static enum qvl_status read_part(struct qvl_messages *messages, const struct qvl_json_node *node,
                                 const char *folder, const struct message_place *place,
                                 struct message_part *part, struct qvl_error *error)
{
    *part = (struct message_part){.media_item = -1};
    if (node->kind != QVL_JSON_OBJECT)
        return message_fail(place, NULL, error,
                            "must be an object such as {\"type\": \"text\", \"text\": ...}");
    const struct qvl_json_node *type = qvl_json_tree_member(node, "type");
    const struct qvl_json_node *text = qvl_json_tree_member(node, "text");
    bool image = is_string(type, "image") || qvl_json_tree_member(node, "image") ||
                 qvl_json_tree_member(node, "image_url");
    bool video = !image && (is_string(type, "video") || qvl_json_tree_member(node, "video"));
    if (text && text->kind != QVL_JSON_STRING)
        return message_fail(place, "text", error, "must be a string");
    if (text)
        part->text = span_of(text);
    if (image || video) {
        part->media_item = messages->media_count;
        return add_media(messages, node, video, folder, place, error);
    }
    if (is_string(type, "text") && !text)
        return message_fail(place, "text", error, "the key is missing");
    if (!text && !is_foreign(node, type))
        return message_fail(place, NULL, error, "has none of the keys text, image, image_url, video");
    return QVL_OK;
}

static enum qvl_status read_content_list(struct qvl_messages *messages, const struct qvl_json_node *content,
                                         const char *folder, const struct message_place *place,
                                         struct message *message, struct qvl_error *error)
{
    for (const struct qvl_json_node *node = content->first; node; node = node->next) {
        struct message_place part = {.name = place->name};
        snprintf(part.path, sizeof part.path, "%.48s.content[%lld]", place->path,
                 (long long)message->part_count);
        QVL_TRY(read_part(messages, node, folder, &part, &message->parts[message->part_count], error));
        message->part_count++;
    }
    return QVL_OK;
}

/* `content` may be absent or null in an assistant message that calls tools. */
static enum qvl_status read_content(struct qvl_messages *messages, const struct qvl_json_node *node,
                                    const char *folder, const struct message_place *place,
                                    struct message *message, struct qvl_error *error)
{
    const struct qvl_json_node *content = qvl_json_tree_member(node, "content");
    if (!content || content->kind == QVL_JSON_NULL) {
        if (message->call_count > 0)
            return QVL_OK;
        return message_fail(place, "content", error, content ? "must not be null" : "the key is missing");
    }
    bool list = content->kind == QVL_JSON_ARRAY;
    if (!list && content->kind != QVL_JSON_STRING)
        return message_fail(place, "content", error, "must be a string or a list of parts");
    message->has_content = list ? content->count > 0 : content->size > 0;
    if (!message->has_content)
        return QVL_OK;
    message->parts = calloc(list ? (size_t)content->count : 1, sizeof *message->parts);
    if (!message->parts)
        return out_of_memory(place, error);
    if (list)
        return read_content_list(messages, content, folder, place, message, error);
    message->parts[message->part_count++] = (struct message_part){.text = span_of(content), .media_item = -1};
    return QVL_OK;
}

static enum qvl_status read_call(const struct qvl_json_node *node, const struct message_place *place,
                                 struct tool_call *call, struct qvl_error *error)
{
    const struct qvl_json_node *function = qvl_json_tree_member(node, "function");
    if (function && function->kind == QVL_JSON_OBJECT && function->count > 0)
        node = function;
    const struct qvl_json_node *name = qvl_json_tree_member(node, "name");
    call->arguments = qvl_json_tree_member(node, "arguments");
    if (!name || name->kind != QVL_JSON_STRING)
        return message_fail(place, "name", error, name ? "must be a string" : "the key is missing");
    if (!call->arguments)
        return message_fail(place, "arguments", error, "the key is missing");
    call->name = span_of(name);
    return QVL_OK;
}

static enum qvl_status read_calls(const struct qvl_json_node *node, const struct message_place *place,
                                  struct message *message, struct qvl_error *error)
{
    const struct qvl_json_node *calls = qvl_json_tree_member(node, "tool_calls");
    if (message->role != ROLE_ASSISTANT || !calls || calls->kind == QVL_JSON_NULL)
        return QVL_OK;
    if (calls->kind != QVL_JSON_ARRAY)
        return message_fail(place, "tool_calls", error, "must be a list");
    if (calls->count == 0)
        return QVL_OK;
    message->calls = calloc((size_t)calls->count, sizeof *message->calls);
    if (!message->calls)
        return out_of_memory(place, error);
    for (const struct qvl_json_node *call = calls->first; call; call = call->next) {
        struct message_place at = {.name = place->name};
        snprintf(at.path, sizeof at.path, "%.48s.tool_calls[%lld]", place->path,
                 (long long)message->call_count);
        QVL_TRY(read_call(call, &at, &message->calls[message->call_count], error));
        message->call_count++;
    }
    return QVL_OK;
}

static enum qvl_status read_message(struct qvl_messages *messages, const struct qvl_json_node *node,
                                    const char *folder, const struct message_place *place,
                                    struct message *message, struct qvl_error *error)
{
    if (node->kind != QVL_JSON_OBJECT)
        return message_fail(place, NULL, error, "must be an object with role and content");
    const struct qvl_json_node *role = qvl_json_tree_member(node, "role");
    if (!role)
        return message_fail(place, "role", error, "the key is missing");
    while (message->role < ROLE_COUNT && !is_string(role, message_role_names[message->role]))
        message->role++;
    if (message->role == ROLE_COUNT)
        return message_fail(place, "role", error, "\"%.60s\" is not one of system, user, assistant, tool",
                            role->kind == QVL_JSON_STRING ? role->text : "(not a string)");
    const struct qvl_json_node *reasoning = qvl_json_tree_member(node, "reasoning_content");
    if (reasoning && reasoning->kind == QVL_JSON_STRING)
        message->reasoning = span_of(reasoning);
    QVL_TRY(read_calls(node, place, message, error));
    return read_content(messages, node, folder, place, message, error);
}

static enum qvl_status read_messages(struct qvl_messages *messages, const char *name, const char *folder,
                                     struct qvl_error *error)
{
    const struct qvl_json_node *root = qvl_json_tree_root(messages->json);
    if (root->kind != QVL_JSON_ARRAY || root->count == 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: must be a JSON array of at least one message", name);
    messages->messages = calloc((size_t)root->count, sizeof *messages->messages);
    if (!messages->messages)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory for %lld messages", name,
                        (long long)root->count);
    for (const struct qvl_json_node *node = root->first; node; node = node->next) {
        struct message_place place = {.name = name};
        snprintf(place.path, sizeof place.path, "messages[%lld]", (long long)messages->count);
        struct message *message = &messages->messages[messages->count++];
        QVL_TRY(read_message(messages, node, folder, &place, message, error));
    }
    return QVL_OK;
}

static enum qvl_status read_tools(struct qvl_messages *messages, const char *json, size_t size,
                                  const char *name, struct qvl_error *error)
{
    int64_t index = 0;
    QVL_TRY(qvl_json_tree_parse(json, size, name, &messages->tools_json, error));
    const struct qvl_json_node *root = qvl_json_tree_root(messages->tools_json);
    if (root->kind != QVL_JSON_ARRAY)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: must be a JSON array of tool definitions", name);
    for (const struct qvl_json_node *node = root->first; node; node = node->next, index++)
        if (node->kind != QVL_JSON_OBJECT)
            return qvl_fail(error, QVL_BAD_INPUT, "%s: tools[%lld]: must be an object", name,
                            (long long)index);
    messages->tools = root->count > 0 ? root : NULL;
    return QVL_OK;
}

/* Which media one template shows, found by rendering it; `indices` has room for all of them. */
static enum qvl_status find_shown_by(struct qvl_messages *messages, enum qvl_template template,
                                     int64_t *indices, struct qvl_error *error)
{
    struct qvl_render_options options = {.template = template};
    struct qvl_bytes text = {.size = 0};
    int64_t count = 0;
    enum qvl_status status = chat_template_render(messages, &options, &text, indices, &count, error);
    qvl_bytes_free(&text);
    if (status != QVL_OK)
        return status;
    struct qvl_media_item *shown = calloc((size_t)count + 1, sizeof *shown);
    if (!shown)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory for %lld media", (long long)count);
    for (int64_t i = 0; i < count; i++)
        shown[i] = messages->media_items[indices[i]];
    messages->shown[template] = shown;
    messages->shown_count[template] = count;
    return QVL_OK;
}

static enum qvl_status find_shown(struct qvl_messages *messages, struct qvl_error *error)
{
    int64_t *indices = malloc((size_t)(messages->media_count + 1) * sizeof *indices);
    if (!indices)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory for %lld media",
                        (long long)messages->media_count);
    enum qvl_status status = QVL_OK;
    for (int template = 0; status == QVL_OK && template <TEMPLATE_COUNT; template ++)
        status = find_shown_by(messages, (enum qvl_template) template, indices, error);
    free(indices);
    return status;
}

static enum qvl_status parse(const char *json, size_t size, const char *name, const char *folder,
                             const char *tools, size_t tools_size, const char *tools_name,
                             struct qvl_messages **messages, struct qvl_error *error)
{
    *messages = calloc(1, sizeof **messages);
    if (!*messages)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", name);
    enum qvl_status status = qvl_json_tree_parse(json, size, name, &(*messages)->json, error);
    if (status == QVL_OK)
        status = read_messages(*messages, name, folder, error);
    if (status == QVL_OK && tools)
        status = read_tools(*messages, tools, tools_size, tools_name, error);
    if (status == QVL_OK)
        status = find_shown(*messages, error);
    if (status != QVL_OK) {
        qvl_messages_destroy(*messages);
        *messages = NULL;
    }
    return status;
}

enum qvl_status qvl_messages_parse(const char *json, const char *base_folder, const char *tools_json,
                                   struct qvl_messages **messages, struct qvl_error *error)
{
    return parse(json, strlen(json), "messages", base_folder, tools_json, tools_json ? strlen(tools_json) : 0,
                 "tools", messages, error);
}

enum qvl_status qvl_messages_read(const char *file, const char *tools_file, struct qvl_messages **messages,
                                  struct qvl_error *error)
{
    char *json = NULL, *tools = NULL, *folder = NULL;
    size_t size = 0, tools_size = 0;
    *messages = NULL;
    enum qvl_status status = qvl_path_folder(file, &folder, error);
    if (status == QVL_OK)
        status = qvl_file_read(file, MAX_FILE_BYTES, &json, &size, error);
    if (status == QVL_OK && tools_file)
        status = qvl_file_read(tools_file, MAX_FILE_BYTES, &tools, &tools_size, error);
    if (status == QVL_OK)
        status = parse(json, size, file, folder, tools, tools_size, tools_file, messages, error);
    free(folder);
    free(json);
    free(tools);
    return status;
}

void qvl_messages_destroy(struct qvl_messages *messages)
{
    if (!messages)
        return;
    for (int64_t i = 0; i < messages->count; i++) {
        free(messages->messages[i].parts);
        free(messages->messages[i].calls);
    }
    for (int64_t i = 0; i < messages->media_count; i++)
        message_media_free(&messages->media_items[i]);
    for (int template = 0; template <TEMPLATE_COUNT; template ++)
        free(messages->shown[template]);
    free(messages->messages);
    free(messages->media_items);
    qvl_json_tree_destroy(messages->json);
    qvl_json_tree_destroy(messages->tools_json);
    free(messages);
}

enum qvl_status qvl_messages_render(const struct qvl_messages *messages,
                                    const struct qvl_render_options *options, char **text, size_t *size,
                                    const struct qvl_media_item **items, int64_t *item_count,
                                    struct qvl_error *error)
{
    struct qvl_bytes out = {.size = 0};
    int64_t count = 0;
    int64_t *indices = malloc((size_t)(messages->media_count + 1) * sizeof *indices);
    enum qvl_status status = indices ? chat_template_render(messages, options, &out, indices, &count, error)
                                     : qvl_fail(error, QVL_NO_MEMORY, "out of memory for %lld media",
                                                (long long)messages->media_count);
    free(indices);
    if (status != QVL_OK) {
        qvl_bytes_free(&out);
        return status;
    }
    *items = messages->shown[options->template];
    *item_count = messages->shown_count[options->template];
    return qvl_bytes_take(&out, text, size, error);
}
