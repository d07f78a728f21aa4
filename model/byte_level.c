#include "model/byte_level.h"

#include "model/utf8.h"

/* The byte that a character stands for, or -1. */
static int byte_of(uint32_t point)
{
    bool printable =
        (point >= 33 && point <= 126) || (point >= 161 && point <= 172) || (point >= 174 && point <= 255);
    if (printable)
        return (int)point;
    if (point < 256 || point >= 256 + 68)
        return -1;
    uint32_t index = point - 256;
    if (index < 33)
        return (int)index; /* 0..32 */
    if (index < 33 + 34)
        return (int)(index - 33 + 127); /* 127..160 */
    return 173;
}

void qvl_byte_level_decode(const char *spelling, size_t size, struct qvl_bytes *bytes)
{
    size_t start = bytes->size;
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        int length = qvl_utf8_decode(spelling + at, size - at, &point);
        int byte = length > 0 ? byte_of(point) : -1;
        if (byte < 0) {
            bytes->size = start;
            qvl_bytes_append(bytes, spelling, size);
            return;
        }
        char value = (char)byte;
        qvl_bytes_append(bytes, &value, 1);
        at += (size_t)length;
    }
}
