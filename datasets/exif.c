#include "datasets/exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TAG_ORIENTATION 0x0112

static uint32_t get16(const uint8_t *at, bool little)
{
    return little ? (uint32_t)at[0] | (uint32_t)at[1] << 8 : (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at, bool little)
{
    return little ? get16(at, true) | get16(at + 2, true) << 16
                  : get16(at, false) << 16 | get16(at + 2, false);
}

/* The value of a directory entry of one BYTE, SHORT or LONG; 0 for any other type. */
static int64_t entry_value(const uint8_t *entry, bool little)
{
    if (get32(entry + 4, little) != 1)
        return 0;
    switch (get16(entry + 2, little)) {
    case 1: return entry[8];
    case 3: return get16(entry + 8, little);
    case 4: return get32(entry + 8, little);
    default: return 0;
    }
}

int64_t qvl_exif_orientation(const uint8_t *exif, size_t size)
{
    int64_t orientation = 0;
    for (int prefix = 0; prefix < 2 && size >= 6 && !memcmp(exif, "Exif\0\0", 6); prefix++) {
        exif += 6;
        size -= 6;
    }
    if (size < 8 || (memcmp(exif, "II", 2) != 0 && memcmp(exif, "MM", 2) != 0))
        return 0;
    bool little = exif[0] == 'I';
    size_t at = get32(exif + 4, little);
    if (get16(exif + 2, little) != 42 || at > size || size - at < 2)
        return 0;
    size_t entries = get16(exif + at, little);
    at += 2;
    for (size_t i = 0; i < entries && size - at >= 12; i++, at += 12)
        if (get16(exif + at, little) == TAG_ORIENTATION)
            orientation = entry_value(exif + at, little);
    return orientation;
}

int64_t qvl_xmp_orientation(const uint8_t *xmp, size_t size)
{
    static const char key[] = "tiff:Orientation";
    const size_t length = sizeof key - 1;
    for (size_t i = 0; i + length + 2 <= size; i++) {
        if (xmp[i] != 't' || memcmp(xmp + i, key, length) != 0)
            continue;
        size_t at = i + length;
        if (xmp[at] == '>')
            at += 1;
        else if (at + 2 < size && xmp[at] == '=' && xmp[at + 1] == '"')
            at += 2;
        else
            continue;
        if (xmp[at] >= '0' && xmp[at] <= '9')
            return xmp[at] - '0';
    }
    return 0;
}

enum qvl_status qvl_orient(struct qvl_picture *picture, int64_t orientation, struct qvl_error *error)
{
    if (orientation < 2 || orientation > 8)
        return QVL_OK;
    /* Output (y, x) comes from input (row, column); the orientation says from which end each of them counts
     * and whether they trade places. */
    const bool swap = orientation >= 5;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const int64_t rows = picture->height, columns = picture->width;
    const int64_t height = swap ? columns : rows, width = swap ? rows : columns;
    uint8_t *turned = malloc((size_t)(rows * columns * 3));
    if (!turned)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to turn a picture of %lld x %lld",
                        (long long)columns, (long long)rows);
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            int64_t row = swap ? x : y, column = swap ? y : x;
            row = from_bottom ? rows - 1 - row : row;
            column = from_right ? columns - 1 - column : column;
            memcpy(turned + (y * width + x) * 3, picture->rgb + (row * columns + column) * 3, 3);
        }
    free(picture->rgb);
    *picture = (struct qvl_picture){.height = height, .width = width, .rgb = turned};
    return QVL_OK;
}
