/* SHA-256 as 64 lower-case hexadecimal digits. */
#ifndef QVL_BASE_SHA256_H
#define QVL_BASE_SHA256_H

#include "qvl/status.h"

#define QVL_SHA256_HEX_BYTES 65 /* 64 digits and the terminating zero */

QVL_MUST_USE enum qvl_status qvl_sha256_memory(const void *data, size_t size, char hex[QVL_SHA256_HEX_BYTES],
                                               struct qvl_error *error);
/* Streams the file; any size. */
QVL_MUST_USE enum qvl_status qvl_sha256_file(const char *path, char hex[QVL_SHA256_HEX_BYTES],
                                             struct qvl_error *error);

#endif
