/* bench/training.c by hand, and the records of training, parameters and counted runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "bench/counting_records.h"
#include "bench/training_records.h"
#include "configs.h"
#include "datasets/checkpoint.h"

static struct qvl_error error;

static void assert_part(const struct qvl_training_part *part, double forward, double input, double weight)
{
    assert_true(part->forward == forward);
    assert_true(part->input_gradients == input);
    assert_true(part->weight_gradients == weight);
}

/* Two sequences of 4 tokens, half of them of one picture of 16 patches. */
static const struct qvl_grid picture = {1, 4, 4};
static const double linear = 2 * 3 * (2 * 4 * 10 * 72 + 2 * 4 * 10 * 42);
static const double scores = 2 * 3 * 4 * 10 * 24; /* 10 pairs of query and key */
static const double head = 2 * 2 * 4 * 10 * 50;
static const double patches = 2 * 16 * 96 * 8;
static const double blocks = 2 * (2 * 16 * 8 * 32 + 2 * 16 * 8 * 36);
static const double frame = 2 * 4 * 256 * 8;
static const double mergers = 2 * 2 * 4 * 32 * 42;

static void all_trained_by_hand(void **state)
{
    (void)state;
    const struct qvl_model_config config = tiny();
    const struct qvl_training_stage stage = {"S9", "", 8, 4, false};
    struct qvl_training_cost cost;
    assert_int_equal(qvl_training_count(&config, &stage, 0.5, &picture, &cost, &error), QVL_OK);
    assert_part(&cost.linear, linear, linear, linear);
    assert_part(&cost.scores, scores, 2 * scores, 0);
    assert_part(&cost.head, head, head, head);
    assert_part(&cost.tower, patches + blocks + frame, blocks + 2 * frame, patches + blocks);
    assert_part(&cost.mergers, mergers, mergers, mergers);
    assert_true(cost.total == 3 * (linear + scores + head + blocks + frame + mergers) + 2 * patches);
}

static void merger_only_by_hand(void **state)
{
    (void)state;
    const struct qvl_model_config config = tiny();
    const struct qvl_training_stage stage = {"S9", "", 8, 4, true};
    struct qvl_training_cost cost;
    assert_int_equal(qvl_training_count(&config, &stage, 0.5, &picture, &cost, &error), QVL_OK);
    assert_part(&cost.linear, linear, linear, 0);
    assert_part(&cost.scores, scores, 2 * scores, 0);
    assert_part(&cost.head, head, head, 0);
    assert_part(&cost.tower, patches + blocks + frame, 0, 0);
    assert_part(&cost.mergers, mergers, mergers, mergers);
    assert_int_equal(qvl_training_count(&config, &stage, 1.5, &picture, &cost, &error), QVL_USAGE);
}

/* 6 N D: what is trained in full on text costs 6 FLOPs a matrix parameter and token, and three times its
 * scores. */
static void training_on_text_is_six_flops_a_parameter(void **state)
{
    (void)state;
    const struct qvl_model_config config = config_of("qwen3-vl-8b");
    const struct qvl_training_stage *stage = qvl_training_stage_at(1);
    struct qvl_training_cost cost;
    assert_int_equal(qvl_training_count(&config, stage, 0, &picture, &cost, &error), QVL_OK);
    const double norms = 4096 * (2 * 36 + 1) + 36 * 2 * 128;
    const double matrices = 8190735360.0 - norms - 151936.0 * 4096; /* facts 8, without the embedding */
    const double pairs = 36.0 * 4 * 4096 * (8192 + 1) / 2;
    assert_true(fabs(cost.total / (1e12 * (6 * matrices + 3 * pairs)) - 1) < 1e-12);
    assert_string_equal(stage->name, "S1");
    assert_null(qvl_training_stage_at(4));
}

static const struct qvl_record *record_of(const struct qvl_report *report, const char *kind, const char *name)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, kind) == 0 && strcmp(report->records[i]->name, name) == 0)
            return report->records[i];
    fail_msg("no record %s \"%s\"", kind, name);
    return NULL;
}

static void training_records(void **state)
{
    (void)state;
    const struct qvl_model_config config = config_of("qwen3-vl-2b");
    const struct qvl_training_request request = {{0, 50}, 2, "some device", 1e15, 0.5};
    struct qvl_report report = {0};
    assert_int_equal(qvl_training_preamble(&request, &report, &error), QVL_OK);
    assert_int_equal(qvl_training_report("m", &config, &request, &report, &error), QVL_OK);
    assert_int_equal(report.record_count, 5);
    double sum = 0;
    for (int64_t s = 0; s < 4; s++) {
        char name[16];
        snprintf(name, sizeof name, "m S%d", (int)s);
        sum += qvl_record_find(record_of(&report, "training", name), "flops_50_percent_visual")->value.real;
    }
    const struct qvl_record *all = record_of(&report, "training", "m all stages");
    const double total = qvl_record_find(all, "flops_50_percent_visual")->value.real;
    assert_true(fabs(sum / total - 1) < 1e-12);
    assert_true(
        fabs(qvl_record_find(all, "device_hours_50_percent_visual")->value.real * 3600 * 5e14 / total - 1) <
        1e-12);
    assert_true(fabs(qvl_record_find(all, "tokens")->value.real - 2.167e12) < 1);
    qvl_report_clear(&report);
}

static void assert_count(const struct qvl_report *report, const char *name, int64_t counted, bool rounds)
{
    const struct qvl_record *record = record_of(report, "parameters", name);
    assert_true(qvl_record_find(record, "counted")->value.integer == counted);
    assert_int_equal(qvl_record_find(record, "rounds_to_name")->value.flag, rounds);
}

/* The 22B of the flagship's name is its language model; figures of facts 8. */
static void active_parameters_against_the_name(void **state)
{
    (void)state;
    const struct qvl_model_config config = config_of("qwen3-vl-235b-a22b");
    struct qvl_report report = {0};
    assert_int_equal(qvl_parameters_report("m", "Qwen3-VL-235B-A22B", &config, &report, &error), QVL_OK);
    assert_count(&report, "m total", 235670022896, false);
    assert_count(&report, "m language model", 235093634560, true);
    assert_count(&report, "m active with vision", 22767151856, false);
    assert_count(&report, "m active", 22190763520, true);
    assert_count(&report, "m active less embedding", 22190763520 - 622329856, true);
    assert_count(&report, "m active layers", 22190763520 - 2 * 622329856, false);
    const struct qvl_record *parts = record_of(&report, "parameter_parts", "m");
    int64_t sum = config.text.hidden; /* the last norm */
    for (int64_t i = 0; i < parts->field_count; i++)
        if (strcmp(parts->fields[i].name, "experts_of_a_token") != 0)
            sum += parts->fields[i].value.integer;
    assert_true(sum == 235670022896);
    assert_true(qvl_record_find(record_of(&report, "parameters", "m active"), "named")->value.real == 22e9);
    qvl_report_clear(&report);
}

static void counted_records_tell_differences(void **state)
{
    (void)state;
    const char *folder = "build/test-counting-records";
    const struct qvl_backend_options options = {.threads = 1};
    const struct qvl_model_options model_options = {.storage = QVL_F32};
    int64_t ids[12] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
    const struct qvl_prompt prompt = {.ids = ids, .count = 12};
    struct qvl_backend *inner, *backend;
    struct qvl_model *model;
    struct qvl_report report = {0};
    assert_int_equal(qvl_checkpoint_write(qvl_checkpoint_preset("moe"), folder, &error), QVL_OK);
    assert_int_equal(qvl_cpu_open(&options, &inner, &error), QVL_OK);
    assert_int_equal(qvl_counting_open(inner, &backend, &error), QVL_OK);
    assert_int_equal(qvl_model_load(folder, backend, &model_options, &model, &error), QVL_OK);
    struct qvl_counting_request request = {
        .backend = backend, .model = model, .storage = QVL_F32, .prompt = &prompt, .chunk = 5, .decode = 2};
    assert_int_equal(qvl_counting_report(&request, &report, &error), QVL_OK);
    assert_int_equal(qvl_report_outcome(&report), QVL_OK);
    assert_int_equal(record_of(&report, "counted_decode", "matrix products")->status, QVL_CASE_PASSED);
    qvl_report_clear(&report);
    request.storage = QVL_BF16; /* not what the model was loaded with */
    assert_int_equal(qvl_counting_report(&request, &report, &error), QVL_OK);
    assert_int_equal(qvl_report_outcome(&report), QVL_FAILED);
    const struct qvl_record *head_record = record_of(&report, "counted_decode", "head");
    assert_int_equal(head_record->status, QVL_CASE_FAILED);
    assert_true(qvl_record_find(head_record, "difference")->value.real == 0);
    assert_true(qvl_record_find(head_record, "difference_bytes")->value.real ==
                2 * 2.0 * (72 * 656 + 72 + 656));
    qvl_report_clear(&report);
    qvl_model_destroy(model);
    backend->close(backend);
    inner->close(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_trained_by_hand),
        cmocka_unit_test(merger_only_by_hand),
        cmocka_unit_test(training_on_text_is_six_flops_a_parameter),
        cmocka_unit_test(training_records),
        cmocka_unit_test(active_parameters_against_the_name),
        cmocka_unit_test(counted_records_tell_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
