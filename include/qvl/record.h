/* The record: the one form in which every verb states a result. Tables, JSON, CSV, JUnit and Markdown are all
 * written from records (reports/), so no number is formatted twice. Header only, libc only.
 *
 * A record has a kind ("op_case", "stage", "flops", "latency", "environment", ...), a name that is unique
 * among its kind in one report, a status when it is a check, and fields in order. A field has a value, a unit
 * and a provenance: what was measured here, what others published, what was modelled and what was not done
 * never share a place.
 *
 * Builders never fail loudly: the first failure (no memory, a name given twice) sticks to the record, later
 * calls do nothing, and qvl_record_check or qvl_report_take reports it. A NULL record is one that could not
 * be allocated. All text is copied. */
#ifndef QVL_RECORD_H
#define QVL_RECORD_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qvl/status.h"

/* The outcome of one check. */
enum qvl_case_status {
    QVL_CASE_NONE,        /* the record is a statement, not a check */
    QVL_CASE_PASSED,      /* executed, within tolerance */
    QVL_CASE_FAILED,      /* executed, outside tolerance */
    QVL_CASE_MISTRUSTED,  /* the check itself was weak: mostly zeros, insensitive */
    QVL_CASE_UNSUPPORTED, /* the backend does not have this entry or variant */
    QVL_CASE_SKIPPED,     /* not executed here, by choice or for want of a device */
    QVL_CASE_INVALID,     /* a timing that beats physics, or a measurement whose conditions broke */
    QVL_CASE_CRASHED,
    QVL_CASE_TIMEOUT,
    QVL_CASE_STATUS_COUNT
};

enum qvl_provenance {
    QVL_FROM_SETTING,   /* chosen by the command line, the checkpoint or the case list */
    QVL_FROM_MEASURED,  /* observed on this machine in this run */
    QVL_FROM_PUBLISHED, /* stated by others */
    QVL_FROM_MODELLED,  /* computed from a formula */
    QVL_FROM_NOT_DONE,  /* the value is missing; the text says why */
    QVL_PROVENANCE_COUNT
};

enum qvl_field_type {
    QVL_FIELD_INT,
    QVL_FIELD_REAL, /* NaN and infinities are allowed */
    QVL_FIELD_TEXT, /* UTF-8; also the reason of a QVL_FROM_NOT_DONE field */
    QVL_FIELD_FLAG,
    QVL_FIELD_INTS,
    QVL_FIELD_REALS
};

struct qvl_field {
    char *name;
    enum qvl_field_type type;
    enum qvl_provenance provenance;
    bool detail;     /* left out of tables, present in every file format */
    bool unverified; /* rests on a figure that nobody verified: tables mark it with "*" */
    char *unit;      /* NULL: none. "FLOP", "B", "s", "token", "Hz", "1" for a plain ratio */
    int64_t count;   /* elements of an array */
    union {
        int64_t integer;
        double real;
        char *text;
        bool flag;
        int64_t *integers;
        double *reals;
    } value;
};

enum qvl_record_fault { QVL_RECORD_GOOD, QVL_RECORD_NO_MEMORY, QVL_RECORD_NAME_TWICE };

struct qvl_record {
    char *kind;
    char *name;
    enum qvl_case_status status;
    struct qvl_field *fields;
    int64_t field_count, field_capacity;
    enum qvl_record_fault fault;
};

/* Something that was asked for and could not be measured. */
struct qvl_omission {
    char *what;
    char *reason;
};

/* The statuses that fail a report unless it says otherwise. */
#define QVL_REPORT_FAIL_ON                                                                                   \
    (1U << QVL_CASE_FAILED | 1U << QVL_CASE_CRASHED | 1U << QVL_CASE_TIMEOUT | 1U << QVL_CASE_MISTRUSTED)

struct qvl_report {
    int argc;
    const char *const *argv;        /* the command line; borrowed */
    int64_t created;                /* seconds since 1970 UTC, set by the caller */
    struct qvl_record *environment; /* owned; NULL: not collected */
    struct qvl_record *workload; /* owned; the settings two reports must share to be compared; may be NULL */
    struct qvl_record **records; /* owned */
    int64_t record_count, record_capacity;
    struct qvl_omission *omissions;
    int64_t omission_count, omission_capacity;
    unsigned fail_on; /* bits 1 << status of the checks that make the outcome QVL_FAILED; 0:
                         QVL_REPORT_FAIL_ON. 1 << QVL_CASE_NONE: none */
    char **notes;     /* sentences printed under the tables: conventions, definitions */
    int64_t note_count, note_capacity;
};

static inline const char *qvl_case_status_name(enum qvl_case_status status)
{
    static const char *const names[QVL_CASE_STATUS_COUNT] = {
        "NONE", "PASSED", "FAILED", "MISTRUSTED", "UNSUPPORTED", "SKIPPED", "INVALID", "CRASHED", "TIMEOUT"};
    return (unsigned)status < QVL_CASE_STATUS_COUNT ? names[status] : "UNKNOWN";
}

static inline const char *qvl_provenance_name(enum qvl_provenance provenance)
{
    static const char *const names[QVL_PROVENANCE_COUNT] = {"settings", "measured", "published", "modelled",
                                                            "not_done"};
    return (unsigned)provenance < QVL_PROVENANCE_COUNT ? names[provenance] : "unknown";
}

/* A malloc'd copy; NULL when there is no memory. */
static inline char *qvl_record_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

/* Make room for one more element of `size` bytes; false when there is no memory. */
static inline bool qvl_record_grow(void **array, int64_t count, int64_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    int64_t wanted = *capacity ? 2 * *capacity : 8;
    void *grown = realloc(*array, (size_t)wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

static inline void qvl_record_destroy(struct qvl_record *record)
{
    if (!record)
        return;
    for (int64_t i = 0; i < record->field_count; i++) {
        struct qvl_field *field = &record->fields[i];
        free(field->name);
        free(field->unit);
        if (field->type == QVL_FIELD_TEXT)
            free(field->value.text);
        else if (field->type == QVL_FIELD_INTS)
            free(field->value.integers);
        else if (field->type == QVL_FIELD_REALS)
            free(field->value.reals);
    }
    free(record->fields);
    free(record->kind);
    free(record->name);
    free(record);
}

/* A record without fields; NULL when there is no memory. */
static inline struct qvl_record *qvl_record_create(const char *kind, const char *name,
                                                   enum qvl_case_status status)
{
    struct qvl_record *record = calloc(1, sizeof *record);
    if (!record)
        return NULL;
    record->kind = qvl_record_copy(kind);
    record->name = qvl_record_copy(name);
    record->status = status;
    if (!record->kind || !record->name) {
        qvl_record_destroy(record);
        return NULL;
    }
    return record;
}

/* The field of that name, or NULL. */
static inline const struct qvl_field *qvl_record_find(const struct qvl_record *record, const char *name)
{
    for (int64_t i = 0; record && i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return &record->fields[i];
    return NULL;
}

/* The value of a field that is one number; NaN when there is none. */
static inline double qvl_record_number(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    if (!field || field->provenance == QVL_FROM_NOT_DONE)
        return NAN;
    return field->type == QVL_FIELD_REAL  ? field->value.real
           : field->type == QVL_FIELD_INT ? (double)field->value.integer
                                          : NAN;
}

/* Append a field without a value; NULL when the record is faulty. The type is INT until a value is set. */
static inline struct qvl_field *qvl_record_append(struct qvl_record *record, const char *name,
                                                  const char *unit, enum qvl_provenance provenance)
{
    if (!record || record->fault != QVL_RECORD_GOOD)
        return NULL;
    if (qvl_record_find(record, name)) {
        record->fault = QVL_RECORD_NAME_TWICE;
        return NULL;
    }
    if (!qvl_record_grow((void **)&record->fields, record->field_count, &record->field_capacity,
                         sizeof *record->fields)) {
        record->fault = QVL_RECORD_NO_MEMORY;
        return NULL;
    }
    struct qvl_field *field = &record->fields[record->field_count];
    *field = (struct qvl_field){.name = qvl_record_copy(name), .provenance = provenance};
    if (unit)
        field->unit = qvl_record_copy(unit);
    if (!field->name || (unit && !field->unit)) {
        free(field->name);
        free(field->unit);
        record->fault = QVL_RECORD_NO_MEMORY;
        return NULL;
    }
    record->field_count++;
    return field;
}

static inline void qvl_record_int(struct qvl_record *record, const char *name, int64_t value,
                                  const char *unit, enum qvl_provenance provenance)
{
    struct qvl_field *field = qvl_record_append(record, name, unit, provenance);
    if (field)
        field->value.integer = value;
}

static inline void qvl_record_real(struct qvl_record *record, const char *name, double value,
                                   const char *unit, enum qvl_provenance provenance)
{
    struct qvl_field *field = qvl_record_append(record, name, unit, provenance);
    if (field) {
        field->type = QVL_FIELD_REAL;
        field->value.real = value;
    }
}

static inline void qvl_record_flag(struct qvl_record *record, const char *name, bool value,
                                   enum qvl_provenance provenance)
{
    struct qvl_field *field = qvl_record_append(record, name, NULL, provenance);
    if (field) {
        field->type = QVL_FIELD_FLAG;
        field->value.flag = value;
    }
}

static inline void qvl_record_text(struct qvl_record *record, const char *name, const char *value,
                                   enum qvl_provenance provenance)
{
    struct qvl_field *field = qvl_record_append(record, name, NULL, provenance);
    if (!field)
        return;
    char *copy = qvl_record_copy(value);
    if (!copy) {
        record->fault = QVL_RECORD_NO_MEMORY;
        return;
    }
    field->type = QVL_FIELD_TEXT;
    field->value.text = copy;
}

/* A value that is missing, and why. */
static inline void qvl_record_missing(struct qvl_record *record, const char *name, const char *reason)
{
    qvl_record_text(record, name, reason, QVL_FROM_NOT_DONE);
}

static inline void qvl_record_array(struct qvl_record *record, const char *name, enum qvl_field_type type,
                                    const void *values, int64_t count, const char *unit,
                                    enum qvl_provenance provenance)
{
    struct qvl_field *field = qvl_record_append(record, name, unit, provenance);
    if (!field)
        return;
    size_t bytes = (size_t)count * 8; /* int64_t and double alike */
    void *copy = malloc(bytes ? bytes : 1);
    if (!copy) {
        record->fault = QVL_RECORD_NO_MEMORY;
        return;
    }
    if (bytes)
        memcpy(copy, values, bytes);
    field->type = type;
    field->count = count;
    if (type == QVL_FIELD_INTS)
        field->value.integers = copy;
    else
        field->value.reals = copy;
}

static inline void qvl_record_ints(struct qvl_record *record, const char *name, const int64_t *values,
                                   int64_t count, const char *unit, enum qvl_provenance provenance)
{
    qvl_record_array(record, name, QVL_FIELD_INTS, values, count, unit, provenance);
}

static inline void qvl_record_reals(struct qvl_record *record, const char *name, const double *values,
                                    int64_t count, const char *unit, enum qvl_provenance provenance)
{
    qvl_record_array(record, name, QVL_FIELD_REALS, values, count, unit, provenance);
}

/* Leave the field added last out of tables (seeds, raw samples, command lines). */
static inline void qvl_record_detail(struct qvl_record *record)
{
    if (record && record->fault == QVL_RECORD_GOOD && record->field_count > 0)
        record->fields[record->field_count - 1].detail = true;
}

/* Mark the field added last as resting on a figure that nobody verified. */
static inline void qvl_record_unverified(struct qvl_record *record)
{
    if (record && record->fault == QVL_RECORD_GOOD && record->field_count > 0)
        record->fields[record->field_count - 1].unverified = true;
}

/* QVL_NO_MEMORY or QVL_USAGE when a builder call failed. */
static inline QVL_MUST_USE enum qvl_status qvl_record_check(const struct qvl_record *record,
                                                            struct qvl_error *error)
{
    if (!record)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a record");
    if (record->fault == QVL_RECORD_NO_MEMORY)
        return qvl_fail(error, QVL_NO_MEMORY, "record %s \"%s\": no memory for its fields", record->kind,
                        record->name);
    if (record->fault == QVL_RECORD_NAME_TWICE)
        return qvl_fail(error, QVL_USAGE, "record %s \"%s\": a field name is used twice", record->kind,
                        record->name);
    return QVL_OK;
}

/* Append a record; the report owns it from here, also on failure. */
static inline QVL_MUST_USE enum qvl_status qvl_report_take(struct qvl_report *report,
                                                           struct qvl_record *record, struct qvl_error *error)
{
    enum qvl_status status = qvl_record_check(record, error);
    if (status == QVL_OK && !qvl_record_grow((void **)&report->records, report->record_count,
                                             &report->record_capacity, sizeof(struct qvl_record *)))
        status = qvl_fail(error, QVL_NO_MEMORY, "record %s \"%s\": no memory to keep it", record->kind,
                          record->name);
    if (status != QVL_OK) {
        qvl_record_destroy(record);
        return status;
    }
    report->records[report->record_count++] = record;
    return QVL_OK;
}

/* State that something asked for could not be measured. */
static inline QVL_MUST_USE enum qvl_status qvl_report_omit(struct qvl_report *report, const char *what,
                                                           const char *reason, struct qvl_error *error)
{
    if (!qvl_record_grow((void **)&report->omissions, report->omission_count, &report->omission_capacity,
                         sizeof *report->omissions))
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to note that %s was not measured", what);
    struct qvl_omission omission = {qvl_record_copy(what), qvl_record_copy(reason)};
    if (!omission.what || !omission.reason) {
        free(omission.what);
        free(omission.reason);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to note that %s was not measured", what);
    }
    report->omissions[report->omission_count++] = omission;
    return QVL_OK;
}

/* Add a sentence that is printed under the tables and kept in report.json. */
static inline QVL_MUST_USE enum qvl_status qvl_report_note(struct qvl_report *report, const char *note,
                                                           struct qvl_error *error)
{
    char *copy = NULL;
    if (!qvl_record_grow((void **)&report->notes, report->note_count, &report->note_capacity,
                         sizeof(char *)) ||
        !(copy = qvl_record_copy(note)))
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a note");
    report->notes[report->note_count++] = copy;
    return QVL_OK;
}

/* Records with that status. */
static inline int64_t qvl_report_status_count(const struct qvl_report *report, enum qvl_case_status status)
{
    int64_t count = 0;
    for (int64_t i = 0; i < report->record_count; i++)
        count += report->records[i]->status == status;
    return count;
}

/* What the checks of a report add up to: QVL_FAILED when one has a status of `fail_on`, or when there are
 * checks and none came to an end; QVL_INCOMPARABLE when only a measurement is invalid. */
static inline enum qvl_status qvl_report_outcome(const struct qvl_report *report)
{
    const unsigned fail_on = report->fail_on ? report->fail_on : QVL_REPORT_FAIL_ON;
    const int64_t invalid = qvl_report_status_count(report, QVL_CASE_INVALID);
    const int64_t ended = qvl_report_status_count(report, QVL_CASE_PASSED) +
                          qvl_report_status_count(report, QVL_CASE_FAILED) +
                          qvl_report_status_count(report, QVL_CASE_MISTRUSTED) + invalid;
    for (int status = QVL_CASE_PASSED; status < QVL_CASE_STATUS_COUNT; status++)
        if ((fail_on >> status & 1) && qvl_report_status_count(report, (enum qvl_case_status)status) > 0)
            return QVL_FAILED;
    if (invalid > 0)
        return QVL_INCOMPARABLE;
    return ended == 0 && qvl_report_status_count(report, QVL_CASE_NONE) < report->record_count ? QVL_FAILED
                                                                                               : QVL_OK;
}

/* Free what the report owns and empty it; the struct itself is the caller's. NULL is accepted. */
static inline void qvl_report_clear(struct qvl_report *report)
{
    if (!report)
        return;
    for (int64_t i = 0; i < report->record_count; i++)
        qvl_record_destroy(report->records[i]);
    for (int64_t i = 0; i < report->omission_count; i++) {
        free(report->omissions[i].what);
        free(report->omissions[i].reason);
    }
    for (int64_t i = 0; i < report->note_count; i++)
        free(report->notes[i]);
    qvl_record_destroy(report->environment);
    qvl_record_destroy(report->workload);
    free(report->records);
    free(report->omissions);
    free(report->notes);
    *report = (struct qvl_report){0};
}

#endif
