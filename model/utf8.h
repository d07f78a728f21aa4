/* UTF-8, as defined by the Unicode standard (table 3-7). */
#ifndef QVL_MODEL_UTF8_H
#define QVL_MODEL_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "model/bytes.h"

#define QVL_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Decode one code point from text[0, size), size > 0. Returns its length in bytes, 1 to 4, or minus the
 * length of the maximal ill-formed part (the longest start of a well-formed sequence, or else 1 byte) with
 * U+FFFD in *point. */
static inline int qvl_utf8_decode(const char *text, size_t size, uint32_t *point)
{
    const uint8_t *byte = (const uint8_t *)text;
    *point = 0xfffd;
    if (byte[0] < 0x80) {
        *point = byte[0];
        return 1;
    }
    int length = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    if (byte[0] < 0xc2 || byte[0] > 0xf4)
        return -1;
    uint8_t low = byte[0] == 0xe0 ? 0xa0 : byte[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = byte[0] == 0xed ? 0x9f : byte[0] == 0xf4 ? 0x8f : 0xbf;
    uint32_t value = byte[0] & (0x7fU >> length);
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= size || byte[i] < low || byte[i] > high)
            return -i;
        value = value << 6 | (byte[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *point = value;
    return length;
}

/* Append a code point up to U+10FFFF that is no surrogate. */
void qvl_utf8_append(struct qvl_bytes *bytes, uint32_t point);

/* Length of the longest well-formed start of a text. */
size_t qvl_utf8_valid_prefix(const char *text, size_t size);

/* Append the text with every maximal ill-formed part replaced by U+FFFD; returns how many there were. */
int64_t qvl_utf8_append_repaired(struct qvl_bytes *bytes, const char *text, size_t size);

#endif
