#include "model/utf8.h"

void qvl_utf8_append(struct qvl_bytes *bytes, uint32_t point)
{
    char out[4];
    size_t length;
    if (point < 0x80) {
        out[0] = (char)point;
        length = 1;
    } else if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        length = 2;
    } else if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        length = 3;
    } else {
        out[0] = (char)(0xf0 | point >> 18);
        out[1] = (char)(0x80 | (point >> 12 & 0x3f));
        out[2] = (char)(0x80 | (point >> 6 & 0x3f));
        out[3] = (char)(0x80 | (point & 0x3f));
        length = 4;
    }
    qvl_bytes_append(bytes, out, length);
}

size_t qvl_utf8_valid_prefix(const char *text, size_t size)
{
    size_t at = 0;
    uint32_t point;
    while (at < size) {
        int length = qvl_utf8_decode(text + at, size - at, &point);
        if (length < 0)
            break;
        at += (size_t)length;
    }
    return at;
}

int64_t qvl_utf8_append_repaired(struct qvl_bytes *bytes, const char *text, size_t size)
{
    int64_t replaced = 0;
    for (size_t at = 0; at < size;) {
        size_t valid = qvl_utf8_valid_prefix(text + at, size - at);
        qvl_bytes_append(bytes, text + at, valid);
        at += valid;
        if (at < size) {
            uint32_t point;
            at += (size_t)-qvl_utf8_decode(text + at, size - at, &point);
            qvl_bytes_text(bytes, QVL_UTF8_REPLACEMENT);
            replaced++;
        }
    }
    return replaced;
}
