#include "datasets/video_stream.h"

#include <libavutil/avstring.h>

#include <string.h>

#include "datasets/media.h"

/* Slices of one frame may be decoded side by side. Frames may not: what a decoder makes of a damaged frame
 * would then depend on timing. */
#define DECODER_THREADS 2

#define MAX_LATE_ERRORS 256

/* "audio (aac), subtitle (mov_text)" */
static const char *list_streams(const AVFormatContext *format, char *text, size_t size)
{
    text[0] = 0;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVCodecParameters *parameters = format->streams[i]->codecpar;
        const char *type = av_get_media_type_string(parameters->codec_type);
        av_strlcatf(text, size, "%s%s (%s)", i ? ", " : "", type ? type : "data",
                    avcodec_get_name(parameters->codec_id));
    }
    return text[0] ? text : "no stream";
}

static enum qvl_status find_stream(struct qvl_video_stream *stream, struct qvl_error *error)
{
    char text[256];
    AVFormatContext *format = stream->input.format;
    const char *type = format->iformat->name;
    if (strlen(type) > 5 && !strcmp(type + strlen(type) - 5, "_pipe"))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a video but a picture (%s); give it as an image",
                        stream->name, type);
    if (avformat_find_stream_info(format, NULL) < 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: damaged %s: its streams cannot be read", stream->name,
                        type);
    int index = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (index < 0 || format->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: no video in it: this %s file holds %s", stream->name, type,
                        list_streams(format, text, sizeof text));
    stream->stream = format->streams[index];
    for (unsigned i = 0; i < format->nb_streams; i++)
        if ((int)i != index)
            format->streams[i]->discard = AVDISCARD_ALL;
    return QVL_OK;
}

static enum qvl_status open_decoder(struct qvl_video_stream *stream, struct qvl_error *error)
{
    char text[QVL_LIBAV_TEXT_BYTES];
    const AVCodecParameters *parameters = stream->stream->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(parameters->codec_id);
    if (!decoder)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: this FFmpeg has no decoder for %s; convert the video to H.264", stream->name,
                        avcodec_get_name(parameters->codec_id));
    stream->codec = avcodec_alloc_context3(decoder);
    stream->packet = av_packet_alloc();
    stream->frame = av_frame_alloc();
    if (!stream->codec || !stream->packet || !stream->frame)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for a decoder", stream->name);
    int code = avcodec_parameters_to_context(stream->codec, parameters);
    stream->codec->pkt_timebase = stream->stream->time_base;
    stream->codec->thread_count = DECODER_THREADS;
    stream->codec->thread_type = FF_THREAD_SLICE;
    stream->codec->max_pixels = QVL_MEDIA_MAX_PIXELS;
    if (code >= 0)
        code = avcodec_open2(stream->codec, decoder, NULL);
    if (code < 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: the %s decoder refuses it: %s", stream->name,
                        decoder->name, qvl_libav_text(code, text));
    return QVL_OK;
}

enum qvl_status qvl_video_stream_open(struct qvl_video_stream *stream, const struct qvl_media_source *source,
                                      struct qvl_error *error)
{
    *stream = (struct qvl_video_stream){.name = source->name};
    QVL_TRY(qvl_libav_input_open(&stream->input, source, NULL, error));
    enum qvl_status status = find_stream(stream, error);
    if (status == QVL_OK)
        status = open_decoder(stream, error);
    if (status != QVL_OK)
        qvl_video_stream_close(stream);
    return status;
}

const AVPacket *qvl_video_stream_next_packet(struct qvl_video_stream *stream)
{
    for (;;) {
        av_packet_unref(stream->packet);
        if (av_read_frame(stream->input.format, stream->packet) < 0)
            return NULL;
        if (stream->packet->stream_index == stream->stream->index)
            return stream->packet;
    }
}

const AVFrame *qvl_video_stream_next_frame(struct qvl_video_stream *stream)
{
    for (;;) {
        int code = avcodec_receive_frame(stream->codec, stream->frame);
        if (code >= 0)
            return stream->frame;
        if (code == AVERROR_EOF)
            return NULL;
        if (stream->drained) {
            /* one of the last packets is refused; a decoder that never says it is done is not asked for ever
             */
            if (++stream->late_errors > MAX_LATE_ERRORS)
                return NULL;
            continue;
        }
        const AVPacket *packet = qvl_video_stream_next_packet(stream);
        stream->drained = !packet;
        (void)avcodec_send_packet(stream->codec, packet);
    }
}

void qvl_video_stream_close(struct qvl_video_stream *stream)
{
    avcodec_free_context(&stream->codec);
    av_packet_free(&stream->packet);
    av_frame_free(&stream->frame);
    qvl_libav_input_close(&stream->input);
}
