#include "datasets/container_size.h"

#include <string.h>

static uint64_t big_endian(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static enum qvl_status check_part(const struct qvl_media_source *source, const char *part, uint64_t end,
                                  struct qvl_error *error)
{
    if (end <= (uint64_t)source->size)
        return QVL_OK;
    return qvl_fail(error, QVL_BAD_INPUT,
                    "%s: truncated: its part '%s' ends at byte %llu, the file at byte %lld; copy it again",
                    source->name, part, (unsigned long long)end, (long long)source->size);
}

/* Copy 16 bytes from `offset`, zeros beyond the end; false when not even `needed` bytes are there. */
static bool peek(const struct qvl_media_source *source, uint64_t offset, int64_t needed, uint8_t head[16])
{
    int64_t left = offset < (uint64_t)source->size ? source->size - (int64_t)offset : 0;
    memset(head, 0, 16);
    memcpy(head, source->bytes + (left ? offset : 0), (size_t)(left < 16 ? left : 16));
    return left >= needed;
}

/* Boxes: size (4, big endian; 1: 8 more bytes; 0: to the end), type (4). */
static enum qvl_status check_mp4(const struct qvl_media_source *source, struct qvl_error *error)
{
    uint64_t at = 0;
    uint8_t head[16];
    while (peek(source, at, 8, head)) {
        uint64_t size = big_endian(head, 4);
        char type[5] = {0};
        if (size == 0)
            return QVL_OK;
        memcpy(type, head + 4, 4);
        for (int i = 0; i < 4; i++)
            if (type[i] < ' ' || type[i] > '~')
                return QVL_OK;
        if (size == 1)
            size = big_endian(head + 8, 8);
        if (size < 8 || size > (uint64_t)INT64_MAX - at)
            return QVL_OK;
        at += size;
        QVL_TRY(check_part(source, type, at, error));
    }
    return QVL_OK;
}

/* A Matroska length: the count of leading zero bits gives its bytes; all ones means unknown (0 here). */
static int ebml_length(const uint8_t *at, uint64_t *length)
{
    int bytes = 1;
    while (bytes <= 8 && !(at[0] >> (8 - bytes) & 1))
        bytes++;
    if (bytes > 8)
        return 0;
    uint64_t ones = (UINT64_C(1) << (7 * bytes)) - 1;
    *length = big_endian(at, bytes) & ones;
    if (*length == ones)
        *length = 0;
    return bytes;
}

/* The EBML header (id of 4 bytes, length, content), then the segment (id of 4 bytes, length, content). */
static enum qvl_status check_matroska(const struct qvl_media_source *source, struct qvl_error *error)
{
    static const uint8_t segment_id[4] = {0x18, 0x53, 0x80, 0x67};
    uint8_t head[16];
    uint64_t length = 0;
    if (!peek(source, 0, 12, head))
        return QVL_OK;
    int bytes = ebml_length(head + 4, &length);
    if (!bytes || length > 4096)
        return QVL_OK;
    uint64_t at = 4 + (uint64_t)bytes + length;
    if (!peek(source, at, 12, head) || memcmp(head, segment_id, 4) != 0)
        return QVL_OK;
    bytes = ebml_length(head + 4, &length);
    if (!bytes || !length)
        return QVL_OK;
    return check_part(source, "Segment", at + 4 + (uint64_t)bytes + length, error);
}

/* "RIFF", size (4, little endian) of what follows. Recorders that were cut off leave 0. */
static enum qvl_status check_riff(const struct qvl_media_source *source, const uint8_t head[16],
                                  struct qvl_error *error)
{
    uint64_t size = 0;
    for (int i = 3; i >= 0; i--)
        size = size << 8 | head[4 + i];
    return check_part(source, "RIFF", size + 8, error);
}

enum qvl_status qvl_container_check_size(const struct qvl_media_source *source, struct qvl_error *error)
{
    static const char *const first_boxes[] = {"ftyp", "moov", "mdat", "free", "skip", "wide"};
    uint8_t head[16];
    if (!peek(source, 0, 12, head))
        return QVL_OK;
    if (!memcmp(head, "\x1a\x45\xdf\xa3", 4))
        return check_matroska(source, error);
    if (!memcmp(head, "RIFF", 4))
        return check_riff(source, head, error);
    for (size_t i = 0; i < sizeof first_boxes / sizeof first_boxes[0]; i++)
        if (!memcmp(head + 4, first_boxes[i], 4))
            return check_mp4(source, error);
    return QVL_OK;
}
