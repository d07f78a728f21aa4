#include "model/processor_plan.h"

#include "model/frame_sampling.h"
#include "model/timestamps.h"

#include <stdlib.h>

/* Limits of qwen-vl-utils 0.0.14, in tokens of factor x factor pixels. */
#define QVU_IMAGE_MIN_TOKENS 4
#define QVU_IMAGE_MAX_TOKENS 16384
#define QVU_FRAME_MIN_TOKENS 128
#define QVU_FRAME_MAX_TOKENS 768
#define QVU_SEQUENCE_TOKENS 128000.0
#define QVU_SEQUENCE_SHARE 0.9
#define QVU_FRAME_FACTOR 2.0
#define QVU_LIST_FPS 2.0
#define HF_LIST_FPS 24.0
#define CAP_MARGIN 1.05

static const struct qvl_media_item no_limits = {
    .min_pixels = -1, .max_pixels = -1, .total_pixels = -1, .num_frames = -1, .fps = -1.0};

const struct qvl_medium_settings *qvl_processor_medium(const struct qvl_processor *processor, bool video)
{
    return video ? &processor->settings.video : &processor->settings.image;
}

static double given_or(int64_t given, double otherwise)
{
    return given >= 0 ? (double)given : otherwise;
}

static double factor_of(const struct qvl_medium_settings *medium)
{
    return (double)(medium->patch * medium->merge);
}

static enum qvl_size_rule rule_of(const struct qvl_processor *processor)
{
    static const enum qvl_size_rule rules[QVL_PROFILE_COUNT] = {QVL_SIZE_HF4, QVL_SIZE_HF5, QVL_SIZE_QVU};
    return rules[processor->settings.profile];
}

static enum qvl_status set_size(const struct qvl_processor *processor, int64_t frames, double min_pixels,
                                double max_pixels, struct qvl_visual *visual, struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = qvl_processor_medium(processor, visual->is_video);
    struct qvl_smart_resize_args args = {.rule = rule_of(processor),
                                         .frames = frames,
                                         .temporal_patch = medium->temporal_patch,
                                         .height = visual->source_height,
                                         .width = visual->source_width,
                                         .factor = medium->patch * medium->merge,
                                         .min_pixels = min_pixels,
                                         .max_pixels = max_pixels,
                                         .out_height = &visual->resized_height,
                                         .out_width = &visual->resized_width};
    QVL_TRY(processor->pixels->smart_resize(&args, error));
    visual->grid.t = (visual->frames + medium->temporal_patch - 1) / medium->temporal_patch;
    visual->grid.h = visual->resized_height / medium->patch;
    visual->grid.w = visual->resized_width / medium->patch;
    return QVL_OK;
}

enum qvl_status qvl_plan_image(const struct qvl_processor *processor, const struct qvl_media_item *limits,
                               int64_t height, int64_t width, struct qvl_visual *visual,
                               struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.image;
    double factor = factor_of(medium);
    double min_pixels = (double)medium->min_pixels;
    double max_pixels = (double)medium->max_pixels;

    if (!limits)
        limits = &no_limits;
    if (processor->settings.profile == QVL_PROFILE_QVU) {
        min_pixels = QVU_IMAGE_MIN_TOKENS * factor * factor;
        max_pixels = QVU_IMAGE_MAX_TOKENS * factor * factor;
    }
    *visual = (struct qvl_visual){
        .source_height = height, .source_width = width, .frames = 1, .total_frames = 1, .exact = true};
    return set_size(processor, 0, given_or(limits->min_pixels, min_pixels),
                    given_or(limits->max_pixels, max_pixels), visual, error);
}

/* Budget of the whole video (facts 2.3). */
static enum qvl_status size_video_hf(const struct qvl_processor *processor,
                                     const struct qvl_media_item *limits, struct qvl_visual *visual,
                                     struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.video;
    double factor = factor_of(medium);
    double frames = (double)visual->frames;
    double min_pixels = given_or(limits->min_pixels, (double)medium->min_pixels);
    double max_pixels = (double)medium->max_pixels;

    if (limits->max_pixels >= 0 || limits->total_pixels >= 0)
        max_pixels = fmin(given_or(limits->max_pixels, INFINITY), given_or(limits->total_pixels, INFINITY));
    if (medium->cap_pixels_per_frame) {
        int64_t share = (int64_t)max_pixels / visual->frames;
        double frame = fmin((double)medium->max_video_tokens * factor * factor, (double)share);
        max_pixels = frames * fmax(frame, trunc(min_pixels * CAP_MARGIN));
    }
    return set_size(processor, visual->frames, min_pixels, max_pixels, visual, error);
}

/* Budget of a frame, from that of the sequence (facts 2.4). */
static enum qvl_status size_video_qvu(const struct qvl_processor *processor,
                                      const struct qvl_media_item *limits, struct qvl_visual *visual,
                                      struct qvl_error *error)
{
    double factor = factor_of(&processor->settings.video);
    double min_pixels = given_or(limits->min_pixels, QVU_FRAME_MIN_TOKENS * factor * factor);
    double total = given_or(limits->total_pixels, QVU_SEQUENCE_TOKENS * factor * factor * QVU_SEQUENCE_SHARE);
    double share = total / (double)visual->frames * QVU_FRAME_FACTOR;
    double max_pixels =
        fmax(fmin(QVU_FRAME_MAX_TOKENS * factor * factor, share), trunc(min_pixels * CAP_MARGIN));
    return set_size(processor, 0, min_pixels, fmin(given_or(limits->max_pixels, max_pixels), max_pixels),
                    visual, error);
}

/* Size, grid and stamps once frames, indices and fps are known. */
static enum qvl_status finish_video(const struct qvl_processor *processor,
                                    const struct qvl_media_item *limits, struct qvl_visual *visual,
                                    struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.video;
    bool hf5 = processor->settings.profile == QVL_PROFILE_HF5;
    int64_t stamps;

    if (processor->settings.profile == QVL_PROFILE_QVU)
        QVL_TRY(size_video_qvu(processor, limits, visual, error));
    else
        QVL_TRY(size_video_hf(processor, limits, visual, error));
    QVL_TRY(qvl_timestamps(visual->frame_indices, visual->frames,
                           hf5 ? medium->temporal_patch : medium->merge, visual->fps, &visual->timestamps,
                           &stamps, error));
    if (stamps < visual->grid.t)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "%lld timestamps for %lld temporal patches: merge_size %lld is above temporal_patch_size "
            "%lld; use the hf5 profile",
            (long long)stamps, (long long)visual->grid.t, (long long)medium->merge,
            (long long)medium->temporal_patch);
    return QVL_OK;
}

static enum qvl_status sampling_of(const struct qvl_processor *processor, const struct qvl_media_item *limits,
                                   struct qvl_sampling *sampling, struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.video;
    bool qvu = processor->settings.profile == QVL_PROFILE_QVU;

    if (limits->fps >= 0 && limits->num_frames >= 0)
        return qvl_fail(error, QVL_BAD_INPUT, "fps and num_frames are both given; use one");
    if (limits->fps == 0 || limits->num_frames == 0)
        return qvl_fail(error, QVL_BAD_INPUT, "fps and num_frames must be above zero");
    *sampling = (struct qvl_sampling){.fps = qvu ? 2.0 : medium->fps,
                                      .num_frames = qvu ? 0 : medium->num_frames,
                                      .min_frames = medium->min_frames,
                                      .max_frames = medium->max_frames};
    if (limits->fps > 0) {
        sampling->fps = limits->fps;
        sampling->num_frames = 0;
    } else if (limits->num_frames > 0) {
        sampling->num_frames = limits->num_frames;
    }
    return QVL_OK;
}

static enum qvl_status check_family(const struct qvl_processor *processor, struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.video;
    if (!medium->supported)
        return qvl_fail(
            error, QVL_UNSUPPORTED,
            "%s: video_processor_type is not Qwen3VLVideoProcessor; videos of other families are not "
            "supported",
            medium->source);
    return QVL_OK;
}

enum qvl_status qvl_plan_video(const struct qvl_processor *processor, const struct qvl_media_item *limits,
                               int64_t total, int64_t height, int64_t width, double fps,
                               struct qvl_visual *visual, struct qvl_error *error)
{
    struct qvl_sampling sampling;
    enum qvl_status status;

    if (!limits)
        limits = &no_limits;
    *visual = (struct qvl_visual){.is_video = true,
                                  .source_height = height,
                                  .source_width = width,
                                  .fps = fps,
                                  .total_frames = total,
                                  .exact = true};
    QVL_TRY(check_family(processor, error));
    QVL_TRY(sampling_of(processor, limits, &sampling, error));
    if (processor->settings.profile == QVL_PROFILE_QVU)
        status = qvl_sample_frames_qvu(&sampling, total, fps, &visual->frame_indices, &visual->frames, error);
    else if (processor->settings.video.sample_frames)
        status = qvl_sample_frames_hf(&sampling, total, fps, &visual->frame_indices, &visual->frames, error);
    else
        status = qvl_sample_frames_all(total, &visual->frame_indices, &visual->frames, error);
    if (status == QVL_OK)
        status = finish_video(processor, limits, visual, error);
    if (status != QVL_OK)
        qvl_visual_free(visual);
    return status;
}

enum qvl_status qvl_plan_frame_list(const struct qvl_processor *processor,
                                    const struct qvl_media_item *limits, int64_t count, int64_t height,
                                    int64_t width, struct qvl_visual *visual, struct qvl_error *error)
{
    bool qvu = processor->settings.profile == QVL_PROFILE_QVU;
    enum qvl_status status;

    *visual = (struct qvl_visual){.is_video = true,
                                  .source_height = height,
                                  .source_width = width,
                                  .total_frames = count,
                                  .exact = true};
    QVL_TRY(check_family(processor, error));
    if (limits->num_frames >= 0)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "num_frames is given for a list of frame files; every file of a list is taken: remove it");
    visual->fps = limits->fps >= 0 ? limits->fps : qvu ? QVU_LIST_FPS : HF_LIST_FPS;
    if (!(visual->fps > 0))
        return qvl_fail(error, QVL_BAD_INPUT, "fps must be above zero");
    status = qvl_sample_frames_all(qvu ? count + count % 2 : count, &visual->frame_indices, &visual->frames,
                                   error);
    if (status == QVL_OK)
        status = finish_video(processor, limits, visual, error);
    if (status != QVL_OK)
        qvl_visual_free(visual);
    return status;
}

enum qvl_status qvl_plan_listed_frame(const struct qvl_processor *processor,
                                      const struct qvl_media_item *limits, int64_t height, int64_t width,
                                      int64_t *out_height, int64_t *out_width, struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = &processor->settings.video;
    double factor = factor_of(medium) * (double)medium->merge;
    struct qvl_smart_resize_args args = {
        .rule = QVL_SIZE_QVU,
        .height = height,
        .width = width,
        .factor = (int64_t)factor,
        .min_pixels = given_or(limits->min_pixels, QVU_IMAGE_MIN_TOKENS * factor * factor),
        .max_pixels = given_or(limits->max_pixels, QVU_IMAGE_MAX_TOKENS * factor * factor),
        .out_height = out_height,
        .out_width = out_width};
    return processor->pixels->smart_resize(&args, error);
}
