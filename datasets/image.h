/* Picture decoders of datasets/, one per library. Each gets the whole file and fills a decoded image whose
 * planes the caller frees with qvl_decoded_image_free, also after an error. */
#ifndef QVL_DATASETS_IMAGE_H
#define QVL_DATASETS_IMAGE_H

#include "datasets/media.h"
#include "datasets/media_source.h"

/* Where the alpha of an image comes from; the alpha rules tell these apart. */
enum qvl_alpha_origin {
    QVL_ALPHA_ABSENT,
    QVL_ALPHA_RGBA,   /* colour and alpha; also 16-bit grey and alpha, which the original opens as RGBA */
    QVL_ALPHA_GREY,   /* grey and alpha */
    QVL_ALPHA_PALETTE /* a palette with transparent entries */
};

struct qvl_decoded_image {
    int64_t height, width;
    uint8_t *rgb;   /* [height][width][3] */
    uint8_t *alpha; /* [height][width], or NULL when alpha_origin is QVL_ALPHA_ABSENT */
    enum qvl_alpha_origin alpha_origin;
    int64_t orientation; /* EXIF value; 0 or 1: upright */
};

enum qvl_status qvl_image_decode_jpeg(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                      struct qvl_error *error) QVL_MUST_USE;
enum qvl_status qvl_image_decode_webp(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                      struct qvl_error *error) QVL_MUST_USE;
enum qvl_status qvl_image_decode_other(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                       struct qvl_error *error) QVL_MUST_USE;

/* Whether FFmpeg takes the bytes for a picture. QVL_BAD_INPUT: no known format. */
enum qvl_status qvl_image_recognise_other(const struct qvl_media_source *source, bool *picture,
                                          struct qvl_error *error) QVL_MUST_USE;

/* Check the size and allocate rgb (and alpha). QVL_BAD_INPUT above QVL_MEDIA_MAX_PIXELS or below 1 x 1. */
enum qvl_status qvl_decoded_image_alloc(struct qvl_decoded_image *image, int64_t width, int64_t height,
                                        enum qvl_alpha_origin alpha_origin, const char *name,
                                        struct qvl_error *error) QVL_MUST_USE;

/* The size check alone. */
enum qvl_status qvl_image_check_size(int64_t width, int64_t height, const char *name,
                                     struct qvl_error *error) QVL_MUST_USE;

void qvl_decoded_image_free(struct qvl_decoded_image *image);

#endif
