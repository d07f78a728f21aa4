#include "cli/visual_tensors.h"

#include <stdlib.h>
#include <string.h>

#define CHANNELS 3

static void *own(struct qvl_tensor_list *list, void *memory)
{
    void **grown = memory ? realloc(list->owned, sizeof(void *) * (size_t)(list->owned_count + 1)) : NULL;
    if (!grown) {
        free(memory);
        list->failed = true;
        return NULL;
    }
    list->owned = grown;
    list->owned[list->owned_count++] = memory;
    return memory;
}

static struct qvl_safetensors_tensor *append(struct qvl_tensor_list *list, const char *name,
                                             enum qvl_dtype dtype, int32_t rank, const int64_t *shape)
{
    if (list->count == list->capacity) {
        const int64_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct qvl_safetensors_tensor *grown = realloc(list->tensors, sizeof *grown * (size_t)capacity);
        if (!grown) {
            list->failed = true;
            return NULL;
        }
        list->tensors = grown;
        list->capacity = capacity;
    }
    struct qvl_safetensors_tensor *tensor = &list->tensors[list->count++];
    *tensor = (struct qvl_safetensors_tensor){.name = name, .dtype = dtype, .rank = rank};
    memcpy(tensor->shape, shape, sizeof(int64_t) * (size_t)rank);
    return tensor;
}

void qvl_tensor_list_add(struct qvl_tensor_list *list, const char *name, enum qvl_dtype dtype, int32_t rank,
                         const int64_t *shape, const void *data)
{
    struct qvl_safetensors_tensor *tensor = append(list, name, dtype, rank, shape);
    if (tensor)
        tensor->data = data;
}

/* The patch rows of all images or of all videos, one after the other. */
struct row_source {
    const struct qvl_visual *visuals;
    int64_t count;
    bool videos;
    int64_t width;
};

static enum qvl_status fill_rows(void *context, int64_t first, int64_t count, void *elements,
                                 struct qvl_error *error)
{
    const struct row_source *source = context;
    float *out = elements;
    (void)error;
    for (int64_t i = 0; i < source->count && count > 0; i++) {
        const struct qvl_visual *visual = &source->visuals[i];
        if (visual->is_video != source->videos)
            continue;
        const int64_t size = visual->grid.t * visual->grid.h * visual->grid.w * source->width;
        if (first < size) {
            const int64_t take = size - first < count ? size - first : count;
            memcpy(out, visual->rows + first, sizeof(float) * (size_t)take);
            out += take;
            count -= take;
            first = 0;
        } else {
            first -= size;
        }
    }
    return QVL_OK;
}

static void add_kind(struct qvl_tensor_list *list, const struct qvl_visual *visuals, int64_t visual_count,
                     bool videos, int64_t width)
{
    int64_t *grids = own(list, malloc(sizeof(int64_t) * 3 * (size_t)(visual_count + 1)));
    struct row_source *source = own(list, malloc(sizeof *source));
    int64_t count = 0;
    int64_t rows = 0;
    if (!grids || !source)
        return;
    for (int64_t i = 0; i < visual_count; i++) {
        const struct qvl_grid *grid = &visuals[i].grid;
        if (visuals[i].is_video != videos)
            continue;
        grids[3 * count] = grid->t;
        grids[3 * count + 1] = grid->h;
        grids[3 * count + 2] = grid->w;
        rows += grid->t * grid->h * grid->w;
        count++;
    }
    if (count == 0)
        return;
    *source = (struct row_source){visuals, visual_count, videos, width};
    qvl_tensor_list_add(list, videos ? "video_grid_thw" : "image_grid_thw", QVL_I64, 2, (int64_t[]){count, 3},
                        grids);
    struct qvl_safetensors_tensor *pixels =
        append(list, videos ? "pixel_values_videos" : "pixel_values", QVL_F32, 2, (int64_t[]){rows, width});
    if (pixels) {
        pixels->fill = fill_rows;
        pixels->context = source;
    }
}

static void add_frame_indices(struct qvl_tensor_list *list, const struct qvl_visual *visuals, int64_t count)
{
    int64_t video = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!visuals[i].is_video)
            continue;
        char *name = own(list, malloc(48));
        if (!name)
            return;
        snprintf(name, 48, "frames_indices.%lld", (long long)video++);
        qvl_tensor_list_add(list, name, QVL_I64, 1, &visuals[i].frames, visuals[i].frame_indices);
    }
}

static int64_t row_width(const struct qvl_medium_settings *medium)
{
    return CHANNELS * medium->temporal_patch * medium->patch * medium->patch;
}

void qvl_tensor_list_add_visuals(struct qvl_tensor_list *list, const struct qvl_visual *visuals,
                                 int64_t count, const struct qvl_processor_settings *settings)
{
    add_kind(list, visuals, count, false, row_width(&settings->image));
    add_kind(list, visuals, count, true, row_width(&settings->video));
    add_frame_indices(list, visuals, count);
}

enum qvl_status qvl_tensor_list_write(const struct qvl_tensor_list *list, const char *path,
                                      const struct qvl_safetensors_metadata *metadata, int64_t metadata_count,
                                      struct qvl_error *error)
{
    if (list->failed)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the list of tensors of %s", path);
    return qvl_safetensors_write(path, list->tensors, list->count, metadata, metadata_count,
                                 QVL_SAFETENSORS_SORTED, error);
}

void qvl_tensor_list_free(struct qvl_tensor_list *list)
{
    for (int64_t i = 0; i < list->owned_count; i++)
        free(list->owned[i]);
    free(list->owned);
    free(list->tensors);
    *list = (struct qvl_tensor_list){0};
}
