/* Checks that are more than one call of one entry against the reference: known answers at a length that has
 * no reference, agreement of two ways to ask the same, calls that must be refused. Internal to verify/. */
#ifndef QVL_VERIFY_PROBE_H
#define QVL_VERIFY_PROBE_H

#include "verify/verify.h"

struct qvl_probe {
    const char *name;
    const char *op;                            /* the entry that it exercises, for filters and coverage */
    const char *numbers[QVL_CASE_NUMBERS + 1]; /* names of the case's integers, NULL after the last; none:
                                                  those of the entry */
    const char *const *patterns; /* its built-in cases, NULL after the last (verify/case_list.c) */

    /* Judge the candidate. `result` comes zeroed but for status (UNSUPPORTED) and repro. Errors as
     * qvl_case_run. */
    enum qvl_status (*run)(const struct qvl_case *chosen, const struct qvl_case_context *context,
                           struct qvl_case_result *result, struct qvl_error *error);

    /* May be NULL: qvl_case_bytes of its cases. */
    int64_t (*bytes)(const struct qvl_case *chosen);
};

/* X-macro over the probes, in the order of listings. */
#define QVL_PROBES(X)

#define QVL_PROBE_DECLARE(name) extern const struct qvl_probe qvl_probe_##name;
QVL_PROBES(QVL_PROBE_DECLARE)
#undef QVL_PROBE_DECLARE

/* The probe of a check, NULL for an entry of the op table. */
const struct qvl_probe *qvl_probe_of(int check);

#endif
