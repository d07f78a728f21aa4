/* long_attention: causal attention over a long KV cache whose answers are known (verify/long_context.h). The
 * cache is filled in pieces of bounded size; the last `rows` tokens are prefilled `chunk` at a time, and the
 * last of them once more as a decode step after a truncation. Behind the end lie rows that were truncated and
 * that a kernel sees if it takes more keys than there are. */
#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/guarded.h"
#include "verify/long_context.h"
#include "verify/probe.h"

enum { KEYS, HEADS, KV, D, ROWS, CHUNK };
enum { PIECE_ELEMENTS = 1 << 21 }; /* of keys that are appended at a time */
enum { MOST_WIDTH = 16 * 1024 };
enum { STALE = 64 }; /* rows behind the end that were appended and truncated before a call */

struct run {
    struct qvl_backend *backend;
    struct qvl_long context;
    struct qvl_long_truth truth;
    struct qvl_cache *cache;
    int64_t chunk, piece;
    char *raw;     /* [piece, kv_heads, d] */
    void *k, *v;   /* the same on the backend */
    char *queries; /* [rows, heads, d] */
    char *got;     /* [rows, heads, d] */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t piece_rows(const struct qvl_case *chosen)
{
    const int64_t *n = chosen->numbers;
    const int64_t rows = PIECE_ELEMENTS / (n[KV] * n[D]);
    return rows > n[ROWS] + STALE ? rows : n[ROWS] + STALE;
}

/* A cache row may be padded to a whole number of vectors. */
static int64_t needed(const struct qvl_case *chosen)
{
    const int64_t *n = chosen->numbers, size = (int64_t)qvl_dtype_bytes(chosen->dtype);
    const int64_t padded = (n[D] + 15) / 16 * 16;
    const int64_t cache = 2 * (n[KEYS] + STALE) * n[KV] * padded * size;
    const int64_t pieces = 3 * piece_rows(chosen) * n[KV] * n[D] * size;
    return cache + pieces + qvl_long_truth_bytes(n[KEYS], QVL_LONG_SAMPLES);
}

static bool numbers_fit(const int64_t *n)
{
    return n[HEADS] > 0 && n[KV] > 0 && n[HEADS] % n[KV] == 0 && n[D] >= 32 && n[D] <= 128 && n[D] % 4 == 0 &&
           n[ROWS] > 0 && n[ROWS] <= n[KEYS] && n[ROWS] <= 4096 && n[CHUNK] > 0 && n[KV] * n[D] <= MOST_WIDTH;
}

/* Both ends, the middle, edges of tiles, the last keys, the edges of the prefilled rows, two anywhere. */
static void plant(struct qvl_long *context, int64_t chunk)
{
    const int64_t n = context->keys, rows = context->rows;
    const int64_t positions[QVL_LONG_PLANTS] = {n - 1,
                                                n - 2,
                                                0,
                                                n - rows,
                                                n - rows - 1,
                                                n - chunk,
                                                n / 2,
                                                255,
                                                256,
                                                2047,
                                                2048,
                                                1,
                                                65535,
                                                65536,
                                                n / 2 - 1,
                                                n / 3,
                                                n - chunk - 1,
                                                n - 2049,
                                                (int64_t)(context->seed % (uint64_t)n),
                                                n - 17};
    for (int i = 0; i < QVL_LONG_PLANTS; i++)
        qvl_long_plant(context, positions[i]);
}

static enum qvl_status make_context(struct run *run, const struct qvl_case *chosen, struct qvl_error *error)
{
    const int64_t *n = chosen->numbers;
    struct qvl_long *context = &run->context;
    *context = (struct qvl_long){.seed = chosen->seed,
                                 .dtype = chosen->dtype,
                                 .keys = n[KEYS],
                                 .kv_heads = n[KV],
                                 .heads = n[HEADS],
                                 .d = n[D],
                                 .rows = n[ROWS],
                                 .scale = (double)(float)(1 / sqrt((double)n[D]))};
    run->chunk = least(n[CHUNK], n[ROWS]);
    run->piece = piece_rows(chosen);
    context->low = calloc((size_t)(2 * n[ROWS]), sizeof *context->low);
    if (!context->low)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)n[ROWS]);
    context->high = context->low + n[ROWS];
    for (int64_t r = 0; r < n[ROWS]; r++)
        context->high[r] = n[KEYS] - n[ROWS] + r + 1;
    plant(context, run->chunk);
    qvl_long_choose_samples(context, n[ROWS] == 1 ? 2 : QVL_LONG_SAMPLES);
    return QVL_OK;
}

static enum qvl_status make_buffers(struct run *run, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const size_t size = qvl_dtype_bytes(context->dtype);
    const size_t bytes = (size_t)(run->piece * context->kv_heads * context->d) * size;
    const int64_t count = context->rows * context->heads * context->d;
    double query[128];
    run->raw = malloc(bytes);
    run->queries = malloc((size_t)count * size);
    run->got = malloc((size_t)count * size);
    if (!run->raw || !run->queries || !run->got)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld queries", (long long)context->rows);
    for (int64_t row = 0; row < context->rows; row++)
        for (int64_t head = 0; head < context->heads; head++) {
            qvl_long_query(context, row, head, query);
            qvl_store_row(query, context->dtype, context->d,
                          run->queries + (size_t)((row * context->heads + head) * context->d) * size);
        }
    return QVL_OK;
}

/* From here on a failure is the candidate's. */
static enum qvl_status make_cache(struct run *run, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const size_t bytes =
        (size_t)(run->piece * context->kv_heads * context->d) * qvl_dtype_bytes(context->dtype);
    const struct qvl_cache_desc desc = {.layers = 1,
                                        .kv_heads = context->kv_heads,
                                        .head_dim = context->d,
                                        .capacity = context->keys + STALE,
                                        .storage = context->dtype};
    QVL_TRY(run->backend->allocate(run->backend, bytes, &run->k, error));
    QVL_TRY(run->backend->allocate(run->backend, bytes, &run->v, error));
    return run->backend->cache_create(run->backend, &desc, &run->cache, error);
}

/* Append tokens first .. first+count-1; `look`: the truth has not seen them yet. */
static enum qvl_status append(struct run *run, int64_t first, int64_t count, bool look,
                              struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const struct qvl_segment segment = {.cache = run->cache, .first = 0, .count = count};
    struct qvl_cache_append_args args = {.segments = &segment, .segment_count = 1};
    args.k = qvl_tensor_3d(run->k, context->dtype, count, context->kv_heads, context->d);
    args.v = qvl_tensor_3d(run->v, context->dtype, count, context->kv_heads, context->d);
    qvl_long_keys(context, first, count, run->raw);
    if (look)
        qvl_long_see_keys(&run->truth, first, count, run->raw);
    QVL_TRY(run->backend->upload(run->backend, &args.k, run->raw, error));
    qvl_long_values(context, first, count, run->raw);
    if (look)
        qvl_long_see_values(&run->truth, first, count, run->raw);
    QVL_TRY(run->backend->upload(run->backend, &args.v, run->raw, error));
    QVL_TRY(run->backend->ops.cache_append(run->backend, &args, error));
    const int64_t length = run->backend->cache_length(run->backend, run->cache, 0);
    if (length != first + count)
        return qvl_fail(error, QVL_FAILED, "the cache holds %lld rows after %lld were appended",
                        (long long)length, (long long)(first + count));
    return QVL_OK;
}

/* Leave rows behind the `length` of the cache that would weigh as much as any planted key. */
static enum qvl_status leave_stale(struct run *run, int64_t length, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const struct qvl_segment segment = {.cache = run->cache, .first = 0, .count = STALE};
    struct qvl_cache_append_args args = {.segments = &segment, .segment_count = 1};
    const size_t row = (size_t)context->d * qvl_dtype_bytes(context->dtype);
    double key[128] = {0}, value[128];
    for (int64_t c = 0; c < QVL_LONG_PLANTS; c++)
        key[c] = QVL_LONG_KEY;
    for (int64_t c = 0; c < context->d; c++)
        value[c] = 512;
    args.k = qvl_tensor_3d(run->k, context->dtype, STALE, context->kv_heads, context->d);
    args.v = qvl_tensor_3d(run->v, context->dtype, STALE, context->kv_heads, context->d);
    for (int64_t i = 0; i < STALE * context->kv_heads; i++)
        qvl_store_row(key, context->dtype, context->d, run->raw + (size_t)i * row);
    QVL_TRY(run->backend->upload(run->backend, &args.k, run->raw, error));
    for (int64_t i = 0; i < STALE * context->kv_heads; i++)
        qvl_store_row(value, context->dtype, context->d, run->raw + (size_t)i * row);
    QVL_TRY(run->backend->upload(run->backend, &args.v, run->raw, error));
    QVL_TRY(run->backend->ops.cache_append(run->backend, &args, error));
    return run->backend->cache_truncate(run->backend, run->cache, length, error);
}

/* Query rows first .. first+count-1, which are the last of the cache, to `got`. */
static enum qvl_status attend(struct run *run, int64_t first, int64_t count, struct qvl_error *error)
{
    const struct qvl_long *context = &run->context;
    const size_t at = (size_t)(first * context->heads * context->d) * qvl_dtype_bytes(context->dtype);
    const struct qvl_tensor shape = qvl_tensor_3d(NULL, context->dtype, count, context->heads, context->d);
    const struct qvl_segment segment = {.cache = run->cache, .first = 0, .count = count};
    struct qvl_guarded q, y = {.memory = NULL};
    enum qvl_status status = qvl_guarded_open(&q, run->backend, &shape, 8, run->queries + at, error);
    if (status == QVL_OK)
        status = qvl_guarded_open(&y, run->backend, &shape, 16, NULL, error);
    if (status == QVL_OK)
        status = run->backend->ops.attention(run->backend,
                                             &(struct qvl_attention_args){.q = q.view,
                                                                          .segments = &segment,
                                                                          .segment_count = 1,
                                                                          .scale = (float)context->scale,
                                                                          .y = y.view},
                                             error);
    if (status == QVL_OK)
        status = run->backend->sync(run->backend, error);
    if (status == QVL_OK)
        status = qvl_guarded_read(&y, run->got + at, error);
    qvl_guarded_close(&q);
    qvl_guarded_close(&y);
    return status;
}

static enum qvl_status fill_and_attend(struct run *run, struct qvl_error *error)
{
    const int64_t keys = run->context.keys, rows = run->context.rows, before = keys - rows;
    QVL_TRY(make_cache(run, error));
    for (int64_t first = 0; first < before; first += run->piece)
        QVL_TRY(append(run, first, least(run->piece, before - first), true, error));
    for (int64_t row = 0; row < rows; row += run->chunk) {
        const int64_t count = least(run->chunk, rows - row);
        QVL_TRY(append(run, before + row, count, true, error));
        QVL_TRY(leave_stale(run, before + row + count, error));
        QVL_TRY(attend(run, row, count, error));
    }
    return QVL_OK;
}

/* The last row again, as a decode step on a cache that was cut back. */
static enum qvl_status decode_again(struct run *run, struct qvl_error *error)
{
    const int64_t keys = run->context.keys;
    QVL_TRY(run->backend->cache_truncate(run->backend, run->cache, keys - 1, error));
    QVL_TRY(append(run, keys - 1, 1, false, error));
    return attend(run, run->context.rows - 1, 1, error);
}

static enum qvl_status judge(struct run *run, struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_error why = {.message = ""};
    enum qvl_status status = fill_and_attend(run, &why);
    if (status != QVL_OK) {
        qvl_long_refused(status, &why, result);
        return QVL_OK;
    }
    QVL_TRY(qvl_long_answer_samples(&run->truth, error));
    QVL_TRY(qvl_long_judge(&run->truth, run->got, "y", result, error));
    if (result->status != QVL_CASE_PASSED || run->context.rows == 1)
        return QVL_OK;
    struct qvl_case_result again = *result;
    again.elements = again.failures = 0;
    again.margin = 0;
    again.operand = NULL;
    status = decode_again(run, &why);
    if (status != QVL_OK) {
        qvl_long_refused(status, &why, result);
        return QVL_OK;
    }
    QVL_TRY(qvl_long_judge(&run->truth, run->got, "y after a decode step", &again, error));
    if (again.status != QVL_CASE_PASSED)
        *result = again;
    return QVL_OK;
}

static void close_run(struct run *run)
{
    if (run->cache)
        run->backend->cache_destroy(run->backend, run->cache);
    if (run->k)
        run->backend->release(run->backend, run->k);
    if (run->v)
        run->backend->release(run->backend, run->v);
    qvl_long_truth_close(&run->truth);
    free(run->raw);
    free(run->queries);
    free(run->got);
    free(run->context.low);
}

static enum qvl_status run_case(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                struct qvl_case_result *result, struct qvl_error *error)
{
    struct run run = {.backend = context->candidate};
    if (!numbers_fit(chosen->numbers))
        return qvl_fail(error, QVL_USAGE,
                        "needs heads a multiple of kv, d a multiple of 4 from 32 to 128, rows from 1 to 4096 "
                        "and at most keys, chunk from 1");
    if (qvl_long_memory_lacks(needed(chosen), result))
        return QVL_OK;
    enum qvl_status status = make_context(&run, chosen, error);
    if (status == QVL_OK)
        status = qvl_long_truth_open(&run.truth, &run.context, &context->candidate->math, error);
    if (status == QVL_OK)
        status = make_buffers(&run, error);
    if (status == QVL_OK)
        status = judge(&run, result, error);
    close_run(&run);
    return status;
}

static const char *const patterns[] = {
    "long_attention keys=2048,4099 heads=16 kv=2 d=128 rows=1 chunk=1",
    "long_attention keys=32768 heads=32 kv=8 d=128 rows=1 chunk=1",
    "long_attention keys=32768 heads=64 kv=4 d=128 rows=40 chunk=40,17,1 dtype=f32,bf16",
    "long_attention keys=32771 heads=7 kv=1 d=72 rows=5 chunk=3",
    "long_attention keys=262144 heads=32 kv=4 d=128 rows=1 chunk=1 dtype=f32,bf16",
    "long_attention keys=262147 heads=12 kv=2 d=80 rows=9 chunk=9,4 dtype=f32,f16",
    "long_attention keys=1048576 heads=16 kv=1 d=128 rows=1 chunk=1 dtype=f32,bf16",
    "long_attention keys=1048575 heads=16 kv=1 d=64 rows=3 chunk=2 dtype=f32",
    NULL};

const struct qvl_probe qvl_probe_long_attention = {.name = "long_attention",
                                                   .op = "attention",
                                                   .numbers = {"keys", "heads", "kv", "d", "rows", "chunk"},
                                                   .patterns = patterns,
                                                   .run = run_case,
                                                   .bytes = needed};
