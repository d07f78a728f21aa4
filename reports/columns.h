/* The columns of a set of records: the union of their fields, in the order of the records. A field that an
 * earlier record lacks stands before the next one that both have, or at the end. */
#ifndef QVL_REPORTS_COLUMNS_H
#define QVL_REPORTS_COLUMNS_H

#include "qvl/record.h"

/* Fields share a column when name, unit and provenance agree; a value that was not done goes under the first
 * column of its name. */
struct qvl_column {
    const char *name; /* borrowed from the records, like unit */
    const char *unit; /* NULL: none */
    enum qvl_provenance provenance;
    bool numeric; /* no text in it */
};

struct qvl_columns {
    struct qvl_column *items; /* owned */
    int64_t count, capacity;
};

/* Columns of records[0..count-1]; `details` includes the fields that tables leave out. */
QVL_MUST_USE enum qvl_status qvl_columns_make(struct qvl_record *const *records, int64_t count, bool details,
                                              struct qvl_columns *columns, struct qvl_error *error);
void qvl_columns_free(struct qvl_columns *columns); /* NULL is accepted */

/* The field of a record that belongs in a column, or NULL. */
const struct qvl_field *qvl_column_field(const struct qvl_columns *columns, int64_t column,
                                         const struct qvl_record *record);

#endif
