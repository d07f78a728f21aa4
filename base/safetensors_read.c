#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/safetensors.h"

#define HEADER_BYTES_MAX ((uint64_t)100000000) /* the original's limit */

static const char *const dtype_names[QVL_DTYPE_COUNT] = {
    [QVL_F32] = "F32", [QVL_BF16] = "BF16", [QVL_F16] = "F16", [QVL_F64] = "F64",
    [QVL_I32] = "I32", [QVL_I64] = "I64",   [QVL_U8] = "U8",
};

/* What the views and names point into. */
struct qvl_safetensors_owner {
    struct qvl_file_map *map;
    cJSON *header; /* holds names and metadata strings */
    void **copies; /* one a tensor, NULL unless the tensor was misaligned */
};

/* Where a tensor lies, relative to the first data byte; for the coverage check. */
struct extent {
    const char *name;
    uint64_t begin, end;
};

const char *qvl_safetensors_dtype_name(enum qvl_dtype dtype)
{
    return (unsigned)dtype < QVL_DTYPE_COUNT ? dtype_names[dtype] : "?";
}

static enum qvl_status read_dtype(const struct qvl_json *at, enum qvl_dtype *dtype, struct qvl_error *error)
{
    const char *name;
    QVL_TRY(qvl_json_string(at, "dtype", &name, error));
    for (int i = 0; i < QVL_DTYPE_COUNT; i++) {
        if (strcmp(name, dtype_names[i]) == 0) {
            *dtype = (enum qvl_dtype)i;
            return QVL_OK;
        }
    }
    return qvl_json_fail(at, "dtype", error,
                         "\"%.40s\" is not supported; known are F32 F16 BF16 F64 I32 I64 U8", name);
}

/* Shape and byte size; refuses negative sides and products beyond 63 bits. */
static enum qvl_status read_shape(const struct qvl_json *at, struct qvl_array *array, int64_t *bytes,
                                  struct qvl_error *error)
{
    int64_t rank;
    QVL_TRY(qvl_json_int64s(at, "shape", QVL_MAX_RANK, array->shape, &rank, error));
    array->rank = (int32_t)rank;
    *bytes = (int64_t)qvl_dtype_bytes(array->dtype);
    for (int32_t axis = 0; axis < array->rank; axis++) {
        if (array->shape[axis] < 0)
            return qvl_json_fail(at, "shape", error, "the size %lld is negative",
                                 (long long)array->shape[axis]);
        if (__builtin_mul_overflow(*bytes, array->shape[axis], bytes))
            return qvl_json_fail(at, "shape", error, "the product of the sizes exceeds 63 bits");
    }
    return QVL_OK;
}

static enum qvl_status read_extent(const struct qvl_json *at, int64_t bytes, uint64_t data_bytes,
                                   struct extent *extent, struct qvl_error *error)
{
    int64_t offsets[2], count;
    QVL_TRY(qvl_json_int64s(at, "data_offsets", 2, offsets, &count, error));
    if (count != 2)
        return qvl_json_fail(at, "data_offsets", error, "2 offsets are needed, found %lld", (long long)count);
    if (offsets[0] < 0 || offsets[1] < offsets[0] || (uint64_t)offsets[1] > data_bytes)
        return qvl_json_fail(
            at, "data_offsets", error,
            "[%lld, %lld] lies outside the %llu data bytes of the file (truncated download?)",
            (long long)offsets[0], (long long)offsets[1], (unsigned long long)data_bytes);
    if (offsets[1] - offsets[0] != bytes)
        return qvl_json_fail(at, "data_offsets", error,
                             "%lld bytes between the offsets, but shape and dtype need %lld",
                             (long long)(offsets[1] - offsets[0]), (long long)bytes);
    extent->begin = (uint64_t)offsets[0];
    extent->end = (uint64_t)offsets[1];
    return QVL_OK;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors, in order of offset, must cover the data bytes exactly. */
static enum qvl_status check_coverage(const char *path, struct extent *extents, int64_t count,
                                      uint64_t data_bytes, struct qvl_error *error)
{
    uint64_t position = 0;
    const char *previous = NULL;
    if (count > 0)
        qsort(extents, (size_t)count, sizeof *extents, compare_extents);
    for (int64_t i = 0; i < count; i++) {
        if (extents[i].begin < position)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "%s: tensor \"%.200s\" overlaps \"%.200s\" at data byte %llu", path,
                            extents[i].name, previous, (unsigned long long)extents[i].begin);
        if (extents[i].begin > position)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "%s: data bytes %llu to %llu belong to no tensor (gap before \"%.200s\")", path,
                            (unsigned long long)position, (unsigned long long)extents[i].begin,
                            extents[i].name);
        position = extents[i].end;
        previous = extents[i].name;
    }
    if (position != data_bytes)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: %llu data bytes, but the tensors end at %llu", path,
                        (unsigned long long)data_bytes, (unsigned long long)position);
    return QVL_OK;
}

static enum qvl_status read_metadata(const struct qvl_json *root, struct qvl_safetensors *file,
                                     struct qvl_error *error)
{
    struct qvl_json at;
    const cJSON *node;
    int64_t i = 0;
    QVL_TRY(qvl_json_object(root, "__metadata__", &at, error));
    file->metadata = calloc((size_t)cJSON_GetArraySize(at.node) + 1, sizeof *file->metadata);
    if (!file->metadata)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for the metadata", file->path);
    cJSON_ArrayForEach(node, at.node)
    {
        if (!cJSON_IsString(node))
            return qvl_json_fail(&at, node->string, error, "metadata values must be strings");
        file->metadata[i++] = (struct qvl_safetensors_metadata){node->string, node->valuestring};
    }
    file->metadata_count = i;
    return QVL_OK;
}

/* A view of the mapped bytes, or a copy when they are not aligned for the type. */
static enum qvl_status place(struct qvl_safetensors *file, int64_t index, const uint8_t *bytes, int64_t size,
                             struct qvl_error *error)
{
    struct qvl_array *array = &file->entries[index].array;
    array->data = bytes;
    const uintptr_t below = qvl_dtype_bytes(array->dtype) - 1; /* widths are powers of two */
    if (((uintptr_t)bytes & below) == 0 || size == 0)
        return QVL_OK;
    void *copy = malloc((size_t)size);
    if (!copy)
        return qvl_fail(
            error, QVL_NO_MEMORY,
            "%s: tensor \"%.200s\" is misaligned and its copy needs %lld bytes that are not available",
            file->path, file->entries[index].name, (long long)size);
    memcpy(copy, bytes, (size_t)size);
    file->owner->copies[index] = copy;
    array->data = copy;
    return QVL_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct qvl_safetensors_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Everything the header says, checked against the `data_bytes` bytes at `data`. */
static enum qvl_status read_entries(struct qvl_safetensors *file, const uint8_t *data, uint64_t data_bytes,
                                    struct extent *extents, struct qvl_error *error)
{
    struct qvl_json root = qvl_json_at_root(file->owner->header, file->path);
    const cJSON *node;
    cJSON_ArrayForEach(node, root.node)
    {
        if (strcmp(node->string, "__metadata__") == 0) {
            QVL_TRY(read_metadata(&root, file, error));
            continue;
        }
        struct qvl_json at = {.node = node, .file = file->path};
        struct qvl_safetensors_entry *entry = &file->entries[file->count];
        struct extent *extent = &extents[file->count];
        int64_t bytes;
        snprintf(at.path, sizeof at.path, "tensor \"%.150s\"", node->string);
        entry->name = extent->name = node->string;
        QVL_TRY(read_dtype(&at, &entry->array.dtype, error));
        QVL_TRY(read_shape(&at, &entry->array, &bytes, error));
        QVL_TRY(read_extent(&at, bytes, data_bytes, extent, error));
        QVL_TRY(place(file, file->count, data + extent->begin, bytes, error));
        file->count++;
    }
    QVL_TRY(check_coverage(file->path, extents, file->count, data_bytes, error));
    if (file->count > 0)
        qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_entries);
    return QVL_OK;
}

/* Length and JSON of the header. */
static enum qvl_status read_header(struct qvl_safetensors *file, uint64_t *header_bytes,
                                   struct qvl_error *error)
{
    const struct qvl_file_map *map = file->owner->map;
    if (map->size < 8)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: %zu bytes are too few for a safetensors file", map->path,
                        map->size);
    for (int i = 7; i >= 0; i--)
        *header_bytes = *header_bytes << 8 | map->data[i];
    if (*header_bytes > HEADER_BYTES_MAX)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: the header claims %llu bytes, above the format's limit of %llu; is this a "
                        "safetensors file?",
                        map->path, (unsigned long long)*header_bytes, (unsigned long long)HEADER_BYTES_MAX);
    if (*header_bytes > map->size - 8)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: the header claims %llu bytes, but only %zu follow (truncated download?)",
                        map->path, (unsigned long long)*header_bytes, map->size - 8);
    QVL_TRY(qvl_json_parse((const char *)map->data + 8, (size_t)*header_bytes, map->path,
                           &file->owner->header, error));
    if (!cJSON_IsObject(file->owner->header))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: the header is not a JSON object", map->path);
    return QVL_OK;
}

static enum qvl_status read_file(struct qvl_safetensors *file, struct qvl_error *error)
{
    uint64_t header_bytes = 0;
    QVL_TRY(qvl_file_map_create(file->path, &file->owner->map, error));
    QVL_TRY(read_header(file, &header_bytes, error));
    size_t members = (size_t)cJSON_GetArraySize(file->owner->header) + 1;
    struct extent *extents = calloc(members, sizeof *extents);
    file->entries = calloc(members, sizeof *file->entries);
    file->owner->copies = calloc(members, sizeof *file->owner->copies);
    enum qvl_status status;
    if (!extents || !file->entries || !file->owner->copies)
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %zu tensor entries", file->path, members);
    else
        status = read_entries(file, file->owner->map->data + 8 + header_bytes,
                              file->owner->map->size - 8 - header_bytes, extents, error);
    free(extents);
    return status;
}

enum qvl_status qvl_safetensors_open(const char *path, struct qvl_safetensors **file, struct qvl_error *error)
{
    struct qvl_safetensors *result = calloc(1, sizeof *result);
    if (!result)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", path);
    result->owner = calloc(1, sizeof *result->owner);
    result->path = strdup(path);
    enum qvl_status status = QVL_OK;
    if (!result->owner || !result->path)
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", path);
    else
        status = read_file(result, error);
    if (status != QVL_OK) {
        qvl_safetensors_close(result);
        return status;
    }
    *file = result;
    return QVL_OK;
}

void qvl_safetensors_close(struct qvl_safetensors *file)
{
    if (!file)
        return;
    if (file->owner) {
        for (int64_t i = 0; file->owner->copies && i < file->count; i++)
            free(file->owner->copies[i]);
        free(file->owner->copies);
        cJSON_Delete(file->owner->header);
        qvl_file_map_destroy(file->owner->map);
        free(file->owner);
    }
    free(file->entries);
    free(file->metadata);
    free(file->path);
    free(file);
}

const struct qvl_array *qvl_safetensors_find(const struct qvl_safetensors *file, const char *name)
{
    int64_t low = 0, high = file->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->entries[middle].name);
        if (order == 0)
            return &file->entries[middle].array;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *qvl_safetensors_metadata_find(const struct qvl_safetensors *file, const char *key)
{
    for (int64_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}
