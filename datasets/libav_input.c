#include "datasets/libav_input.h"

#include <libavutil/log.h>

#include <errno.h>
#include <string.h>

#define IO_BUFFER_BYTES 65536

void qvl_libav_quiet(void)
{
    av_log_set_level(AV_LOG_QUIET);
}

const char *qvl_libav_text(int code, char text[QVL_LIBAV_TEXT_BYTES])
{
    av_strerror(code, text, QVL_LIBAV_TEXT_BYTES);
    return text;
}

static int read_packet(void *opaque, uint8_t *to, int size)
{
    struct qvl_libav_input *input = opaque;
    const int64_t left = input->source->size - input->position;
    if (left <= 0)
        return AVERROR_EOF;
    if (size > left)
        size = (int)left;
    memcpy(to, input->source->bytes + input->position, (size_t)size);
    input->position += size;
    return size;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
    struct qvl_libav_input *input = opaque;
    int64_t size = input->source->size;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE: return size;
    case SEEK_SET: break;
    case SEEK_CUR: offset += input->position; break;
    case SEEK_END: offset += size; break;
    default: return AVERROR(EINVAL);
    }
    if (offset < 0)
        return AVERROR(EINVAL);
    input->position = offset;
    return offset;
}

static int refuse_other_files(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                              AVDictionary **options)
{
    (void)format, (void)url, (void)flags, (void)options;
    *io = NULL;
    return AVERROR(EPERM);
}

enum qvl_status qvl_libav_input_open(struct qvl_libav_input *input, const struct qvl_media_source *source,
                                     const char *format_name, struct qvl_error *error)
{
    char text[QVL_LIBAV_TEXT_BYTES];
    uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
    qvl_libav_quiet();
    *input = (struct qvl_libav_input){.source = source};
    input->io =
        buffer ? avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, input, read_packet, NULL, seek) : NULL;
    input->format = input->io ? avformat_alloc_context() : NULL;
    if (!input->format) {
        if (!input->io)
            av_free(buffer);
        qvl_libav_input_close(input);
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to open it", source->name);
    }
    input->format->pb = input->io;
    input->format->io_open = refuse_other_files;
    int code = avformat_open_input(&input->format, NULL,
                                   format_name ? av_find_input_format(format_name) : NULL, NULL);
    if (code < 0) {
        qvl_libav_input_close(input);
        return qvl_fail(error, code == AVERROR(ENOMEM) ? QVL_NO_MEMORY : QVL_BAD_INPUT,
                        "%s: not a picture or video that FFmpeg can open (%lld bytes): %s", source->name,
                        (long long)source->size, qvl_libav_text(code, text));
    }
    return QVL_OK;
}

void qvl_libav_input_close(struct qvl_libav_input *input)
{
    avformat_close_input(&input->format);
    if (input->io) {
        av_freep(&input->io->buffer);
        avio_context_free(&input->io);
    }
    *input = (struct qvl_libav_input){0};
}
