/* bench/flops.c: hand-worked counts, and the identities that hold for every model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/flops_records.h"
#include "configs.h"

/* An image of 24 patches and a video of 3 frames of 8: 12 LLM tokens. */
static const struct qvl_grid tiny_grids[2] = {{1, 4, 6}, {3, 2, 4}};

static void assert_stage(const struct qvl_flops *flops, const char *name, int64_t count, double bytes)
{
    const struct qvl_flops_stage *stage = qvl_flops_find(flops, name);
    if (!stage)
        fail_msg("no stage %s", name);
    else if (stage->flops != (qvl_flop_count)count || stage->bytes != bytes)
        fail_msg("%s: %lld FLOPs and %.1f bytes, expected %lld and %.1f", name, (long long)stage->flops,
                 stage->bytes, (long long)count, bytes);
}

static void dense_model_by_hand(void **state)
{
    (void)state;
    struct qvl_model_config config = tiny();
    struct qvl_flops_workload workload = {.batch = 1,
                                          .cached = 5,
                                          .tokens = 13,
                                          .logits = 1,
                                          .grids = tiny_grids,
                                          .grid_count = 2,
                                          .storage = QVL_BF16};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    /* 48 patches of 3*2*4*4 = 96 values */
    assert_stage(&flops, "vision_patch_embed", 2 * 48 * 96 * 8, 48 * 96 * 4 + (96 * 8 + 48 * 8) * 2);
    /* 24 + 8 places interpolated, 48 rows added */
    assert_stage(&flops, "vision_position", 8 * (7 * 32 + 48), 49 * 8 * 2);
    assert_stage(&flops, "vision_linear", 2 * (2 * 48 * 8 * (24 + 8) + 2 * 48 * 8 * 18 * 2), 21376);
    /* 24^2 + 3*8^2 = 768 pairs, scores and values */
    assert_stage(&flops, "vision_attention", 2 * 2 * 2 * 768 * 8, 2 * 4 * 48 * 8 * 2);
    assert_stage(&flops, "merger", 2 * 12 * 32 * (32 + 10), 5232);
    assert_stage(&flops, "deepstack_merger_0", 2 * 12 * 32 * (32 + 10), 5232);
    assert_stage(&flops, "vision_norms", 7 * 48 * 8 * (2 * 2 + 1 + 1), 0);
    assert_stage(&flops, "vision_softmax", 5 * 2 * 768 * 2, 0);
    assert_stage(&flops, "vision_elementwise", 384 + 27264 + 4848, 0);
    assert_stage(&flops, "embedding", 0, 13 * 10 * 2 * 2);
    assert_stage(&flops, "deepstack_add", 12 * 10, 0);
    assert_stage(&flops, "attention_linear", 3 * 2 * 13 * 10 * (24 + 12 + 12 + 24), 11496);
    /* keys seen: 6 + 7 + ... + 18 = 156 */
    assert_stage(&flops, "attention", 3 * 2 * 2 * 156 * 24, 8208);
    assert_stage(&flops, "mlp", 3 * 2 * 13 * 10 * 14 * 3, 7356);
    assert_stage(&flops, "head", 2 * 10 * 50, (500 + 60) * 2);
    assert_stage(&flops, "norms", 4 * 13 * (10 * 7 + 3 * 36), 0);
    assert_stage(&flops, "softmax", 5 * 3 * 156 * 4, 0);
    assert_stage(&flops, "elementwise", 13 * (3 * (3 * 36 + 2 * 10) + 3 * 4 * 14), 0);
    assert_int_equal(flops.count, 18);
    assert_null(qvl_flops_find(&flops, "experts"));
    assert_int_equal(qvl_flops_visual_tokens(&config, tiny_grids, 2), 12);
    assert_int_equal(qvl_flops_cache_bytes(&config, QVL_F32), 2 * 3 * 2 * 6 * 4);
}

static void mixture_of_experts_by_hand(void **state)
{
    (void)state;
    struct qvl_model_config config = tiny();
    config.text.experts = 5;
    config.text.experts_per_token = 2;
    config.text.moe_intermediate = 7;
    config.text.moe_layer[0] = config.text.moe_layer[2] = true;
    struct qvl_flops_workload workload = {.batch = 1, .cached = 5, .tokens = 13, .storage = QVL_F32};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    assert_stage(&flops, "mlp", 2 * 13 * 10 * 42, (420 + 13 * 62) * 4);
    assert_stage(&flops, "router", 2 * 2 * 13 * 10 * 5, 2 * (50 + 13 * 15) * 4);
    assert_int_equal(qvl_flops_find(&flops, "experts")->flops, 2 * 2 * 26 * 10 * 21);
    assert_int_equal(qvl_flops_find(&flops, "softmax")->flops, 9360 + 2 * 13 * (4 * 5 + 2 * 2));
    assert_int_equal(qvl_flops_find(&flops, "elementwise")->flops, 13 * (384 + 56 + 2 * 2 * (28 + 20)));
    assert_stage(&flops, "head", 0, 0);
    assert_null(qvl_flops_find(&flops, "merger"));
    workload.tokens = 1; /* one token touches its own two experts */
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    double experts = qvl_flops_find(&flops, "experts")->bytes;
    assert_true(fabs(experts - 2 * 4 * (2 * 210 + 2 * (20 + 21))) < 1e-6);
}

static void windows_by_hand(void **state)
{
    (void)state;
    struct qvl_model_config config = tiny();
    config.vision.window = 16; /* 2 x 2 merged cells */
    config.vision.full_attention[1] = true;
    config.vision.rms_norm = true;
    config.vision.mlp = QVL_VISION_MLP_SWIGLU;
    const struct qvl_grid grid = {1, 6, 10}; /* 3 x 5 cells: windows of 4, 2 and 1 cells */
    struct qvl_flops_workload workload = {.batch = 1, .grids = &grid, .grid_count = 1, .storage = QVL_BF16};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    /* block 0: 2 windows of 16 patches, 1 of 8 (column left), 2 of 8 and 1 of 4 (row left); block 1: all 60
     */
    int64_t pairs = 2 * 256 + 64 + 2 * 64 + 16 + 3600;
    assert_int_equal(qvl_flops_find(&flops, "vision_attention")->flops, 4 * pairs * 8);
    assert_int_equal(qvl_flops_find(&flops, "vision_softmax")->flops, 5 * pairs * 2);
    assert_int_equal(qvl_flops_find(&flops, "vision_linear")->flops, 2 * 2 * 60 * (8 * 32 + 8 * 18 * 3));
    assert_int_equal(qvl_flops_find(&flops, "vision_norms")->flops, 4 * 60 * 8 * 6);
}

static qvl_flop_count language(const struct qvl_model_config *config, int64_t batch, int64_t cached,
                               int64_t tokens, int64_t logits, enum qvl_flops_class work)
{
    struct qvl_flops_workload workload = {
        .batch = batch, .cached = cached, .tokens = tokens, .logits = logits, .storage = QVL_BF16};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(config, &workload, &flops, NULL), QVL_OK);
    return qvl_flops_sum(&flops, work, false);
}

/* Without attention scores a token costs 2 FLOPs for each active parameter that is a matrix: all but norms
 * and, when the head has its own, the embedding. */
static void a_token_costs_two_flops_an_active_parameter(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen3-vl-2b",  "qwen3-vl-4b",      "qwen3-vl-8b",
                                        "qwen3-vl-32b", "qwen3-vl-30b-a3b", "qwen3-vl-235b-a22b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct qvl_model_config config = config_of(names[i]);
        const struct qvl_text_config *text = &config.text;
        int64_t norms = text->hidden * (2 * text->layers + 1) + 2 * text->head_dim * text->layers;
        int64_t matrices = qvl_model_count_parameters(&config).active_llm - norms -
                           (config.tied ? 0 : text->vocab * text->hidden);
        int64_t scores = 4 * text->layers * text->heads * text->head_dim; /* the first token sees itself */
        assert_true(language(&config, 1, 0, 1, 1, QVL_FLOPS_MATRIX) ==
                    (qvl_flop_count)(2 * matrices + scores));
        /* each more cached key adds exactly one more score and value per head */
        assert_true(language(&config, 1, 1000, 1, 1, QVL_FLOPS_MATRIX) ==
                    (qvl_flop_count)(2 * matrices + 1001 * scores));
    }
}

static void a_prompt_is_the_sum_of_its_tokens_and_chunks(void **state)
{
    (void)state;
    struct qvl_model_config config = config_of("qwen3-vl-30b-a3b");
    for (int work = QVL_FLOPS_MATRIX; work <= QVL_FLOPS_ELEMENTS; work++) {
        enum qvl_flops_class class = (enum qvl_flops_class)work;
        qvl_flop_count whole = language(&config, 1, 0, 300, 0, class);
        qvl_flop_count tokens = 0;
        for (int64_t at = 0; at < 300; at++)
            tokens += language(&config, 1, at, 1, 0, class);
        assert_true(tokens == whole);
        assert_true(language(&config, 1, 0, 64, 0, class) + language(&config, 1, 64, 236, 0, class) == whole);
        assert_true(language(&config, 7, 0, 300, 0, class) == 7 * whole);
    }
}

static void long_context_does_not_overflow(void **state)
{
    (void)state;
    struct qvl_model_config config = config_of("qwen3-vl-235b-a22b");
    int64_t n = 1 << 20;
    double seen = (double)n * (double)(n + 1) / 2;
    struct qvl_flops_workload workload = {.batch = 1 << 16, .tokens = n, .logits = 1, .storage = QVL_BF16};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    double expected = 65536.0 * 94 * 4 * 64 * 128 * seen; /* 1.1e23, beyond 2^63 */
    double attention = (double)qvl_flops_find(&flops, "attention")->flops;
    assert_true(fabs(attention / expected - 1) < 1e-12);
    assert_true(attention > 9.3e18);
    workload.tokens = workload.cached = (int64_t)1 << 31;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    expected = 65536.0 * 94 * 4 * 64 * 128 * (0x1p62 + 0x1p30 * (0x1p31 + 1));
    assert_true(fabs((double)qvl_flops_find(&flops, "attention")->flops / expected - 1) < 1e-12);
}

static void vision_of_a_released_size(void **state)
{
    (void)state;
    struct qvl_model_config config = config_of("qwen3-vl-8b");
    const struct qvl_grid grid = {1, 68, 120}; /* 1088 x 1920: 8160 patches, 2040 tokens */
    struct qvl_flops_workload workload = {.batch = 1, .grids = &grid, .grid_count = 1, .storage = QVL_BF16};
    struct qvl_flops flops;
    assert_int_equal(qvl_flops_count(&config, &workload, &flops, NULL), QVL_OK);
    /* the matrices of the tower: trunk parameters less position table, norms and biases */
    int64_t block = 4 * 1152 * 1152 + 2 * 1152 * 4304;
    assert_true(qvl_flops_find(&flops, "vision_linear")->flops == (qvl_flop_count)(2 * 27 * block * 8160));
    assert_true(qvl_flops_find(&flops, "vision_attention")->flops ==
                (qvl_flop_count)4 * 27 * 1152 * 8160 * 8160);
    assert_true(qvl_flops_find(&flops, "deepstack_merger_2")->flops ==
                (qvl_flop_count)2 * 2040 * 4608 * (4608 + 4096));
    assert_null(qvl_flops_find(&flops, "deepstack_merger_3"));
}

static void bad_workloads_are_refused(void **state)
{
    (void)state;
    struct qvl_model_config config = tiny();
    const struct qvl_grid odd = {1, 3, 4}, none = {0, 2, 2}, huge = {1 << 20, 1 << 20, 1 << 20};
    const struct qvl_flops_workload bad[] = {
        {.batch = -1},
        {.batch = 1, .tokens = 4, .logits = 5},
        {.batch = 1, .tokens = ((int64_t)1 << 31) + 1},
        {.batch = 1, .tokens = 1, .cached = -2},
        {.batch = 1, .grids = &odd, .grid_count = 1},
        {.batch = 1, .grids = &none, .grid_count = 1},
        {.batch = 1, .grids = &huge, .grid_count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct qvl_flops flops;
        struct qvl_error error = {0};
        assert_int_equal(qvl_flops_count(&config, &bad[i], &flops, &error), QVL_USAGE);
        assert_non_null(strstr(error.message, "FLOP count"));
    }
}

static void records_hold_the_counts(void **state)
{
    (void)state;
    struct qvl_model_config config = tiny();
    const int64_t contexts[2] = {20, 2048};
    struct qvl_flops_request request = {contexts, 2, tiny_grids, 2, 3, QVL_F32};
    struct qvl_report report = {0};
    struct qvl_error error;
    assert_int_equal(qvl_flops_preamble(&request, &report, NULL), QVL_OK);
    assert_int_equal(qvl_flops_report("tiny", &config, &request, &report, NULL), QVL_OK);
    assert_int_equal(report.record_count, 12);
    assert_string_equal(report.records[10]->kind, "vision_flops");
    assert_string_equal(report.records[0]->name, "tiny at 20");
    assert_string_equal(report.records[5]->name, "tiny at 2K");
    assert_int_equal(qvl_record_find(report.workload, "grid_1")->value.integers[0], 3);

    const struct qvl_record *summary = report.records[0];
    double per_token = qvl_record_find(summary, "prefill_per_token")->value.real;
    assert_true(fabs(per_token * 60 - (double)language(&config, 3, 0, 20, 1, QVL_FLOPS_MATRIX)) < 1e-6);
    assert_true(qvl_record_find(summary, "last_prompt_token")->value.real ==
                (double)language(&config, 1, 19, 1, 1, QVL_FLOPS_MATRIX));
    assert_true(qvl_record_find(summary, "decode_per_token")->value.real ==
                (double)language(&config, 1, 20, 1, 1, QVL_FLOPS_MATRIX));
    assert_true(qvl_record_find(summary, "kv_cache")->value.real == 3 * 20 * 288);
    assert_int_equal(qvl_record_find(report.records[10], "merger")->value.integer, 3 * 2 * 12 * 32 * 42);
    assert_int_equal(qvl_record_find(report.records[10], "visual_tokens")->value.integer, 12);
    assert_string_equal(report.records[1]->kind, "prefill_flops");
    assert_null(qvl_record_find(report.records[1], "merger"));
    assert_non_null(qvl_record_find(report.records[1], "attention"));
    qvl_report_clear(&report);

    const int64_t shorter = 11; /* than the 12 visual tokens */
    request.contexts = &shorter;
    request.context_count = 1;
    assert_int_equal(qvl_flops_report("tiny", &config, &request, &report, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "12 visual tokens"));
    qvl_report_clear(&report);

    char label[24];
    qvl_flops_context_label(1 << 20, label);
    assert_string_equal(label, "1M");
    qvl_flops_context_label(32768, label);
    assert_string_equal(label, "32K");
    qvl_flops_context_label(1000, label);
    assert_string_equal(label, "1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_model_by_hand),
        cmocka_unit_test(mixture_of_experts_by_hand),
        cmocka_unit_test(windows_by_hand),
        cmocka_unit_test(a_token_costs_two_flops_an_active_parameter),
        cmocka_unit_test(a_prompt_is_the_sum_of_its_tokens_and_chunks),
        cmocka_unit_test(long_context_does_not_overflow),
        cmocka_unit_test(vision_of_a_released_size),
        cmocka_unit_test(bad_workloads_are_refused),
        cmocka_unit_test(records_hold_the_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
