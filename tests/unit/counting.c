/* bench/counting.c against bench/flops.c: what the calls of a running model add up to is what the formulas
 * say, FLOP for FLOP and byte for byte, on every small checkpoint, for every kind of prompt and every way to
 * run it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "base/random.h"
#include "bench/counting.h"
#include "datasets/checkpoint.h"
#include "model/engine.h"
#include "ref/ref.h"

#define MAX_STEPS 3

struct bench {
    struct qvl_backend *inner, *backend;
    struct qvl_model *model;
    const struct qvl_model_config *config;
    enum qvl_dtype storage;
    struct qvl_flops expected; /* by the formulas, of all that ran */
    int64_t experts_touched;   /* of all that ran */
};

static struct qvl_error error;

#define ASSERT_GOOD(call)                                                                                    \
    do {                                                                                                     \
        if ((call) != QVL_OK)                                                                                \
            fail_msg("%s", error.message);                                                                   \
    } while (0)

/* Without the fused merger the model takes its parts. */
static void open_bench(struct bench *bench, const char *preset, qvl_backend_open_fn *open,
                       enum qvl_dtype storage, bool fused)
{
    char folder[96];
    const struct qvl_backend_options options = {.threads = 2};
    const struct qvl_model_options model_options = {.storage = storage};
    *bench = (struct bench){.storage = storage};
    snprintf(folder, sizeof folder, "build/test-counting-%s", preset);
    ASSERT_GOOD(qvl_checkpoint_write(qvl_checkpoint_preset(preset), folder, &error));
    ASSERT_GOOD(open(&options, &bench->inner, &error));
    if (!fused)
        bench->inner->ops.merger = NULL;
    ASSERT_GOOD(qvl_counting_open(bench->inner, &bench->backend, &error));
    ASSERT_GOOD(qvl_model_load(folder, bench->backend, &model_options, &bench->model, &error));
    bench->config = qvl_model_get_config(bench->model);
    assert_non_null(
        strstr(qvl_model_plan(bench->model), fused ? "fused merger" : "layer_norm, linear, gelu, linear"));
}

static void close_bench(struct bench *bench)
{
    qvl_model_destroy(bench->model);
    bench->backend->close(bench->backend);
    bench->inner->close(bench->inner);
}

/* ---- Prompts ---- */

struct medium {
    bool video;
    struct qvl_grid cells; /* merged */
};

struct prompt_case {
    const char *name;
    struct medium media[4];
    int64_t media_count;
};

static const struct prompt_case prompt_cases[] = {
    {"text", {{0}}, 0},
    {"image", {{false, {1, 3, 4}}}, 1},
    {"three images", {{false, {1, 2, 5}}, {false, {1, 4, 3}}, {false, {1, 1, 1}}}, 3},
    {"video of five frames", {{true, {3, 2, 3}}}, 1},
    {"mixed", {{true, {2, 3, 2}}, {false, {1, 2, 2}}, {true, {1, 1, 4}}}, 3},
};

static void add_text(const struct bench *bench, struct qvl_prompt *prompt, int64_t count)
{
    (void)bench;
    for (int64_t i = 0; i < count; i++, prompt->count++)
        prompt->ids[prompt->count] = (int64_t)qvl_random_below(5, 0, (uint64_t)prompt->count, 200);
}

/* Its tokens, a stamp's worth of text in front of each frame of a video. */
static void add_medium(const struct bench *bench, struct qvl_prompt *prompt, const struct medium *medium)
{
    const struct qvl_vision_config *vision = &bench->config->vision;
    const int64_t merge = vision->merge;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    const struct qvl_grid *cells = &medium->cells;
    const int64_t values = cells->t * cells->h * cells->w * merge * merge * width;
    struct qvl_visual *visual = &prompt->visuals[prompt->visual_count++];
    *visual = (struct qvl_visual){.is_video = medium->video,
                                  .grid = {cells->t, cells->h * merge, cells->w * merge},
                                  .rows = malloc(sizeof(float) * (size_t)values)};
    for (int64_t i = 0; i < values; i++)
        visual->rows[i] = (float)(2 * qvl_random_uniform(7, (uint64_t)prompt->count, (uint64_t)i) - 1);
    for (int64_t t = 0; t < cells->t; t++) {
        add_text(bench, prompt, medium->video ? 6 : 1);
        prompt->ids[prompt->count++] = bench->config->vision_start_token;
        for (int64_t i = 0; i < cells->h * cells->w; i++)
            prompt->ids[prompt->count++] =
                medium->video ? bench->config->video_token : bench->config->image_token;
        prompt->ids[prompt->count++] = bench->config->vision_end_token;
    }
}

static struct qvl_prompt make_prompt(const struct bench *bench, const struct prompt_case *wanted)
{
    int64_t room = 64;
    for (int64_t i = 0; i < wanted->media_count; i++)
        room += wanted->media[i].cells.t * (wanted->media[i].cells.h * wanted->media[i].cells.w + 8);
    struct qvl_prompt prompt = {.ids = malloc(sizeof(int64_t) * (size_t)room),
                                .visuals = calloc(4, sizeof *prompt.visuals)};
    add_text(bench, &prompt, 11);
    for (int64_t i = 0; i < wanted->media_count; i++)
        add_medium(bench, &prompt, &wanted->media[i]);
    add_text(bench, &prompt, 7);
    return prompt;
}

/* ---- Running, and the formulas beside it ---- */

static struct qvl_sequence *start(struct bench *bench, const struct prompt_case *wanted, int64_t *length)
{
    struct qvl_sequence *sequence = NULL;
    struct qvl_prompt prompt = make_prompt(bench, wanted);
    ASSERT_GOOD(qvl_sequence_create(bench->model, prompt.count + 8, &sequence, &error));
    ASSERT_GOOD(qvl_sequence_prompt(sequence, &prompt, NULL, &error));
    for (int64_t i = 0; i < prompt.visual_count; i++)
        ASSERT_GOOD(qvl_flops_add_tower(bench->config, &prompt.visuals[i].grid, bench->storage,
                                        &bench->expected, &error));
    *length = prompt.count;
    qvl_prompt_free(&prompt);
    return sequence;
}

/* Visual tokens among the next `count` of a sequence. */
static int64_t visual_rows(const struct qvl_sequence *sequence, int64_t count)
{
    const struct qvl_positions *positions = qvl_sequence_positions(sequence);
    const int64_t first = qvl_sequence_length(sequence);
    int64_t rows = 0;
    for (int64_t i = 0; i < positions->visual_count; i++)
        rows += positions->visual[i] >= first && positions->visual[i] < first + count;
    return rows;
}

static void forward(struct bench *bench, const struct qvl_step *steps, int64_t count)
{
    struct qvl_flops_group groups[MAX_STEPS];
    struct qvl_counting counting;
    struct qvl_flops pass;
    int64_t logit_count = 0, visual = 0;
    for (int64_t i = 0; i < count; i++) {
        visual += visual_rows(steps[i].sequence, steps[i].count);
        groups[i] = (struct qvl_flops_group){1, qvl_sequence_length(steps[i].sequence), steps[i].count,
                                             steps[i].logit_count};
        logit_count += steps[i].logit_count;
    }
    float *logits = malloc(sizeof(float) * (size_t)((logit_count + 1) * bench->config->text.vocab));
    ASSERT_GOOD(qvl_model_forward(bench->model, steps, count, logits, NULL, &error));
    free(logits);
    qvl_counting_read(bench->backend, &counting);
    const struct qvl_flops_workload workload = {.batch = 1,
                                                .cached = groups[0].cached,
                                                .tokens = groups[0].tokens,
                                                .logits = groups[0].logits,
                                                .storage = bench->storage,
                                                .others = groups + 1,
                                                .other_count = count - 1,
                                                .visual_tokens = visual,
                                                .experts_touched =
                                                    counting.experts_touched - bench->experts_touched};
    bench->experts_touched = counting.experts_touched;
    ASSERT_GOOD(qvl_flops_count(bench->config, &workload, &pass, &error));
    qvl_flops_add(&bench->expected, &pass);
}

static const int64_t first_rows[] = {0, 1, 2};

/* The last chunk gives the logits of its first rows, `logits` at most. */
static void prefill(struct bench *bench, struct qvl_sequence *sequence, int64_t chunk, int64_t logits)
{
    for (int64_t pending; (pending = qvl_sequence_pending(sequence)) > 0;) {
        const int64_t count = pending < chunk ? pending : chunk;
        const struct qvl_step step = {.sequence = sequence,
                                      .count = count,
                                      .logit_rows = first_rows,
                                      .logit_count = pending > chunk  ? 0
                                                     : logits < count ? logits
                                                                      : count};
        forward(bench, &step, 1);
    }
}

static const int64_t token = 17;

static struct qvl_step decode_step(struct qvl_sequence *sequence)
{
    return (struct qvl_step){
        .sequence = sequence, .tokens = &token, .count = 1, .logit_rows = first_rows, .logit_count = 1};
}

/* ---- Comparing ---- */

static const struct qvl_flops_stage *stage_or_zero(const struct qvl_flops *flops, const char *name)
{
    static const struct qvl_flops_stage zero;
    const struct qvl_flops_stage *stage = qvl_flops_find(flops, name);
    return stage ? stage : &zero;
}

/* The number of stages that differ. */
static int differences(const struct qvl_flops *counted, const struct qvl_flops *expected, bool tell,
                       const char *where)
{
    int count = 0;
    const struct qvl_flops *const sides[2] = {counted, expected};
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < sides[side]->count; i++) {
            const char *name = sides[side]->stages[i].name;
            const struct qvl_flops_stage *a = stage_or_zero(counted, name);
            const struct qvl_flops_stage *b = stage_or_zero(expected, name);
            bool alike = qvl_flops_find(counted, name) && qvl_flops_find(expected, name)
                             ? a->work == b->work && a->vision == b->vision
                             : true;
            if (alike && a->flops == b->flops && a->bytes == b->bytes)
                continue;
            count++;
            if (tell)
                print_error("%s: %s: %lld FLOPs and %.1f bytes counted, %lld and %.1f by formula\n", where,
                            name, (long long)a->flops, a->bytes, (long long)b->flops, b->bytes);
        }
    }
    return count;
}

static void check(struct bench *bench, const char *preset, const char *prompt, const char *way)
{
    char where[160];
    struct qvl_counting counting;
    qvl_counting_read(bench->backend, &counting);
    snprintf(where, sizeof where, "%s, %s, %s", preset, prompt, way);
    assert_true(counting.calls > 0);
    assert_true(counting.stages.count >= 7);
    assert_int_equal(differences(&counting.stages, &bench->expected, true, where), 0);
    qvl_counting_reset(bench->backend);
    bench->expected = (struct qvl_flops){0};
    bench->experts_touched = 0;
}

static void run_case(struct bench *bench, const char *preset, const struct prompt_case *prompt)
{
    int64_t length;
    struct qvl_sequence *whole = start(bench, prompt, &length);
    prefill(bench, whole, length, 1);
    check(bench, preset, prompt->name, "whole");

    struct qvl_sequence *chunked = start(bench, prompt, &length);
    prefill(bench, chunked, 7, 3);
    check(bench, preset, prompt->name, "in chunks of 7");

    for (int i = 0; i < 2; i++) {
        const struct qvl_step step = decode_step(whole);
        forward(bench, &step, 1);
    }
    check(bench, preset, prompt->name, "decode");

    /* One decodes, one begins its prompt, one has the middle of it. */
    struct qvl_sequence *fresh = start(bench, prompt, &length);
    struct qvl_sequence *middle = start(bench, prompt, &length);
    prefill(bench, middle, length, 1);
    ASSERT_GOOD(qvl_sequence_truncate(middle, 4, &error));
    const struct qvl_step steps[MAX_STEPS] = {
        {.sequence = fresh, .count = 5, .logit_rows = first_rows, .logit_count = 2},
        decode_step(chunked),
        {.sequence = middle, .count = length - 9, .logit_rows = first_rows, .logit_count = 0}};
    forward(bench, steps, MAX_STEPS);
    check(bench, preset, prompt->name, "ragged");
    qvl_sequence_destroy(whole);
    qvl_sequence_destroy(chunked);
    qvl_sequence_destroy(fresh);
    qvl_sequence_destroy(middle);
}

static void every_checkpoint_prompt_and_way(void **state)
{
    (void)state;
    int presets = 0;
    for (int64_t p = 0; qvl_checkpoint_preset_at(p); p++) {
        const struct qvl_checkpoint_spec *spec = qvl_checkpoint_preset_at(p);
        struct bench bench;
        if (spec->hidden > 512) /* the shapes of a released model */
            continue;
        open_bench(&bench, spec->name, qvl_cpu_open, presets % 2 ? QVL_BF16 : QVL_F32, presets % 3 != 1);
        for (size_t i = 0; i < sizeof prompt_cases / sizeof *prompt_cases; i++)
            run_case(&bench, spec->name, &prompt_cases[i]);
        close_bench(&bench);
        presets++;
    }
    assert_int_equal(presets, 7);
}

/* The merger and its parts count the same; so does another backend. */
static void fused_entries_and_backends_do_not_matter(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        struct bench bench;
        open_bench(&bench, "moe", variant == 2 ? qvl_ref_open : qvl_cpu_open, QVL_F32, variant != 1);
        run_case(&bench, "moe", &prompt_cases[4]);
        close_bench(&bench);
    }
}

/* 5 frames of 44 x 44 patches pass the tower four and one at a time. */
static void long_videos_take_several_passes(void **state)
{
    (void)state;
    const struct prompt_case video = {"long video", {{true, {5, 22, 22}}}, 1};
    const struct qvl_grid grid = {5, 44, 44};
    struct bench bench;
    int64_t length;
    assert_int_equal(qvl_vision_frames_at_once(&grid), 4);
    open_bench(&bench, "audit", qvl_cpu_open, QVL_F32, true);
    struct qvl_sequence *sequence = start(&bench, &video, &length);
    check(&bench, "audit", "long video", "tower alone");
    prefill(&bench, sequence, 1024, 1);
    check(&bench, "audit", "long video", "in chunks of 1024");
    qvl_sequence_destroy(sequence);
    close_bench(&bench);
}

/* One formula of the whole prompt, as `flops` prints it, is the count of an unchunked run. */
static void one_pass_is_one_formula(void **state)
{
    (void)state;
    struct bench bench;
    int64_t length;
    struct qvl_counting counting;
    struct qvl_flops formula;
    const struct qvl_grid grid = {1, 6, 8};
    open_bench(&bench, "small-dense-tied", qvl_cpu_open, QVL_F32, true);
    struct qvl_sequence *sequence = start(&bench, &prompt_cases[1], &length);
    prefill(&bench, sequence, length, 1);
    const struct qvl_flops_workload workload = {
        .batch = 1, .tokens = length, .logits = 1, .grids = &grid, .grid_count = 1, .storage = QVL_F32};
    ASSERT_GOOD(qvl_flops_count(bench.config, &workload, &formula, &error));
    qvl_counting_read(bench.backend, &counting);
    assert_int_equal(differences(&counting.stages, &formula, true, "one pass"), 0);
    qvl_sequence_destroy(sequence);
    close_bench(&bench);
}

/* Formulas of another model, of one more cached token or of half the attention do not pass. */
static void what_differs_is_seen(void **state)
{
    (void)state;
    struct bench bench;
    int64_t length;
    struct qvl_counting counting;
    struct qvl_flops formula;
    open_bench(&bench, "moe", qvl_cpu_open, QVL_F32, true);
    struct qvl_sequence *sequence = start(&bench, &prompt_cases[0], &length);
    prefill(&bench, sequence, length, 1);
    qvl_counting_read(bench.backend, &counting);
    assert_null(qvl_flops_find(&counting.stages, "unplaced"));
    assert_null(qvl_flops_find(&counting.stages, "merger"));
    struct qvl_flops_workload workload = {.batch = 1,
                                          .tokens = length,
                                          .logits = 1,
                                          .storage = QVL_F32,
                                          .experts_touched = counting.experts_touched};
    struct qvl_model_config config = *bench.config;
    ASSERT_GOOD(qvl_flops_count(&config, &workload, &formula, &error));
    assert_int_equal(differences(&counting.stages, &formula, true, "the same"), 0);
    workload.cached = 1; /* attention and its softmax */
    ASSERT_GOOD(qvl_flops_count(&config, &workload, &formula, &error));
    assert_int_equal(differences(&counting.stages, &formula, false, ""), 4); /* seen from both sides */
    workload.cached = 0;
    workload.experts_touched++;
    ASSERT_GOOD(qvl_flops_count(&config, &workload, &formula, &error));
    assert_int_equal(differences(&counting.stages, &formula, false, ""), 2);
    workload.experts_touched--;
    config.text.experts_per_token++;
    ASSERT_GOOD(qvl_flops_count(&config, &workload, &formula, &error));
    assert_int_equal(differences(&counting.stages, &formula, false, ""),
                     6); /* experts, softmax, elementwise */
    qvl_sequence_destroy(sequence);
    close_bench(&bench);
}

/* Counting changes no result, and a copy of a sequence counts on. */
static void results_are_the_inner_backends(void **state)
{
    (void)state;
    struct bench bench;
    int64_t length;
    float *logits[2];
    open_bench(&bench, "small-dense-tied", qvl_ref_open, QVL_F32, true);
    struct qvl_model *plain;
    const struct qvl_model_options options = {.storage = QVL_F32};
    ASSERT_GOOD(
        qvl_model_load("build/test-counting-small-dense-tied", bench.inner, &options, &plain, &error));
    struct qvl_prompt prompt = make_prompt(&bench, &prompt_cases[4]);
    length = prompt.count;
    struct qvl_model *const models[2] = {plain, bench.model};
    for (int i = 0; i < 2; i++) {
        struct qvl_sequence *sequence, *copy;
        const struct qvl_step step = {.count = length - 1};
        struct qvl_step last = {.count = 1, .logit_rows = first_rows, .logit_count = 1};
        logits[i] = malloc(sizeof(float) * (size_t)bench.config->text.vocab);
        ASSERT_GOOD(qvl_sequence_create(models[i], length, &sequence, &error));
        ASSERT_GOOD(qvl_sequence_prompt(sequence, &prompt, NULL, &error));
        struct qvl_step first = step;
        first.sequence = sequence;
        ASSERT_GOOD(qvl_model_forward(models[i], &first, 1, NULL, NULL, &error));
        ASSERT_GOOD(qvl_sequence_fork(sequence, &copy, &error));
        qvl_sequence_destroy(sequence);
        last.sequence = copy;
        ASSERT_GOOD(qvl_model_forward(models[i], &last, 1, logits[i], NULL, &error));
        qvl_sequence_destroy(copy);
    }
    assert_memory_equal(logits[0], logits[1], sizeof(float) * (size_t)bench.config->text.vocab);
    free(logits[0]);
    free(logits[1]);
    qvl_prompt_free(&prompt);
    qvl_model_destroy(plain);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint_prompt_and_way),
        cmocka_unit_test(fused_entries_and_backends_do_not_matter),
        cmocka_unit_test(long_videos_take_several_passes),
        cmocka_unit_test(one_pass_is_one_formula),
        cmocka_unit_test(what_differs_is_seen),
        cmocka_unit_test(results_are_the_inner_backends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
