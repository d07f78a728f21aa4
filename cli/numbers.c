#include "cli/numbers.h"

#include <stdlib.h>
#include <string.h>

/* Read a count and its suffix; *end points behind it. */
static bool read_count(const char *text, int64_t *value, const char **end)
{
    int64_t scale = 1;
    uint64_t number = 0;
    const char *s = text;
    for (; *s >= '0' && *s <= '9'; s++) {
        number = number * 10 + (uint64_t)(*s - '0');
        if (number > (uint64_t)INT64_MAX / 16)
            return false;
    }
    if (s == text)
        return false;
    if (*s == 'K' || *s == 'k')
        scale = 1 << 10;
    else if (*s == 'M')
        scale = 1 << 20;
    s += scale > 1;
    if (number > (uint64_t)(INT64_MAX / scale))
        return false;
    *value = (int64_t)number * scale;
    *end = s;
    return true;
}

bool qvl_number_count(const char *text, int64_t *value)
{
    const char *end;
    return read_count(text, value, &end) && *end == '\0';
}

bool qvl_number_counts(const char *text, int64_t *values, int64_t capacity, int64_t *count)
{
    *count = 0;
    for (;;) {
        const char *end;
        if (*count == capacity || !read_count(text, &values[*count], &end))
            return false;
        (*count)++;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

bool qvl_number_sizes(const char *text, int64_t *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const char *end;
        if (!read_count(text, &values[i], &end) || values[i] < 1)
            return false;
        if (*end != (i + 1 < count ? 'x' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}
