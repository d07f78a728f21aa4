#include "model/positions.h"

#include <stdlib.h>

/* The state of the walk: the next token, the next position and the next visual. */
struct walk {
    const struct qvl_model_config *config;
    const struct qvl_prompt *prompt;
    struct qvl_positions *out;
    int64_t token;
    int64_t position;
    int64_t visual; /* index into prompt->visuals */
    int64_t patch;  /* temporal patches of that video already placed */
};

static bool is_visual_token(const struct qvl_model_config *config, int64_t id)
{
    return id == config->image_token || id == config->video_token;
}

static void place(struct qvl_positions *out, int64_t token, int64_t t, int64_t h, int64_t w)
{
    out->ids[token] = t;
    out->ids[out->count + token] = h;
    out->ids[2 * out->count + token] = w;
}

/* Place the run of placeholders of one image or one temporal patch of a video. */
static enum qvl_status place_visual(struct walk *walk, struct qvl_error *error)
{
    const struct qvl_prompt *prompt = walk->prompt;
    const int64_t merge = walk->config->vision.merge;
    const int64_t id = prompt->ids[walk->token];
    const bool video = id == walk->config->video_token;
    const struct qvl_visual *visual =
        walk->visual < prompt->visual_count ? &prompt->visuals[walk->visual] : NULL;
    if (!visual || visual->is_video != video)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "prompt: token %lld is an %s placeholder, but visual %lld of %lld is %s; "
                        "placeholders and media must come in the same order",
                        (long long)walk->token, video ? "video" : "image", (long long)walk->visual,
                        (long long)prompt->visual_count,
                        !visual            ? "missing"
                        : visual->is_video ? "a video"
                                           : "an image");
    const int64_t rows = visual->grid.h / merge;
    const int64_t columns = visual->grid.w / merge;
    int64_t run = 0;
    while (walk->token + run < prompt->count && run < rows * columns && prompt->ids[walk->token + run] == id)
        run++;
    if (run < rows * columns)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "prompt: visual %lld needs %lld placeholder tokens in a row at token %lld, found %lld",
            (long long)walk->visual, (long long)(rows * columns), (long long)walk->token, (long long)run);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            walk->out->visual[walk->out->visual_count++] = walk->token;
            place(walk->out, walk->token++, walk->position, walk->position + r, walk->position + c);
        }
    walk->position += rows > columns ? rows : columns;
    if (++walk->patch == visual->grid.t) {
        walk->visual++;
        walk->patch = 0;
    }
    return QVL_OK;
}

static enum qvl_status walk_prompt(struct walk *walk, struct qvl_error *error)
{
    const struct qvl_prompt *prompt = walk->prompt;
    int64_t largest = -1;
    while (walk->token < prompt->count) {
        if (is_visual_token(walk->config, prompt->ids[walk->token])) {
            QVL_TRY(place_visual(walk, error));
            largest = walk->position - 1;
        } else {
            place(walk->out, walk->token++, walk->position, walk->position, walk->position);
            largest = walk->position++;
        }
    }
    if (walk->visual != prompt->visual_count || walk->patch != 0)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "prompt: placeholders for %lld of %lld images and videos found (and %lld temporal "
                        "patches of the next)",
                        (long long)walk->visual, (long long)prompt->visual_count, (long long)walk->patch);
    walk->out->delta = largest + 1 - prompt->count;
    return QVL_OK;
}

enum qvl_status qvl_positions_build(const struct qvl_model_config *config, const struct qvl_prompt *prompt,
                                    struct qvl_positions *positions, struct qvl_error *error)
{
    memset(positions, 0, sizeof *positions);
    positions->count = prompt->count;
    positions->ids = malloc(sizeof(int64_t) * 3 * (size_t)(prompt->count ? prompt->count : 1));
    positions->visual = malloc(sizeof(int64_t) * (size_t)(prompt->count ? prompt->count : 1));
    if (!positions->ids || !positions->visual) {
        qvl_positions_free(positions);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the position ids of %lld tokens",
                        (long long)prompt->count);
    }
    struct walk walk = {.config = config, .prompt = prompt, .out = positions};
    enum qvl_status status = walk_prompt(&walk, error);
    if (status != QVL_OK)
        qvl_positions_free(positions);
    return status;
}

void qvl_positions_free(struct qvl_positions *positions)
{
    free(positions->ids);
    free(positions->visual);
    memset(positions, 0, sizeof *positions);
}
