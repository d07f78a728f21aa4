/* Where a stage's worst element stands in the model and in the prompt, and what two runs say together. */
#ifndef QVL_VERIFY_DIVERGENCE_H
#define QVL_VERIFY_DIVERGENCE_H

#include "model/prompt.h"
#include "verify/stages.h"

#define QVL_VERDICT_BYTES 768

/* -1 where something has no meaning for the stage. */
struct qvl_stage_place {
    int64_t layer;      /* decoder layer, block of the tower, or DeepStack merger */
    int64_t patch;      /* row of the tower's patches, over all visuals */
    int64_t token;      /* of the prompt */
    int64_t visual;     /* image or video in prompt order, of a patch or of a visual token */
    int64_t t, h, w;    /* in the visual's grid: of patches for a patch, of merged cells for a token */
    int64_t channel;    /* column of the stage */
    int64_t head, lane; /* of projections into heads */
    const char *third;  /* "q", "k" or "v" of a fused projection; else NULL */
};

/* The place of element (row, column) of a stage. */
void qvl_stage_locate(const char *stage, int64_t row, int64_t column, const struct qvl_prompt *prompt,
                      const struct qvl_model_config *config, struct qvl_stage_place *place);

/* "token 113 (image 0, cell t 0 h 2 w 3), channel 40". */
void qvl_stage_place_text(const struct qvl_stage_place *place, char *text, size_t size);

/* One sentence on one stage: name, place, expected, got, tolerance, and how much of it is wrong. */
void qvl_stage_result_text(const struct qvl_stage_result *result, const struct qvl_prompt *prompt,
                           const struct qvl_model_config *config, char *text, size_t size);

/* The verdict on both runs: where the first error shows, and where it arises. One line. */
void qvl_divergence_verdict(const struct qvl_stage_report *report, const struct qvl_prompt *prompt,
                            const struct qvl_model_config *config, char verdict[QVL_VERDICT_BYTES]);

#endif
