#include <webp/decode.h>
#include <webp/demux.h>

#include "datasets/exif.h"
#include "datasets/image.h"

/* The EXIF value; without one the XMP value. */
static int64_t orientation_of(const WebPDemuxer *demuxer)
{
    static const char *const chunks[] = {"EXIF", "XMP "};
    for (int i = 0; i < 2; i++) {
        WebPChunkIterator chunk;
        int64_t orientation = 0;
        if (!WebPDemuxGetChunk(demuxer, chunks[i], 1, &chunk))
            continue;
        if (i == 0)
            orientation = qvl_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        else
            orientation = qvl_xmp_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
        if (orientation)
            return orientation;
    }
    return 0;
}

static enum qvl_status read_first_frame(WebPAnimDecoder *decoder, const struct qvl_media_source *source,
                                        bool has_alpha, struct qvl_decoded_image *image,
                                        struct qvl_error *error)
{
    WebPAnimInfo info;
    uint8_t *rgba;
    int timestamp;
    if (!WebPAnimDecoderGetInfo(decoder, &info) || !WebPAnimDecoderGetNext(decoder, &rgba, &timestamp))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: damaged WebP: its first frame cannot be decoded",
                        source->name);
    QVL_TRY(qvl_decoded_image_alloc(image, info.canvas_width, info.canvas_height,
                                    has_alpha ? QVL_ALPHA_RGBA : QVL_ALPHA_ABSENT, source->name, error));
    for (int64_t i = 0; i < image->width * image->height; i++) {
        for (int c = 0; c < 3; c++)
            image->rgb[i * 3 + c] = rgba[i * 4 + c];
        if (image->alpha)
            image->alpha[i] = rgba[i * 4 + 3];
    }
    image->orientation = orientation_of(WebPAnimDecoderGetDemuxer(decoder));
    return QVL_OK;
}

enum qvl_status qvl_image_decode_webp(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                      struct qvl_error *error)
{
    WebPData data = {.bytes = source->bytes, .size = (size_t)source->size};
    WebPBitstreamFeatures features;
    WebPAnimDecoderOptions options;
    if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: damaged WebP: no readable header in %lld bytes",
                        source->name, (long long)source->size);
    QVL_TRY(qvl_image_check_size(features.width, features.height, source->name, error));
    if (!WebPAnimDecoderOptionsInit(&options))
        return qvl_fail(error, QVL_UNAVAILABLE, "libwebpdemux has another ABI than the one built against");
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, &options);
    if (!decoder)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: damaged or truncated WebP (%lld bytes)", source->name,
                        (long long)source->size);
    enum qvl_status status = read_first_frame(decoder, source, features.has_alpha, image, error);
    WebPAnimDecoderDelete(decoder);
    return status;
}
