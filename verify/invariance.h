/* Invariance of one entry: one problem asked under several settings of a dimension (chunk size, batch
 * company, thread count, KV split, image order, repeat), each with fresh outputs. Internal to verify/. */
#ifndef QVL_VERIFY_INVARIANCE_H
#define QVL_VERIFY_INVARIANCE_H

#include "verify/expectation.h"
#include "verify/pairs.h"

#define QVL_SETTINGS 80

struct qvl_setting {
    char label[56];
    int64_t size, variant;       /* what they mean is the dimension's affair */
    struct qvl_backend *backend; /* NULL: the candidate */
};

struct qvl_invariance {
    const struct qvl_verify_op *op; /* its call asks the reference */
    struct qvl_setting settings[QVL_SETTINGS];
    int count;
    /* Fill the judged operands of the candidate's side, a fresh one, under a setting. */
    enum qvl_status (*ask)(struct qvl_side *side, const struct qvl_verify_op *op,
                           const struct qvl_setting *setting, struct qvl_error *error);
};

/* A new setting after the others, its label printf-formatted. */
struct qvl_setting *qvl_setting_add(struct qvl_invariance *invariance, int64_t size, int64_t variant,
                                    const char *format, ...) QVL_PRINTF(4, 5);

/* Batches of 1, 2, 3, 17 and 33 rows, each from as many first rows, so that a row stands at every place. */
void qvl_setting_add_batches(struct qvl_invariance *invariance);

/* The batches of a setting of `qvl_setting_add_batches`: rows *first .. *first + *count - 1 of `rows`. Starts
 * with *first = *count = 0; false after the last. */
bool qvl_setting_next_batch(const struct qvl_setting *setting, int64_t rows, int64_t *first, int64_t *count);

/* Ask under every setting, compare all pairs and fill the result with the verdict. */
enum qvl_status qvl_invariance_judge(const struct qvl_invariance *invariance, const struct qvl_case *chosen,
                                     const struct qvl_case_context *context, struct qvl_case_result *result,
                                     struct qvl_error *error);

#endif
