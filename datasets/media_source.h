/* The bytes of a media file, mapped or in memory, under the name that messages use. */
#ifndef QVL_DATASETS_MEDIA_SOURCE_H
#define QVL_DATASETS_MEDIA_SOURCE_H

#include "base/file.h"

struct qvl_media_source {
    char *name;           /* owned */
    const uint8_t *bytes; /* [size] the whole content */
    int64_t size;
    struct qvl_file_map *map; /* of a file; owned */
    uint8_t *copy;            /* of bytes that have to outlive the call; owned */
};

/* Map a file (`bytes` NULL), or name bytes: borrowed, or copied when the source outlives the call that brings
 * them. QVL_BAD_INPUT: missing, a folder, empty. */
enum qvl_status qvl_media_source_open(struct qvl_media_source *source, const char *path, const void *bytes,
                                      size_t size, bool copy, struct qvl_error *error) QVL_MUST_USE;

void qvl_media_source_close(struct qvl_media_source *source);

#endif
