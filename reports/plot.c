#include "reports/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/markup.h"

/* User units of the drawing. */
#define WIDTH 470.0
#define HEIGHT 320.0
#define LEFT 70.0
#define TOP 14.0
#define BOTTOM 46.0
#define LABEL_ROOM 36.0 /* right of the frame, for labels of lines, and */
#define LETTER 6.6      /* for each letter of the longest */
#define PLAIN_ROOM 14.0
#define LABEL_STEP 14.0 /* between the baselines of two labels */
#define MAX_LABELS 32

struct frame {
    double left, right, top, bottom;     /* of the drawing */
    double x_low, x_high, y_low, y_high; /* logarithms to base 10 */
};

static double place_x(const struct frame *frame, double x)
{
    return frame->left +
           (log10(x) - frame->x_low) / (frame->x_high - frame->x_low) * (frame->right - frame->left);
}

static double place_y(const struct frame *frame, double y)
{
    return frame->bottom -
           (log10(y) - frame->y_low) / (frame->y_high - frame->y_low) * (frame->bottom - frame->top);
}

enum qvl_plot_source qvl_plot_source_of(const char *text)
{
    if (strncmp(text, "measured", 8) == 0)
        return QVL_PLOT_MEASURED;
    if (strcmp(text, "published") == 0)
        return QVL_PLOT_PUBLISHED;
    return strcmp(text, "extrapolated from published") == 0 ? QVL_PLOT_EXTRAPOLATED : QVL_PLOT_ROOFLINE;
}

static const char *source_class(enum qvl_plot_source source)
{
    static const char *const names[QVL_PLOT_SOURCES] = {"sm", "sp", "se", "sr"};
    return (unsigned)source < QVL_PLOT_SOURCES ? names[source] : names[QVL_PLOT_ROOFLINE];
}

static void colour_class(int colour, struct qvl_text *out)
{
    if (colour == QVL_PLOT_MUTED)
        qvl_text_print(out, "muted");
    else
        qvl_text_print(out, "c%d", colour % QVL_PLOT_COLOURS);
}

/* ---- markers ---- */

static void put_marker(double x, double y, int marker, struct qvl_text *out)
{
    static const char *const shapes[8] = {"M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",
                                          "M-3.3-3.3h6.6v6.6h-6.6z",
                                          "M0-4.4L4.2 3.2H-4.2z",
                                          "M0-4.8L4.8 0 0 4.8-4.8 0z",
                                          "M0 4.4L4.2-3.2H-4.2z",
                                          "M-1.5-4.4h3v2.9h2.9v3h-2.9v2.9h-3v-2.9h-2.9v-3h2.9z",
                                          "M-2.2-4.2h4.4L4.6 0 2.2 4.2h-4.4L-4.6 0z",
                                          "M0-4.8L1.4-1.4 4.8 0 1.4 1.4 0 4.8-1.4 1.4-4.8 0-1.4-1.4z"};
    qvl_text_print(out, "<path transform=\"translate(%.1f %.1f)\" d=\"%s\"/>", x, y, shapes[marker & 7]);
}

/* Markers of a series in groups of one source, each with its remark. */
static void put_markers(const struct qvl_plot_series *series, const struct frame *frame, struct qvl_text *out)
{
    for (int64_t i = 0; i < series->count; i++) {
        const struct qvl_plot_point *point = &series->points[i];
        qvl_text_print(out, "<g class=\"mark %s ", source_class(point->source));
        colour_class(series->colour, out);
        qvl_text_print(out, "\">");
        if (point->remark) {
            qvl_text_print(out, "<title>");
            qvl_markup_text(out, point->remark);
            qvl_text_print(out, "</title>");
        }
        put_marker(place_x(frame, point->x), place_y(frame, point->y), series->marker, out);
        qvl_text_print(out, "</g>");
    }
}

void qvl_plot_marker(int colour, int marker, enum qvl_plot_source source, struct qvl_text *out)
{
    qvl_text_print(out, "<svg class=\"key\" viewBox=\"-7 -7 14 14\" aria-hidden=\"true\"><g class=\"mark %s ",
                   source_class(source));
    colour_class(colour, out);
    qvl_text_print(out, "\">");
    put_marker(0, 0, marker, out);
    qvl_text_print(out, "</g></svg>");
}

void qvl_plot_sample(enum qvl_plot_source source, struct qvl_text *out)
{
    qvl_text_print(
        out,
        "<svg class=\"sample\" viewBox=\"0 -7 44 14\" aria-hidden=\"true\"><path class=\"line %s c0\" "
        "d=\"M2 0H42\"/><g class=\"mark %s c0\">",
        source_class(source), source_class(source));
    put_marker(22, 0, 0, out);
    qvl_text_print(out, "</g></svg>");
}

/* ---- lines ---- */

/* Stretches of one style; a segment takes the weaker source of its ends. */
static void put_line(const struct qvl_plot_series *series, const struct frame *frame, struct qvl_text *out)
{
    int open = -1;
    qvl_text_print(out, "<g>");
    if (series->name) {
        qvl_text_print(out, "<title>");
        qvl_markup_text(out, series->name);
        qvl_text_print(out, "</title>");
    }
    for (int64_t i = 1; i < series->count; i++) {
        const struct qvl_plot_point *a = &series->points[i - 1], *b = &series->points[i];
        const int style = a->source > b->source ? (int)a->source : (int)b->source;
        if (style != open) {
            qvl_text_print(out, "%s<path class=\"line %s ", open >= 0 ? "\"/>" : "",
                           source_class((enum qvl_plot_source)style));
            colour_class(series->colour, out);
            qvl_text_print(out, "\" d=\"M%.1f %.1f", place_x(frame, a->x), place_y(frame, a->y));
            open = style;
        }
        qvl_text_print(out, "L%.1f %.1f", place_x(frame, b->x), place_y(frame, b->y));
    }
    qvl_text_print(out, "%s</g>", open >= 0 ? "\"/>" : "");
}

static void put_roof(const struct qvl_plot_roof *roof, const struct frame *frame, struct qvl_text *out)
{
    const double low = pow(10, frame->x_low), ridge = roof->peak / roof->slope;
    /* leave through the lower edge where the slope does */
    const double start = fmax(low, pow(10, frame->y_low) / roof->slope);
    const double x0 = place_x(frame, start), y0 = place_y(frame, roof->slope * start);
    const double x1 = place_x(frame, ridge), y1 = place_y(frame, roof->peak);
    qvl_text_print(out, "<path class=\"roof%s\" d=\"M%.1f %.1fL%.1f %.1fH%.1f\"/>",
                   roof->dashed ? " dashed" : "", x0, y0, x1, y1, frame->right);
    if (roof->peak_label) {
        qvl_text_print(out, "<text class=\"note\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">",
                       frame->right - 5, y1 - 7);
        qvl_markup_text(out, roof->peak_label);
        qvl_text_print(out, "</text>");
    }
    if (roof->slope_label) {
        const double x = x0 + 0.42 * (x1 - x0), y = y0 + 0.42 * (y1 - y0);
        qvl_text_print(
            out,
            "<text class=\"note\" text-anchor=\"middle\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" "
            "y=\"-7\">",
            x, y, atan2(y1 - y0, x1 - x0) * 180 / M_PI);
        qvl_markup_text(out, roof->slope_label);
        qvl_text_print(out, "</text>");
    }
}

/* ---- axes ---- */

static void tick_text(enum qvl_plot_axis axis, double value, char text[24])
{
    static const char *const rates[] = {"", "k", "M", "G", "T", "P", "E"};
    int step = 0;
    switch (axis) {
    case QVL_PLOT_SECONDS:
        if (value < 0.9995e-3)
            snprintf(text, 24, "%.3g µs", value * 1e6);
        else if (value < 0.9995)
            snprintf(text, 24, "%.3g ms", value * 1e3);
        else
            snprintf(text, 24, "%.0f s", value);
        return;
    case QVL_PLOT_TOKENS:
        if (value >= 1 << 20)
            snprintf(text, 24, "%.3gM", value / (1 << 20));
        else if (value >= 1 << 10)
            snprintf(text, 24, "%.3gK", value / (1 << 10));
        else
            snprintf(text, 24, "%.0f", value);
        return;
    case QVL_PLOT_RATE:
        for (; value >= 999.5 && step < 6; step++)
            value /= 1000;
        snprintf(text, 24, "%.3g %s", value, rates[step]);
        return;
    default: snprintf(text, 24, "%.6g", value);
    }
}

static void put_x_tick(const struct qvl_plot *plot, const struct frame *frame, double value,
                       struct qvl_text *out)
{
    char text[24];
    const double x = place_x(frame, value);
    tick_text(plot->x_axis, value, text);
    qvl_text_print(out,
                   "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text class=\"tick\" text-anchor=\"middle\" "
                   "x=\"%.1f\" y=\"%.1f\">%s</text>",
                   x, frame->top, frame->bottom, x, frame->bottom + 16, text);
}

static void put_y_tick(const struct qvl_plot *plot, const struct frame *frame, double value,
                       struct qvl_text *out)
{
    char text[24];
    const double y = place_y(frame, value);
    tick_text(plot->y_axis, value, text);
    qvl_text_print(
        out,
        "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" "
        "y=\"%.1f\">%s</text>",
        frame->left, y, frame->right, frame->left - 7, y + 4, text);
}

static bool drawn_at(const double *values, int count, double value)
{
    for (int i = 0; i < count; i++)
        if (fabs(log2(values[i] / value)) < 0.9) /* labels nearer than a doubling would touch */
            return true;
    return false;
}

/* Token axes have a tick where there is a value; others at powers of ten, and at 2 and 5 of short axes. */
static void put_x_ticks(const struct qvl_plot *plot, const struct frame *frame, struct qvl_text *out)
{
    double drawn[64];
    int count = 0;
    if (plot->x_axis != QVL_PLOT_TOKENS) {
        const int step = frame->x_high - frame->x_low > 7 ? 2 : 1;
        for (int decade = (int)ceil(frame->x_low - 1e-9); decade <= frame->x_high + 1e-9; decade += step)
            put_x_tick(plot, frame, pow(10, decade), out);
        return;
    }
    for (int64_t s = 0; s < plot->series_count; s++)
        for (int64_t i = 0; i < plot->series[s].count && count < 64; i++)
            if (!drawn_at(drawn, count, plot->series[s].points[i].x)) {
                drawn[count++] = plot->series[s].points[i].x;
                put_x_tick(plot, frame, drawn[count - 1], out);
            }
}

static void put_y_ticks(const struct qvl_plot *plot, const struct frame *frame, struct qvl_text *out)
{
    const double span = frame->y_high - frame->y_low;
    const int step = span > 9 ? 2 : 1;
    for (int decade = (int)floor(frame->y_low); decade <= frame->y_high + 1e-9; decade += step)
        for (int digit = 1; digit <= 5; digit += digit == 1 ? 1 : 3) {
            const double value = digit * pow(10, decade), at = log10(value);
            if ((digit == 1 || span < 2) && at >= frame->y_low - 1e-9 && at <= frame->y_high + 1e-9)
                put_y_tick(plot, frame, value, out);
        }
}

static void put_axes(const struct qvl_plot *plot, const struct frame *frame, struct qvl_text *out)
{
    put_x_ticks(plot, frame, out);
    put_y_ticks(plot, frame, out);
    qvl_text_print(out, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>", frame->left, frame->top,
                   frame->bottom, frame->right);
    qvl_text_print(out, "<text class=\"label\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">",
                   (frame->left + frame->right) / 2, frame->bottom + 37);
    qvl_markup_text(out, plot->x_label);
    qvl_text_print(out,
                   "</text><text class=\"label\" text-anchor=\"middle\" transform=\"translate(14 %.1f) "
                   "rotate(-90)\">",
                   (frame->top + frame->bottom) / 2);
    qvl_markup_text(out, plot->y_label);
    qvl_text_print(out, "</text>");
}

/* ---- labels at the ends of lines ---- */

struct label {
    const struct qvl_plot_series *series;
    double x, wanted, y;
};

static int by_height(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* Push labels apart downwards, then back up from the lower edge. */
static void spread(struct label *labels, int count, const struct frame *frame)
{
    qsort(labels, (size_t)count, sizeof *labels, by_height);
    for (int i = 0; i < count; i++)
        labels[i].y =
            i ? fmax(labels[i].wanted, labels[i - 1].y + LABEL_STEP) : fmax(labels[i].wanted, frame->top + 4);
    double limit = frame->bottom - 2;
    for (int i = count - 1; i >= 0; i--, limit -= LABEL_STEP)
        labels[i].y = fmin(labels[i].y, limit);
}

static void put_labels(const struct qvl_plot *plot, const struct frame *frame, struct qvl_text *out)
{
    struct label labels[MAX_LABELS];
    int count = 0;
    for (int64_t s = 0; s < plot->series_count && count < MAX_LABELS; s++) {
        const struct qvl_plot_series *series = &plot->series[s];
        if (!series->label || series->count == 0)
            continue;
        const struct qvl_plot_point *last = &series->points[series->count - 1];
        labels[count++] =
            (struct label){.series = series, .x = place_x(frame, last->x), .wanted = place_y(frame, last->y)};
    }
    spread(labels, count, frame);
    for (int i = 0; i < count; i++) {
        const double x = frame->right + 16;
        if (frame->right - labels[i].x < 40) { /* across the drawing it would look like data */
            qvl_text_print(out, "<path class=\"lead ");
            colour_class(labels[i].series->colour, out);
            qvl_text_print(out, "\" d=\"M%.1f %.1fL%.1f %.1fH%.1f\"/>", labels[i].x + 6, labels[i].wanted,
                           x - 4, labels[i].y, x);
        }
        qvl_text_print(out, "<g class=\"mark sp ");
        colour_class(labels[i].series->colour, out);
        qvl_text_print(out, "\">");
        put_marker(x + 5, labels[i].y, labels[i].series->marker, out);
        qvl_text_print(out, "</g><text class=\"name\" x=\"%.1f\" y=\"%.1f\">", x + 13, labels[i].y + 4);
        qvl_markup_text(out, labels[i].series->label);
        qvl_text_print(out, "</text>");
    }
}

/* ---- the whole ---- */

static bool find_frame(const struct qvl_plot *plot, struct frame *frame)
{
    double x_low = INFINITY, x_high = 0, y_low = INFINITY, y_high = 0;
    size_t longest = 0;
    for (int64_t s = 0; s < plot->series_count; s++) {
        const size_t letters = plot->series[s].label ? qvl_text_width(plot->series[s].label) : 0;
        longest = letters > longest ? letters : longest;
        for (int64_t i = 0; i < plot->series[s].count; i++) {
            x_low = fmin(x_low, plot->series[s].points[i].x);
            x_high = fmax(x_high, plot->series[s].points[i].x);
            y_low = fmin(y_low, plot->series[s].points[i].y);
            y_high = fmax(y_high, plot->series[s].points[i].y);
        }
    }
    if (!(x_high > 0) || !(y_high > 0) || !(x_low > 0) || !(y_low > 0))
        return false;
    *frame = (struct frame){
        LEFT,
        WIDTH - (longest > 0 ? fmin(LABEL_ROOM + LETTER * (double)longest, WIDTH / 2) : PLAIN_ROOM),
        TOP,
        HEIGHT - BOTTOM,
        log10(plot->x_low > 0 ? plot->x_low : x_low),
        log10(plot->x_high > 0 ? plot->x_high : x_high),
        log10(plot->y_low > 0 ? plot->y_low : y_low),
        log10(plot->y_high > 0 ? plot->y_high : y_high)};
    const double x_pad = plot->x_low > 0 ? 0 : fmax(0.04 * (frame->x_high - frame->x_low), 0.1);
    /* at least 0.8 decades, so that two ticks of 1, 2, 5 are inside */
    const double y_span = frame->y_high - frame->y_low;
    const double y_pad = plot->y_low > 0 ? 0 : fmax(0.05 * y_span, (0.8 - y_span) / 2);
    frame->x_low -= x_pad;
    frame->x_high += x_pad;
    frame->y_low -= y_pad;
    frame->y_high += y_pad;
    return true;
}

void qvl_plot_svg(const struct qvl_plot *plot, struct qvl_text *out)
{
    struct frame frame;
    if (!find_frame(plot, &frame))
        return;
    qvl_text_print(out, "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", WIDTH,
                   HEIGHT);
    qvl_markup_text(out, plot->title);
    qvl_text_print(out, "\">");
    put_axes(plot, &frame, out);
    for (int64_t i = 0; i < plot->roof_count; i++)
        put_roof(&plot->roofs[i], &frame, out);
    for (int muted = 1; muted >= 0; muted--) /* muted ones lie behind */
        for (int64_t s = 0; s < plot->series_count; s++) {
            const struct qvl_plot_series *series = &plot->series[s];
            if ((series->colour == QVL_PLOT_MUTED) != (muted == 1))
                continue;
            if (series->line)
                put_line(series, &frame, out);
            if (series->marker >= 0)
                put_markers(series, &frame, out);
        }
    put_labels(plot, &frame, out);
    qvl_text_print(out, "</svg>");
}
