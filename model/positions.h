/* Position ids of a prompt (facts 4.3, the original's get_rope_index) and where its visual tokens sit. */
#ifndef QVL_MODEL_POSITIONS_H
#define QVL_MODEL_POSITIONS_H

#include "model/config.h"
#include "model/prompt.h"

struct qvl_positions {
    int64_t count;   /* tokens */
    int64_t *ids;    /* [3][count] rows T, H, W; owned */
    int64_t delta;   /* largest id + 1 - count: a decoded token at index s stands at position s + delta */
    int64_t *visual; /* [visual_count] ascending indices of the image and video tokens; owned */
    int64_t visual_count;
};

/* Walk the ids: a text token advances all three axes by one; an image of LLM grid (1, h, w) starting at p
 * gives its token (r, c) the position (p, p+r, p+c) and the next text starts at p + max(h, w); each temporal
 * patch of a video counts as one such image, with the timestamp text in between. QVL_BAD_INPUT when
 * placeholders and grids disagree, with both numbers. The result is freed with qvl_positions_free. */
enum qvl_status qvl_positions_build(const struct qvl_model_config *config, const struct qvl_prompt *prompt,
                                    struct qvl_positions *positions, struct qvl_error *error);

void qvl_positions_free(struct qvl_positions *positions); /* clears it; a zeroed one is accepted */

#endif
