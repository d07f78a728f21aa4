#include "model/tap_store.h"

#include <fnmatch.h>
#include <stdlib.h>

static bool wants(void *context, const char *name)
{
    const struct qvl_tap_store *store = context;
    for (int64_t i = 0; i < store->pattern_count; i++)
        if (fnmatch(store->patterns[i], name, 0) == 0)
            return true;
    return store->pattern_count == 0;
}

static struct qvl_tap_entry *find(const struct qvl_tap_store *store, const char *name)
{
    for (int64_t i = 0; i < store->count; i++)
        if (strcmp(store->entries[i].name, name) == 0)
            return &store->entries[i];
    return NULL;
}

static struct qvl_tap_entry *add(struct qvl_tap_store *store, const char *name, int32_t rank,
                                 const int64_t *shape)
{
    if (store->count == store->capacity) {
        const int64_t capacity = store->capacity ? 2 * store->capacity : 64;
        struct qvl_tap_entry *grown = realloc(store->entries, sizeof *grown * (size_t)capacity);
        if (!grown)
            return NULL;
        store->entries = grown;
        store->capacity = capacity;
    }
    struct qvl_tap_entry *entry = &store->entries[store->count];
    *entry = (struct qvl_tap_entry){.name = strdup(name), .rank = rank};
    if (!entry->name)
        return NULL;
    memcpy(entry->shape, shape, sizeof(int64_t) * (size_t)rank);
    entry->shape[0] = 0;
    store->count++;
    return entry;
}

int64_t qvl_tap_entry_width(const struct qvl_tap_entry *entry)
{
    int64_t width = 1;
    for (int32_t axis = 1; axis < entry->rank; axis++)
        width *= entry->shape[axis];
    return width;
}

static bool reserve(struct qvl_tap_entry *entry, int64_t rows)
{
    if (rows <= entry->row_capacity)
        return true;
    const int64_t capacity = rows > 2 * entry->row_capacity ? rows : 2 * entry->row_capacity;
    float *grown = realloc(entry->values, sizeof(float) * (size_t)(capacity * qvl_tap_entry_width(entry)));
    if (!grown)
        return false;
    entry->values = grown;
    entry->row_capacity = capacity;
    return true;
}

static enum qvl_status take(void *context, const char *name, int64_t first, int32_t rank,
                            const int64_t *shape, const float *values, struct qvl_error *error)
{
    struct qvl_tap_store *store = context;
    struct qvl_tap_entry *entry = find(store, name);
    if (!entry)
        entry = add(store, name, rank, shape);
    if (!entry || !reserve(entry, first + shape[0]))
        return qvl_fail(error, QVL_NO_MEMORY, "tap %s: no memory for %lld rows", name,
                        (long long)(first + shape[0]));
    const int64_t width = qvl_tap_entry_width(entry);
    if (entry->values) /* not for no rows */
        memcpy(entry->values + first * width, values, sizeof(float) * (size_t)(shape[0] * width));
    if (first + shape[0] > entry->shape[0])
        entry->shape[0] = first + shape[0];
    return QVL_OK;
}

static bool give(void *context, const char *name, int64_t first, int32_t rank, const int64_t *shape,
                 float *values)
{
    const struct qvl_tap_store *store = context;
    const struct qvl_tap_entry *entry = find(store->forced, name);
    int64_t width = 1;
    for (int32_t axis = 1; axis < rank; axis++)
        width *= shape[axis];
    if (!entry || qvl_tap_entry_width(entry) != width || first + shape[0] > entry->shape[0])
        return false;
    memcpy(values, entry->values + first * width, sizeof(float) * (size_t)(shape[0] * width));
    return true;
}

struct qvl_taps qvl_tap_store_taps(struct qvl_tap_store *store)
{
    return (struct qvl_taps){
        .context = store, .wants = wants, .take = take, .give = store->forced ? give : NULL};
}

const struct qvl_tap_entry *qvl_tap_store_find(const struct qvl_tap_store *store, const char *name)
{
    return find(store, name);
}

void qvl_tap_store_free(struct qvl_tap_store *store)
{
    for (int64_t i = 0; i < store->count; i++) {
        free(store->entries[i].name);
        free(store->entries[i].values);
    }
    free(store->entries);
    store->entries = NULL;
    store->count = store->capacity = 0;
}
