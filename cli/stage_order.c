/* What a stage worker is told, as a file. */
#include <stdlib.h>
#include <string.h>

#include "cli/stage_process.h"
#include "cli/visual_tensors.h"
#include "verify/foreign.h"

#define MOST_VISUALS 256
#define NAME_BYTES 32
#define MOST_PATTERNS (int64_t)(sizeof((struct qvl_stage_order *)0)->patterns / sizeof(char *))

/* Settings that are numbers, in the order of the tensor "settings". */
enum { STORAGE, POS_ROUNDING, ANGLES, CHUNK, THREADS, JITTER, SETTINGS };

enum qvl_status qvl_stage_order_write(const char *path, const struct qvl_stage_process *process,
                                      const struct qvl_stage_pass *pass, const struct qvl_tap_store *forced,
                                      struct qvl_error *error)
{
    const struct qvl_prompt *prompt = pass->prompt;
    const int64_t settings[SETTINGS] = {(int64_t)pass->model.storage, (int64_t)pass->model.pos_rounding,
                                        (int64_t)pass->model.angles,  pass->chunk,
                                        pass->backend.threads,        (int64_t)pass->backend.jitter_seed};
    struct qvl_safetensors_metadata metadata[2 + 64] = {{"backend", process->backend},
                                                        {"weights", pass->folder}};
    struct qvl_model_config config;
    struct qvl_tensor_list list = {0};
    char names[MOST_VISUALS][NAME_BYTES], keys[64][NAME_BYTES];
    int64_t grids[MOST_VISUALS][4];
    QVL_TRY(qvl_model_config_read(pass->folder, &config, error));
    const struct qvl_vision_config *vision = &config.vision;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    if (prompt->visual_count > MOST_VISUALS)
        return qvl_fail(error, QVL_BAD_INPUT, "more than %d images and videos; try --jobs 0", MOST_VISUALS);
    qvl_tensor_list_add(&list, "settings", QVL_I64, 1, (const int64_t[]){SETTINGS}, settings);
    qvl_tensor_list_add(&list, "input_ids", QVL_I64, 1, &prompt->count, prompt->ids);
    qvl_tensor_list_add(&list, "positions", QVL_I64, 1, &pass->position_count, pass->positions);
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_visual *visual = &prompt->visuals[v];
        const int64_t shape[2] = {visual->grid.t * visual->grid.h * visual->grid.w, width};
        const int64_t grid[4] = {visual->grid.t, visual->grid.h, visual->grid.w, visual->is_video};
        memcpy(grids[v], grid, sizeof grid);
        snprintf(names[v], NAME_BYTES, "rows.%lld", (long long)v);
        qvl_tensor_list_add(&list, names[v], QVL_F32, 2, shape, visual->rows);
    }
    if (prompt->visual_count)
        qvl_tensor_list_add(&list, "grids", QVL_I64, 2, (const int64_t[]){prompt->visual_count, 4}, grids);
    for (int64_t i = 0; forced && i < forced->count; i++) {
        const struct qvl_tap_entry *entry = &forced->entries[i];
        if (strcmp(entry->name, "logits") == 0)
            continue; /* nothing reads them */
        qvl_tensor_list_add(&list, entry->name, QVL_F32, 2,
                            (const int64_t[]){entry->shape[0], qvl_tap_entry_width(entry)}, entry->values);
    }
    for (int64_t i = 0; i < process->pattern_count; i++) {
        snprintf(keys[i], NAME_BYTES, "pattern.%lld", (long long)i);
        metadata[2 + i] = (struct qvl_safetensors_metadata){keys[i], process->patterns[i]};
    }
    const enum qvl_status status =
        qvl_tensor_list_write(&list, path, metadata, 2 + process->pattern_count, error);
    qvl_tensor_list_free(&list);
    return status;
}

static void *copy_of(const struct qvl_array *array)
{
    const size_t bytes = (size_t)qvl_array_count(array) * qvl_dtype_bytes(array->dtype);
    void *copy = malloc(bytes + 1);
    if (copy)
        memcpy(copy, array->data, bytes);
    return copy;
}

static bool read_visuals(const struct qvl_safetensors *file, struct qvl_prompt *prompt)
{
    const struct qvl_array *grids = qvl_safetensors_find(file, "grids");
    if (!grids)
        return true;
    const int64_t *grid = grids->data;
    prompt->visuals = calloc((size_t)grids->shape[0], sizeof *prompt->visuals);
    for (int64_t v = 0; prompt->visuals && v < grids->shape[0]; v++, grid += 4) {
        struct qvl_visual *visual = &prompt->visuals[prompt->visual_count++];
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "rows.%lld", (long long)v);
        const struct qvl_array *rows = qvl_safetensors_find(file, name);
        visual->grid = (struct qvl_grid){grid[0], grid[1], grid[2]};
        visual->is_video = grid[3] != 0;
        visual->rows = rows ? copy_of(rows) : NULL;
        if (!visual->rows)
            return false;
    }
    return prompt->visuals != NULL;
}

static bool read_file(const struct qvl_safetensors *file, struct qvl_stage_order *order)
{
    const struct qvl_array *settings = qvl_safetensors_find(file, "settings");
    const struct qvl_array *ids = qvl_safetensors_find(file, "input_ids");
    const struct qvl_array *positions = qvl_safetensors_find(file, "positions");
    const char *backend = qvl_safetensors_metadata_find(file, "backend");
    const char *weights = qvl_safetensors_metadata_find(file, "weights");
    const char *pattern;
    char key[NAME_BYTES] = "pattern.0";
    if (!settings || qvl_array_count(settings) != SETTINGS || !ids || !positions || !backend || !weights)
        return false;
    const int64_t *numbers = settings->data;
    order->prompt.ids = copy_of(ids);
    order->prompt.count = ids->shape[0];
    order->positions = copy_of(positions);
    order->backend = strdup(backend);
    order->folder = strdup(weights);
    while (order->pattern_count < MOST_PATTERNS && (pattern = qvl_safetensors_metadata_find(file, key))) {
        order->patterns[order->pattern_count++] = strdup(pattern);
        snprintf(key, sizeof key, "pattern.%lld", (long long)order->pattern_count);
    }
    order->pass = (struct qvl_stage_pass){
        .folder = order->folder,
        .prompt = &order->prompt,
        .backend = {.threads = (int)numbers[THREADS], .jitter_seed = (uint64_t)numbers[JITTER]},
        .model = {.storage = (enum qvl_dtype)numbers[STORAGE],
                  .pos_rounding = (enum qvl_pos_rounding)numbers[POS_ROUNDING],
                  .angles = (enum qvl_angle_precision)numbers[ANGLES]},
        .chunk = numbers[CHUNK],
        .positions = order->positions,
        .position_count = positions->shape[0]};
    return order->prompt.ids && order->positions && order->backend && order->folder &&
           read_visuals(file, &order->prompt);
}

enum qvl_status qvl_stage_order_read(const char *path, struct qvl_stage_order *order, struct qvl_error *error)
{
    struct qvl_dump dump;
    int64_t *positions = NULL;
    int64_t count;
    *order = (struct qvl_stage_order){0};
    QVL_TRY(qvl_dump_open(path, &dump, error));
    enum qvl_status status = read_file(dump.files[0], order)
                                 ? QVL_OK
                                 : qvl_fail(error, QVL_BAD_INPUT, "%s: not an order of `verify`", path);
    if (status == QVL_OK)
        status = qvl_dump_stages(&dump, order->prompt.count, &order->forced, &positions, &count, error);
    free(positions);
    qvl_dump_close(&dump);
    return status;
}

void qvl_stage_order_free(struct qvl_stage_order *order)
{
    qvl_prompt_free(&order->prompt);
    qvl_tap_store_free(&order->forced);
    free(order->backend);
    free(order->folder);
    free(order->positions);
    for (int64_t i = 0; i < order->pattern_count; i++)
        free(order->patterns[i]);
    *order = (struct qvl_stage_order){0};
}
