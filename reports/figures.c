#include "reports/figures.h"

#include <math.h>
#include <stdlib.h>

#include "reports/figure_parts.h"

const char *qvl_figure_text(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    return field && field->type == QVL_FIELD_TEXT && field->provenance != QVL_FROM_NOT_DONE
               ? field->value.text
               : NULL;
}

bool qvl_figure_is(const struct qvl_record *record, const char *kind, const char *model, const char *device)
{
    const char *its_model, *its_device;
    return strcmp(record->kind, kind) == 0 && (its_model = qvl_figure_text(record, "model")) &&
           (its_device = qvl_figure_text(record, "device")) && strcmp(its_model, model) == 0 &&
           strcmp(its_device, device) == 0;
}

int qvl_names_index(const struct qvl_names *names, const char *text)
{
    for (int i = 0; text && i < names->count; i++)
        if (strcmp(names->items[i], text) == 0)
            return i;
    return -1;
}

static void add_name(struct qvl_names *names, const char *text)
{
    if (text && names->count < QVL_FIGURE_MAX_NAMES && qvl_names_index(names, text) < 0)
        names->items[names->count++] = text;
}

void qvl_names_collect(const struct qvl_report *report, const char *kind, const char *field,
                       struct qvl_names *names)
{
    *names = (struct qvl_names){.count = 0};
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, kind) == 0)
            add_name(names, qvl_figure_text(report->records[i], field));
}

/* A device and its decode floor for the first model and context that state one. */
struct candidate {
    const char *name;
    double floor;
    enum qvl_plot_source best;
};

static int by_floor(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->floor > y->floor) - (x->floor < y->floor);
}

static struct candidate describe(const struct qvl_report *report, const char *name)
{
    struct candidate candidate = {name, INFINITY, QVL_PLOT_ROOFLINE};
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        const char *device = strcmp(record->kind, "procure") == 0 ? qvl_figure_text(record, "device") : NULL;
        if (!device || strcmp(device, name) != 0)
            continue;
        const double floor = qvl_record_number(record, "tpot_floor");
        const char *text = qvl_figure_text(record, "ttft_source");
        const enum qvl_plot_source source = text ? qvl_plot_source_of(text) : QVL_PLOT_ROOFLINE;
        if (isinf(candidate.floor) && floor > 0)
            candidate.floor = floor;
        if (source < candidate.best)
            candidate.best = source;
    }
    return candidate;
}

void qvl_figure_choose_devices(const struct qvl_report *report, struct qvl_names *chosen)
{
    struct qvl_names all;
    struct candidate candidates[QVL_FIGURE_MAX_NAMES];
    int count = 0;
    qvl_names_collect(report, "procure", "device", &all);
    *chosen = (struct qvl_names){.count = 0};
    if (all.count <= QVL_PLOT_COLOURS) {
        *chosen = all;
        return;
    }
    for (int i = 0; i < all.count; i++) {
        const struct candidate candidate = describe(report, all.items[i]);
        if (candidate.best == QVL_PLOT_MEASURED && chosen->count < QVL_PLOT_COLOURS)
            add_name(chosen, candidate.name);
        else
            candidates[count++] = candidate;
    }
    qsort(candidates, (size_t)count, sizeof *candidates, by_floor);
    const int rest = QVL_PLOT_COLOURS - chosen->count;
    for (int part = 0; part < rest; part++) { /* one of each eighth of the ranks */
        const int first = part * count / rest, end = (part + 1) * count / rest;
        int best = part + 1 < rest ? first : count - 1; /* and the slowest */
        for (int i = first; i < end && part + 1 < rest; i++)
            if (candidates[i].best < candidates[best].best)
                best = i;
        add_name(chosen, candidates[best].name);
    }
}

enum qvl_status qvl_figures_write(const struct qvl_report *report, struct qvl_text *out,
                                  struct qvl_error *error)
{
    qvl_write_overviews(report, out);
    qvl_write_measured_plots(report, out);
    qvl_write_latency_plots(report, out);
    qvl_write_roofline_plots(report, out);
    return out->failed ? qvl_fail(error, QVL_NO_MEMORY, "no memory for the figures of a page") : QVL_OK;
}
