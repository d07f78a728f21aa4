/* How far jittered runs of the reference are from its exact-rounding run, element by element. Internal to
 * verify/. */
#ifndef QVL_VERIFY_DEVIATION_H
#define QVL_VERIFY_DEVIATION_H

#include "model/tap_store.h"
#include "verify/stages.h"

/* One stage over all draws. */
struct qvl_deviation {
    float *largest; /* [rows][width] over the draws */
    /* [rows] and [width]: sums of squares over draws and the other axis. After finishing, scales whose
     * product is the rms deviation that rank one gives an element. */
    double *row_scale, *column_scale;
    double overall; /* the largest of all elements */
    double tail;    /* the largest of an element in units of its rms deviation */
};

struct qvl_deviations {
    const struct qvl_tap_store *exact; /* borrowed */
    struct qvl_deviation *stages;      /* [exact->count] */
    int draws;
};

enum qvl_status qvl_deviations_create(const struct qvl_tap_store *exact, struct qvl_deviations *deviations,
                                      struct qvl_error *error);
void qvl_deviations_free(struct qvl_deviations *deviations); /* a zeroed one is accepted */

void qvl_deviations_add(struct qvl_deviations *deviations, const struct qvl_tap_store *draw);
void qvl_deviations_finish(struct qvl_deviations *deviations); /* after the last draw */

/* How far from the exact run a candidate may be. */
struct qvl_deviation_rule {
    double safety;     /* beyond the draws */
    double accumulate; /* what accumulating in float32 adds to a rounding error */
    /* Free: safety * accumulate * the largest deviation of the stage. Local: the deviation of the element's
     * row and column in its place, and one spacing of the storage type, since the last rounding of two honest
     * engines may fall to either side whatever the draws did. A stage that never deviates must be equal. */
    bool local;
    enum qvl_dtype storage;
};

/* Judge a stage of a candidate (NULL: it has none) against the exact run. */
void qvl_deviation_judge(const struct qvl_deviations *deviations, int64_t stage,
                         const struct qvl_tap_entry *candidate, const struct qvl_deviation_rule *rule,
                         struct qvl_stage_result *result);

#endif
