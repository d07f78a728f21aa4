/* Whole files: read, map, and write so that a reader sees either the old file or the complete new one. */
#ifndef QVL_BASE_FILE_H
#define QVL_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "qvl/status.h"

bool qvl_file_exists(const char *path);   /* anything but a folder */
bool qvl_folder_exists(const char *path); /* a folder */

/* "folder/name"; an absolute `name` or an empty folder gives `name` alone. *path is owned (free). */
QVL_MUST_USE enum qvl_status qvl_path_join(const char *folder, const char *name, char **path,
                                           struct qvl_error *error);

/* The folder part of a path, "." when it has none. *folder is owned (free). */
QVL_MUST_USE enum qvl_status qvl_path_folder(const char *path, char **folder, struct qvl_error *error);

/* The whole content of a file of at most `max_bytes`. *data is owned (free) and has a terminating zero byte
 * behind its *size bytes. QVL_BAD_INPUT: missing, a folder, or longer than max_bytes; QVL_IO: unreadable. */
QVL_MUST_USE enum qvl_status qvl_file_read(const char *path, size_t max_bytes, char **data, size_t *size,
                                           struct qvl_error *error);

/* A regular file mapped read-only. */
struct qvl_file_map {
    const uint8_t *data; /* valid until destroy; not NULL even when size is 0 */
    size_t size;
    char *path; /* as given */
};

QVL_MUST_USE enum qvl_status qvl_file_map_create(const char *path, struct qvl_file_map **map,
                                                 struct qvl_error *error);
void qvl_file_map_destroy(struct qvl_file_map *map); /* NULL is accepted */

/* Replace `path` by `size` bytes: written beside it, synced, renamed. On failure the old file is untouched
 * and nothing is left behind. A path that names a device or pipe is written directly. */
QVL_MUST_USE enum qvl_status qvl_file_write(const char *path, const void *data, size_t size,
                                            struct qvl_error *error);

/* The same for files written piece by piece: open, append..., then commit or abort. Both end the writer. */
struct qvl_file_writer;

QVL_MUST_USE enum qvl_status qvl_file_writer_open(const char *path, struct qvl_file_writer **writer,
                                                  struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_file_writer_append(struct qvl_file_writer *writer, const void *data,
                                                    size_t size, struct qvl_error *error);
/* Ends the writer, also when it fails (then nothing is left behind). */
QVL_MUST_USE enum qvl_status qvl_file_writer_commit(struct qvl_file_writer *writer, struct qvl_error *error);
void qvl_file_writer_abort(struct qvl_file_writer *writer); /* NULL is accepted */

#endif
