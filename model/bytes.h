/* A growing byte string. Running out of memory is remembered, so that a writer checks once, at the end. */
#ifndef QVL_MODEL_BYTES_H
#define QVL_MODEL_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "qvl/status.h"

/* Zero-initialise to start; data is owned. */
struct qvl_bytes {
    char *data;
    size_t size, capacity;
    bool failed; /* an append ran out of memory; later appends do nothing */
};

/* Room for `more` further bytes and a terminating zero; false when memory ran out, now or earlier. */
bool qvl_bytes_reserve(struct qvl_bytes *bytes, size_t more);

void qvl_bytes_append(struct qvl_bytes *bytes, const void *data, size_t size);
void qvl_bytes_text(struct qvl_bytes *bytes, const char *text); /* without its terminating zero */
void qvl_bytes_free(struct qvl_bytes *bytes);

/* Hands the zero-terminated content over to the caller (free) and clears `bytes`, or reports
 * QVL_NO_MEMORY. `size` may be NULL. */
QVL_MUST_USE enum qvl_status qvl_bytes_take(struct qvl_bytes *bytes, char **data, size_t *size,
                                            struct qvl_error *error);

/* Make `*array` of `*capacity` elements of `element` bytes hold at least `needed`, growing by half. */
bool qvl_array_reserve(void **array, size_t *capacity, size_t needed, size_t element);

#endif
