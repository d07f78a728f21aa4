/* The table behind qvl_mutant_at. A row is a fault inside a kernel, switched on by `fault`, or one around
 * kernels, which `install` puts into the opened backend. */
#ifndef QVL_BACKENDS_MUTANTS_REGISTRY_H
#define QVL_BACKENDS_MUTANTS_REGISTRY_H

#include "faults.h"
#include "mutants.h"

struct mutant_row {
    struct qvl_mutant mutant;
    enum qvl_fault fault;
    /* May be NULL: replace entries of backend->ops, or other members, by wrappers that change the arguments
     * and go on to honest_NAME (honest.h). State of theirs belongs into honest_state.context. */
    void (*install)(struct qvl_backend *backend);
};

/* NULL: no such mutant. */
const struct mutant_row *mutant_row_named(const char *name);

#endif
