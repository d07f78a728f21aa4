#include "model/bpe.h"

#include <stdlib.h>
#include <string.h>

struct token {
    size_t offset; /* into the pool */
    uint32_t size;
    bool used;
};

struct merge {
    uint64_t pair; /* left id << 32 | right id; EMPTY_PAIR marks a free slot */
    int32_t rank, result;
};

#define EMPTY_PAIR UINT64_MAX
#define NO_SYMBOL SIZE_MAX

struct qvl_bpe {
    struct qvl_bytes pool; /* bytes of all tokens */
    struct token *tokens;  /* [token_capacity], indexed by id */
    size_t token_capacity;
    int64_t limit;
    int32_t *slots; /* open addressing by token bytes: id + 1, or 0 */
    size_t slot_count, used_slots;
    struct merge *merges; /* open addressing by pair */
    size_t merge_slots, merge_count;
    int32_t byte_ids[256]; /* -1: no such token yet */
};

/* One symbol of a piece in a doubly linked list; removed symbols have id -1. */
struct symbol {
    int64_t id;
    size_t before, after;
};

/* A merge that could be made: valid while both neighbours still have these ids. */
struct candidate {
    size_t left; /* index of the left symbol */
    int32_t rank, result;
    int64_t left_id, right_id;
};

static uint64_t hash_bytes(const char *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static uint64_t hash_pair(uint64_t pair)
{
    pair = (pair ^ pair >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return pair ^ pair >> 32;
}

enum qvl_status qvl_bpe_create(struct qvl_bpe **bpe, struct qvl_error *error)
{
    *bpe = calloc(1, sizeof **bpe);
    if (!*bpe)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory for a tokenizer");
    for (int byte = 0; byte < 256; byte++)
        (*bpe)->byte_ids[byte] = -1;
    return QVL_OK;
}

void qvl_bpe_destroy(struct qvl_bpe *bpe)
{
    if (!bpe)
        return;
    qvl_bytes_free(&bpe->pool);
    free(bpe->tokens);
    free(bpe->slots);
    free(bpe->merges);
    free(bpe);
}

const char *qvl_bpe_bytes(const struct qvl_bpe *bpe, int64_t id, size_t *size)
{
    if (id < 0 || id >= bpe->limit || !bpe->tokens[id].used)
        return NULL;
    *size = bpe->tokens[id].size;
    return bpe->pool.data + bpe->tokens[id].offset;
}

int64_t qvl_bpe_limit(const struct qvl_bpe *bpe)
{
    return bpe->limit;
}

/* The slot that holds the token of these bytes, or the free one where it would go. */
static size_t find_slot(const struct qvl_bpe *bpe, const char *bytes, size_t size)
{
    size_t mask = bpe->slot_count - 1;
    for (size_t slot = hash_bytes(bytes, size) & mask;; slot = (slot + 1) & mask) {
        if (bpe->slots[slot] == 0)
            return slot;
        const struct token *token = &bpe->tokens[bpe->slots[slot] - 1];
        if (token->size == size && memcmp(bpe->pool.data + token->offset, bytes, size) == 0)
            return slot;
    }
}

int64_t qvl_bpe_id(const struct qvl_bpe *bpe, const char *bytes, size_t size)
{
    return bpe->used_slots == 0 ? -1 : bpe->slots[find_slot(bpe, bytes, size)] - 1;
}

static bool grow_slots(struct qvl_bpe *bpe)
{
    if (bpe->used_slots * 2 < bpe->slot_count)
        return true;
    size_t count = bpe->slot_count ? bpe->slot_count * 2 : 1024;
    int32_t *slots = calloc(count, sizeof *slots), *old = bpe->slots;
    if (!slots)
        return false;
    size_t old_count = bpe->slot_count;
    bpe->slots = slots;
    bpe->slot_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i]) {
            const struct token *token = &bpe->tokens[old[i] - 1];
            slots[find_slot(bpe, bpe->pool.data + token->offset, token->size)] = old[i];
        }
    free(old);
    return true;
}

static bool reserve_id(struct qvl_bpe *bpe, int64_t id)
{
    void *tokens = bpe->tokens;
    size_t before = bpe->token_capacity;
    bool good = qvl_array_reserve(&tokens, &bpe->token_capacity, (size_t)id + 1, sizeof *bpe->tokens);
    bpe->tokens = tokens;
    if (good)
        memset(bpe->tokens + before, 0, (bpe->token_capacity - before) * sizeof *bpe->tokens);
    return good;
}

enum qvl_status qvl_bpe_add_token(struct qvl_bpe *bpe, const char *bytes, size_t size, int64_t id,
                                  struct qvl_error *error)
{
    if (id < 0 || id > QVL_BPE_MAX_ID)
        return qvl_fail(error, QVL_BAD_INPUT, "id %lld is not in [0, %lld]", (long long)id,
                        (long long)QVL_BPE_MAX_ID);
    if (size == 0 || size > 1 << 20)
        return qvl_fail(error, QVL_BAD_INPUT, "a token of %zu bytes", size);
    if (!reserve_id(bpe, id) || !grow_slots(bpe) || !qvl_bytes_reserve(&bpe->pool, size))
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory at token id %lld", (long long)id);
    if (bpe->tokens[id].used)
        return qvl_fail(error, QVL_BAD_INPUT, "two tokens have id %lld", (long long)id);
    size_t slot = find_slot(bpe, bytes, size);
    if (bpe->slots[slot])
        return qvl_fail(error, QVL_BAD_INPUT, "the token also has id %d", bpe->slots[slot] - 1);
    bpe->tokens[id] = (struct token){.offset = bpe->pool.size, .size = (uint32_t)size, .used = true};
    qvl_bytes_append(&bpe->pool, bytes, size);
    bpe->slots[slot] = (int32_t)id + 1;
    bpe->used_slots++;
    if (id >= bpe->limit)
        bpe->limit = id + 1;
    if (size == 1)
        bpe->byte_ids[(unsigned char)bytes[0]] = (int32_t)id;
    return QVL_OK;
}

static struct merge *find_merge(const struct qvl_bpe *bpe, int64_t left, int64_t right)
{
    uint64_t pair = (uint64_t)left << 32 | (uint64_t)right;
    size_t mask = bpe->merge_slots - 1, slot = hash_pair(pair) & mask;
    while (bpe->merges[slot].pair != pair && bpe->merges[slot].pair != EMPTY_PAIR)
        slot = (slot + 1) & mask;
    return &bpe->merges[slot];
}

static bool grow_merges(struct qvl_bpe *bpe)
{
    if (bpe->merge_count * 2 < bpe->merge_slots)
        return true;
    size_t count = bpe->merge_slots ? bpe->merge_slots * 2 : 1024, old_count = bpe->merge_slots;
    struct merge *merges = malloc(count * sizeof *merges), *old = bpe->merges;
    if (!merges)
        return false;
    for (size_t i = 0; i < count; i++)
        merges[i].pair = EMPTY_PAIR;
    bpe->merges = merges;
    bpe->merge_slots = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].pair != EMPTY_PAIR)
            *find_merge(bpe, (int64_t)(old[i].pair >> 32), (int64_t)(old[i].pair & UINT32_MAX)) = old[i];
    free(old);
    return true;
}

enum qvl_status qvl_bpe_add_merge(struct qvl_bpe *bpe, const char *left, size_t left_size, const char *right,
                                  size_t right_size, struct qvl_error *error)
{
    struct qvl_bytes joined = {.size = 0};
    qvl_bytes_append(&joined, left, left_size);
    qvl_bytes_append(&joined, right, right_size);
    if (joined.failed || !grow_merges(bpe)) {
        qvl_bytes_free(&joined);
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory at merge %zu", bpe->merge_count);
    }
    int64_t left_id = qvl_bpe_id(bpe, left, left_size), right_id = qvl_bpe_id(bpe, right, right_size);
    int64_t result = joined.size ? qvl_bpe_id(bpe, joined.data, joined.size) : -1;
    qvl_bytes_free(&joined);
    if (left_id < 0 || right_id < 0 || result < 0)
        return qvl_fail(error, QVL_BAD_INPUT, "merge of rank %zu: %s is not in the vocabulary",
                        bpe->merge_count,
                        left_id < 0    ? "its left half"
                        : right_id < 0 ? "its right half"
                                       : "the merged token");
    struct merge *merge = find_merge(bpe, left_id, right_id);
    if (merge->pair != EMPTY_PAIR)
        return qvl_fail(error, QVL_BAD_INPUT, "merge of rank %zu: the same pair as rank %d", bpe->merge_count,
                        merge->rank);
    *merge = (struct merge){.pair = (uint64_t)left_id << 32 | (uint64_t)right_id,
                            .rank = (int32_t)bpe->merge_count,
                            .result = (int32_t)result};
    bpe->merge_count++;
    return QVL_OK;
}

void qvl_bpe_work_free(struct qvl_bpe_work *work)
{
    free(work->ids);
    free(work->symbols);
    free(work->heap);
    memset(work, 0, sizeof *work);
}

enum qvl_status qvl_bpe_emit(struct qvl_bpe_work *work, int64_t id, struct qvl_error *error)
{
    void *ids = work->ids;
    bool good = qvl_array_reserve(&ids, &work->id_capacity, work->count + 1, sizeof *work->ids);
    work->ids = ids;
    if (!good)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory after %zu token ids", work->count);
    work->ids[work->count++] = id;
    return QVL_OK;
}

/* Whether candidate a is made before b: lower rank, then further left. */
static bool goes_first(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(struct candidate *heap, size_t *count, struct candidate added)
{
    size_t at = (*count)++;
    while (at > 0 && goes_first(&added, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = added;
}

static struct candidate heap_pop(struct candidate *heap, size_t *count)
{
    struct candidate top = heap[0], moved = heap[--*count];
    size_t at = 0;
    for (size_t child = 1; child < *count; child = 2 * at + 1) {
        if (child + 1 < *count && goes_first(&heap[child + 1], &heap[child]))
            child++;
        if (!goes_first(&heap[child], &moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
    return top;
}

static void consider(const struct qvl_bpe *bpe, const struct symbol *symbols, size_t left, size_t right,
                     struct candidate *heap, size_t *count)
{
    const struct merge *merge = find_merge(bpe, symbols[left].id, symbols[right].id);
    if (merge->pair != EMPTY_PAIR)
        heap_push(heap, count,
                  (struct candidate){.left = left,
                                     .rank = merge->rank,
                                     .result = merge->result,
                                     .left_id = symbols[left].id,
                                     .right_id = symbols[right].id});
}

/* Make all merges. The heap needs room for 3 candidates a symbol: one at the start for each pair, and two for
 * each merge, which removes a symbol. */
static void merge_all(const struct qvl_bpe *bpe, struct symbol *symbols, size_t size, struct candidate *heap)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < size; i++)
        consider(bpe, symbols, i, i + 1, heap, &count);
    while (count > 0) {
        struct candidate best = heap_pop(heap, &count);
        struct symbol *left = &symbols[best.left];
        if (left->id != best.left_id || left->after == NO_SYMBOL || symbols[left->after].id != best.right_id)
            continue;
        struct symbol *right = &symbols[left->after];
        left->id = best.result;
        right->id = -1;
        left->after = right->after;
        if (left->after != NO_SYMBOL) {
            symbols[left->after].before = best.left;
            consider(bpe, symbols, best.left, left->after, heap, &count);
        }
        if (left->before != NO_SYMBOL)
            consider(bpe, symbols, left->before, best.left, heap, &count);
    }
}

enum qvl_status qvl_bpe_encode(const struct qvl_bpe *bpe, const char *piece, size_t size,
                               struct qvl_bpe_work *work, struct qvl_error *error)
{
    if (size == 0)
        return QVL_OK;
    bool good = size <= SIZE_MAX / 3 &&
                qvl_array_reserve(&work->symbols, &work->symbol_capacity, size, sizeof(struct symbol)) &&
                qvl_array_reserve(&work->heap, &work->heap_capacity, 3 * size, sizeof(struct candidate));
    if (!good)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory for a piece of %zu bytes", size);
    struct symbol *symbols = work->symbols;
    for (size_t i = 0; i < size; i++)
        symbols[i] = (struct symbol){.id = bpe->byte_ids[(unsigned char)piece[i]],
                                     .before = i ? i - 1 : NO_SYMBOL,
                                     .after = i + 1 < size ? i + 1 : NO_SYMBOL};
    if (bpe->merge_count > 0)
        merge_all(bpe, symbols, size, work->heap);
    for (size_t i = 0; i != NO_SYMBOL; i = symbols[i].after)
        QVL_TRY(qvl_bpe_emit(work, symbols[i].id, error));
    return QVL_OK;
}
