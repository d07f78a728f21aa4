#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/exif.h"
#include "datasets/image.h"

/* A progressive file may ask for any number of passes over the picture; no encoder uses this many. */
#define MAX_SCANS 500

struct jpeg_reader {
    struct jpeg_decompress_struct jpeg; /* first member: the library's callbacks get its address */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    char message[JMSG_LENGTH_MAX];
};

static void fail_with(struct jpeg_reader *reader, const char *message)
{
    snprintf(reader->message, sizeof reader->message, "%s", message);
    longjmp(reader->failed, 1);
}

static void on_error(j_common_ptr common)
{
    struct jpeg_reader *reader = (struct jpeg_reader *)common;
    common->err->format_message(common, reader->message);
    longjmp(reader->failed, 1);
}

/* Warnings about damaged entropy data are ignored, as the original does; a file that ends early is not. */
static void on_message(j_common_ptr common, int level)
{
    if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF)
        fail_with((struct jpeg_reader *)common, "the file is truncated");
}

static void on_progress(j_common_ptr common)
{
    struct jpeg_reader *reader = (struct jpeg_reader *)common;
    if (reader->jpeg.input_scan_number > MAX_SCANS)
        fail_with(reader, "too many scans");
}

static bool starts_with(const struct jpeg_marker_struct *marker, const char *text, size_t length)
{
    return marker->data_length >= length && !memcmp(marker->data, text, length);
}

/* EXIF blocks split over several APP1 segments are joined; without an EXIF value the last XMP packet
 * counts. */
static int64_t orientation_of(const struct jpeg_marker_struct *markers)
{
    static const char exif_key[6] = "Exif\0", xmp_key[29] = "http://ns.adobe.com/xap/1.0/";
    const struct jpeg_marker_struct *marker;
    size_t size = 0;
    int64_t xmp = 0, orientation = 0;
    for (marker = markers; marker; marker = marker->next) {
        if (starts_with(marker, exif_key, sizeof exif_key))
            size += marker->data_length - sizeof exif_key;
        if (starts_with(marker, xmp_key, sizeof xmp_key))
            xmp = qvl_xmp_orientation(marker->data, marker->data_length);
    }
    uint8_t *exif = size ? malloc(size) : NULL;
    size = 0;
    for (marker = markers; marker && exif; marker = marker->next)
        if (starts_with(marker, exif_key, sizeof exif_key)) {
            memcpy(exif + size, marker->data + sizeof exif_key, marker->data_length - sizeof exif_key);
            size += marker->data_length - sizeof exif_key;
        }
    if (exif)
        orientation = qvl_exif_orientation(exif, size);
    free(exif);
    return orientation ? orientation : xmp;
}

/* CMYK to RGB as the original converts it. Four-component files hold inverted ink (the Adobe convention,
 * which is assumed with or without the marker). */
static void inverted_cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, int64_t width)
{
    for (int64_t x = 0; x < width; x++) {
        int white = cmyk[x * 4 + 3];
        for (int c = 0; c < 3; c++) {
            int product = (255 - cmyk[x * 4 + c]) * white + 128;
            rgb[x * 3 + c] = (uint8_t)(white - ((product + (product >> 8)) >> 8));
        }
    }
}

static void grey_to_rgb(const uint8_t *grey, uint8_t *rgb, int64_t width)
{
    for (int64_t x = 0; x < width; x++)
        memset(rgb + x * 3, grey[x], 3);
}

static void read_rows(struct jpeg_reader *reader, struct qvl_decoded_image *image)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    JSAMPARRAY row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE,
                                             jpeg->output_width * (JDIMENSION)jpeg->output_components, 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *rgb = image->rgb + (int64_t)jpeg->output_scanline * image->width * 3;
        jpeg_read_scanlines(jpeg, row, 1);
        if (jpeg->output_components == 1)
            grey_to_rgb(row[0], rgb, image->width);
        else if (jpeg->output_components == 4)
            inverted_cmyk_to_rgb(row[0], rgb, image->width);
        else
            memcpy(rgb, row[0], (size_t)image->width * 3);
    }
    jpeg_finish_decompress(jpeg);
}

static enum qvl_status decode(struct jpeg_reader *reader, const struct qvl_media_source *source,
                              struct qvl_decoded_image *image, struct qvl_error *error)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    if (setjmp(reader->failed))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: damaged JPEG: %s", source->name, reader->message);
    jpeg_create_decompress(jpeg);
    jpeg->progress = &reader->progress;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_mem_src(jpeg, source->bytes, (unsigned long)source->size);
    jpeg_read_header(jpeg, TRUE);
    switch (jpeg->num_components) {
    case 1: jpeg->out_color_space = JCS_GRAYSCALE; break;
    case 3: jpeg->out_color_space = JCS_RGB; break;
    case 4: jpeg->out_color_space = JCS_CMYK; break;
    default:
        return qvl_fail(error, QVL_BAD_INPUT, "%s: a JPEG of %d components; 1, 3 and 4 can be read",
                        source->name, jpeg->num_components);
    }
    QVL_TRY(qvl_decoded_image_alloc(image, jpeg->image_width, jpeg->image_height, QVL_ALPHA_ABSENT,
                                    source->name, error));
    image->orientation = orientation_of(jpeg->marker_list);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(jpeg);
    read_rows(reader, image);
    return QVL_OK;
}

enum qvl_status qvl_image_decode_jpeg(const struct qvl_media_source *source, struct qvl_decoded_image *image,
                                      struct qvl_error *error)
{
    struct jpeg_reader reader;
    memset(&reader, 0, sizeof reader);
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.progress.progress_monitor = on_progress;
    enum qvl_status status = decode(&reader, source, image, error);
    jpeg_destroy_decompress(&reader.jpeg);
    return status;
}
