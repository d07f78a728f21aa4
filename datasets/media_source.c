#include "datasets/media_source.h"

#include <stdlib.h>
#include <string.h>

static enum qvl_status open_bytes(struct qvl_media_source *source, const void *bytes, size_t size, bool copy,
                                  struct qvl_error *error)
{
    source->bytes = bytes;
    source->size = (int64_t)size;
    if (!copy || !size)
        return QVL_OK;
    source->copy = malloc(size);
    if (!source->copy)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its %zu bytes", source->name, size);
    source->bytes = memcpy(source->copy, bytes, size);
    return QVL_OK;
}

static enum qvl_status open_file(struct qvl_media_source *source, struct qvl_error *error)
{
    QVL_TRY(qvl_file_map_create(source->name, &source->map, error));
    source->bytes = source->map->data;
    source->size = (int64_t)source->map->size;
    return QVL_OK;
}

enum qvl_status qvl_media_source_open(struct qvl_media_source *source, const char *path, const void *bytes,
                                      size_t size, bool copy, struct qvl_error *error)
{
    *source = (struct qvl_media_source){0};
    if (!path && !bytes)
        return qvl_fail(error, QVL_USAGE, "a picture or video needs a path or bytes");
    source->name = strdup(path ? path : "data: URL");
    if (!source->name)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the name of a picture or video");
    enum qvl_status status = bytes ? open_bytes(source, bytes, size, copy, error) : open_file(source, error);
    if (status == QVL_OK && source->size == 0)
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: empty (0 bytes)", source->name);
    if (status != QVL_OK)
        qvl_media_source_close(source);
    return status;
}

void qvl_media_source_close(struct qvl_media_source *source)
{
    qvl_file_map_destroy(source->map);
    free(source->copy);
    free(source->name);
    *source = (struct qvl_media_source){0};
}
