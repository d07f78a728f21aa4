#include "verify/visual_order.h"

#include <stdlib.h>

#include "base/random.h"
#include "verify/model_answer.h"

enum { TEXT = 3 }; /* tokens before each visual, and after the last */

int64_t qvl_visual_tokens(const struct qvl_model_config *config, const struct qvl_visual *visual)
{
    const int64_t merge = config->vision.merge;
    return visual->grid.t * (visual->grid.h / merge) * (visual->grid.w / merge);
}

static void put_text(const struct qvl_model_config *config, uint64_t seed, struct qvl_prompt *prompt)
{
    const uint64_t ordinary = (uint64_t)qvl_ordinary_tokens(config);
    for (int i = 0; i < TEXT; i++) {
        prompt->ids[prompt->count] = (int64_t)qvl_random_below(seed, 21, (uint64_t)prompt->count, ordinary);
        prompt->count++;
    }
}

enum qvl_status qvl_prompt_of_visuals(const struct qvl_model_config *config, const struct qvl_visual *visuals,
                                      const int *order, int64_t count, uint64_t seed,
                                      struct qvl_prompt *prompt, struct qvl_error *error)
{
    int64_t room = TEXT;
    for (int64_t i = 0; i < count; i++)
        room += qvl_visual_tokens(config, &visuals[order[i]]) + TEXT * visuals[order[i]].grid.t;
    *prompt = (struct qvl_prompt){.ids = malloc((size_t)room * sizeof *prompt->ids),
                                  .visuals = calloc((size_t)count + 1, sizeof *prompt->visuals),
                                  .visual_count = count};
    if (!prompt->ids || !prompt->visuals) {
        qvl_prompt_unborrow(prompt);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a prompt of %lld tokens", (long long)room);
    }
    for (int64_t i = 0; i < count; i++) {
        const struct qvl_visual *visual = &visuals[order[i]];
        prompt->visuals[i] = *visual;
        for (int64_t t = 0; t < visual->grid.t; t++) {
            put_text(config, seed, prompt); /* a video has text before every frame */
            for (int64_t k = 0; k < qvl_visual_tokens(config, visual) / visual->grid.t; k++)
                prompt->ids[prompt->count++] = visual->is_video ? config->video_token : config->image_token;
        }
    }
    put_text(config, seed, prompt);
    return QVL_OK;
}

void qvl_prompt_unborrow(struct qvl_prompt *prompt)
{
    free(prompt->ids);
    free(prompt->visuals);
    *prompt = (struct qvl_prompt){0};
}

/* Rows of the visuals before `visual` in the natural order. */
static int64_t natural_row(const struct qvl_model_config *config, const struct qvl_visual *visuals,
                           int visual)
{
    int64_t row = 0;
    for (int i = 0; i < visual; i++)
        row += qvl_visual_tokens(config, &visuals[i]);
    return row;
}

static enum qvl_status place_features(const struct qvl_model_config *config, const struct qvl_visual *visuals,
                                      const int *order, int64_t count, const struct qvl_tap_store *like,
                                      const struct qvl_tap_store *store, double *features,
                                      struct qvl_error *error)
{
    for (int64_t e = 0; e < like->count; e++) {
        const struct qvl_tap_entry *expected = &like->entries[e];
        const struct qvl_tap_entry *got = qvl_tap_store_find(store, expected->name);
        const int64_t width = qvl_tap_entry_width(expected);
        int64_t row = 0;
        if (strcmp(expected->name, "logits") == 0)
            continue;
        if (!got || qvl_tap_entry_width(got) != width)
            return qvl_fail(error, QVL_FAILED, "stage %s is missing or has another width", expected->name);
        for (int64_t i = 0; i < count; i++) {
            const int64_t tokens = qvl_visual_tokens(config, &visuals[order[i]]);
            double *to = features + natural_row(config, visuals, order[i]) * width;
            if (row + tokens > got->shape[0])
                return qvl_fail(error, QVL_FAILED, "stage %s has %lld rows, too few", expected->name,
                                (long long)got->shape[0]);
            for (int64_t k = 0; k < tokens * width; k++)
                to[k] = (double)got->values[row * width + k];
            row += tokens;
        }
        features += expected->shape[0] * width;
    }
    return QVL_OK;
}

enum qvl_status qvl_visual_features(struct qvl_model *model, const struct qvl_visual *visuals,
                                    const int *order, int64_t count, const struct qvl_tap_store *like,
                                    double *features, struct qvl_error *error)
{
    const struct qvl_model_config *config = qvl_model_get_config(model);
    struct qvl_tap_store store = {.patterns = like->patterns, .pattern_count = like->pattern_count};
    const struct qvl_taps taps = qvl_tap_store_taps(&store);
    struct qvl_sequence *sequence = NULL;
    struct qvl_prompt prompt;
    QVL_TRY(qvl_prompt_of_visuals(config, visuals, order, count, 1, &prompt, error));
    enum qvl_status status = qvl_sequence_create(model, prompt.count, &sequence, error);
    if (status == QVL_OK)
        status = qvl_sequence_prompt(sequence, &prompt, &taps, error);
    if (status == QVL_OK)
        status = place_features(config, visuals, order, count, like, &store, features, error);
    qvl_sequence_destroy(sequence);
    qvl_prompt_unborrow(&prompt);
    qvl_tap_store_free(&store);
    return status;
}
