#include "reports/html.h"

#include <time.h>

#include "reports/figures.h"
#include "reports/markup.h"
#include "reports/tables.h"
#include "reports/version.h"

static bool has_kind(const struct qvl_report *report, const char *kind)
{
    for (int64_t i = 0; i < report->record_count; i++)
        if (strcmp(report->records[i]->kind, kind) == 0)
            return true;
    return false;
}

/* The command line; arguments with characters that a shell would take are quoted. */
static void put_command(const struct qvl_report *report, struct qvl_text *out)
{
    if (report->argc == 0)
        return;
    qvl_text_print(out, "<p><code>");
    for (int i = 0; i < report->argc; i++) {
        const char *argument = report->argv[i];
        const bool plain = i == 0 || !argument[strcspn(argument, " \t\n'\"\\$`*?&|;<>(){}[]#~!")];
        qvl_text_print(out, i ? " %s" : "%s", plain ? "" : "'");
        qvl_markup_text(out, argument);
        qvl_text_print(out, "%s", plain ? "" : "'");
    }
    qvl_text_print(out, "</code></p>\n");
}

static void put_head(const struct qvl_report *report, struct qvl_text *out)
{
    const char *title = report->argc > 0 ? report->argv[0] : "qvl-audit";
    char stamp[32] = "";
    const time_t seconds = (time_t)report->created;
    struct tm utc;
    qvl_text_print(
        out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
             "'unsafe-inline'; img-src data:\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n"
             "<title>");
    qvl_markup_text(out, title);
    qvl_text_print(out, "</title>\n<style>\n");
    qvl_text_add(out, qvl_page_style, strlen(qvl_page_style));
    qvl_text_print(out, "</style>\n</head>\n<body>\n<header><h1>");
    qvl_markup_text(out, title);
    qvl_text_print(out, "</h1>\n");
    put_command(report, out);
    if (report->created && gmtime_r(&seconds, &utc))
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC, ", &utc);
    qvl_text_print(out, "<p class=\"meta\">%sqvl-audit %s, commit %.12s</p></header>\n", stamp, qvl_version,
                   qvl_git_commit);
}

static void put_contents(const struct qvl_report *report, struct qvl_text *out)
{
    static const struct {
        const char *kind, *id, *text;
    } parts[] = {{"memory", "fits", "What fits"},    {"control", "rates", "Control rates"},
                 {"latency", "latency", "Latency"},  {"procure", "tpot", "Per token"},
                 {"procure", "ttft", "First token"}, {"roofline", "roofline", "Roofline"}};
    qvl_text_print(out, "<nav><div>");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (has_kind(report, parts[i].kind))
            qvl_text_print(out, "<a href=\"#%s\">%s</a>", parts[i].id, parts[i].text);
    qvl_text_print(out, "<a href=\"#tables\">Tables</a><a href=\"#notes\">Notes</a></div></nav>\n");
}

static void put_notes(const struct qvl_report *report, struct qvl_text *out)
{
    qvl_text_print(out, "<section id=\"notes\"><h2>Notes</h2>\n<ul class=\"notes\">\n");
    for (int64_t i = 0; i < report->note_count; i++) {
        qvl_text_print(out, "<li>");
        qvl_markup_text(out, report->notes[i]);
        qvl_text_print(out, "</li>\n");
    }
    for (int64_t i = 0; i < report->omission_count; i++) {
        qvl_text_print(out, "<li>not measured: ");
        qvl_markup_text(out, report->omissions[i].what);
        qvl_text_print(out, ": ");
        qvl_markup_text(out, report->omissions[i].reason);
        qvl_text_print(out, "</li>\n");
    }
    const char *separator = "<li>";
    for (int s = QVL_CASE_PASSED; s < QVL_CASE_STATUS_COUNT; s++) {
        const long long count = (long long)qvl_report_status_count(report, (enum qvl_case_status)s);
        if (count == 0)
            continue;
        qvl_text_print(out, "%s%lld %s", separator, count, qvl_case_status_name((enum qvl_case_status)s));
        separator = ", ";
    }
    qvl_text_print(out, "%s</ul></section>\n", *separator == ',' ? "</li>\n" : "");
}

enum qvl_status qvl_html_write(const struct qvl_report *report, struct qvl_text *out, struct qvl_error *error)
{
    put_head(report, out);
    put_contents(report, out);
    qvl_text_print(out, "<main>\n");
    QVL_TRY(qvl_figures_write(report, out, error));
    qvl_text_print(out, "<section id=\"tables\"><h2>Tables</h2>\n");
    QVL_TRY(qvl_tables_html(report, out, error));
    qvl_text_print(out, "</section>\n");
    put_notes(report, out);
    qvl_text_print(out,
                   "</main>\n<footer>Every value says where it comes from; what was measured, published, "
                   "modelled and not done never share a column.</footer>\n</body>\n</html>\n");
    return QVL_OK;
}
