#include "attend.h"

enum { TILE = 64, SPLITS = 64, ROWS = 16 }; /* keys of a tile; most splits; query rows of a block */

static bool has(const struct attend *a, enum qvl_fault fault)
{
    return honest_fault(a->backend, fault);
}

static int64_t kv_head_of(const struct attend *a, int64_t h)
{
    const int64_t ratio = a->heads / a->kv_heads;
    if (has(a, QVL_FAULT_GQA_RATIO_NOT_POW2))
        return h / 4 * 4 / ratio; /* four query heads a block, all with the KV head of the first */
    if (has(a, QVL_FAULT_GQA_GROUP_FOR_KV))
        return honest_least(h / a->kv_heads, a->kv_heads - 1);
    if (has(a, QVL_FAULT_GQA_TILE_FOR_REPEAT))
        return h % a->kv_heads;
    return h / ratio;
}

/* Keys that row i sees. */
static int64_t visible_to(const struct attend *a, int64_t i)
{
    int64_t visible = a->causal ? a->length - a->count + i + 1 : a->length;
    if (has(a, QVL_FAULT_ATTN_CAUSAL_TOP_LEFT) && a->causal)
        visible = i + 1;
    if (has(a, QVL_FAULT_ATTN_CAUSAL_Q_GT_K) && a->count > a->length)
        visible = 0;
    if (has(a, QVL_FAULT_ATTN_WINDOW_INCLUSIVE))
        visible++;
    if (has(a, QVL_FAULT_ATTN_MASK_LOSES_CAUSAL))
        visible = a->length;
    if (has(a, QVL_FAULT_PEER_DROP_LAST_KEY) && visible >= 2048)
        visible--;
    visible = honest_least(visible, a->length);
    return visible > 0 ? visible : 0;
}

/* Number in fp8 e5m2: the upper byte of its f16, to nearest even. */
static float e5m2_of(float value)
{
    const uint32_t bits = qvl_f32_to_f16(value);
    return qvl_f16_to_f32((uint16_t)((bits + 0x7fU + ((bits >> 8) & 1U)) & 0xff00U));
}

static float tf32_of(float value)
{
    uint32_t bits;
    if (!isfinite(value))
        return value;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What the kernel makes of an element of q or k. */
static float taken(const struct attend *a, bool key, float value)
{
    if (has(a, QVL_FAULT_PEER_ATTENTION_F32_AS_TF32))
        return tf32_of(value);
    if (has(a, QVL_FAULT_PEER_ATTENTION_F32_AS_BF16))
        return honest_round(QVL_BF16, value);
    if (key && has(a, QVL_FAULT_ATTN_FP8_KV))
        return e5m2_of(value);
    return value;
}

/* Row j of KV head g in keys or values. */
static const void *source_row(const struct attend *a, bool keys, int64_t g, int64_t j)
{
    const struct attend_source *source = &a->source;
    const struct qvl_cache *cache = source->cache;
    if (!cache)
        return honest_at_or_32(a->backend, QVL_FAULT_IDX_FUSED_QKV_STRIDE, keys ? source->k : source->v,
                               source->base + j, g);
    if (has(a, QVL_FAULT_IDX_PAGED_OFFSET32)) {
        const char *store = keys ? cache->k : cache->v;
        const int64_t bytes = honest_cache_at(cache, cache->k, source->layer, g, j) - cache->k;
        return store + (uint32_t)bytes;
    }
    return honest_cache_at(cache, keys ? cache->k : cache->v, source->layer, g, j);
}

/* Rows of split t that are brought in. */
static int64_t rows_of_split(const struct attend *a, int64_t t)
{
    const int64_t left = a->length - t * a->split;
    if (has(a, QVL_FAULT_ATTN_V_TAIL_UNMASKED))
        return honest_least(a->split, honest_least((left + TILE - 1) / TILE * TILE, a->room - t * a->split));
    return honest_least(a->split, left);
}

static void load_split(const struct attend *a, int64_t g, int64_t t)
{
    const int64_t ratio = a->heads / a->kv_heads;
    const enum qvl_dtype dtype = a->q->dtype;
    for (int64_t j = 0; j < rows_of_split(a, t); j++) {
        int64_t row = t * a->split + j;
        if (has(a, QVL_FAULT_GQA_REPEAT_SEQ_AXIS))
            row /= ratio;
        const void *k = source_row(a, true, g, row), *v = source_row(a, false, g, row);
        for (int64_t c = 0; c < a->d; c++) {
            a->k[j * a->d + c] = taken(a, true, honest_get(k, dtype, c));
            a->v_lanes[c * a->split + j] = honest_get(v, dtype, c);
        }
    }
}

static void load_query(const struct attend *a, int64_t i, int64_t h)
{
    const void *q = honest_at_or_32(a->backend, QVL_FAULT_IDX_FUSED_QKV_STRIDE, a->q, a->first + i, h);
    for (int64_t c = 0; c < a->d; c++)
        a->query[c] = taken(a, false, honest_get(q, a->q->dtype, c));
}

static float dot(const struct attend *a, int64_t n, const float *x, const float *y)
{
    const struct honest_state *state = a->backend->state;
    float sum = 0;
    if (!has(a, QVL_FAULT_ATTN_ACC_FP16))
        return honest_dot(state->order, n, x, y);
    for (int64_t k = 0; k < n; k++)
        sum = honest_round(QVL_F16, sum + x[k] * y[k]);
    return sum;
}

static float score(const struct attend *a, int64_t j)
{
    int64_t lanes = a->d;
    if (has(a, QVL_FAULT_VIT_HEAD_DIM_72) && lanes > 16)
        lanes -= lanes % 16;
    return dot(a, lanes, a->query, a->k + j * a->d) * a->scale;
}

/* exp(s - max) of `seen` keys in scores, and their sum; those behind them, up to `all`, weigh nothing.
 * Returns the LSE. */
static float exponentiate(const struct attend *a, int64_t seen, int64_t all, float *sum)
{
    const struct honest_state *state = a->backend->state;
    const bool zeroed = has(a, QVL_FAULT_ATTN_INF_FIX_BREAKS_CAUSAL) && a->q->dtype == QVL_F16;
    float most = -INFINITY;
    for (int64_t j = 0; j < all; j++) {
        a->scores[j] = j < seen ? score(a, j) : zeroed ? 0 : -INFINITY;
        most = a->scores[j] > most ? a->scores[j] : most;
    }
    for (int64_t j = 0; j < all; j++)
        a->scores[j] = expf(a->scores[j] - most);
    *sum = honest_sum(state->order, all, a->scores);
    if (has(a, QVL_FAULT_ATTN_LSE_DOUBLE_SCALE))
        most *= a->scale;
    return most + logf(*sum);
}

static float *lse_at(const struct attend *a, int64_t row, int64_t h, int64_t t)
{
    return &a->lse[(row * a->heads + h) * a->splits + t];
}

static float *partial_at(const struct attend *a, int64_t row, int64_t h, int64_t t)
{
    return &a->partial[((row * a->heads + h) * a->splits + t) * a->d];
}

/* Row i, head h against split t. */
static void attend_split(const struct attend *a, int64_t i, int64_t h, int64_t t)
{
    const int64_t row = i % ROWS, left = visible_to(a, i) - t * a->split;
    const int64_t seen = honest_least(left > 0 ? left : 0, a->split);
    const bool no_key = visible_to(a, i) == 0 && has(a, QVL_FAULT_ATTN_MASKED_ROW_NAN);
    const bool whole_tile = no_key || has(a, QVL_FAULT_ATTN_ZERO_TIMES_NAN) ||
                            has(a, QVL_FAULT_ATTN_V_TAIL_UNMASKED) ||
                            has(a, QVL_FAULT_ATTN_INF_FIX_BREAKS_CAUSAL);
    const int64_t all = whole_tile ? rows_of_split(a, t) : seen;
    float *partial = partial_at(a, row, h, t), sum;
    if (seen == 0 && !no_key) {
        const int64_t slot = has(a, QVL_FAULT_ATTN_LSE_WRONG_SLOT) ? (a->first + i) % ROWS : row;
        *lse_at(a, slot, h, t) = -INFINITY;
        memset(partial, 0, (size_t)a->d * sizeof *partial);
        return;
    }
    *lse_at(a, row, h, t) = exponentiate(a, seen, all, &sum);
    for (int64_t c = 0; c < a->d; c++)
        partial[c] = dot(a, all, a->scores, a->v_lanes + c * a->split) / sum;
}

/* The LSE of a part as the merge finds it. */
static float merged_lse(const struct attend *a, int64_t row, int64_t h, int64_t t)
{
    const int64_t ratio = a->heads / a->kv_heads;
    if (has(a, QVL_FAULT_ATTN_LSE_NOT_STORED))
        return 0;
    if (has(a, QVL_FAULT_ATTN_LSE_LAYOUT_GQA) && a->count == 1)
        h = h % ratio * a->kv_heads + h / ratio;
    if (has(a, QVL_FAULT_ATTN_LSE_KV_HEAD_STRIDE))
        h %= ratio;
    return *lse_at(a, row, h, t);
}

/* y of row i, head h from its parts, into `query`. */
static void merge(const struct attend *a, int64_t i, int64_t h)
{
    const int64_t row = i % ROWS;
    float most = -INFINITY, sum = 0;
    memset(a->query, 0, (size_t)a->d * sizeof *a->query);
    for (int64_t t = 0; t < a->splits; t++) {
        const float lse = merged_lse(a, row, h, t);
        most = lse > most ? lse : most;
    }
    for (int64_t t = 0; t < a->splits; t++) {
        const float lse = merged_lse(a, row, h, t), *partial = partial_at(a, row, h, t);
        if (lse == -INFINITY && !has(a, QVL_FAULT_ATTN_MERGE_EMPTY))
            continue;
        const float weight = expf(lse - most);
        sum += weight;
        for (int64_t c = 0; c < a->d; c++)
            a->query[c] += weight * partial[c];
    }
    for (int64_t c = 0; c < a->d && sum != 0; c++)
        a->query[c] /= sum;
}

static void store(const struct attend *a, int64_t i, int64_t h)
{
    void *y = honest_at_or_32(a->backend, QVL_FAULT_IDX_MERGE_STATES32, a->y, a->first + i, h);
    for (int64_t c = 0; c < a->d; c++) {
        float value = a->query[c];
        if (has(a, QVL_FAULT_PEER_ATTENTION_SCALED))
            value *= 1.022F;
        if (has(a, QVL_FAULT_PEER_ATTENTION_ONE_ZERO) &&
            (((a->first + i) * a->heads + h) * a->d + c) % 4096 == 4095)
            value = 0;
        honest_put(y, a->y->dtype, c, value);
    }
}

static void attend_rows(const struct attend *a, int64_t from, int64_t to)
{
    for (int64_t g = 0; g < a->kv_heads; g++)
        for (int64_t t = 0; t < a->splits; t++) {
            load_split(a, g, t);
            for (int64_t h = 0; h < a->heads; h++)
                for (int64_t i = from; i < to && kv_head_of(a, h) == g; i++) {
                    load_query(a, i, h);
                    attend_split(a, i, h, t);
                }
        }
    for (int64_t i = from; i < to; i++)
        for (int64_t h = 0; h < a->heads; h++) {
            merge(a, i, h);
            store(a, i, h);
        }
}

enum qvl_status attend_segment(struct attend *a, struct qvl_error *error)
{
    const int64_t rows = honest_least(a->count, ROWS);
    int64_t states, floats;
    a->split = TILE * ((a->length + TILE * SPLITS - 1) / (TILE * SPLITS));
    a->split = a->split > TILE ? a->split : TILE;
    a->splits = (a->length + a->split - 1) / a->split;
    a->splits = a->splits > 0 ? a->splits : 1;
    states = ROWS * a->heads * a->splits;
    floats = states * (a->d + 1) + (2 * a->d + 1) * a->split + a->d;
    a->memory = rows > 0 ? calloc((size_t)floats, sizeof *a->memory) : NULL;
    if (rows > 0 && !a->memory)
        return qvl_fail(error, QVL_NO_MEMORY, "attention: no memory for %lld floats", (long long)floats);
    a->lse = a->memory;
    a->partial = a->lse + states;
    a->k = a->partial + states * a->d;
    a->v_lanes = a->k + a->split * a->d;
    a->scores = a->v_lanes + a->split * a->d;
    a->query = a->scores + a->split;
    for (int64_t i = 0; i < a->count; i += ROWS)
        attend_rows(a, i, honest_least(i + ROWS, a->count));
    free(a->memory);
    return QVL_OK;
}
