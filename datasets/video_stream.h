/* One pass over the video stream of a source: packets or decoded frames, first to last. */
#ifndef QVL_DATASETS_VIDEO_STREAM_H
#define QVL_DATASETS_VIDEO_STREAM_H

#include <stdbool.h>

#include <libavcodec/avcodec.h>

#include "datasets/libav_input.h"

struct qvl_video_stream {
    const char *name; /* of the source; borrowed */
    struct qvl_libav_input input;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    bool drained;
    int late_errors; /* of the decoder, after the last packet */
};

/* Open the demuxer, find the stream and open its decoder. The stream must stay where it is until closed.
 * QVL_BAD_INPUT: no known format, no video in it, no decoder for it. */
enum qvl_status qvl_video_stream_open(struct qvl_video_stream *stream, const struct qvl_media_source *source,
                                      struct qvl_error *error) QVL_MUST_USE;

/* The next packet of the stream in file order, or NULL at the end. Valid until the next call. */
const AVPacket *qvl_video_stream_next_packet(struct qvl_video_stream *stream);

/* The next frame in presentation order, or NULL at the end. Packets that the decoder refuses are passed over.
 * Valid until the next call. */
const AVFrame *qvl_video_stream_next_frame(struct qvl_video_stream *stream);

void qvl_video_stream_close(struct qvl_video_stream *stream);

#endif
