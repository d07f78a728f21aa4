/* Scratch tensors in backend memory, one named slot each, grown on demand and kept between calls. */
#ifndef QVL_MODEL_WORKSPACE_H
#define QVL_MODEL_WORKSPACE_H

#include "qvl/backend.h"

enum qvl_slot {
    QVL_SLOT_PATCH_ROWS, /* float32 patch rows of the tower */
    QVL_SLOT_HIDDEN,     /* the residual stream */
    QVL_SLOT_NORMED,     /* output of a norm, then of a projection back to the residual width */
    QVL_SLOT_QKV,        /* vision: fused q, k, v */
    QVL_SLOT_Q,
    QVL_SLOT_K,
    QVL_SLOT_V,
    QVL_SLOT_ATTENTION,
    QVL_SLOT_GATE, /* first projection of an MLP */
    QVL_SLOT_UP,
    QVL_SLOT_COS,
    QVL_SLOT_SIN,
    QVL_SLOT_ROUTER,
    QVL_SLOT_CHOSEN,
    QVL_SLOT_ROUTE_WEIGHTS,
    QVL_SLOT_EXPERTS,
    QVL_SLOT_LOGITS,
    QVL_SLOT_COUNT
};

struct qvl_workspace {
    struct qvl_backend *backend; /* borrowed */
    void *data[QVL_SLOT_COUNT];
    size_t bytes[QVL_SLOT_COUNT];
};

/* A contiguous tensor in the slot; its old contents are lost when it has to grow. */
enum qvl_status qvl_workspace_tensor(struct qvl_workspace *workspace, enum qvl_slot slot,
                                     enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                     struct qvl_tensor *tensor, struct qvl_error *error);

/* The same for [rows, columns]. */
enum qvl_status qvl_workspace_matrix(struct qvl_workspace *workspace, enum qvl_slot slot,
                                     enum qvl_dtype dtype, int64_t rows, int64_t columns,
                                     struct qvl_tensor *tensor, struct qvl_error *error);

void qvl_workspace_release(struct qvl_workspace *workspace);

#endif
