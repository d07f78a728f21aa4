#include "cli/preprocess_sizes.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)
#define MAX_FIELDS 5 /* one more than any line may have */

/* Cut a line at its commas, spaces around the fields removed; how many fields it has, at most MAX_FIELDS. */
static int split(char *line, char *fields[MAX_FIELDS])
{
    int count = 0;
    for (char *rest = line; rest && count < MAX_FIELDS;) {
        char *field = strsep(&rest, ",");
        field += strspn(field, " \t\r");
        for (size_t size = strlen(field); size > 0 && strchr(" \t\r", field[size - 1]); size--)
            field[size - 1] = '\0';
        fields[count++] = field;
    }
    return count;
}

static bool is_header(char *const fields[MAX_FIELDS], int count)
{
    static const char *const names[] = {"frames", "h", "w", "fps", "frames", "height", "width", "fps"};
    bool good = count == 2 || count == 4;
    for (int i = 0; good && i < count; i++) {
        const int column = count == 2 ? i + 1 : i;
        good = strcmp(fields[i], names[column]) == 0 || strcmp(fields[i], names[column + 4]) == 0;
    }
    return good;
}

static bool read_side(const char *field, int64_t *value)
{
    char *end;
    errno = 0;
    const long long number = strtoll(field, &end, 10);
    *value = number;
    return *field >= '0' && *field <= '9' && !*end && !errno && number >= 1 && number <= INT32_MAX;
}

static bool read_rate(const char *field, double *value)
{
    char *end;
    *value = strtod(field, &end);
    return *field && !*end && isfinite(*value) && *value > 0;
}

/* What is wrong with the line, or NULL. */
static const char *read_size(char *const fields[MAX_FIELDS], int count, struct qvl_media_size *size)
{
    if (count != 2 && count != 4)
        return "a line is `h,w` of an image or `frames,h,w,fps` of a video";
    const int video = count == 4;
    if (video && !read_side(fields[0], &size->frames))
        return "frames must be a whole number from 1 to 2147483647";
    if (!read_side(fields[video], &size->height) || !read_side(fields[video + 1], &size->width))
        return "height and width must be whole numbers from 1 to 2147483647";
    if (video && !read_rate(fields[3], &size->fps))
        return "fps must be a number above zero";
    return NULL;
}

static enum qvl_status read_lines(const char *path, char *text, struct qvl_media_size *sizes, int64_t *count,
                                  struct qvl_error *error)
{
    int64_t number = 0;
    bool header_possible = true;
    for (char *rest = text; rest;) {
        char *line = strsep(&rest, "\n");
        char *fields[MAX_FIELDS];
        number++;
        line[strcspn(line, "#")] = '\0';
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        const int field_count = split(line, fields);
        const bool header = header_possible && is_header(fields, field_count);
        header_possible = false;
        if (header)
            continue;
        sizes[*count] = (struct qvl_media_size){.line = number};
        const char *wrong = read_size(fields, field_count, &sizes[*count]);
        if (wrong)
            return qvl_fail(error, QVL_BAD_INPUT, "%s: line %lld: %s", path, (long long)number, wrong);
        ++*count;
    }
    return *count ? QVL_OK : qvl_fail(error, QVL_BAD_INPUT, "%s: no sizes in it", path);
}

enum qvl_status qvl_media_sizes_read(const char *path, struct qvl_media_size **sizes, int64_t *count,
                                     struct qvl_error *error)
{
    char *text;
    size_t size;
    size_t lines = 1;
    QVL_TRY(qvl_file_read(path, MAX_FILE_BYTES, &text, &size, error));
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    enum qvl_status status = QVL_OK;
    *count = 0;
    *sizes = malloc(lines * sizeof **sizes);
    if (!*sizes)
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for %zu lines", path, lines);
    else if (strlen(text) != size)
        status =
            qvl_fail(error, QVL_BAD_INPUT, "%s: a zero byte at offset %zu is not text", path, strlen(text));
    else
        status = read_lines(path, text, *sizes, count, error);
    free(text);
    if (status != QVL_OK) {
        free(*sizes);
        *sizes = NULL;
    }
    return status;
}
