/* Arithmetic that is silently demoted: the low-mantissa cases of every entry with long sums catch factors of
 * fewer bits, on either side of the product, and running sums of fewer bits, while the same kernels pass the
 * closest peer's criterion, a normalised mean square error of at most 5e-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/mutants/mutants.h"
#include "qvl/rounding.h"
#include "ref/ref.h"
#include "verify/verify.h"

#define PEER_NMSE 5e-4

enum mode { TF32, TF32_CUT, BF16, F16, MODES };
enum side { ROWS = 1, WEIGHTS = 2 }; /* which factors are demoted */

static struct qvl_backend *reference, *honest;
static struct qvl_backend demoted; /* `honest` with entries replaced */
static enum mode mode;
static int sides;

enum { KEPT = 64 };
static void *kept[KEPT]; /* demoted copies that the case still uses */
static int kept_count;
static const struct qvl_array *last_weight; /* of the latest weight_prepare: a copy in kept_array */
static struct qvl_array kept_array;

static int open_backends(void **state)
{
    struct qvl_error error;
    (void)state;
    return qvl_ref_open(NULL, &reference, &error) == QVL_OK &&
                   qvl_honest_open(QVL_SUM_BLOCKED, NULL, &honest, &error) == QVL_OK
               ? 0
               : -1;
}

static int close_backends(void **state)
{
    (void)state;
    honest->close(honest);
    reference->close(reference);
    return 0;
}

/* 10 mantissa bits of float32's exponent range, to nearest or cut; or those of bf16 and f16. */
static float demote(float value)
{
    uint32_t bits;
    if (mode == BF16 || mode == F16)
        return (float)qvl_round_nearest(mode == BF16 ? QVL_BF16 : QVL_F16, (double)value);
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + (mode == TF32 ? 0xfffU + (bits >> 13 & 1U) : 0U)) & ~0x1fffU;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float *keep(int64_t count)
{
    float *copy = calloc((size_t)count + 1, sizeof *copy);
    assert_true(copy && kept_count < KEPT);
    return kept[kept_count++] = copy;
}

/* The tensor, or a contiguous demoted copy when rows are demoted. */
static struct qvl_tensor rows_of(const struct qvl_tensor *x)
{
    if (!(sides & ROWS) || x->dtype != QVL_F32)
        return *x;
    const int64_t count = qvl_tensor_count(x);
    struct qvl_tensor copy = qvl_tensor_make(keep(count), QVL_F32, x->rank, x->shape);
    for (int64_t i = 0; copy.data && i < count; i++) {
        int64_t element = i, offset = 0;
        for (int32_t axis = x->rank - 1; axis >= 0; axis--) {
            offset += element % x->shape[axis] * x->stride[axis];
            element /= x->shape[axis];
        }
        ((float *)copy.data)[i] = demote(((const float *)x->data)[offset]);
    }
    return copy;
}

static enum qvl_status prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                               struct qvl_weight **weight, struct qvl_error *error)
{
    struct qvl_weight_desc other = *desc;
    int64_t count = 1;
    (void)backend;
    kept_array = desc->array;
    last_weight = &kept_array;
    for (int32_t axis = 0; axis < desc->array.rank; axis++)
        count *= desc->array.shape[axis];
    if (sides & WEIGHTS && desc->array.dtype == QVL_F32) {
        float *copy = keep(count);
        for (int64_t i = 0; i < count; i++)
            copy[i] = demote(((const float *)desc->array.data)[i]);
        other.array.data = copy;
    }
    return honest->weight_prepare(honest, &other, weight, error);
}

#define DEMOTES(entry)                                                                                       \
    static enum qvl_status demoted_##entry(struct qvl_backend *backend,                                      \
                                           const struct qvl_##entry##_args *args, struct qvl_error *error)   \
    {                                                                                                        \
        struct qvl_##entry##_args other = *args;                                                             \
        (void)backend;                                                                                       \
        other.x = rows_of(&args->x);                                                                         \
        return honest->ops.entry(honest, &other, error);                                                     \
    }
DEMOTES(linear)
DEMOTES(patch_embed)
DEMOTES(output_head)
DEMOTES(merger)
DEMOTES(moe_experts)
DEMOTES(rms_norm)
DEMOTES(layer_norm)

static enum qvl_status demoted_vision_attention(struct qvl_backend *backend,
                                                const struct qvl_vision_attention_args *args,
                                                struct qvl_error *error)
{
    struct qvl_vision_attention_args other = *args;
    (void)backend;
    other.q = rows_of(&args->q);
    other.k = rows_of(&args->k);
    other.v = rows_of(&args->v);
    return honest->ops.vision_attention(honest, &other, error);
}

static enum qvl_status demoted_attention(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                         struct qvl_error *error)
{
    struct qvl_attention_args other = *args;
    (void)backend;
    other.q = rows_of(&args->q);
    return honest->ops.attention(honest, &other, error);
}

/* What the cache holds plays the part of the weights. */
static enum qvl_status demoted_append(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                      struct qvl_error *error)
{
    struct qvl_cache_append_args other = *args;
    const int both = sides;
    (void)backend;
    sides = sides & WEIGHTS ? ROWS : 0;
    other.k = rows_of(&args->k);
    other.v = rows_of(&args->v);
    sides = both;
    return honest->ops.cache_append(honest, &other, error);
}

static void demote_everything(void)
{
    demoted = *honest;
    demoted.weight_prepare = prepare;
    demoted.ops.linear = demoted_linear;
    demoted.ops.patch_embed = demoted_patch_embed;
    demoted.ops.output_head = demoted_output_head;
    demoted.ops.merger = demoted_merger;
    demoted.ops.moe_experts = demoted_moe_experts;
    demoted.ops.rms_norm = demoted_rms_norm;
    demoted.ops.layer_norm = demoted_layer_norm;
    demoted.ops.vision_attention = demoted_vision_attention;
    demoted.ops.attention = demoted_attention;
    demoted.ops.cache_append = demoted_append;
}

static struct qvl_case_result run(const char *line, struct qvl_backend *candidate)
{
    const struct qvl_case_context context = {.reference = reference, .candidate = candidate};
    struct qvl_error error = {.message = ""};
    struct qvl_case parsed;
    struct qvl_case_result result;
    if (qvl_case_parse(line, &parsed, &error) != QVL_OK ||
        qvl_case_run(&parsed, &context, &result, &error) != QVL_OK)
        fail_msg("%s", error.message);
    while (kept_count > 0)
        free(kept[--kept_count]);
    return result;
}

/* ---- factors ---- */

static const struct {
    const char *line;
    int sides; /* factors of its sums; what the norm of the merger reads is none */
} products[] = {
    {"linear rows=2 in=64 out=5 bias=0 pad=0 dist=mantissa", ROWS | WEIGHTS},
    {"linear rows=2 in=4096 out=5 bias=0 pad=0 dist=mantissa", ROWS | WEIGHTS},
    {"linear rows=1 in=25600 out=2 bias=0 pad=0 dist=mantissa", ROWS | WEIGHTS},
    {"patch_embed rows=2 in=1536 out=5 bias=1 dist=mantissa", ROWS | WEIGHTS},
    {"output_head rows=2 chosen=1 dim=2560 vocab=5 dist=mantissa", ROWS | WEIGHTS},
    {"moe_experts rows=2 experts=2 k=1 dim=2048 ffn=6 first=0 dist=mantissa", ROWS | WEIGHTS},
    {"moe_experts rows=2 experts=2 k=1 dim=8 ffn=768 first=1 dist=mantissa", ROWS | WEIGHTS},
    {"merger tokens=2 group=4 dim=64 out=4 norm=0 dist=mantissa", WEIGHTS},
    {"merger tokens=2 group=4 dim=64 out=4 norm=1 dist=mantissa", WEIGHTS},
    {"rms_norm rows=2 heads=0 dim=4096 pad=0 inplace=0 dist=mantissa", ROWS},
    {"layer_norm rows=2 dim=1152 pad=0 inplace=0 dist=mantissa", ROWS},
    {"attention heads=6 kv=2 d=128 past=130 rows=2 seqs=1 drop=0 pad=0 dist=mantissa", ROWS | WEIGHTS},
    {"vision_attention heads=3 d=72 a=70 b=0 c=40 pad=0 dist=mantissa", ROWS},
};

static void catches_demoted_factors(void **state)
{
    (void)state;
    demote_everything();
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        double least = INFINITY;
        for (sides = ROWS; sides <= (ROWS | WEIGHTS); sides++)
            for (mode = TF32; mode < MODES && !(sides & ~products[i].sides); mode++) {
                const struct qvl_case_result result = run(products[i].line, &demoted);
                if (result.status != QVL_CASE_FAILED || !(result.margin > 1.5))
                    fail_msg("sides %d, mode %d, margin %g: %s", sides, (int)mode, result.margin,
                             products[i].line);
                least = fmin(least, result.margin);
            }
        print_message("at least %6.1f tolerances: %s\n", least, products[i].line);
    }
}

/* The same lines on the honest kernels, in every order. */
static void passes_honest_sums(void **state)
{
    (void)state;
    for (int order = 0; order < QVL_SUM_ORDER_COUNT; order++) {
        struct qvl_backend *other;
        struct qvl_error error;
        assert_int_equal(qvl_honest_open((enum qvl_sum_order)order, NULL, &other, &error), QVL_OK);
        for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
            const struct qvl_case_result result = run(products[i].line, other);
            if (result.status != QVL_CASE_PASSED)
                fail_msg("%s: %s", products[i].line, result.message);
        }
        other->close(other);
    }
}

/* ---- running sums ---- */

static int64_t block; /* products that are summed in float32 before they join the short running sum */

/* Row x [rows, in] times the last prepared weight, a running sum of few bits. */
static enum qvl_status short_sums(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                  struct qvl_error *error)
{
    const int64_t in = args->x.shape[1], out = args->y.shape[1];
    const enum qvl_dtype dtype = args->x.dtype;
    (void)backend;
    (void)error;
    for (int64_t i = 0; i < args->x.shape[0]; i++)
        for (int64_t o = 0; o < out; o++) {
            float sum = 0;
            for (int64_t first = 0; first < in; first += block) {
                float part = 0;
                for (int64_t k = first; k < in && k < first + block; k++) {
                    double x, w;
                    qvl_load_row((const char *)args->x.data +
                                     (size_t)(i * args->x.stride[0] + k) * qvl_dtype_bytes(dtype),
                                 dtype, 1, &x);
                    qvl_load_row((const char *)last_weight->data +
                                     (size_t)(o * in + k) * qvl_dtype_bytes(dtype),
                                 dtype, 1, &w);
                    part += (float)(x * w);
                }
                sum = demote(sum + part);
            }
            const double y = qvl_round_nearest(dtype, (double)sum);
            qvl_store_row(&y, dtype, 1,
                          (char *)args->y.data +
                              (size_t)(i * args->y.stride[0] + o) * qvl_dtype_bytes(dtype));
        }
    return QVL_OK;
}

static void catches_short_running_sums(void **state)
{
    static const char *const types[] = {"f32", "bf16", "f16"};
    (void)state;
    demoted = *honest;
    demoted.weight_prepare = prepare;
    demoted.ops.linear = short_sums;
    sides = 0;
    for (int type = 0; type < 3; type++)
        for (mode = TF32; mode < MODES; mode++)
            for (block = 1; block <= 128; block *= 16) {
                char line[QVL_CASE_LINE_BYTES];
                snprintf(line, sizeof line, "linear rows=2 in=4096 out=5 bias=0 pad=0 dtype=%s dist=mantissa",
                         types[type]);
                const struct qvl_case_result result = run(line, &demoted);
                if (result.status != QVL_CASE_FAILED || !(result.margin > 4))
                    fail_msg("mode %d, block %lld, margin %g: %s", (int)mode, (long long)block, result.margin,
                             line);
            }
}

/* ---- what the peer's criterion passes ---- */

static void catches_what_the_peer_passes(void **state)
{
    static const char *const kernels[][2] = {
        {"peer.linear_scaled_1022", "linear rows=64 in=256 out=128 bias=0 pad=0"},
        {"peer.linear_one_zero_in_4096", "linear rows=64 in=256 out=128 bias=0 pad=0"},
        {"peer.linear_f32_as_tf32", "linear rows=64 in=256 out=128 bias=0 pad=0"},
        {"peer.linear_f32_as_bf16", "linear rows=64 in=256 out=128 bias=0 pad=0"},
        {"peer.attention_scaled_1022", "attention heads=8 kv=2 d=128 past=60 rows=5 seqs=1 drop=0 pad=0"},
        {"peer.attention_one_zero_in_4096",
         "attention heads=8 kv=2 d=128 past=60 rows=5 seqs=1 drop=0 pad=0"},
        {"peer.attention_f32_as_tf32", "attention heads=8 kv=2 d=128 past=60 rows=5 seqs=1 drop=0 pad=0"},
        {"peer.attention_f32_as_bf16", "attention heads=8 kv=2 d=128 past=60 rows=5 seqs=1 drop=0 pad=0"},
        {"peer.drop_last_key", "attention heads=2 kv=1 d=64 past=4095 rows=1 seqs=1 drop=0 pad=0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        struct qvl_backend *mutant;
        struct qvl_error error = {.message = ""};
        if (qvl_mutant_open(kernels[i][0], NULL, &mutant, &error) != QVL_OK)
            fail_msg("%s", error.message);
        const struct qvl_case_result result = run(kernels[i][1], mutant);
        print_message("%-28s margin %8.1f nmse %.2e\n", kernels[i][0], result.margin, result.nmse);
        assert_int_equal(result.status, QVL_CASE_FAILED);
        assert_true(result.margin > 2);
        assert_true(result.nmse <= PEER_NMSE);
        mutant->close(mutant);
        assert_int_equal(run(kernels[i][1], honest).status, QVL_CASE_PASSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catches_demoted_factors),
        cmocka_unit_test(passes_honest_sums),
        cmocka_unit_test(catches_short_running_sums),
        cmocka_unit_test(catches_what_the_peer_passes),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
