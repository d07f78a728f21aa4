/* FFmpeg's demuxers over a media source. Nothing but the source's own bytes is ever opened, so that a
 * playlist inside a file cannot name other files or addresses. */
#ifndef QVL_DATASETS_LIBAV_INPUT_H
#define QVL_DATASETS_LIBAV_INPUT_H

#include <libavformat/avformat.h>

#include "datasets/media_source.h"

struct qvl_libav_input {
    const struct qvl_media_source *source; /* borrowed */
    int64_t position;
    AVIOContext *io;
    AVFormatContext *format;
};

/* Open with the demuxer of that name, or with the one that recognises the bytes (`format_name` NULL). `input`
 * must stay where it is until closed. QVL_BAD_INPUT: no known format. */
enum qvl_status qvl_libav_input_open(struct qvl_libav_input *input, const struct qvl_media_source *source,
                                     const char *format_name, struct qvl_error *error) QVL_MUST_USE;

void qvl_libav_input_close(struct qvl_libav_input *input);

/* Keep FFmpeg's libraries from writing to stderr. */
void qvl_libav_quiet(void);

#define QVL_LIBAV_TEXT_BYTES 96

/* FFmpeg's text of an error code, in `text`. */
const char *qvl_libav_text(int code, char text[QVL_LIBAV_TEXT_BYTES]);

#endif
