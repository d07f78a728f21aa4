/* Prompts made of given images and videos in a given order, and the visual features of such a prompt.
 * Internal to verify/. */
#ifndef QVL_VERIFY_VISUAL_ORDER_H
#define QVL_VERIFY_VISUAL_ORDER_H

#include "model/model.h"
#include "model/tap_store.h"

/* Placeholder tokens of a visual. */
int64_t qvl_visual_tokens(const struct qvl_model_config *config, const struct qvl_visual *visual);

/* Text and the visuals order[0..count-1]; the prompt's visuals borrow their rows (free ids and visuals only:
 * qvl_prompt_unborrow). */
enum qvl_status qvl_prompt_of_visuals(const struct qvl_model_config *config, const struct qvl_visual *visuals,
                                      const int *order, int64_t count, uint64_t seed,
                                      struct qvl_prompt *prompt, struct qvl_error *error);
void qvl_prompt_unborrow(struct qvl_prompt *prompt);

/* The features of the visuals in that order, at the stages of `like` other than "logits", each put to the
 * rows that the visual has in the natural order; `features` holds the values of all those stages, one after
 * the other. QVL_FAILED when a stage is missing or has another width. */
enum qvl_status qvl_visual_features(struct qvl_model *model, const struct qvl_visual *visuals,
                                    const int *order, int64_t count, const struct qvl_tap_store *like,
                                    double *features, struct qvl_error *error);

#endif
