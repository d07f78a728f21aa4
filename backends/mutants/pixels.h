/* Faults of preprocessing: an honest pixel table whose calls are passed on with changed arguments or results.
 * The calls of that table have no context, so one fault at a time is in force in a process. */
#ifndef QVL_BACKENDS_MUTANT_PIXELS_H
#define QVL_BACKENDS_MUTANT_PIXELS_H

#include "backends/mutants/mutants.h"
#include "qvl/pixels.h"

/* The faults in the order of the museum; NULL beyond the last. */
const struct qvl_mutant *qvl_pixel_mutant_at(int64_t index);

/* The table with the fault of that name in front of `honest`, static, valid until the next call; NULL for an
 * unknown name. */
const struct qvl_pixel_ops *qvl_pixel_mutant_table(const char *name, const struct qvl_pixel_ops *honest);

#endif
