/* Stages taken by another engine: safetensors files named as docs/TAPS.md says. */
#ifndef QVL_VERIFY_FOREIGN_H
#define QVL_VERIFY_FOREIGN_H

#include "base/safetensors.h"
#include "verify/stages.h"

/* One file, or the *.safetensors of a folder together. */
struct qvl_dump {
    struct qvl_safetensors **files; /* owned, by name */
    int64_t file_count;
};

/* QVL_BAD_INPUT: no such path, no file in the folder, a file that is broken, a name in two files. */
enum qvl_status qvl_dump_open(const char *path, struct qvl_dump *dump, struct qvl_error *error);
void qvl_dump_close(struct qvl_dump *dump); /* a zeroed one is accepted */

const struct qvl_array *qvl_dump_find(const struct qvl_dump *dump, const char *name);

/* The type the engine kept its activations in: metadata "dtype", else a 16-bit type that a stage is stored
 * in. False when the files do not say. */
bool qvl_dump_storage(const struct qvl_dump *dump, enum qvl_dtype *storage);

/* What the other engine saw against what the prompt has: must be equal before stages mean anything. */
#define QVL_DUMP_INPUTS 6

struct qvl_dump_input {
    const char *name;            /* "input_ids", ...; static */
    enum qvl_case_status status; /* SKIPPED: neither side has it, or the files do not */
    char message[256];           /* the first difference, or why it was not compared */
};

/* Compare input_ids, position_ids, image_grid_thw, video_grid_thw, pixel_values, pixel_values_videos. Returns
 * QVL_OK with FAILED inputs when they differ. */
enum qvl_status qvl_dump_check_inputs(const struct qvl_dump *dump, const struct qvl_prompt *prompt,
                                      const struct qvl_model_config *config,
                                      struct qvl_dump_input inputs[QVL_DUMP_INPUTS], struct qvl_error *error);

/* The stages of the files as float32 rows, a leading axis of 1 taken off, and the tokens whose logits they
 * have ("logits" with "logits_positions", or "lm_head"). `store` is freed with qvl_tap_store_free, *positions
 * with free. QVL_BAD_INPUT names a tensor that cannot be one. */
enum qvl_status qvl_dump_stages(const struct qvl_dump *dump, int64_t tokens, struct qvl_tap_store *store,
                                int64_t **positions, int64_t *position_count, struct qvl_error *error);

#endif
