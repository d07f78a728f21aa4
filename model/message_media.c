/* The image or video that a content part names, and its limits. */
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/messages_parts.h"

#define LARGEST_WHOLE 9007199254740992.0 /* 2^53 */

void message_media_free(struct qvl_media_item *item)
{
    free(item->path);
    free(item->bytes);
    for (int64_t i = 0; i < item->frame_count; i++)
        free(item->frame_paths[i]);
    free(item->frame_paths);
    *item = (struct qvl_media_item){.path = NULL};
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %41 becomes A; in place. */
static void decode_percent(char *text)
{
    char *out = text;
    for (; *text; text++) {
        int high = text[0] == '%' ? hex_digit(text[1]) : -1, low = high >= 0 ? hex_digit(text[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *out++ = (char)(high << 4 | low);
            text += 2;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

/* A path or file: URL into an existing path. As written first, since the original does not decode %XX. */
static enum qvl_status resolve_path(const char *value, const char *folder, const struct message_place *place,
                                    const char *key, char **path, struct qvl_error *error)
{
    bool url = starts_with(value, "file:");
    if (url)
        value += strlen("file:");
    if (url && starts_with(value, "//localhost/"))
        value += strlen("//localhost");
    else if (url && starts_with(value, "//"))
        value += strlen("//");
    QVL_TRY(qvl_path_join(folder, value, path, error));
    if (url && !qvl_file_exists(*path))
        decode_percent(*path);
    if (*value && qvl_file_exists(*path))
        return QVL_OK;
    enum qvl_status status = message_fail(
        place, key, error, "%s: no such file (a relative path starts at the folder of the messages)", *path);
    free(*path);
    *path = NULL;
    return status;
}

/* "data:image/png;base64,iVBOR..." */
static enum qvl_status decode_data_url(const char *value, const struct message_place *place, const char *key,
                                       struct qvl_media_item *item, struct qvl_error *error)
{
    static const char marker[] = ";base64";
    const char *comma = strchr(value, ',');
    size_t marked = sizeof marker - 1;
    if (!comma || comma - value < (ptrdiff_t)marked || memcmp(comma - marked, marker, marked) != 0)
        return message_fail(place, key, error, "a data: URL must be \"data:TYPE;base64,...\"");
    const char *code = comma + 1;
    size_t length = strlen(code), capacity = length / 4 * 3 + 3;
    item->bytes = malloc(capacity);
    if (!item->bytes)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory for a data: URL of %zu bytes", place->name,
                        length);
    static const int variants[] = {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING};
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (sodium_base642bin(item->bytes, capacity, code, length, " \t\r\n", &item->size, NULL,
                              variants[i]) == 0)
            return item->size > 0 ? QVL_OK : message_fail(place, key, error, "the data: URL is empty");
    return message_fail(place, key, error, "the data: URL is not valid base64");
}

static enum qvl_status check_source(const struct qvl_json_node *node, const struct message_place *place,
                                    const char *key, struct qvl_error *error)
{
    if (!node || node->kind != QVL_JSON_STRING || node->size == 0)
        return message_fail(place, key, error, "must be a path, a file: URL or a data: URL");
    if (strlen(node->text) != node->size)
        return message_fail(place, key, error, "a path cannot hold a NUL character");
    if (starts_with(node->text, "http://") || starts_with(node->text, "https://"))
        return message_fail(place, key, error, "%.200s is remote; download it and give its path", node->text);
    return QVL_OK;
}

static enum qvl_status read_frames(const struct qvl_json_node *list, const char *folder,
                                   const struct message_place *place, const char *key,
                                   struct qvl_media_item *item, struct qvl_error *error)
{
    if (list->count == 0)
        return message_fail(place, key, error, "the list of frames is empty");
    item->frame_paths = calloc((size_t)list->count, sizeof *item->frame_paths);
    if (!item->frame_paths)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory for %lld frames", place->name,
                        (long long)list->count);
    for (const struct qvl_json_node *node = list->first; node; node = node->next) {
        char element[64];
        snprintf(element, sizeof element, "%s[%lld]", key, (long long)item->frame_count);
        QVL_TRY(check_source(node, place, element, error));
        if (starts_with(node->text, "data:"))
            return message_fail(place, element, error, "a frame must be a file, not a data: URL");
        QVL_TRY(
            resolve_path(node->text, folder, place, element, &item->frame_paths[item->frame_count], error));
        item->frame_count++;
    }
    return QVL_OK;
}

static enum qvl_status read_source(const struct qvl_json_node *part, const char *folder,
                                   const struct message_place *place, struct qvl_media_item *item,
                                   struct qvl_error *error)
{
    static const char *const image_keys[] = {"image", "image_url", "url", "path", NULL};
    static const char *const video_keys[] = {"video", "video_url", "url", "path", NULL};
    const char *const *keys = item->is_video ? video_keys : image_keys;
    const char *key = keys[0];
    const struct qvl_json_node *node = NULL;
    for (; *keys && !node; keys++) {
        key = *keys;
        node = qvl_json_tree_member(part, key);
    }
    if (!node)
        return message_fail(place, item->is_video ? "video" : "image", error, "the key is missing");
    if (node->kind == QVL_JSON_ARRAY && item->is_video)
        return read_frames(node, folder, place, key, item, error);
    if (node->kind == QVL_JSON_OBJECT)
        node = qvl_json_tree_member(node, "url");
    QVL_TRY(check_source(node, place, key, error));
    if (starts_with(node->text, "data:"))
        return decode_data_url(node->text, place, key, item, error);
    return resolve_path(node->text, folder, place, key, &item->path, error);
}

/* A number above zero under `key`, or -1 when absent or null. */
static enum qvl_status read_limit(const struct qvl_json_node *part, const char *key, bool whole,
                                  const struct message_place *place, double *value, struct qvl_error *error)
{
    const struct qvl_json_node *node = qvl_json_tree_member(part, key);
    *value = -1;
    if (!node || node->kind == QVL_JSON_NULL)
        return QVL_OK;
    if (node->kind == QVL_JSON_NUMBER)
        *value = strtod(node->text, NULL);
    if (!(*value > 0 && *value <= LARGEST_WHOLE) || (whole && *value != floor(*value)))
        return message_fail(place, key, error, "must be %s above zero",
                            whole ? "a whole number" : "a number");
    return QVL_OK;
}

static enum qvl_status read_limits(const struct qvl_json_node *part, const struct message_place *place,
                                   struct qvl_media_item *item, struct qvl_error *error)
{
    static const char *const keys[] = {"min_pixels", "max_pixels", "total_pixels", "num_frames"};
    int64_t *const targets[] = {&item->min_pixels, &item->max_pixels, &item->total_pixels, &item->num_frames};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        double value;
        QVL_TRY(read_limit(part, keys[i], true, place, &value, error));
        *targets[i] = (int64_t)value;
    }
    return read_limit(part, "fps", false, place, &item->fps, error);
}

enum qvl_status message_media_read(const struct qvl_json_node *part, bool is_video, const char *folder,
                                   const struct message_place *place, struct qvl_media_item *item,
                                   struct qvl_error *error)
{
    *item = (struct qvl_media_item){.is_video = is_video};
    enum qvl_status status = read_limits(part, place, item, error);
    if (status == QVL_OK)
        status = read_source(part, folder, place, item, error);
    if (status != QVL_OK)
        message_media_free(item);
    return status;
}
