/* reports/: reading report.json back, what makes reports incomparable, verdicts on checks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reports/compare.h"
#include "reports/writer.h"

static const double steady[] = {1.00, 1.01, 0.99, 1.00, 1.02, 0.98, 1.00, 1.01, 0.99, 1.00};

/* What a test changes of an otherwise equal report. */
struct variation {
    const char *backend, *config, *dtype, *cpu, *verb, *build;
    int64_t context, threads;
    double factor; /* of all samples; 0: 1 */
    bool no_workload;
    void (*add)(struct qvl_report *report);
};

static void take(struct qvl_report *report, struct qvl_record *record)
{
    assert_int_equal(qvl_report_take(report, record, NULL), QVL_OK);
}

static char *make_text(const struct variation *v)
{
    static const char *const argv[] = {"qvl-audit", "latency"};
    struct qvl_report report = {.argc = 2, .argv = argv, .created = 1795701845};
    double samples[10];
    char name[64];
    char *text;
    size_t size;
    const char *backend = v->backend ? v->backend : "cpu";
    report.environment = qvl_record_create("environment", "this machine", QVL_CASE_NONE);
    qvl_record_text(report.environment, "cpu", v->cpu ? v->cpu : "one", QVL_FROM_MEASURED);
    qvl_record_text(report.environment, "build", v->build ? v->build : "Release", QVL_FROM_MEASURED);
    qvl_record_int(report.environment, "memory_available", v->build ? 1 : 2, "B", QVL_FROM_MEASURED);
    if (!v->no_workload) {
        report.workload = qvl_record_create("workload", v->verb ? v->verb : "latency", QVL_CASE_NONE);
        qvl_record_text(report.workload, "backend", backend, QVL_FROM_SETTING);
        qvl_record_text(report.workload, "config_sha256", v->config ? v->config : "aa", QVL_FROM_SETTING);
        qvl_record_text(report.workload, "dtype", v->dtype ? v->dtype : "f32", QVL_FROM_SETTING);
        qvl_record_text(report.workload, "math", "f32 sums", QVL_FROM_SETTING);
        qvl_record_int(report.workload, "threads", v->threads ? v->threads : 1, NULL, QVL_FROM_SETTING);
        qvl_record_int(report.workload, "context", v->context ? v->context : 64, "token", QVL_FROM_SETTING);
    }
    for (int i = 0; i < 10; i++)
        samples[i] = 1e-3 * steady[i] * (v->factor > 0 ? v->factor : 1);
    snprintf(name, sizeof name, "%s 64", backend);
    struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_PASSED);
    qvl_record_reals(record, "decode_samples", samples, 10, "s", QVL_FROM_MEASURED);
    take(&report, record);
    if (v->add)
        v->add(&report);
    assert_int_equal(qvl_report_text(&report, QVL_REPORT_JSON, &text, &size, NULL), QVL_OK);
    qvl_report_clear(&report);
    return text;
}

static struct qvl_saved_report *make(const struct variation *v, const char *name)
{
    struct qvl_saved_report *saved = NULL;
    struct qvl_error error = {QVL_OK, ""};
    char *text = make_text(v);
    if (qvl_report_parse(text, strlen(text), name, &saved, &error) != QVL_OK)
        fail_msg("%s", error.message);
    free(text);
    return saved;
}

/* The comparison of two variations into `out`. */
static enum qvl_status compare(const struct variation *base, const struct variation *other,
                               const struct qvl_compare_options *options, struct qvl_report *out,
                               struct qvl_error *error)
{
    struct qvl_saved_report *a = make(base, "a.json");
    struct qvl_saved_report *b = make(other, "b.json");
    const struct qvl_saved_report *const sides[2] = {a, b};
    const struct qvl_comparison comparison = {&sides[0], &sides[1], 1, {"a.json", "b.json"}, NULL};
    const enum qvl_status status = qvl_compare_reports(&comparison, options, out, error);
    qvl_saved_report_destroy(a);
    qvl_saved_report_destroy(b);
    return status;
}

static const struct qvl_record *find(const struct qvl_report *report, const char *kind, const char *name)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, kind) == 0 && strcmp(report->records[i]->name, name) == 0)
            return report->records[i];
    fail_msg("no record %s \"%s\"", kind, name);
    return NULL;
}

static const char *word(const struct qvl_record *record, const char *field)
{
    const struct qvl_field *found = qvl_record_find(record, field);
    assert_non_null(found);
    assert_int_equal(found->type, QVL_FIELD_TEXT);
    return found->value.text;
}

static double real(const struct qvl_record *record, const char *field)
{
    const struct qvl_field *found = qvl_record_find(record, field);
    assert_non_null(found);
    assert_int_equal(found->type, QVL_FIELD_REAL);
    return found->value.real;
}

static const struct qvl_compare_options usual = {.confidence = QVL_COMPARE_CONFIDENCE};

/* ---- Reading ---- */

static void add_every_type(struct qvl_report *report)
{
    const double reals[] = {0.5, (double)NAN, -(double)INFINITY};
    const int64_t integers[] = {1, -40};
    struct qvl_record *record = qvl_record_create("kind", "name", QVL_CASE_SKIPPED);
    qvl_record_int(record, "integer", -(INT64_C(1) << 53), "B", QVL_FROM_MODELLED);
    qvl_record_real(record, "real", 0.1, "s", QVL_FROM_PUBLISHED);
    qvl_record_real(record, "infinite", (double)INFINITY, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_text(record, "text", "x\"y", QVL_FROM_SETTING);
    qvl_record_flag(record, "flag", true, QVL_FROM_SETTING);
    qvl_record_reals(record, "reals", reals, 3, "s", QVL_FROM_MEASURED);
    qvl_record_ints(record, "ints", integers, 2, NULL, QVL_FROM_SETTING);
    qvl_record_missing(record, "energy", "no meter");
    take(report, record);
    assert_int_equal(qvl_report_omit(report, "power", "no meter", NULL), QVL_OK);
    assert_int_equal(qvl_report_note(report, "A note.", NULL), QVL_OK);
}

static void a_report_comes_back(void **state)
{
    (void)state;
    struct qvl_saved_report *saved = make(&(struct variation){.add = add_every_type}, "r.json");
    const struct qvl_record *record = find(&saved->report, "kind", "name");
    assert_string_equal(saved->created, "2026-11-26T14:04:05Z");
    assert_int_equal(strlen(saved->workload_digest), 64);
    assert_int_equal(record->status, QVL_CASE_SKIPPED);
    assert_int_equal(record->field_count, 8);
    const struct qvl_field *integer = qvl_record_find(record, "integer");
    assert_int_equal(integer->type, QVL_FIELD_INT);
    assert_true(integer->value.integer == -(INT64_C(1) << 53));
    assert_int_equal(integer->provenance, QVL_FROM_MODELLED);
    assert_string_equal(integer->unit, "B");
    assert_false(integer->detail);
    assert_true(qvl_record_find(record, "infinite")->detail);
    assert_true(isinf(real(record, "infinite")));
    assert_true(real(record, "real") == 0.1);
    assert_string_equal(word(record, "text"), "x\"y");
    assert_true(qvl_record_find(record, "flag")->value.flag);
    const struct qvl_field *reals = qvl_record_find(record, "reals");
    assert_int_equal(reals->count, 3);
    assert_true(reals->value.reals[0] == 0.5 && isnan(reals->value.reals[1]) && reals->value.reals[2] < 0);
    const struct qvl_field *integers = qvl_record_find(record, "ints");
    assert_int_equal(integers->type, QVL_FIELD_INTS);
    assert_int_equal(integers->value.integers[1], -40);
    assert_int_equal(qvl_record_find(record, "energy")->provenance, QVL_FROM_NOT_DONE);
    assert_int_equal(saved->report.omission_count, 1);
    assert_string_equal(saved->report.notes[0], "A note.");
    qvl_saved_report_destroy(saved);
}

static void a_changed_report_is_refused(void **state)
{
    (void)state;
    struct qvl_saved_report *saved = NULL;
    struct qvl_error error;
    char *text = make_text(&(struct variation){0});
    char *place = strstr(text, "0.00102");
    assert_non_null(place);
    place[6] = '3'; /* the slowest sample becomes a little slower */
    assert_int_equal(qvl_report_parse(text, strlen(text), "r.json", &saved, &error), QVL_BAD_INPUT);
    assert_non_null(strstr(error.message, "r.json"));
    assert_non_null(strstr(error.message, "/records/0"));
    place[6] = '2';
    assert_int_equal(qvl_report_parse(text, strlen(text), "r.json", &saved, &error), QVL_OK);
    qvl_saved_report_destroy(saved);
    assert_int_equal(qvl_report_parse(text, strlen(text) / 2, "r.json", &saved, &error), QVL_BAD_INPUT);
    assert_int_equal(qvl_report_parse("{}", 2, "r.json", &saved, &error), QVL_BAD_INPUT);
    free(text);
    assert_int_equal(qvl_report_read("/nowhere/r.json", &saved, &error), QVL_BAD_INPUT);
}

/* ---- What can be compared ---- */

static void other_conditions_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct variation other;
        const char *named;
        unsigned across; /* lets it through */
    } cases[] = {
        {{.config = "bb"}, "workload.config_sha256", 1U << QVL_CONDITION_MODEL},
        {{.dtype = "bf16"}, "workload.dtype", 1U << QVL_CONDITION_DTYPE},
        {{.threads = 2}, "workload.threads", 1U << QVL_CONDITION_THREADS},
        {{.cpu = "two"}, "environment.cpu", 1U << QVL_CONDITION_MACHINE},
        {{.context = 128}, "workload.context", 0},
        {{.verb = "run"}, "workload is latency in the base and run in the other", 0},
        {{.no_workload = true}, "workload", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qvl_report out = {0};
        struct qvl_error error = {QVL_OK, ""};
        assert_int_equal(compare(&(struct variation){0}, &cases[i].other, &usual, &out, &error),
                         QVL_INCOMPARABLE);
        if (!strstr(error.message, cases[i].named))
            fail_msg("\"%s\" does not name %s", error.message, cases[i].named);
        assert_int_equal(qvl_report_outcome(&out), QVL_INCOMPARABLE);
        assert_int_equal(qvl_report_status_count(&out, QVL_CASE_INVALID), 1);
        qvl_report_clear(&out);
        if (cases[i].across) {
            const struct qvl_compare_options crossing = {.confidence = 0.99, .across = cases[i].across};
            assert_int_equal(compare(&(struct variation){0}, &cases[i].other, &crossing, &out, &error),
                             QVL_OK);
            qvl_report_clear(&out);
        }
    }
}

/* Another backend, build and free memory are what is compared, or noise. */
static void what_is_under_test_may_differ(void **state)
{
    (void)state;
    struct qvl_report out = {0};
    const struct variation other = {.backend = "mine", .build = "Debug"};
    assert_int_equal(compare(&(struct variation){0}, &other, &usual, &out, NULL), QVL_OK);
    assert_string_equal(word(find(&out, "difference", "workload.backend"), "effect"), "only stated");
    assert_string_equal(word(find(&out, "difference", "environment.build"), "other"), "Debug");
    for (int64_t i = 0; i < out.record_count; i++)
        assert_null(strstr(out.records[i]->name, "memory_available"));
    /* "cpu 64" and "mine 64" are the same row. */
    assert_string_equal(word(find(&out, "timing", "cpu 64 decode"), "verdict"), "same");
    assert_int_equal(qvl_report_outcome(&out), QVL_OK);
    qvl_report_clear(&out);
}

/* ---- Timings ---- */

/* All ten ratios are 1.08: the estimate and both ends of its interval are, too. */
static void a_slowdown_by_hand(void **state)
{
    (void)state;
    struct qvl_report out = {0};
    const struct variation slower = {.factor = 1.08};
    assert_int_equal(compare(&(struct variation){0}, &slower, &usual, &out, NULL), QVL_OK);
    const struct qvl_record *row = find(&out, "timing", "cpu 64 decode");
    assert_int_equal(row->status, QVL_CASE_FAILED);
    assert_string_equal(word(row, "verdict"), "regressed");
    assert_true(fabs(real(row, "ratio") - 1.08) < 1e-9);
    assert_true(fabs(real(row, "low") - 1.08) < 1e-9 && fabs(real(row, "high") - 1.08) < 1e-9);
    assert_true(fabs(real(row, "base") - 1e-3) < 1e-12);
    assert_true(fabs(real(row, "p_slower") - 1.0 / 1024) < 1e-12);
    assert_int_equal(qvl_report_outcome(&out), QVL_FAILED);
    qvl_report_clear(&out);
    /* The other way round, and below the threshold. */
    assert_int_equal(compare(&slower, &(struct variation){0}, &usual, &out, NULL), QVL_OK);
    assert_string_equal(word(find(&out, "timing", "cpu 64 decode"), "verdict"), "improved");
    assert_int_equal(qvl_report_outcome(&out), QVL_OK);
    qvl_report_clear(&out);
    const struct qvl_compare_options lenient = {.confidence = 0.99, .threshold = 0.1};
    assert_int_equal(compare(&(struct variation){0}, &slower, &lenient, &out, NULL), QVL_OK);
    assert_string_equal(word(find(&out, "timing", "cpu 64 decode"), "verdict"), "same");
    qvl_report_clear(&out);
    /* Across machines the ratio stands, the blame does not. */
    const struct qvl_compare_options across = {.confidence = 0.99, .across = 1U << QVL_CONDITION_MACHINE};
    assert_int_equal(compare(&(struct variation){0}, &(struct variation){.factor = 1.08, .cpu = "two"},
                             &across, &out, NULL),
                     QVL_OK);
    row = find(&out, "timing", "cpu 64 decode");
    assert_string_equal(word(row, "verdict"), "slower");
    assert_int_equal(row->status, QVL_CASE_NONE);
    assert_int_equal(qvl_report_outcome(&out), QVL_OK);
    qvl_report_clear(&out);
}

static void add_few_samples(struct qvl_report *report)
{
    struct qvl_record *record = qvl_record_create("latency", "few", QVL_CASE_NONE);
    qvl_record_reals(record, "samples", steady, 3, "s", QVL_FROM_MEASURED);
    take(report, record);
}

static void add_impossible_samples(struct qvl_report *report)
{
    const double values[] = {1, 0, 1};
    struct qvl_record *record = qvl_record_create("latency", "few", QVL_CASE_NONE);
    qvl_record_reals(record, "samples", values, 3, "s", QVL_FROM_MEASURED);
    take(report, record);
}

static void rows_without_a_verdict(void **state)
{
    (void)state;
    struct qvl_report out = {0};
    const struct variation few = {.add = add_few_samples};
    assert_int_equal(compare(&few, &few, &usual, &out, NULL), QVL_OK);
    const struct qvl_record *row = find(&out, "timing", "few");
    assert_int_equal(row->status, QVL_CASE_SKIPPED);
    assert_string_equal(word(row, "verdict"), "inconclusive");
    assert_non_null(strstr(word(row, "message"), "3 samples; a verdict needs at least 9")); /* 2 rows */
    assert_int_equal(qvl_report_outcome(&out), QVL_OK);
    qvl_report_clear(&out);
    assert_int_equal(compare(&few, &(struct variation){.add = add_impossible_samples}, &usual, &out, NULL),
                     QVL_OK);
    row = find(&out, "timing", "few");
    assert_int_equal(row->status, QVL_CASE_INVALID);
    assert_int_equal(qvl_report_outcome(&out), QVL_INCOMPARABLE);
    qvl_report_clear(&out);
    /* A row of the base that is gone is a regression. */
    assert_int_equal(compare(&few, &(struct variation){0}, &usual, &out, NULL), QVL_OK);
    assert_string_equal(word(find(&out, "check", "latency few"), "verdict"), "vanished");
    assert_int_equal(qvl_report_outcome(&out), QVL_FAILED);
    qvl_report_clear(&out);
    const struct qvl_compare_options allowing = {.confidence = 0.99, .allow_missing = true};
    assert_int_equal(compare(&few, &(struct variation){0}, &allowing, &out, NULL), QVL_OK);
    assert_int_equal(qvl_report_outcome(&out), QVL_OK);
    qvl_report_clear(&out);
}

/* ---- Checks ---- */

static void add_check(struct qvl_report *report, const char *name, enum qvl_case_status status, double margin)
{
    struct qvl_record *record = qvl_record_create("op_case", name, status);
    qvl_record_real(record, "margin", margin, "1", QVL_FROM_MEASURED);
    if (status != QVL_CASE_PASSED)
        qvl_record_text(record, "message", "too far off", QVL_FROM_MEASURED);
    take(report, record);
}

static void add_base_checks(struct qvl_report *report)
{
    add_check(report, "stays", QVL_CASE_PASSED, 0.25);
    add_check(report, "breaks", QVL_CASE_PASSED, 0.25);
    add_check(report, "crashes", QVL_CASE_PASSED, 0.25);
    add_check(report, "mends", QVL_CASE_FAILED, 1.5);
    add_check(report, "broken", QVL_CASE_FAILED, 1.5);
    add_check(report, "creeps", QVL_CASE_PASSED, 0.25);
    add_check(report, "goes", QVL_CASE_PASSED, 0.25);
    add_check(report, "unsupported", QVL_CASE_PASSED, 0.25);
}

static void add_other_checks(struct qvl_report *report)
{
    add_check(report, "comes", QVL_CASE_PASSED, 0.25);
    add_check(report, "stays", QVL_CASE_PASSED, 0.26);
    add_check(report, "breaks", QVL_CASE_FAILED, 2.5);
    add_check(report, "crashes", QVL_CASE_CRASHED, 0);
    add_check(report, "mends", QVL_CASE_PASSED, 0.5);
    add_check(report, "broken", QVL_CASE_TIMEOUT, 0);
    add_check(report, "creeps", QVL_CASE_PASSED, 0.75);
    add_check(report, "unsupported", QVL_CASE_UNSUPPORTED, 0);
}

static void checks_by_status_and_margin(void **state)
{
    (void)state;
    static const struct {
        const char *name, *verdict;
        enum qvl_case_status status;
    } expected[] = {
        {"stays", "same", QVL_CASE_PASSED},
        {"breaks", "regressed", QVL_CASE_FAILED},
        {"crashes", "regressed", QVL_CASE_FAILED},
        {"mends", "fixed", QVL_CASE_PASSED},
        {"broken", "fails in both", QVL_CASE_PASSED},
        {"creeps", "closer to its tolerance", QVL_CASE_PASSED},
        {"goes", "vanished", QVL_CASE_FAILED},
        {"unsupported", "vanished", QVL_CASE_FAILED},
        {"comes", "new", QVL_CASE_NONE},
    };
    struct qvl_report out = {0};
    assert_int_equal(compare(&(struct variation){.add = add_base_checks},
                             &(struct variation){.add = add_other_checks}, &usual, &out, NULL),
                     QVL_OK);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char name[64];
        snprintf(name, sizeof name, "op_case %s", expected[i].name);
        const struct qvl_record *row = find(&out, "check", name);
        assert_string_equal(word(row, "verdict"), expected[i].verdict);
        assert_int_equal(row->status, expected[i].status);
        assert_int_equal(qvl_compare_shown(row), strcmp(expected[i].verdict, "same") != 0);
    }
    assert_true(real(find(&out, "check", "op_case creeps"), "margin_other") == 0.75);
    assert_string_equal(word(find(&out, "check", "op_case breaks"), "message"), "too far off");
    const struct qvl_record *summary = find(&out, "comparison", "other against base");
    assert_int_equal(summary->status, QVL_CASE_FAILED);
    assert_int_equal(qvl_record_find(summary, "checks_regressed")->value.integer, 2);
    assert_int_equal(qvl_record_find(summary, "vanished")->value.integer, 2);
    char *junit;
    size_t size;
    assert_int_equal(qvl_report_text(&out, QVL_REPORT_JUNIT, &junit, &size, NULL), QVL_OK);
    assert_non_null(strstr(junit, "<failure message=\"FAILED: too far off\">"));
    free(junit);
    qvl_report_clear(&out);
}

/* ---- Figures ---- */

struct figures {
    const char *name;
    int64_t count;
    double size;
    const char *text; /* NULL: no such field */
    enum qvl_provenance provenance;
};

static void add_figures(struct qvl_report *report, const char *kind, const struct figures *figures)
{
    const double list[] = {1, figures->size};
    struct qvl_record *record = qvl_record_create(kind, figures->name, QVL_CASE_NONE);
    qvl_record_int(record, "count", figures->count, "token", QVL_FROM_MODELLED);
    qvl_record_real(record, "size", figures->size, "B", figures->provenance);
    qvl_record_reals(record, "list", list, 2, "B", QVL_FROM_MODELLED);
    if (figures->text)
        qvl_record_text(record, "source", figures->text, QVL_FROM_PUBLISHED);
    take(report, record);
}

static void add_base_figures(struct qvl_report *report)
{
    add_figures(report, "flops", &(struct figures){"stays", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"count", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"size", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"text", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"field", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"record", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"measured", 7, 0.1, "a", QVL_FROM_MEASURED});
    add_figures(report, "latency_chunk", &(struct figures){"estimate", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "checkpoint", &(struct figures){"here", 7, 0.1, "a", QVL_FROM_MODELLED});
}

static void add_other_figures(struct qvl_report *report)
{
    add_figures(report, "flops", &(struct figures){"fresh", 7, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"stays", 7, 0.1 + 1e-12, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"count", 8, 0.1, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"size", 7, 0.1001, "a", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"text", 7, 0.1, "b", QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"field", 7, 0.1, NULL, QVL_FROM_MODELLED});
    add_figures(report, "flops", &(struct figures){"measured", 7, 0.2, "a", QVL_FROM_MEASURED});
    add_figures(report, "latency_chunk", &(struct figures){"estimate", 7, 0.2, "a", QVL_FROM_MODELLED});
    add_figures(report, "checkpoint", &(struct figures){"there", 7, 0.1, "a", QVL_FROM_MODELLED});
}

static void figures_come_out_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *name, *verdict;
        enum qvl_case_status status;
    } expected[] = {
        {"flops count count", "changed", QVL_CASE_FAILED},
        {"flops size size", "changed", QVL_CASE_FAILED},
        {"flops size list", "changed", QVL_CASE_FAILED},
        {"flops text source", "changed", QVL_CASE_FAILED},
        {"flops field source", "vanished", QVL_CASE_FAILED},
        {"flops record", "vanished", QVL_CASE_FAILED},
        {"flops fresh", "new", QVL_CASE_NONE},
    };
    const size_t count = sizeof expected / sizeof *expected;
    struct qvl_report out = {0};
    const struct variation base = {.add = add_base_figures}, other = {.add = add_other_figures};
    assert_int_equal(compare(&base, &other, &usual, &out, NULL), QVL_OK);
    size_t found = 0;
    for (int64_t i = 0; i < out.record_count; i++)
        found += strcmp(out.records[i]->kind, "figure") == 0;
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        const struct qvl_record *row = find(&out, "figure", expected[i].name);
        assert_string_equal(word(row, "verdict"), expected[i].verdict);
        assert_int_equal(row->status, expected[i].status);
    }
    assert_string_equal(word(find(&out, "figure", "flops count count"), "base"), "7");
    assert_string_equal(word(find(&out, "figure", "flops count count"), "other"), "8");
    const struct qvl_record *summary = find(&out, "comparison", "other against base");
    assert_int_equal(summary->status, QVL_CASE_FAILED);
    assert_int_equal(qvl_record_find(summary, "figures_changed")->value.integer, 4);
    assert_int_equal(qvl_record_find(summary, "figures_vanished")->value.integer, 2);
    qvl_report_clear(&out);

    assert_int_equal(compare(&base, &base, &usual, &out, NULL), QVL_OK);
    summary = find(&out, "comparison", "other against base");
    assert_int_equal(summary->status, QVL_CASE_PASSED);
    assert_int_equal(qvl_record_find(summary, "figures")->value.integer, 6 * 4);
    qvl_report_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_comes_back),          cmocka_unit_test(a_changed_report_is_refused),
        cmocka_unit_test(other_conditions_are_refused), cmocka_unit_test(what_is_under_test_may_differ),
        cmocka_unit_test(a_slowdown_by_hand),           cmocka_unit_test(rows_without_a_verdict),
        cmocka_unit_test(checks_by_status_and_margin),  cmocka_unit_test(figures_come_out_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
