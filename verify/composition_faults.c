#include "verify/composition_faults.h"

#include <stdlib.h>

#include "model/engine.h"
#include "model/timestamps.h"

void qvl_path_state_free(struct qvl_path_state *state)
{
    free(state->ids);
    free(state->features);
    memset(state, 0, sizeof *state);
}

/* ---- Positions ---- */

/* The positions as they should be, of the whole prompt. */
static enum qvl_status right_positions(const struct qvl_path_event *event, struct qvl_positions *positions,
                                       struct qvl_error *error)
{
    return qvl_positions_build(&event->sequence->model->config, event->prompt, positions, error);
}

static bool is_prefill(const struct qvl_path_event *event)
{
    return event->sequence->processed + event->count <= event->sequence->positions.count;
}

static enum qvl_status chunk_suffix(struct qvl_path_state *state, const struct qvl_path_event *event,
                                    struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    struct qvl_positions right;
    (void)state;
    if (event->moment != QVL_PATH_STEP || !is_prefill(event))
        return QVL_OK;
    QVL_TRY(right_positions(event, &right, error));
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t k = 0; k < event->count; k++)
            used->ids[axis * used->count + event->sequence->processed + k] =
                right.ids[axis * used->count + used->count - event->count + k];
    qvl_positions_free(&right);
    return QVL_OK;
}

/* The table [3][count] is cut as if it were [count][3]. */
static enum qvl_status microbatch_split(struct qvl_path_state *state, const struct qvl_path_event *event,
                                        struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    struct qvl_positions right;
    (void)state;
    if (event->moment != QVL_PATH_STEP || !is_prefill(event) || event->count == used->count)
        return QVL_OK;
    QVL_TRY(right_positions(event, &right, error));
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t k = 0; k < event->count; k++)
            used->ids[axis * used->count + event->sequence->processed + k] =
                right.ids[3 * event->sequence->processed + axis * event->count + k];
    qvl_positions_free(&right);
    return QVL_OK;
}

static enum qvl_status delta_from_partial(struct qvl_path_state *state, const struct qvl_path_event *event,
                                          struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    const int64_t end = event->sequence->processed;
    int64_t largest = 0;
    (void)state;
    (void)error;
    if (event->moment != QVL_PATH_STEPPED || end > used->count)
        return QVL_OK;
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t i = end - event->count; i < end; i++)
            largest =
                used->ids[axis * used->count + i] > largest ? used->ids[axis * used->count + i] : largest;
    used->delta = largest + 1 - event->count;
    return QVL_OK;
}

static enum qvl_status delta_lost(struct qvl_path_state *state, const struct qvl_path_event *event,
                                  struct qvl_error *error)
{
    (void)state;
    (void)error;
    if (event->moment == QVL_PATH_PROMPTED)
        event->sequence->positions.delta = 0;
    return QVL_OK;
}

static enum qvl_status delta_of_other(struct qvl_path_state *state, const struct qvl_path_event *event,
                                      struct qvl_error *error)
{
    (void)error;
    if (event->moment == QVL_PATH_PROMPTED)
        state->delta = event->sequence->positions.delta;
    if (event->moment == QVL_PATH_STEP)
        event->sequence->positions.delta = state->delta;
    return QVL_OK;
}

static enum qvl_status delta_stale(struct qvl_path_state *state, const struct qvl_path_event *event,
                                   struct qvl_error *error)
{
    (void)error;
    if (event->moment != QVL_PATH_PROMPTED)
        return QVL_OK;
    if (!state->any)
        state->delta = event->sequence->positions.delta;
    state->any = true;
    event->sequence->positions.delta = state->delta;
    return QVL_OK;
}

static enum qvl_status delta_not_handed_over(struct qvl_path_state *state, const struct qvl_path_event *event,
                                             struct qvl_error *error)
{
    (void)state;
    (void)error;
    if (event->moment == QVL_PATH_FORKED)
        event->sequence->positions.delta = 0;
    return QVL_OK;
}

static enum qvl_status tokens_for_positions(struct qvl_path_state *state, const struct qvl_path_event *event,
                                            struct qvl_error *error)
{
    (void)state;
    (void)error;
    if (event->moment == QVL_PATH_TRUNCATED)
        event->sequence->positions.delta = 0;
    return QVL_OK;
}

static enum qvl_status flat_positions(struct qvl_path_state *state, const struct qvl_path_event *event,
                                      struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    (void)state;
    (void)error;
    if (event->moment != QVL_PATH_PROMPTED)
        return QVL_OK;
    for (int64_t i = 0; i < 3 * used->count; i++)
        used->ids[i] = i % used->count;
    used->delta = 0;
    return QVL_OK;
}

/* The patches of a video are one block of T x H x W: each later one lies behind the first in time only. */
static enum qvl_status video_rows_not_split(struct qvl_path_state *state, const struct qvl_path_event *event,
                                            struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    const int64_t merge = event->sequence->model->config.vision.merge;
    int64_t visual = 0;
    (void)state;
    (void)error;
    for (int64_t v = 0; event->moment == QVL_PATH_PROMPTED && v < event->prompt->visual_count; v++) {
        const struct qvl_grid *grid = &event->prompt->visuals[v].grid;
        const int64_t cells = grid->h * grid->w / (merge * merge);
        for (int64_t t = 1; t < grid->t; t++)
            for (int64_t k = 0; k < cells; k++) {
                const int64_t token = used->visual[visual + t * cells + k];
                const int64_t model = used->visual[visual + k];
                for (int64_t axis = 0; axis < 3; axis++)
                    used->ids[axis * used->count + token] =
                        used->ids[axis * used->count + model] + (axis == 0 ? t : 0);
            }
        visual += grid->t * cells;
    }
    return QVL_OK;
}

static enum qvl_status left_pad_shared(struct qvl_path_state *state, const struct qvl_path_event *event,
                                       struct qvl_error *error)
{
    struct qvl_positions *used = &event->sequence->positions;
    const struct qvl_sequence *first = event->first;
    (void)state;
    (void)error;
    if (event->moment != QVL_PATH_STEP || first == event->sequence || !is_prefill(event))
        return QVL_OK;
    for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t k = 0; k < event->count; k++) {
            const int64_t token = first->processed + k;
            used->ids[axis * used->count + event->sequence->processed + k] =
                token < first->positions.count ? first->positions.ids[axis * first->positions.count + token]
                                               : token + first->positions.delta;
        }
    return QVL_OK;
}

/* Positions are made for prompts; the decode rows of a batch keep zero. */
static enum qvl_status mixed_batch(struct qvl_path_state *state, const struct qvl_path_event *event,
                                   struct qvl_error *error)
{
    struct qvl_sequence *sequence = event->sequence;
    struct qvl_positions right;
    (void)state;
    if (event->moment != QVL_PATH_STEP || is_prefill(event))
        return QVL_OK;
    QVL_TRY(right_positions(event, &right, error));
    sequence->positions.delta = event->lanes > 1 ? -sequence->processed : right.delta;
    qvl_positions_free(&right);
    return QVL_OK;
}

/* ---- Features ---- */

static size_t feature_bytes(const struct qvl_sequence *sequence)
{
    const struct qvl_tensor level = qvl_sequence_features(sequence, 0);
    return (size_t)(1 + sequence->model->config.vision.deepstack_count) * (size_t)qvl_tensor_count(&level) *
           qvl_dtype_bytes(level.dtype);
}

/* All levels, as bytes of the host, read or written. */
static enum qvl_status move_features(const struct qvl_sequence *sequence, void *host, bool back,
                                     struct qvl_error *error)
{
    struct qvl_backend *backend = sequence->model->backend;
    const struct qvl_tensor all = qvl_tensor_1d(sequence->features, QVL_U8, (int64_t)feature_bytes(sequence));
    return back ? backend->upload(backend, &all, host, error) : backend->download(backend, &all, host, error);
}

/* Copy the rows of the images, or of the videos, of one level behind each other; returns where they end. */
static char *gather(const struct qvl_path_event *event, bool videos, const char *from, char *to)
{
    const struct qvl_model_config *config = &event->sequence->model->config;
    const size_t row = (size_t)config->text.hidden * qvl_dtype_bytes(event->sequence->model->options.storage);
    for (int64_t v = 0; v < event->prompt->visual_count; v++) {
        const struct qvl_visual *visual = &event->prompt->visuals[v];
        const size_t bytes = (size_t)(visual->grid.t * visual->grid.h * visual->grid.w /
                                      (config->vision.merge * config->vision.merge)) *
                             row;
        if (visual->is_video == videos) {
            memcpy(to, from, bytes);
            to += bytes;
        }
        from += bytes;
    }
    return to;
}

static enum qvl_status images_first(struct qvl_path_state *state, const struct qvl_path_event *event,
                                    struct qvl_error *error)
{
    (void)state;
    if (event->moment != QVL_PATH_PROMPTED || !event->sequence->features)
        return QVL_OK;
    const size_t bytes = feature_bytes(event->sequence);
    const size_t levels = 1 + (size_t)event->sequence->model->config.vision.deepstack_count;
    char *old = malloc(2 * bytes);
    if (!old)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for visual features");
    enum qvl_status status = move_features(event->sequence, old, false, error);
    char *ordered = old + bytes;
    for (size_t level = 0; status == QVL_OK && level < levels; level++) {
        const size_t start = level * (bytes / levels);
        gather(event, true, old + start, gather(event, false, old + start, ordered + start));
    }
    if (status == QVL_OK)
        status = move_features(event->sequence, ordered, true, error);
    free(old);
    return status;
}

/* The features of a prompt with the same token ids are taken for this one's. */
static enum qvl_status features_by_ids(struct qvl_path_state *state, const struct qvl_path_event *event,
                                       struct qvl_error *error)
{
    const struct qvl_sequence *sequence = event->sequence;
    const int64_t count = sequence->positions.count;
    if (event->moment != QVL_PATH_PROMPTED || !sequence->features)
        return QVL_OK;
    if (state->features && state->count == count &&
        memcmp(state->ids, sequence->ids, sizeof(int64_t) * (size_t)count) == 0)
        return move_features(sequence, state->features, true, error);
    qvl_path_state_free(state);
    state->ids = malloc(sizeof(int64_t) * (size_t)count);
    state->features = malloc(feature_bytes(sequence));
    if (!state->ids || !state->features)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for visual features");
    memcpy(state->ids, sequence->ids, sizeof(int64_t) * (size_t)count);
    state->count = count;
    return move_features(sequence, state->features, false, error);
}

/* ---- Frames and stamps ---- */

/* New stamps of every video: from `rate` in place of the source's frame rate, or, if `indices` is not NULL,
 * from those frames. */
static enum qvl_status stamp_again(struct qvl_visual *visual, const int64_t *indices, double rate,
                                   struct qvl_error *error)
{
    double *stamps;
    int64_t count;
    QVL_TRY(qvl_timestamps(indices, visual->frames, 2, rate, &stamps, &count, error));
    free(visual->timestamps);
    visual->timestamps = stamps;
    return QVL_OK;
}

static enum qvl_status stamp_all(struct qvl_prompt *prompt, double rate, struct qvl_error *error)
{
    for (int64_t v = 0; v < prompt->visual_count; v++)
        if (prompt->visuals[v].is_video)
            QVL_TRY(stamp_again(&prompt->visuals[v], prompt->visuals[v].frame_indices, rate, error));
    return QVL_OK;
}

#define SAMPLING_FPS 2.0
#define DEFAULT_FPS 24.0

static enum qvl_status stamp_by_sampling(struct qvl_prompt *prompt, struct qvl_error *error)
{
    return stamp_all(prompt, SAMPLING_FPS, error);
}

static enum qvl_status stamp_by_default(struct qvl_prompt *prompt, struct qvl_error *error)
{
    return stamp_all(prompt, DEFAULT_FPS, error);
}

/* Other frames, and what follows from them but the pixels, which stay those of the honest choice. */
static enum qvl_status choose_frames(struct qvl_visual *visual, int64_t frames, double step,
                                     struct qvl_error *error)
{
    int64_t *indices = malloc(sizeof(int64_t) * (size_t)(frames + 1));
    if (!indices)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for frame indices");
    for (int64_t i = 0; i < frames; i++) {
        indices[i] = (int64_t)((double)i * step);
        if (indices[i] >= visual->total_frames)
            indices[i] = visual->total_frames - 1;
    }
    free(visual->frame_indices);
    visual->frame_indices = indices;
    visual->frames = frames;
    visual->grid.t = (frames + 1) / 2;
    return stamp_again(visual, indices, visual->fps, error);
}

/* The stamps are those that the default rate would have, whatever count was asked for. */
static enum qvl_status stamp_by_count(struct qvl_prompt *prompt, struct qvl_error *error)
{
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        struct qvl_visual *visual = &prompt->visuals[v];
        if (!visual->is_video)
            continue;
        int64_t *indices = malloc(sizeof(int64_t) * (size_t)visual->frames);
        if (!indices)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for frame indices");
        for (int64_t i = 0; i < visual->frames; i++)
            indices[i] = (int64_t)((double)i * visual->fps / SAMPLING_FPS);
        const enum qvl_status status = stamp_again(visual, indices, visual->fps, error);
        free(indices);
        if (status != QVL_OK)
            return status;
    }
    return QVL_OK;
}

/* Only plans, which have no pixels yet, so that no row count contradicts them. */
static bool is_plan(const struct qvl_visual *visual)
{
    return visual->is_video && !visual->rows;
}

/* Steps of a float sum, which fit once more often than asked. */
static enum qvl_status sample_float_range(struct qvl_prompt *prompt, struct qvl_error *error)
{
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        struct qvl_visual *visual = &prompt->visuals[v];
        const float step = (float)visual->total_frames / (float)visual->frames;
        int64_t frames = 0;
        if (!is_plan(visual))
            continue;
        float at = 0; /* summed up in float32: the fault */
        while (at < (float)visual->total_frames) {
            at += step;
            frames++;
        }
        QVL_TRY(choose_frames(visual, frames, step, error));
    }
    return QVL_OK;
}

/* As many as the rate asks for, also where the clip has fewer. */
static enum qvl_status sample_duplicates(struct qvl_prompt *prompt, struct qvl_error *error)
{
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        struct qvl_visual *visual = &prompt->visuals[v];
        if (is_plan(visual) && visual->frames == visual->total_frames)
            QVL_TRY(choose_frames(visual, visual->frames + 3,
                                  (double)(visual->total_frames - 1) / (double)(visual->frames + 2), error));
    }
    return QVL_OK;
}

/* ---- The text ---- */

#define VISION_START "<|vision_start|>"
#define VISION_END "<|vision_end|>"

/* The next "<1.5 seconds>" with the marker behind it; *length without the marker. NULL: none. */
static char *find_stamp(char *text, size_t *length)
{
    for (char *marker = strstr(text, VISION_START); marker; marker = strstr(marker + 1, VISION_START)) {
        char *stamp = marker;
        while (stamp > text && stamp[-1] != '<')
            stamp--;
        if (stamp > text && marker - stamp > 9 && memcmp(marker - 9, " seconds>", 9) == 0) {
            *length = (size_t)(marker - (stamp - 1));
            return stamp - 1;
        }
    }
    return NULL;
}

static void stamp_after_marker(char *text, size_t *size)
{
    size_t length;
    (void)size;
    for (char *stamp = find_stamp(text, &length); stamp; stamp = find_stamp(stamp, &length)) {
        char copy[64];
        if (length > sizeof copy)
            return;
        memcpy(copy, stamp, length);
        memmove(stamp, stamp + length, strlen(VISION_START));
        memcpy(stamp + strlen(VISION_START), copy, length);
        stamp += strlen(VISION_START) + length;
    }
}

/* One block of tokens a video. */
static void no_stamps(char *text, size_t *size)
{
    size_t length;
    char *first = find_stamp(text, &length);
    if (!first)
        return;
    memmove(first, first + length, strlen(first + length) + 1);
    for (char *stamp = find_stamp(text, &length); stamp; stamp = find_stamp(text, &length)) {
        const size_t behind = length + strlen(VISION_START);
        char *end = stamp - strlen(VISION_END); /* of the patch before */
        memmove(end, stamp + behind, strlen(stamp + behind) + 1);
    }
    *size = strlen(text);
}

static const struct qvl_path_fault faults[] = {
    {"pos.chunk_suffix", 1, "a chunk gets the last positions of the prompt", "positions",
     .sequence = chunk_suffix},
    {"pos.delta_from_partial", 1, "the position delta is made anew from each chunk", "positions",
     .sequence = delta_from_partial},
    {"pos.delta_lost_in_decode", 1, "decode counts tokens and has no delta", "positions",
     .sequence = delta_lost},
    {"pos.delta_of_other_request", 1, "the delta belongs to the model, a later prompt overwrites it",
     "positions", .sequence = delta_of_other},
    {"pos.delta_stale_across_calls", 1, "the delta of the first prompt stays", "positions",
     .sequence = delta_stale},
    {"pos.delta_not_handed_over", 1, "a copied sequence loses the delta", "positions",
     .sequence = delta_not_handed_over},
    {"pos.flat_positions", 1, "visual tokens get the index of the token on all axes", "positions",
     .sequence = flat_positions},
    {"pos.microbatch_split", 1, "the axis-major table is cut as if it were token-major", "positions",
     .sequence = microbatch_split},
    {"pos.tokens_for_positions", 1, "after a trim the next position is the number of tokens", "positions",
     .sequence = tokens_for_positions},
    {"pos.fps_metadata_dropped", 1, "the default frame rate stands in for that of the file", "timestamps",
     .visuals = stamp_by_default},
    {"pos.video_rows_not_split", 1, "a video is one block of T x H x W", "positions",
     .sequence = video_rows_not_split},
    {"pos.mixed_batch", 1, "decode rows of a batch stand at position 0", "positions",
     .sequence = mixed_batch},
    {"pos.left_pad_shared", 1, "one position vector serves all rows of a batch", "positions",
     .sequence = left_pad_shared},
    {"pre.sample_float_range", 4, "a float range gives one frame too many", "frame sampling",
     .visuals = sample_float_range},
    {"pre.sample_duplicates", 4, "short clips are filled up with repeats", "frame sampling",
     .visuals = sample_duplicates},
    {"pre.stamp_wrong_fps", 4, "source index divided by the sampling rate", "timestamps",
     .visuals = stamp_by_sampling},
    {"pre.stamp_count", 4, "stamps of the default rate where a count of frames was given", "timestamps",
     .visuals = stamp_by_count},
    {"pre.stamp_after_marker", 4, "the time text stands behind the vision start token", "prompt",
     .text = stamp_after_marker},
    {"pre.no_stamps", 4, "a video is one run of tokens without times", "prompt", .text = no_stamps},
    {"merge.images_first", 6, "features come images first, placeholders in prompt order", "features",
     .sequence = images_first},
    {"cache.image_hash", 11, "features are kept by token ids alone", "features", .sequence = features_by_ids},
};

const struct qvl_path_fault *qvl_path_fault_at(int64_t index)
{
    return index >= 0 && index < (int64_t)(sizeof faults / sizeof *faults) ? &faults[index] : NULL;
}
