/* Byte-level byte-pair encoding: the vocabulary and the rank merges.
 *
 * A piece starts as one token a byte. While two neighbours form a merge, the merge of the lowest rank is
 * made, the leftmost first where ranks are equal. */
#ifndef QVL_MODEL_BPE_H
#define QVL_MODEL_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/bytes.h"

/* Ids of a larger value are refused when a vocabulary is read. */
#define QVL_BPE_MAX_ID ((INT64_C(1) << 22) - 1)

struct qvl_bpe;

QVL_MUST_USE enum qvl_status qvl_bpe_create(struct qvl_bpe **bpe, struct qvl_error *error);
void qvl_bpe_destroy(struct qvl_bpe *bpe); /* NULL is accepted */

/* Add a token of `size` bytes. QVL_BAD_INPUT: id out of range or taken, or bytes that another id has. */
QVL_MUST_USE enum qvl_status qvl_bpe_add_token(struct qvl_bpe *bpe, const char *bytes, size_t size,
                                               int64_t id, struct qvl_error *error);

/* The merge of the next rank: both halves and their concatenation must be tokens. */
QVL_MUST_USE enum qvl_status qvl_bpe_add_merge(struct qvl_bpe *bpe, const char *left, size_t left_size,
                                               const char *right, size_t right_size, struct qvl_error *error);

/* The id of the token of exactly these bytes, or -1. */
int64_t qvl_bpe_id(const struct qvl_bpe *bpe, const char *bytes, size_t size);

/* The bytes of a token, borrowed, or NULL when no token has the id. */
const char *qvl_bpe_bytes(const struct qvl_bpe *bpe, int64_t id, size_t *size);

int64_t qvl_bpe_limit(const struct qvl_bpe *bpe); /* one more than the largest id */

/* Memory reused from piece to piece, and the ids found so far. Zero-initialise to start. */
struct qvl_bpe_work {
    int64_t *ids; /* [count], owned */
    size_t count, id_capacity;
    void *symbols, *heap;
    size_t symbol_capacity, heap_capacity;
};

void qvl_bpe_work_free(struct qvl_bpe_work *work);

/* Append the ids of a piece of text; n log n in its length. Every single byte must be a token. */
QVL_MUST_USE enum qvl_status qvl_bpe_encode(const struct qvl_bpe *bpe, const char *piece, size_t size,
                                            struct qvl_bpe_work *work, struct qvl_error *error);

/* Append one id. */
QVL_MUST_USE enum qvl_status qvl_bpe_emit(struct qvl_bpe_work *work, int64_t id, struct qvl_error *error);

#endif
