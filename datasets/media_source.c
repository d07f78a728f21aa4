#include "datasets/media_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum qvl_status open_file(struct qvl_media_source *source, struct qvl_error *error)
{
    struct stat info;
    source->fd = open(source->name, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0 || fstat(source->fd, &info))
        return qvl_fail(error, errno == ENOENT || errno == ENOTDIR ? QVL_BAD_INPUT : QVL_IO,
                        "%s: cannot open: %s", source->name, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a regular file; give the path of a picture or video",
                        source->name);
    source->size = info.st_size;
    return QVL_OK;
}

enum qvl_status qvl_media_source_open(struct qvl_media_source *source, const char *path, const void *bytes,
                                      size_t size, struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    *source = (struct qvl_media_source){.fd = -1};
    if (!path && !bytes)
        return qvl_fail(error, QVL_USAGE, "a picture or video needs a path or bytes");
    source->name = strdup(path ? path : "data: URL");
    if (!source->name)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the name of a picture or video");
    if (bytes) {
        source->bytes = bytes;
        source->size = (int64_t)size;
    } else {
        status = open_file(source, error);
    }
    if (status == QVL_OK && source->size == 0)
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: empty (0 bytes)", source->name);
    if (status != QVL_OK)
        qvl_media_source_close(source);
    return status;
}

int64_t qvl_media_source_read(const struct qvl_media_source *source, int64_t offset, void *to, int64_t size)
{
    int64_t done = 0;
    if (offset >= source->size || size <= 0)
        return 0;
    if (size > source->size - offset)
        size = source->size - offset;
    if (source->bytes) {
        memcpy(to, source->bytes + offset, (size_t)size);
        return size;
    }
    while (done < size) {
        ssize_t got = pread(source->fd, (uint8_t *)to + done, (size_t)(size - done), offset + done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += got;
    }
    return done;
}

enum qvl_status qvl_media_source_load(struct qvl_media_source *source, struct qvl_error *error)
{
    if (source->owned)
        return QVL_OK;
    uint8_t *copy = malloc((size_t)source->size);
    if (!copy)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its %lld bytes", source->name,
                        (long long)source->size);
    int64_t got = qvl_media_source_read(source, 0, copy, source->size);
    if (got != source->size) {
        free(copy);
        return qvl_fail(error, QVL_IO, "%s: read %lld of %lld bytes: %s", source->name, (long long)got,
                        (long long)source->size, got < 0 ? strerror(errno) : "the file was cut while open");
    }
    source->owned = copy;
    source->bytes = copy;
    return QVL_OK;
}

void qvl_media_source_close(struct qvl_media_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    free(source->owned);
    free(source->name);
    *source = (struct qvl_media_source){.fd = -1};
}
