#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define JSON_FILE_BYTES ((size_t)256 << 20)

/* Line and column (both from 1, in bytes) of an offset. */
static void locate(const char *text, size_t offset, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            ++*column;
        }
    }
}

static enum qvl_status fail_at(const char *text, size_t offset, const char *name, const char *what,
                               struct qvl_error *error)
{
    size_t line, column;
    locate(text, offset, &line, &column);
    return qvl_fail(error, QVL_BAD_INPUT, "%s: line %zu, column %zu: %s", name, line, column, what);
}

/* What cJSON accepts but cannot represent: zero characters, and nesting that only exhausts the stack. */
static enum qvl_status scan(const char *text, size_t size, const char *name, struct qvl_error *error)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '\0')
            return fail_at(text, i, name, "a zero byte is not JSON text", error);
        if (quoted) {
            if (c == '\\') {
                if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                    return fail_at(text, i, name, "the character \\u0000 is not supported", error);
                i++;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > QVL_JSON_MAX_DEPTH)
                return fail_at(text, i, name, "nested too deeply", error);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return QVL_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Refuse repeated keys, in this object and below; `count` keys are sorted, so large objects stay cheap. */
static enum qvl_status check_keys(const cJSON *node, const char *name, struct qvl_error *error)
{
    const cJSON *child;
    size_t count = 0;
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            QVL_TRY(check_keys(child, name, error));
        count++;
    }
    if (!cJSON_IsObject(node) || count < 2)
        return QVL_OK;
    const char **keys = malloc(count * sizeof *keys);
    if (!keys)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: %zu bytes of memory are not available", name,
                        count * sizeof *keys);
    count = 0;
    cJSON_ArrayForEach(child, node) keys[count++] = child->string;
    qsort(keys, count, sizeof *keys, compare_names);
    enum qvl_status status = QVL_OK;
    for (size_t i = 1; i < count && status == QVL_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = qvl_fail(error, QVL_BAD_INPUT,
                              "%s: the key \"%.200s\" occurs twice in one object; remove one", name, keys[i]);
    free(keys);
    return status;
}

enum qvl_status qvl_json_parse(const char *text, size_t size, const char *name, cJSON **root,
                               struct qvl_error *error)
{
    QVL_TRY(scan(text, size, name, error));
    const char *end = text;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    if (!tree)
        return fail_at(text, end ? (size_t)(end - text) : 0, name, "not valid JSON here", error);
    size_t offset = (size_t)(end - text);
    while (offset < size && strchr(" \t\r\n", text[offset]))
        offset++;
    enum qvl_status status = QVL_OK;
    if (offset < size)
        status = fail_at(text, offset, name, "text after the end of the JSON value", error);
    else
        status = check_keys(tree, name, error);
    if (status != QVL_OK) {
        cJSON_Delete(tree);
        return status;
    }
    *root = tree;
    return QVL_OK;
}

enum qvl_status qvl_json_read(const char *path, cJSON **root, struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_file_read(path, JSON_FILE_BYTES, &text, &size, error));
    enum qvl_status status = qvl_json_parse(text, size, path, root, error);
    free(text);
    return status;
}

struct qvl_json qvl_json_at_root(const cJSON *root, const char *file)
{
    return (struct qvl_json){.node = root, .file = file};
}

int qvl_json_record(const struct qvl_json *at, const char *key, struct qvl_error *error, const char *format,
                    ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (!key && !at->path[0])
        return qvl_record(error, QVL_BAD_INPUT, "%s: %s", at->file, what);
    return qvl_record(error, QVL_BAD_INPUT, "%s: %s%s%s: %s", at->file, at->path,
                      key && at->path[0] ? "." : "", key ? key : "", what);
}

/* The named member, or the place itself without a key; NULL when absent or null. */
static const cJSON *lookup(const struct qvl_json *at, const char *key)
{
    const cJSON *node = at->node;
    if (key)
        node = cJSON_IsObject(node) ? cJSON_GetObjectItemCaseSensitive(node, key) : NULL;
    return node && !cJSON_IsNull(node) ? node : NULL;
}

bool qvl_json_has(const struct qvl_json *at, const char *key)
{
    return lookup(at, key) != NULL;
}

static const char *type_name(const cJSON *node)
{
    if (cJSON_IsObject(node))
        return "an object";
    if (cJSON_IsArray(node))
        return "an array";
    if (cJSON_IsString(node))
        return "a string";
    if (cJSON_IsNumber(node))
        return "a number";
    return cJSON_IsBool(node) ? "a boolean" : "null";
}

/* The node, or an error when it is absent. */
static enum qvl_status require(const struct qvl_json *at, const char *key, const cJSON **node,
                               struct qvl_error *error)
{
    if (key && !cJSON_IsObject(at->node))
        return qvl_json_fail(at, NULL, error, "an object with the key \"%s\" is needed, found %s", key,
                             type_name(at->node));
    *node = lookup(at, key);
    return *node ? QVL_OK : qvl_json_fail(at, key, error, "missing, but required");
}

enum qvl_status qvl_json_member(const struct qvl_json *at, const char *key, struct qvl_json *child,
                                struct qvl_error *error)
{
    const cJSON *node;
    QVL_TRY(require(at, key, &node, error));
    struct qvl_json result = {.node = node, .file = at->file};
    snprintf(result.path, sizeof result.path, "%.94s%s%.94s", at->path, at->path[0] ? "." : "", key);
    *child = result;
    return QVL_OK;
}

enum qvl_status qvl_json_object(const struct qvl_json *at, const char *key, struct qvl_json *child,
                                struct qvl_error *error)
{
    QVL_TRY(qvl_json_member(at, key, child, error));
    if (!cJSON_IsObject(child->node))
        return qvl_json_fail(child, NULL, error, "an object is needed, found %s", type_name(child->node));
    return QVL_OK;
}

enum qvl_status qvl_json_array(const struct qvl_json *at, const char *key, struct qvl_json *child,
                               int64_t *count, struct qvl_error *error)
{
    QVL_TRY(qvl_json_member(at, key, child, error));
    if (!cJSON_IsArray(child->node))
        return qvl_json_fail(child, NULL, error, "an array is needed, found %s", type_name(child->node));
    *count = cJSON_GetArraySize(child->node);
    return QVL_OK;
}

struct qvl_json qvl_json_child(const struct qvl_json *array, const cJSON *node, int64_t index)
{
    struct qvl_json result = {.node = node, .file = array->file};
    snprintf(result.path, sizeof result.path, "%.160s[%lld]", array->path, (long long)index);
    return result;
}

struct qvl_json qvl_json_item(const struct qvl_json *array, int64_t index)
{
    return qvl_json_child(array, cJSON_GetArrayItem(array->node, (int)index), index);
}

enum qvl_status qvl_json_double(const struct qvl_json *at, const char *key, double *value,
                                struct qvl_error *error)
{
    const cJSON *node;
    QVL_TRY(require(at, key, &node, error));
    if (!cJSON_IsNumber(node))
        return qvl_json_fail(at, key, error, "a number is needed, found %s", type_name(node));
    if (!isfinite(node->valuedouble))
        return qvl_json_fail(at, key, error, "the number is too large");
    *value = node->valuedouble;
    return QVL_OK;
}

enum qvl_status qvl_json_int64(const struct qvl_json *at, const char *key, int64_t *value,
                               struct qvl_error *error)
{
    double number;
    QVL_TRY(qvl_json_double(at, key, &number, error));
    if (number != floor(number))
        return qvl_json_fail(at, key, error, "a whole number is needed, found %.17g", number);
    if (fabs(number) > 0x1p53)
        return qvl_json_fail(at, key, error, "%.17g is outside the whole numbers supported (+-2^53)", number);
    *value = (int64_t)number;
    return QVL_OK;
}

enum qvl_status qvl_json_bool(const struct qvl_json *at, const char *key, bool *value,
                              struct qvl_error *error)
{
    const cJSON *node;
    QVL_TRY(require(at, key, &node, error));
    if (!cJSON_IsBool(node))
        return qvl_json_fail(at, key, error, "true or false is needed, found %s", type_name(node));
    *value = cJSON_IsTrue(node);
    return QVL_OK;
}

enum qvl_status qvl_json_string(const struct qvl_json *at, const char *key, const char **value,
                                struct qvl_error *error)
{
    const cJSON *node;
    QVL_TRY(require(at, key, &node, error));
    if (!cJSON_IsString(node))
        return qvl_json_fail(at, key, error, "a string is needed, found %s", type_name(node));
    *value = node->valuestring;
    return QVL_OK;
}

enum qvl_status qvl_json_int64_or(const struct qvl_json *at, const char *key, int64_t otherwise,
                                  int64_t *value, struct qvl_error *error)
{
    *value = otherwise;
    return qvl_json_has(at, key) ? qvl_json_int64(at, key, value, error) : QVL_OK;
}

enum qvl_status qvl_json_double_or(const struct qvl_json *at, const char *key, double otherwise,
                                   double *value, struct qvl_error *error)
{
    *value = otherwise;
    return qvl_json_has(at, key) ? qvl_json_double(at, key, value, error) : QVL_OK;
}

enum qvl_status qvl_json_bool_or(const struct qvl_json *at, const char *key, bool otherwise, bool *value,
                                 struct qvl_error *error)
{
    *value = otherwise;
    return qvl_json_has(at, key) ? qvl_json_bool(at, key, value, error) : QVL_OK;
}

enum qvl_status qvl_json_string_or(const struct qvl_json *at, const char *key, const char *otherwise,
                                   const char **value, struct qvl_error *error)
{
    *value = otherwise;
    return qvl_json_has(at, key) ? qvl_json_string(at, key, value, error) : QVL_OK;
}

enum qvl_status qvl_json_int64s(const struct qvl_json *at, const char *key, int64_t capacity, int64_t *values,
                                int64_t *count, struct qvl_error *error)
{
    struct qvl_json array;
    const cJSON *node;
    int64_t index = 0;
    QVL_TRY(qvl_json_array(at, key, &array, count, error));
    if (*count > capacity)
        return qvl_json_fail(&array, NULL, error, "%lld elements, at most %lld are supported",
                             (long long)*count, (long long)capacity);
    cJSON_ArrayForEach(node, array.node)
    {
        struct qvl_json item = qvl_json_child(&array, node, index);
        QVL_TRY(qvl_json_int64(&item, NULL, &values[index], error));
        index++;
    }
    return QVL_OK;
}
