#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum qvl_status no_memory(struct qvl_error *error, const char *path, size_t bytes)
{
    return qvl_fail(error, QVL_NO_MEMORY, "%s: %zu bytes of memory are not available", path, bytes);
}

bool qvl_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

bool qvl_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum qvl_status qvl_path_join(const char *folder, const char *name, char **path, struct qvl_error *error)
{
    size_t length = strlen(folder);
    size_t bytes = length + strlen(name) + 2;
    *path = malloc(bytes);
    if (!*path)
        return no_memory(error, name, bytes);
    if (length == 0 || name[0] == '/')
        snprintf(*path, bytes, "%s", name);
    else
        snprintf(*path, bytes, "%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", name);
    return QVL_OK;
}

enum qvl_status qvl_path_folder(const char *path, char **folder, struct qvl_error *error)
{
    const char *slash = strrchr(path, '/');
    size_t length = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    *folder = slash ? strndup(path, length) : strdup(".");
    return *folder ? QVL_OK : no_memory(error, path, length + 1);
}

/* Open for reading; refuses folders. */
static enum qvl_status open_input(const char *path, int *file, struct stat *info, struct qvl_error *error)
{
    *file = open(path, O_RDONLY | O_CLOEXEC);
    if (*file < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return qvl_fail(error, QVL_BAD_INPUT, "%s: no such file", path);
        return qvl_fail(error, QVL_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    if (fstat(*file, info) != 0) {
        enum qvl_status status =
            qvl_fail(error, QVL_IO, "%s: cannot read its size: %s", path, strerror(errno));
        close(*file);
        return status;
    }
    if (S_ISDIR(info->st_mode)) {
        close(*file);
        return qvl_fail(error, QVL_BAD_INPUT, "%s: is a folder, a file is needed", path);
    }
    return QVL_OK;
}

/* Read until the end; grows, because pipes do not say their size. */
static enum qvl_status read_all(int file, const char *path, size_t expected, size_t max_bytes, char **data,
                                size_t *size, struct qvl_error *error)
{
    size_t capacity = expected + 1; /* one byte more than expected, so that the end is seen at once */
    char *buffer = malloc(capacity + 1);
    size_t used = 0;
    if (!buffer)
        return no_memory(error, path, capacity + 1);
    for (;;) {
        ssize_t got = read(file, buffer + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            enum qvl_status status = qvl_fail(error, QVL_IO, "%s: cannot read: %s", path, strerror(errno));
            free(buffer);
            return status;
        }
        used += (size_t)got;
        if (used > max_bytes) {
            free(buffer);
            return qvl_fail(error, QVL_BAD_INPUT, "%s: longer than the %zu bytes allowed here", path,
                            max_bytes);
        }
        if (got == 0)
            break;
        if (used == capacity) {
            char *larger = realloc(buffer, 2 * capacity + 1);
            if (!larger) {
                free(buffer);
                return no_memory(error, path, 2 * capacity + 1);
            }
            buffer = larger;
            capacity *= 2;
        }
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return QVL_OK;
}

enum qvl_status qvl_file_read(const char *path, size_t max_bytes, char **data, size_t *size,
                              struct qvl_error *error)
{
    struct stat info;
    int file;
    QVL_TRY(open_input(path, &file, &info, error));
    size_t expected = S_ISREG(info.st_mode) ? (size_t)info.st_size : 0;
    enum qvl_status status;
    if (expected > max_bytes)
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: %zu bytes, longer than the %zu allowed here", path,
                          expected, max_bytes);
    else
        status = read_all(file, path, expected < 4096 ? 4096 : expected, max_bytes, data, size, error);
    close(file);
    return status;
}

enum qvl_status qvl_file_map_create(const char *path, struct qvl_file_map **map, struct qvl_error *error)
{
    struct stat info;
    int file;
    QVL_TRY(open_input(path, &file, &info, error));
    if (!S_ISREG(info.st_mode)) {
        close(file);
        return qvl_fail(error, QVL_BAD_INPUT, "%s: not a regular file, so it cannot be mapped", path);
    }
    struct qvl_file_map *result = calloc(1, sizeof *result);
    char *name = strdup(path);
    const void *data = "";
    enum qvl_status status = QVL_OK;
    if (!result || !name)
        status = no_memory(error, path, sizeof *result);
    if (status == QVL_OK && info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (data == MAP_FAILED)
            status = qvl_fail(error, QVL_IO, "%s: cannot map %lld bytes: %s", path, (long long)info.st_size,
                              strerror(errno));
    }
    close(file);
    if (status != QVL_OK) {
        free(name);
        free(result);
        return status;
    }
    *result = (struct qvl_file_map){.data = data, .size = (size_t)info.st_size, .path = name};
    *map = result;
    return QVL_OK;
}

void qvl_file_map_destroy(struct qvl_file_map *map)
{
    if (!map)
        return;
    if (map->size > 0)
        munmap((void *)map->data, map->size);
    free(map->path);
    free(map);
}

struct qvl_file_writer {
    FILE *file;
    char *target;    /* what the user asked for, symbolic links resolved */
    char *temporary; /* NULL when target is a device or pipe, written directly */
};

static void writer_free(struct qvl_file_writer *writer)
{
    free(writer->target);
    free(writer->temporary);
    free(writer);
}

/* Create "TARGET.PID.N.partial" with the permissions any new file would get. */
static int create_beside(const char *target, char **temporary)
{
    size_t bytes = strlen(target) + 48;
    *temporary = malloc(bytes);
    if (!*temporary)
        return -1;
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(*temporary, bytes, "%s.%ld.%d.partial", target, (long)getpid(), attempt);
        int file = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

enum qvl_status qvl_file_writer_open(const char *path, struct qvl_file_writer **writer,
                                     struct qvl_error *error)
{
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return qvl_fail(error, QVL_IO, "%s: is a folder, cannot write a file there", path);

    struct qvl_file_writer *result = calloc(1, sizeof *result);
    if (!result)
        return no_memory(error, path, sizeof *result);
    result->target = exists ? realpath(path, NULL) : strdup(path);
    int file = -1;
    if (exists && !S_ISREG(info.st_mode))
        file = open(path, O_WRONLY | O_CLOEXEC);
    else if (result->target)
        file = create_beside(result->target, &result->temporary);
    if (file >= 0)
        result->file = fdopen(file, "wb");
    if (!result->file) {
        enum qvl_status status = qvl_fail(error, QVL_IO, "%s: cannot create: %s", path, strerror(errno));
        if (file >= 0)
            close(file);
        if (file >= 0 && result->temporary)
            unlink(result->temporary);
        writer_free(result);
        return status;
    }
    *writer = result;
    return QVL_OK;
}

enum qvl_status qvl_file_writer_append(struct qvl_file_writer *writer, const void *data, size_t size,
                                       struct qvl_error *error)
{
    if (size > 0 && fwrite(data, 1, size, writer->file) != size)
        return qvl_fail(error, QVL_IO, "%s: cannot write: %s", writer->target, strerror(errno));
    return QVL_OK;
}

/* Make the rename itself durable; some file systems do not support it, and the data is safe regardless. */
static void sync_folder(const char *path)
{
    char *folder;
    if (qvl_path_folder(path, &folder, NULL) != QVL_OK)
        return;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        fsync(file);
        close(file);
    }
    free(folder);
}

enum qvl_status qvl_file_writer_commit(struct qvl_file_writer *writer, struct qvl_error *error)
{
    bool written = fflush(writer->file) == 0 && (!writer->temporary || fsync(fileno(writer->file)) == 0);
    int reason = errno;
    if (fclose(writer->file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && writer->temporary && rename(writer->temporary, writer->target) != 0) {
        written = false;
        reason = errno;
    }
    enum qvl_status status = QVL_OK;
    if (!written)
        status = qvl_fail(error, QVL_IO, "%s: cannot write: %s", writer->target, strerror(reason));
    if (writer->temporary) {
        if (written)
            sync_folder(writer->target);
        else
            unlink(writer->temporary);
    }
    writer_free(writer);
    return status;
}

void qvl_file_writer_abort(struct qvl_file_writer *writer)
{
    if (!writer)
        return;
    fclose(writer->file);
    if (writer->temporary)
        unlink(writer->temporary);
    writer_free(writer);
}

enum qvl_status qvl_file_write(const char *path, const void *data, size_t size, struct qvl_error *error)
{
    struct qvl_file_writer *writer;
    QVL_TRY(qvl_file_writer_open(path, &writer, error));
    enum qvl_status status = qvl_file_writer_append(writer, data, size, error);
    if (status != QVL_OK) {
        qvl_file_writer_abort(writer);
        return status;
    }
    return qvl_file_writer_commit(writer, error);
}
