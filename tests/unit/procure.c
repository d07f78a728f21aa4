/* Records of procure: no cell beats its floor, each has its source, prices and energy by hand; price files.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/procure.h"
#include "cli/prices.h"
#include "datasets/model_tables.h"

static const int64_t contexts[] = {8192, 262144, 1048576};
static const double rates[] = {10, 200};

static const struct qvl_control_loop loop = {.text_tokens = 320,
                                             .context = 4096,
                                             .persistent = true,
                                             .action_tokens = 7,
                                             .chunk = 50,
                                             .executed = 25,
                                             .adapter = {1024, 8, 1}};

static void report_on(const char *name, const struct qvl_procure_device *device,
                      const struct qvl_procure_request *request, struct qvl_report *report)
{
    const struct qvl_model_table *table = qvl_model_table_find(name);
    struct qvl_model_config config;
    const struct qvl_grid grid = {1, 68, 120};
    const struct qvl_procure_model model = {
        .name = name, .config = &config, .grids = &grid, .grid_count = 1, .loop = loop};
    struct qvl_error error = {.message = ""};
    assert_int_equal(qvl_model_config_parse(table->json, table->size, name, &config, NULL), QVL_OK);
    if (qvl_procure_report(&model, device, request, report, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

static double real(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    return field && field->type == QVL_FIELD_REAL ? field->value.real : NAN;
}

/* At its floor or above it, and with a word for where it comes from. */
static int check_cell(const struct qvl_record *record, const char *cell)
{
    char floor_name[32], source_name[32];
    snprintf(floor_name, sizeof floor_name, "%s_floor", cell);
    snprintf(source_name, sizeof source_name, "%s_source", cell);
    const double seconds = real(record, cell), least = real(record, floor_name);
    if (isnan(seconds)) {
        assert_int_equal(qvl_record_find(record, cell)->provenance, QVL_FROM_NOT_DONE);
        return 0;
    }
    if (!(least > 0) || seconds < least)
        fail_msg("%s: %s of %g s beats its floor of %g s", record->name, cell, seconds, least);
    const char *source = qvl_record_find(record, source_name)->value.text;
    assert_true(strcmp(source, "published") == 0 || strcmp(source, "extrapolated from published") == 0 ||
                strcmp(source, "roofline only") == 0);
    return 1;
}

static void no_cell_beats_its_floor(void **state)
{
    static const enum qvl_published_type types[] = {QVL_PUBLISHED_BF16, QVL_PUBLISHED_FP8_BLOCK};
    struct qvl_hardware_table hardware;
    int cells = 0;
    (void)state;
    assert_int_equal(qvl_hardware_load(NULL, &hardware, NULL), QVL_OK);
    for (int64_t d = 0; d < hardware.count; d++) {
        struct qvl_published_device *published = NULL;
        const struct qvl_hardware *row = &hardware.rows[d];
        if (row->published[0])
            assert_int_equal(qvl_published_load(row->published, &published, NULL), QVL_OK);
        const struct qvl_procure_device device = {.timed = {row, published}};
        for (int64_t m = 0; m < qvl_model_table_count(); m++) {
            struct qvl_report report = {0};
            const struct qvl_procure_request request = {contexts,     3,     4, 0,    types[m % 2],
                                                        types[m % 2], rates, 2, "EUR"};
            report_on(qvl_model_table_get(m)->name, &device, &request, &report);
            assert_true(report.record_count >= 1 + 3 + 1);
            for (int64_t r = 0; r < report.record_count; r++)
                if (strcmp(report.records[r]->kind, "procure") == 0)
                    cells += check_cell(report.records[r], "ttft") + check_cell(report.records[r], "tpot");
            qvl_report_clear(&report);
        }
        qvl_published_free(published);
    }
    qvl_hardware_free(&hardware);
    print_message("%d cells\n", cells);
    assert_true(cells > 600);
}

static const struct qvl_record *find(const struct qvl_report *report, const char *kind, const char *name)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, kind) == 0 && strstr(report->records[i]->name, name))
            return report->records[i];
    fail_msg("no %s record %s", kind, name);
    return NULL;
}

static void energy_and_price_by_hand(void **state)
{
    struct qvl_hardware_table hardware;
    struct qvl_report report = {0};
    (void)state;
    assert_int_equal(qvl_hardware_load(NULL, &hardware, NULL), QVL_OK);
    const struct qvl_procure_device device = {.timed = {qvl_hardware_find(&hardware, "h100-sxm"), NULL},
                                              .price = 3.6};
    const struct qvl_procure_request request = {contexts,           3,     4, 2,    QVL_PUBLISHED_BF16,
                                                QVL_PUBLISHED_BF16, rates, 2, "EUR"};
    report_on("qwen3-vl-8b", &device, &request, &report);
    const struct qvl_record *record = find(&report, "procure", "at 8K");
    /* two devices of 700 W and 0.001 a second each, four sequences at once */
    assert_true(fabs(real(record, "energy_at_most") / (1400 * real(record, "tpot") / 4) - 1) < 1e-12);
    assert_true(fabs(real(record, "cost_per_million_output") / (2000 * real(record, "tpot") / 4) - 1) <
                1e-12);
    assert_true(fabs(real(record, "cost_per_million_input") / (2000 * real(record, "ttft") / 4 / 8192) - 1) <
                1e-12);
    assert_true(fabs(real(record, "rate") * real(record, "tpot") / 4 - 1) < 1e-12);
    assert_string_equal(qvl_record_find(record, "cost_per_million_output")->unit, "EUR");
    qvl_report_clear(&report);
    qvl_hardware_free(&hardware);
}

/* The flagship on Orin: no times, a floor, a verdict that names the memory. */
static void what_does_not_fit_has_no_time(void **state)
{
    struct qvl_hardware_table hardware;
    struct qvl_report report = {0};
    (void)state;
    assert_int_equal(qvl_hardware_load(NULL, &hardware, NULL), QVL_OK);
    const struct qvl_procure_device device = {.timed = {qvl_hardware_find(&hardware, "agx-orin-64"), NULL}};
    const struct qvl_procure_request request = {contexts,           3,     1, 0,    QVL_PUBLISHED_BF16,
                                                QVL_PUBLISHED_BF16, rates, 2, "EUR"};
    report_on("qwen3-vl-235b-a22b", &device, &request, &report);
    const struct qvl_record *record = find(&report, "procure", "at 8K");
    assert_string_equal(qvl_record_find(record, "fits")->value.text, "no");
    assert_int_equal(qvl_record_find(record, "tpot")->provenance, QVL_FROM_NOT_DONE);
    assert_true(real(record, "tpot_floor") > 0.21 && real(record, "tpot_floor") < 0.23);
    assert_true(qvl_record_find(record, "tpot_floor")->unverified); /* its bandwidth is */
    assert_string_equal(qvl_record_find(find(&report, "control", "orin"), "at_10_Hz")->value.text,
                        "infeasible: memory");
    qvl_report_clear(&report);
    qvl_hardware_free(&hardware);
}

static void marks_unverified_figures(void **state)
{
    struct qvl_hardware row = {
        .name = "x", .title = "X", .bandwidth = 1, .power = 2, .unverified = "fp8, link"};
    (void)state;
    assert_true(qvl_hardware_unverified(&row, "fp8"));
    assert_true(qvl_hardware_unverified(&row, "link"));
    assert_false(qvl_hardware_unverified(&row, "fp"));
    assert_false(qvl_hardware_unverified(&row, "power"));
    strcpy(row.unverified, "power");
    struct qvl_record *record = qvl_hardware_record(&row);
    assert_true(qvl_record_find(record, "power")->unverified);
    assert_false(qvl_record_find(record, "bandwidth")->unverified);
    qvl_record_destroy(record);
}

static void reads_prices(void **state)
{
    static const char *const wrong[] = {
        "", "=2", "h100-sxm", "h100-sxm=", "h100-sxm=-1", "h100-sxm=2.5/d", "a=nan"};
    struct qvl_prices prices = {0};
    struct qvl_error error = {.message = ""};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(qvl_prices_add(&prices, wrong[i], &error), QVL_USAGE);
    assert_int_equal(prices.count, 0);
    assert_int_equal(qvl_prices_add(&prices, "h100-sxm=2.5/h", &error), QVL_OK);
    assert_int_equal(qvl_prices_add(&prices, "l40s=1", &error), QVL_OK);
    assert_int_equal(qvl_prices_add(&prices, "l40s=0.5", &error), QVL_OK);
    assert_true(qvl_prices_find(&prices, "h100-sxm") == 2.5 && qvl_prices_find(&prices, "l40s") == 0.5);
    assert_true(qvl_prices_find(&prices, "b60") == 0);
    qvl_prices_free(&prices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cell_beats_its_floor),
        cmocka_unit_test(energy_and_price_by_hand),
        cmocka_unit_test(what_does_not_fit_has_no_time),
        cmocka_unit_test(marks_unverified_figures),
        cmocka_unit_test(reads_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
