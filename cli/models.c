#include "cli/models.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "reports/text.h"

#define QWEN3_PREFIX "qwen3-vl-"

static enum qvl_status copy_string(const struct qvl_json *at, const char *key, char **copy,
                                   struct qvl_error *error)
{
    const char *value;
    QVL_TRY(qvl_json_string(at, key, &value, error));
    *copy = strdup(value);
    return *copy ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for the facts of %s", at->file);
}

static enum qvl_status read_facts(const struct qvl_json *at, struct qvl_model_facts *facts,
                                  struct qvl_error *error)
{
    struct qvl_json keys;
    struct qvl_text list = {0};
    int64_t count;
    size_t size;
    QVL_TRY(copy_string(at, "title", &facts->title, error));
    QVL_TRY(copy_string(at, "family", &facts->family, error));
    QVL_TRY(copy_string(at, "source", &facts->source, error));
    QVL_TRY(qvl_json_bool(at, "verified", &facts->verified, error));
    QVL_TRY(qvl_json_array(at, "unverified", &keys, &count, error));
    for (int64_t i = 0; i < count; i++) {
        const char *key;
        struct qvl_json item = qvl_json_item(&keys, i);
        enum qvl_status status = qvl_json_string(&item, NULL, &key, error);
        if (status != QVL_OK) {
            qvl_text_free(&list);
            return status;
        }
        qvl_text_print(&list, "%s%s", i ? ", " : "", key);
    }
    return qvl_text_take(&list, &facts->unverified, &size, error);
}

enum qvl_status qvl_model_facts_read(const struct qvl_model_table *table, struct qvl_model_facts *facts,
                                     struct qvl_error *error)
{
    cJSON *root;
    *facts = (struct qvl_model_facts){0};
    QVL_TRY(qvl_json_parse(table->json, table->size, table->name, &root, error));
    struct qvl_json at = qvl_json_at_root(root, table->name);
    enum qvl_status status = read_facts(&at, facts, error);
    cJSON_Delete(root);
    if (status != QVL_OK)
        qvl_model_facts_free(facts);
    return status;
}

void qvl_model_facts_free(struct qvl_model_facts *facts)
{
    if (!facts)
        return;
    free(facts->title);
    free(facts->family);
    free(facts->source);
    free(facts->unverified);
    *facts = (struct qvl_model_facts){0};
}

bool qvl_model_is_released_qwen3(const struct qvl_model_table *table)
{
    return strncmp(table->name, QWEN3_PREFIX, strlen(QWEN3_PREFIX)) == 0;
}

enum qvl_status qvl_model_find(const char *name, const struct qvl_model_table **table,
                               struct qvl_error *error)
{
    char known[512] = "";
    for (int64_t i = 0; i < qvl_model_table_count(); i++) {
        const struct qvl_model_table *candidate = qvl_model_table_get(i);
        bool by_size = qvl_model_is_released_qwen3(candidate) &&
                       strcasecmp(candidate->name + strlen(QWEN3_PREFIX), name) == 0;
        if (by_size || strcasecmp(candidate->name, name) == 0) {
            *table = candidate;
            return QVL_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", candidate->name);
    }
    return qvl_fail(error, QVL_USAGE, "there is no model \"%s\"; known: %s, or a config.json with --config",
                    name, known);
}

enum qvl_status qvl_model_config_at(const char *path, struct qvl_model_config *config, char *name,
                                    size_t size, struct qvl_error *error)
{
    const bool folder = qvl_folder_exists(path);
    QVL_TRY(folder ? qvl_model_config_read(path, config, error)
                   : qvl_model_config_read_file(path, config, error));
    char *resolved = realpath(path, NULL);
    if (!resolved)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: cannot be resolved: %s", path, strerror(errno));
    snprintf(name, size, "%s", basename(folder ? resolved : dirname(resolved)));
    free(resolved);
    return QVL_OK;
}
