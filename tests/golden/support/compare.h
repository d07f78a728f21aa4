/* Comparing a run of our model with a golden file. */
#ifndef QVL_TESTS_COMPARE_H
#define QVL_TESTS_COMPARE_H

#include "tests/golden/support/golden.h"

#define COMPARE_MOST_STAGES 256

/* What must be equal: ids, grids, frame indices, timestamps and patch rows of the prompt; position ids and
 * delta of the run. Each returns the number of differences, which it prints. */
int compare_prompt(const struct golden *golden);
int compare_positions(const struct golden *golden, const struct golden_run *run);

/* One stage of a golden: a tap or "logits". */
struct compare_stage {
    char name[128];
    const struct qvl_array *rows;       /* [k, width] the stored rows, or NULL */
    const struct qvl_array *indices;    /* [k] which rows they are */
    const struct qvl_array *projection; /* [all rows] */
    double largest;                     /* of the whole stage */
};

/* The stages of a file. */
int64_t compare_stages(const struct golden *golden, struct compare_stage stages[COMPARE_MOST_STAGES]);

/* Distances of a run from some values of a stage. */
struct compare_distance {
    double element;    /* largest over the stored rows */
    double projection; /* largest over all rows */
};

/* Distance between a run and the golden, or between two runs (`other` not NULL) at the places the golden
 * stores. Infinite when the run lacks the stage or has another shape, NaN is infinite too. */
struct compare_distance compare_stage_distance(const struct compare_stage *stage,
                                               const struct golden_run *run, const struct golden_run *other);

#endif
