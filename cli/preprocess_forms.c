#include "cli/preprocess_forms.h"

#include <stdlib.h>
#include <string.h>

#include "reports/record_json.h"

static cJSON *integers(const int64_t *values, int64_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < count; i++)
        if (!cJSON_AddItemToArray(array, qvl_json_integer(values[i]))) {
            cJSON_Delete(array);
            return NULL;
        }
    return array;
}

/* What was given: the file, or line and numbers. */
static bool put_input(cJSON *root, const struct qvl_preprocessed *seen)
{
    if (seen->file)
        return qvl_json_put(root, "file", qvl_json_text(seen->file));
    const struct qvl_media_size *size = seen->size;
    const int64_t sides[] = {size->frames, size->height, size->width};
    const int skipped = size->frames == 0;
    cJSON *input = integers(sides + skipped, 3 - skipped);
    if (input && size->frames && !cJSON_AddItemToArray(input, cJSON_CreateNumber(size->fps))) {
        cJSON_Delete(input);
        input = NULL;
    }
    return qvl_json_put(root, "line", qvl_json_integer(size->line)) && qvl_json_put(root, "input", input);
}

static bool put_visual(cJSON *root, const struct qvl_preprocessed *seen)
{
    const struct qvl_visual *visual = &seen->visual;
    const bool video = visual->is_video;
    const int64_t source[] = {visual->source_height, visual->source_width};
    const int64_t resized[] = {visual->resized_height, visual->resized_width};
    const int64_t grid[] = {visual->grid.t, visual->grid.h, visual->grid.w};
    return qvl_json_put(root, "kind", qvl_json_text(video ? "video" : "image")) &&
           qvl_json_put(root, "size", integers(source, 2)) &&
           qvl_json_put(root, "resized", integers(resized, 2)) &&
           qvl_json_put(root, "grid", integers(grid, 3)) &&
           qvl_json_put(root, "tokens", qvl_json_integer(seen->tokens)) &&
           qvl_json_put(root, "frames", qvl_json_integer(visual->frames)) &&
           qvl_json_put(root, "total_frames", qvl_json_integer(visual->total_frames)) &&
           qvl_json_put(root, "fps", video ? cJSON_CreateNumber(visual->fps) : cJSON_CreateNull()) &&
           qvl_json_put(root, "frame_indices",
                        video ? integers(visual->frame_indices, visual->frames) : cJSON_CreateNull()) &&
           qvl_json_put(root, "timestamps",
                        video ? cJSON_CreateDoubleArray(visual->timestamps, (int)visual->grid.t)
                              : cJSON_CreateNull());
}

static bool put_quality(cJSON *root, const struct qvl_preprocessed *seen)
{
    const struct qvl_visual *visual = &seen->visual;
    const bool told = seen->file && !visual->exact;
    return qvl_json_put(root, "exact", seen->file ? cJSON_CreateBool(visual->exact) : cJSON_CreateNull()) &&
           qvl_json_put(root, "inexact_reason",
                        told ? qvl_json_text(visual->inexact_reason) : cJSON_CreateNull());
}

enum qvl_status qvl_preprocessed_line(const struct qvl_preprocessed *seen, char **line,
                                      struct qvl_error *error)
{
    cJSON *root = cJSON_CreateObject();
    const bool good = root && put_input(root, seen) && put_visual(root, seen) && put_quality(root, seen);
    char *text = good ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    const size_t size = text ? strlen(text) : 0;
    *line = text ? malloc(size + 2) : NULL;
    if (*line) {
        memcpy(*line, text, size);
        memcpy(*line + size, "\n", 2);
    }
    free(text);
    return *line ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a line of JSON");
}

struct qvl_record *qvl_preprocessed_record(const struct qvl_preprocessed *seen, int64_t number)
{
    const struct qvl_visual *visual = &seen->visual;
    const enum qvl_provenance from = seen->file ? QVL_FROM_MEASURED : QVL_FROM_MODELLED;
    char name[512];
    if (seen->file)
        snprintf(name, sizeof name, "%lld %s", (long long)number, seen->file);
    else
        snprintf(name, sizeof name, "line %lld", (long long)seen->size->line);
    struct qvl_record *record = qvl_record_create("visual", name, QVL_CASE_NONE);
    qvl_record_text(record, "medium", visual->is_video ? "video" : "image", from);
    qvl_record_ints(record, "size", (int64_t[]){visual->source_height, visual->source_width}, 2, NULL,
                    seen->file ? from : QVL_FROM_SETTING);
    qvl_record_ints(record, "resized", (int64_t[]){visual->resized_height, visual->resized_width}, 2, NULL,
                    from);
    qvl_record_ints(record, "grid", (int64_t[]){visual->grid.t, visual->grid.h, visual->grid.w}, 3, NULL,
                    from);
    qvl_record_int(record, "tokens", seen->tokens, "token", from);
    qvl_record_int(record, "frames", visual->frames, NULL, from);
    if (visual->is_video) {
        qvl_record_int(record, "total_frames", visual->total_frames, NULL, from);
        qvl_record_real(record, "fps", visual->fps, "Hz", from);
        qvl_record_ints(record, "frame_indices", visual->frame_indices, visual->frames, NULL, from);
        qvl_record_detail(record);
        qvl_record_reals(record, "timestamps", visual->timestamps, visual->grid.t, "s", from);
        qvl_record_detail(record);
    }
    if (!seen->file)
        return record;
    qvl_record_flag(record, "exact", visual->exact, from);
    if (!visual->exact)
        qvl_record_text(record, "inexact_reason", visual->inexact_reason, from);
    return record;
}
