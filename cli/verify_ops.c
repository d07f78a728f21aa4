/* verify, the part without a checkpoint: the entries of a backend's op table, case by case. */
#include "verify/verify.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "cli/case_records.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/save_case.h"
#include "cli/verify.h"
#include "reports/version.h"

#define MOST_JOBS 8 /* by default: each has the threads and the memory of a backend of its own */

/* The cases of the options: one by its whole line, or the built-in ones that the filters leave. */
static enum qvl_status choose_cases(const struct qvl_verify_options *options, struct qvl_case **cases,
                                    int64_t *count, struct qvl_error *error)
{
    struct qvl_error ignored;
    struct qvl_case one;
    if (options->text && strchr(options->text, '=') &&
        qvl_case_parse(options->text, &one, &ignored) == QVL_OK) {
        if (options->has_seed)
            one.seed = (uint64_t)options->seed;
        if (options->session.has_dtype)
            one.dtype = options->session.dtype;
        if (!(*cases = malloc(sizeof **cases)))
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a case");
        **cases = one;
        *count = 1;
        return QVL_OK;
    }
    const struct qvl_case_filter filter = {.op = options->op,
                                           .text = options->text,
                                           .has_dtype = options->session.has_dtype,
                                           .dtype = options->session.dtype,
                                           .has_seed = options->has_seed,
                                           .seed = (uint64_t)options->seed};
    QVL_TRY(qvl_cases(&filter, cases, count, error));
    if (*count > 0)
        return QVL_OK;
    free(*cases);
    *cases = NULL;
    return qvl_fail(error, QVL_USAGE, "no case is left by these options; `verify --list` prints all");
}

/* A reader that has seen enough (`| head`) is no failure. */
static enum qvl_status list_cases(const struct qvl_case *cases, int64_t count, struct qvl_error *error)
{
    signal(SIGPIPE, SIG_IGN);
    for (int64_t i = 0; i < count; i++) {
        char line[QVL_CASE_LINE_BYTES];
        qvl_case_print(&cases[i], line);
        if (puts(line) < 0)
            break;
    }
    if (fflush(stdout) == 0 || errno == EPIPE)
        return QVL_OK;
    return qvl_fail(error, QVL_IO, "cannot write to standard output: %s", strerror(errno));
}

/* What results depend on beside the case line: the owner of a journal. */
static enum qvl_status subject_of(const struct qvl_verify_options *options, char text[512],
                                  struct qvl_error *error)
{
    char hash[QVL_SHA256_HEX_BYTES] = "built in";
    if (qvl_file_exists(options->session.backend))
        QVL_TRY(qvl_sha256_file(options->session.backend, hash, error));
    snprintf(text, 512, "qvl-audit %s %s; backend %.200s %.16s; threads %d; timeout %g", qvl_version,
             qvl_git_commit, options->session.backend, hash, options->session.threads, options->timeout);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = '?';
    return QVL_OK;
}

/* The files of the cases that did not pass. Of those whose worker is gone, the reference makes the tensors.
 */
static enum qvl_status save_failing(const struct qvl_case_records *records, const char *folder,
                                    const struct qvl_case *cases, const struct qvl_pool_result *result,
                                    struct qvl_error *error)
{
    struct qvl_opened_backend reference;
    QVL_TRY(qvl_backend_open_named("ref", NULL, &reference, error));
    const struct qvl_case_context context = {
        .reference = reference.backend, .keep = qvl_save_tensors, .data = (void *)folder};
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < result->count && status == QVL_OK; i++) {
        const struct qvl_case_result *one = result->outcomes[i] ? &result->outcomes[i]->result : NULL;
        char line[QVL_CASE_LINE_BYTES], repro[8192];
        if (!one || one->status == QVL_CASE_PASSED || one->status == QVL_CASE_UNSUPPORTED ||
            one->status == QVL_CASE_SKIPPED)
            continue;
        qvl_case_print(&cases[i], line);
        qvl_case_repro(records, line, repro, sizeof repro);
        status = qvl_save_case(folder, &cases[i], one, repro, error);
        if (status == QVL_OK && (one->status == QVL_CASE_CRASHED || one->status == QVL_CASE_TIMEOUT))
            status = qvl_case_evidence(&cases[i], &context, one, error);
    }
    qvl_backend_close_named(&reference);
    return status;
}

static void show_progress(void *context, int64_t done)
{
    qvl_progress_update(context, done);
}

static int default_jobs(void)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MOST_JOBS ? MOST_JOBS : (int)cores;
}

static enum qvl_status run_cases(const struct qvl_verify_options *options, const struct qvl_case *cases,
                                 int64_t count, struct qvl_journal *journal, struct qvl_report *report,
                                 int *signal, struct qvl_error *error)
{
    struct qvl_progress progress;
    struct qvl_pool_result result = {.count = 0};
    const struct qvl_case_records records = {.backend = options->session.backend,
                                             .threads = options->session.threads,
                                             .timings = options->timings};
    const struct qvl_pool_options pool = {.setup = {.backend = options->session.backend,
                                                    .threads = options->session.threads,
                                                    .save = options->save},
                                          .jobs = options->jobs < 0 ? default_jobs() : (int)options->jobs,
                                          .limit = options->timeout,
                                          .journal = journal,
                                          .progress = show_progress,
                                          .context = &progress};
    enum qvl_status status = options->save ? qvl_save_folder(options->save, error) : QVL_OK;
    if (status != QVL_OK)
        return status;
    qvl_progress_begin(&progress, "verify", "case", count);
    status = qvl_pool_run(cases, count, &pool, &result, error);
    qvl_progress_end(&progress);
    if (status == QVL_OK && options->save)
        status = save_failing(&records, options->save, cases, &result, error);
    if (status == QVL_OK)
        status = qvl_case_records_add(&records, cases, &result, report, error);
    *signal = result.signal;
    qvl_pool_result_clear(&result);
    return status;
}

enum qvl_status qvl_verb_verify_ops(const struct qvl_verify_options *options, struct qvl_report *report,
                                    int *signal, struct qvl_error *error)
{
    struct qvl_journal *journal = NULL;
    struct qvl_case *cases = NULL;
    int64_t count = 0;
    char subject[512];
    QVL_TRY(choose_cases(options, &cases, &count, error));
    enum qvl_status status = QVL_OK;
    if (options->list) {
        status = list_cases(cases, count, error);
        free(cases);
        return status;
    }
    if (options->resume)
        status = subject_of(options, subject, error);
    if (status == QVL_OK && options->resume)
        status = qvl_journal_open(options->resume, subject, &journal, error);
    if (status == QVL_OK)
        status = run_cases(options, cases, count, journal, report, signal, error);
    qvl_journal_close(journal);
    free(cases);
    return status;
}

static const char *text_of(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    return field && field->type == QVL_FIELD_TEXT ? field->value.text : "";
}

enum qvl_status qvl_verify_print_repros(const struct qvl_report *report, struct qvl_error *error)
{
    for (int64_t i = 0; i < report->record_count; i++) {
        const struct qvl_record *record = report->records[i];
        char text[8192 + 64];
        if (strcmp(record->kind, "op_case") != 0 || record->status == QVL_CASE_PASSED ||
            record->status == QVL_CASE_UNSUPPORTED || record->status == QVL_CASE_SKIPPED)
            continue;
        snprintf(text, sizeof text, "REPRO %s: %s\n", qvl_case_status_name(record->status),
                 text_of(record, "repro"));
        QVL_TRY(qvl_output_print(text, strlen(text), error));
    }
    return QVL_OK;
}
