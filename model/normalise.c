/* utf8proc knows a newer Unicode than the original, so it only sees runs of code points that take part in
 * normalisation under Unicode 9.0 (their data can never change); all others are copied. Its own ordering of
 * marks is an insertion sort, so long runs of marks are ordered here. */
#include "model/normalise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/unicode_tables.h"
#include "model/utf8.h"

#define LONGEST_DECOMPOSITION 16 /* code points; Unicode's longest canonical one has 4 */
#define COMBINING_CLASSES 256

struct points {
    utf8proc_int32_t *data;
    size_t count, capacity;
};

static bool is_active(uint32_t point)
{
    return qvl_unicode_find(qvl_unicode_nfc_active, qvl_unicode_nfc_active_count, point) != NULL;
}

/* The end of the active code points outside ASCII from `at` on. */
static size_t active_end(const char *text, size_t size, size_t at)
{
    uint32_t point;
    while (at < size && (unsigned char)text[at] >= 0x80) {
        int length = qvl_utf8_decode(text + at, size - at, &point);
        if (!is_active(point))
            break;
        at += (size_t)length;
    }
    return at;
}

static bool decompose(const char *text, size_t size, struct points *points)
{
    for (size_t at = 0; at < size;) {
        uint32_t point;
        at += (size_t)qvl_utf8_decode(text + at, size - at, &point);
        void *data = points->data;
        bool good = qvl_array_reserve(&data, &points->capacity, points->count + LONGEST_DECOMPOSITION,
                                      sizeof *points->data);
        points->data = data;
        if (!good)
            return false;
        utf8proc_ssize_t length =
            utf8proc_decompose_char((utf8proc_int32_t)point, points->data + points->count,
                                    LONGEST_DECOMPOSITION, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, NULL);
        if (length < 0 || length > LONGEST_DECOMPOSITION)
            return false;
        points->count += (size_t)length;
    }
    return true;
}

static int combining_class(utf8proc_int32_t point)
{
    return utf8proc_get_property(point)->combining_class & (COMBINING_CLASSES - 1);
}

/* Stable counting sort of one sequence of marks by combining class. */
static bool order_marks(utf8proc_int32_t *marks, size_t count)
{
    size_t starts[COMBINING_CLASSES + 1] = {0};
    for (size_t i = 0; i < count; i++)
        starts[combining_class(marks[i]) + 1]++;
    for (int class = 0; class < COMBINING_CLASSES; class ++)
        starts[class + 1] += starts[class];
    utf8proc_int32_t *ordered = malloc(count * sizeof *ordered);
    if (!ordered)
        return false;
    for (size_t i = 0; i < count; i++)
        ordered[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, ordered, count * sizeof *ordered);
    free(ordered);
    return true;
}

static bool order(struct points *points)
{
    for (size_t at = 0; at < points->count;) {
        size_t end = at;
        while (end < points->count && combining_class(points->data[end]) != 0)
            end++;
        if (end > at + 1 && !order_marks(points->data + at, end - at))
            return false;
        at = end + 1;
    }
    return true;
}

static bool normalise_run(const char *text, size_t size, struct points *points, struct qvl_bytes *out)
{
    points->count = 0;
    if (!decompose(text, size, points) || !order(points))
        return false;
    utf8proc_ssize_t length = utf8proc_normalize_utf32(points->data, (utf8proc_ssize_t)points->count,
                                                       UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (length < 0)
        return false;
    for (utf8proc_ssize_t i = 0; i < length; i++)
        qvl_utf8_append(out, (uint32_t)points->data[i]);
    return !out->failed;
}

enum qvl_status qvl_normalise_nfc(const char *text, size_t size, struct qvl_bytes *out,
                                  struct qvl_error *error)
{
    struct points points = {.data = NULL};
    bool good = true;
    size_t copied = 0;
    for (size_t at = 0; good && at < size;) {
        uint32_t point;
        size_t start = at;
        at += (size_t)qvl_utf8_decode(text + at, size - at, &point);
        if (point >= 0x80 && !is_active(point))
            continue;
        size_t end = active_end(text, size, at);
        if (point < 0x80 && end == at) /* nothing before an ASCII character combines with it */
            continue;
        qvl_bytes_append(out, text + copied, start - copied);
        good = normalise_run(text + start, end - start, &points, out);
        copied = at = end;
    }
    qvl_bytes_append(out, text + copied, size - copied);
    free(points.data);
    if (!good || out->failed)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory while normalising %zu bytes of text", size);
    return QVL_OK;
}
