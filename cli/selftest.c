/* qvl-audit selftest: the checker against faults planted on purpose. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/mutants.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "verify/checker_faults.h"

/* Longer than any built-in case takes on a busy machine. */
#define SECONDS_A_CASE 60

struct selftest_options {
    const char *mutant, *text;
    int64_t jobs, seed;
};

enum { OPTION_MUTANT = 0x2000, OPTION_CASE, OPTION_JOBS, OPTION_SEED };

static const struct argp_option options_table[] = {
    {"mutant", OPTION_MUTANT, "GLOB", 0, "Only the mutants of that name: pos.chunk_restart, 'ds.*'", 0},
    {"case", OPTION_CASE, "TEXT", 0, "Only cases whose line contains the text", 0},
    {"jobs", OPTION_JOBS, "N", 0, "Processes at once (default: the machine's processors)", 0},
    {"seed", OPTION_SEED, "S", 0,
     "Seed of pictures and randomised roundings; cases get seed + S - 1 (default 1)", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct selftest_options *options = state->input;
    switch (key) {
    case OPTION_MUTANT: options->mutant = argument; return 0;
    case OPTION_CASE: options->text = argument; return 0;
    case OPTION_JOBS:
        if (!qvl_number_count(argument, &options->jobs) || options->jobs < 1 || options->jobs > 256)
            argp_error(state, "--jobs is a number from 1 to 256, not %s", argument);
        return 0;
    case OPTION_SEED:
        if (!qvl_number_count(argument, &options->seed) || options->seed < 1)
            argp_error(state, "--seed is a number from 1, not %s", argument);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .doc =
        "Score the checker: every mutant is an implementation with one fault that a public project has "
        "shipped. "
        "It is tried against the built-in cases until one catches it; its honest version must pass that very "
        "case. Fails when a mutant that must be caught survives.\v"
        "Example: the whole museum, then one mutant by the case that kills it\n\n"
        "  qvl-audit selftest\n"
        "  qvl-audit selftest --mutant pos.chunk_restart --case 'text=image chunk=7'"};

static const char *verdict_name(enum qvl_selftest_verdict verdict)
{
    static const char *const names[] = {"killed", "survived", "honest version fails", "could not be judged"};
    return names[verdict];
}

static enum qvl_case_status status_of(const struct qvl_selftest_mutant *mutant,
                                      const struct qvl_selftest_result *result)
{
    if (result->verdict == QVL_SELFTEST_KILLED)
        return QVL_CASE_PASSED;
    return result->verdict == QVL_SELFTEST_SURVIVED && mutant->excuse ? QVL_CASE_NONE : QVL_CASE_FAILED;
}

static const char *peer_verdict(double nmse)
{
    return isnan(nmse) ? "not compared" : nmse <= QVL_PEER_NMSE ? "passes it" : "catches it";
}

static enum qvl_status add_mutant(const struct qvl_selftest_mutant *mutant,
                                  const struct qvl_selftest_result *result, struct qvl_report *report,
                                  struct qvl_error *error)
{
    const bool killed = result->verdict == QVL_SELFTEST_KILLED;
    char repro[QVL_CASE_LINE_BYTES + 96];
    struct qvl_record *record = qvl_record_create("mutant", mutant->name, status_of(mutant, result));
    qvl_record_int(record, "section", mutant->section, NULL, QVL_FROM_SETTING);
    qvl_record_text(record, "planted_in", mutant->entry, QVL_FROM_SETTING);
    qvl_record_text(record, "fault", mutant->fault, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "verdict", verdict_name(result->verdict), QVL_FROM_MEASURED);
    qvl_record_int(record, "cases", result->cases, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "skipped", result->skipped, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_text(record, "case", result->line, QVL_FROM_MEASURED);
    if (result->line[0]) {
        qvl_record_text(record, "how", qvl_case_status_name(result->mutant.status), QVL_FROM_MEASURED);
        qvl_record_text(record, "where", result->mutant.where, QVL_FROM_MEASURED);
        qvl_record_text(record, "honest", qvl_case_status_name(result->honest.status), QVL_FROM_MEASURED);
        qvl_record_text(record, "message", killed ? result->mutant.message : result->honest.message,
                        QVL_FROM_MEASURED);
        qvl_record_detail(record);
        snprintf(repro, sizeof repro,
                 strcmp(mutant->kind->name, "kernel") == 0
                     ? "qvl-audit verify --backend mutant:%s --case '%s'"
                     : "qvl-audit selftest --mutant %s --case '%s'",
                 mutant->name, result->line);
        qvl_record_text(record, "repro", repro, QVL_FROM_SETTING);
        qvl_record_detail(record);
    }
    if (killed) {
        qvl_record_text(record, "nmse_rule", peer_verdict(result->mutant.nmse), QVL_FROM_MEASURED);
        if (!isnan(result->mutant.nmse)) {
            qvl_record_real(record, "nmse", result->mutant.nmse, "1", QVL_FROM_MEASURED);
            qvl_record_detail(record);
        }
    }
    if (!killed && mutant->excuse)
        qvl_record_text(record, "reason", mutant->excuse, QVL_FROM_SETTING);
    return qvl_report_take(report, record, error);
}

static enum qvl_status add_section(int section, const struct qvl_mutant_list *list,
                                   const struct qvl_selftest_result *results, struct qvl_report *report,
                                   struct qvl_error *error)
{
    int64_t mutants = 0, required = 0, killed = 0, rule = 0;
    char name[96];
    for (int64_t i = 0; i < list->count; i++) {
        const bool dead = results[i].verdict == QVL_SELFTEST_KILLED;
        if (list->mutants[i].section != section)
            continue;
        mutants++;
        required += !list->mutants[i].excuse;
        killed += dead;
        rule += dead && results[i].mutant.nmse <= QVL_PEER_NMSE;
    }
    if (mutants == 0)
        return QVL_OK;
    snprintf(name, sizeof name, "%d %s", section, qvl_museum_section(section));
    struct qvl_record *record = qvl_record_create("museum_section", name, QVL_CASE_NONE);
    qvl_record_int(record, "mutants", mutants, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "required", required, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "killed", killed, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "killed_but_passed_by_nmse_rule", rule, NULL, QVL_FROM_MEASURED);
    return qvl_report_take(report, record, error);
}

static enum qvl_status add_score(const struct qvl_selftest_score *score, bool good, int64_t killed,
                                 int64_t count, struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_record *record =
        qvl_record_create("selftest", "kill rate", good ? QVL_CASE_PASSED : QVL_CASE_FAILED);
    qvl_record_int(record, "mutants", count, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "killed", killed, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "kill_rate", (double)killed / (double)count, "1", QVL_FROM_MEASURED);
    qvl_record_int(record, "required", score->required, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "required_killed", score->required_killed, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "honest_failed", score->unfair, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "not_judged", score->broken, NULL, QVL_FROM_MEASURED);
    return qvl_report_take(report, record, error);
}

static enum qvl_status fill_report(const struct qvl_mutant_list *list,
                                   const struct qvl_selftest_result *results, struct qvl_report *report,
                                   struct qvl_error *error)
{
    struct qvl_selftest_score score;
    const bool good = qvl_selftest_good(list->mutants, results, list->count, &score);
    for (int64_t i = 0; i < list->count; i++)
        QVL_TRY(add_mutant(&list->mutants[i], &results[i], report, error));
    for (int section = 1; section <= QVL_MUSEUM_SECTIONS; section++)
        QVL_TRY(add_section(section, list, results, report, error));
    QVL_TRY(
        add_score(&score, good, score.required_killed + score.excused_killed, list->count, report, error));
    return qvl_report_note(
        report,
        "nmse_rule: what a limit of 5e-4 on the whole tensor's normalised mean square error, "
        "the closest peer's rule, says of the mutant on the case that killed it.",
        error);
}

static void show(void *context, int64_t done)
{
    qvl_progress_update(context, done);
}

static enum qvl_status hunt(const struct selftest_options *options, const struct qvl_mutant_list *list,
                            struct qvl_report *report, struct qvl_error *error)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct qvl_progress progress;
    const struct qvl_selftest_options how = {.jobs = options->jobs    ? (int)options->jobs
                                                     : processors > 0 ? (int)processors
                                                                      : 1,
                                             .seconds_a_case = SECONDS_A_CASE,
                                             .only = options->text,
                                             .progress = show,
                                             .context = &progress};
    struct qvl_mutant_context context;
    struct qvl_selftest_result *results = calloc((size_t)list->count, sizeof *results);
    if (!results)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld mutants", (long long)list->count);
    enum qvl_status status = qvl_mutants_open(list, (uint64_t)options->seed, &context, error);
    if (status == QVL_OK) {
        qvl_progress_begin(&progress, "selftest", "mutant", list->count);
        status = qvl_selftest_run(list->mutants, list->count, &how, results, error);
        qvl_progress_end(&progress);
        qvl_mutants_close(&context);
    }
    if (status == QVL_OK)
        status = fill_report(list, results, report, error);
    free(results);
    return status;
}

enum qvl_status qvl_verb_selftest(int argc, char **argv, struct qvl_error *error)
{
    struct selftest_options options = {.jobs = 0};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    struct qvl_mutant_list list;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    QVL_TRY(qvl_checker_check(error));
    QVL_TRY(qvl_mutants_list(options.mutant, &list, error));
    enum qvl_status status = hunt(&options, &list, &report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_mutants_free(&list);
    qvl_report_clear(&report);
    return status;
}
