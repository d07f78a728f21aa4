/* Handing a stage to whoever watches it. */
#ifndef QVL_MODEL_TAPS_H
#define QVL_MODEL_TAPS_H

#include "model/model.h"

/* Where a stage's rows stand in its sequence, and who watches. `taps` may be NULL. */
struct qvl_tap_point {
    struct qvl_backend *backend;
    const struct qvl_taps *taps;
    int64_t first;
};

/* Download `tensor` (any strides) and pass it on under the printf-formatted name, if it is wanted. `tensor`
 * is what the next step reads, so that values given in exchange reach it. */
enum qvl_status qvl_tap(const struct qvl_tap_point *point, const struct qvl_tensor *tensor,
                        struct qvl_error *error, const char *format, ...) QVL_PRINTF(4, 5);

#endif
