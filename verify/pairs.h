/* The same question asked under several settings: which answers are equal to the bit, which as close as two
 * honest answers may be, and the smallest pair of settings that is not. Internal to verify/. */
#ifndef QVL_VERIFY_PAIRS_H
#define QVL_VERIFY_PAIRS_H

#include "qvl/tensor.h"

struct qvl_answers {
    const double *const *values; /* [settings][elements]; settings ordered, the smallest first */
    int settings;
    int64_t elements;
    const double *tolerance; /* [elements]: how far two honest answers may be apart; NaN: both must be NaN */
};

/* Two settings and the element where they differ most for their tolerance. */
struct qvl_pair {
    int first, second; /* first < second */
    int64_t element;
    double margin;    /* difference / tolerance */
    int64_t failures; /* elements beyond tolerance */
};

struct qvl_pairs {
    bool missing; /* a setting has a NaN where a number was due: there is no answer to compare */
    int missing_setting;
    int64_t missing_element;
    bool inexact;            /* some pair is not equal to the bit */
    struct qvl_pair changed; /* the smallest such pair */
    bool violated;           /* some pair is beyond tolerance */
    struct qvl_pair broken;  /* the smallest such pair */
    double margin;           /* the largest of all pairs */
};

/* Smallest means: the larger setting as small as can be, then the other one. */
void qvl_pairs_search(const struct qvl_answers *answers, struct qvl_pairs *found);

#define QVL_VERDICT_IDENTICAL "bit-identical"
#define QVL_VERDICT_WITHIN "within tolerance"
#define QVL_VERDICT_VIOLATED "violated"

const char *qvl_pairs_verdict(const struct qvl_pairs *found);

/* How far two answers may be apart that each may be `bound` and its own rounding to `dtype` away from
 * `value`: 2 bound + one spacing. */
double qvl_pair_tolerance(enum qvl_dtype dtype, double value, double bound);

#endif
