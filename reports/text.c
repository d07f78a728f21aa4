#include "reports/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct qvl_text *text, size_t extra)
{
    if (text->failed)
        return false;
    size_t needed = text->size + extra + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? 2 * text->capacity : 256;
    while (capacity < needed)
        capacity *= 2;
    char *grown = realloc(text->data, capacity);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->data = grown;
    text->capacity = capacity;
    return true;
}

void qvl_text_add(struct qvl_text *text, const char *bytes, size_t size)
{
    if (!reserve(text, size))
        return;
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void qvl_text_print(struct qvl_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        text->failed = true;
        return;
    }
    if (!reserve(text, (size_t)size))
        return;
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void qvl_text_repeat(struct qvl_text *text, char byte, size_t count)
{
    if (!reserve(text, count))
        return;
    memset(text->data + text->size, byte, count);
    text->size += count;
    text->data[text->size] = '\0';
}

/* Length of the well-formed UTF-8 sequence at `s` and its code point; 0 when ill-formed (RFC 3629). */
static size_t decode(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (length == 4 && (s[0] < 0xf0 || s[0] > 0xf4))
        return 0;
    *code = length == 1 ? s[0] : s[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *code = (*code << 6) | (s[i] & 0x3fU);
    }
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[length] || *code > 0x10ffff || surrogate ? 0 : length;
}

static bool is_forbidden(uint32_t code, bool one_line)
{
    bool blank = code == '\t' || code == '\n' || code == '\r';
    bool control = code < 0x20 && !blank;
    bool terminal = one_line && code >= 0x7f && code < 0xa0;
    return control || terminal || code == 0xfffe || code == 0xffff;
}

void qvl_text_clean(struct qvl_text *text, const char *string, bool one_line)
{
    const unsigned char *s = (const unsigned char *)string;
    while (*s) {
        uint32_t code = 0;
        size_t length = decode(s, &code);
        if (length == 0 || is_forbidden(code, one_line))
            qvl_text_add(text, "\xef\xbf\xbd", 3);
        else if (one_line && code < 0x20)
            qvl_text_add(text, " ", 1);
        else
            qvl_text_add(text, (const char *)s, length);
        s += length ? length : 1;
    }
}

enum qvl_status qvl_text_take(struct qvl_text *text, char **data, size_t *size, struct qvl_error *error)
{
    qvl_text_add(text, "", 0); /* an empty text still has its terminating zero */
    if (text->failed) {
        qvl_text_free(text);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the text of a report");
    }
    *data = text->data;
    *size = text->size;
    *text = (struct qvl_text){0};
    return QVL_OK;
}

void qvl_text_free(struct qvl_text *text)
{
    if (!text)
        return;
    free(text->data);
    *text = (struct qvl_text){0};
}

size_t qvl_text_width(const char *string)
{
    size_t width = 0;
    for (; *string; string++)
        width += ((unsigned char)*string & 0xc0) != 0x80;
    return width;
}
