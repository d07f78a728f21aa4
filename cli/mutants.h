/* Every planted fault, whatever its kind, as the self-test hunts and `list` shows them. */
#ifndef QVL_CLI_MUTANTS_H
#define QVL_CLI_MUTANTS_H

#include "verify/composition.h"
#include "verify/selftest.h"

/* What the kinds need to run their mutants. Filled by qvl_mutants_open. */
struct qvl_mutant_context {
    struct qvl_selftest_ops ops;
    struct qvl_composition *composition; /* NULL when no mutant needs it */
};

struct qvl_mutant_list {
    struct qvl_selftest_mutant *mutants; /* in the order of the museum's sections */
    int64_t count;
};

/* The mutants whose names match the glob (NULL: all). They cannot be run before qvl_mutants_open. */
QVL_MUST_USE enum qvl_status qvl_mutants_list(const char *glob, struct qvl_mutant_list *list,
                                              struct qvl_error *error);
void qvl_mutants_free(struct qvl_mutant_list *list);

/* Prepare what the listed mutants need: cases, checkpoints, expectations. One context at a time. `seed` 0:
 * the built-in cases with their own. */
QVL_MUST_USE enum qvl_status qvl_mutants_open(const struct qvl_mutant_list *list, uint64_t seed,
                                              struct qvl_mutant_context *context, struct qvl_error *error);
void qvl_mutants_close(struct qvl_mutant_context *context);

/* What a section of the museum is about; NULL for a section without bugs to plant. */
const char *qvl_museum_section(int section);
#define QVL_MUSEUM_SECTIONS 15

#endif
