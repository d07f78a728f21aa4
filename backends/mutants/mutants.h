/* Backends that are wrong on purpose, one fault each, named after the bug museum, and the honest backend that
 * they were before the fault: the same kernels with the switch off. The checker is scored against them
 * (`selftest`).
 *
 * The kernels are plain float32 on host memory, a summation order to choose, so that a mutant differs from an
 * honest implementation in its fault alone, and that honest implementations which sum in any order can be
 * shown to pass. */
#ifndef QVL_BACKENDS_MUTANTS_H
#define QVL_BACKENDS_MUTANTS_H

#include "qvl/backend.h"

/* The order in which long sums are formed. All are honest. */
enum qvl_sum_order {
    QVL_SUM_SEQUENTIAL,
    QVL_SUM_REVERSED,
    QVL_SUM_BLOCKED,  /* sixteen running sums, added at the end: what SIMD code does */
    QVL_SUM_PAIRWISE, /* recursive halves */
    QVL_SUM_FUSED,    /* sequential, each multiply-add rounded once */
    QVL_SUM_ORDER_COUNT
};

/* "sequential", "reversed", "blocked", "pairwise", "fused" */
const char *qvl_sum_order_name(enum qvl_sum_order order);

struct qvl_mutant {
    const char *name;   /* the museum's slug: "attn.causal_top_left" */
    int section;        /* of the museum: 1 .. 15 */
    const char *fault;  /* one line: what is wrong */
    const char *entry;  /* the op table entry it is planted in */
    const char *excuse; /* NULL: it must be killed. Otherwise why it may survive */
};

/* The mutants in the order of the museum; NULL beyond the last. */
const struct qvl_mutant *qvl_mutant_at(int64_t index);

/* Open the honest backend (name "honest") or the mutant of that name. QVL_USAGE for an unknown name. */
enum qvl_status qvl_honest_open(enum qvl_sum_order order, const struct qvl_backend_options *options,
                                struct qvl_backend **backend, struct qvl_error *error);
enum qvl_status qvl_mutant_open(const char *name, const struct qvl_backend_options *options,
                                struct qvl_backend **backend, struct qvl_error *error);

#endif
