/* qvl-audit compare: reports against a base, or two commands run alternately. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interleave.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "reports/compare.h"

#define MAX_REPORTS 512

struct compare_options {
    struct qvl_compare_options compare;
    struct qvl_interleave_options interleave;
    bool pairs, strict;
    const char *files[MAX_REPORTS];
    int count;
};

enum {
    OPTION_THRESHOLD = 0x2000,
    OPTION_CONFIDENCE,
    OPTION_ACROSS,
    OPTION_ALLOW_MISSING,
    OPTION_STRICT,
    OPTION_PAIRS,
    OPTION_INTERLEAVE,
    OPTION_BASE,
    OPTION_OTHER,
    OPTION_KEEP
};

static const struct argp_option options_table[] = {
    {"threshold", OPTION_THRESHOLD, "P", 0,
     "Change that matters, like 5% (default 5% for single reports, 2% for several runs of each side)", 1},
    {"confidence", OPTION_CONFIDENCE, "P", 0, "Of the intervals (default 99%)", 1},
    {"across", OPTION_ACROSS, "LIST", 0,
     "Compare although these differ: machine, threads, dtype, math, model, settings; states ratios, and "
     "nothing is called a regression",
     1},
    {"allow-missing", OPTION_ALLOW_MISSING, NULL, 0, "Rows of the base that are gone are no regression", 1},
    {"strict", OPTION_STRICT, NULL, 0, "Rows without a verdict fail, too", 1},
    {"pairs", OPTION_PAIRS, NULL, 0,
     "The reports are BASE OTHER BASE OTHER ...: runs of two builds, in the order they were taken", 2},
    {"interleave", OPTION_INTERLEAVE, "N", 0, "Run the commands below alternately, N times each", 2},
    {"base", OPTION_BASE, "COMMAND", 0, "A shell command that takes --json FILE at its end", 2},
    {"other", OPTION_OTHER, "COMMAND", 0, "The one to compare with it", 2},
    {"keep", OPTION_KEEP, "DIR", 0, "Leave the reports of the runs in this folder", 2},
    {0}};

/* "5%" or "0.05": a fraction above 0 and at most `most`. */
static double fraction(struct argp_state *state, const char *name, const char *text, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*end == '%' && end != text) {
        value /= 100;
        end++;
    }
    if (end == text || *end || !(value > 0 && value <= most))
        argp_error(state, "--%s is a share like 5%% or 0.05, up to %g%%, not %s", name, 100 * most, text);
    return value;
}

/* "machine,threads" as bits; 0 when a word is unknown or may not be crossed. */
static unsigned parse_across(const char *list)
{
    unsigned bits = 0;
    for (const char *word = list;; word++) {
        const size_t length = strcspn(word, ",");
        int condition = QVL_CONDITION_WORKLOAD + 1;
        while (condition < QVL_CONDITION_COUNT &&
               (strncmp(word, qvl_condition_name((enum qvl_condition)condition), length) != 0 ||
                qvl_condition_name((enum qvl_condition)condition)[length] != '\0'))
            condition++;
        if (condition == QVL_CONDITION_COUNT)
            return 0;
        bits |= 1U << condition;
        word += length;
        if (!*word)
            return bits;
    }
}

/* The three ways to use the verb exclude each other. */
static void check_usage(struct compare_options *options, struct argp_state *state)
{
    const struct qvl_interleave_options *interleave = &options->interleave;
    const bool commands = interleave->pairs || interleave->commands[0] || interleave->commands[1];
    if (commands && (!interleave->pairs || !interleave->commands[0] || !interleave->commands[1]))
        argp_error(state, "--interleave N, --base COMMAND and --other COMMAND go together");
    if (commands && (options->count > 0 || options->pairs))
        argp_error(state, "--interleave makes its reports itself: name none");
    if (!commands && interleave->keep)
        argp_error(state, "--keep goes with --interleave");
    if (!commands && options->count < 2)
        argp_error(state, "name two reports, the base first");
    if (options->pairs && options->count % 2)
        argp_error(state, "--pairs needs as many reports of one side as of the other, not %d in all",
                   options->count);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct compare_options *options = state->input;
    switch (key) {
    case OPTION_THRESHOLD: options->compare.threshold = fraction(state, "threshold", argument, 10); return 0;
    case OPTION_CONFIDENCE:
        options->compare.confidence = fraction(state, "confidence", argument, 0.999999);
        if (options->compare.confidence < 0.5)
            argp_error(state, "--confidence is at least 50%%, not %s", argument);
        return 0;
    case OPTION_ACROSS:
        if (!(options->compare.across = parse_across(argument)))
            argp_error(state, "--across is a list of machine, threads, dtype, math, model, settings, not %s",
                       argument);
        return 0;
    case OPTION_ALLOW_MISSING: options->compare.allow_missing = true; return 0;
    case OPTION_STRICT: options->strict = true; return 0;
    case OPTION_PAIRS: options->pairs = true; return 0;
    case OPTION_INTERLEAVE:
        if (!qvl_number_count(argument, &options->interleave.pairs) || options->interleave.pairs < 2 ||
            options->interleave.pairs > 10000)
            argp_error(state, "--interleave is a number from 2 to 10000, not %s", argument);
        return 0;
    case OPTION_BASE: options->interleave.commands[0] = argument; return 0;
    case OPTION_OTHER: options->interleave.commands[1] = argument; return 0;
    case OPTION_KEEP: options->interleave.keep = argument; return 0;
    case ARGP_KEY_ARG:
        if (options->count == MAX_REPORTS)
            argp_error(state, "more than %d reports", MAX_REPORTS);
        options->files[options->count++] = argument;
        return 0;
    case ARGP_KEY_END: check_usage(options, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .args_doc = "BASE.json OTHER.json...\n--interleave N --base COMMAND --other COMMAND",
    .doc = "Reports against a base: timings by paired statistics on their raw samples, checks by status and "
           "margin. Refuses what cannot be compared (another workload, model, type, machine, ...) and says "
           "why. Exit code 1: something regressed or vanished; 5: not comparable.\v"
           "Two single runs cannot see what differs from run to run. To compare two builds well, let them "
           "take turns.\n\n"
           "Example: is the new build slower?\n\n"
           "  qvl-audit compare --interleave 20 \\\n"
           "      --base 'old/qvl-audit latency --weights ./small --context 64' \\\n"
           "      --other 'new/qvl-audit latency --weights ./small --context 64'"};

/* ---- Reports ---- */

static enum qvl_status check_files(const struct compare_options *options, const struct qvl_output *output,
                                   struct qvl_error *error)
{
    for (int i = 0; i < options->count; i++) {
        for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++)
            if (output->files[form] && strcmp(output->files[form], options->files[i]) == 0)
                return qvl_fail(error, QVL_USAGE,
                                "%s is a report to compare and cannot be the output as well",
                                options->files[i]);
        for (int k = 1; k < i && !options->pairs; k++)
            if (strcmp(options->files[k], options->files[i]) == 0)
                return qvl_fail(error, QVL_USAGE, "%s is named twice", options->files[i]);
    }
    return QVL_OK;
}

/* Each report against the first. One that cannot be compared does not keep the others from it. */
static enum qvl_status compare_each(const struct compare_options *options, struct qvl_saved_report **reports,
                                    struct qvl_report *out, struct qvl_error *error)
{
    enum qvl_status worst = QVL_OK;
    for (int i = 1; i < options->count; i++) {
        struct qvl_error mine = {QVL_OK, ""};
        const struct qvl_comparison comparison = {(const struct qvl_saved_report *const *)&reports[0],
                                                  (const struct qvl_saved_report *const *)&reports[i],
                                                  1,
                                                  {options->files[0], options->files[i]},
                                                  options->count > 2 ? options->files[i] : NULL};
        const enum qvl_status status = qvl_compare_reports(&comparison, &options->compare, out, &mine);
        if (status != QVL_OK && worst == QVL_OK && error)
            *error = mine;
        if (status != QVL_OK && status != QVL_INCOMPARABLE)
            return status;
        worst = status != QVL_OK ? status : worst;
    }
    return worst;
}

/* Runs taken in turns: even files are the base. */
static enum qvl_status compare_pairs(const struct compare_options *options, struct qvl_saved_report **reports,
                                     struct qvl_report *out, struct qvl_error *error)
{
    const struct qvl_saved_report *sides[2][MAX_REPORTS / 2];
    for (int i = 0; i < options->count; i++)
        sides[i % 2][i / 2] = reports[i];
    const struct qvl_comparison comparison = {
        sides[0], sides[1], options->count / 2, {options->files[0], options->files[1]}, NULL};
    return qvl_compare_reports(&comparison, &options->compare, out, error);
}

static enum qvl_status compare_files(const struct compare_options *options, struct qvl_report *out,
                                     struct qvl_error *error)
{
    struct qvl_saved_report *reports[MAX_REPORTS] = {NULL};
    enum qvl_status status = QVL_OK;
    for (int i = 0; i < options->count && status == QVL_OK; i++)
        status = qvl_report_read(options->files[i], &reports[i], error);
    if (status == QVL_OK)
        status = options->pairs ? compare_pairs(options, reports, out, error)
                                : compare_each(options, reports, out, error);
    for (int i = 0; i < options->count; i++)
        qvl_saved_report_destroy(reports[i]);
    return status;
}

/* ---- Commands ---- */

struct dry_run {
    const char *const *commands;
    const struct qvl_compare_options *options;
    struct qvl_report *out; /* gets the differences when the two cannot be compared */
};

static enum qvl_status try_pair(void *context, const struct qvl_saved_report *base,
                                const struct qvl_saved_report *other, struct qvl_error *error)
{
    struct dry_run *dry = context;
    const struct qvl_comparison comparison = {&base, &other, 1, {dry->commands[0], dry->commands[1]}, NULL};
    struct qvl_report scratch = {0};
    const enum qvl_status status = qvl_compare_reports(&comparison, dry->options, &scratch, error);
    if (status == QVL_OK)
        qvl_report_clear(&scratch);
    else
        *dry->out = scratch;
    return status;
}

static enum qvl_status compare_commands(const struct compare_options *options, struct qvl_report *out,
                                        int *interrupted, struct qvl_error *error)
{
    const int64_t pairs = options->interleave.pairs;
    struct dry_run dry = {options->interleave.commands, &options->compare, out};
    struct qvl_interleave_options interleave = options->interleave;
    struct qvl_saved_report **reports = calloc(2 * (size_t)pairs, sizeof *reports);
    if (!reports)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld reports", (long long)(2 * pairs));
    struct qvl_saved_report **sides[2] = {reports, reports + pairs};
    interleave.check = try_pair;
    interleave.context = &dry;
    enum qvl_status status = qvl_interleave(&interleave, sides, interrupted, error);
    const struct qvl_comparison comparison = {(const struct qvl_saved_report *const *)sides[0],
                                              (const struct qvl_saved_report *const *)sides[1],
                                              pairs,
                                              {interleave.commands[0], interleave.commands[1]},
                                              NULL};
    if (status == QVL_OK)
        status = qvl_compare_reports(&comparison, &options->compare, out, error);
    for (int64_t i = 0; i < 2 * pairs; i++)
        qvl_saved_report_destroy(reports[i]);
    free(reports);
    return status;
}

/* ---- The table of several reports ---- */

static const struct qvl_record *timing_of(const struct qvl_report *report, const char *row, size_t length,
                                          const char *label)
{
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        if (strcmp(record->kind, "timing") == 0 && strncmp(record->name, row, length) == 0 &&
            strncmp(record->name + length, " of ", 4) == 0 && strcmp(record->name + length + 4, label) == 0)
            return record;
    }
    return NULL;
}

static void put_cell(struct qvl_record *record, const char *label, const struct qvl_record *timing)
{
    char text[64];
    const struct qvl_field *ratio = qvl_record_find(timing, "ratio");
    const struct qvl_field *verdict = qvl_record_find(timing, "verdict");
    if (ratio && ratio->type == QVL_FIELD_REAL)
        snprintf(text, sizeof text, "x%.4f %s", ratio->value.real, verdict->value.text);
    else
        snprintf(text, sizeof text, "%s", verdict ? verdict->value.text : "not compared");
    qvl_record_text(record, label, text, QVL_FROM_MEASURED);
}

/* A row a timing, a column a report. */
static enum qvl_status add_overview(const struct compare_options *options, struct qvl_report *report,
                                    struct qvl_error *error)
{
    const int64_t count = report->record_count;
    for (int64_t i = 0; i < count; i++) {
        const struct qvl_record *timing = report->records[i];
        const size_t length = strlen(timing->name);
        const size_t label = strlen(options->files[1]) + strlen(" of ");
        if (strcmp(timing->kind, "timing") != 0 || length <= label ||
            timing_of(report, timing->name, length - label, options->files[1]) != timing)
            continue;
        char row[768];
        snprintf(row, sizeof row, "%.*s", (int)(length - label), timing->name);
        struct qvl_record *record = qvl_record_create("overview", row, QVL_CASE_NONE);
        const struct qvl_field *base = qvl_record_find(timing, "base");
        if (base && base->type == QVL_FIELD_REAL)
            qvl_record_real(record, "base", base->value.real, "s", QVL_FROM_MEASURED);
        for (int k = 1; k < options->count; k++)
            put_cell(record, options->files[k], timing_of(report, row, strlen(row), options->files[k]));
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static bool shown_of_many(const struct qvl_record *record)
{
    return strcmp(record->kind, "timing") != 0 && qvl_compare_shown(record);
}

/* ---- The verb ---- */

static enum qvl_status write_all(const struct compare_options *options, const struct qvl_output *output,
                                 struct qvl_report *report, struct qvl_error *error)
{
    const bool many = !options->pairs && options->count > 2;
    if (options->strict)
        report->fail_on = QVL_REPORT_FAIL_ON | 1U << QVL_CASE_SKIPPED;
    if (!options->interleave.pairs && !options->pairs)
        QVL_TRY(qvl_report_note(report,
                                "Single runs: what differs from run to run is not seen. Small changes show "
                                "when two builds take turns (--interleave).",
                                error));
    if (many)
        QVL_TRY(add_overview(options, report, error));
    return qvl_output_write_chosen(output, report, many ? shown_of_many : qvl_compare_shown, error);
}

enum qvl_status qvl_verb_compare(int argc, char **argv, struct qvl_error *error)
{
    struct compare_options options = {.compare.confidence = QVL_COMPARE_CONFIDENCE};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    int interrupted = 0;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    QVL_TRY(check_files(&options, &output, error));
    enum qvl_status status = options.interleave.pairs
                                 ? compare_commands(&options, &report, &interrupted, error)
                                 : compare_files(&options, &report, error);
    if (status == QVL_OK || status == QVL_INCOMPARABLE) {
        const enum qvl_status written = write_all(&options, &output, &report, error);
        const enum qvl_status outcome = written == QVL_OK ? qvl_report_outcome(&report) : written;
        status = outcome == QVL_OK ? status : outcome;
    }
    qvl_report_clear(&report);
    if (interrupted)
        raise(interrupted); /* with the runs ended and their folder gone, end as the signal would have */
    return status;
}
