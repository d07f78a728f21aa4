/* The op table's linear layer on a layer's parameters, for the tower and the decoder alike. */
#ifndef QVL_MODEL_APPLY_H
#define QVL_MODEL_APPLY_H

#include "model/parameters.h"

static inline enum qvl_status qvl_apply_linear(struct qvl_backend *backend, struct qvl_tensor x,
                                               const struct qvl_linear_parameters *layer, struct qvl_tensor y,
                                               struct qvl_error *error)
{
    const struct qvl_linear_args args = {
        .x = x, .weight = layer->weight, .bias = layer->bias.data ? &layer->bias : NULL, .y = y};
    return backend->ops.linear(backend, &args, error);
}

#endif
