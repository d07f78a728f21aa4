/* Text inside HTML and SVG. */
#ifndef QVL_REPORTS_MARKUP_H
#define QVL_REPORTS_MARKUP_H

#include "reports/text.h"

/* The string with &, <, > and quotes escaped, cleaned as qvl_text_clean does; fit for content and attributes.
 */
void qvl_markup_text(struct qvl_text *out, const char *string);

#endif
