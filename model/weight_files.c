#include "model/weight_files.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"

static enum qvl_status no_memory(const char *folder, struct qvl_error *error)
{
    return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for the list of tensors", folder);
}

static enum qvl_status open_file(const char *path, struct qvl_weight_files *files, struct qvl_error *error)
{
    struct qvl_safetensors **larger =
        realloc(files->files, ((size_t)files->file_count + 1) * sizeof(struct qvl_safetensors *));
    if (!larger)
        return no_memory(path, error);
    files->files = larger;
    QVL_TRY(qvl_safetensors_open(path, &files->files[files->file_count], error));
    files->file_count++;
    return QVL_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct qvl_weight_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* One sorted list over all files. */
static enum qvl_status merge(const char *folder, struct qvl_weight_files *files, struct qvl_error *error)
{
    int64_t count = 0;
    for (int64_t f = 0; f < files->file_count; f++)
        count += files->files[f]->count;
    files->entries = calloc((size_t)count + 1, sizeof *files->entries);
    if (!files->entries)
        return no_memory(folder, error);
    for (int64_t f = 0; f < files->file_count; f++)
        for (int64_t i = 0; i < files->files[f]->count; i++)
            files->entries[files->count++] =
                (struct qvl_weight_entry){.name = files->files[f]->entries[i].name,
                                          .array = files->files[f]->entries[i].array,
                                          .file = f};
    if (files->file_count > 1)
        qsort(files->entries, (size_t)count, sizeof *files->entries, compare_entries);
    for (int64_t i = 1; i < count; i++)
        if (strcmp(files->entries[i - 1].name, files->entries[i].name) == 0)
            return qvl_fail(error, QVL_BAD_INPUT, "%s: tensor \"%.200s\" is in %s too",
                            files->files[files->entries[i].file]->path, files->entries[i].name,
                            files->files[files->entries[i - 1].file]->path);
    return QVL_OK;
}

static struct qvl_weight_entry *find(const struct qvl_weight_files *files, const char *name)
{
    const struct qvl_weight_entry key = {.name = name};
    if (files->count == 0)
        return NULL;
    return bsearch(&key, files->entries, (size_t)files->count, sizeof key, compare_entries);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Open each file that the map names, once. */
static enum qvl_status open_shards(const char *folder, const struct qvl_json *map,
                                   struct qvl_weight_files *files, struct qvl_error *error)
{
    size_t count = 0;
    const cJSON *node;
    const char **names = malloc(((size_t)cJSON_GetArraySize(map->node) + 1) * sizeof(*names));
    enum qvl_status status = names ? QVL_OK : no_memory(folder, error);
    cJSON_ArrayForEach(node, map->node)
    {
        if (status != QVL_OK)
            break;
        if (!cJSON_IsString(node) || node->valuestring[0] == '\0' || strchr(node->valuestring, '/'))
            status =
                qvl_json_fail(map, node->string, error, "the name of a file in the same folder is needed");
        else
            names[count++] = node->valuestring;
    }
    if (status == QVL_OK && count > 1)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count && status == QVL_OK; i++) {
        char *path;
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            continue;
        status = qvl_path_join(folder, names[i], &path, error);
        if (status != QVL_OK)
            break;
        if (!qvl_file_exists(path))
            status =
                qvl_fail(error, QVL_BAD_INPUT,
                         "%s: no such file, but %s needs it; download the missing shard", path, map->file);
        else
            status = open_file(path, files, error);
        free(path);
    }
    free(names);
    return status;
}

/* The map lists exactly what the files hold, each tensor in its file. */
static enum qvl_status check_map(const struct qvl_json *map, const struct qvl_weight_files *files,
                                 struct qvl_error *error)
{
    const cJSON *node;
    int64_t listed = 0;
    cJSON_ArrayForEach(node, map->node)
    {
        const struct qvl_weight_entry *entry = find(files, node->string);
        const char *path = entry ? files->files[entry->file]->path : NULL;
        const char *base = path ? strrchr(path, '/') : NULL;
        if (!entry)
            return qvl_json_fail(map, node->string, error, "%.100s holds no such tensor", node->valuestring);
        if (strcmp(base ? base + 1 : path, node->valuestring) != 0)
            return qvl_json_fail(map, node->string, error, "the tensor is in %.200s, not in %.100s", path,
                                 node->valuestring);
        listed++;
    }
    for (int64_t i = 0; listed != files->count && i < files->count; i++)
        if (!cJSON_GetObjectItemCaseSensitive(map->node, files->entries[i].name))
            return qvl_fail(error, QVL_BAD_INPUT, "%s: tensor \"%.200s\" is not listed in %s",
                            files->files[files->entries[i].file]->path, files->entries[i].name, map->file);
    return QVL_OK;
}

static enum qvl_status open_index(const char *folder, const char *path, struct qvl_weight_files *files,
                                  struct qvl_error *error)
{
    cJSON *tree;
    struct qvl_json map;
    QVL_TRY(qvl_json_read(path, &tree, error));
    struct qvl_json root = qvl_json_at_root(tree, path);
    enum qvl_status status = qvl_json_object(&root, "weight_map", &map, error);
    if (status == QVL_OK)
        status = open_shards(folder, &map, files, error);
    if (status == QVL_OK)
        status = merge(folder, files, error);
    if (status == QVL_OK)
        status = check_map(&map, files, error);
    cJSON_Delete(tree);
    return status;
}

enum qvl_status qvl_weight_files_open(const char *folder, struct qvl_weight_files *files,
                                      struct qvl_error *error)
{
    char *single = NULL, *index = NULL;
    memset(files, 0, sizeof *files);
    enum qvl_status status = qvl_path_join(folder, "model.safetensors", &single, error);
    if (status == QVL_OK)
        status = qvl_path_join(folder, "model.safetensors.index.json", &index, error);
    if (status == QVL_OK) {
        if (qvl_file_exists(single)) {
            status = open_file(single, files, error);
            if (status == QVL_OK)
                status = merge(folder, files, error);
        } else if (qvl_file_exists(index)) {
            status = open_index(folder, index, files, error);
        } else {
            status = qvl_fail(error, QVL_BAD_INPUT,
                              "%s: neither model.safetensors nor model.safetensors.index.json is there; the "
                              "weights are needed in safetensors format",
                              folder);
        }
    }
    free(single);
    free(index);
    if (status != QVL_OK)
        qvl_weight_files_close(files);
    return status;
}

void qvl_weight_files_close(struct qvl_weight_files *files)
{
    for (int64_t f = 0; f < files->file_count; f++)
        qvl_safetensors_close(files->files[f]);
    free(files->files);
    free(files->entries);
    memset(files, 0, sizeof *files);
}

const struct qvl_array *qvl_weight_files_find(const struct qvl_weight_files *files, const char *name)
{
    const struct qvl_weight_entry *entry = find(files, name);
    return entry ? &entry->array : NULL;
}

const struct qvl_array *qvl_weight_files_take(struct qvl_weight_files *files, const char *name)
{
    struct qvl_weight_entry *entry = find(files, name);
    if (!entry)
        return NULL;
    entry->used = true;
    return &entry->array;
}
