/* The tensors of a safetensors file as a list that grows, and what a prompt's images and videos add to it. */
#ifndef QVL_CLI_VISUAL_TENSORS_H
#define QVL_CLI_VISUAL_TENSORS_H

#include "base/safetensors.h"
#include "model/processor.h"

/* Zero-initialise to start. Running out of memory is remembered; qvl_tensor_list_write reports it. */
struct qvl_tensor_list {
    struct qvl_safetensors_tensor *tensors;
    int64_t count, capacity;
    void **owned; /* names and small arrays made here */
    int64_t owned_count;
    bool failed;
};

/* Append a tensor whose name and data are borrowed until the list is written. */
void qvl_tensor_list_add(struct qvl_tensor_list *list, const char *name, enum qvl_dtype dtype, int32_t rank,
                         const int64_t *shape, const void *data);

/* image_grid_thw and video_grid_thw i64 [k, 3], pixel_values and pixel_values_videos f32 [rows, 3*T*P*P],
 * frames_indices.K i64 [frames] of the K-th video; nothing for a kind that does not occur. The visuals must
 * have rows and outlive the list. */
void qvl_tensor_list_add_visuals(struct qvl_tensor_list *list, const struct qvl_visual *visuals,
                                 int64_t count, const struct qvl_processor_settings *settings);

QVL_MUST_USE enum qvl_status qvl_tensor_list_write(const struct qvl_tensor_list *list, const char *path,
                                                   const struct qvl_safetensors_metadata *metadata,
                                                   int64_t metadata_count, struct qvl_error *error);
void qvl_tensor_list_free(struct qvl_tensor_list *list);

#endif
