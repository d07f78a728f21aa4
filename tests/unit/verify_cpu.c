/* The cpu backend through op verification: every built-in case, with a seed that its own tests do not use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"
#include "verify/verify.h"

static void passes_every_case(void **state)
{
    const struct qvl_case_filter filter = {.has_seed = true, .seed = 20240601};
    struct qvl_error error = {.message = ""};
    struct qvl_backend *ref, *cpu;
    struct qvl_case *cases;
    int64_t count;
    double drift = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)filter.seed);
    assert_int_equal(qvl_ref_open(NULL, &ref, &error), QVL_OK);
    assert_int_equal(qvl_cpu_open(&(struct qvl_backend_options){.threads = 2}, &cpu, &error), QVL_OK);
    assert_int_equal(qvl_cases(&filter, &cases, &count, &error), QVL_OK);
    assert_true(count >= 10000);
    const struct qvl_case_context context = {
        .reference = ref, .candidate = cpu, .open = qvl_cpu_open, .threads = 2};
    for (int64_t i = 0; i < count; i++) {
        struct qvl_case_result result;
        if (qvl_case_run(&cases[i], &context, &result, &error) != QVL_OK)
            fail_msg("%s", error.message);
        if (result.status != QVL_CASE_PASSED)
            fail_msg("%s: %s: %s", qvl_case_status_name(result.status), result.repro, result.message);
        drift = result.drift > drift ? result.drift : drift;
    }
    print_message("%lld cases, at most %.3f of a bound used\n", (long long)count, drift);
    free(cases);
    cpu->close(cpu);
    ref->close(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(passes_every_case)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
