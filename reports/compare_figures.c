#include "reports/compare_figures.h"

#include <math.h>

#include "reports/compare_timing.h"
#include "reports/values.h"

/* Another library's exp or pow may differ in the last place. */
#define REAL_TOLERANCE 1e-9

bool qvl_record_is_figures(const struct qvl_record *record)
{
    static const char *const others[] = {"latency", "calibration", "prediction", "checkpoint"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(record->kind, others[i], strlen(others[i])) == 0)
            return false;
    if (record->status != QVL_CASE_NONE || qvl_record_is_timed(record))
        return false;
    for (int64_t i = 0; i < record->field_count; i++)
        if (record->fields[i].provenance == QVL_FROM_MEASURED)
            return false;
    return record->field_count > 0;
}

static bool same_real(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= REAL_TOLERANCE * fmax(fabs(a), fabs(b));
}

static bool same_field(const struct qvl_field *a, const struct qvl_field *b)
{
    if (a->type != b->type || a->provenance != b->provenance || a->count != b->count ||
        strcmp(a->unit ? a->unit : "", b->unit ? b->unit : "") != 0)
        return false;
    switch (a->type) {
    case QVL_FIELD_INT: return a->value.integer == b->value.integer;
    case QVL_FIELD_REAL: return same_real(a->value.real, b->value.real);
    case QVL_FIELD_TEXT: return strcmp(a->value.text, b->value.text) == 0;
    case QVL_FIELD_FLAG: return a->value.flag == b->value.flag;
    case QVL_FIELD_INTS:
        for (int64_t i = 0; i < a->count; i++)
            if (a->value.integers[i] != b->value.integers[i])
                return false;
        return true;
    case QVL_FIELD_REALS:
        for (int64_t i = 0; i < a->count; i++)
            if (!same_real(a->value.reals[i], b->value.reals[i]))
                return false;
        return true;
    }
    return false;
}

static void put_value(struct qvl_record *record, const char *side, const struct qvl_field *field)
{
    struct qvl_text text = {0};
    struct qvl_error ignored;
    char *value = NULL;
    size_t size;
    qvl_value_exact(&text, field);
    if (qvl_text_take(&text, &value, &size, &ignored) == QVL_OK)
        qvl_record_text(record, side, value, QVL_FROM_MEASURED);
    free(value);
    qvl_text_free(&text);
}

static struct qvl_record *make_record(const struct qvl_record *row, const char *field, bool bad,
                                      const char *label, const struct qvl_compare_options *options)
{
    char name[1024];
    snprintf(name, sizeof name, "%s %.700s%s%.200s%s%s", row->kind, row->name, field ? " " : "",
             field ? field : "", label ? " of " : "", label ? label : "");
    return qvl_record_create("figure", name, bad && !options->across ? QVL_CASE_FAILED : QVL_CASE_NONE);
}

/* The first run in which the field is another than in the first base, or is missing; NULL: none. */
static const struct qvl_field *find_other(const struct qvl_field *field, const struct qvl_record *const *base,
                                          const struct qvl_record *const *other, int64_t runs, bool *missing)
{
    *missing = false;
    for (int64_t i = 1; i < 2 * runs; i++) {
        const struct qvl_field *its = qvl_record_find(i < runs ? base[i] : other[i - runs], field->name);
        *missing = its == NULL;
        if (!its || !same_field(field, its))
            return its;
    }
    return NULL;
}

enum qvl_status qvl_figures_add(const struct qvl_record *const *base, const struct qvl_record *const *other,
                                int64_t runs, const char *label, const struct qvl_compare_options *options,
                                struct qvl_figure_counts *counts, struct qvl_report *out,
                                struct qvl_error *error)
{
    for (int64_t i = 0; i < base[0]->field_count; i++) {
        const struct qvl_field *field = &base[0]->fields[i];
        bool missing;
        const struct qvl_field *its = find_other(field, base, other, runs, &missing);
        counts->figures += !missing;
        if (!its && !missing)
            continue;
        counts->changed += !missing;
        counts->vanished += missing;
        struct qvl_record *record =
            make_record(base[0], field->name, !missing || !options->allow_missing, label, options);
        put_value(record, "base", field);
        if (its)
            put_value(record, "other", its);
        qvl_record_text(record, "verdict", missing ? "vanished" : "changed", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(out, record, error));
    }
    return QVL_OK;
}

enum qvl_status qvl_figures_add_lone(const struct qvl_record *lone, bool added, const char *label,
                                     const struct qvl_compare_options *options,
                                     struct qvl_figure_counts *counts, struct qvl_report *out,
                                     struct qvl_error *error)
{
    ++*(added ? &counts->added : &counts->vanished);
    struct qvl_record *record = make_record(lone, NULL, !added && !options->allow_missing, label, options);
    qvl_record_text(record, "verdict", added ? "new" : "vanished", QVL_FROM_MEASURED);
    return qvl_report_take(out, record, error);
}
