/* Wrong kernels at length: each must be FAILED where the honest cpu backend that it wraps passes. The
 * argument is a number of keys, for attention, or a group of the other probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "backends/mutants/mutants.h"
#include "qvl/rounding.h"
#include "ref/ref.h"
#include "wrong_kernel.h"

static long long keys;

static const char *attention_case(long long length, const char *dtype)
{
    static char line[128];
    snprintf(line, sizeof line, "long_attention keys=%lld heads=8 kv=1 d=32 rows=1 chunk=1 dtype=%s", length,
             dtype);
    return line;
}

static double get(const struct qvl_tensor *tensor, int64_t offset)
{
    double value;
    qvl_load_row((char *)tensor->data + (size_t)offset * qvl_dtype_bytes(tensor->dtype), tensor->dtype, 1,
                 &value);
    return value;
}

static void put(const struct qvl_tensor *tensor, int64_t offset, double value)
{
    value = qvl_round_nearest(tensor->dtype, value);
    qvl_store_row(&value, tensor->dtype, 1,
                  (char *)tensor->data + (size_t)offset * qvl_dtype_bytes(tensor->dtype));
}

/* ---- attention ---- */

/* The honest kernel over the first `length` keys of a cache that then gets its rows back. */
static enum qvl_status attend_first(const struct qvl_attention_args *args, int64_t length,
                                    struct qvl_error *error)
{
    struct qvl_cache *cache = args->segments[0].cache;
    const int64_t before = honest->cache_length(honest, cache, 0), cut = before - length,
                  d = args->q.shape[2];
    const struct qvl_segment segment = {cache, 0, cut};
    void *k = malloc((size_t)(cut * d) * 4), *v = malloc((size_t)(cut * d) * 4);
    struct qvl_cache_append_args back = {.segments = &segment, .segment_count = 1};
    back.k = qvl_tensor_3d(k, args->q.dtype, cut, 1, d);
    back.v = qvl_tensor_3d(v, args->q.dtype, cut, 1, d);
    QVL_TRY(honest->cache_export(honest, cache, 0, length, cut, k, v, error));
    QVL_TRY(honest->cache_truncate(honest, cache, length, error));
    QVL_TRY(honest->ops.attention(honest, args, error));
    QVL_TRY(honest->ops.cache_append(honest, &back, error));
    free(k);
    free(v);
    return QVL_OK;
}

static int64_t length_of(const struct qvl_attention_args *args)
{
    return honest->cache_length(honest, args->segments[0].cache, 0);
}

static enum qvl_status drops_last_key(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                      struct qvl_error *error)
{
    (void)backend;
    return attend_first(args, length_of(args) - 1, error);
}

/* The last block of 64 keys is left out. */
static enum qvl_status drops_last_block(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                        struct qvl_error *error)
{
    (void)backend;
    return attend_first(args, length_of(args) - 64, error);
}

/* Key n - 5, where nothing is planted, is left out. */
static enum qvl_status drops_unplanted_key(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                           struct qvl_error *error)
{
    struct qvl_cache *cache = args->segments[0].cache;
    const int64_t length = length_of(args), d = args->q.shape[2];
    float k[5 * 128], v[5 * 128];
    struct qvl_segment segment = {cache, 0, 4};
    struct qvl_cache_append_args back = {.segments = &segment, .segment_count = 1};
    (void)backend;
    QVL_TRY(honest->cache_export(honest, cache, 0, length - 5, 5, k, v, error));
    QVL_TRY(honest->cache_truncate(honest, cache, length - 5, error));
    back.k = qvl_tensor_3d(k + d, args->q.dtype, 4, 1, d);
    back.v = qvl_tensor_3d(v + d, args->q.dtype, 4, 1, d);
    QVL_TRY(honest->ops.cache_append(honest, &back, error));
    QVL_TRY(honest->ops.attention(honest, args, error));
    QVL_TRY(honest->cache_truncate(honest, cache, length - 5, error));
    segment.count = 5;
    back.k = qvl_tensor_3d(k, args->q.dtype, 5, 1, d);
    back.v = qvl_tensor_3d(v, args->q.dtype, 5, 1, d);
    return honest->ops.cache_append(honest, &back, error);
}

/* Two parts of the keys are merged with equal weights. */
static enum qvl_status merges_evenly(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                     struct qvl_error *error)
{
    const int64_t count = args->q.shape[1] * args->q.shape[2];
    double first[256];
    (void)backend;
    QVL_TRY(attend_first(args, length_of(args) / 2, error));
    for (int64_t i = 0; i < count; i++)
        first[i] = get(&args->y, i);
    QVL_TRY(honest->ops.attention(honest, args, error));
    for (int64_t i = 0; i < count; i++)
        put(&args->y, i, (get(&args->y, i) + first[i]) / 2);
    return QVL_OK;
}

static enum qvl_status scales(struct qvl_backend *backend, const struct qvl_attention_args *args,
                              struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(honest->ops.attention(honest, args, error));
    for (int64_t i = 0; i < args->q.shape[1] * args->q.shape[2]; i++)
        put(&args->y, i, get(&args->y, i) * 1.022);
    return QVL_OK;
}

static enum qvl_status zeroes_one(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                  struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(honest->ops.attention(honest, args, error));
    put(&args->y, 5, 0);
    return QVL_OK;
}

enum { PIECE = 4096, D = 32 };

struct decode {
    double weights, most, sum[D];
};

/* Add keys first .. first+n-1 to the sums of head h, each rounded to `type`; or, `look`, only find the
 * maximum. */
static void add_keys(const struct qvl_attention_args *args, int64_t h, const float *k, const float *v,
                     int64_t n, enum qvl_dtype type, bool look, struct decode *decode)
{
    for (int64_t j = 0; j < n; j++) {
        double score = 0;
        for (int c = 0; c < D; c++)
            score += get(&args->q, h * D + c) * (double)k[j * D + c];
        score *= (double)args->scale;
        if (look) {
            decode->most = fmax(decode->most, score);
            continue;
        }
        const double p = exp(score - decode->most);
        decode->weights = qvl_round_nearest(type, decode->weights + p);
        for (int c = 0; c < D && p > 1e-20; c++)
            decode->sum[c] = qvl_round_nearest(type, decode->sum[c] + p * (double)v[j * D + c]);
    }
}

/* Decode with the sums of values and weights rounded to `type` after each key. */
static enum qvl_status accumulates(const struct qvl_attention_args *args, enum qvl_dtype type,
                                   struct qvl_error *error)
{
    static float k[PIECE * D], v[PIECE * D]; /* storage of f32 cases */
    const int64_t length = length_of(args);
    for (int64_t h = 0; h < args->q.shape[1]; h++) {
        struct decode decode = {.most = -INFINITY};
        for (int look = 1; look >= 0; look--)
            for (int64_t at = 0; at < length; at += PIECE) {
                const int64_t n = length - at < PIECE ? length - at : PIECE;
                QVL_TRY(honest->cache_export(honest, args->segments[0].cache, 0, at, n, k, v, error));
                add_keys(args, h, k, v, n, type, look, &decode);
            }
        for (int c = 0; c < D; c++)
            put(&args->y, h * D + c, decode.sum[c] / decode.weights);
    }
    return QVL_OK;
}

static enum qvl_status accumulates_f32(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                       struct qvl_error *error)
{
    (void)backend;
    return accumulates(args, QVL_F32, error);
}

static enum qvl_status accumulates_f16(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                       struct qvl_error *error)
{
    (void)backend;
    return accumulates(args, QVL_F16, error);
}

static enum qvl_status accumulates_bf16(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                        struct qvl_error *error)
{
    (void)backend;
    return accumulates(args, QVL_BF16, error);
}

/* Round to `bits` bits of precision. */
static void demote(const struct qvl_tensor *tensor, int bits)
{
    float *values = tensor->data;
    for (int64_t i = 0; i < qvl_tensor_count(tensor); i++) {
        int exponent;
        const float fraction = frexpf(values[i], &exponent);
        values[i] = ldexpf(rintf(ldexpf(fraction, bits)), exponent - bits);
    }
}

/* Values are kept in tf32, or in bf16. The probe's own k and v are written, which it does not read again. */
static enum qvl_status keeps_tf32(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                  struct qvl_error *error)
{
    (void)backend;
    demote(&args->v, 11);
    return honest->ops.cache_append(honest, args, error);
}

static enum qvl_status keeps_bf16(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                  struct qvl_error *error)
{
    (void)backend;
    demote(&args->k, 8);
    demote(&args->v, 8);
    return honest->ops.cache_append(honest, args, error);
}

static enum qvl_status keeps_keys_tf32(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                       struct qvl_error *error)
{
    (void)backend;
    demote(&args->k, 11);
    return honest->ops.cache_append(honest, args, error);
}

/* What the last truncation left behind the end of the cache. */
static float behind_k[16 * D], behind_v[16 * D];

static enum qvl_status truncate_and_remember(struct qvl_backend *backend, struct qvl_cache *cache,
                                             int64_t length, struct qvl_error *error)
{
    const int64_t there = honest->cache_length(honest, cache, 0) - length;
    (void)backend;
    if (there >= 16)
        QVL_TRY(honest->cache_export(honest, cache, 0, length, 16, behind_k, behind_v, error));
    return honest->cache_truncate(honest, cache, length, error);
}

/* The length is taken up to a whole block of 16 rows. */
static enum qvl_status rounds_length_up(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                        struct qvl_error *error)
{
    struct qvl_cache *cache = args->segments[0].cache;
    const int64_t length = length_of(args), more = (16 - length % 16) % 16;
    const struct qvl_segment segment = {cache, 0, more};
    struct qvl_cache_append_args extra = {.segments = &segment, .segment_count = 1};
    (void)backend;
    extra.k = qvl_tensor_3d(behind_k, QVL_F32, more, 1, D);
    extra.v = qvl_tensor_3d(behind_v, QVL_F32, more, 1, D);
    QVL_TRY(honest->ops.cache_append(honest, &extra, error));
    QVL_TRY(honest->ops.attention(honest, args, error));
    return honest->cache_truncate(honest, cache, length, error);
}

static void attention_faults_are_seen(void **state)
{
    const char *line = attention_case(keys, "f32");
    (void)state;
    KILLS(attention, drops_last_key, line);
    wrong = *honest;
    wrong.ops.attention = drops_last_block;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.attention = drops_unplanted_key;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.attention = merges_evenly;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.attention = scales;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.attention = zeroes_one;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong = *honest;
    wrong.ops.cache_append = keeps_tf32;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.cache_append = keeps_bf16;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
}

static void narrow_sums_are_seen(void **state)
{
    const char *line = attention_case(keys, "f32");
    (void)state;
    wrong = *honest;
    wrong.ops.attention = accumulates_f32; /* the same loop, key by key: honest */
    assert_int_equal(run(line).status, QVL_CASE_PASSED);
    wrong.ops.attention = accumulates_f16;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
    wrong.ops.attention = accumulates_bf16;
    assert_int_equal(run(line).status, QVL_CASE_FAILED);
}

static void a_length_rounded_up_is_seen(void **state)
{
    (void)state;
    wrong = *honest;
    wrong.cache_truncate = truncate_and_remember;
    assert_int_equal(run(attention_case(keys + 3, "f32")).status, QVL_CASE_PASSED);
    wrong.ops.attention = rounds_length_up;
    assert_int_equal(run(attention_case(keys + 3, "f32")).status, QVL_CASE_FAILED);
}

/* Keys alone in tf32 move a random query by less than honest sums of many keys do. */
static void demoted_keys_are_seen_at_2k(void **state)
{
    (void)state;
    if (keys > 2048)
        skip();
    KILLS(cache_append, keeps_keys_tf32,
          "long_attention keys=2048 heads=16 kv=2 d=128 rows=1 chunk=1 dtype=f32");
}

/* In 16 bits too, where a key of a million moves few outputs by a step. */
static void sixteen_bits_see_the_last_key(void **state)
{
    (void)state;
    KILLS(attention, drops_last_key, attention_case(keys, "bf16"));
}

/* ---- products ---- */

static enum qvl_status scales_product(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                      struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(honest->ops.linear(honest, args, error));
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        for (int64_t o = 0; o < args->y.shape[1]; o++)
            put(&args->y, i * args->y.stride[0] + o, get(&args->y, i * args->y.stride[0] + o) * 1.022);
    return QVL_OK;
}

/* Element (3, 77) alone is off by one in a hundred. */
static enum qvl_status one_element(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                   struct qvl_error *error)
{
    const int64_t at = 3 * args->y.stride[0] + 77;
    (void)backend;
    QVL_TRY(honest->ops.linear(honest, args, error));
    put(&args->y, at, get(&args->y, at) * 1.01 + 1);
    return QVL_OK;
}

static enum qvl_status zeroes_one_in_4096(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                          struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(honest->ops.linear(honest, args, error));
    for (int64_t i = 77; i < args->y.shape[0] * args->y.shape[1]; i += 4096)
        put(&args->y, i / args->y.shape[1] * args->y.stride[0] + i % args->y.shape[1], 0);
    return QVL_OK;
}

static enum qvl_status demoted(const struct qvl_linear_args *args, int bits, struct qvl_error *error)
{
    struct qvl_linear_args cut = *args;
    const size_t bytes = (size_t)qvl_tensor_count(&args->x) * 4;
    void *x = malloc(bytes);
    memcpy(x, args->x.data, bytes);
    cut.x.data = x;
    demote(&cut.x, bits);
    const enum qvl_status status = honest->ops.linear(honest, &cut, error);
    free(x);
    return status;
}

static enum qvl_status in_tf32(struct qvl_backend *backend, const struct qvl_linear_args *args,
                               struct qvl_error *error)
{
    (void)backend;
    return demoted(args, 11, error);
}

static enum qvl_status in_bf16(struct qvl_backend *backend, const struct qvl_linear_args *args,
                               struct qvl_error *error)
{
    (void)backend;
    return demoted(args, 8, error);
}

/* Sums in f16: the weight is asked for one output at a time, as unit rows of x, so no handle is looked into.
 */
static enum qvl_status sums_f16(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                struct qvl_error *error)
{
    const int64_t n = args->x.shape[0], in = args->x.shape[1], out = args->y.shape[1];
    uint16_t *unit = calloc((size_t)(in * in), 2), *columns = malloc((size_t)(in * out) * 2);
    struct qvl_linear_args all = {.weight = args->weight};
    (void)backend;
    for (int64_t k = 0; k < in; k++)
        unit[k * in + k] = 0x3f80; /* 1 in bf16 */
    all.x = qvl_tensor_2d(unit, QVL_BF16, in, in);
    all.y = qvl_tensor_2d(columns, QVL_BF16, in, out);
    QVL_TRY(honest->ops.linear(honest, &all, error));
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0;
            for (int64_t k = 0; k < in; k++)
                sum = qvl_round_nearest(QVL_F16, sum + get(&args->x, i * args->x.stride[0] + k) *
                                                           get(&all.y, k * out + o));
            put(&args->y, i * args->y.stride[0] + o, sum);
        }
    free(unit);
    free(columns);
    return QVL_OK;
}

static void product_faults_are_seen(void **state)
{
    static const char *const probes[] = {"linear_projected", "linear_exact"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char line[128];
        snprintf(line, sizeof line, "%s rows=300 in=1024 out=512 bias=0 dtype=f32", probes[i]);
        KILLS(linear, scales_product, line);
        KILLS(linear, zeroes_one_in_4096, line);
        KILLS(linear, in_tf32, line);
        KILLS(linear, in_bf16, line);
    }
    KILLS(linear, sums_f16, "linear_exact rows=5 in=1024 out=64 bias=0 dtype=bf16");
}

/* A single element among 16 million, and its place. */
static void one_element_is_found(void **state)
{
    (void)state;
    KILLS(linear, one_element, "linear_exact rows=4096 in=4096 out=4096 bias=0 dtype=bf16");
    const struct qvl_case_result result = run("linear_exact rows=4096 in=4096 out=4096 bias=0 dtype=f32");
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_int_equal(result.failures, 1);
    assert_int_equal(result.index[0], 3);
    assert_int_equal(result.index[1], 77);
}

/* ---- rows far apart ---- */

/* The rows of a tensor by offsets of 32 bits. */
static int64_t narrow_offset(const struct qvl_tensor *tensor, int64_t row)
{
    return (int64_t)(uint32_t)(row * tensor->stride[0]);
}

static enum qvl_status adds_with_32_bits(struct qvl_backend *backend, const struct qvl_add_args *args,
                                         struct qvl_error *error)
{
    (void)backend;
    (void)error;
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        for (int64_t c = 0; c < args->y.shape[1]; c++)
            put(&args->y, i * args->y.stride[0] + c,
                get(&args->a, i * args->a.stride[0] + c) + get(&args->b, narrow_offset(&args->b, i) + c));
    return QVL_OK;
}

/* Bytes, not elements, in 32 bits. */
static enum qvl_status adds_with_32_bit_bytes(struct qvl_backend *backend, const struct qvl_add_args *args,
                                              struct qvl_error *error)
{
    const int64_t size = args->a.dtype == QVL_F32 ? 4 : 2;
    (void)backend;
    (void)error;
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        for (int64_t c = 0; c < args->y.shape[1]; c++)
            put(&args->y, i * args->y.stride[0] + c,
                get(&args->a, (int64_t)(uint32_t)(i * args->a.stride[0] * size) / size + c) +
                    get(&args->b, i * args->b.stride[0] + c));
    return QVL_OK;
}

static enum qvl_status attends_with_32_bits(struct qvl_backend *backend,
                                            const struct qvl_attention_args *args, struct qvl_error *error)
{
    struct qvl_attention_args near = *args;
    const int64_t row = args->q.shape[1] * args->q.shape[2];
    const size_t size = qvl_dtype_bytes(args->q.dtype);
    char *q = malloc((size_t)(args->q.shape[0] * row) * size);
    (void)backend;
    for (int64_t i = 0; i < args->q.shape[0]; i++)
        memcpy(q + (size_t)(i * row) * size, (char *)args->q.data + (size_t)narrow_offset(&args->q, i) * size,
               (size_t)row * size);
    near.q = qvl_tensor_3d(q, args->q.dtype, args->q.shape[0], args->q.shape[1], args->q.shape[2]);
    const enum qvl_status status = honest->ops.attention(honest, &near, error);
    free(q);
    return status;
}

static void offsets_of_32_bits_are_seen(void **state)
{
    (void)state;
    KILLS(add, adds_with_32_bits, "far_add rows=3 dim=41 pad=0 inplace=0 dtype=bf16");
    KILLS(add, adds_with_32_bit_bytes, "far_add rows=3 dim=41 pad=0 inplace=0 dtype=f32");
    KILLS(attention, attends_with_32_bits,
          "far_attention heads=6 kv=2 d=72 past=0 rows=3 seqs=1 drop=0 pad=0 dtype=bf16");
}

static void a_need_that_is_not_there_is_told(void **state)
{
    const char *line = "long_attention keys=16777216 heads=128 kv=128 d=128 rows=1 chunk=1 dtype=f32";
    struct qvl_case parsed;
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_case_parse(line, &parsed, &error), QVL_OK);
    assert_true(qvl_case_bytes(&parsed) > INT64_C(1) << 41);
    wrong = *honest;
    const struct qvl_case_result result = run(line);
    assert_int_equal(result.status, QVL_CASE_SKIPPED);
    assert_non_null(strstr(result.message, "needs "));
}

/* ---- honest float32 in any order ---- */

static void every_order_passes(void **state)
{
    static const char *const lines[] = {
        "long_attention keys=2048 heads=8 kv=1 d=32 rows=1 chunk=1 dtype=f32",
        "long_attention keys=32771 heads=8 kv=2 d=32 rows=9 chunk=4 dtype=f32",
        "long_attention keys=1048576 heads=8 kv=1 d=32 rows=1 chunk=1 dtype=f32",
        "long_attention keys=1048577 heads=8 kv=1 d=32 rows=1 chunk=1 dtype=bf16",
        "long_vision heads=1 d=36 before=4 long=1500 after=12 dtype=f32",
        "linear_projected rows=20 in=12288 out=256 bias=1 dtype=f32",
        "linear_projected rows=20 in=4096 out=256 bias=1 dtype=bf16",
        "linear_exact rows=20 in=4096 out=512 bias=1 dtype=f32",
        "linear_exact rows=20 in=12288 out=512 bias=0 dtype=bf16",
        "linear_exact rows=20 in=4096 out=256 bias=0 dtype=f16"};
    (void)state;
    for (int order = 0; order < QVL_SUM_ORDER_COUNT; order++) {
        struct qvl_backend *backend;
        struct qvl_error error = {.message = ""};
        if (qvl_honest_open((enum qvl_sum_order)order, NULL, &backend, &error) != QVL_OK)
            fail_msg("%s", error.message);
        wrong = *backend;
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            if (run(lines[i]).status != QVL_CASE_PASSED)
                fail_msg("%s sums: %s", qvl_sum_order_name((enum qvl_sum_order)order), lines[i]);
        backend->close(backend);
    }
}

int main(int argc, char **argv)
{
    const char *group = argc > 1 ? argv[1] : "2048";
    const struct CMUnitTest attention[] = {
        cmocka_unit_test(attention_faults_are_seen), cmocka_unit_test(narrow_sums_are_seen),
        cmocka_unit_test(a_length_rounded_up_is_seen), cmocka_unit_test(demoted_keys_are_seen_at_2k),
        cmocka_unit_test(sixteen_bits_see_the_last_key)};
    const struct CMUnitTest products[] = {cmocka_unit_test(product_faults_are_seen),
                                          cmocka_unit_test(one_element_is_found)};
    const struct CMUnitTest strides[] = {cmocka_unit_test(offsets_of_32_bits_are_seen),
                                         cmocka_unit_test(a_need_that_is_not_there_is_told)};
    const struct CMUnitTest honest_orders[] = {cmocka_unit_test(every_order_passes)};
    struct qvl_error error = {.message = ""};
    keys = strtoll(group, NULL, 10);
    if (qvl_cpu_open(&(struct qvl_backend_options){.threads = 2}, &honest, &error) != QVL_OK ||
        qvl_ref_open(NULL, &reference, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const int failed = !strcmp(group, "products")  ? cmocka_run_group_tests(products, NULL, NULL)
                       : !strcmp(group, "strides") ? cmocka_run_group_tests(strides, NULL, NULL)
                       : !strcmp(group, "honest")  ? cmocka_run_group_tests(honest_orders, NULL, NULL)
                                                   : cmocka_run_group_tests(attention, NULL, NULL);
    honest->close(honest);
    reference->close(reference);
    return failed;
}
