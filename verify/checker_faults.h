/* Faults of a checker itself (section 12 of the museum): comparators and verdicts that pass what is wrong,
 * and the truth table that the real ones satisfy and each of them violates. */
#ifndef QVL_VERIFY_CHECKER_FAULTS_H
#define QVL_VERIFY_CHECKER_FAULTS_H

#include "verify/selftest.h"

/* The whole truth table on the real comparator and verdicts: microseconds. QVL_FAILED names the row; it means
 * that this build cannot be trusted (NaN tests optimised away, say). */
QVL_MUST_USE enum qvl_status qvl_checker_check(struct qvl_error *error);

/* Mutants of this kind, NULL beyond the last. Their cases are the rows of the truth table. */
const struct qvl_selftest_mutant *qvl_checker_mutant_at(int64_t index);

#endif
