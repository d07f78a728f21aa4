/* The HTML page and its plots: complete in itself, escaped, values where they belong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reports/figure_parts.h"
#include "reports/writer.h"

static struct qvl_record *row(const char *name, const char *device, int64_t context, double tpot,
                              const char *source)
{
    struct qvl_record *record = qvl_record_create("procure", name, QVL_CASE_NONE);
    qvl_record_text(record, "model", "m<1>", QVL_FROM_SETTING);
    qvl_record_text(record, "device", device, QVL_FROM_SETTING);
    qvl_record_int(record, "context", context, "token", QVL_FROM_SETTING);
    qvl_record_real(record, "tpot", tpot, "s", QVL_FROM_MODELLED);
    qvl_record_unverified(record);
    qvl_record_real(record, "tpot_floor", tpot / 2, "s", QVL_FROM_MODELLED);
    qvl_record_text(record, "tpot_source", source, QVL_FROM_MODELLED);
    qvl_record_text(record, "ttft_source", source, QVL_FROM_MODELLED);
    return record;
}

static void take(struct qvl_report *report, struct qvl_record *record)
{
    assert_int_equal(qvl_report_take(report, record, NULL), QVL_OK);
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        found++;
    return found;
}

static void a_page_is_complete_and_escaped(void **state)
{
    const char *const argv[] = {"qvl-audit procure", "--model", "a b<c>"};
    struct qvl_report report = {.argc = 3, .argv = argv, .created = 1};
    char *text;
    size_t size;
    (void)state;
    take(&report, row("one", "dev\"ice", 8192, 0.01, "published"));
    take(&report, row("two & more", "dev\"ice", 32768, 0.02, "extrapolated from published"));
    take(&report, row("three", "dev\"ice", 262144, 0.08, "roofline only"));
    struct qvl_record *missing = qvl_record_create("procure", "four", QVL_CASE_NONE);
    qvl_record_missing(missing, "tpot", "does <not> fit");
    take(&report, missing);
    assert_int_equal(qvl_report_note(&report, "a < b", NULL), QVL_OK);
    assert_int_equal(qvl_report_omit(&report, "power", "no meter", NULL), QVL_OK);
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_HTML, &text, &size, NULL), QVL_OK);
    assert_int_equal(size, strlen(text));
    assert_int_equal(strncmp(text, "<!doctype html>", 15), 0);
    assert_int_equal(count(text, "<script"), 0);
    assert_int_equal(count(text, "http:") + count(text, "https:") + count(text, "url("), 0);
    assert_int_equal(count(text, "m<1>") + count(text, "dev\"ice") + count(text, "does <not>"), 0);
    assert_int_equal(count(text, "<code>qvl-audit procure --model 'a b&lt;c&gt;'</code>"), 1);
    assert_int_equal(count(text, "<svg class=\"plot\""), 1);  /* no ttft, so no plot of it */
    assert_int_equal(count(text, "class=\"line se c0\""), 3); /* both keys have one as well */
    assert_int_equal(count(text, "class=\"line sr c0\""), 3);
    assert_true(strstr(text, "10 ms*") != NULL);
    assert_true(strstr(text, "does &lt;not&gt; fit") != NULL);
    assert_true(strstr(text, "a &lt; b") != NULL && strstr(text, "power: no meter") != NULL);
    free(text);
    qvl_report_clear(&report);
}

/* A report without any of the kinds that are drawn has its tables. */
static void other_reports_have_tables(void **state)
{
    struct qvl_report report = {0};
    char *text;
    size_t size;
    (void)state;
    struct qvl_record *record = qvl_record_create("op_case", "softmax", QVL_CASE_PASSED);
    qvl_record_real(record, "margin", 0.25, "1", QVL_FROM_MEASURED);
    take(&report, record);
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_HTML, &text, &size, NULL), QVL_OK);
    assert_int_equal(count(text, "<svg class=\"plot\""), 0);
    assert_true(strstr(text, "<th>softmax</th><td>PASSED</td><td class=\"n\">0.25</td>") != NULL);
    assert_true(strstr(text, "1 PASSED") != NULL);
    free(text);
    qvl_report_clear(&report);
}

/* Records of `latency`: a panel each of decode and prefill, a line a backend. */
static void latency_records_are_drawn(void **state)
{
    struct qvl_report report = {0};
    char *text;
    size_t size;
    (void)state;
    for (int i = 0; i < 6; i++) {
        char name[24];
        snprintf(name, sizeof name, "%s %d", i % 2 ? "cpu" : "ref", 64 << i / 2);
        struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_PASSED);
        qvl_record_int(record, "context", 64 << i / 2, "token", QVL_FROM_SETTING);
        qvl_record_real(record, "prefill_median", 0.1 * (i + 1), "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "decode_median", 0.01 * (i + 1), "s", QVL_FROM_MEASURED);
        take(&report, record);
    }
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_HTML, &text, &size, NULL), QVL_OK);
    assert_int_equal(count(text, "<svg class=\"plot\""), 2);
    assert_int_equal(count(text, "class=\"line sm c0\""), 2);
    assert_int_equal(count(text, "class=\"line sm c1\""), 2);
    assert_int_equal(count(text, "class=\"line sm c2\""), 0);
    assert_int_equal(count(text, ">ref</text>") + count(text, ">cpu</text>"), 4);
    free(text);
    qvl_report_clear(&report);
}

/* Of many devices eight get a colour: measured ones first, the slowest last. */
static void chooses_devices(void **state)
{
    static char names[20][16];
    struct qvl_report report = {0};
    struct qvl_names chosen;
    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "d%d", i);
        take(&report, row(names[i], names[i], 8192, 0.001 * (i + 1),
                          i == 7  ? "measured"
                          : i % 2 ? "published"
                                  : "roofline only"));
    }
    qvl_figure_choose_devices(&report, &chosen);
    assert_int_equal(chosen.count, QVL_PLOT_COLOURS);
    assert_string_equal(chosen.items[0], "d7");
    assert_string_equal(chosen.items[1], "d1"); /* the fastest that has timings */
    assert_string_equal(chosen.items[7], "d19");
    qvl_report_clear(&report);
}

/* The pixel of a value: the middle decade in the middle of the frame. */
static void places_points(void **state)
{
    const struct qvl_plot_point points[] = {{1, 1, QVL_PLOT_MEASURED, NULL},
                                            {10, 10, QVL_PLOT_MEASURED, NULL},
                                            {100, 100, QVL_PLOT_MEASURED, NULL}};
    const struct qvl_plot_series series = {.marker = 0, .line = true, .points = points, .count = 3};
    const struct qvl_plot plot = {.title = "t",
                                  .x_label = "x",
                                  .y_label = "y",
                                  .x_axis = QVL_PLOT_PLAIN,
                                  .y_axis = QVL_PLOT_SECONDS,
                                  .series = &series,
                                  .series_count = 1};
    struct qvl_text out = {0};
    double x[3], y[3];
    (void)state;
    qvl_plot_svg(&plot, &out);
    const char *path = strstr(out.data, "class=\"line sm c0\" d=\"M");
    assert_non_null(path);
    assert_int_equal(sscanf(strstr(path, "d=\"M"), "d=\"M%lf %lfL%lf %lfL%lf %lf", &x[0], &y[0], &x[1], &y[1],
                            &x[2], &y[2]),
                     6);
    assert_true(fabs(x[0] + x[2] - 2 * x[1]) <= 0.2 && fabs(y[0] + y[2] - 2 * y[1]) <= 0.2);
    assert_true(x[2] > x[0] && y[2] < y[0]); /* upwards is less */
    assert_true(strstr(out.data, ">1 s<") && strstr(out.data, ">10 s<") && strstr(out.data, ">100 s<"));
    qvl_text_free(&out);
    qvl_plot_svg(&(struct qvl_plot){.title = "empty", .x_label = "", .y_label = ""}, &out);
    assert_int_equal(out.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_complete_and_escaped),
        cmocka_unit_test(other_reports_have_tables),
        cmocka_unit_test(latency_records_are_drawn),
        cmocka_unit_test(chooses_devices),
        cmocka_unit_test(places_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
