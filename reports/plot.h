/* Log-log plots as SVG. Colours, fonts and dark mode come from the style sheet of the page (reports/html.c):
 * a series has a class c0 to c7, or muted. Series differ in the shape of their markers as well as in colour,
 * and the source of a value shows in the line and the marker, so that nothing rests on colour alone. */
#ifndef QVL_REPORTS_PLOT_H
#define QVL_REPORTS_PLOT_H

#include <stdint.h>

#include "reports/text.h"

#define QVL_PLOT_COLOURS 8
#define QVL_PLOT_MUTED (-1)

/* Where a value comes from: measured and published are solid with full markers (measured thicker),
 * extrapolated dashed and roofline dotted, both with open markers. A line between two points has the weaker
 * style. */
enum qvl_plot_source {
    QVL_PLOT_MEASURED,
    QVL_PLOT_PUBLISHED,
    QVL_PLOT_EXTRAPOLATED,
    QVL_PLOT_ROOFLINE,
    QVL_PLOT_SOURCES
};

/* The source that a record's text names; QVL_PLOT_ROOFLINE when it is none. */
enum qvl_plot_source qvl_plot_source_of(const char *text);

struct qvl_plot_point {
    double x, y; /* positive */
    enum qvl_plot_source source;
    const char *remark; /* shown on hovering; NULL: none */
};

struct qvl_plot_series {
    const char *label; /* at the right end of a line; NULL: none */
    const char *name;  /* shown on hovering over the line; NULL: none */
    int colour;        /* 0 .. QVL_PLOT_COLOURS - 1, or QVL_PLOT_MUTED */
    int marker;        /* 0 .. 7; -1: none */
    bool line;
    const struct qvl_plot_point *points; /* in the order of x */
    int64_t count;
};

/* A ceiling y = min(peak, slope x). */
struct qvl_plot_roof {
    double slope, peak;
    bool dashed;
    const char *slope_label, *peak_label; /* NULL: none */
};

enum qvl_plot_axis { QVL_PLOT_SECONDS, QVL_PLOT_TOKENS, QVL_PLOT_RATE, QVL_PLOT_PLAIN };

struct qvl_plot {
    const char *title; /* for screen readers */
    const char *x_label, *y_label;
    enum qvl_plot_axis x_axis, y_axis;   /* how ticks are written */
    double x_low, x_high, y_low, y_high; /* 0: from the data */
    const struct qvl_plot_series *series;
    int64_t series_count;
    const struct qvl_plot_roof *roofs;
    int64_t roof_count;
};

/* Nothing is drawn for a plot without a point. */
void qvl_plot_svg(const struct qvl_plot *plot, struct qvl_text *out);

/* One marker alone, for a legend. */
void qvl_plot_marker(int colour, int marker, enum qvl_plot_source source, struct qvl_text *out);

/* A piece of line in the style of a source, for a legend. */
void qvl_plot_sample(enum qvl_plot_source source, struct qvl_text *out);

#endif
