#include "verify/spot_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "qvl/rounding.h"

struct qvl_spot_check *qvl_spot_current;

/* ---- weights and caches ---- */

static enum qvl_status remember(const struct qvl_spot_handle *made, const char *name, struct qvl_error *error)
{
    struct qvl_spot_handles *handles = &qvl_spot_current->handles;
    if (handles->count == handles->capacity) {
        const int64_t wanted = handles->capacity ? 2 * handles->capacity : 256;
        struct qvl_spot_handle *items = realloc(handles->items, sizeof *items * (size_t)wanted);
        if (!items)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory to remember a weight");
        handles->items = items;
        handles->capacity = wanted;
    }
    struct qvl_spot_handle *item = &handles->items[handles->count];
    *item = *made;
    item->name = strdup(name ? name : "");
    if (!item->name)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to remember a weight");
    item->weight.name = item->name;
    handles->count++;
    return QVL_OK;
}

static void forget(const void *handle)
{
    struct qvl_spot_handles *handles = &qvl_spot_current->handles;
    for (int64_t i = 0; i < handles->count; i++)
        if (handles->items[i].handle == handle) {
            free(handles->items[i].name);
            handles->items[i] = handles->items[--handles->count];
            return;
        }
}

enum qvl_status qvl_spot_find(const void *handle, const struct qvl_spot_handle **found,
                              struct qvl_error *error)
{
    const struct qvl_spot_handles *handles = &qvl_spot_current->handles;
    for (int64_t i = 0; i < handles->count; i++)
        if (handles->items[i].handle == handle) {
            *found = &handles->items[i];
            return QVL_OK;
        }
    return qvl_fail(error, QVL_FAILED, "a weight or a cache was made before anyone watched");
}

static enum qvl_status weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error)
{
    QVL_TRY(qvl_spot_current->honest.weight_prepare(backend, desc, weight, error));
    const struct qvl_spot_handle made = {.handle = *weight, .weight = *desc};
    const enum qvl_status status = remember(&made, desc->name, error);
    if (status != QVL_OK)
        qvl_spot_current->honest.weight_destroy(backend, *weight);
    return status;
}

static void weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    forget(weight);
    qvl_spot_current->honest.weight_destroy(backend, weight);
}

static enum qvl_status cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                    struct qvl_cache **cache, struct qvl_error *error)
{
    QVL_TRY(qvl_spot_current->honest.cache_create(backend, desc, cache, error));
    const struct qvl_spot_handle made = {.handle = *cache, .cache = *desc};
    const enum qvl_status status = remember(&made, NULL, error);
    if (status != QVL_OK)
        qvl_spot_current->honest.cache_destroy(backend, *cache);
    return status;
}

static enum qvl_status cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                  struct qvl_cache **copy, struct qvl_error *error)
{
    const struct qvl_spot_handle *original;
    QVL_TRY(qvl_spot_find(cache, &original, error));
    struct qvl_spot_handle made = *original;
    QVL_TRY(qvl_spot_current->honest.cache_fork(backend, cache, copy, error));
    made.handle = *copy;
    const enum qvl_status status = remember(&made, NULL, error);
    if (status != QVL_OK)
        qvl_spot_current->honest.cache_destroy(backend, *copy);
    return status;
}

static void cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache)
{
    forget(cache);
    qvl_spot_current->honest.cache_destroy(backend, cache);
}

/* ---- life ---- */

enum qvl_status qvl_spot_check_open(struct qvl_backend *candidate, struct qvl_backend *reference,
                                    uint64_t seed, struct qvl_spot_check **check, struct qvl_error *error)
{
    *check = NULL;
    if (qvl_spot_current)
        return qvl_fail(error, QVL_USAGE, "another spot check is open");
    struct qvl_spot_check *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a spot check");
    made->candidate = candidate;
    made->reference = reference;
    made->honest = *candidate;
    made->seed = seed;
    if (!qvl_backend_lacks_weights(candidate)) {
        candidate->weight_prepare = weight_prepare;
        candidate->weight_destroy = weight_destroy;
    }
    if (!qvl_backend_lacks_cache(candidate)) {
        candidate->cache_create = cache_create;
        candidate->cache_fork = cache_fork;
        candidate->cache_destroy = cache_destroy;
    }
    *check = qvl_spot_current = made;
    return QVL_OK;
}

void qvl_spot_check_watch(struct qvl_spot_check *check, double share)
{
    check->share = share;
    check->seen_long = false;
    check->candidate->ops = check->honest.ops;
    if (share <= 0)
        return;
    qvl_spot_watch_rows(&check->candidate->ops);
    qvl_spot_watch_attention(&check->candidate->ops);
}

struct qvl_spot_result qvl_spot_check_result(const struct qvl_spot_check *check)
{
    return check->result;
}

void qvl_spot_check_close(struct qvl_spot_check *check)
{
    if (!check)
        return;
    struct qvl_backend *candidate = check->candidate;
    candidate->ops = check->honest.ops;
    candidate->weight_prepare = check->honest.weight_prepare;
    candidate->weight_destroy = check->honest.weight_destroy;
    candidate->cache_create = check->honest.cache_create;
    candidate->cache_fork = check->honest.cache_fork;
    candidate->cache_destroy = check->honest.cache_destroy;
    for (int64_t i = 0; i < check->handles.count; i++)
        free(check->handles.items[i].name);
    free(check->handles.items);
    free(check);
    qvl_spot_current = NULL;
}

/* ---- one row ---- */

bool qvl_spot_chosen(struct qvl_spot *spot, int64_t rows)
{
    struct qvl_spot_check *check = qvl_spot_current;
    const uint64_t draw = check->drawn++;
    const double share = spot->single ? 1 : check->share;
    if (rows < 1 || qvl_random_uniform(check->seed, 0x5b07, draw) >= share)
        return false;
    spot->rows = rows;
    spot->row = (int64_t)qvl_random_below(check->seed, 0x5b08, draw, (uint64_t)rows);
    spot->first = spot->row;
    spot->count = 1;
    return true;
}

enum qvl_status qvl_spot_buffer(struct qvl_spot *spot, size_t bytes, void **buffer, struct qvl_error *error)
{
    *buffer = spot->buffer_count < QVL_SPOT_BUFFERS ? calloc(bytes + 1, 1) : NULL;
    if (!*buffer)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory to look at a row", spot->entry);
    spot->buffers[spot->buffer_count++] = *buffer;
    return QVL_OK;
}

enum qvl_status qvl_spot_rows(struct qvl_spot *spot, const struct qvl_tensor *from, int64_t first,
                              int64_t count, struct qvl_tensor *to, struct qvl_error *error)
{
    struct qvl_backend *backend = qvl_spot_current->candidate;
    const struct qvl_tensor part = qvl_tensor_rows(*from, first, count);
    void *copy;
    QVL_TRY(
        qvl_spot_buffer(spot, (size_t)qvl_tensor_count(&part) * qvl_dtype_bytes(part.dtype), &copy, error));
    *to = qvl_tensor_make(copy, part.dtype, part.rank, part.shape);
    return backend->download(backend, &part, copy, error);
}

void qvl_spot_judge(const struct qvl_spot *spot, const double *got, const double *wanted, int64_t count,
                    double limit)
{
    struct qvl_spot_result *result = &qvl_spot_current->result;
    double error = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        size += wanted[i] * wanted[i];
    }
    const double share = error == 0 ? 0 : error / size; /* infinite for zeros, NaN for NaN */
    result->rows++;
    if (!(share <= result->worst)) {
        result->worst = share;
        result->worst_entry = spot->entry;
    }
    if (share <= limit || *result->message)
        return;
    snprintf(
        result->message, sizeof result->message,
        "%s%s%s: row %lld of %lld is not what its inputs give: off by %.3g of its size (root mean square)",
        spot->entry, spot->weight_name ? " of " : "", spot->weight_name ? spot->weight_name : "",
        (long long)spot->row, (long long)spot->rows, sqrt(share));
}

enum qvl_status qvl_spot_judge_tensors(struct qvl_spot *spot, const struct qvl_tensor *got,
                                       const struct qvl_tensor *wanted, double limit, struct qvl_error *error)
{
    const int64_t count = qvl_tensor_count(wanted);
    void *room;
    QVL_TRY(qvl_spot_buffer(spot, 2 * (size_t)count * sizeof(double), &room, error));
    double *values = room;
    qvl_load_row(got->data, got->dtype, count, values);
    qvl_load_row(wanted->data, wanted->dtype, count, values + count);
    qvl_spot_judge(spot, values, values + count, count, limit);
    return QVL_OK;
}

void qvl_spot_close(struct qvl_spot *spot)
{
    struct qvl_backend *reference = qvl_spot_current->reference;
    for (int i = 0; i < spot->weight_count; i++)
        reference->weight_destroy(reference, spot->weights[i]);
    for (int i = 0; i < spot->buffer_count; i++)
        free(spot->buffers[i]);
    spot->weight_count = spot->buffer_count = 0;
}
