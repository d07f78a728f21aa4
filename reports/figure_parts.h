/* What the figures share: names that occur in records, and the devices that get a colour. */
#ifndef QVL_REPORTS_FIGURE_PARTS_H
#define QVL_REPORTS_FIGURE_PARTS_H

#include "qvl/record.h"
#include "reports/plot.h"

#define QVL_FIGURE_MAX_NAMES 256

/* Different texts in the order in which they came; borrowed from the records. */
struct qvl_names {
    const char *items[QVL_FIGURE_MAX_NAMES];
    int count;
};

/* The text of a field, or NULL. */
const char *qvl_figure_text(const struct qvl_record *record, const char *field);

/* Whether the record is of the kind and says "model" and "device" so. */
bool qvl_figure_is(const struct qvl_record *record, const char *kind, const char *model, const char *device);

/* The different texts of `field` among the records of a kind. */
void qvl_names_collect(const struct qvl_report *report, const char *kind, const char *field,
                       struct qvl_names *names);
int qvl_names_index(const struct qvl_names *names, const char *text); /* -1: none */

/* The devices that are drawn in colour, at most QVL_PLOT_COLOURS: all, or a choice over the whole range of
 * speeds; among neighbours those with measured or published timings. Measured rows are always chosen. */
void qvl_figure_choose_devices(const struct qvl_report *report, struct qvl_names *chosen);

void qvl_write_overviews(const struct qvl_report *report, struct qvl_text *out);
void qvl_write_measured_plots(const struct qvl_report *report, struct qvl_text *out);
void qvl_write_latency_plots(const struct qvl_report *report, struct qvl_text *out);
void qvl_write_roofline_plots(const struct qvl_report *report, struct qvl_text *out);

#endif
