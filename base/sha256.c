#include "base/sha256.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static enum qvl_status start(crypto_hash_sha256_state *state, struct qvl_error *error)
{
    if (sodium_init() < 0)
        return qvl_fail(error, QVL_UNAVAILABLE, "libsodium could not be initialised; reinstall libsodium23");
    crypto_hash_sha256_init(state);
    return QVL_OK;
}

static void finish(crypto_hash_sha256_state *state, char hex[QVL_SHA256_HEX_BYTES])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(state, digest);
    sodium_bin2hex(hex, QVL_SHA256_HEX_BYTES, digest, sizeof digest);
}

enum qvl_status qvl_sha256_memory(const void *data, size_t size, char hex[QVL_SHA256_HEX_BYTES],
                                  struct qvl_error *error)
{
    crypto_hash_sha256_state state;
    QVL_TRY(start(&state, error));
    if (size > 0)
        crypto_hash_sha256_update(&state, data, size);
    finish(&state, hex);
    return QVL_OK;
}

enum qvl_status qvl_sha256_file(const char *path, char hex[QVL_SHA256_HEX_BYTES], struct qvl_error *error)
{
    crypto_hash_sha256_state state;
    unsigned char buffer[65536];
    QVL_TRY(start(&state, error));
    FILE *file = fopen(path, "rb");
    if (!file && errno == ENOENT)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: no such file", path);
    if (!file)
        return qvl_fail(error, QVL_IO, "%s: cannot open: %s", path, strerror(errno));
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        crypto_hash_sha256_update(&state, buffer, got);
    enum qvl_status status = QVL_OK;
    if (ferror(file))
        status = qvl_fail(error, QVL_IO, "%s: cannot read: %s", path, strerror(errno));
    else
        finish(&state, hex);
    fclose(file);
    return status;
}
