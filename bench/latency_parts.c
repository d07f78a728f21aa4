#include "bench/latency_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "bench/stage_clock.h"

#define STAMP_TOKENS 8 /* "<12.3 seconds>" */

int64_t qvl_latency_token(const struct qvl_model_config *config, uint64_t seed, uint64_t stream,
                          int64_t index)
{
    int64_t limit = config->text.vocab;
    const int64_t special[] = {config->image_token, config->video_token, config->vision_start_token,
                               config->vision_end_token};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i] > 0 && special[i] < limit)
            limit = special[i];
    return (int64_t)qvl_random_below(seed, stream, (uint64_t)index, (uint64_t)limit);
}

bool qvl_latency_plausible(const float *logits, int64_t count)
{
    bool varied = false;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(logits[i]))
            return false;
        varied = varied || logits[i] != logits[0];
    }
    return varied;
}

void qvl_latency_tell(const struct qvl_latency_watch *watch, bool begin)
{
    if (watch->tell)
        watch->tell(watch->context, begin);
}

static void put_text(const struct qvl_model_config *config, uint64_t seed, int64_t count,
                     struct qvl_prompt *prompt)
{
    for (int64_t i = 0; i < count; i++, prompt->count++)
        prompt->ids[prompt->count] = qvl_latency_token(config, seed, 1, prompt->count);
}

enum qvl_status qvl_latency_visual_prompt(const struct qvl_model_config *config, const struct qvl_grid *grid,
                                          bool video, int64_t text, uint64_t seed, struct qvl_prompt *prompt,
                                          struct qvl_error *error)
{
    const int64_t merge = config->vision.merge, tokens = grid->h * grid->w / (merge * merge);
    const int64_t stamp = video ? STAMP_TOKENS : 0;
    *prompt = (struct qvl_prompt){0};
    if (grid->t < 1 || grid->h < merge || grid->w < merge || grid->h % merge || grid->w % merge)
        return qvl_fail(error, QVL_USAGE, "a grid of %lldx%lldx%lld patches cannot be merged by %lld",
                        (long long)grid->t, (long long)grid->h, (long long)grid->w, (long long)merge);
    prompt->ids = malloc(sizeof(int64_t) * (size_t)(grid->t * (stamp + tokens + 2) + text));
    prompt->visuals = calloc(1, sizeof *prompt->visuals);
    if (!prompt->ids || !prompt->visuals) {
        qvl_prompt_free(prompt);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a prompt of %lld tokens",
                        (long long)(grid->t * tokens));
    }
    prompt->visual_count = 1;
    prompt->visuals[0] = (struct qvl_visual){.is_video = video, .grid = *grid};
    for (int64_t t = 0; t < grid->t; t++) {
        put_text(config, seed, stamp, prompt);
        prompt->ids[prompt->count++] = config->vision_start_token;
        for (int64_t i = 0; i < tokens; i++)
            prompt->ids[prompt->count++] = video ? config->video_token : config->image_token;
        prompt->ids[prompt->count++] = config->vision_end_token;
    }
    put_text(config, seed, text, prompt);
    return QVL_OK;
}

enum qvl_status qvl_latency_random_rows(const struct qvl_model_config *config, uint64_t seed,
                                        struct qvl_visual *visual, struct qvl_error *error)
{
    const struct qvl_vision_config *vision = &config->vision;
    const int64_t count = visual->grid.t * visual->grid.h * visual->grid.w * vision->channels *
                          vision->temporal_patch * vision->patch * vision->patch;
    visual->rows = malloc(sizeof(float) * (size_t)count);
    if (!visual->rows)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld pixel values", (long long)count);
    for (int64_t i = 0; i < count; i++)
        visual->rows[i] = (float)(2 * qvl_random_uniform(seed, 2, (uint64_t)i) - 1);
    return QVL_OK;
}
