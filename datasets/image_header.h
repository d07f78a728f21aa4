/* What FFmpeg's decoders do not tell about a picture: where its alpha comes from, which colours hide under
 * it, and which way is up. */
#ifndef QVL_DATASETS_IMAGE_HEADER_H
#define QVL_DATASETS_IMAGE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qvl_image_kind { QVL_IMAGE_UNKNOWN, QVL_IMAGE_PNG, QVL_IMAGE_GIF, QVL_IMAGE_BMP, QVL_IMAGE_TIFF };

struct qvl_image_header {
    enum qvl_image_kind kind;
    int64_t width, height; /* 0 when unknown (TIFF) */
    int64_t orientation;   /* PNG and TIFF; 0 when absent */

    /* PNG */
    int bit_depth, colour_type; /* colour type 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA */

    bool bmp_alpha; /* BMP: the file names an alpha mask; without one the fourth byte means nothing */

    /* GIF, first frame: its rectangle on the canvas, its colours, and what lies outside the rectangle. */
    int64_t left, top, frame_width, frame_height;
    uint8_t palette[256][3];
    bool grey_ramp;  /* every palette entry is its own index: the original opens it as grey */
    int transparent; /* palette index, or -1 */
};

/* Read the header of a picture in memory. Malformed files give what could be read up to there. */
void qvl_image_header_read(const uint8_t *bytes, size_t size, struct qvl_image_header *header);

#endif
