/* Reading a medium: decoded frames are resized and turned into patch rows one temporal patch at a time. */
#include "base/memory.h"
#include "model/processor_plan.h"

#include <stdlib.h>

#define CHANNELS 3

/* Collects resized frames until a temporal patch is full. */
struct frame_sink {
    const struct qvl_processor *processor;
    struct qvl_visual *visual;
    enum qvl_resize_method method;
    int64_t received;                             /* frames so far, of visual->frames */
    uint8_t *pending;                             /* [temporal_patch] resized frames; NULL with resized_rgb */
    const uint8_t *frame[QVL_MAX_TEMPORAL_PATCH]; /* the frames of the current temporal patch */
};

static size_t frame_bytes(const struct qvl_visual *visual)
{
    return (size_t)(visual->resized_height * visual->resized_width * CHANNELS);
}

static int64_t row_columns(const struct qvl_medium_settings *medium)
{
    return CHANNELS * medium->temporal_patch * medium->patch * medium->patch;
}

/* malloc that names what is needed and what the machine has. `bytes` is a double because limits in a message
 * can ask for more than a size_t holds. */
static enum qvl_status allocate(double bytes, const char *what, void **memory, struct qvl_error *error)
{
    int64_t available = qvl_memory_available();
    bool possible = bytes < 0x1p62 && (available < 0 || bytes <= (double)available);
    *memory = possible ? malloc((size_t)bytes) : NULL;
    if (!*memory)
        return qvl_fail(error, QVL_NO_MEMORY,
                        "%s need %.0f bytes, %lld are available; lower max_pixels, fps or num_frames", what,
                        bytes, (long long)available);
    return QVL_OK;
}

static enum qvl_status sink_open(struct frame_sink *sink, const struct qvl_processor *processor,
                                 struct qvl_visual *visual, struct qvl_error *error)
{
    const struct qvl_medium_settings *medium = qvl_processor_medium(processor, visual->is_video);
    double rows = (double)visual->grid.t * (double)visual->grid.h * (double)visual->grid.w;
    double frame = (double)frame_bytes(visual);
    void *memory;

    *sink = (struct frame_sink){.processor = processor,
                                .visual = visual,
                                .method = visual->is_video ? processor->settings.video_resize
                                                           : processor->settings.image_resize};
    if (processor->sizes_only)
        return QVL_OK;
    QVL_TRY(allocate(rows * (double)row_columns(medium) * sizeof(float), "patch rows", &memory, error));
    visual->rows = memory;
    if (processor->keep_resized) {
        QVL_TRY(allocate((double)visual->frames * frame, "resized frames", &memory, error));
        visual->resized_rgb = memory;
    } else {
        QVL_TRY(allocate((double)medium->temporal_patch * frame, "resized frames", &memory, error));
        sink->pending = memory;
    }
    return QVL_OK;
}

static void sink_close(struct frame_sink *sink)
{
    free(sink->pending);
}

static enum qvl_status write_rows(const struct frame_sink *sink, int64_t count, struct qvl_error *error)
{
    const struct qvl_visual *visual = sink->visual;
    const struct qvl_medium_settings *medium = qvl_processor_medium(sink->processor, visual->is_video);
    int64_t patch_index = (sink->received - 1) / medium->temporal_patch;
    struct qvl_patch_rows_args args = {.frames = sink->frame,
                                       .frame_count = count,
                                       .height = visual->resized_height,
                                       .width = visual->resized_width,
                                       .patch = medium->patch,
                                       .temporal_patch = medium->temporal_patch,
                                       .merge = medium->merge,
                                       .rescale = medium->rescale,
                                       .form = sink->processor->settings.normalise,
                                       .rows = visual->rows + patch_index * visual->grid.h * visual->grid.w *
                                                                  row_columns(medium)};
    memcpy(args.mean, medium->mean, sizeof args.mean);
    memcpy(args.std, medium->std, sizeof args.std);
    return sink->processor->pixels->patch_rows(&args, error);
}

/* The next frame, of the planned source size. */
static enum qvl_status sink_push(struct frame_sink *sink, const struct qvl_picture *picture,
                                 struct qvl_error *error)
{
    struct qvl_visual *visual = sink->visual;
    int64_t temporal_patch = qvl_processor_medium(sink->processor, visual->is_video)->temporal_patch;
    int64_t slot = sink->received % temporal_patch;
    struct qvl_resize_args args = {.method = sink->method,
                                   .src = picture->rgb,
                                   .height = picture->height,
                                   .width = picture->width,
                                   .out_height = visual->resized_height,
                                   .out_width = visual->resized_width};

    if (picture->height != visual->source_height || picture->width != visual->source_width)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "frame %lld is %lld x %lld (height x width), the first was %lld x %lld; all frames of a "
            "video must have one size",
            (long long)sink->received, (long long)picture->height, (long long)picture->width,
            (long long)visual->source_height, (long long)visual->source_width);
    args.dst = sink->pending ? sink->pending + (size_t)slot * frame_bytes(visual)
                             : visual->resized_rgb + (size_t)sink->received * frame_bytes(visual);
    QVL_TRY(sink->processor->pixels->resize(&args, error));
    sink->frame[slot] = args.dst;
    sink->received++;
    if (slot + 1 == temporal_patch || sink->received == visual->frames)
        return write_rows(sink, slot + 1, error);
    return QVL_OK;
}

static enum qvl_status on_video_frame(void *context, int64_t k, const struct qvl_picture *picture,
                                      struct qvl_error *error)
{
    struct frame_sink *sink = context;
    if (k != sink->received)
        return qvl_fail(error, QVL_FAILED, "the reader gave frame %lld where %lld was due", (long long)k,
                        (long long)sink->received);
    return sink_push(sink, picture, error);
}

/* Put the name of the medium in front of a message that does not have it yet. */
static enum qvl_status fail_in_item(struct qvl_error *error, enum qvl_status status, const char *path)
{
    const char *name = path ? path : "data: URL";
    if (error && strstr(error->message, name))
        return status;
    return qvl_fail_in(error, status, name);
}

static enum qvl_status read_image(const struct qvl_processor *processor,
                                  const struct qvl_media_reader *reader, const struct qvl_media_item *item,
                                  struct qvl_visual *visual, struct qvl_error *error)
{
    struct qvl_picture picture = {0};
    struct frame_sink sink = {0};
    enum qvl_status status;

    QVL_TRY(
        reader->read_image(item->path, item->bytes, item->size, processor->settings.alpha, &picture, error));
    status = qvl_plan_image(processor, item, picture.height, picture.width, visual, error);
    if (status == QVL_OK)
        status = sink_open(&sink, processor, visual, error);
    if (status == QVL_OK && !processor->sizes_only)
        status = sink_push(&sink, &picture, error);
    sink_close(&sink);
    free(picture.rgb);
    return status == QVL_OK ? QVL_OK : fail_in_item(error, status, item->path);
}

/* What the decoder reported after the pass over the selected frames. */
static enum qvl_status note_quality(const struct qvl_processor *processor, const struct qvl_video *video,
                                    struct qvl_visual *visual, struct qvl_error *error)
{
    const char *reason = video->exact ? NULL : video->inexact_reason;
    if (video->corrupt_frames > 0 && !processor->accept_damaged)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "%lld of the %lld selected frames are damaged or missing; repair or re-encode the video",
            (long long)video->corrupt_frames, (long long)visual->frames);
    if (video->corrupt_frames > 0)
        reason = "damaged frames";
    visual->exact = video->exact && video->corrupt_frames == 0;
    snprintf(visual->inexact_reason, sizeof visual->inexact_reason, "%s",
             visual->exact ? ""
             : reason      ? reason
                           : "the reader does not say why");
    return QVL_OK;
}

static enum qvl_status read_video(const struct qvl_processor *processor,
                                  const struct qvl_media_reader *reader, const struct qvl_media_item *item,
                                  struct qvl_visual *visual, struct qvl_error *error)
{
    struct qvl_video *video = NULL;
    struct frame_sink sink = {0};
    enum qvl_status status;

    QVL_TRY(reader->open_video(item->path, item->bytes, item->size, &video, error));
    status = qvl_plan_video(processor, item, video->frames, video->height, video->width, video->fps_scanned,
                            visual, error);
    if (status == QVL_OK)
        status = sink_open(&sink, processor, visual, error);
    if (status == QVL_OK && !processor->sizes_only)
        status = video->read(video, visual->frame_indices, visual->frames, on_video_frame, &sink, error);
    if (status == QVL_OK)
        status = note_quality(processor, video, visual, error);
    if (status == QVL_OK && !processor->sizes_only && sink.received != visual->frames)
        status = qvl_fail(error, QVL_BAD_INPUT, "%lld of %lld selected frames could be read",
                          (long long)sink.received, (long long)visual->frames);
    sink_close(&sink);
    video->close(video);
    return status == QVL_OK ? QVL_OK : fail_in_item(error, status, item->path);
}

/* One file of a frame list, under qvu already resized to multiples of twice the factor. */
static enum qvl_status read_listed_frame(const struct qvl_processor *processor,
                                         const struct qvl_media_reader *reader,
                                         const struct qvl_media_item *item, int64_t index,
                                         struct qvl_picture *picture, struct qvl_error *error)
{
    struct qvl_resize_args args = {.method = processor->settings.image_resize};
    void *memory;
    enum qvl_status status;

    QVL_TRY(reader->read_image(item->frame_paths[index], NULL, 0, processor->settings.alpha, picture, error));
    if (processor->settings.profile != QVL_PROFILE_QVU)
        return QVL_OK;
    args.src = picture->rgb;
    args.height = picture->height;
    args.width = picture->width;
    status = qvl_plan_listed_frame(processor, item, picture->height, picture->width, &args.out_height,
                                   &args.out_width, error);
    if (status == QVL_OK)
        status = allocate((double)args.out_height * (double)args.out_width * CHANNELS, "resized frames",
                          &memory, error);
    if (status == QVL_OK) {
        args.dst = memory;
        status = processor->pixels->resize(&args, error);
        free(picture->rgb);
        *picture = (struct qvl_picture){args.out_height, args.out_width, args.dst};
    }
    if (status != QVL_OK) {
        free(picture->rgb);
        picture->rgb = NULL;
        return fail_in_item(error, status, item->frame_paths[index]);
    }
    return QVL_OK;
}

/* Push one listed frame, planning when it is the first, and once more where the selection repeats it. */
static enum qvl_status push_listed_frame(struct frame_sink *sink, const struct qvl_processor *processor,
                                         const struct qvl_media_item *item, int64_t index,
                                         const struct qvl_picture *picture, struct qvl_visual *visual,
                                         struct qvl_error *error)
{
    if (index == 0) {
        QVL_TRY(qvl_plan_frame_list(processor, item, item->frame_count, picture->height, picture->width,
                                    visual, error));
        QVL_TRY(sink_open(sink, processor, visual, error));
    }
    if (processor->sizes_only)
        return QVL_OK;
    QVL_TRY(sink_push(sink, picture, error));
    if (index == item->frame_count - 1 && sink->received < visual->frames)
        QVL_TRY(sink_push(sink, picture, error));
    return QVL_OK;
}

static enum qvl_status read_frame_list(const struct qvl_processor *processor,
                                       const struct qvl_media_reader *reader,
                                       const struct qvl_media_item *item, struct qvl_visual *visual,
                                       struct qvl_error *error)
{
    struct frame_sink sink = {0};
    enum qvl_status status = QVL_OK;

    if (item->frame_count < 1)
        return qvl_fail(error, QVL_BAD_INPUT, "a video given as a list of files is empty");
    for (int64_t i = 0; i < item->frame_count && status == QVL_OK; i++) {
        struct qvl_picture picture = {0};
        status = read_listed_frame(processor, reader, item, i, &picture, error);
        if (status == QVL_OK) {
            status = push_listed_frame(&sink, processor, item, i, &picture, visual, error);
            if (status != QVL_OK)
                status = fail_in_item(error, status, item->frame_paths[i]);
        }
        free(picture.rgb);
        if (processor->sizes_only)
            break;
    }
    sink_close(&sink);
    return status;
}

enum qvl_status qvl_processor_visual(const struct qvl_processor *processor,
                                     const struct qvl_media_reader *reader, const struct qvl_media_item *item,
                                     struct qvl_visual *visual, struct qvl_error *error)
{
    enum qvl_status status;

    memset(visual, 0, sizeof *visual);
    if (!item->is_video)
        status = read_image(processor, reader, item, visual, error);
    else if (item->frame_paths)
        status = read_frame_list(processor, reader, item, visual, error);
    else
        status = read_video(processor, reader, item, visual, error);
    if (status != QVL_OK)
        qvl_visual_free(visual);
    return status;
}
