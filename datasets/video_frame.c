#include "datasets/video_frame.h"

#include <libavutil/pixdesc.h>

#include <stdlib.h>

#include "datasets/yuv_rgb.h"

/* swscale's vector code may write past the last pixel of the last row. */
#define OVERRUN_BYTES 64

static bool is_interlaced(const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return frame->interlaced_frame;
#endif
}

static bool is_420(const AVFrame *frame)
{
    return frame->format == AV_PIX_FMT_YUV420P || frame->format == AV_PIX_FMT_YUVJ420P;
}

static bool is_full_range(const AVFrame *frame)
{
    return frame->format == AV_PIX_FMT_YUVJ420P || frame->color_range == AVCOL_RANGE_JPEG;
}

/* Our own conversion: the tagged matrix is one of two, or there is no tag. Rows of odd height are
 * interpolated by swscale. */
static bool has_integer_conversion(const AVFrame *frame)
{
    switch (frame->colorspace) {
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
    case AVCOL_SPC_BT709: return is_420(frame) && frame->height % 2 == 0;
    default: return false;
    }
}

const char *qvl_frame_inexact_reason(const AVFrame *frame)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    if (format && format->comp[0].depth > 8)
        return "more than 8 bits a sample: readers differ in how they round";
    if (frame->color_trc == AVCOL_TRC_SMPTE2084 || frame->color_trc == AVCOL_TRC_ARIB_STD_B67)
        return "high dynamic range: readers differ in how they map it";
    if (!is_420(frame))
        return "pixel format other than 8-bit 4:2:0: converted by swscale";
    if (is_interlaced(frame))
        return "interlaced frames: readers differ in their chroma";
    if (frame->height % 2)
        return "odd height: readers differ in their chroma";
    if (!has_integer_conversion(frame))
        return "colour matrix other than BT.601 and BT.709: converted by swscale";
    return NULL;
}

bool qvl_frame_is_damaged(const AVFrame *frame)
{
    return frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT;
}

static void convert_420(const AVFrame *frame, uint8_t *rgb)
{
    const struct qvl_yuv_matrix matrix = qvl_yuv_matrix(
        frame->colorspace == AVCOL_SPC_BT709 ? QVL_YUV_BT709 : QVL_YUV_BT601, is_full_range(frame));
    const struct qvl_yuv420 planes = {
        .height = frame->height,
        .width = frame->width,
        .y = frame->data[0],
        .u = frame->data[1],
        .v = frame->data[2],
        .y_stride = frame->linesize[0],
        .u_stride = frame->linesize[1],
        .v_stride = frame->linesize[2],
    };
    qvl_yuv420_to_rgb(&planes, &matrix, rgb);
}

static enum qvl_status convert_other(struct qvl_frame_converter *converter, const AVFrame *frame,
                                     struct qvl_error *error)
{
    const int full = is_full_range(frame), unity = 1 << 16;
    converter->scaler =
        sws_getCachedContext(converter->scaler, frame->width, frame->height, frame->format, frame->width,
                             frame->height, AV_PIX_FMT_RGB24, SWS_BILINEAR, NULL, NULL, NULL);
    if (!converter->scaler)
        return qvl_fail(error, QVL_UNSUPPORTED, "pixel format %s cannot be turned into RGB",
                        av_get_pix_fmt_name(frame->format));
    /* fails for formats without a matrix (palette, RGB), which need none */
    (void)sws_setColorspaceDetails(converter->scaler, sws_getCoefficients(frame->colorspace), full,
                                   sws_getCoefficients(frame->colorspace), full, 0, unity, unity);
    sws_scale(converter->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
              (uint8_t *const[4]){converter->rgb}, (const int[4]){frame->width * 3});
    return QVL_OK;
}

enum qvl_status qvl_frame_to_rgb(struct qvl_frame_converter *converter, const AVFrame *frame,
                                 struct qvl_picture *picture, struct qvl_error *error)
{
    const int64_t needed = (int64_t)frame->height * frame->width * 3 + OVERRUN_BYTES;
    if (needed > converter->capacity) {
        free(converter->rgb);
        converter->rgb = malloc((size_t)needed);
        converter->capacity = converter->rgb ? needed : 0;
        if (!converter->rgb)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a frame of %d x %d pixels", frame->width,
                            frame->height);
    }
    if (has_integer_conversion(frame))
        convert_420(frame, converter->rgb);
    else
        QVL_TRY(convert_other(converter, frame, error));
    *picture = (struct qvl_picture){.height = frame->height, .width = frame->width, .rgb = converter->rgb};
    return QVL_OK;
}

void qvl_frame_converter_free(struct qvl_frame_converter *converter)
{
    sws_freeContext(converter->scaler);
    free(converter->rgb);
    *converter = (struct qvl_frame_converter){0};
}
