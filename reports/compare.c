#include "reports/compare.h"

#include <inttypes.h>

#include "reports/compare_checks.h"
#include "reports/compare_figures.h"
#include "reports/compare_timing.h"

struct work {
    const struct qvl_comparison *comparison;
    const struct qvl_compare_options *options;
    struct qvl_report *out;
    int64_t fatal, stated;
    char first[512]; /* the first fatal difference, for the message */
    struct qvl_timings timings;
    struct qvl_compare_counts rows;
    struct qvl_check_counts checks;
    struct qvl_figure_counts figures;
};

/* ---- Conditions ---- */

static enum qvl_status add_difference(void *context, const char *place, enum qvl_condition condition,
                                      const char *base, const char *other, struct qvl_error *error)
{
    struct work *work = context;
    const bool noted = condition == QVL_CONDITION_NONE;
    const bool crossed = !noted && (work->options->across >> condition & 1);
    const bool fatal = !noted && !crossed;
    const char *label = work->comparison->label;
    char name[512];
    char effect[64];
    snprintf(name, sizeof name, "%s%s%s", place, label ? " of " : "", label ? label : "");
    if (fatal)
        snprintf(effect, sizeof effect, "another %s: not comparable", qvl_condition_name(condition));
    else
        snprintf(effect, sizeof effect, "%s", noted ? "only stated" : "compared across it");
    work->stated++;
    if (fatal && work->fatal++ == 0)
        snprintf(work->first, sizeof work->first, "%s is %.120s in the base and %.120s in the other%s%s",
                 place, base, other, condition == QVL_CONDITION_WORKLOAD ? "" : "; --across ",
                 condition == QVL_CONDITION_WORKLOAD ? "" : qvl_condition_name(condition));
    struct qvl_record *record =
        qvl_record_create("difference", name, fatal ? QVL_CASE_INVALID : QVL_CASE_NONE);
    qvl_record_text(record, "base", base, QVL_FROM_MEASURED);
    qvl_record_text(record, "other", other, QVL_FROM_MEASURED);
    qvl_record_text(record, "effect", effect, QVL_FROM_MEASURED);
    return qvl_report_take(work->out, record, error);
}

/* Runs of one side are repeats: the build under test may not change among them either. */
struct repeat {
    int64_t run;
    const char *side;
};

static enum qvl_status refuse_difference(void *context, const char *place, enum qvl_condition condition,
                                         const char *base, const char *other, struct qvl_error *error)
{
    const struct repeat *repeat = context;
    const bool same_build = strncmp(place, "environment.", strlen("environment.")) == 0;
    if (condition == QVL_CONDITION_NONE && same_build)
        return QVL_OK;
    return qvl_fail(error, QVL_INCOMPARABLE,
                    "run %lld of the %s is no repeat of its first: %s is %.120s there and %.120s here",
                    (long long)repeat->run + 1, repeat->side, place, base, other);
}

static enum qvl_status check_conditions(struct work *work, struct qvl_error *error)
{
    const struct qvl_comparison *c = work->comparison;
    QVL_TRY(qvl_report_differences(c->base[0], c->other[0], add_difference, work, error));
    for (int64_t run = 1; run < c->runs; run++) {
        struct repeat base = {run, "base"};
        struct repeat other = {run, "other side"};
        QVL_TRY(qvl_report_differences(c->base[0], c->base[run], refuse_difference, &base, error));
        QVL_TRY(qvl_report_differences(c->other[0], c->other[run], refuse_difference, &other, error));
    }
    if (work->fatal == 0)
        return QVL_OK;
    return qvl_fail(error, QVL_INCOMPARABLE, "%.250s and %.250s cannot be compared: %s%s", c->names[0],
                    c->names[1], work->first, work->fatal > 1 ? " (and more differs, see the table)" : "");
}

/* ---- Rows ---- */

/* Names of rows often begin with the backend's name, which is what is under test. */
static const char *plain_name(const struct qvl_saved_report *saved, const struct qvl_record *record)
{
    const struct qvl_field *backend = qvl_record_find(saved->report.workload, "backend");
    if (!backend || backend->type != QVL_FIELD_TEXT)
        return record->name;
    const size_t length = strlen(backend->value.text);
    const bool leads = strncmp(record->name, backend->value.text, length) == 0 && record->name[length] == ' ';
    return leads ? record->name + length + 1 : record->name;
}

/* The record of `in` that is `record` of `from`; looked for at the same place first. */
static const struct qvl_record *twin_of(const struct qvl_saved_report *from, const struct qvl_record *record,
                                        int64_t place, const struct qvl_saved_report *in)
{
    const char *name = plain_name(from, record);
    const int64_t count = in->report.record_count;
    for (int64_t i = 0; i < count; i++) {
        const struct qvl_record *twin = in->report.records[(place + i) % count];
        if (strcmp(twin->kind, record->kind) == 0 && strcmp(plain_name(in, twin), name) == 0)
            return twin;
    }
    return NULL;
}

static bool concerns(const struct qvl_record *record)
{
    return record->status != QVL_CASE_NONE || qvl_record_is_timed(record);
}

/* The same record in every run of both sides: base runs, then the others. False when one lacks it. */
static bool collect(const struct qvl_comparison *c, int64_t place, const struct qvl_record **twins)
{
    const struct qvl_record *record = c->base[0]->report.records[place];
    for (int64_t i = 0; i < 2 * c->runs; i++) {
        twins[i] = twin_of(c->base[0], record, place, i < c->runs ? c->base[i] : c->other[i - c->runs]);
        if (!twins[i])
            return false;
    }
    return true;
}

static enum qvl_status compare_row(struct work *work, int64_t place, const struct qvl_record **twins,
                                   struct qvl_error *error)
{
    const struct qvl_comparison *c = work->comparison;
    const struct qvl_record *record = c->base[0]->report.records[place];
    const bool figures = qvl_record_is_figures(record);
    if (!figures && !concerns(record))
        return QVL_OK;
    const bool whole = collect(c, place, twins);
    if (figures)
        return whole ? qvl_figures_add(twins, twins + c->runs, c->runs, c->label, work->options,
                                       &work->figures, work->out, error)
                     : qvl_figures_add_lone(record, false, c->label, work->options, &work->figures, work->out,
                                            error);
    if (!whole)
        return qvl_checks_add_lone(record, false, c->label, work->options, &work->checks, work->out, error);
    if (record->status != QVL_CASE_NONE)
        QVL_TRY(qvl_checks_add(twins, twins + c->runs, c->runs, c->label, work->options, &work->checks,
                               work->out, error));
    return qvl_timings_add(&work->timings, twins, twins + c->runs, c->runs, record->name, work->options,
                           error);
}

/* Rows of the other side that the base lacks. */
static enum qvl_status add_new(struct work *work, int64_t place, struct qvl_error *error)
{
    const struct qvl_comparison *c = work->comparison;
    const struct qvl_record *record = c->other[0]->report.records[place];
    const bool figures = qvl_record_is_figures(record);
    if ((!figures && !concerns(record)) || twin_of(c->other[0], record, place, c->base[0]))
        return QVL_OK;
    return figures
               ? qvl_figures_add_lone(record, true, c->label, work->options, &work->figures, work->out, error)
               : qvl_checks_add_lone(record, true, c->label, work->options, &work->checks, work->out, error);
}

static enum qvl_status compare_rows(struct work *work, struct qvl_error *error)
{
    const struct qvl_comparison *c = work->comparison;
    const struct qvl_report *base = &c->base[0]->report;
    const struct qvl_report *other = &c->other[0]->report;
    const struct qvl_record **twins = malloc(2 * sizeof(struct qvl_record *) * (size_t)c->runs);
    if (!twins)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to compare %lld runs", (long long)c->runs);
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < base->record_count && status == QVL_OK; i++)
        status = compare_row(work, i, twins, error);
    free(twins);
    for (int64_t i = 0; i < other->record_count && status == QVL_OK; i++)
        status = add_new(work, i, error);
    if (status == QVL_OK)
        status = qvl_timings_judge(&work->timings, c->runs, c->label, work->options, &work->rows, work->out,
                                   error);
    return status;
}

/* ---- The whole ---- */

static void put_counts(struct qvl_record *record, const struct work *work)
{
    const struct qvl_compare_counts *rows = &work->rows;
    const struct qvl_check_counts *checks = &work->checks;
    const bool across = work->options->across != 0;
    const struct {
        const char *name;
        int64_t count;
        bool always;
    } counts[] = {
        {"timings", rows->rows, true},
        {across ? "slower" : "regressed", rows->regressed, true},
        {across ? "faster" : "improved", rows->improved, true},
        {across ? "alike" : "same", rows->same, true},
        {"inconclusive", rows->inconclusive, true},
        {"invalid", rows->invalid + checks->invalid, false},
        {"vanished", rows->vanished + checks->vanished, false},
        {"checks", checks->checks, true},
        {across ? "checks_failing_in_the_other" : "checks_regressed", checks->regressed, true},
        {"checks_fixed", checks->fixed, false},
        {"checks_failing_in_both", checks->failing, false},
        {"checks_closer_to_tolerance", checks->closer, false},
        {"checks_new", checks->added, false},
        {"figures", work->figures.figures, work->figures.figures > 0},
        {"figures_changed", work->figures.changed, work->figures.figures > 0},
        {"figures_vanished", work->figures.vanished, false},
        {"figures_new", work->figures.added, false},
        {"conditions_differing", work->stated, false},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].always || counts[i].count > 0)
            qvl_record_int(record, counts[i].name, counts[i].count, NULL, QVL_FROM_MEASURED);
}

static enum qvl_status add_summary(const struct work *work, struct qvl_error *error)
{
    const struct qvl_comparison *c = work->comparison;
    const int64_t vanished = work->rows.vanished + work->checks.vanished + work->figures.vanished;
    const int64_t bad = work->rows.regressed + work->checks.regressed + work->figures.changed +
                        (work->options->allow_missing ? 0 : vanished);
    enum qvl_case_status status = bad > 0 ? QVL_CASE_FAILED : QVL_CASE_PASSED;
    char name[512];
    snprintf(name, sizeof name, "%s against base", c->label ? c->label : "other");
    struct qvl_record *record =
        qvl_record_create("comparison", name, work->options->across ? QVL_CASE_NONE : status);
    qvl_record_int(record, "runs", c->runs, NULL, QVL_FROM_SETTING);
    put_counts(record, work);
    for (int side = 0; side < 2; side++) {
        const struct qvl_saved_report *saved = side ? c->other[0] : c->base[0];
        qvl_record_text(record, side ? "other" : "base", c->names[side], QVL_FROM_SETTING);
        qvl_record_detail(record);
        qvl_record_text(record, side ? "other_commit" : "base_commit", saved->git_commit, QVL_FROM_MEASURED);
        qvl_record_detail(record);
        qvl_record_text(record, side ? "other_created" : "base_created", saved->created, QVL_FROM_MEASURED);
        qvl_record_detail(record);
        qvl_record_text(record, side ? "other_workload_sha256" : "base_workload_sha256",
                        saved->workload_digest, QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
    return qvl_report_take(work->out, record, error);
}

enum qvl_status qvl_compare_reports(const struct qvl_comparison *comparison,
                                    const struct qvl_compare_options *options, struct qvl_report *out,
                                    struct qvl_error *error)
{
    struct work work = {.comparison = comparison, .options = options, .out = out};
    enum qvl_status status = check_conditions(&work, error);
    if (status == QVL_OK)
        status = compare_rows(&work, error);
    qvl_timings_free(&work.timings);
    QVL_TRY(status);
    if (work.rows.rows + work.checks.checks == work.checks.added + work.checks.vanished &&
        work.figures.figures == 0)
        return qvl_fail(error, QVL_INCOMPARABLE,
                        "%.250s and %.250s have no timing, no check and no figure in common, so there is "
                        "nothing to compare",
                        comparison->names[0], comparison->names[1]);
    return add_summary(&work, error);
}

bool qvl_compare_shown(const struct qvl_record *record)
{
    const struct qvl_field *verdict = qvl_record_find(record, "verdict");
    return strcmp(record->kind, "check") != 0 || !verdict || strcmp(verdict->value.text, "same") != 0;
}
