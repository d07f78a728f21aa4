#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/safetensors.h"

#define FILL_ELEMENTS ((int64_t)1 << 17) /* of a piece made by a callback: 1 MiB of the widest type */
#define FILL_BYTES (FILL_ELEMENTS * 8)

static int compare_layout(const void *a, const void *b)
{
    const struct qvl_safetensors_tensor *x = *(const struct qvl_safetensors_tensor *const *)a;
    const struct qvl_safetensors_tensor *y = *(const struct qvl_safetensors_tensor *const *)b;
    size_t x_bytes = qvl_dtype_bytes(x->dtype), y_bytes = qvl_dtype_bytes(y->dtype);
    if (x_bytes != y_bytes)
        return x_bytes > y_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct qvl_safetensors_tensor *x = *(const struct qvl_safetensors_tensor *const *)a;
    const struct qvl_safetensors_tensor *y = *(const struct qvl_safetensors_tensor *const *)b;
    return strcmp(x->name, y->name);
}

static enum qvl_status tensor_bytes(const struct qvl_safetensors_tensor *tensor, int64_t *bytes,
                                    struct qvl_error *error)
{
    if (!tensor->name || !tensor->name[0] || strcmp(tensor->name, "__metadata__") == 0)
        return qvl_fail(error, QVL_USAGE, "safetensors: \"%s\" cannot be a tensor name",
                        tensor->name ? tensor->name : "");
    if ((unsigned)tensor->dtype >= QVL_DTYPE_COUNT || tensor->rank < 0 || tensor->rank > QVL_MAX_RANK)
        return qvl_fail(error, QVL_USAGE, "safetensors: tensor \"%s\" has an unknown dtype or rank",
                        tensor->name);
    *bytes = (int64_t)qvl_dtype_bytes(tensor->dtype);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        if (tensor->shape[axis] < 0 || __builtin_mul_overflow(*bytes, tensor->shape[axis], bytes))
            return qvl_fail(error, QVL_USAGE, "safetensors: tensor \"%s\" has an impossible shape",
                            tensor->name);
    if (*bytes > 0 && !tensor->data && !tensor->fill)
        return qvl_fail(error, QVL_USAGE, "safetensors: tensor \"%s\" has neither data nor fill",
                        tensor->name);
    return QVL_OK;
}

static enum qvl_status check_tensors(const struct qvl_safetensors_tensor **sorted, int64_t count,
                                     struct qvl_error *error)
{
    int64_t bytes;
    for (int64_t i = 0; i < count; i++)
        QVL_TRY(tensor_bytes(sorted[i], &bytes, error));
    if (count > 1)
        qsort(sorted, (size_t)count, sizeof(struct qvl_safetensors_tensor *), compare_names);
    for (int64_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return qvl_fail(error, QVL_USAGE, "safetensors: tensor \"%s\" is listed twice", sorted[i]->name);
    return QVL_OK;
}

/* Adds one tensor's entry; false when memory ran out. */
static bool add_entry(cJSON *header, const struct qvl_safetensors_tensor *tensor, int64_t begin, int64_t end)
{
    cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
    if (!entry || !cJSON_AddStringToObject(entry, "dtype", qvl_safetensors_dtype_name(tensor->dtype)))
        return false;
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    if (!shape || !offsets)
        return false;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[axis])))
            return false;
    return cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
}

/* The header text; *text is owned (cJSON_free). NULL when memory ran out. */
static char *header_text(const struct qvl_safetensors_tensor *const *laid, int64_t count,
                         const struct qvl_safetensors_metadata *metadata, int64_t metadata_count)
{
    cJSON *header = cJSON_CreateObject();
    bool complete = header != NULL;
    if (complete && metadata_count > 0) {
        cJSON *map = cJSON_AddObjectToObject(header, "__metadata__");
        complete = map != NULL;
        for (int64_t i = 0; complete && i < metadata_count; i++)
            complete = cJSON_AddStringToObject(map, metadata[i].key, metadata[i].value) != NULL;
    }
    int64_t position = 0;
    for (int64_t i = 0; complete && i < count; i++) {
        int64_t bytes = 0;
        complete = tensor_bytes(laid[i], &bytes, NULL) == QVL_OK &&
                   add_entry(header, laid[i], position, position + bytes);
        position += bytes;
    }
    char *text = complete ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

static enum qvl_status append_header(struct qvl_file_writer *writer, const char *text,
                                     struct qvl_error *error)
{
    size_t length = strlen(text);
    size_t padding = (8 - length % 8) % 8;
    uint64_t total = length + padding;
    unsigned char little_endian[8];
    for (int i = 0; i < 8; i++)
        little_endian[i] = (unsigned char)(total >> (8 * i));
    QVL_TRY(qvl_file_writer_append(writer, little_endian, 8, error));
    QVL_TRY(qvl_file_writer_append(writer, text, length, error));
    return qvl_file_writer_append(writer, "        ", padding, error);
}

static enum qvl_status append_tensor(struct qvl_file_writer *writer,
                                     const struct qvl_safetensors_tensor *tensor, void *buffer,
                                     struct qvl_error *error)
{
    int64_t bytes;
    QVL_TRY(tensor_bytes(tensor, &bytes, error));
    if (tensor->data)
        return qvl_file_writer_append(writer, tensor->data, (size_t)bytes, error);
    const size_t width = qvl_dtype_bytes(tensor->dtype);
    int64_t elements = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        elements *= tensor->shape[axis];
    for (int64_t first = 0; first < elements; first += FILL_ELEMENTS) {
        int64_t count = elements - first < FILL_ELEMENTS ? elements - first : FILL_ELEMENTS;
        QVL_TRY(tensor->fill(tensor->context, first, count, buffer, error));
        QVL_TRY(qvl_file_writer_append(writer, buffer, (size_t)count * width, error));
    }
    return QVL_OK;
}

static enum qvl_status append_all(struct qvl_file_writer *writer, const char *text,
                                  const struct qvl_safetensors_tensor *const *laid, int64_t count,
                                  struct qvl_error *error)
{
    void *buffer = malloc((size_t)FILL_BYTES);
    if (!buffer)
        return qvl_fail(error, QVL_NO_MEMORY, "safetensors: no memory for the write buffer");
    enum qvl_status status = append_header(writer, text, error);
    for (int64_t i = 0; i < count && status == QVL_OK; i++)
        status = append_tensor(writer, laid[i], buffer, error);
    free(buffer);
    return status;
}

static enum qvl_status write_laid(const char *path, const struct qvl_safetensors_tensor *const *laid,
                                  int64_t count, const struct qvl_safetensors_metadata *metadata,
                                  int64_t metadata_count, struct qvl_error *error)
{
    struct qvl_file_writer *writer;
    char *text = header_text(laid, count, metadata, metadata_count);
    if (!text)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for the safetensors header", path);
    enum qvl_status status = qvl_file_writer_open(path, &writer, error);
    if (status == QVL_OK) {
        status = append_all(writer, text, laid, count, error);
        if (status == QVL_OK)
            status = qvl_file_writer_commit(writer, error);
        else
            qvl_file_writer_abort(writer);
    }
    cJSON_free(text);
    return status;
}

enum qvl_status qvl_safetensors_write(const char *path, const struct qvl_safetensors_tensor *tensors,
                                      int64_t count, const struct qvl_safetensors_metadata *metadata,
                                      int64_t metadata_count, enum qvl_safetensors_order order,
                                      struct qvl_error *error)
{
    const struct qvl_safetensors_tensor **laid =
        malloc(((size_t)count + 1) * sizeof(struct qvl_safetensors_tensor *));
    if (!laid)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %lld tensor entries", path,
                        (long long)count);
    for (int64_t i = 0; i < count; i++)
        laid[i] = &tensors[i];
    enum qvl_status status = check_tensors(laid, count, error);
    if (status == QVL_OK) {
        if (order == QVL_SAFETENSORS_GIVEN)
            for (int64_t i = 0; i < count; i++)
                laid[i] = &tensors[i];
        else if (count > 1)
            qsort(laid, (size_t)count, sizeof(struct qvl_safetensors_tensor *), compare_layout);
        status = write_laid(path, laid, count, metadata, metadata_count, error);
    }
    free(laid);
    return status;
}
