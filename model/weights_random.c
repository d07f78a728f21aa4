#include "model/weights_random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/convert.h"

#define TABLE 65536

static void make_table(float *table, double scale, double offset, uint64_t seed, uint64_t stream)
{
    for (int64_t i = 0; i < TABLE; i++)
        table[i] = (float)(offset + scale * (double)qvl_random_normal(seed, stream, (uint64_t)i));
}

void qvl_random_fill(void *to, enum qvl_dtype dtype, int64_t count, double scale, double offset,
                     uint64_t seed, uint64_t stream)
{
    float wide[TABLE];
    uint16_t narrow[TABLE];
    make_table(wide, scale, offset, seed, stream);
    if (dtype != QVL_F32)
        qvl_from_f32(narrow, dtype, wide, TABLE);
    /* Four table places from each 64 random bits. */
    uint64_t bits = 0;
    for (int64_t i = 0; i < count; i++) {
        bits = i % 4 ? bits >> 16 : qvl_random_bits(seed, ~stream, (uint64_t)(i / 4));
        if (dtype == QVL_F32)
            ((float *)to)[i] = wide[bits & 0xffff];
        else
            ((uint16_t *)to)[i] = narrow[bits & 0xffff];
    }
}

static bool ends_with(const char *name, const char *suffix)
{
    const size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static void *keep(struct qvl_random_arrays *arrays, size_t bytes)
{
    if (arrays->count == arrays->capacity) {
        const int64_t capacity = 2 * arrays->capacity + 64;
        void **grown = realloc(arrays->data, sizeof(void *) * (size_t)capacity);
        if (!grown)
            return NULL;
        arrays->data = grown;
        arrays->capacity = capacity;
    }
    void *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (data) {
        arrays->data[arrays->count++] = data;
        arrays->bytes += (int64_t)bytes;
    }
    return data;
}

struct qvl_array qvl_random_array(struct qvl_random_arrays *arrays, const char *name, int32_t rank,
                                  const int64_t *shape)
{
    struct qvl_array array = {.dtype = arrays->dtype, .rank = rank};
    memcpy(array.shape, shape, sizeof *shape * (size_t)rank);
    const int64_t count = qvl_array_count(&array);
    void *data = keep(arrays, (size_t)count * qvl_dtype_bytes(arrays->dtype));
    if (!data)
        return array;
    double scale = 0.25, offset = 1; /* a norm */
    if (rank > 1) {                  /* experts are stored [experts, in, out], other matrices [out, in...] */
        scale = 1 / sqrt((double)(rank == 3 ? shape[1] : count / shape[0]));
        offset = 0;
    } else if (ends_with(name, ".bias")) {
        scale = 0.3;
        offset = 0;
    }
    qvl_random_fill(data, arrays->dtype, count, scale, offset, arrays->seed, qvl_random_stream(name));
    array.data = data;
    return array;
}

void qvl_random_arrays_free(struct qvl_random_arrays *arrays)
{
    for (int64_t i = 0; i < arrays->count; i++)
        free(arrays->data[i]);
    free(arrays->data);
    memset(arrays, 0, sizeof *arrays);
}
