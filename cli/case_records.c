#include "cli/case_records.h"

#include <stdlib.h>
#include <string.h>

/* ---- Repeating a case ---- */

static void put_char(char *text, size_t bytes, size_t *used, char c)
{
    if (*used + 1 < bytes)
        text[(*used)++] = c;
    text[*used] = '\0';
}

/* One word of a shell command. */
static void put_word(char *text, size_t bytes, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:,+@%-";
    size_t used = strlen(text);
    if (*word && strspn(word, plain) == strlen(word)) {
        snprintf(text + used, bytes - used, "%s", word);
        return;
    }
    put_char(text, bytes, &used, '\'');
    for (; *word; word++) {
        const char *as = *word == '\'' ? "'\\''" : (const char[]){*word, '\0'};
        for (; *as; as++)
            put_char(text, bytes, &used, *as);
    }
    put_char(text, bytes, &used, '\'');
}

void qvl_case_repro(const struct qvl_case_records *options, const char *case_line, char *text, size_t bytes)
{
    snprintf(text, bytes, "qvl-audit verify --backend ");
    put_word(text, bytes, options->backend);
    if (options->threads > 0)
        snprintf(text + strlen(text), bytes - strlen(text), " --threads %d", options->threads);
    snprintf(text + strlen(text), bytes - strlen(text), " --case ");
    put_word(text, bytes, case_line);
}

/* ---- Records ---- */

/* What the cases of one op add up to. */
struct summary {
    int64_t cases, by_status[QVL_CASE_STATUS_COUNT];
    double margin, drift, nmse;
    const struct qvl_case *worst; /* holds `margin` */
};

static int64_t failed_of(const struct summary *summary)
{
    return summary->by_status[QVL_CASE_FAILED] + summary->by_status[QVL_CASE_CRASHED] +
           summary->by_status[QVL_CASE_TIMEOUT] + summary->by_status[QVL_CASE_MISTRUSTED];
}

static void add_to_summary(struct summary *summary, const struct qvl_case *chosen,
                           const struct qvl_case_result *result)
{
    summary->cases++;
    summary->by_status[result->status]++;
    if (result->elements > 0 && (!summary->worst || !(result->margin <= summary->margin))) {
        summary->margin = result->margin;
        summary->worst = chosen;
    }
    if (!(result->drift <= summary->drift))
        summary->drift = result->drift;
    if (!(result->nmse <= summary->nmse))
        summary->nmse = result->nmse;
}

static void index_text(const struct qvl_case_result *result, char text[128])
{
    size_t used = (size_t)snprintf(text, 128, "%s", result->operand ? result->operand : "");
    for (int32_t axis = 0; axis < result->rank && used < 100; axis++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld%s", axis ? "," : "[",
                                 (long long)result->index[axis], axis + 1 == result->rank ? "]" : "");
}

static void put_real(struct qvl_record *record, const char *name, double value, const char *unit, bool detail)
{
    qvl_record_real(record, name, value, unit, QVL_FROM_MEASURED);
    if (detail)
        qvl_record_detail(record);
}

static void put_detail(struct qvl_record *record, const char *name, const char *text,
                       enum qvl_provenance provenance)
{
    qvl_record_text(record, name, text, provenance);
    qvl_record_detail(record);
}

/* The worst element of what was compared. */
static void put_comparison(struct qvl_record *record, const struct qvl_case_result *result)
{
    char place[128];
    index_text(result, place);
    qvl_record_int(record, "elements", result->elements, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_int(record, "failures", result->failures, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    put_real(record, "margin", result->margin, "1", false);
    put_real(record, "mean_margin", result->mean_margin, "1", true);
    put_real(record, "drift", result->drift, "1", false);
    put_real(record, "nmse", result->nmse, "1", true);
    qvl_record_text(record, "worst", place, QVL_FROM_MEASURED);
    put_real(record, "expected", result->expected, NULL, true);
    put_real(record, "got", result->got, NULL, true);
    put_real(record, "tolerance", result->tolerance, NULL, true);
}

static struct qvl_record *case_record(const struct qvl_case_records *options, const struct qvl_case *chosen,
                                      const struct qvl_outcome *outcome)
{
    const struct qvl_case_result *result = &outcome->result;
    char line[QVL_CASE_LINE_BYTES], repro[8192];
    qvl_case_print(chosen, line);
    struct qvl_record *record = qvl_record_create("op_case", line, result->status);
    qvl_record_text(record, "op", qvl_verify_name(qvl_verify_op(chosen->check)), QVL_FROM_SETTING);
    qvl_record_detail(record);
    if (result->verdict)
        qvl_record_text(record, "verdict", result->verdict, QVL_FROM_MEASURED);
    put_comparison(record, result);
    if (result->message[0])
        qvl_record_text(record, "message", result->message, QVL_FROM_MEASURED);
    if (outcome->noise[0])
        put_detail(record, "stderr", outcome->noise, QVL_FROM_MEASURED);
    if (options->timings)
        put_real(record, "seconds", outcome->seconds, "s", true);
    if (result->status != QVL_CASE_PASSED) {
        qvl_case_repro(options, line, repro, sizeof repro);
        put_detail(record, "repro", repro, QVL_FROM_SETTING);
    }
    return record;
}

static struct qvl_record *op_record(int op, const struct summary *summary)
{
    char line[QVL_CASE_LINE_BYTES] = "";
    struct qvl_record *record = qvl_record_create("op", qvl_verify_name(op), QVL_CASE_NONE);
    if (summary->worst)
        qvl_case_print(summary->worst, line);
    qvl_record_int(record, "cases", summary->cases, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "passed", summary->by_status[QVL_CASE_PASSED], NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "failed", failed_of(summary), NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "unsupported", summary->by_status[QVL_CASE_UNSUPPORTED], NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "skipped", summary->by_status[QVL_CASE_SKIPPED], NULL, QVL_FROM_MEASURED);
    put_real(record, "worst_margin", summary->margin, "1", false);
    put_real(record, "worst_drift", summary->drift, "1", false);
    put_real(record, "worst_nmse", summary->nmse, "1", false);
    put_detail(record, "worst_case", line, QVL_FROM_MEASURED);
    return record;
}

/* ---- The whole ---- */

static enum qvl_status add_coverage(const char *backend, const struct summary *summaries,
                                    struct qvl_report *report, struct qvl_error *error)
{
    const int ops = qvl_verify_op_count();
    struct summary all = {.cases = 0};
    int covered = 0;
    char note[512];
    for (int op = 0; op < ops; op++) {
        all.cases += summaries[op].cases;
        covered += summaries[op].by_status[QVL_CASE_PASSED] + failed_of(&summaries[op]) > 0;
        for (int status = 0; status < QVL_CASE_STATUS_COUNT; status++)
            all.by_status[status] += summaries[op].by_status[status];
    }
    struct qvl_record *record = qvl_record_create("coverage", backend, QVL_CASE_NONE);
    qvl_record_int(record, "ops_covered", covered, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "ops", ops, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "cases", all.cases, NULL, QVL_FROM_MEASURED);
    size_t used = (size_t)snprintf(note, sizeof note, "ops covered %d/%d, cases %lld", covered, ops,
                                   (long long)all.cases);
    static const char *const words[QVL_CASE_STATUS_COUNT] = {
        [QVL_CASE_PASSED] = "passed",           [QVL_CASE_FAILED] = "failed",
        [QVL_CASE_MISTRUSTED] = "mistrusted",   [QVL_CASE_CRASHED] = "crashed",
        [QVL_CASE_TIMEOUT] = "timeout",         [QVL_CASE_SKIPPED] = "skipped",
        [QVL_CASE_UNSUPPORTED] = "unsupported",
    };
    for (int status = 0; status < QVL_CASE_STATUS_COUNT; status++) {
        if (!words[status])
            continue;
        qvl_record_int(record, words[status], all.by_status[status], NULL, QVL_FROM_MEASURED);
        used += (size_t)snprintf(note + used, sizeof note - used, ", %s %lld", words[status],
                                 (long long)all.by_status[status]);
    }
    QVL_TRY(qvl_report_take(report, record, error));
    return qvl_report_note(report, note, error);
}

static enum qvl_status add_fault(const char *backend, const struct qvl_pool_result *result,
                                 struct qvl_report *report, struct qvl_error *error)
{
    if (result->fault == QVL_CASE_NONE)
        return QVL_OK;
    struct qvl_record *record = qvl_record_create("backend", backend, result->fault);
    qvl_record_text(record, "message", result->fault_message, QVL_FROM_MEASURED);
    return qvl_report_take(report, record, error);
}

/* What was not run, and why. */
static enum qvl_status add_omission(const struct qvl_pool_result *result, int64_t missing,
                                    struct qvl_report *report, struct qvl_error *error)
{
    char what[64];
    if (missing == 0)
        return QVL_OK;
    snprintf(what, sizeof what, "%lld of %lld cases", (long long)missing, (long long)result->count);
    return qvl_report_omit(
        report, what,
        result->signal ? "the run was interrupted; with --resume it goes on" : result->fault_message, error);
}

static enum qvl_status add_all(const struct qvl_case_records *options, const struct qvl_case *cases,
                               const struct qvl_pool_result *result, struct summary *summaries,
                               struct qvl_report *report, struct qvl_error *error)
{
    int64_t missing = 0;
    for (int64_t i = 0; i < result->count; i++) {
        const struct qvl_outcome *outcome = result->outcomes[i];
        missing += !outcome;
        if (!outcome)
            continue;
        add_to_summary(&summaries[qvl_verify_op(cases[i].check)], &cases[i], &outcome->result);
        QVL_TRY(qvl_report_take(report, case_record(options, &cases[i], outcome), error));
    }
    for (int op = 0; op < qvl_verify_op_count(); op++)
        if (summaries[op].cases > 0)
            QVL_TRY(qvl_report_take(report, op_record(op, &summaries[op]), error));
    QVL_TRY(add_fault(options->backend, result, report, error));
    QVL_TRY(add_coverage(options->backend, summaries, report, error));
    return add_omission(result, missing, report, error);
}

enum qvl_status qvl_case_records_add(const struct qvl_case_records *options, const struct qvl_case *cases,
                                     const struct qvl_pool_result *result, struct qvl_report *report,
                                     struct qvl_error *error)
{
    struct summary *summaries = calloc((size_t)qvl_verify_op_count(), sizeof *summaries);
    if (!summaries)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for summaries");
    const enum qvl_status status = add_all(options, cases, result, summaries, report, error);
    free(summaries);
    return status;
}
