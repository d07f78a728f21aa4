#include "model/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool qvl_array_reserve(void **array, size_t *capacity, size_t needed, size_t element)
{
    if (needed <= *capacity)
        return true;
    size_t grown = *capacity + *capacity / 2 + 16;
    if (grown < needed)
        grown = needed;
    if (grown > SIZE_MAX / element)
        return false;
    void *moved = realloc(*array, grown * element);
    if (!moved)
        return false;
    *array = moved;
    *capacity = grown;
    return true;
}

bool qvl_bytes_reserve(struct qvl_bytes *bytes, size_t more)
{
    if (bytes->failed || more > SIZE_MAX - bytes->size - 1)
        bytes->failed = true;
    else if (bytes->size + more + 1 > bytes->capacity) {
        void *data = bytes->data;
        bytes->failed = !qvl_array_reserve(&data, &bytes->capacity, bytes->size + more + 1, 1);
        bytes->data = data;
    }
    return !bytes->failed;
}

void qvl_bytes_append(struct qvl_bytes *bytes, const void *data, size_t size)
{
    if (size == 0 || !qvl_bytes_reserve(bytes, size))
        return;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void qvl_bytes_text(struct qvl_bytes *bytes, const char *text)
{
    qvl_bytes_append(bytes, text, strlen(text));
}

void qvl_bytes_free(struct qvl_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

enum qvl_status qvl_bytes_take(struct qvl_bytes *bytes, char **data, size_t *size, struct qvl_error *error)
{
    if (!qvl_bytes_reserve(bytes, 0)) {
        size_t held = bytes->size;
        qvl_bytes_free(bytes);
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory after %zu bytes of text", held);
    }
    bytes->data[bytes->size] = '\0';
    *data = bytes->data;
    if (size)
        *size = bytes->size;
    memset(bytes, 0, sizeof *bytes);
    return QVL_OK;
}
