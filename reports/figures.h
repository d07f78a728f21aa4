/* The plots and overviews that a report's records call for, as HTML with SVG: latency against context
 * ("procure" and "latency" records), the roofline ("roofline"), what fits ("memory") and control verdicts
 * ("control"). */
#ifndef QVL_REPORTS_FIGURES_H
#define QVL_REPORTS_FIGURES_H

#include "qvl/record.h"
#include "reports/text.h"

/* Nothing is written for kinds that the report lacks. */
QVL_MUST_USE enum qvl_status qvl_figures_write(const struct qvl_report *report, struct qvl_text *out,
                                               struct qvl_error *error);

#endif
