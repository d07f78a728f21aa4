/* Latency against context, a panel a model; and the roofline, a panel a device. */
#include <math.h>
#include <stdlib.h>

#include "reports/figure_parts.h"
#include "reports/markup.h"

#define MAX_POINTS 4096
#define MAX_SERIES QVL_FIGURE_MAX_NAMES

/* Points of all series of one panel, and their remarks. */
struct panel {
    struct qvl_plot_point points[MAX_POINTS];
    struct qvl_plot_series series[MAX_SERIES];
    int64_t point_count, series_count;
};

static void begin_figure(const char *id, const char *title, const char *about, struct qvl_text *out)
{
    qvl_text_print(out, "<section id=\"%s\"><h2>%s</h2><p>%s</p>\n", id, title, about);
}

static void end_panel(const struct qvl_plot *plot, const char *heading, struct qvl_text *out)
{
    qvl_text_print(out, "<figure><figcaption>");
    qvl_markup_text(out, heading);
    qvl_text_print(out, "</figcaption><div class=\"scroll\">");
    qvl_plot_svg(plot, out);
    qvl_text_print(out, "</div></figure>\n");
}

static void key_of_sources(struct qvl_text *out)
{
    static const char *const texts[QVL_PLOT_SOURCES] = {"measured", "published",
                                                        "extrapolated from published", "roofline only"};
    for (int source = 0; source < QVL_PLOT_SOURCES; source++) {
        qvl_text_print(out, "<span>");
        qvl_plot_sample((enum qvl_plot_source)source, out);
        qvl_text_print(out, " %s</span>", texts[source]);
    }
}

static int by_x(const void *a, const void *b)
{
    const struct qvl_plot_point *x = a, *y = b;
    return (x->x > y->x) - (x->x < y->x);
}

/* The values of one model on one device along the context. */
static void add_device(const struct qvl_report *report, const char *model, const char *device,
                       const char *field, int colour, struct panel *panel)
{
    char source_field[32];
    if (panel->series_count == MAX_SERIES)
        return;
    struct qvl_plot_series *series = &panel->series[panel->series_count];
    struct qvl_plot_point *points = &panel->points[panel->point_count];
    *series = (struct qvl_plot_series){.label = colour >= 0 ? device : NULL,
                                       .name = device,
                                       .colour = colour >= 0 ? colour : QVL_PLOT_MUTED,
                                       .marker = colour,
                                       .line = true,
                                       .points = points};
    snprintf(source_field, sizeof source_field, "%s_source", field);
    for (int64_t i = 0; i < report->record_count && panel->point_count < MAX_POINTS; i++) {
        const struct qvl_record *record = report->records[i];
        if (!qvl_figure_is(record, "procure", model, device))
            continue;
        const double x = qvl_record_number(record, "context"), y = qvl_record_number(record, field);
        const char *source = qvl_figure_text(record, source_field);
        if (!(x > 0) || !(y > 0))
            continue;
        points[series->count++] = (struct qvl_plot_point){
            x, y, source ? qvl_plot_source_of(source) : QVL_PLOT_ROOFLINE, record->name};
        panel->point_count++;
    }
    if (series->count == 0)
        return;
    qsort(points, (size_t)series->count, sizeof *points, by_x);
    panel->series_count++;
}

/* A panel of the "latency" records: one line for each beginning of their names ("cpu" of "cpu 8192"). */
static void measured_panel(const struct qvl_report *report, const char *prefix, const char *axis,
                           struct panel *panel, struct qvl_text *out)
{
    char labels[QVL_PLOT_COLOURS][24];
    char field[32];
    snprintf(field, sizeof field, "%s_median", prefix);
    panel->point_count = panel->series_count = 0;
    for (int line = 0; line < QVL_PLOT_COLOURS; line++) {
        struct qvl_plot_series *series = &panel->series[panel->series_count];
        struct qvl_plot_point *points = &panel->points[panel->point_count];
        labels[line][0] = '\0';
        *series = (struct qvl_plot_series){.label = labels[line],
                                           .name = labels[line],
                                           .colour = line,
                                           .marker = line,
                                           .line = true,
                                           .points = points};
        for (int64_t i = 0; i < report->record_count && panel->point_count < MAX_POINTS; i++) {
            const struct qvl_record *record = report->records[i];
            const double x = qvl_record_number(record, "context"), y = qvl_record_number(record, field);
            char label[24];
            bool taken = strcmp(record->kind, "latency") != 0 || !(x > 0) || !(y > 0);
            snprintf(label, sizeof label, "%.*s", (int)strcspn(record->name, " "), record->name);
            for (int before = 0; before < line && !taken; before++)
                taken = strcmp(labels[before], label) == 0;
            if (taken || (labels[line][0] && strcmp(labels[line], label) != 0))
                continue;
            memcpy(labels[line], label, sizeof label);
            points[series->count++] = (struct qvl_plot_point){x, y, QVL_PLOT_MEASURED, record->name};
            panel->point_count++;
        }
        if (series->count == 0)
            break;
        qsort(points, (size_t)series->count, sizeof *points, by_x);
        panel->series_count++;
    }
    const struct qvl_plot plot = {.title = axis,
                                  .x_label = "context (tokens)",
                                  .y_label = axis,
                                  .x_axis = QVL_PLOT_TOKENS,
                                  .y_axis = QVL_PLOT_SECONDS,
                                  .series = panel->series,
                                  .series_count = panel->series_count};
    if (panel->point_count > 0)
        end_panel(&plot, prefix, out);
}

static void latency_panel(const struct qvl_report *report, const char *model, const struct qvl_names *devices,
                          const struct qvl_names *chosen, const char *field, const char *axis,
                          struct panel *panel, struct qvl_text *out)
{
    panel->point_count = panel->series_count = 0;
    for (int i = 0; i < devices->count; i++)
        add_device(report, model, devices->items[i], field, qvl_names_index(chosen, devices->items[i]),
                   panel);
    const struct qvl_plot plot = {.title = axis,
                                  .x_label = "context (tokens)",
                                  .y_label = axis,
                                  .x_axis = QVL_PLOT_TOKENS,
                                  .y_axis = QVL_PLOT_SECONDS,
                                  .series = panel->series,
                                  .series_count = panel->series_count};
    if (panel->point_count > 0)
        end_panel(&plot, model, out);
}

void qvl_write_measured_plots(const struct qvl_report *report, struct qvl_text *out)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < report->record_count; i++)
        rows += strcmp(report->records[i]->kind, "latency") == 0;
    struct panel *panel = rows > 0 ? malloc(sizeof *panel) : NULL;
    out->failed = out->failed || (rows > 0 && !panel);
    if (!panel)
        return;
    begin_figure("latency", "Latency against context",
                 "Medians on this machine; the table says how each was found.", out);
    qvl_text_print(out, "<div class=\"panels\">\n");
    measured_panel(report, "decode", "time per token (s)", panel, out);
    measured_panel(report, "prefill", "time to first token (s)", panel, out);
    qvl_text_print(out, "</div></section>\n");
    free(panel);
}

void qvl_write_latency_plots(const struct qvl_report *report, struct qvl_text *out)
{
    static const struct {
        const char *id, *field, *title, *axis, *about;
    } figures[] = {{"tpot", "tpot", "Time per output token", "time per token (s)",
                    "One decode step behind the whole context, on the fewest devices that hold the model "
                    "there: a line may "
                    "drop where more devices share the work."},
                   {"ttft", "ttft", "Time to first token", "time to first token (s)",
                    "Pictures and prompt, up to the first token. Beyond a few tens of thousands of tokens "
                    "attention makes it "
                    "grow with the square of the context."}};
    struct qvl_names models, devices, chosen;
    struct panel *panel = malloc(sizeof *panel);
    qvl_names_collect(report, "procure", "model", &models);
    qvl_names_collect(report, "procure", "device", &devices);
    qvl_figure_choose_devices(report, &chosen);
    out->failed = out->failed || !panel;
    for (size_t f = 0; panel && models.count > 0 && f < sizeof figures / sizeof *figures; f++) {
        begin_figure(figures[f].id, figures[f].title, figures[f].about, out);
        qvl_text_print(out, "<p class=\"legend\">");
        key_of_sources(out);
        if (devices.count > chosen.count)
            qvl_text_print(out,
                           "<span><svg class=\"sample\" viewBox=\"0 -7 44 14\" aria-hidden=\"true\"><path "
                           "class=\"line sp muted\" d=\"M2 0H42\"/></svg> the other %d devices "
                           "(their names on hovering)</span>",
                           devices.count - chosen.count);
        qvl_text_print(out, "</p><div class=\"panels\">\n");
        for (int m = 0; m < models.count; m++)
            latency_panel(report, models.items[m], &devices, &chosen, figures[f].field, figures[f].axis,
                          panel, out);
        qvl_text_print(out, "</div></section>\n");
    }
    free(panel);
}

/* ---- roofline ---- */

static const char *const phases[] = {"decode", "prefill", "vision"};

/* A point of a model's phase on the device; also the ceilings that its record states. */
static void add_points(const struct qvl_report *report, const char *device, const struct qvl_names *models,
                       struct panel *panel, struct qvl_plot_roof roofs[2])
{
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        const char *model = qvl_figure_text(record, "model"), *phase = qvl_figure_text(record, "phase");
        const char *source = qvl_figure_text(record, "source");
        if (!model || !phase || !source || !qvl_figure_is(record, "roofline", model, device) ||
            panel->point_count == MAX_POINTS || panel->series_count == MAX_SERIES)
            continue;
        int marker = 0;
        while (marker < 2 && strcmp(phase, phases[marker]) != 0)
            marker++;
        struct qvl_plot_point *point = &panel->points[panel->point_count++];
        *point = (struct qvl_plot_point){qvl_record_number(record, "intensity"),
                                         qvl_record_number(record, "flop_rate"), qvl_plot_source_of(source),
                                         record->name};
        panel->series[panel->series_count++] =
            (struct qvl_plot_series){.colour = qvl_names_index(models, model) % QVL_PLOT_COLOURS,
                                     .marker = marker,
                                     .points = point,
                                     .count = 1};
        roofs[0].peak = qvl_record_number(record, "peak");
        roofs[0].slope = qvl_record_number(record, "bandwidth");
        roofs[1].peak = qvl_record_number(record, "attainable_peak");
        roofs[1].slope = qvl_record_number(record, "attainable_bandwidth");
    }
}

static void roofline_panel(const struct qvl_report *report, const char *device,
                           const struct qvl_names *models, struct panel *panel, struct qvl_text *out)
{
    char peak[48], slope[48];
    struct qvl_plot_roof roofs[2] = {{.peak_label = peak, .slope_label = slope}, {.dashed = true}};
    panel->point_count = panel->series_count = 0;
    add_points(report, device, models, panel, roofs);
    if (panel->point_count == 0)
        return;
    snprintf(peak, sizeof peak, "%.4g TFLOP/s", roofs[0].peak * 1e-12);
    if (roofs[0].slope >= 1e12)
        snprintf(slope, sizeof slope, "%.4g TB/s", roofs[0].slope * 1e-12);
    else
        snprintf(slope, sizeof slope, "%.4g GB/s", roofs[0].slope * 1e-9);
    double low = 0.3 * roofs[0].slope;
    for (int64_t i = 0; i < panel->point_count; i++)
        low = fmin(low, panel->points[i].y / 2);
    const struct qvl_plot plot = {.title = "roofline",
                                  .x_label = "intensity (FLOP per byte)",
                                  .y_label = "rate (FLOP/s)",
                                  .x_axis = QVL_PLOT_PLAIN,
                                  .y_axis = QVL_PLOT_RATE,
                                  .x_low = 0.3,
                                  .x_high = 30000,
                                  .y_low = low,
                                  .y_high = 3 * roofs[0].peak,
                                  .series = panel->series,
                                  .series_count = panel->series_count,
                                  .roofs = roofs,
                                  .roof_count = 2};
    end_panel(&plot, device, out);
}

void qvl_write_roofline_plots(const struct qvl_report *report, struct qvl_text *out)
{
    struct qvl_names models, devices, chosen;
    qvl_names_collect(report, "roofline", "model", &models);
    qvl_names_collect(report, "roofline", "device", &devices);
    if (models.count == 0)
        return;
    struct panel *panel = malloc(sizeof *panel);
    out->failed = out->failed || !panel;
    if (!panel)
        return;
    qvl_figure_choose_devices(report, &chosen);
    begin_figure("roofline", "Roofline",
                 "FLOP/s reached against FLOPs per byte, one device's share, at the shortest context. Solid: "
                 "datasheet peaks, which nothing passes; dashed: what large kernels attain.",
                 out);
    qvl_text_print(out, "<p class=\"legend\">");
    for (int phase = 0; phase < 3; phase++) {
        qvl_text_print(out, "<span>");
        qvl_plot_marker(QVL_PLOT_MUTED, phase, QVL_PLOT_PUBLISHED, out);
        qvl_text_print(out, " %s</span>", phases[phase]);
    }
    for (int m = 0; m < models.count; m++) {
        qvl_text_print(out, "<span><i class=\"swatch c%d\"></i> ", m % QVL_PLOT_COLOURS);
        qvl_markup_text(out, models.items[m]);
        qvl_text_print(out, "</span>");
    }
    qvl_text_print(out,
                   "<span>open marker: not published for these shapes</span></p><div class=\"panels\">\n");
    for (int i = 0; i < chosen.count; i++)
        roofline_panel(report, chosen.items[i], &models, panel, out);
    qvl_text_print(out, "</div></section>\n");
    free(panel);
}
