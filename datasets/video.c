#include <libavutil/display.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/container_size.h"
#include "datasets/media.h"
#include "datasets/video_frame.h"
#include "datasets/video_stream.h"

#define DEFAULT_FPS 24.0

struct video_file {
    struct qvl_video video; /* first member: the public part */
    struct qvl_media_source source;
    /* Presentation times of the frames, ascending, in units of the stream. NULL when the container's times
     * cannot be trusted to number the frames: then they count in the order in which they are decoded. */
    int64_t *times;
};

/* What the packets of a file say about its frames. */
struct scan {
    int64_t *times;
    int64_t count, capacity;
    int64_t hidden;     /* packets outside the edit list */
    int64_t untimed;    /* packets without a presentation time */
    int64_t first, end; /* first start and last end */
};

static enum qvl_status scan_add(struct scan *scan, const AVPacket *packet, const char *name,
                                struct qvl_error *error)
{
    if (packet->flags & AV_PKT_FLAG_DISCARD) {
        scan->hidden++;
        return QVL_OK;
    }
    if (packet->pts == AV_NOPTS_VALUE) {
        scan->untimed++;
        return QVL_OK;
    }
    if (scan->count == scan->capacity) {
        int64_t capacity = scan->capacity ? scan->capacity * 2 : 256;
        int64_t *times = realloc(scan->times, (size_t)capacity * sizeof *times);
        if (!times)
            return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for the times of %lld frames", name,
                            (long long)capacity);
        scan->times = times;
        scan->capacity = capacity;
    }
    if (!scan->count || packet->pts < scan->first)
        scan->first = packet->pts;
    if (!scan->count || packet->pts + packet->duration > scan->end)
        scan->end = packet->pts + packet->duration;
    scan->times[scan->count++] = packet->pts;
    return QVL_OK;
}

static int compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* MP4 and Matroska give every frame a time of its own. Others repeat or lack them, and VP8 hides reference
 * frames among the shown ones. */
static bool times_number_frames(const struct qvl_video_stream *stream, const struct scan *scan)
{
    const char *format = stream->input.format->iformat->name;
    if (!strstr(format, "mp4") && !strstr(format, "matroska"))
        return false;
    if (scan->untimed || !scan->count || stream->codec->codec_id == AV_CODEC_ID_VP8)
        return false;
    for (int64_t i = 1; i < scan->count; i++)
        if (scan->times[i] == scan->times[i - 1])
            return false;
    return true;
}

static enum qvl_status scan_packets(struct video_file *file, struct scan *scan, struct qvl_error *error)
{
    struct qvl_video_stream stream;
    const AVPacket *packet;
    enum qvl_status status = QVL_OK;
    QVL_TRY(qvl_video_stream_open(&stream, &file->source, error));
    while (status == QVL_OK && (packet = qvl_video_stream_next_packet(&stream)))
        status = scan_add(scan, packet, file->source.name, error);
    if (status == QVL_OK && scan->count)
        qsort(scan->times, (size_t)scan->count, sizeof *scan->times, compare_times);
    if (status == QVL_OK && times_number_frames(&stream, scan)) {
        file->times = scan->times;
        file->video.frames = scan->count;
        scan->times = NULL;
    }
    qvl_video_stream_close(&stream);
    return status;
}

static bool has_rotation_tag(const AVStream *stream)
{
    const int32_t *matrix = NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *data = av_packet_side_data_get(
        stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (data && data->size >= 9 * sizeof *matrix)
        matrix = (const int32_t *)data->data;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= 9 * sizeof *matrix)
        matrix = (const int32_t *)data;
#endif
    if (!matrix)
        return false;
    double degrees = av_display_rotation_get(matrix);
    return !isnan(degrees) && fabs(degrees) > 0.5;
}

static void set_rates(struct video_file *file, const AVStream *stream, const struct scan *scan)
{
    const AVRational rate = stream->avg_frame_rate;
    struct qvl_video *video = &file->video;
    video->fps_known = rate.num > 0 && rate.den > 0;
    video->fps = video->fps_known ? av_q2d(rate) : DEFAULT_FPS;
    video->fps_scanned = video->fps;
    if (scan->count && scan->end > scan->first) {
        char text[64];
        double unit = av_q2d(stream->time_base);
        double seconds = (double)scan->end * unit - (double)scan->first * unit;
        snprintf(text, sizeof text, "%.6f", (double)scan->count / seconds);
        video->fps_scanned = strtod(text, NULL);
    }
}

static void set_inexact(struct qvl_video *video, const char *reason)
{
    if (reason && video->exact) {
        video->exact = false;
        video->inexact_reason = reason;
    }
}

/* Decode the first frame, or all of them when they have to be counted. */
static enum qvl_status look_at_frames(struct video_file *file, const struct scan *scan,
                                      struct qvl_error *error)
{
    struct qvl_video_stream stream;
    struct qvl_video *video = &file->video;
    int64_t frames = 0;
    QVL_TRY(qvl_video_stream_open(&stream, &file->source, error));
    video->codec = avcodec_get_name(stream.codec->codec_id);
    video->exact = true;
    for (const AVFrame *frame; (frame = qvl_video_stream_next_frame(&stream)); frames++) {
        if (!frames) {
            video->height = frame->height;
            video->width = frame->width;
            set_inexact(video, qvl_frame_inexact_reason(frame));
        }
        if (file->times)
            break;
    }
    if (!file->times)
        video->frames = frames;
    set_inexact(video, scan->hidden ? "an edit list hides frames: readers differ in counting them" : NULL);
    set_inexact(video, has_rotation_tag(stream.stream) ? "rotation tag: ignored here, applied by some readers"
                                                       : NULL);
    set_inexact(video, !strcmp(stream.input.format->iformat->name, "mpegts")
                           ? "MPEG transport stream: readers differ in counting frames"
                           : NULL);
    set_rates(file, stream.stream, scan);
    qvl_video_stream_close(&stream);
    if (!video->width)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: no frame of its %s video can be decoded (%lld packets)",
                        file->source.name, video->codec,
                        (long long)(scan->count + scan->untimed + scan->hidden));
    return QVL_OK;
}

/* A pass of `read`: which wanted frame comes next, and where to send it. */
struct pass {
    struct video_file *file;
    struct qvl_frame_converter converter;
    const int64_t *indices;
    int64_t count, next;
    int64_t decoded; /* frames so far */
    enum qvl_status (*receive)(void *context, int64_t k, const struct qvl_picture *picture,
                               struct qvl_error *error);
    void *context;
};

/* Whether the frame is wanted item `k`, or the first one decoded after it. */
static bool reaches(const struct pass *pass, const AVFrame *frame, int64_t k, bool *late)
{
    const int64_t index = pass->indices[k];
    if (!pass->file->times) {
        *late = false;
        return pass->decoded - 1 >= index;
    }
    const int64_t time = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
    *late = time > pass->file->times[index];
    return time >= pass->file->times[index];
}

/* Send the frame as wanted item `next`. */
static enum qvl_status deliver(struct pass *pass, const struct qvl_picture *picture, bool missing,
                               struct qvl_error *error)
{
    struct qvl_video *video = &pass->file->video;
    if (missing) {
        video->corrupt_frames++;
        set_inexact(video, "damaged: frames are missing");
    }
    QVL_TRY(pass->receive(pass->context, pass->next, picture, error));
    pass->next++;
    return QVL_OK;
}

/* Count a decoded frame and send it as often as it is wanted. `last`: no frame follows. */
static enum qvl_status take_frame(struct pass *pass, const AVFrame *frame, bool last, struct qvl_error *error)
{
    struct qvl_video *video = &pass->file->video;
    struct qvl_picture picture = {0};
    while (pass->next < pass->count) {
        bool late = false;
        bool reached = reaches(pass, frame, pass->next, &late);
        if (!reached && !last)
            break;
        if (!picture.rgb) {
            set_inexact(video, qvl_frame_inexact_reason(frame));
            if (frame->height != video->height || frame->width != video->width)
                return qvl_fail(
                    error, QVL_BAD_INPUT,
                    "%s: the picture size changes from %lld x %lld to %d x %d at frame %lld; convert it to "
                    "one size",
                    pass->file->source.name, (long long)video->width, (long long)video->height, frame->width,
                    frame->height, (long long)pass->indices[pass->next]);
            enum qvl_status status = qvl_frame_to_rgb(&pass->converter, frame, &picture, error);
            if (status != QVL_OK)
                return qvl_fail_in(error, status, pass->file->source.name);
        }
        QVL_TRY(deliver(pass, &picture, late || !reached, error));
    }
    return QVL_OK;
}

static enum qvl_status run_pass(struct pass *pass, struct qvl_video_stream *stream, struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    struct qvl_video *video = &pass->file->video;
    AVFrame *last = av_frame_alloc();
    if (!last)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for a frame", pass->file->source.name);
    while (status == QVL_OK && pass->next < pass->count) {
        const AVFrame *frame = qvl_video_stream_next_frame(stream);
        if (!frame)
            break;
        pass->decoded++;
        if (qvl_frame_is_damaged(frame)) {
            video->corrupt_frames++;
            set_inexact(video, "damaged frames: readers differ in how they repair them");
        }
        status = take_frame(pass, frame, false, error);
        av_frame_unref(last);
        if (status == QVL_OK && av_frame_ref(last, frame) < 0)
            status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for a frame", pass->file->source.name);
    }
    if (status == QVL_OK && pass->next < pass->count) {
        if (pass->decoded)
            status = take_frame(pass, last, true, error);
        else
            status = qvl_fail(error, QVL_BAD_INPUT, "%s: no frame can be decoded", pass->file->source.name);
    }
    av_frame_free(&last);
    return status;
}

static enum qvl_status check_indices(const struct video_file *file, const int64_t *indices, int64_t count,
                                     struct qvl_error *error)
{
    for (int64_t k = 0; k < count; k++)
        if (indices[k] < 0 || indices[k] >= file->video.frames || (k && indices[k] < indices[k - 1]))
            return qvl_fail(
                error, QVL_USAGE, "%s: frame index %lld (place %lld) is not ascending or outside 0..%lld",
                file->source.name, (long long)indices[k], (long long)k, (long long)file->video.frames - 1);
    return QVL_OK;
}

static enum qvl_status read_frames(struct qvl_video *video, const int64_t *indices, int64_t count,
                                   enum qvl_status (*frame)(void *context, int64_t k,
                                                            const struct qvl_picture *picture,
                                                            struct qvl_error *error),
                                   void *context, struct qvl_error *error)
{
    struct video_file *file = video->state;
    struct qvl_video_stream stream;
    struct pass pass = {
        .file = file, .indices = indices, .count = count, .receive = frame, .context = context};
    video->corrupt_frames = 0;
    QVL_TRY(check_indices(file, indices, count, error));
    if (!count)
        return QVL_OK;
    QVL_TRY(qvl_video_stream_open(&stream, &file->source, error));
    enum qvl_status status = run_pass(&pass, &stream, error);
    qvl_frame_converter_free(&pass.converter);
    qvl_video_stream_close(&stream);
    return status;
}

static void close_video(struct qvl_video *video)
{
    if (!video)
        return;
    struct video_file *file = video->state;
    qvl_media_source_close(&file->source);
    free(file->times);
    free(file);
}

static enum qvl_status open_file(struct video_file *file, const char *path, const void *bytes, size_t size,
                                 struct qvl_error *error)
{
    struct scan scan = {0};
    QVL_TRY(qvl_media_source_open(&file->source, path, bytes, size, true, error));
    QVL_TRY(qvl_container_check_size(&file->source, error));
    enum qvl_status status = scan_packets(file, &scan, error);
    if (status == QVL_OK)
        status = look_at_frames(file, &scan, error);
    free(scan.times);
    return status;
}

enum qvl_status qvl_video_open(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                               struct qvl_error *error)
{
    *video = NULL;
    struct video_file *file = calloc(1, sizeof *file);
    if (!file)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to open a video");
    file->video.state = file;
    file->video.read = read_frames;
    file->video.close = close_video;
    enum qvl_status status = open_file(file, path, bytes, size, error);
    if (status != QVL_OK) {
        close_video(&file->video);
        return status;
    }
    *video = &file->video;
    return QVL_OK;
}
