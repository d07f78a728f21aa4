#include "cli/save_case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/safetensors.h"
#include "base/sha256.h"

static const char readme[] =
    "Cases that did not pass, a folder each: case.json has the line, the command that repeats it and the\n"
    "worst element; tensors.safetensors the tensors, unless the check is of several calls:\n"
    "\n"
    "    from safetensors.numpy import load_file\n"
    "    t = load_file(\"tensors.safetensors\")\n"
    "    error = abs(t[\"got.y\"] - t[\"expected.y\"])\n"
    "    print((~(error <= t[\"tolerance.y\"])).nonzero())\n"
    "\n"
    "input.*      what went in; 16-bit floats as float32, which holds them exactly\n"
    "expected.*   float64: the reference before its last rounding\n"
    "tolerance.*  float64: the largest error that passes; 0: equal, or the same NaN or infinity\n"
    "got.*        float64: what came out; missing when the call did not return one\n";

static enum qvl_status make_folder(const char *path, struct qvl_error *error)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return qvl_fail(error, QVL_IO, "%s: cannot make the folder: %s", path, strerror(errno));
    return qvl_folder_exists(path) ? QVL_OK : qvl_fail(error, QVL_IO, "%s: is not a folder", path);
}

enum qvl_status qvl_save_folder(const char *folder, struct qvl_error *error)
{
    char *path = NULL;
    QVL_TRY(make_folder(folder, error));
    QVL_TRY(qvl_path_join(folder, "README", &path, error));
    const enum qvl_status status = qvl_file_write(path, readme, strlen(readme), error);
    free(path);
    return status;
}

/* FOLDER/OP-HASH/NAME, the folder made; *path is owned. */
static enum qvl_status place(const char *folder, const struct qvl_case *chosen, const char *name, char **path,
                             struct qvl_error *error)
{
    char line[QVL_CASE_LINE_BYTES], hash[QVL_SHA256_HEX_BYTES], own[128];
    char *inside = NULL;
    qvl_case_print(chosen, line);
    QVL_TRY(qvl_sha256_memory(line, strlen(line), hash, error));
    snprintf(own, sizeof own, "%.80s-%.12s", qvl_verify_name(chosen->check), hash);
    QVL_TRY(qvl_path_join(folder, own, &inside, error));
    enum qvl_status status = make_folder(inside, error);
    if (status == QVL_OK)
        status = qvl_path_join(inside, name, path, error);
    free(inside);
    return status;
}

static bool put_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        return cJSON_AddNumberToObject(object, key, value) != NULL;
    const char *text = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

/* NULL when there is no memory. */
static char *case_text(const struct qvl_case *chosen, const struct qvl_case_result *result, const char *repro)
{
    char line[QVL_CASE_LINE_BYTES];
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    qvl_case_print(chosen, line);
    bool good = root && cJSON_AddStringToObject(root, "case", line) &&
                cJSON_AddStringToObject(root, "repro", repro) &&
                cJSON_AddStringToObject(root, "status", qvl_case_status_name(result->status)) &&
                cJSON_AddStringToObject(root, "message", result->message) &&
                put_number(root, "elements", (double)result->elements) &&
                put_number(root, "failures", (double)result->failures);
    if (good && result->operand) {
        cJSON *index = cJSON_AddArrayToObject(root, "worst_index");
        good = index && cJSON_AddStringToObject(root, "worst_operand", result->operand) &&
               put_number(root, "expected", result->expected) && put_number(root, "got", result->got) &&
               put_number(root, "tolerance", result->tolerance) && put_number(root, "margin", result->margin);
        for (int32_t axis = 0; good && axis < result->rank; axis++)
            good = cJSON_AddItemToArray(index, cJSON_CreateNumber((double)result->index[axis]));
    }
    if (good)
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

enum qvl_status qvl_save_case(const char *folder, const struct qvl_case *chosen,
                              const struct qvl_case_result *result, const char *repro,
                              struct qvl_error *error)
{
    char *path = NULL, *text = case_text(chosen, result, repro);
    enum qvl_status status = text ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a case.json");
    if (status == QVL_OK)
        status = place(folder, chosen, "case.json", &path, error);
    if (status == QVL_OK)
        status = qvl_file_write(path, text, strlen(text), error);
    free(path);
    free(text);
    return status;
}

enum qvl_status qvl_save_tensors(void *data, const struct qvl_case *chosen,
                                 const struct qvl_case_result *result, const struct qvl_case_tensor *tensors,
                                 int count, struct qvl_error *error)
{
    const char *folder = data;
    char line[QVL_CASE_LINE_BYTES];
    char *path = NULL;
    struct qvl_safetensors_tensor *files = calloc((size_t)count + 1, sizeof *files);
    (void)result;
    qvl_case_print(chosen, line);
    const struct qvl_safetensors_metadata metadata = {"case", line};
    enum qvl_status status = files ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory to save a case");
    for (int i = 0; i < count && status == QVL_OK; i++) {
        files[i] = (struct qvl_safetensors_tensor){.name = tensors[i].name,
                                                   .dtype = tensors[i].dtype,
                                                   .rank = tensors[i].rank,
                                                   .data = tensors[i].data};
        memcpy(files[i].shape, tensors[i].shape, sizeof files[i].shape);
    }
    if (status == QVL_OK)
        status = place(folder, chosen, "tensors.safetensors", &path, error);
    if (status == QVL_OK)
        status = qvl_safetensors_write(path, files, count, &metadata, 1, QVL_SAFETENSORS_SORTED, error);
    free(path);
    free(files);
    return status;
}
