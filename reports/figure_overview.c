/* Models against devices: how many devices hold a model, and which control rates it closes. */
#include <math.h>

#include "reports/figure_parts.h"
#include "reports/markup.h"

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Chips of "devices_at_*" fields: the number of devices, or a dash. */
static void fit_chips(const struct qvl_record *record, struct qvl_text *out)
{
    for (int64_t i = 0; i < record->field_count; i++) {
        const struct qvl_field *field = &record->fields[i];
        if (!starts(field->name, "devices_at_") ||
            (field->type != QVL_FIELD_INT && field->type != QVL_FIELD_TEXT))
            continue;
        const bool known = field->type == QVL_FIELD_INT;
        const long long ways = known ? (long long)field->value.integer : 0;
        qvl_text_print(out, "<b class=\"chip f%lld\" title=\"%s: ", ways,
                       field->name + strlen("devices_at_"));
        if (known)
            qvl_text_print(out, "%lld device%s\">%lld</b>", ways, ways > 1 ? "s" : "", ways);
        else {
            qvl_markup_text(out, field->value.text);
            qvl_text_print(out, "\">–</b>");
        }
    }
}

/* Chips of "at_*_Hz" verdicts: full, open or struck out. */
static void verdict_chips(const struct qvl_record *record, struct qvl_text *out)
{
    for (int64_t i = 0; i < record->field_count; i++) {
        const struct qvl_field *field = &record->fields[i];
        if (!starts(field->name, "at_") || field->type != QVL_FIELD_TEXT)
            continue;
        const char *text = field->value.text;
        const char *style = strcmp(text, "feasible") == 0 ? "yes" : starts(text, "feasible") ? "part" : "no";
        qvl_text_print(out, "<b class=\"chip %s\" title=\"", style);
        qvl_markup_text(out, text);
        qvl_text_print(out, "\">%.*s</b>", (int)strcspn(field->name + 3, "_"), field->name + 3);
    }
}

static const struct qvl_record *find(const struct qvl_report *report, const char *kind, const char *model,
                                     const char *device)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (qvl_figure_is(report->records[i], kind, model, device))
            return report->records[i];
    return NULL;
}

static void put_overview(const struct qvl_report *report, const char *kind,
                         void (*chips)(const struct qvl_record *, struct qvl_text *), struct qvl_text *out)
{
    struct qvl_names models, devices;
    qvl_names_collect(report, kind, "model", &models);
    qvl_names_collect(report, kind, "device", &devices);
    qvl_text_print(out, "<div class=\"scroll\"><table class=\"overview\"><thead><tr><th>device</th>");
    for (int m = 0; m < models.count; m++) {
        qvl_text_print(out, "<th>");
        qvl_markup_text(out, models.items[m]);
        qvl_text_print(out, "</th>");
    }
    qvl_text_print(out, "</tr></thead><tbody>\n");
    for (int d = 0; d < devices.count; d++) {
        qvl_text_print(out, "<tr><th scope=\"row\">");
        qvl_markup_text(out, devices.items[d]);
        qvl_text_print(out, "</th>");
        for (int m = 0; m < models.count; m++) {
            const struct qvl_record *record = find(report, kind, models.items[m], devices.items[d]);
            qvl_text_print(out, "<td>");
            if (record)
                chips(record, out);
            qvl_text_print(out, "</td>");
        }
        qvl_text_print(out, "</tr>\n");
    }
    qvl_text_print(out, "</tbody></table></div></section>\n");
}

/* The contexts of the chips, out of the first record's field names. */
static void put_contexts(const struct qvl_report *report, struct qvl_text *out)
{
    const char *separator = "";
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        if (strcmp(record->kind, "memory") != 0)
            continue;
        for (int64_t f = 0; f < record->field_count; f++)
            if (starts(record->fields[f].name, "devices_at_")) {
                qvl_text_print(out, "%s%s", separator, record->fields[f].name + strlen("devices_at_"));
                separator = ", ";
            }
        return;
    }
}

void qvl_write_overviews(const struct qvl_report *report, struct qvl_text *out)
{
    struct qvl_names models;
    qvl_names_collect(report, "memory", "model", &models);
    if (models.count > 0) {
        qvl_text_print(
            out, "<section id=\"fits\"><h2>What fits</h2><p>The fewest of 1, 2, 4 or 8 devices that hold "
                 "the model and a cache of ");
        put_contexts(report, out);
        qvl_text_print(out, " tokens; <b class=\"chip f0\">–</b> none does.</p>\n");
        put_overview(report, "memory", fit_chips, out);
    }
    qvl_names_collect(report, "control", "model", &models);
    if (models.count > 0) {
        qvl_text_print(
            out, "<section id=\"rates\"><h2>Control rates</h2><p>Actions a second: "
                 "<b class=\"chip yes\">10</b> each answers a fresh frame; <b class=\"chip part\">10</b> "
                 "only as chunks that run open loop; <b class=\"chip no\">10</b> not at all. The table "
                 "below names what binds, and the reaction time.</p>\n");
        put_overview(report, "control", verdict_chips, out);
    }
}
