#include "reports/values.h"

#include <inttypes.h>
#include <math.h>

static void real_exact(struct qvl_text *text, double value)
{
    char digits[32];
    if (!isfinite(value)) {
        qvl_text_print(text, "%s", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    qvl_text_print(text, "%s", digits);
}

void qvl_value_exact(struct qvl_text *text, const struct qvl_field *field)
{
    if (field->provenance == QVL_FROM_NOT_DONE)
        return;
    switch (field->type) {
    case QVL_FIELD_INT: qvl_text_print(text, "%" PRId64, field->value.integer); break;
    case QVL_FIELD_REAL: real_exact(text, field->value.real); break;
    case QVL_FIELD_TEXT: qvl_text_clean(text, field->value.text, false); break;
    case QVL_FIELD_FLAG: qvl_text_print(text, "%s", field->value.flag ? "true" : "false"); break;
    default:
        for (int64_t i = 0; i < field->count; i++) {
            qvl_text_print(text, "%s", i ? " " : "");
            if (field->type == QVL_FIELD_INTS)
                qvl_text_print(text, "%" PRId64, field->value.integers[i]);
            else
                real_exact(text, field->value.reals[i]);
        }
    }
}

bool qvl_unit_in_cell(const char *unit)
{
    return unit && strlen(unit) <= 2 && strcmp(unit, "1") != 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "13.21 T": 4 significant digits and a prefix. */
static void scaled(struct qvl_text *text, double value, double base, const char *const *prefixes, int count)
{
    int step = 0;
    /* 0.99995 rounds to 1.000 of the next prefix */
    while (step + 1 < count && fabs(value) >= 0.99995 * base) {
        value /= base;
        step++;
    }
    int whole = fabs(value) >= 999.95 ? 4 : fabs(value) >= 99.995 ? 3 : fabs(value) >= 9.9995 ? 2 : 1;
    qvl_text_print(text, "%.*f %s", 4 - whole, value, prefixes[step]);
}

static void seconds(struct qvl_text *text, double value)
{
    static const char *const names[] = {"s", "ms", "us", "ns"};
    int step = 0;
    while (step < 3 && fabs(value) < 1 && value != 0) {
        value *= 1000;
        step++;
    }
    qvl_text_print(text, "%.4g %s", value, names[step]);
}

/* True when the value was written with a prefix or its own unit. */
static bool number_scaled(struct qvl_text *text, double value, const char *unit)
{
    static const char *const decimal[] = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
    if (!unit || !isfinite(value))
        return false;
    if (strcmp(unit, "s") == 0) {
        seconds(text, value);
        return true;
    }
    if ((strcmp(unit, "B") == 0 || starts_with(unit, "B/")) && fabs(value) >= 10240) {
        scaled(text, value, 1024, binary, 6);
        return true;
    }
    if ((starts_with(unit, "FLOP") || strcmp(unit, "parameter") == 0) && fabs(value) >= 10000) {
        scaled(text, value, 1000, decimal, 9);
        return true;
    }
    return false;
}

static void real_human(struct qvl_text *text, double value)
{
    if (isfinite(value))
        qvl_text_print(text, "%.4g", value);
    else
        real_exact(text, value);
}

static void array_human(struct qvl_text *text, const struct qvl_field *field)
{
    const int64_t shown = field->count > 8 ? 6 : field->count;
    qvl_text_print(text, "[");
    for (int64_t i = 0; i < shown; i++) {
        qvl_text_print(text, "%s", i ? ", " : "");
        if (field->type == QVL_FIELD_INTS)
            qvl_text_print(text, "%" PRId64, field->value.integers[i]);
        else
            real_human(text, field->value.reals[i]);
    }
    if (shown < field->count)
        qvl_text_print(text, ", ... %" PRId64 " in all", field->count);
    qvl_text_print(text, "]");
}

void qvl_value_human(struct qvl_text *text, const struct qvl_field *field, bool with_unit)
{
    bool is_time = field->unit && strcmp(field->unit, "s") == 0 && field->count == 0;
    bool prefixed = false;
    if (field->provenance == QVL_FROM_NOT_DONE) {
        qvl_text_print(text, "not done");
        return;
    }
    switch (field->type) {
    case QVL_FIELD_INT:
        prefixed = number_scaled(text, (double)field->value.integer, field->unit);
        if (!prefixed)
            qvl_text_print(text, "%" PRId64, field->value.integer);
        break;
    case QVL_FIELD_REAL:
        prefixed = number_scaled(text, field->value.real, field->unit);
        if (!prefixed)
            real_human(text, field->value.real);
        break;
    case QVL_FIELD_TEXT: qvl_text_clean(text, field->value.text, true); return;
    case QVL_FIELD_FLAG: qvl_text_print(text, "%s", field->value.flag ? "yes" : "no"); return;
    default: array_human(text, field);
    }
    bool counts = field->unit && strcmp(field->unit, "parameter") == 0; /* its name says so */
    bool show = field->unit && !counts && strcmp(field->unit, "1") != 0 && !(is_time && prefixed) &&
                (with_unit || qvl_unit_in_cell(field->unit));
    if (show)
        qvl_text_print(text, "%s%s", prefixed ? "" : " ", field->unit);
}
