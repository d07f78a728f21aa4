/* The text of a field's value. */
#ifndef QVL_REPORTS_VALUES_H
#define QVL_REPORTS_VALUES_H

#include "qvl/record.h"
#include "reports/text.h"

/* For machines: every digit of an integer, the shortest digits that read back the same for a real, "true" or
 * "false", array elements with a space between, text as it is, nothing for a value that was not done. */
void qvl_value_exact(struct qvl_text *text, const struct qvl_field *field);

/* For people, on one line: reals with 4 digits, large counts with a prefix (FLOP and parameter: k M G T P E;
 * B: Ki Mi Gi Ti Pi), seconds as s, ms, us or ns, arrays up to 8 elements. The unit follows only when it is
 * short (qvl_unit_in_cell) or `with_unit` is set. */
void qvl_value_human(struct qvl_text *text, const struct qvl_field *field, bool with_unit);

/* True for units that stand beside each value (B, s, Hz, ...) instead of once in the heading. */
bool qvl_unit_in_cell(const char *unit);

#endif
