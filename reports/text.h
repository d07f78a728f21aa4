/* A growing text buffer. The first failure (no memory) sticks; qvl_text_take reports it. */
#ifndef QVL_REPORTS_TEXT_H
#define QVL_REPORTS_TEXT_H

#include <stdbool.h>

#include "qvl/status.h"

struct qvl_text {
    char *data; /* owned; zero-terminated once anything was added */
    size_t size, capacity;
    bool failed;
};

void qvl_text_add(struct qvl_text *text, const char *bytes, size_t size);
void qvl_text_print(struct qvl_text *text, const char *format, ...) QVL_PRINTF(2, 3);
void qvl_text_repeat(struct qvl_text *text, char byte, size_t count);

/* Add a string made fit for every output format: ill-formed UTF-8 and characters that XML 1.0 forbids become
 * U+FFFD. With `one_line`, tab, line feed and carriage return become a space, and DEL and C1 controls U+FFFD:
 * nothing in it can move a terminal's cursor. */
void qvl_text_clean(struct qvl_text *text, const char *string, bool one_line);

/* Hand over the content (never NULL on success; free) and empty the buffer. QVL_NO_MEMORY if anything failed.
 */
QVL_MUST_USE enum qvl_status qvl_text_take(struct qvl_text *text, char **data, size_t *size,
                                           struct qvl_error *error);
void qvl_text_free(struct qvl_text *text); /* NULL is accepted */

/* Columns a terminal needs for UTF-8 text, counting a code point as one. */
size_t qvl_text_width(const char *string);

#endif
