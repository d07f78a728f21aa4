/* The engine that scores the checker: what counts as a kill, what becomes of mutants that crash, hang or
 * survive; the truth table of the checker. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/mutants.h"
#include "verify/checker_faults.h"

enum deed { PASSES, FAILS, BOTH_FAIL, CRASHES, HANGS, BREAKS, SKIPS, HONEST_CRASHES };

/* What a mutant does in its three cases. */
static const enum deed deeds[][3] = {
    {PASSES, FAILS, FAILS},          /* 0: killed by the second case */
    {PASSES, PASSES, PASSES},        /* 1: survives */
    {BOTH_FAIL, FAILS, PASSES},      /* 2: a case that honest code fails too is no kill */
    {PASSES, PASSES, CRASHES},       /* 3 */
    {HANGS, PASSES, PASSES},         /* 4 */
    {PASSES, BREAKS, FAILS},         /* 5 */
    {SKIPS, SKIPS, FAILS},           /* 6 */
    {HONEST_CRASHES, FAILS, PASSES}, /* 7 */
};

static bool line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                 char text[QVL_CASE_LINE_BYTES])
{
    (void)context;
    (void)mutant;
    snprintf(text, QVL_CASE_LINE_BYTES, "case %d", (int)index);
    return index < 3;
}

static enum qvl_status run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                           bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    const enum deed deed = deeds[mutant->number][index];
    (void)context;
    attempt->status = QVL_CASE_PASSED;
    if (deed == BOTH_FAIL || ((deed == FAILS || deed == HONEST_CRASHES) && !honest))
        attempt->status = QVL_CASE_FAILED;
    if (deed == SKIPS)
        attempt->status = QVL_CASE_SKIPPED;
    if ((deed == CRASHES && !honest) || (deed == HONEST_CRASHES && honest))
        raise(SIGKILL); /* no core, no sanitizer report */
    if (deed == HANGS && !honest)
        for (;;)
            usleep(1000);
    return deed == BREAKS ? qvl_fail(error, QVL_IO, "no disk") : QVL_OK;
}

static const struct qvl_selftest_kind kind = {.name = "test", .line = line, .run = run};

#define MUTANTS 8

static void make(struct qvl_selftest_mutant mutants[MUTANTS])
{
    for (int i = 0; i < MUTANTS; i++)
        mutants[i] = (struct qvl_selftest_mutant){.name = "m", .section = 1, .kind = &kind, .number = i};
}

static void hunt(const struct qvl_selftest_mutant *mutants, int64_t count, int jobs, const char *only,
                 struct qvl_selftest_result *results)
{
    const struct qvl_selftest_options options = {.jobs = jobs, .seconds_a_case = 0.5, .only = only};
    struct qvl_error error = {.message = ""};
    if (qvl_selftest_run(mutants, count, &options, results, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

static void verdicts(void **state)
{
    struct qvl_selftest_mutant mutants[MUTANTS];
    struct qvl_selftest_result results[MUTANTS], again[MUTANTS];
    (void)state;
    make(mutants);
    hunt(mutants, MUTANTS, 3, NULL, results);
    assert_int_equal(results[0].verdict, QVL_SELFTEST_KILLED);
    assert_string_equal(results[0].line, "case 1");
    assert_int_equal(results[0].cases, 2);
    assert_int_equal(results[1].verdict, QVL_SELFTEST_SURVIVED);
    assert_int_equal(results[1].cases, 3);
    assert_string_equal(results[1].line, "");
    assert_int_equal(results[2].verdict, QVL_SELFTEST_UNFAIR);
    assert_string_equal(results[2].line, "case 0");
    assert_int_equal(results[3].verdict, QVL_SELFTEST_KILLED);
    assert_int_equal(results[3].mutant.status, QVL_CASE_CRASHED);
    assert_string_equal(results[3].line, "case 2");
    assert_int_equal(results[3].cases, 3);
    assert_int_equal(results[3].honest.status, QVL_CASE_PASSED);
    assert_int_equal(results[4].verdict, QVL_SELFTEST_KILLED);
    assert_int_equal(results[4].mutant.status, QVL_CASE_TIMEOUT);
    assert_int_equal(results[5].verdict, QVL_SELFTEST_BROKEN);
    assert_non_null(strstr(results[5].mutant.message, "no disk"));
    assert_int_equal(results[6].verdict, QVL_SELFTEST_KILLED);
    assert_int_equal(results[6].cases, 1);
    assert_int_equal(results[7].verdict, QVL_SELFTEST_UNFAIR);
    assert_int_equal(results[7].honest.status, QVL_CASE_CRASHED);
    hunt(mutants, MUTANTS, 1, NULL, again); /* one process at a time says the same */
    for (int i = 0; i < MUTANTS; i++) {
        assert_int_equal(again[i].verdict, results[i].verdict);
        assert_string_equal(again[i].line, results[i].line);
    }
}

static void only_the_named_case(void **state)
{
    struct qvl_selftest_mutant mutants[MUTANTS];
    struct qvl_selftest_result results[1];
    (void)state;
    make(mutants);
    hunt(mutants, 1, 1, "case 2", results);
    assert_int_equal(results[0].verdict, QVL_SELFTEST_KILLED);
    assert_string_equal(results[0].line, "case 2");
    assert_int_equal(results[0].cases, 1);
    hunt(mutants, 1, 1, "case 0", results);
    assert_int_equal(results[0].verdict, QVL_SELFTEST_SURVIVED);
}

/* The exit code of the verb follows this: one required survivor fails, one with an excuse does not, and
 * neither excuses nor numbers make up for an honest version that fails. */
static void what_is_good(void **state)
{
    struct qvl_selftest_mutant mutants[2] = {{.name = "a"}, {.name = "b"}};
    struct qvl_selftest_result results[2] = {{.verdict = QVL_SELFTEST_KILLED},
                                             {.verdict = QVL_SELFTEST_SURVIVED}};
    struct qvl_selftest_score score;
    (void)state;
    assert_false(qvl_selftest_good(mutants, results, 2, &score));
    assert_int_equal(score.required, 2);
    assert_int_equal(score.required_killed, 1);
    mutants[1].excuse = "cannot show here";
    assert_true(qvl_selftest_good(mutants, results, 2, &score));
    assert_int_equal(score.excused, 1);
    results[1].verdict = QVL_SELFTEST_UNFAIR;
    assert_false(qvl_selftest_good(mutants, results, 2, &score));
    results[1].verdict = QVL_SELFTEST_BROKEN;
    assert_false(qvl_selftest_good(mutants, results, 2, &score));
    assert_false(qvl_selftest_good(mutants, results, 0, &score));
}

static void truth_table(void **state)
{
    struct qvl_error error = {.message = ""};
    (void)state;
    if (qvl_checker_check(&error) != QVL_OK)
        fail_msg("%s", error.message);
}

/* At least 100, no name twice, every section that has bugs to plant. */
static void the_museum_is_complete(void **state)
{
    struct qvl_mutant_list list;
    struct qvl_error error;
    int sections[QVL_MUSEUM_SECTIONS + 1] = {0};
    (void)state;
    assert_int_equal(qvl_mutants_list(NULL, &list, &error), QVL_OK);
    for (int64_t i = 0; i < list.count; i++) {
        assert_non_null(qvl_museum_section(list.mutants[i].section));
        sections[list.mutants[i].section]++;
        assert_true(i == 0 || list.mutants[i - 1].section <= list.mutants[i].section);
        assert_true(strlen(list.mutants[i].fault) > 0 && strlen(list.mutants[i].entry) > 0);
        for (int64_t k = 0; k < i; k++)
            if (strcmp(list.mutants[i].name, list.mutants[k].name) == 0)
                fail_msg("%s is there twice", list.mutants[i].name);
    }
    assert_true(list.count >= 100);
    for (int section = 1; section <= QVL_MUSEUM_SECTIONS; section++)
        if (qvl_museum_section(section) && sections[section] == 0)
            fail_msg("section %d has no mutant", section);
    qvl_mutants_free(&list);
    assert_int_equal(qvl_mutants_list("no.such.mutant", &list, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "no.such.mutant"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(only_the_named_case),
        cmocka_unit_test(what_is_good),
        cmocka_unit_test(truth_table),
        cmocka_unit_test(the_museum_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
