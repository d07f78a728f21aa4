#include "datasets/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/exif.h"

enum qvl_status qvl_image_check_size(int64_t width, int64_t height, const char *name, struct qvl_error *error)
{
    if (width < 1 || height < 1)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: a picture of %lld x %lld pixels has no content", name,
                        (long long)width, (long long)height);
    if (width > QVL_MEDIA_MAX_PIXELS / height)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "%s: %lld x %lld pixels are more than the limit of %lld; scale the picture down first", name,
            (long long)width, (long long)height, (long long)QVL_MEDIA_MAX_PIXELS);
    return QVL_OK;
}

enum qvl_status qvl_decoded_image_alloc(struct qvl_decoded_image *image, int64_t width, int64_t height,
                                        enum qvl_alpha_origin alpha_origin, const char *name,
                                        struct qvl_error *error)
{
    QVL_TRY(qvl_image_check_size(width, height, name, error));
    const int64_t needed = width * height * (alpha_origin == QVL_ALPHA_ABSENT ? 3 : 4);
    const int64_t available = qvl_memory_available();
    if (available >= 0 && needed > available)
        return qvl_fail(
            error, QVL_NO_MEMORY,
            "%s: %lld x %lld pixels need %lld bytes, %lld are available; scale the picture down first", name,
            (long long)width, (long long)height, (long long)needed, (long long)available);
    image->width = width;
    image->height = height;
    image->alpha_origin = alpha_origin;
    image->rgb = malloc((size_t)(width * height * 3));
    image->alpha = alpha_origin == QVL_ALPHA_ABSENT ? NULL : malloc((size_t)(width * height));
    if (!image->rgb || (alpha_origin != QVL_ALPHA_ABSENT && !image->alpha))
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %lld x %lld pixels", name, (long long)width,
                        (long long)height);
    return QVL_OK;
}

void qvl_decoded_image_free(struct qvl_decoded_image *image)
{
    free(image->rgb);
    free(image->alpha);
    *image = (struct qvl_decoded_image){0};
}

static void composite_on_white(struct qvl_decoded_image *image)
{
    for (int64_t i = 0; i < image->height * image->width; i++) {
        int a = image->alpha[i];
        for (int c = 0; c < 3; c++)
            image->rgb[i * 3 + c] = (uint8_t)((image->rgb[i * 3 + c] * a + 255 * (255 - a) + 127) / 255);
    }
}

static bool is_jpeg(const struct qvl_media_source *source)
{
    return source->size >= 3 && !memcmp(source->bytes, "\xff\xd8\xff", 3);
}

static bool is_webp(const struct qvl_media_source *source)
{
    return source->size >= 12 && !memcmp(source->bytes, "RIFF", 4) && !memcmp(source->bytes + 8, "WEBP", 4);
}

static enum qvl_status decode(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                              struct qvl_error *error)
{
    if (is_jpeg(source))
        return qvl_image_decode_jpeg(source, image, error);
    if (is_webp(source))
        return qvl_image_decode_webp(source, image, error);
    return qvl_image_decode_other(source, image, error);
}

enum qvl_status qvl_image_read(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                               struct qvl_picture *picture, struct qvl_error *error)
{
    struct qvl_media_source source;
    struct qvl_decoded_image image = {0};
    *picture = (struct qvl_picture){0};
    QVL_TRY(qvl_media_source_open(&source, path, bytes, size, false, error));
    enum qvl_status status = decode(&source, &image, error);
    if (status == QVL_OK) {
        if (image.alpha && (alpha == QVL_ALPHA_WHITE ||
                            (alpha == QVL_ALPHA_WHITE_RGBA && image.alpha_origin == QVL_ALPHA_RGBA)))
            composite_on_white(&image);
        *picture = (struct qvl_picture){.height = image.height, .width = image.width, .rgb = image.rgb};
        image.rgb = NULL;
        status = qvl_orient(picture, image.orientation, error);
        if (status != QVL_OK) {
            free(picture->rgb);
            *picture = (struct qvl_picture){0};
        }
    }
    qvl_decoded_image_free(&image);
    qvl_media_source_close(&source);
    return status;
}

enum qvl_status qvl_media_is_picture(const char *path, bool *picture, struct qvl_error *error)
{
    struct qvl_media_source source;
    QVL_TRY(qvl_media_source_open(&source, path, NULL, 0, false, error));
    enum qvl_status status = QVL_OK;
    *picture = true;
    if (!is_jpeg(&source) && !is_webp(&source))
        status = qvl_image_recognise_other(&source, picture, error);
    qvl_media_source_close(&source);
    return status;
}
