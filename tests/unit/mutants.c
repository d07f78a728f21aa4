/* The faults inside kernels: each is killed by a built-in case of its entry that the honest backend passes,
 * or has an excuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/mutants/mutants.h"
#include "ref/ref.h"
#include "verify/verify.h"

static const char *opened; /* the mutant that open_mutant opens */

static enum qvl_status open_mutant(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_mutant_open(opened, options, backend, error);
}

/* Probes and the cases that known bugs call for, which are to be enough; not what takes much memory, except
 * rows that lie far apart, which take addresses only. */
static bool is_short(const struct qvl_case *chosen)
{
    return (!strcmp(chosen->set, "museum") || chosen->check >= qvl_verify_op_count()) &&
           (qvl_case_bytes(chosen) == 0 || !strncmp(qvl_verify_name(chosen->check), "far_", 4));
}

/* The backend of that name on cases in order: the first that does not pass, or `count`. */
static int64_t first_not_passed(struct qvl_backend *ref, const char *name, const struct qvl_case *cases,
                                int64_t count, struct qvl_case_result *result)
{
    struct qvl_error error = {.message = ""};
    struct qvl_backend *backend;
    int64_t i;
    opened = name;
    assert_int_equal(qvl_mutant_open(name, NULL, &backend, &error), QVL_OK);
    const struct qvl_case_context context = {
        .reference = ref, .candidate = backend, .open = open_mutant, .threads = 1};
    for (i = 0; i < count; i++) {
        if (!is_short(&cases[i]))
            continue;
        if (qvl_case_run(&cases[i], &context, result, &error) != QVL_OK)
            fail_msg("%s: %s", name, error.message);
        if (result->status != QVL_CASE_PASSED && result->status != QVL_CASE_SKIPPED)
            break;
    }
    backend->close(backend);
    return i;
}

/* Whether the mutant does not survive the cases of its entry; what passes for the honest backend is checked
 * on the one case that kills. */
static bool is_killed(struct qvl_backend *ref, const struct qvl_mutant *mutant)
{
    const struct qvl_case_filter filter = {.op = mutant->entry};
    struct qvl_case_result result;
    struct qvl_error error = {.message = ""};
    struct qvl_case *cases;
    int64_t count, killer;
    assert_int_equal(qvl_cases(&filter, &cases, &count, &error), QVL_OK);
    assert_true(count > 0); /* the entry exists */
    killer = first_not_passed(ref, mutant->name, cases, count, &result);
    if (killer < count) {
        struct qvl_case_result honest;
        char line[QVL_CASE_LINE_BYTES];
        qvl_case_print(&cases[killer], line);
        print_message("%-34s %s\n", mutant->name, line);
        if (first_not_passed(ref, "honest", &cases[killer], 1, &honest) == 0)
            fail_msg("%s: the honest backend fails too: %s", line, honest.message);
    }
    free(cases);
    return killer < count;
}

static void required_mutants_are_killed(void **state)
{
    struct qvl_error error = {.message = ""};
    struct qvl_backend *ref;
    const struct qvl_mutant *mutant;
    int64_t survivors = 0, count = 0;
    (void)state;
    assert_int_equal(qvl_ref_open(NULL, &ref, &error), QVL_OK);
    for (int64_t i = 0; (mutant = qvl_mutant_at(i)); i++) {
        count++;
        if (!mutant->excuse && !is_killed(ref, mutant)) {
            print_message("%-34s survives\n", mutant->name);
            survivors++;
        }
    }
    print_message("%lld mutants, %lld survive\n", (long long)count, (long long)survivors);
    assert_true(count > 100);
    assert_int_equal(survivors, 0);
    ref->close(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(required_mutants_are_killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
