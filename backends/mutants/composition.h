/* Faults of the whole path that no single call shows: an honest backend whose calls are passed on with
 * changed arguments, left out, or made at another moment, as an engine does that wires right kernels wrongly.
 */
#ifndef QVL_BACKENDS_COMPOSITION_H
#define QVL_BACKENDS_COMPOSITION_H

#include "backends/mutants/mutants.h"

/* The faults in the order of the museum; NULL beyond the last. */
const struct qvl_mutant *qvl_composition_mutant_at(int64_t index);

/* Put the fault of that name in front of a backend made by `honest`. QVL_USAGE for an unknown name. */
enum qvl_status qvl_composition_open(const char *name, qvl_backend_open_fn *honest,
                                     const struct qvl_backend_options *options, struct qvl_backend **backend,
                                     struct qvl_error *error);

#endif
