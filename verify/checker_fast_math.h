/* A comparator whose file is compiled as no comparator may be. Internal to verify/. */
#ifndef QVL_VERIFY_CHECKER_FAST_MATH_H
#define QVL_VERIFY_CHECKER_FAST_MATH_H

#include <stdbool.h>
#include <stdint.h>

/* Whether every got[i] lies within bound[i] of value[i] and is a NaN or an infinity where that is one. */
bool qvl_fast_math_accepts(int64_t count, const double *value, const double *bound, const double *got);

#endif
