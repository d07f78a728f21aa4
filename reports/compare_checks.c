#include "reports/compare_checks.h"

#include <math.h>

/* Growth by this factor and by more than the step is worth a line. */
#define CLOSER_FACTOR 1.1
#define CLOSER_STEP 0.05

enum verdict { REGRESSED, FIXED, FAILING, VANISHED, CLOSER, ADDED, INVALID, SAME };

static const char *word_of(enum verdict verdict, bool across)
{
    static const char *const words[] = {
        "regressed", "fixed",   "fails in both", "vanished", "closer to its tolerance",
        "new",       "invalid", "same"};
    return across && verdict == REGRESSED ? "fails in the other" : words[verdict];
}

static bool fails(enum qvl_case_status status)
{
    return QVL_REPORT_FAIL_ON >> status & 1;
}

static enum qvl_case_status status_of(const struct qvl_record *const *records, int64_t runs)
{
    for (int64_t i = 0; i < runs; i++)
        if (records[i]->status != QVL_CASE_PASSED)
            return records[i]->status;
    return QVL_CASE_PASSED;
}

/* The largest value of a field over the runs; NAN when none has it. */
static double largest(const struct qvl_record *const *records, int64_t runs, const char *name)
{
    double value = NAN;
    for (int64_t i = 0; i < runs; i++) {
        const struct qvl_field *field = qvl_record_find(records[i], name);
        if (field && field->type == QVL_FIELD_REAL && field->provenance == QVL_FROM_MEASURED)
            value = fmax(value, field->value.real);
        else if (field && field->type == QVL_FIELD_INT && field->provenance == QVL_FROM_MEASURED)
            value = fmax(value, (double)field->value.integer);
    }
    return value;
}

/* `shares` are those of the tolerance that were used. */
static enum verdict judge(enum qvl_case_status base, enum qvl_case_status other, const double shares[2])
{
    if (fails(other))
        return fails(base) ? FAILING : REGRESSED;
    if (other == QVL_CASE_INVALID)
        return INVALID;
    if (other == QVL_CASE_PASSED && fails(base))
        return FIXED;
    if (other != QVL_CASE_PASSED && base == QVL_CASE_PASSED)
        return VANISHED;
    return shares[1] > CLOSER_FACTOR * shares[0] && shares[1] > shares[0] + CLOSER_STEP ? CLOSER : SAME;
}

static void count(struct qvl_check_counts *counts, enum verdict verdict)
{
    int64_t *const tally[] = {&counts->regressed, &counts->fixed, &counts->failing, &counts->vanished,
                              &counts->closer,    &counts->added, &counts->invalid};
    counts->checks++;
    if (verdict != SAME)
        ++*tally[verdict];
}

static struct qvl_record *make_record(const struct qvl_record *row, enum verdict verdict, const char *label,
                                      const struct qvl_compare_options *options)
{
    char name[1024];
    enum qvl_case_status status = QVL_CASE_PASSED;
    if (verdict == REGRESSED || (verdict == VANISHED && !options->allow_missing))
        status = QVL_CASE_FAILED;
    else if (verdict == INVALID)
        status = QVL_CASE_INVALID;
    if (options->across || verdict == ADDED)
        status = QVL_CASE_NONE;
    snprintf(name, sizeof name, "%s %.900s%s%s", row->kind, row->name, label ? " of " : "",
             label ? label : "");
    return qvl_record_create("check", name, status);
}

static void put_growth(struct qvl_record *record, const char *name, const double values[2])
{
    char field[64];
    static const char *const sides[2] = {"base", "other"};
    for (int side = 0; side < 2; side++) {
        snprintf(field, sizeof field, "%s_%s", name, sides[side]);
        if (!isnan(values[side]))
            qvl_record_real(record, field, values[side], "1", QVL_FROM_MEASURED);
    }
}

static const char *text_of(const struct qvl_record *const *records, int64_t runs, const char *name)
{
    for (int64_t i = 0; i < runs; i++) {
        const struct qvl_field *field = qvl_record_find(records[i], name);
        if (field && field->type == QVL_FIELD_TEXT)
            return field->value.text;
    }
    return NULL;
}

enum qvl_status qvl_checks_add(const struct qvl_record *const *base, const struct qvl_record *const *other,
                               int64_t runs, const char *label, const struct qvl_compare_options *options,
                               struct qvl_check_counts *counts, struct qvl_report *out,
                               struct qvl_error *error)
{
    const enum qvl_case_status statuses[2] = {status_of(base, runs), status_of(other, runs)};
    const double margins[2] = {largest(base, runs, "margin"), largest(other, runs, "margin")};
    const double drifts[2] = {largest(base, runs, "drift"), largest(other, runs, "drift")};
    /* The drift leaves the last rounding out of the margin; where it is stated, it tells more. */
    const bool drifts_known = !isnan(drifts[0]) && !isnan(drifts[1]);
    const enum verdict verdict = judge(statuses[0], statuses[1], drifts_known ? drifts : margins);
    const char *message = text_of(other, runs, "message");
    const char *repro = text_of(other, runs, "repro");
    if (!message)
        message = text_of(other, runs, "reason");
    count(counts, verdict);
    struct qvl_record *record = make_record(base[0], verdict, label, options);
    qvl_record_text(record, "base", qvl_case_status_name(statuses[0]), QVL_FROM_MEASURED);
    qvl_record_text(record, "other", qvl_case_status_name(statuses[1]), QVL_FROM_MEASURED);
    put_growth(record, "margin", margins);
    put_growth(record, "drift", drifts);
    qvl_record_text(record, "verdict", word_of(verdict, options->across != 0), QVL_FROM_MEASURED);
    if (message)
        qvl_record_text(record, "message", message, QVL_FROM_MEASURED);
    if (repro) {
        qvl_record_text(record, "repro", repro, QVL_FROM_SETTING);
        qvl_record_detail(record);
    }
    return qvl_report_take(out, record, error);
}

enum qvl_status qvl_checks_add_lone(const struct qvl_record *lone, bool added, const char *label,
                                    const struct qvl_compare_options *options,
                                    struct qvl_check_counts *counts, struct qvl_report *out,
                                    struct qvl_error *error)
{
    const enum verdict verdict = added ? ADDED : VANISHED;
    count(counts, verdict);
    struct qvl_record *record = make_record(lone, verdict, label, options);
    qvl_record_text(record, "base", added ? "(none)" : qvl_case_status_name(lone->status), QVL_FROM_MEASURED);
    qvl_record_text(record, "other", added ? qvl_case_status_name(lone->status) : "(none)",
                    QVL_FROM_MEASURED);
    qvl_record_text(record, "verdict", word_of(verdict, options->across != 0), QVL_FROM_MEASURED);
    return qvl_report_take(out, record, error);
}
