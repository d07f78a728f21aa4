/* Which chat template a checkpoint folder carries, told by marks in its text. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/messages.h"

#define MAX_TEMPLATE_BYTES ((size_t)16 << 20)

static enum qvl_template classify(const char *text)
{
    static const char generation[] = "add_generation_prompt";
    const char *last = NULL;
    for (const char *at = strstr(text, generation); at; at = strstr(at + 1, generation))
        last = at;
    if (last && strstr(last, "<think>"))
        return QVL_TEMPLATE_QWEN3_THINKING;
    if (strstr(text, "You are a helpful assistant.") && strstr(text, "loop.first"))
        return QVL_TEMPLATE_QWEN2;
    return QVL_TEMPLATE_QWEN3_INSTRUCT;
}

/* The value of `chat_template` in a JSON file: a string, or a list of {"name", "template"} of which "default"
 * or else the first counts. */
static enum qvl_status classify_json(const char *path, enum qvl_template *template, bool *found,
                                     struct qvl_error *error)
{
    cJSON *tree = NULL;
    QVL_TRY(qvl_json_read(path, &tree, error));
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, "chat_template"), *chosen = NULL, *entry;
    if (cJSON_IsArray(value)) {
        cJSON_ArrayForEach(entry, value)
        {
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(entry, "name");
            bool is_default = cJSON_IsString(name) && strcmp(name->valuestring, "default") == 0;
            if (!chosen || is_default)
                chosen = cJSON_GetObjectItemCaseSensitive(entry, "template");
        }
        value = chosen;
    }
    const char *text = cJSON_GetStringValue(value);
    *found = text != NULL;
    if (text)
        *template = classify(text);
    cJSON_Delete(tree);
    return QVL_OK;
}

static enum qvl_status classify_file(const char *folder, const char *name, enum qvl_template *template,
                                     bool *found, struct qvl_error *error)
{
    char *path, *text;
    size_t size;
    QVL_TRY(qvl_path_join(folder, name, &path, error));
    enum qvl_status status = QVL_OK;
    if (!qvl_file_exists(path)) {
        *found = false;
    } else if (strstr(name, ".json")) {
        status = classify_json(path, template, found, error);
    } else {
        status = qvl_file_read(path, MAX_TEMPLATE_BYTES, &text, &size, error);
        if (status == QVL_OK) {
            *template = classify(text);
            *found = true;
            free(text);
        }
    }
    free(path);
    return status;
}

enum qvl_status qvl_template_detect(const char *folder, enum qvl_template *template, struct qvl_error *error)
{
    static const char *const names[] = {"chat_template.jinja", "chat_template.json", "tokenizer_config.json"};
    bool found = false;
    *template = QVL_TEMPLATE_QWEN3_INSTRUCT;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        QVL_TRY(classify_file(folder, names[i], template, &found, error));
    return QVL_OK;
}
