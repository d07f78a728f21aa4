/* The arithmetic of latency by sampling on timings made up by hand, where every answer is known exactly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/sampling.h"
#include "bench/stage_clock.h"
#include "datasets/model_tables.h"

static struct qvl_error error;
static struct qvl_model_config config;

static void read_table(const char *name)
{
    const struct qvl_model_table *table = qvl_model_table_find(name);
    assert_non_null(table);
    assert_int_equal(qvl_model_config_parse(table->json, table->size, name, &config, &error), QVL_OK);
}

static void layers_count_by_kind(void **state)
{
    (void)state;
    struct qvl_text_config whole = {.layers = 7}, part = {.layers = 3};
    whole.moe_layer[1] = whole.moe_layer[4] = true;
    part.moe_layer[1] = true;
    const double seconds[] = {2, 10, 4};
    /* Five dense layers of mean 3, two with experts of 10. */
    assert_true(qvl_sampling_layers(&whole, &part, seconds) == 5 * 3 + 2 * 10);
    assert_int_equal(qvl_sampling_layer_count(&whole, QVL_LAYER_DENSE), 5);
    assert_int_equal(qvl_sampling_layer_count(&whole, QVL_LAYER_MOE), 2);
}

/* Chunks of 4 that take 3 + depth / 2. */
static void a_straight_line_is_summed_exactly(void **state)
{
    (void)state;
    const struct qvl_depth_point points[] = {{0, 3, 0}, {8, 7, 0}, {28, 17, 0}};
    struct qvl_prefill_estimate estimate;
    qvl_sampling_prefill(points, 3, 32, 4, &estimate);
    double sum = 0;
    for (int depth = 0; depth < 32; depth += 4)
        sum += 3 + depth / 2.0;
    assert_true(fabs(estimate.seconds - sum) < 1e-12);
    assert_true(fabs(estimate.intercept - 3) < 1e-12 && fabs(estimate.slope - 0.5) < 1e-12);
    assert_true(estimate.residual < 1e-12 && estimate.error < 1e-9);
    assert_int_equal(estimate.points, 3);
    /* A shorter prompt uses the points within it, and the same line. */
    qvl_sampling_prefill(points, 3, 12, 4, &estimate);
    assert_true(fabs(estimate.seconds - (3 + 5 + 7)) < 1e-12);
    assert_int_equal(estimate.points, 2);
    /* Beyond the last point the line goes on. */
    qvl_sampling_prefill(points, 2, 32, 4, &estimate);
    assert_true(fabs(estimate.seconds - sum) < 1e-12);
}

/* Two rows of a chunk of four behind eight tokens: half of 3 + (8 - 1) / 2. */
static void a_last_chunk_counts_by_its_rows(void **state)
{
    (void)state;
    const struct qvl_depth_point points[] = {{0, 3, 0}, {8, 7, 0}};
    struct qvl_prefill_estimate estimate;
    qvl_sampling_prefill(points, 2, 10, 4, &estimate);
    assert_true(fabs(estimate.seconds - (3 + 5 + 0.5 * (3 + 7 / 2.0))) < 1e-12);
}

static void errors_add_up(void **state)
{
    (void)state;
    /* Not on a line: the middle is 2 too long. */
    const struct qvl_depth_point points[] = {{0, 4, 0.5}, {8, 10, 0.5}, {16, 12, 0.5}};
    struct qvl_prefill_estimate estimate;
    qvl_sampling_prefill(points, 3, 20, 4, &estimate);
    assert_true(fabs(estimate.seconds - (4 + 7 + 10 + 11 + 12)) < 1e-12);
    assert_true(fabs(estimate.repeat_error - 5 * 0.5) < 1e-12); /* five chunks */
    double line = 0;
    for (int depth = 0; depth < 20; depth += 4)
        line += estimate.intercept + estimate.slope * depth;
    assert_true(fabs(estimate.shape_error - fabs(line - 44)) < 1e-12);
    assert_true(estimate.shape_error > 0.1 && estimate.residual > 0.05);
    assert_true(estimate.error == estimate.repeat_error + estimate.shape_error);
    /* One point: every chunk like it. */
    qvl_sampling_prefill(points, 1, 8, 8, &estimate);
    assert_true(estimate.seconds == 4 && estimate.error == 0.5);
}

static void a_part_of_a_chunk_widens(void **state)
{
    (void)state;
    /* rows * (7 + (depth + rows / 2) / 16), of 64 rows at 4096 from 16 of them. */
    const double zero = 64 * (7 + 32 / 16.0), part_zero = 16 * (7 + 8 / 16.0);
    const double part = 16 * (7 + (4096 + 8) / 16.0);
    assert_true(fabs(qvl_sampling_widen(zero, part_zero, part, 64, 16) - 64 * (7 + (4096 + 32) / 16.0)) <
                1e-9);
    assert_int_equal(qvl_sampling_rows(2048, 16 * 2048), 512);
    assert_int_equal(qvl_sampling_rows(2048, 16 * 2048 - 1), 2048);
    assert_int_equal(qvl_sampling_rows(128, 1 << 20), 128);
}

static void plan(int64_t rows, int64_t layers, int64_t cache, int64_t available,
                 struct qvl_sampling_plan *plan)
{
    const struct qvl_sampling_request request = {.storage = QVL_BF16,
                                                 .rows = rows,
                                                 .chunk = 2048,
                                                 .layers = layers,
                                                 .cache_bytes = cache,
                                                 .available = available};
    qvl_sampling_plan(&config, &request, plan);
}

static void plans_exceed_the_cache_and_fit_into_memory(void **state)
{
    (void)state;
    const int64_t mib = 1 << 20, gib = 1 << 30;
    struct qvl_sampling_plan chosen;
    read_table("qwen3-vl-2b");
    /* 134.2 MB a layer with its cache: four reach 512 MiB. */
    plan(8192, 0, 256 * mib, 20 * gib, &chosen);
    assert_true(chosen.fits && chosen.part.layer_count == 4 && chosen.working_set >= 512 * mib);
    assert_int_equal(chosen.part.layers[0], 0);
    assert_int_equal(chosen.part.layers[3], 21);
    plan(8192, 0, 800 * mib, 20 * gib, &chosen);
    assert_int_equal(chosen.part.layer_count, 13);
    plan(8192, 0, mib, 20 * gib, &chosen);
    assert_int_equal(chosen.part.layer_count, 1);
    plan(8192, 0, 800 * gib, -1, &chosen);
    assert_int_equal(chosen.part.layer_count, 28);
    /* At a million tokens one layer's cache is 4 GiB: one layer within 8 GiB, none within 4. */
    plan(1 << 20, 0, 256 * mib, 8 * gib, &chosen);
    assert_true(chosen.fits && chosen.part.layer_count == 1);
    assert_true(chosen.needed > 4 * gib);
    plan(1 << 20, 0, 256 * mib, 4 * gib, &chosen);
    assert_true(!chosen.fits && chosen.part.layer_count == 1 && chosen.needed > 4 * gib);
    plan(8192, 3, 256 * mib, 20 * gib, &chosen);
    assert_int_equal(chosen.part.layer_count, 3);
    assert_int_equal(chosen.part.vision_blocks, 3); /* one for each DeepStack merger */
}

/* A decoder call of two layers, stage by stage: marks at made-up times. */
static void the_clock_gives_stages_their_time(void **state)
{
    (void)state;
    static struct qvl_stage_clock clock;
    static const struct {
        const char *name;
        double at;
    } marks[] = {{"model.language_model.inputs_embeds", 1},
                 {"model.language_model.layers.0.input_layernorm", 5}, /* tables 3, norm 1 */
                 {"model.language_model.layers.0.self_attn", 10},
                 {"model.language_model.layers.0.post_attention_layernorm", 11},
                 {"model.language_model.layers.0.mlp", 20},
                 {"model.language_model.layers.0", 21},
                 {"model.language_model.layers.0.deepstack_added", 21.5},
                 {"model.language_model.layers.1.input_layernorm", 22},
                 {"model.language_model.layers.1", 41.5},
                 {"model.language_model.norm", 42}};
    memset(&clock, 0, sizeof clock);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        qvl_stage_clock_mark(&clock, marks[i].name, marks[i].at);
    assert_true(clock.layers[0] == 1 + 16);
    assert_true(clock.layers[1] == 20);
    assert_true(clock.rest == 1 + 3 + 0.5 + 0.5);
    qvl_stage_clock_mark(&clock, "model.visual.patch_embed", 43);
    qvl_stage_clock_mark(&clock, "model.visual.pos_embed_interpolated", 44);
    qvl_stage_clock_mark(&clock, "model.visual.blocks.0.norm1", 44.5);
    qvl_stage_clock_mark(&clock, "model.visual.blocks.0.norm2", 47);
    qvl_stage_clock_mark(&clock, "model.visual.blocks.0", 50);
    qvl_stage_clock_mark(&clock, "model.visual.deepstack_merger_list.0.norm", 51);
    qvl_stage_clock_mark(&clock, "model.visual.deepstack_merger_list.0", 53);
    qvl_stage_clock_mark(&clock, "model.visual.blocks.1", 60);
    qvl_stage_clock_mark(&clock, "model.visual.merger.linear_fc1", 61);
    qvl_stage_clock_mark(&clock, "model.visual.merger", 64);
    assert_true(clock.blocks[0] == 6 && clock.deepstack[0] == 3 && clock.blocks[1] == 7);
    assert_true(clock.merger == 4);
    assert_true(clock.rest == 5 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers_count_by_kind),
                                       cmocka_unit_test(a_straight_line_is_summed_exactly),
                                       cmocka_unit_test(a_last_chunk_counts_by_its_rows),
                                       cmocka_unit_test(errors_add_up),
                                       cmocka_unit_test(a_part_of_a_chunk_widens),
                                       cmocka_unit_test(plans_exceed_the_cache_and_fit_into_memory),
                                       cmocka_unit_test(the_clock_gives_stages_their_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
