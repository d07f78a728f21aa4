/* Memory of deployments against sums done by hand, and what fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/memory_fit.h"
#include "configs.h"

static struct qvl_hardware_table hardware;

static struct qvl_deployment deploy(const struct qvl_model_config *config, const char *device, int64_t ways)
{
    return (struct qvl_deployment){
        .config = config, .device = {qvl_hardware_find(&hardware, device), NULL}, .ways = ways, .batch = 1};
}

static void fp8(struct qvl_deployment *deployment)
{
    deployment->weights = deployment->experts = QVL_PUBLISHED_FP8_BLOCK;
}

/* Parameter counts of the releases times two bytes; fp8 leaves embedding, head and tower in bf16. */
static void weighs_the_released_sizes(void **state)
{
    static const struct {
        const char *name;
        double bf16, fp8;
    } sizes[] = {
        /* 2B, tied: (1,720,574,976 - 311,164,928) + 2 (311,164,928 + 406,957,056) */
        {"qwen3-vl-2b", 2 * 2127532032.0, 2845654016.0},
        /* 8B, own head: (8,190,735,360 - 1,244,659,712) + 2 (1,244,659,712 + 576,388,336) */
        {"qwen3-vl-8b", 2 * 8767123696.0, 10588171744.0},
        {"qwen3-vl-235b-a22b", 2 * 235670022896.0, 237491070944.0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct qvl_model_config config = config_of(sizes[i].name);
        struct qvl_deployment deployment = deploy(&config, "h100-sxm", 1);
        assert_true(qvl_deployment_weight_bytes(&deployment) == sizes[i].bf16);
        fp8(&deployment);
        assert_true(qvl_deployment_weight_bytes(&deployment) == sizes[i].fp8);
    }
}

/* 4 key and value heads over 8 devices: each holds a copy of one. */
static void copies_scarce_heads(void **state)
{
    const struct qvl_model_config config = config_of("qwen3-vl-235b-a22b");
    const struct qvl_deployment deployment = deploy(&config, "h100-sxm", 8);
    (void)state;
    assert_int_equal(qvl_deployment_kv_heads(&deployment), 1);
    assert_true(qvl_deployment_cache_bytes(&deployment) == 2.0 * 94 * 128 * 2);
    /* 4 more heads of key and value projections of 94 layers, 128 x 4096 each */
    assert_true(qvl_deployment_weight_bytes(&deployment) ==
                (2 * 235670022896.0 + 4 * 2 * 94 * 128 * 4096.0 * 2) / 8);
}

static void sums_the_parts(void **state)
{
    const struct qvl_model_config config = config_of("qwen3-vl-8b");
    const struct qvl_deployment deployment = deploy(&config, "h100-sxm", 1);
    const struct qvl_memory_load load = {32768, NULL, 0};
    (void)state;
    const struct qvl_memory memory = qvl_memory_count(&deployment, &load);
    assert_true(memory.cache == 32768 * 36.0 * 2 * 8 * 128 * 2);
    /* 8192 rows: residual, norm and gate, up, product of 12288; float32 logits and probabilities of one row
     */
    assert_true(memory.activations == 8192.0 * (2 * 4096 + 3 * 12288) * 2 + 151936 * 8);
    assert_true(memory.reserve == 1e9 + 0.05 * 80e9);
    assert_true(memory.total == memory.weights + memory.cache + memory.activations + memory.reserve);
    assert_true(memory.fits);
    /* a picture of 68 x 120 patches: 2040 tokens of four feature sets, and blocks narrower than the prefill
     */
    const struct qvl_grid grid = {1, 68, 120};
    const struct qvl_memory_load seen = {32768, &grid, 1};
    assert_true(qvl_memory_activations(&deployment, &seen) == memory.activations + 2040 * 4096.0 * 4 * 2);
    /* 512 of them: the tower is wider than the prefill */
    const struct qvl_grid video = {512, 68, 120};
    const struct qvl_memory_load watched = {2000000, &video, 1};
    assert_true(qvl_memory_activations(&deployment, &watched) ==
                512 * 2040 * 4096.0 * 4 * 2 + 512 * 8160 * (1536.0 + 2 * 1152 + 2 * 4304) * 2);
}

static void finds_what_fits(void **state)
{
    const struct qvl_model_config small = config_of("qwen3-vl-8b"), large = config_of("qwen3-vl-235b-a22b");
    const struct qvl_memory_load load = {8192, NULL, 0};
    struct qvl_deployment deployment = deploy(&large, "h100-sxm", 1);
    (void)state;
    assert_int_equal(qvl_memory_least_ways(&deployment, &load), 8); /* 471 GB over 80 GB each */
    fp8(&deployment);
    assert_int_equal(qvl_memory_least_ways(&deployment, &load), 4);
    deployment = deploy(&large, "agx-thor", 1); /* no link, 128 GB */
    assert_int_equal(qvl_memory_least_ways(&deployment, &load), 0);
    assert_int_equal(qvl_memory_max_batch(&deployment, &load), 0);
    assert_int_equal(qvl_memory_max_context(&deployment, &load), 0);
    deployment = deploy(&small, "epyc-9965", 1); /* memory not stated */
    assert_true(qvl_memory_max_context(&deployment, &load) == INT64_MAX);
    deployment = deploy(&small, "rtx4090", 1);
    assert_int_equal(qvl_memory_least_ways(&deployment, &load), 1);
}

/* The largest that fits fits, and one more does not. */
static void limits_are_tight(void **state)
{
    const struct qvl_model_config config = config_of("qwen3-vl-8b");
    struct qvl_deployment deployment = deploy(&config, "h100-sxm", 1);
    struct qvl_memory_load load = {8192, NULL, 0};
    (void)state;
    load.context = qvl_memory_max_context(&deployment, &load);
    assert_true(qvl_memory_count(&deployment, &load).fits);
    load.context++;
    assert_false(qvl_memory_count(&deployment, &load).fits);
    load.context = 8192;
    deployment.batch = qvl_memory_max_batch(&deployment, &load);
    assert_true(deployment.batch > 40 && deployment.batch < 50);
    assert_true(qvl_memory_count(&deployment, &load).fits);
    deployment.batch++;
    assert_false(qvl_memory_count(&deployment, &load).fits);
}

static void heads_must_divide(void **state)
{
    struct qvl_model_config config = config_of("qwen3-vl-8b");
    struct qvl_deployment deployment = deploy(&config, "h100-sxm", 8);
    struct qvl_error error = {.message = ""};
    (void)state;
    assert_int_equal(qvl_deployment_check(&deployment, &error), QVL_OK);
    deployment.ways = 3;
    assert_int_equal(qvl_deployment_check(&deployment, &error), QVL_UNSUPPORTED);
    struct qvl_model_time time;
    deployment.ways = 0;
    assert_int_equal(qvl_time_decode(&deployment, 1, &time, &error), QVL_UNSUPPORTED);
    assert_int_equal(qvl_time_prefill(&deployment, 0, 1, &time, &error), QVL_UNSUPPORTED);
    deployment.ways = 4;
    config.text.kv_heads = 6;
    assert_int_equal(qvl_deployment_check(&deployment, &error), QVL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "key and value heads"));
}

static int setup(void **state)
{
    (void)state;
    return qvl_hardware_load(NULL, &hardware, NULL) == QVL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    qvl_hardware_free(&hardware);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weighs_the_released_sizes),
        cmocka_unit_test(copies_scarce_heads),
        cmocka_unit_test(sums_the_parts),
        cmocka_unit_test(finds_what_fits),
        cmocka_unit_test(limits_are_tight),
        cmocka_unit_test(heads_must_divide),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
