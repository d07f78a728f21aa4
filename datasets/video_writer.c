#include "datasets/video_writer.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "datasets/libav_input.h"
#include "datasets/yuv_rgb.h"

/* Fixed, because x264's output depends on it. */
#define ENCODER_THREADS 2
#define MAX_SIDE 16384

struct qvl_video_writer {
    char *path;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    int64_t frames;
};

static enum qvl_status fail_encode(const struct qvl_video_writer *writer, const char *what, int code,
                                   struct qvl_error *error)
{
    char text[QVL_LIBAV_TEXT_BYTES];
    return qvl_fail(error, code == AVERROR(ENOMEM) ? QVL_NO_MEMORY : QVL_FAILED, "%s: %s: %s", writer->path,
                    what, qvl_libav_text(code, text));
}

static enum qvl_status open_encoder(struct qvl_video_writer *writer, int width, int height, AVRational fps,
                                    struct qvl_error *error)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    if (!encoder)
        encoder = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (!encoder)
        return qvl_fail(error, QVL_UNAVAILABLE, "%s: this FFmpeg encodes neither H.264 (libx264) nor MPEG-4",
                        writer->path);
    AVCodecContext *codec = writer->codec = avcodec_alloc_context3(encoder);
    if (!codec)
        return fail_encode(writer, "no encoder", AVERROR(ENOMEM), error);
    codec->width = width;
    codec->height = height;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    codec->colorspace = AVCOL_SPC_SMPTE170M;
    codec->color_range = AVCOL_RANGE_MPEG;
    codec->time_base = av_inv_q(fps);
    codec->framerate = fps;
    codec->thread_count = ENCODER_THREADS;
    codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    if (encoder->id == AV_CODEC_ID_H264) {
        av_opt_set(codec->priv_data, "preset", "superfast", 0);
        av_opt_set(codec->priv_data, "crf", "23", 0);
    } else {
        codec->flags |= AV_CODEC_FLAG_QSCALE;
        codec->global_quality = 4 * FF_QP2LAMBDA;
    }
    int code = avcodec_open2(codec, encoder, NULL);
    return code < 0 ? fail_encode(writer, "the encoder refuses the size or frame rate", code, error) : QVL_OK;
}

static enum qvl_status open_file(struct qvl_video_writer *writer, struct qvl_error *error)
{
    AVCodecContext *codec = writer->codec;
    int code = avformat_alloc_output_context2(&writer->format, NULL, "mp4", NULL);
    if (code >= 0)
        code = avio_open_dyn_buf(&writer->format->pb);
    writer->stream = code >= 0 ? avformat_new_stream(writer->format, NULL) : NULL;
    writer->packet = av_packet_alloc();
    writer->frame = av_frame_alloc();
    if (code < 0 || !writer->stream || !writer->packet || !writer->frame)
        return fail_encode(writer, "cannot start an MP4 file", code < 0 ? code : AVERROR(ENOMEM), error);
    writer->format->flags |= AVFMT_FLAG_BITEXACT;
    writer->stream->time_base = codec->time_base;
    writer->stream->avg_frame_rate = codec->framerate;
    writer->frame->width = codec->width;
    writer->frame->height = codec->height;
    writer->frame->format = codec->pix_fmt;
    code = avcodec_parameters_from_context(writer->stream->codecpar, codec);
    if (code >= 0)
        code = avformat_write_header(writer->format, NULL);
    return code < 0 ? fail_encode(writer, "cannot start an MP4 file", code, error) : QVL_OK;
}

enum qvl_status qvl_video_writer_create(const char *path, int64_t width, int64_t height, int64_t fps_num,
                                        int64_t fps_den, struct qvl_video_writer **writer,
                                        struct qvl_error *error)
{
    *writer = NULL;
    qvl_libav_quiet();
    if (width < 16 || height < 16 || width > MAX_SIDE || height > MAX_SIDE || width % 2 || height % 2)
        return qvl_fail(error, QVL_USAGE, "%s: a video of %lld x %lld pixels; give even sides from 16 to %d",
                        path, (long long)width, (long long)height, MAX_SIDE);
    if (fps_num < 1 || fps_num > INT32_MAX || fps_den < 1 || fps_den > INT32_MAX)
        return qvl_fail(error, QVL_USAGE,
                        "%s: %lld/%lld frames per second; give two positive numbers below 2^31", path,
                        (long long)fps_num, (long long)fps_den);
    struct qvl_video_writer *made = calloc(1, sizeof *made);
    if (!made || !(made->path = strdup(path))) {
        free(made);
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for a video writer", path);
    }
    enum qvl_status status =
        open_encoder(made, (int)width, (int)height, (AVRational){(int)fps_num, (int)fps_den}, error);
    if (status == QVL_OK)
        status = open_file(made, error);
    if (status != QVL_OK) {
        qvl_video_writer_abort(made);
        return status;
    }
    *writer = made;
    return QVL_OK;
}

bool qvl_video_writer_is_h264(const struct qvl_video_writer *writer)
{
    return writer->codec->codec_id == AV_CODEC_ID_H264;
}

/* Encode a frame, or NULL to flush, and store what comes out. */
static enum qvl_status encode(struct qvl_video_writer *writer, const AVFrame *frame, struct qvl_error *error)
{
    int code = avcodec_send_frame(writer->codec, frame);
    while (code >= 0) {
        code = avcodec_receive_packet(writer->codec, writer->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return QVL_OK;
        if (code < 0)
            break;
        writer->packet->duration = 1;
        av_packet_rescale_ts(writer->packet, writer->codec->time_base, writer->stream->time_base);
        writer->packet->stream_index = writer->stream->index;
        code = av_interleaved_write_frame(writer->format, writer->packet);
    }
    return fail_encode(writer, "encoding failed", code, error);
}

enum qvl_status qvl_video_writer_add(struct qvl_video_writer *writer, const uint8_t *rgb,
                                     struct qvl_error *error)
{
    AVFrame *frame = writer->frame;
    if (!frame->buf[0] || !av_frame_is_writable(frame)) {
        const int width = frame->width, height = frame->height, format = frame->format;
        av_frame_unref(frame);
        frame->width = width;
        frame->height = height;
        frame->format = format;
        int code = av_frame_get_buffer(frame, 0);
        if (code < 0)
            return fail_encode(writer, "no frame", code, error);
    }
    qvl_rgb_to_yuv420(rgb, frame->height, frame->width, frame->data[0], frame->linesize[0], frame->data[1],
                      frame->linesize[1], frame->data[2], frame->linesize[2]);
    frame->pts = writer->frames++;
    return encode(writer, frame, error);
}

enum qvl_status qvl_video_writer_finish(struct qvl_video_writer *writer, struct qvl_error *error)
{
    uint8_t *bytes = NULL;
    enum qvl_status status = QVL_OK;
    if (!writer->frames)
        status = qvl_fail(error, QVL_USAGE, "%s: a video needs at least one frame", writer->path);
    if (status == QVL_OK)
        status = encode(writer, NULL, error);
    if (status == QVL_OK) {
        int code = av_write_trailer(writer->format);
        if (code < 0)
            status = fail_encode(writer, "cannot finish the MP4 file", code, error);
    }
    if (status == QVL_OK) {
        int size = avio_close_dyn_buf(writer->format->pb, &bytes);
        writer->format->pb = NULL;
        status = qvl_file_write(writer->path, bytes, (size_t)size, error);
        av_free(bytes);
    }
    qvl_video_writer_abort(writer);
    return status;
}

void qvl_video_writer_abort(struct qvl_video_writer *writer)
{
    if (!writer)
        return;
    if (writer->format && writer->format->pb) {
        uint8_t *bytes = NULL;
        avio_close_dyn_buf(writer->format->pb, &bytes);
        av_free(bytes);
    }
    avformat_free_context(writer->format);
    avcodec_free_context(&writer->codec);
    av_frame_free(&writer->frame);
    av_packet_free(&writer->packet);
    free(writer->path);
    free(writer);
}
