/* What the files of the forward pass share: the model, a sequence, and the steps between them. */
#ifndef QVL_MODEL_ENGINE_H
#define QVL_MODEL_ENGINE_H

#include "model/model.h"
#include "model/parameters.h"
#include "model/taps.h"
#include "model/workspace.h"

/* Patch rows taken through the tower at once, at least one frame. Attention never crosses frames, so that a
 * long video needs no more scratch memory than this. */
#define QVL_PATCHES_AT_ONCE 8192

/* Frames of a video that go through the tower together. */
static inline int64_t qvl_vision_frames_at_once(const struct qvl_grid *grid)
{
    const int64_t frame = grid->h * grid->w;
    return frame < QVL_PATCHES_AT_ONCE ? QVL_PATCHES_AT_ONCE / frame : 1;
}

struct qvl_model {
    struct qvl_backend *backend; /* borrowed */
    struct qvl_model_options options;
    struct qvl_model_config config;
    struct qvl_generation_config generation;
    struct qvl_weights *weights; /* the mapped files */
    struct qvl_parameters parameters;
    struct qvl_workspace workspace;
    bool fused_merger;
    char plan[256];
};

struct qvl_sequence {
    struct qvl_model *model; /* borrowed */
    struct qvl_cache *cache;
    int64_t capacity;
    int64_t *ids;      /* [capacity] prompt tokens, then decoded ones */
    int64_t processed; /* tokens in the cache */
    struct qvl_positions positions;
    /* Visual features in backend memory, [1 + deepstack][visual tokens][hidden]: the main merger's rows, then
     * those of each DeepStack level in order of depth. */
    void *features;
};

/* Level 0 is the main merger; level j >= 1 is added after decoder layer j - 1. All visual rows of the
 * sequence. */
struct qvl_tensor qvl_sequence_features(const struct qvl_sequence *sequence, int64_t level);

/* Run the tower on one image or video and write its merged rows at `first_token` of every level of the
 * sequence. `first_patch` is the number of patch rows of the sequence before this one (for the taps). */
enum qvl_status qvl_vision_encode(struct qvl_sequence *sequence, const struct qvl_visual *visual,
                                  int64_t first_patch, int64_t first_token, const struct qvl_taps *taps,
                                  struct qvl_error *error);

/* The rows of one step inside the batch. */
struct qvl_batch_part {
    struct qvl_sequence *sequence;
    int64_t first_row; /* in the batch */
    int64_t count;
    const int64_t *visual_rows; /* batch rows relative to first_row that are visual tokens */
    int64_t visual_count;
    int64_t first_visual; /* index of the first of them among the sequence's visual tokens */
};

struct qvl_batch {
    struct qvl_batch_part *parts;
    struct qvl_segment *segments; /* the same parts for the attention entries */
    int64_t part_count;
    int64_t rows;
    const int64_t *ids;        /* [rows] */
    const int64_t *positions;  /* [3][rows] */
    const int64_t *logit_rows; /* [logit_count] batch rows */
    int64_t logit_count;
};

/* The decoder over one batch: appends to the caches and writes logits [logit_count][vocab] (may be NULL when
 * 0). */
enum qvl_status qvl_decoder_forward(struct qvl_model *model, const struct qvl_batch *batch, float *logits,
                                    const struct qvl_taps *taps, struct qvl_error *error);

#endif
