/* The ground truth: every op of the table in plain C, one component a file, in the order of the published
 * formula. Double accumulators, one thread, the named rounding points of qvl/ops.h and no others. */
#ifndef QVL_REF_H
#define QVL_REF_H

#include "qvl/backend.h"

/* Open the reference backend (name "ref"). The caller closes it with `backend->close`. `options` may be NULL;
 * `threads` is ignored. With `jitter_seed` every r() rounds up or down at random, reproducibly for one
 * sequence of calls; the generator belongs to the backend. Fails only with QVL_NO_MEMORY. */
qvl_backend_open_fn qvl_ref_open;

#endif
