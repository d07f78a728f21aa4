#include "datasets/image_writer.h"

#include <libavcodec/avcodec.h>

#include "base/file.h"
#include "datasets/libav_input.h"

static int encode(AVCodecContext *codec, AVFrame *frame, AVPacket *packet, const struct qvl_picture *picture)
{
    codec->width = (int)picture->width;
    codec->height = (int)picture->height;
    codec->pix_fmt = AV_PIX_FMT_RGB24;
    codec->time_base = (AVRational){1, 1};
    codec->thread_count = 1;
    frame->width = codec->width;
    frame->height = codec->height;
    frame->format = codec->pix_fmt;
    int code = avcodec_open2(codec, NULL, NULL);
    if (code >= 0)
        code = av_frame_get_buffer(frame, 0);
    if (code < 0)
        return code;
    for (int64_t y = 0; y < picture->height; y++)
        memcpy(frame->data[0] + y * frame->linesize[0], picture->rgb + y * picture->width * 3,
               (size_t)picture->width * 3);
    code = avcodec_send_frame(codec, frame);
    return code < 0 ? code : avcodec_receive_packet(codec, packet);
}

enum qvl_status qvl_png_write(const char *path, const struct qvl_picture *picture, struct qvl_error *error)
{
    char text[QVL_LIBAV_TEXT_BYTES];
    enum qvl_status status;
    qvl_libav_quiet();
    if (picture->width < 1 || picture->height < 1 || picture->width > INT32_MAX ||
        picture->height > INT32_MAX)
        return qvl_fail(error, QVL_USAGE, "%s: a picture of %lld x %lld pixels cannot be a PNG", path,
                        (long long)picture->width, (long long)picture->height);
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
    if (!encoder)
        return qvl_fail(error, QVL_UNAVAILABLE, "%s: this FFmpeg has no PNG encoder", path);
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    int code = codec && frame && packet ? encode(codec, frame, packet, picture) : AVERROR(ENOMEM);
    if (code < 0)
        status = qvl_fail(error, code == AVERROR(ENOMEM) ? QVL_NO_MEMORY : QVL_FAILED,
                          "%s: cannot encode %lld x %lld pixels as PNG: %s", path, (long long)picture->width,
                          (long long)picture->height, qvl_libav_text(code, text));
    else
        status = qvl_file_write(path, packet->data, (size_t)packet->size, error);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    return status;
}
