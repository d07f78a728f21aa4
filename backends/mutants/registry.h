/* The faults inside kernels by name. */
#ifndef QVL_BACKENDS_MUTANTS_REGISTRY_H
#define QVL_BACKENDS_MUTANTS_REGISTRY_H

#include "faults.h"
#include "mutants.h"

struct mutant_row {
    struct qvl_mutant mutant;
    enum qvl_fault fault;
};

/* NULL: no such mutant. */
const struct mutant_row *mutant_row_named(const char *name);

#endif
