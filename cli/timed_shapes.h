/* Op cases in the shapes in which a released model calls them, for timing: whole matrices, few rows. */
#ifndef QVL_CLI_TIMED_SHAPES_H
#define QVL_CLI_TIMED_SHAPES_H

#include "model/config.h"
#include "verify/verify.h"

#define QVL_TIMED_SHAPES 64

/* The cases of a model of that name (a name in the model tables, for the cases' `set`) in a storage type;
 * *count at most QVL_TIMED_SHAPES. */
QVL_MUST_USE enum qvl_status qvl_timed_shapes(const char *model, const struct qvl_model_config *config,
                                              enum qvl_dtype dtype, struct qvl_case cases[QVL_TIMED_SHAPES],
                                              int *count, struct qvl_error *error);

#endif
