#include "datasets/image_header.h"

#include <string.h>

#include "datasets/exif.h"

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t le16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t le32(const uint8_t *at)
{
    return le16(at) | le16(at + 2) << 16;
}

/* Chunks: length (4, big endian), type (4), data, checksum (4). The last eXIf chunk counts; without an
 * orientation there, that of an uncompressed XMP text. */
static void read_png(const uint8_t *bytes, size_t size, struct qvl_image_header *header)
{
    static const char xmp_key[] = "XML:com.adobe.xmp";
    int64_t exif = 0, xmp = 0;
    header->kind = QVL_IMAGE_PNG;
    for (size_t at = 8; size - at >= 12;) {
        size_t length = be32(bytes + at);
        const uint8_t *type = bytes + at + 4, *data = bytes + at + 8;
        if (length > size - at - 12)
            break;
        if (!memcmp(type, "IHDR", 4) && length >= 13) {
            header->width = be32(data);
            header->height = be32(data + 4);
            header->bit_depth = data[8];
            header->colour_type = data[9];
        } else if (!memcmp(type, "eXIf", 4)) {
            exif = qvl_exif_orientation(data, length);
        } else if (!memcmp(type, "iTXt", 4) && length > sizeof xmp_key &&
                   !memcmp(data, xmp_key, sizeof xmp_key)) {
            xmp = qvl_xmp_orientation(data, length);
        }
        at += length + 12;
    }
    header->orientation = exif ? exif : xmp;
}

static bool read_palette(const uint8_t *bytes, size_t size, size_t *at, int flags,
                         struct qvl_image_header *header)
{
    size_t count = (size_t)2 << (flags & 7);
    if (size - *at < count * 3)
        return false;
    header->grey_ramp = true;
    for (size_t i = 0; i < count; i++) {
        memcpy(header->palette[i], bytes + *at + i * 3, 3);
        for (int c = 0; c < 3; c++)
            header->grey_ramp = header->grey_ramp && header->palette[i][c] == i;
    }
    *at += count * 3;
    return true;
}

/* Blocks up to the first image: '!' extensions (only the graphic control one matters), then ','. */
static void read_gif(const uint8_t *bytes, size_t size, struct qvl_image_header *header)
{
    size_t at = 13;
    header->kind = QVL_IMAGE_GIF;
    if (size < at)
        return;
    header->width = le16(bytes + 6);
    header->height = le16(bytes + 8);
    for (int i = 0; i < 256; i++)
        memset(header->palette[i], i, 3);
    header->grey_ramp = true;
    if ((bytes[10] & 0x80) && !read_palette(bytes, size, &at, bytes[10], header))
        return;
    while (size - at >= 10) {
        if (bytes[at] == ',') {
            header->left = le16(bytes + at + 1);
            header->top = le16(bytes + at + 3);
            header->frame_width = le16(bytes + at + 5);
            header->frame_height = le16(bytes + at + 7);
            int flags = bytes[at + 9];
            at += 10;
            if (flags & 0x80)
                (void)read_palette(bytes, size, &at, flags, header);
            return;
        }
        if (bytes[at] != '!') {
            at++;
            continue;
        }
        if (bytes[at + 1] == 0xf9 && bytes[at + 2] >= 4 && (bytes[at + 3] & 1))
            header->transparent = bytes[at + 6];
        at += 2;
        while (at < size && bytes[at])
            at += (size_t)bytes[at] + 1;
        at++;
        if (at > size)
            return;
    }
}

static void read_bmp(const uint8_t *bytes, size_t size, struct qvl_image_header *header)
{
    header->kind = QVL_IMAGE_BMP;
    if (size < 26)
        return;
    if (le32(bytes + 14) == 12) {
        header->width = le16(bytes + 18);
        header->height = le16(bytes + 20);
    } else {
        int64_t height = (int32_t)le32(bytes + 22);
        header->width = le32(bytes + 18);
        header->height = height < 0 ? -height : height;
        /* compression 3: colour masks follow, alpha's from the third header version on */
        header->bmp_alpha =
            size >= 70 && le32(bytes + 14) >= 56 && le32(bytes + 30) == 3 && le32(bytes + 66) != 0;
    }
}

void qvl_image_header_read(const uint8_t *bytes, size_t size, struct qvl_image_header *header)
{
    memset(header, 0, sizeof *header);
    header->transparent = -1;
    if (size >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8)) {
        read_png(bytes, size, header);
    } else if (size >= 6 && (!memcmp(bytes, "GIF87a", 6) || !memcmp(bytes, "GIF89a", 6))) {
        read_gif(bytes, size, header);
    } else if (size >= 2 && !memcmp(bytes, "BM", 2)) {
        read_bmp(bytes, size, header);
    } else if (size >= 4 && (!memcmp(bytes, "II*\0", 4) || !memcmp(bytes, "MM\0*", 4))) {
        header->kind = QVL_IMAGE_TIFF;
        header->orientation = qvl_exif_orientation(bytes, size);
    }
}
