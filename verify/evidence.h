/* The tensors of a case, for the developer who looks into it. Internal to verify/. */
#ifndef QVL_VERIFY_EVIDENCE_H
#define QVL_VERIFY_EVIDENCE_H

#include "verify/expectation.h"

/* Hand the inputs of a case, and of each judged output what was expected and, when `candidate` is not NULL,
 * what came out and the tolerance of each element, to the context's `keep`. */
enum qvl_status qvl_evidence_give(struct qvl_expectation *expectation, struct qvl_side *candidate,
                                  const struct qvl_case_context *context,
                                  const struct qvl_case_result *result, struct qvl_error *error);

#endif
