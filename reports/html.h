/* A report as one HTML page that needs nothing else: no script, no font, no request; plots are SVG inside it.
 * It follows the reader's light or dark setting, and prints. */
#ifndef QVL_REPORTS_HTML_H
#define QVL_REPORTS_HTML_H

#include "qvl/record.h"
#include "reports/text.h"

QVL_MUST_USE enum qvl_status qvl_html_write(const struct qvl_report *report, struct qvl_text *out,
                                            struct qvl_error *error);

/* The style sheet, zero-terminated; compiled in from reports/page.css. */
extern const char qvl_page_style[];

#endif
