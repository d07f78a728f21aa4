/* The orientation of a picture, as the original's image library finds it. */
#ifndef QVL_DATASETS_EXIF_H
#define QVL_DATASETS_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "qvl/pixels.h"

/* Tag 0x0112 of the first directory of an EXIF block (a TIFF structure, with or without the "Exif\0\0" in
 * front). 0 when it is absent or the block is malformed. Values outside 1..8 are returned as they are. */
int64_t qvl_exif_orientation(const uint8_t *exif, size_t size);

/* The digit after tiff:Orientation=" or tiff:Orientation> in an XMP packet; 0 when absent. */
int64_t qvl_xmp_orientation(const uint8_t *xmp, size_t size);

/* Turn or mirror the picture upright in place (its memory is replaced): 2 mirror, 3 half turn, 4 flip,
 * 5 transpose, 6 quarter turn clockwise, 7 transverse, 8 quarter turn anticlockwise; any other value leaves
 * it alone. */
enum qvl_status qvl_orient(struct qvl_picture *picture, int64_t orientation,
                           struct qvl_error *error) QVL_MUST_USE;

#endif
