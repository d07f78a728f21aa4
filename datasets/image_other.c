/* Pictures through FFmpeg's decoders: PNG, GIF, BMP, TIFF and whatever else they read. */
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include <stdlib.h>
#include <string.h>

#include "datasets/image.h"
#include "datasets/image_header.h"
#include "datasets/libav_input.h"

/* A file of one picture (or an animation made of pictures), not a video. */
static bool is_picture_format(const char *name)
{
    size_t length = strlen(name);
    return (length > 5 && !strcmp(name + length - 5, "_pipe")) || !strcmp(name, "gif") ||
           !strcmp(name, "apng") || !strcmp(name, "ico");
}

/* How the samples of a pixel format become 8-bit channels. Offsets are in samples; -1: no such channel. */
struct layout {
    enum AVPixelFormat format;
    int samples; /* per pixel */
    int bits;    /* 8; 16: the high byte is kept; 17: 16-bit grey, clipped at 255 as the original does */
    bool big_endian;
    int offset[4]; /* R, G, B, A */
};

static const struct layout layouts[] = {
    {AV_PIX_FMT_GRAY8, 1, 8, false, {0, 0, 0, -1}},    {AV_PIX_FMT_YA8, 2, 8, false, {0, 0, 0, 1}},
    {AV_PIX_FMT_RGB24, 3, 8, false, {0, 1, 2, -1}},    {AV_PIX_FMT_BGR24, 3, 8, false, {2, 1, 0, -1}},
    {AV_PIX_FMT_RGBA, 4, 8, false, {0, 1, 2, 3}},      {AV_PIX_FMT_BGRA, 4, 8, false, {2, 1, 0, 3}},
    {AV_PIX_FMT_ARGB, 4, 8, false, {1, 2, 3, 0}},      {AV_PIX_FMT_ABGR, 4, 8, false, {3, 2, 1, 0}},
    {AV_PIX_FMT_RGB0, 4, 8, false, {0, 1, 2, -1}},     {AV_PIX_FMT_BGR0, 4, 8, false, {2, 1, 0, -1}},
    {AV_PIX_FMT_GRAY16BE, 1, 17, true, {0, 0, 0, -1}}, {AV_PIX_FMT_GRAY16LE, 1, 17, false, {0, 0, 0, -1}},
    {AV_PIX_FMT_YA16BE, 2, 16, true, {0, 0, 0, 1}},    {AV_PIX_FMT_YA16LE, 2, 16, false, {0, 0, 0, 1}},
    {AV_PIX_FMT_RGB48BE, 3, 16, true, {0, 1, 2, -1}},  {AV_PIX_FMT_RGB48LE, 3, 16, false, {0, 1, 2, -1}},
    {AV_PIX_FMT_RGBA64BE, 4, 16, true, {0, 1, 2, 3}},  {AV_PIX_FMT_RGBA64LE, 4, 16, false, {0, 1, 2, 3}},
};

/* A 16-bit grey PNG with one transparent grey: still 16-bit grey to the original. */
static const struct layout grey16_and_clear_grey = {AV_PIX_FMT_YA16BE, 2, 17, true, {0, 0, 0, -1}};

static const struct layout *find_layout(int format)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i].format == format)
            return &layouts[i];
    return NULL;
}

static uint8_t sample(const uint8_t *row, int64_t index, const struct layout *layout)
{
    if (layout->bits == 8)
        return row[index];
    unsigned high = row[index * 2 + !layout->big_endian], low = row[index * 2 + layout->big_endian];
    return layout->bits == 17 && high ? 255 : (uint8_t)(layout->bits == 17 ? low : high);
}

static void unpack_samples(const AVFrame *frame, const struct layout *layout, struct qvl_decoded_image *image)
{
    for (int64_t y = 0; y < image->height; y++) {
        const uint8_t *row = frame->data[0] + y * frame->linesize[0];
        for (int64_t x = 0; x < image->width; x++) {
            int64_t pixel = y * image->width + x;
            for (int c = 0; c < 3; c++)
                image->rgb[pixel * 3 + c] = sample(row, x * layout->samples + layout->offset[c], layout);
            if (image->alpha)
                image->alpha[pixel] = sample(row, x * layout->samples + layout->offset[3], layout);
        }
    }
}

static void unpack_palette(const AVFrame *frame, struct qvl_decoded_image *image)
{
    uint32_t palette[256];
    memcpy(palette, frame->data[1], sizeof palette);
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++) {
            int64_t pixel = y * image->width + x;
            uint32_t argb = palette[frame->data[0][y * frame->linesize[0] + x]];
            image->rgb[pixel * 3] = (uint8_t)(argb >> 16);
            image->rgb[pixel * 3 + 1] = (uint8_t)(argb >> 8);
            image->rgb[pixel * 3 + 2] = (uint8_t)argb;
            if (image->alpha)
                image->alpha[pixel] = (uint8_t)(argb >> 24);
        }
}

static void unpack_bits(const AVFrame *frame, struct qvl_decoded_image *image)
{
    const int white = frame->format == AV_PIX_FMT_MONOBLACK;
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++) {
            int bit = frame->data[0][y * frame->linesize[0] + x / 8] >> (7 - x % 8) & 1;
            memset(image->rgb + (y * image->width + x) * 3, bit == white ? 255 : 0, 3);
        }
}

/* 15- and 16-bit colours (BMP): v * 255 / max, rounded down. */
static void unpack_high_colour(const AVFrame *frame, struct qvl_decoded_image *image)
{
    const int green_bits = frame->format == AV_PIX_FMT_RGB565LE ? 6 : 5;
    for (int64_t y = 0; y < image->height; y++) {
        const uint8_t *row = frame->data[0] + y * frame->linesize[0];
        for (int64_t x = 0; x < image->width; x++) {
            int value = row[x * 2] | row[x * 2 + 1] << 8, green_max = (1 << green_bits) - 1;
            uint8_t *rgb = image->rgb + (y * image->width + x) * 3;
            rgb[0] = (uint8_t)((value >> (5 + green_bits) & 31) * 255 / 31);
            rgb[1] = (uint8_t)((value >> 5 & green_max) * 255 / green_max);
            rgb[2] = (uint8_t)((value & 31) * 255 / 31);
        }
    }
}

static enum qvl_status unpack_with_swscale(const AVFrame *frame, const char *name,
                                           struct qvl_decoded_image *image, struct qvl_error *error)
{
    const enum AVPixelFormat to = image->alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
    const int channels = image->alpha ? 4 : 3, stride = frame->width * channels;
    struct SwsContext *context = sws_getContext(frame->width, frame->height, frame->format, frame->width,
                                                frame->height, to, SWS_BILINEAR, NULL, NULL, NULL);
    /* swscale's vector code may write past the last pixel of the last row */
    uint8_t *pixels = malloc((size_t)(image->width * image->height * channels) + 64);
    if (!context || !pixels) {
        sws_freeContext(context);
        free(pixels);
        return qvl_fail(error, QVL_UNSUPPORTED, "%s: pixel format %s cannot be turned into RGB", name,
                        av_get_pix_fmt_name(frame->format));
    }
    sws_scale(context, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
              (uint8_t *const[4]){pixels}, (const int[4]){stride});
    for (int64_t i = 0; i < image->width * image->height; i++) {
        memcpy(image->rgb + i * 3, pixels + i * channels, 3);
        if (image->alpha)
            image->alpha[i] = pixels[i * 4 + 3];
    }
    sws_freeContext(context);
    free(pixels);
    return QVL_OK;
}

static enum qvl_alpha_origin alpha_origin(const AVFrame *frame, const struct qvl_image_header *header)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    if (header->kind == QVL_IMAGE_PNG)
        switch (header->colour_type) {
        case 3: return QVL_ALPHA_PALETTE;
        case 4: return header->bit_depth == 16 ? QVL_ALPHA_RGBA : QVL_ALPHA_GREY;
        case 6: return QVL_ALPHA_RGBA;
        default: return QVL_ALPHA_ABSENT; /* a single transparent colour, which the original drops */
        }
    if (header->kind == QVL_IMAGE_GIF)
        return header->transparent >= 0 && !header->grey_ramp ? QVL_ALPHA_PALETTE : QVL_ALPHA_ABSENT;
    if (header->kind == QVL_IMAGE_BMP && !header->bmp_alpha)
        return QVL_ALPHA_ABSENT;
    if (frame->format == AV_PIX_FMT_PAL8)
        return QVL_ALPHA_PALETTE;
    if (!format || !(format->flags & AV_PIX_FMT_FLAG_ALPHA))
        return QVL_ALPHA_ABSENT;
    return format->nb_components == 2 ? QVL_ALPHA_GREY : QVL_ALPHA_RGBA;
}

/* Around the first frame of a GIF the original shows the transparent entry's colour, or entry 0. */
static void fill_gif_border(const struct qvl_image_header *header, struct qvl_decoded_image *image)
{
    const uint8_t *colour = header->palette[header->transparent >= 0 ? header->transparent : 0];
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++)
            if (y < header->top || y >= header->top + header->frame_height || x < header->left ||
                x >= header->left + header->frame_width)
                memcpy(image->rgb + (y * image->width + x) * 3, colour, 3);
}

static enum qvl_status unpack(const AVFrame *frame, const struct qvl_image_header *header, const char *name,
                              struct qvl_decoded_image *image, struct qvl_error *error)
{
    const struct layout *layout = find_layout(frame->format);
    if (header->kind == QVL_IMAGE_PNG && header->colour_type == 0 && frame->format == AV_PIX_FMT_YA16BE)
        layout = &grey16_and_clear_grey;
    QVL_TRY(qvl_decoded_image_alloc(image, frame->width, frame->height, alpha_origin(frame, header), name,
                                    error));
    switch (frame->format) {
    case AV_PIX_FMT_PAL8: unpack_palette(frame, image); break;
    case AV_PIX_FMT_MONOBLACK:
    case AV_PIX_FMT_MONOWHITE: unpack_bits(frame, image); break;
    case AV_PIX_FMT_RGB555LE:
    case AV_PIX_FMT_RGB565LE: unpack_high_colour(frame, image); break;
    default:
        if (!layout)
            return unpack_with_swscale(frame, name, image, error);
        unpack_samples(frame, layout, image);
    }
    if (header->kind == QVL_IMAGE_GIF)
        fill_gif_border(header, image);
    image->orientation = header->orientation;
    return QVL_OK;
}

/* FFmpeg's GIF decoder paints transparent pixels in one colour; the original shows their palette entry. */
static void set_transparent_colour(AVCodecContext *codec, const struct qvl_image_header *header)
{
    if (header->kind != QVL_IMAGE_GIF || header->transparent < 0)
        return;
    const uint8_t *colour = header->palette[header->transparent];
    av_opt_set_int(codec, "trans_color", colour[0] << 16 | colour[1] << 8 | colour[2],
                   AV_OPT_SEARCH_CHILDREN);
}

static int decode_first(struct qvl_libav_input *input, AVCodecContext *codec, AVPacket *packet,
                        AVFrame *frame)
{
    int code = AVERROR(EAGAIN);
    while (code == AVERROR(EAGAIN)) {
        int read = av_read_frame(input->format, packet);
        if (read < 0 && read != AVERROR_EOF)
            return read;
        int sent = avcodec_send_packet(codec, read < 0 ? NULL : packet);
        av_packet_unref(packet);
        if (sent < 0)
            return sent;
        code = avcodec_receive_frame(codec, frame);
    }
    return code;
}

static int decode_picture(struct qvl_libav_input *input, const struct qvl_image_header *header,
                          AVFrame *frame)
{
    const AVCodecParameters *parameters =
        input->format->nb_streams ? input->format->streams[0]->codecpar : NULL;
    const AVCodec *decoder = parameters ? avcodec_find_decoder(parameters->codec_id) : NULL;
    AVCodecContext *codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    AVPacket *packet = av_packet_alloc();
    int code = codec && packet ? avcodec_parameters_to_context(codec, parameters) : AVERROR_DECODER_NOT_FOUND;
    if (code >= 0) {
        codec->thread_count = 1;
        codec->max_pixels = QVL_MEDIA_MAX_PIXELS;
        /* elsewhere (TIFF) this refuses files for tags that the decoder does not know */
        if (header->kind == QVL_IMAGE_PNG)
            codec->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
        code = avcodec_open2(codec, decoder, NULL);
    }
    if (code >= 0) {
        set_transparent_colour(codec, header);
        code = decode_first(input, codec, packet, frame);
    }
    if (code >= 0 && (frame->flags & AV_FRAME_FLAG_CORRUPT || frame->decode_error_flags))
        code = AVERROR_INVALIDDATA;
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return code;
}

enum qvl_status qvl_image_decode_other(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                       struct qvl_error *error)
{
    char text[QVL_LIBAV_TEXT_BYTES];
    struct qvl_libav_input input;
    struct qvl_image_header header;
    qvl_image_header_read(source->bytes, (size_t)source->size, &header);
    if (header.width || header.height)
        QVL_TRY(qvl_image_check_size(header.width, header.height, source->name, error));
    /* an animated PNG is read as the plain picture that it holds first, as the original does */
    const char *format_name = header.kind == QVL_IMAGE_PNG ? "png_pipe" : NULL;
    QVL_TRY(qvl_libav_input_open(&input, source, format_name, error));
    enum qvl_status status = QVL_OK;
    AVFrame *frame = av_frame_alloc();
    if (!is_picture_format(input.format->iformat->name)) {
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: not a picture but %s; give it as a video", source->name,
                          input.format->iformat->long_name);
    } else if (!frame) {
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to decode it", source->name);
    } else {
        int code = decode_picture(&input, &header, frame);
        if (code < 0)
            status = qvl_fail(error, QVL_BAD_INPUT, "%s: damaged or truncated picture (%s, %lld bytes): %s",
                              source->name, input.format->iformat->name, (long long)source->size,
                              qvl_libav_text(code, text));
        else
            status = unpack(frame, &header, source->name, image, error);
    }
    av_frame_free(&frame);
    qvl_libav_input_close(&input);
    return status;
}

enum qvl_status qvl_image_recognise_other(const struct qvl_media_source *source, bool *picture,
                                          struct qvl_error *error)
{
    struct qvl_libav_input input;
    struct qvl_image_header header;
    qvl_image_header_read(source->bytes, (size_t)source->size, &header);
    *picture = true;
    if (header.kind != QVL_IMAGE_UNKNOWN)
        return QVL_OK;
    QVL_TRY(qvl_libav_input_open(&input, source, NULL, error));
    *picture = is_picture_format(input.format->iformat->name);
    qvl_libav_input_close(&input);
    return QVL_OK;
}
