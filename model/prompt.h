/* What the processor makes of a message list and the model consumes: token ids after expansion of the visual
 * placeholders, grids, patch rows, and what the record shows of each image and video. */
#ifndef QVL_MODEL_PROMPT_H
#define QVL_MODEL_PROMPT_H

#include "qvl/ops.h"

/* One image or video of a prompt, in prompt order. */
struct qvl_visual {
    bool is_video;
    struct qvl_grid grid; /* temporal patches, patch rows, patch columns */
    float *rows;          /* [t*h*w][3*T*P*P] patch rows, owned; NULL when only sizes were asked for */
    int64_t source_height, source_width;
    int64_t resized_height, resized_width;
    uint8_t *resized_rgb;   /* [frames][resized_height][resized_width][3], owned, NULL unless asked for */
    int64_t frames;         /* frames read (1 for an image), before padding to the temporal patch */
    int64_t *frame_indices; /* [frames] index in the source, owned; NULL for an image */
    double *timestamps;     /* [grid.t] seconds, owned; NULL for an image */
    double fps;             /* source frame rate */
    int64_t total_frames;   /* frames of the source */
    bool exact;             /* pixels equal to the original's; else inexact_reason says why not */
    char inexact_reason[128];
};

struct qvl_prompt {
    int64_t *ids; /* [count], owned */
    int64_t count;
    struct qvl_visual *visuals; /* [visual_count], owned, in prompt order */
    int64_t visual_count;
};

/* Frees what the visual owns and clears it; a zeroed visual is accepted. */
void qvl_visual_free(struct qvl_visual *visual);

/* Frees what the prompt owns and clears it; a zeroed prompt is accepted. */
void qvl_prompt_free(struct qvl_prompt *prompt);

#endif
