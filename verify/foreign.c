#include "verify/foreign.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/convert.h"

/* ---- Files ---- */

static bool has_ending(const char *name)
{
    static const char ending[] = ".safetensors";
    const size_t length = strlen(name);
    return length > strlen(ending) && strcmp(name + length - strlen(ending), ending) == 0;
}

static int is_dump_file(const struct dirent *entry)
{
    return has_ending(entry->d_name);
}

static enum qvl_status add_file(struct qvl_dump *dump, const char *path, struct qvl_error *error)
{
    struct qvl_safetensors *file = NULL;
    QVL_TRY(qvl_safetensors_open(path, &file, error));
    for (int64_t i = 0; i < file->count; i++)
        if (qvl_dump_find(dump, file->entries[i].name)) {
            const enum qvl_status status = qvl_fail(error, QVL_BAD_INPUT,
                                                    "%s: tensor \"%.200s\" stands in another file too; "
                                                    "join the calls of a stage before writing",
                                                    path, file->entries[i].name);
            qvl_safetensors_close(file);
            return status;
        }
    struct qvl_safetensors **grown = realloc(dump->files, sizeof *grown * (size_t)(dump->file_count + 1));
    if (!grown) {
        qvl_safetensors_close(file);
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory", path);
    }
    dump->files = grown;
    dump->files[dump->file_count++] = file;
    return QVL_OK;
}

static enum qvl_status add_folder(struct qvl_dump *dump, const char *folder, struct qvl_error *error)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_dump_file, alphasort);
    enum qvl_status status = QVL_OK;
    if (count < 0)
        return qvl_fail(error, QVL_IO, "%s: cannot be read", folder);
    if (count == 0)
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: no .safetensors file in the folder", folder);
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (status == QVL_OK)
            status = qvl_path_join(folder, entries[i]->d_name, &path, error);
        if (status == QVL_OK)
            status = add_file(dump, path, error);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status;
}

enum qvl_status qvl_dump_open(const char *path, struct qvl_dump *dump, struct qvl_error *error)
{
    *dump = (struct qvl_dump){0};
    const enum qvl_status status =
        qvl_folder_exists(path) ? add_folder(dump, path, error) : add_file(dump, path, error);
    if (status != QVL_OK)
        qvl_dump_close(dump);
    return status;
}

void qvl_dump_close(struct qvl_dump *dump)
{
    for (int64_t i = 0; i < dump->file_count; i++)
        qvl_safetensors_close(dump->files[i]);
    free(dump->files);
    *dump = (struct qvl_dump){0};
}

const struct qvl_array *qvl_dump_find(const struct qvl_dump *dump, const char *name)
{
    for (int64_t i = 0; i < dump->file_count; i++) {
        const struct qvl_array *array = qvl_safetensors_find(dump->files[i], name);
        if (array)
            return array;
    }
    return NULL;
}

static bool is_stage_name(const char *name)
{
    return strncmp(name, "model.", 6) == 0 || strcmp(name, "logits") == 0 || strcmp(name, "lm_head") == 0;
}

bool qvl_dump_storage(const struct qvl_dump *dump, enum qvl_dtype *storage)
{
    for (int64_t f = 0; f < dump->file_count; f++) {
        const char *stated = qvl_safetensors_metadata_find(dump->files[f], "dtype");
        for (enum qvl_dtype type = QVL_F32; stated && type <= QVL_F16; type++)
            if (strcmp(stated, qvl_dtype_name(type)) == 0) {
                *storage = type;
                return true;
            }
    }
    for (int64_t f = 0; f < dump->file_count; f++)
        for (int64_t i = 0; i < dump->files[f]->count; i++) {
            const struct qvl_safetensors_entry *entry = &dump->files[f]->entries[i];
            if (is_stage_name(entry->name) &&
                (entry->array.dtype == QVL_BF16 || entry->array.dtype == QVL_F16)) {
                *storage = entry->array.dtype;
                return true;
            }
        }
    return false;
}

/* ---- Stages ---- */

/* The array as rows: its shape behind a leading axis of 1, which is the batch unless the prompt has one
 * token. */
static bool rows_of(const struct qvl_array *array, int64_t tokens, int32_t *rank, int64_t shape[QVL_MAX_RANK])
{
    const int32_t skip = array->rank > 2 && array->shape[0] == 1 && tokens > 1 ? 1 : 0;
    *rank = array->rank - skip;
    memcpy(shape, array->shape + skip, sizeof(int64_t) * (size_t)*rank);
    return *rank >= 2 && qvl_dtype_is_storage(array->dtype) && qvl_array_count(array) > 0;
}

static enum qvl_status add_stage(struct qvl_tap_store *store, const char *name, const struct qvl_array *array,
                                 int64_t tokens, struct qvl_error *error)
{
    const struct qvl_taps taps = qvl_tap_store_taps(store);
    const size_t count = (size_t)qvl_array_count(array);
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    if (!rows_of(array, tokens, &rank, shape))
        return QVL_OK; /* a module with another kind of output, a rotary table for one */
    float *values = malloc(sizeof(float) * count);
    if (!values)
        return qvl_fail(error, QVL_NO_MEMORY, "tap %s: no memory for %zu values", name, count);
    qvl_to_f32(values, array->data, array->dtype, count);
    const enum qvl_status status = taps.take(taps.context, name, 0, rank, shape, values, error);
    free(values);
    return status;
}

/* The tokens of the logits' rows. */
static enum qvl_status find_positions(const struct qvl_dump *dump, const struct qvl_tap_entry *logits,
                                      int64_t tokens, int64_t *positions, struct qvl_error *error)
{
    const struct qvl_array *listed = qvl_dump_find(dump, "logits_positions");
    const int64_t rows = logits->shape[0];
    if (listed && (listed->dtype != QVL_I64 || qvl_array_count(listed) != rows))
        return qvl_fail(error, QVL_BAD_INPUT,
                        "logits_positions: I64 [%lld] is needed, a token for each row of logits",
                        (long long)rows);
    if (!listed && rows > tokens)
        return qvl_fail(error, QVL_BAD_INPUT, "logits: %lld rows, the prompt has %lld tokens",
                        (long long)rows, (long long)tokens);
    for (int64_t i = 0; i < rows; i++) {
        positions[i] = listed ? ((const int64_t *)listed->data)[i] : tokens - rows + i;
        if (positions[i] < (i ? positions[i - 1] + 1 : 0) || positions[i] >= tokens)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "logits_positions[%lld] is %lld; ascending tokens below %lld are needed",
                            (long long)i, (long long)positions[i], (long long)tokens);
    }
    return QVL_OK;
}

enum qvl_status qvl_dump_stages(const struct qvl_dump *dump, int64_t tokens, struct qvl_tap_store *store,
                                int64_t **positions, int64_t *position_count, struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    const bool has_logits = qvl_dump_find(dump, "logits") != NULL;
    *store = (struct qvl_tap_store){0};
    *positions = NULL;
    *position_count = 0;
    for (int64_t f = 0; f < dump->file_count && status == QVL_OK; f++)
        for (int64_t i = 0; i < dump->files[f]->count && status == QVL_OK; i++) {
            const struct qvl_safetensors_entry *entry = &dump->files[f]->entries[i];
            const char *name = !has_logits && strcmp(entry->name, "lm_head") == 0 ? "logits" : entry->name;
            if (is_stage_name(entry->name))
                status = add_stage(store, name, &entry->array, tokens, error);
        }
    const struct qvl_tap_entry *logits = qvl_tap_store_find(store, "logits");
    if (status == QVL_OK && logits) {
        *position_count = logits->shape[0];
        *positions = malloc(sizeof **positions * (size_t)*position_count);
        status = *positions ? find_positions(dump, logits, tokens, *positions, error)
                            : qvl_fail(error, QVL_NO_MEMORY, "no memory for positions");
    }
    if (status != QVL_OK) {
        qvl_tap_store_free(store);
        free(*positions);
        *positions = NULL;
    }
    return status;
}
