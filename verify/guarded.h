/* A large operand of a probe: rows with a gap behind each, between guard zones, copied as whole rows.
 * Internal to verify/. */
#ifndef QVL_VERIFY_GUARDED_H
#define QVL_VERIFY_GUARDED_H

#include "qvl/backend.h"

struct qvl_guarded {
    struct qvl_backend *backend;
    struct qvl_tensor view;
    void *memory; /* of the backend */
    size_t bytes;
    bool input; /* opened with values */
};

/* A tensor of the backend with `pad` elements between the rows of axis 0. `host` holds its values in order;
 * NULL: an output, which is poisoned. Close it also after a failure. */
enum qvl_status qvl_guarded_open(struct qvl_guarded *guarded, struct qvl_backend *backend,
                                 const struct qvl_tensor *shape, int64_t pad, const void *host,
                                 struct qvl_error *error);
void qvl_guarded_close(struct qvl_guarded *guarded);

/* The values, in storage type, contiguous, to `host`. QVL_FAILED when a guard zone or a gap was written. */
enum qvl_status qvl_guarded_read(const struct qvl_guarded *guarded, void *host, struct qvl_error *error);

#endif
