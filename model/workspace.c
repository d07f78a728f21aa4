#include "model/workspace.h"

enum qvl_status qvl_workspace_tensor(struct qvl_workspace *workspace, enum qvl_slot slot,
                                     enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                     struct qvl_tensor *tensor, struct qvl_error *error)
{
    *tensor = qvl_tensor_make(NULL, dtype, rank, shape);
    const size_t bytes = (size_t)qvl_tensor_count(tensor) * qvl_dtype_bytes(dtype);
    if (bytes > workspace->bytes[slot]) {
        workspace->backend->release(workspace->backend, workspace->data[slot]);
        workspace->data[slot] = NULL;
        workspace->bytes[slot] = 0;
        QVL_TRY(workspace->backend->allocate(workspace->backend, bytes, &workspace->data[slot], error));
        workspace->bytes[slot] = bytes;
    }
    tensor->data = workspace->data[slot];
    return QVL_OK;
}

enum qvl_status qvl_workspace_matrix(struct qvl_workspace *workspace, enum qvl_slot slot,
                                     enum qvl_dtype dtype, int64_t rows, int64_t columns,
                                     struct qvl_tensor *tensor, struct qvl_error *error)
{
    return qvl_workspace_tensor(workspace, slot, dtype, 2, (const int64_t[]){rows, columns}, tensor, error);
}

void qvl_workspace_release(struct qvl_workspace *workspace)
{
    for (int slot = 0; slot < QVL_SLOT_COUNT; slot++) {
        workspace->backend->release(workspace->backend, workspace->data[slot]);
        workspace->data[slot] = NULL;
        workspace->bytes[slot] = 0;
    }
}
