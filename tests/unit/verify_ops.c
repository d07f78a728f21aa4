/* Op verification: a copy of the reference passes every case, and wrong kernels do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "qvl/check.h"
#include "qvl/rounding.h"
#include "ref/ref.h"
#include "verify/verify.h"

static struct qvl_backend *good;
static struct qvl_backend mutant; /* a copy of `good` with one entry replaced */

/* Another instance of the mutant. */
static enum qvl_status open_mutant(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    (*backend)->ops = mutant.ops;
    return QVL_OK;
}

static struct qvl_case_context context = {.candidate = &mutant, .open = open_mutant};

static int open_backends(void **state)
{
    struct qvl_error error;
    (void)state;
    if (qvl_ref_open(NULL, &good, &error) != QVL_OK)
        return -1;
    context.reference = good;
    return 0;
}

static int close_backends(void **state)
{
    (void)state;
    good->close(good);
    return 0;
}

static int count_of_status[QVL_CASE_STATUS_COUNT];

/* Run the cases of a filter against the mutant, or up to its first failure; the line of the first that did
 * not pass is printed. */
static void run_until(const struct qvl_case_filter *filter, bool first_failure)
{
    struct qvl_error error = {.message = ""};
    struct qvl_case *cases;
    int64_t count;
    bool told = false;
    memset(count_of_status, 0, sizeof count_of_status);
    if (qvl_cases(filter, &cases, &count, &error) != QVL_OK)
        fail_msg("%s", error.message);
    for (int64_t i = 0; i < count && !(first_failure && count_of_status[QVL_CASE_FAILED] > 0); i++) {
        struct qvl_case_result result;
        if (qvl_case_bytes(&cases[i]) > 0) /* minutes at the speed of the reference */
            continue;
        if (qvl_case_run(&cases[i], &context, &result, &error) != QVL_OK)
            fail_msg("%s", error.message);
        count_of_status[result.status]++;
        if (result.status != QVL_CASE_PASSED && !told) {
            print_message("%s %s: %s\n", qvl_case_status_name(result.status), result.repro, result.message);
            told = true;
        }
    }
    free(cases);
}

static void run_cases(const struct qvl_case_filter *filter)
{
    run_until(filter, false);
}

static void expect_killed(const char *op)
{
    run_until(&(struct qvl_case_filter){.op = op, .text = "set=museum"}, true);
    assert_true(count_of_status[QVL_CASE_FAILED] > 0);
}

/* Every case of the museum, on another instance of the reference; the cpu backend runs all (verify_cpu). */
static void an_honest_copy_passes_everything(void **state)
{
    struct qvl_backend *copy;
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_ref_open(NULL, &copy, &error), QVL_OK);
    mutant = *copy;
    run_cases(&(struct qvl_case_filter){.text = "set=museum"});
    assert_true(count_of_status[QVL_CASE_PASSED] > 4000);
    for (int status = 0; status < QVL_CASE_STATUS_COUNT; status++)
        if (status != QVL_CASE_PASSED)
            assert_int_equal(count_of_status[status], 0);
    copy->close(copy);
}

/* ---- wrong kernels ---- */

static double get(const struct qvl_tensor *tensor, int64_t i, int64_t j, int64_t k)
{
    double value;
    const int64_t offset =
        i * tensor->stride[0] + j * tensor->stride[1] + (tensor->rank > 2 ? k * tensor->stride[2] : 0);
    qvl_load_row((char *)tensor->data + (size_t)offset * qvl_dtype_bytes(tensor->dtype), tensor->dtype, 1,
                 &value);
    return value;
}

static void put(const struct qvl_tensor *tensor, int64_t i, int64_t j, int64_t k, double value)
{
    const int64_t offset =
        i * tensor->stride[0] + j * tensor->stride[1] + (tensor->rank > 2 ? k * tensor->stride[2] : 0);
    value = qvl_round_nearest(tensor->dtype, value);
    qvl_store_row(&value, tensor->dtype, 1,
                  (char *)tensor->data + (size_t)offset * qvl_dtype_bytes(tensor->dtype));
}

/* Query head i reads KV head i % kv_heads. */
static enum qvl_status tile_for_repeat(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                       struct qvl_error *error)
{
    const int64_t heads = args->q.shape[1], d = args->q.shape[2], rows = args->q.shape[0];
    struct qvl_attention_args shuffled = *args;
    (void)backend;
    /* kv_heads by trial: the cases of this test have 36 heads over 3 */
    const int64_t kv_heads = 3, ratio = heads / kv_heads;
    void *q = calloc((size_t)(rows * heads * d) + 1, 4), *y = calloc((size_t)(rows * heads * d) + 1, 4);
    shuffled.q = qvl_tensor_3d(q, args->q.dtype, rows, heads, d);
    shuffled.y = qvl_tensor_3d(y, args->q.dtype, rows, heads, d);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t c = 0; c < d; c++)
                put(&shuffled.q, i, h % kv_heads * ratio + h / kv_heads, c, get(&args->q, i, h, c));
    const enum qvl_status status = good->ops.attention(good, &shuffled, error);
    for (int64_t i = 0; i < rows && status == QVL_OK; i++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t c = 0; c < d; c++)
                put(&args->y, i, h, c, get(&shuffled.y, i, h % kv_heads * ratio + h / kv_heads, c));
    free(q);
    free(y);
    return status;
}

/* Each row loses its last key. */
static enum qvl_status drop_last_key(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                     struct qvl_error *error)
{
    struct qvl_segment segments[8];
    struct qvl_attention_args shorter = *args;
    enum qvl_status status = QVL_OK;
    (void)backend;
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_cache *cache = args->segments[s].cache;
        const int64_t length = good->cache_length(good, cache, args->layer);
        segments[s] = args->segments[s];
        QVL_TRY(good->cache_fork(good, cache, &segments[s].cache, error));
        QVL_TRY(good->cache_truncate(good, segments[s].cache, length > 0 ? length - 1 : 0, error));
    }
    shorter.segments = segments;
    status = good->ops.attention(good, &shorter, error);
    for (int64_t s = 0; s < args->segment_count; s++)
        good->cache_destroy(good, segments[s].cache);
    return status;
}

/* 1/sqrt(80) for heads of 72 that were padded to 80. */
static enum qvl_status padded_scale(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                    struct qvl_error *error)
{
    struct qvl_attention_args scaled = *args;
    (void)backend;
    scaled.scale = args->scale * 0.94868f;
    return good->ops.attention(good, &scaled, error);
}

static enum qvl_status swapped_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                                    struct qvl_error *error)
{
    struct qvl_gelu_args swapped = *args;
    (void)backend;
    swapped.form = args->form == QVL_GELU_ERF ? QVL_GELU_TANH : QVL_GELU_ERF;
    return good->ops.gelu(good, &swapped, error);
}

static enum qvl_status scaled_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                     struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(good->ops.linear(good, args, error));
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        for (int64_t j = 0; j < args->y.shape[1]; j++)
            put(&args->y, i, j, 0, get(&args->y, i, j, 0) * 1.0001);
    return QVL_OK;
}

/* float32 inputs cut to tf32, silently. */
static enum qvl_status demoted_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                      struct qvl_error *error)
{
    struct qvl_linear_args cut = *args;
    const int64_t rows = args->x.shape[0], in = args->x.shape[1];
    (void)backend;
    if (args->x.dtype != QVL_F32)
        return good->ops.linear(good, args, error);
    float *x = calloc((size_t)(rows * in) + 1, sizeof *x);
    cut.x = qvl_tensor_2d(x, QVL_F32, rows, in);
    for (int64_t i = 0; i < rows * in; i++) {
        const double value = get(&args->x, i / in, i % in, 0);
        const double step =
            qvl_spacing(QVL_F16, value * 0x1p13) * 0x1p-13; /* 10 mantissa bits, away from f16's end */
        x[i] = isfinite(value) ? (float)(round(value / step) * step) : (float)value;
    }
    const enum qvl_status status = good->ops.linear(good, &cut, error);
    free(x);
    return status;
}

/* y = r( w * x / rms ): the rounding before the weight is missing. */
static enum qvl_status cast_order(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                  struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    const int64_t heads = x->rank == 3 ? x->shape[1] : 1, dim = x->shape[x->rank - 1];
    (void)backend;
    QVL_TRY(qvl_rms_norm_check(args, error));
    for (int64_t row = 0; row < x->shape[0] * heads; row++) {
        const int64_t i = row / heads, h = row % heads;
        double sum = 0;
        for (int64_t j = 0; j < dim; j++) {
            const double value = x->rank == 3 ? get(x, i, h, j) : get(x, i, j, 0);
            sum += value * value;
        }
        for (int64_t j = 0; j < dim; j++) {
            const double value = x->rank == 3 ? get(x, i, h, j) : get(x, i, j, 0);
            double weight;
            qvl_load_row((char *)args->weight.data + (size_t)j * qvl_dtype_bytes(x->dtype), x->dtype, 1,
                         &weight);
            const double y = weight * value / sqrt(sum / (double)dim + args->eps);
            if (x->rank == 3)
                put(&args->y, i, h, j, y);
            else
                put(&args->y, i, j, 0, y);
        }
    }
    return QVL_OK;
}

static enum qvl_status hard_coded_eps(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                      struct qvl_error *error)
{
    struct qvl_layer_norm_args other = *args;
    (void)backend;
    other.eps = 1e-5;
    return good->ops.layer_norm(good, &other, error);
}

/* All segments attend to each other. */
static enum qvl_status one_segment(struct qvl_backend *backend, const struct qvl_vision_attention_args *args,
                                   struct qvl_error *error)
{
    const int64_t starts[2] = {0, args->q.shape[0]};
    struct qvl_vision_attention_args merged = *args;
    (void)backend;
    merged.segment_starts = starts;
    merged.segment_count = 1;
    return good->ops.vision_attention(good, &merged, error);
}

static enum qvl_status always_interleaved(struct qvl_backend *backend,
                                          const struct qvl_mrope_table_args *args, struct qvl_error *error)
{
    struct qvl_mrope_table_args other = *args;
    (void)backend;
    other.layout = QVL_MROPE_INTERLEAVED;
    return good->ops.mrope_table(good, &other, error);
}

/* Equal logits: the highest index wins. */
static enum qvl_status highest_tie(struct qvl_backend *backend, const struct qvl_moe_route_args *args,
                                   struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(good->ops.moe_route(good, args, error));
    for (int64_t i = 0; i < args->logits.shape[0]; i++) {
        int32_t *chosen = (int32_t *)args->chosen.data + i * args->chosen.stride[0];
        const int64_t last = args->top_k - 1;
        for (int64_t e = chosen[last] + 1; e < args->logits.shape[1]; e++)
            if (get(&args->logits, i, e, 0) == get(&args->logits, i, chosen[last], 0))
                chosen[last] = (int32_t)e;
    }
    return QVL_OK;
}

/* One element past the end of the last row. */
static enum qvl_status writes_past_the_end(struct qvl_backend *backend, const struct qvl_add_args *args,
                                           struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(good->ops.add(good, args, error));
    if (args->y.shape[0] > 0)
        put(&args->y, args->y.shape[0] - 1, args->y.shape[1], 0, 0);
    return QVL_OK;
}

static enum qvl_status writes_its_input(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                                        struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(good->ops.swiglu(good, args, error));
    if (args->up.shape[0] > 0)
        put(&args->up, 0, 0, 0, 42);
    return QVL_OK;
}

/* 16 rows of 17. */
static enum qvl_status skips_the_tail(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                      struct qvl_error *error)
{
    struct qvl_layer_norm_args cut = *args;
    (void)backend;
    if (cut.x.shape[0] > 16)
        cut.x.shape[0] = cut.y.shape[0] = 16;
    return good->ops.layer_norm(good, &cut, error);
}

static enum qvl_status no_presence_penalty(struct qvl_backend *backend, const struct qvl_sample_args *args,
                                           struct qvl_error *error)
{
    struct qvl_sample_args other = *args;
    (void)backend;
    other.presence_penalty = 0;
    return good->ops.sample(good, &other, error);
}

/* The rows of a later chunk land where those of the first belong. */
static enum qvl_status first_rows(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                  struct qvl_error *error)
{
    struct qvl_add_rows_args other = *args;
    int64_t rows[16];
    (void)backend;
    for (int64_t i = 0; i < args->src.shape[0]; i++)
        rows[i] = i;
    other.rows = rows;
    return good->ops.add_rows(good, &other, error);
}

static enum qvl_status not_built(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                 struct qvl_error *error)
{
    (void)backend;
    (void)args;
    return qvl_fail(error, QVL_UNSUPPORTED, "softmax: not built");
}

static enum qvl_status gives_up(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                struct qvl_error *error)
{
    (void)backend;
    return args->x.dtype == QVL_F16 ? qvl_fail(error, QVL_UNAVAILABLE, "device lost") : QVL_OK;
}

/* The rows with the gaps between them, as if the tensors were contiguous and wider. */
static enum qvl_status works_on_gaps(struct qvl_backend *backend, const struct qvl_add_args *args,
                                     struct qvl_error *error)
{
    struct qvl_add_args wide = *args;
    struct qvl_tensor *tensors[] = {&wide.a, &wide.b, &wide.y};
    (void)backend;
    for (int i = 0; i < 3 && args->y.shape[0] > 1; i++)
        tensors[i]->shape[1] = tensors[i]->stride[0];
    return good->ops.add(good, &wide, error);
}

/* ---- what becomes of them ---- */

#define KILLS(test, entry, kernel)                                                                           \
    static void test(void **state)                                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        mutant = *good;                                                                                      \
        mutant.ops.entry = kernel;                                                                           \
        expect_killed(#entry);                                                                               \
    }

KILLS(kills_drop_last_key, attention, drop_last_key)
KILLS(kills_padded_scale, attention, padded_scale)
KILLS(kills_swapped_gelu, gelu, swapped_gelu)
KILLS(kills_scaled_linear, linear, scaled_linear)
KILLS(kills_demoted_linear, linear, demoted_linear)
KILLS(kills_hard_coded_eps, layer_norm, hard_coded_eps)
KILLS(kills_one_segment, vision_attention, one_segment)
KILLS(kills_always_interleaved, mrope_table, always_interleaved)
KILLS(kills_highest_tie, moe_route, highest_tie)
KILLS(kills_writes_past_the_end, add, writes_past_the_end)
KILLS(kills_writes_its_input, swiglu, writes_its_input)
KILLS(kills_skips_the_tail, layer_norm, skips_the_tail)
KILLS(kills_no_presence_penalty, sample, no_presence_penalty)
KILLS(kills_first_rows, add_rows, first_rows)
KILLS(kills_gives_up, softmax, gives_up)

/* Rows that come out as NaN are not written at all: the poison there is a NaN as well. */
static enum qvl_status leaves_nan_rows(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                       struct qvl_error *error)
{
    (void)backend;
    QVL_TRY(qvl_softmax_check(args, error));
    for (int64_t i = 0; i < args->x.shape[0]; i++) {
        struct qvl_softmax_args row = *args;
        bool plain = true;
        for (int64_t j = 0; j < args->x.shape[1]; j++)
            plain = plain && !isnan(get(&args->x, i, j, 0)) && get(&args->x, i, j, 0) < INFINITY;
        row.x = qvl_tensor_rows(args->x, i, 1);
        row.y = qvl_tensor_rows(args->y, i, 1);
        if (plain)
            QVL_TRY(good->ops.softmax(good, &row, error));
    }
    return QVL_OK;
}

KILLS(kills_leaves_nan_rows, softmax, leaves_nan_rows)

/* Its sums of gaps are NaN, as the gaps were. */
static void kills_works_on_gaps(void **state)
{
    (void)state;
    mutant = *good;
    mutant.ops.add = works_on_gaps;
    run_cases(&(struct qvl_case_filter){.op = "add", .text = "rows=3 dim=401 pad=5"});
    assert_int_equal(count_of_status[QVL_CASE_PASSED], 0);
    assert_true(count_of_status[QVL_CASE_FAILED] > 0);
}

static void kills_tile_for_repeat(void **state)
{
    (void)state;
    mutant = *good;
    mutant.ops.attention = tile_for_repeat;
    run_cases(&(struct qvl_case_filter){.op = "attention", .text = "heads=36 kv=3"});
    assert_int_equal(count_of_status[QVL_CASE_PASSED], 0);
    assert_true(count_of_status[QVL_CASE_FAILED] > 0);
}

/* In 16 bits only: in float32 there is nothing to round. One-ulp errors must not hide in the tolerance. */
static void kills_cast_order_in_16_bits(void **state)
{
    (void)state;
    mutant = *good;
    mutant.math.accumulate = QVL_F32;
    mutant.ops.rms_norm = cast_order;
    /* it checks no arguments, as the probes of refusals demand: the cases of one call alone, which have a set
     */
    run_cases(&(struct qvl_case_filter){
        .op = "rms_norm", .text = "set=museum", .has_dtype = true, .dtype = QVL_BF16});
    assert_true(count_of_status[QVL_CASE_FAILED] > 10);
    run_cases(&(struct qvl_case_filter){
        .op = "rms_norm", .text = "set=museum", .has_dtype = true, .dtype = QVL_F32});
    assert_int_equal(count_of_status[QVL_CASE_FAILED], 0);
}

/* With the wider bounds of a float32 backend the reference still passes, and wrong kernels still do not. */
static void float32_bounds_are_tight_enough(void **state)
{
    (void)state;
    mutant = *good;
    mutant.math.accumulate = QVL_F32;
    run_cases(&(struct qvl_case_filter){.text = "set=museum"});
    assert_int_equal(count_of_status[QVL_CASE_PASSED] + count_of_status[QVL_CASE_FAILED],
                     count_of_status[QVL_CASE_PASSED]);
    mutant.ops.linear = demoted_linear;
    expect_killed("linear");
    mutant.ops.linear = scaled_linear;
    expect_killed("linear");
    mutant.ops.attention = drop_last_key;
    expect_killed("attention");
    mutant.ops.gelu = swapped_gelu;
    expect_killed("gelu");
    mutant.ops.mrope_table = always_interleaved;
    expect_killed("mrope_table");
}

/* A missing entry and a refused variant are UNSUPPORTED, and nothing else. */
static void tells_missing_from_wrong(void **state)
{
    (void)state;
    const struct qvl_case_filter filter = {.op = "softmax"};
    mutant = *good;
    mutant.ops.softmax = NULL;
    run_cases(&filter);
    assert_true(count_of_status[QVL_CASE_UNSUPPORTED] > 0);
    assert_int_equal(count_of_status[QVL_CASE_PASSED] + count_of_status[QVL_CASE_FAILED], 0);
    mutant.ops.softmax = not_built;
    run_cases(&filter);
    assert_true(count_of_status[QVL_CASE_UNSUPPORTED] > 0);
    assert_int_equal(count_of_status[QVL_CASE_PASSED] + count_of_status[QVL_CASE_FAILED], 0);
}

/* A result names operand and place, and carries the command that repeats it. */
static void locates_the_worst_element(void **state)
{
    (void)state;
    struct qvl_error error = {.message = ""};
    struct qvl_case chosen;
    struct qvl_case_result result;
    mutant = *good;
    mutant.ops.layer_norm = skips_the_tail;
    assert_int_equal(qvl_case_parse("layer_norm rows=17 dim=5 pad=1 inplace=0 dtype=bf16 dist=normal seed=9",
                                    &chosen, &error),
                     QVL_OK);
    assert_int_equal(qvl_case_run(&chosen, &context, &result, &error), QVL_OK);
    assert_int_equal(result.status, QVL_CASE_FAILED);
    assert_string_equal(result.operand, "y");
    assert_int_equal(result.rank, 2);
    assert_int_equal(result.index[0], 16);
    assert_int_equal(result.elements, 85);
    assert_int_equal(result.failures, 5);
    assert_true(isinf(result.margin) && isnan(result.got));
    assert_string_equal(result.repro,
                        "qvl-audit verify --backend ref --case 'layer_norm rows=17 dim=5 pad=1 inplace=0 "
                        "dtype=bf16 dist=normal seed=9'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_copy_passes_everything),
        cmocka_unit_test(kills_tile_for_repeat),
        cmocka_unit_test(kills_drop_last_key),
        cmocka_unit_test(kills_padded_scale),
        cmocka_unit_test(kills_swapped_gelu),
        cmocka_unit_test(kills_scaled_linear),
        cmocka_unit_test(kills_demoted_linear),
        cmocka_unit_test(kills_cast_order_in_16_bits),
        cmocka_unit_test(kills_hard_coded_eps),
        cmocka_unit_test(kills_one_segment),
        cmocka_unit_test(kills_always_interleaved),
        cmocka_unit_test(kills_highest_tie),
        cmocka_unit_test(kills_writes_past_the_end),
        cmocka_unit_test(kills_writes_its_input),
        cmocka_unit_test(kills_skips_the_tail),
        cmocka_unit_test(kills_no_presence_penalty),
        cmocka_unit_test(kills_first_rows),
        cmocka_unit_test(kills_gives_up),
        cmocka_unit_test(kills_leaves_nan_rows),
        cmocka_unit_test(kills_works_on_gaps),
        cmocka_unit_test(float32_bounds_are_tight_enough),
        cmocka_unit_test(tells_missing_from_wrong),
        cmocka_unit_test(locates_the_worst_element),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
