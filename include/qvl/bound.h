/* The constants of the running error analysis (docs/NUMERICS.md 2). */
#ifndef QVL_BOUND_H
#define QVL_BOUND_H

/* c: nine standard deviations of the error of a long sum of terms of one sign, and at least the worst case
 * for n <= 4. */
#define QVL_BOUND_C 2.0

/* Roundoffs that one call of exp, tanh, erf, sin, cos, 1/sqrt or a division may lose: two units in the last
 * place, which is what vendors state for their float32 functions. */
#define QVL_BOUND_FUNCTION 4.0

/* An arithmetic of float32 range may flush results below 2^-126, scaled by whatever multiplies them later. */
#define QVL_BOUND_UNDERFLOW 0x1p-120

#endif
