/* The weight entries of the backend (contracts in qvl/backend.h). */
#ifndef QVL_REF_WEIGHT_H
#define QVL_REF_WEIGHT_H

#include "qvl/backend.h"

enum qvl_status qvl_ref_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                       struct qvl_weight **weight, struct qvl_error *error);
void qvl_ref_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight);

#endif
