/* The pattern by hand, alternative by alternative in its order. \p{L} and \p{N} are those of Unicode 16.0,
 * \s the 25 White_Space code points, as in the original's regular expression engine. */
#include "model/pretoken.h"

#include <stdbool.h>
#include <stdint.h>

#include "model/unicode_tables.h"
#include "model/utf8.h"

const char qvl_pretoken_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* One code point of the text: its class, and where the next one starts. At the end next == at. */
struct point {
    uint32_t value;
    enum qvl_unicode_class class;
    bool end;
    size_t next;
};

static enum qvl_unicode_class classify(uint32_t value)
{
    if (value < 0x80) {
        if ((value | 0x20) >= 'a' && (value | 0x20) <= 'z')
            return QVL_UNICODE_LETTER;
        if (value >= '0' && value <= '9')
            return QVL_UNICODE_NUMBER;
        return value == ' ' || (value >= '\t' && value <= '\r') ? QVL_UNICODE_SPACE : QVL_UNICODE_OTHER;
    }
    const struct qvl_unicode_range *range =
        qvl_unicode_find(qvl_unicode_classes, qvl_unicode_classes_count, value);
    return range ? (enum qvl_unicode_class)range->class : QVL_UNICODE_OTHER;
}

static struct point read_point(const char *text, size_t size, size_t at)
{
    struct point point = {.end = at >= size, .next = at};
    if (!point.end) {
        point.next = at + (size_t)qvl_utf8_decode(text + at, size - at, &point.value);
        point.class = classify(point.value);
    }
    return point;
}

static bool is_newline(const struct point *point)
{
    return !point->end && (point->value == '\r' || point->value == '\n');
}

/* The end of the run of one class that starts at `at`. */
static size_t run_end(const char *text, size_t size, size_t at, enum qvl_unicode_class class)
{
    for (struct point point = read_point(text, size, at); !point.end && point.class == class;
         point = read_point(text, size, at))
        at = point.next;
    return at;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d) behind an apostrophe of 1 byte; 0 when there is none. U+017F (long s) folds to
 * s. */
static size_t contraction(const char *text, size_t size)
{
    struct point first = read_point(text, size, 1);
    if (first.end)
        return 0;
    uint32_t letter = first.value == 0x17f ? 's' : first.value < 0x80 ? first.value | 0x20 : 0;
    if (first.value == 0x17f || ((letter == 's' || letter == 't' || letter == 'm' || letter == 'd')))
        return first.next;
    if (first.next >= size)
        return 0;
    char second = (char)(text[first.next] | 0x20);
    bool two = (letter == 'r' && second == 'e') || (letter == 'v' && second == 'e') ||
               (letter == 'l' && second == 'l');
    return two ? first.next + 1 : 0;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t space_run(const char *text, size_t size)
{
    size_t at = 0, last = 0, newline_end = 0;
    for (struct point point = read_point(text, size, 0); !point.end && point.class == QVL_UNICODE_SPACE;
         point = read_point(text, size, at)) {
        last = at;
        at = point.next;
        if (is_newline(&point))
            newline_end = at;
    }
    if (newline_end > 0)
        return newline_end;
    return at < size && last > 0 ? last : at;
}

size_t qvl_pretoken_next(const char *text, size_t size)
{
    struct point first = read_point(text, size, 0);
    if (first.value == '\'') {
        size_t length = contraction(text, size);
        if (length > 0)
            return length;
    }
    struct point second = read_point(text, size, first.next);
    if (first.class == QVL_UNICODE_LETTER)
        return run_end(text, size, 0, QVL_UNICODE_LETTER);
    if (first.class == QVL_UNICODE_NUMBER)
        return first.next;
    if (!is_newline(&first) && !second.end && second.class == QVL_UNICODE_LETTER)
        return run_end(text, size, first.next, QVL_UNICODE_LETTER);
    bool spaced = first.value == ' ' && !second.end && second.class == QVL_UNICODE_OTHER;
    if (first.class == QVL_UNICODE_SPACE && !spaced)
        return space_run(text, size);
    size_t at = run_end(text, size, spaced ? first.next : 0, QVL_UNICODE_OTHER);
    while (at < size && (text[at] == '\r' || text[at] == '\n'))
        at++;
    return at;
}
