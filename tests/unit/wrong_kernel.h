/* Wrong kernels that a case must kill, and the honest backend that they replace an entry of, which must pass
 * it. Included after cmocka.h by one source file of a test. */
#ifndef QVL_UNIT_WRONG_KERNEL_H
#define QVL_UNIT_WRONG_KERNEL_H

#include "backends/cpu/cpu.h"
#include "verify/verify.h"

static struct qvl_backend *honest, *reference;
static struct qvl_backend wrong; /* a copy of `honest` with entries replaced */

static struct qvl_case_result run(const char *line)
{
    const struct qvl_case_context context = {
        .reference = reference, .candidate = &wrong, .open = qvl_cpu_open, .threads = 2};
    struct qvl_error error = {.message = ""};
    struct qvl_case_result result = {0};
    struct qvl_case parsed;
    if (qvl_case_parse(line, &parsed, &error) != QVL_OK ||
        qvl_case_run(&parsed, &context, &result, &error) != QVL_OK)
        fail_msg("%s", error.message);
    print_message("%s %s %s\n", qvl_case_status_name(result.status), line, result.message);
    return result;
}

/* The honest backend passes the case and `entry` replaced by a wrong kernel does not. */
#define KILLS(entry, kernel, line)                                                                           \
    do {                                                                                                     \
        wrong = *honest;                                                                                     \
        assert_int_equal(run(line).status, QVL_CASE_PASSED);                                                 \
        wrong.ops.entry = kernel;                                                                            \
        assert_int_equal(run(line).status, QVL_CASE_FAILED);                                                 \
    } while (0)

#endif
