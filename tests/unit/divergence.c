/* Planted faults at each kind of stage, made by changing the result of one call of one op: the first
 * divergence is named exactly, free-running and on the reference's inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "datasets/checkpoint.h"
#include "ref/ref.h"
#include "verify/divergence.h"

#define FOLDER "build/test-divergence"
#define TEXT_BEFORE 6
#define CELLS 15
#define TEXT_AFTER 9

static struct qvl_prompt prompt;
static struct qvl_model_config config;

static int set_up(void **state)
{
    struct qvl_error error;
    (void)state;
    if (qvl_checkpoint_write(qvl_checkpoint_preset("small-dense-tied"), FOLDER, &error) != QVL_OK ||
        qvl_model_config_read(FOLDER, &config, &error) != QVL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    /* Text, an image of 3 x 5 merged cells, text. */
    const int64_t width =
        config.vision.channels * config.vision.temporal_patch * config.vision.patch * config.vision.patch;
    prompt = (struct qvl_prompt){.count = TEXT_BEFORE + CELLS + TEXT_AFTER, .visual_count = 1};
    prompt.ids = malloc(sizeof(int64_t) * (size_t)prompt.count);
    for (int64_t i = 0; i < prompt.count; i++)
        prompt.ids[i] = i >= TEXT_BEFORE && i < TEXT_BEFORE + CELLS
                            ? config.image_token
                            : (int64_t)qvl_random_below(3, 0, (uint64_t)i, 200);
    prompt.visuals = calloc(1, sizeof *prompt.visuals);
    prompt.visuals[0].grid = (struct qvl_grid){1, 6, 10};
    prompt.visuals[0].rows = malloc(sizeof(float) * (size_t)(60 * width));
    for (int64_t i = 0; i < 60 * width; i++)
        prompt.visuals[0].rows[i] = (float)(2 * qvl_random_uniform(3, 1, (uint64_t)i) - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qvl_prompt_free(&prompt);
    return 0;
}

/* ---- A backend that adds to one element of the result of its n-th call of one op ---- */

enum op {
    PATCH_EMBED,
    POS_INTERP,
    LINEAR,
    LAYER_NORM,
    ADD,
    MERGER,
    SCATTER,
    RMS_NORM,
    ATTENTION,
    SWIGLU,
    ADD_ROWS,
    HEAD
};

static struct {
    enum op op;
    int call; /* counted from 0 in one forward pass of the whole prompt */
    int64_t row, column;
    float change;
    int calls; /* so far */
} fault;

static struct qvl_ops honest;

static enum qvl_status spoil(struct qvl_backend *backend, const struct qvl_tensor *y, enum op op,
                             struct qvl_error *error)
{
    if (op != fault.op || fault.calls++ != fault.call)
        return QVL_OK;
    const size_t count = (size_t)qvl_tensor_count(y);
    const size_t at = (size_t)(fault.row * (int64_t)count / y->shape[0] + fault.column);
    void *raw = malloc(count * sizeof(float));
    QVL_TRY(backend->download(backend, y, raw, error));
    if (y->dtype == QVL_F32)
        ((float *)raw)[at] += fault.change;
    else
        ((uint16_t *)raw)[at] = qvl_f32_to_bf16(qvl_bf16_to_f32(((uint16_t *)raw)[at]) + fault.change);
    const enum qvl_status status = backend->upload(backend, y, raw, error);
    free(raw);
    return status;
}

#define WRAP(name, op)                                                                                       \
    static enum qvl_status wrong_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,   \
                                        struct qvl_error *error)                                             \
    {                                                                                                        \
        QVL_TRY(honest.name(backend, args, error));                                                          \
        return spoil(backend, &args->y, op, error);                                                          \
    }
WRAP(patch_embed, PATCH_EMBED)
WRAP(pos_interp, POS_INTERP)
WRAP(linear, LINEAR)
WRAP(layer_norm, LAYER_NORM)
WRAP(add, ADD)
WRAP(merger, MERGER)
WRAP(scatter_rows, SCATTER)
WRAP(rms_norm, RMS_NORM)
WRAP(attention, ATTENTION)
WRAP(swiglu, SWIGLU)
WRAP(add_rows, ADD_ROWS)
WRAP(output_head, HEAD)
#undef WRAP

static enum qvl_status open_wrong(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                  struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    struct qvl_ops *ops = &(*backend)->ops;
    honest = *ops;
    fault.calls = 0;
    ops->patch_embed = wrong_patch_embed;
    ops->pos_interp = wrong_pos_interp;
    ops->linear = wrong_linear;
    ops->layer_norm = wrong_layer_norm;
    ops->add = wrong_add;
    ops->merger = wrong_merger;
    ops->scatter_rows = wrong_scatter_rows;
    ops->rms_norm = wrong_rms_norm;
    ops->attention = wrong_attention;
    ops->swiglu = wrong_swiglu;
    ops->add_rows = wrong_add_rows;
    ops->output_head = wrong_output_head;
    return QVL_OK;
}

static void verify(enum qvl_dtype storage, int64_t chunk, struct qvl_stage_report *report)
{
    const struct qvl_stage_options options = {
        .storage = storage, .chunk = chunk, .draws = 2, .seed = 5, .threads = 1, .logit_rows = 30};
    struct qvl_error error = {0};
    if (qvl_verify_stages(FOLDER, &prompt, qvl_ref_open, open_wrong, &options, report, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

/* Calls of one op come in a fixed order: `first` of the tower or decoder, then `step` a block or layer. */
static const struct {
    enum op op;
    int call;
    int64_t row, column;
    const char *stage;
    bool moved; /* the changed element is not the stage's own: only the row is known */
} faults[] = {
    {PATCH_EMBED, 0, 13, 5, "model.visual.patch_embed", false},
    {POS_INTERP, 0, 59, 95, "model.visual.pos_embed_interpolated", false},
    {LAYER_NORM, 4, 7, 1, "model.visual.blocks.2.norm1", false},
    {LINEAR, 8, 22, 200, "model.visual.blocks.2.attn.qkv", false},
    {LINEAR, 9, 22, 20, "model.visual.blocks.2.attn", false},
    {LAYER_NORM, 5, 1, 2, "model.visual.blocks.2.norm2", false},
    {LINEAR, 10, 0, 17, "model.visual.blocks.2.mlp.linear_fc1", false},
    {LINEAR, 11, 41, 3, "model.visual.blocks.2.mlp", false},
    {ADD, 6, 30, 9, "model.visual.blocks.2", false},
    {MERGER, 0, 14, 60, "model.visual.deepstack_merger_list.0", false},
    {MERGER, 1, 3, 61, "model.visual.deepstack_merger_list.1", false},
    {MERGER, 2, 8, 4, "model.visual.merger", false},
    {SCATTER, 0, TEXT_BEFORE + 2, 11, "model.language_model.inputs_embeds", false},
    {RMS_NORM, 4, 25, 11, "model.language_model.layers.1.input_layernorm", false},
    {RMS_NORM, 5, 12, 100, "model.language_model.layers.1.self_attn.q_norm", false},
    {RMS_NORM, 6, 29, 31, "model.language_model.layers.1.self_attn.k_norm", false},
    {ATTENTION, 1, 17, 3, "model.language_model.layers.1.self_attn", true},
    {RMS_NORM, 7, 0, 8, "model.language_model.layers.1.post_attention_layernorm", false},
    {SWIGLU, 2, 19, 77, "model.language_model.layers.2.mlp", true},
    {ADD_ROWS, 1, TEXT_BEFORE + 14, 50, "model.language_model.layers.1.deepstack_added", false},
    {RMS_NORM, 16, 29, 111, "model.language_model.norm", false},
    {HEAD, 0, 21, 500, "logits", false},
};

static void check_first(const struct qvl_stage_run *run, size_t i, const char *mode)
{
    if (run->first < 0)
        fail_msg("%s: no stage failed; %s should have", mode, faults[i].stage);
    const struct qvl_stage_result *first = &run->results[run->first];
    if (strcmp(first->name, faults[i].stage) != 0)
        fail_msg("%s: first divergence %s (margin %g), not %s", mode, first->name, first->margin,
                 faults[i].stage);
    assert_int_equal(first->row, faults[i].row);
    assert_int_equal(first->failed_rows, 1);
    if (!faults[i].moved) {
        assert_int_equal(first->column, faults[i].column);
        assert_int_equal(first->failures, 1);
    }
}

static void faults_are_located(void **state)
{
    (void)state;
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16};
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            struct qvl_stage_report report;
            fault.op = faults[i].op;
            fault.call = faults[i].call;
            fault.row = faults[i].row;
            fault.column = faults[i].column;
            fault.change = t == 0 ? 0.05F : 2.0F;
            verify(types[t], 0, &report);
            check_first(&report.free, i, "free");
            check_first(&report.forced, i, "forced");
            /* Nothing errs on right inputs but the stage itself. */
            if (report.forced.failed != 1)
                fail_msg("%s: %lld stages err on right inputs", faults[i].stage,
                         (long long)report.forced.failed);
            char verdict[QVL_VERDICT_BYTES];
            qvl_divergence_verdict(&report, &prompt, &config, verdict);
            assert_non_null(strstr(verdict, faults[i].stage));
            assert_non_null(strstr(verdict, "it arises there"));
            qvl_stage_report_free(&report);
        }
}

/* In pieces of 7 tokens the second call of an op of the decoder is the second piece: its rows count from
 * there. */
static void pieces_keep_their_place(void **state)
{
    (void)state;
    struct qvl_stage_report report;
    fault.op = ATTENTION;
    fault.call = (int)config.text.layers + 1;
    fault.row = 3;
    fault.column = 0;
    fault.change = 0.05F;
    verify(QVL_F32, 7, &report);
    const struct qvl_stage_result *first = &report.forced.results[report.forced.first];
    assert_string_equal(first->name, "model.language_model.layers.1.self_attn");
    assert_int_equal(first->row, 10);
    assert_int_equal(report.free.results[report.free.first].row, 10);
    qvl_stage_report_free(&report);
}

static void an_honest_backend_shows_none(void **state)
{
    (void)state;
    const int64_t chunks[] = {0, 5};
    fault.call = -1;
    for (int c = 0; c < 2; c++) {
        struct qvl_stage_report report;
        char verdict[QVL_VERDICT_BYTES];
        verify(QVL_BF16, chunks[c], &report);
        assert_int_equal(report.free.failed + report.forced.failed, 0);
        qvl_divergence_verdict(&report, &prompt, &config, verdict);
        assert_non_null(strstr(verdict, "no divergence"));
        qvl_stage_report_free(&report);
    }
}

/* ---- Places ---- */

static struct qvl_stage_place place_of(const char *stage, int64_t row, int64_t column)
{
    struct qvl_stage_place place;
    qvl_stage_locate(stage, row, column, &prompt, &config, &place);
    return place;
}

static void places_are_found(void **state)
{
    (void)state;
    char text[160];
    /* Cells of 2 x 2 patches, 5 in a row: patch row 27 is patch 3 of cell 6, cell row 1 column 1. */
    struct qvl_stage_place place = place_of("model.visual.blocks.12.mlp", 27, 4);
    assert_int_equal(place.layer, 12);
    assert_int_equal(place.visual, 0);
    assert_int_equal(place.h, 3);
    assert_int_equal(place.w, 3);
    assert_int_equal(place.token, -1);
    place = place_of("model.visual.deepstack_merger_list.1", 7, 4);
    assert_int_equal(place.layer, 1);
    assert_int_equal(place.token, TEXT_BEFORE + 7);
    assert_int_equal(place.h, 1);
    assert_int_equal(place.w, 2);
    place = place_of("model.language_model.layers.3", TEXT_BEFORE + 14, 40);
    qvl_stage_place_text(&place, text, sizeof text);
    assert_string_equal(text, "token 20 (visual 0, cell t 0 h 2 w 4), channel 40");
    place = place_of("model.language_model.layers.0.self_attn.k_norm", 2, 33);
    assert_int_equal(place.visual, -1);
    assert_int_equal(place.head, 33 / config.text.head_dim);
    assert_int_equal(place.lane, 33 % config.text.head_dim);
    place = place_of("model.visual.blocks.0.attn.qkv", 0, 2 * config.vision.hidden + config.vision.head_dim);
    assert_string_equal(place.third, "v");
    assert_int_equal(place.head, 1);
    assert_int_equal(place.lane, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_located),
        cmocka_unit_test(pieces_keep_their_place),
        cmocka_unit_test(an_honest_backend_shows_none),
        cmocka_unit_test(places_are_found),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
