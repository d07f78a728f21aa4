/* The bytes of a media file, in memory or on disk, under the name that messages use. */
#ifndef QVL_DATASETS_MEDIA_SOURCE_H
#define QVL_DATASETS_MEDIA_SOURCE_H

#include <stdint.h>

#include "qvl/status.h"

struct qvl_media_source {
    char *name;           /* owned */
    const uint8_t *bytes; /* [size] the whole content, or NULL: read from fd */
    uint8_t *owned;       /* what to free, or NULL when bytes are borrowed */
    int64_t size;
    int fd; /* -1 when in memory */
};

/* Open a file (`bytes` NULL) or name borrowed bytes. QVL_BAD_INPUT: missing, a folder, empty. */
enum qvl_status qvl_media_source_open(struct qvl_media_source *source, const char *path, const void *bytes,
                                      size_t size, struct qvl_error *error) QVL_MUST_USE;

/* Make `bytes` point to a copy of the whole content that the source owns. */
enum qvl_status qvl_media_source_load(struct qvl_media_source *source, struct qvl_error *error) QVL_MUST_USE;

/* Copy up to `size` bytes from `offset`; the number of bytes copied, 0 at the end, -1 on an error of the
 * system. */
int64_t qvl_media_source_read(const struct qvl_media_source *source, int64_t offset, void *to, int64_t size);

void qvl_media_source_close(struct qvl_media_source *source);

#endif
