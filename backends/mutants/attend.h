/* Softmax attention in splits: each split of the keys gives a partial result and the logarithm of its sum of
 * exponentials (LSE), and the parts are merged by them, as decoding kernels do. Scores and probabilities stay
 * float32. */
#ifndef QVL_BACKENDS_MUTANTS_ATTEND_H
#define QVL_BACKENDS_MUTANTS_ATTEND_H

#include "honest.h"

/* Where rows of keys and values come from: a cache layer, or views of a batch from row `base` on. */
struct attend_source {
    const struct qvl_cache *cache; /* NULL: k and v */
    int64_t layer;
    const struct qvl_tensor *k, *v;
    int64_t base;
};

struct attend {
    const struct qvl_backend *backend;
    struct attend_source source;
    int64_t d, heads, kv_heads;
    int64_t length; /* keys */
    int64_t room;   /* rows that exist behind them: the capacity of a cache, or the length */
    int64_t count;  /* query rows, from batch row `first` on */
    int64_t first;
    bool causal; /* row i sees keys 0 .. length - count + i; else all */
    float scale;
    const struct qvl_tensor *q, *y;

    /* Set by attend_segment. */
    int64_t split, splits; /* keys a split, number of splits */
    float *memory;
    float *query, *scores; /* [d], [split] */
    float *k, *v_lanes;    /* [split][d], [d][split]: one split of one KV head */
    float *partial, *lse;  /* [rows][heads][splits][d], [rows][heads][splits] of a block of rows */
};

/* All query rows of one segment. */
enum qvl_status attend_segment(struct attend *attend, struct qvl_error *error);

#endif
