/* One check a table entry: `qvl_NAME_check` looks at everything of the args that can be seen without the
 * backend (null pointers, ranks, shapes, element types, strides, ranges) and returns QVL_USAGE with a message
 * that starts with "op.field". Every backend calls it first. What is hidden in an opaque handle (the shape of
 * a weight, the room in a cache, the rows of an embedding table) is checked by the backend that owns the
 * handle. */
#ifndef QVL_CHECK_H
#define QVL_CHECK_H

#include "qvl/ops.h"

#define QVL_CHECK_ANY (-1)                  /* any extent of an axis */
#define QVL_CHECK_STORAGE (QVL_DTYPE_COUNT) /* any storage type */

/* ---- operands ---- */

/* A tensor of `rank` axes. `dtype` is a type or QVL_CHECK_STORAGE; `shape` holds an extent or QVL_CHECK_ANY
 * per axis. Axis 0 may be empty, the others may not; the last axis has stride 1. */
static inline enum qvl_status qvl_check_input(const char *where, const struct qvl_tensor *tensor,
                                              enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                              struct qvl_error *error)
{
    if (tensor->rank != rank)
        return qvl_fail(error, QVL_USAGE, "%s: rank is %d, expected %d", where, (int)tensor->rank, (int)rank);
    if (dtype == QVL_CHECK_STORAGE ? !qvl_dtype_is_storage(tensor->dtype) : tensor->dtype != dtype)
        return qvl_fail(error, QVL_USAGE, "%s: type is %s, expected %s", where, qvl_dtype_name(tensor->dtype),
                        dtype == QVL_CHECK_STORAGE ? "f32, bf16 or f16" : qvl_dtype_name(dtype));
    for (int32_t axis = 0; axis < rank; axis++) {
        if (tensor->shape[axis] < (axis > 0) || (shape[axis] >= 0 && tensor->shape[axis] != shape[axis])) {
            if (shape[axis] >= 0)
                return qvl_fail(error, QVL_USAGE, "%s: shape[%d] is %lld, expected %lld", where, (int)axis,
                                (long long)tensor->shape[axis], (long long)shape[axis]);
            return qvl_fail(error, QVL_USAGE, "%s: shape[%d] is %lld, expected at least %d", where, (int)axis,
                            (long long)tensor->shape[axis], axis > 0);
        }
        if (tensor->stride[axis] < 0 ||
            (axis == rank - 1 && tensor->shape[axis] > 1 && tensor->stride[axis] != 1))
            return qvl_fail(error, QVL_USAGE, "%s: stride[%d] is %lld, expected %s", where, (int)axis,
                            (long long)tensor->stride[axis], axis == rank - 1 ? "1" : "0 or more");
    }
    if (!tensor->data && qvl_tensor_count(tensor) > 0)
        return qvl_fail(error, QVL_USAGE, "%s: data is NULL", where);
    return QVL_OK;
}

/* As qvl_check_input, and no two elements share memory: sorted by stride, each axis steps over the extent of
 * the ones below it. */
static inline enum qvl_status qvl_check_output(const char *where, const struct qvl_tensor *tensor,
                                               enum qvl_dtype dtype, int32_t rank, const int64_t *shape,
                                               struct qvl_error *error)
{
    bool used[QVL_MAX_RANK] = {false};
    int64_t extent = 1;
    QVL_TRY(qvl_check_input(where, tensor, dtype, rank, shape, error));
    for (int32_t step = 0; step < rank; step++) {
        int32_t least = -1;
        for (int32_t axis = 0; axis < rank; axis++)
            if (!used[axis] && (least < 0 || tensor->stride[axis] < tensor->stride[least]))
                least = axis;
        used[least] = true;
        if (tensor->shape[least] <= 1)
            continue;
        if (tensor->stride[least] < extent)
            return qvl_fail(error, QVL_USAGE, "%s: stride[%d] is %lld, so elements overlap (at least %lld)",
                            where, (int)least, (long long)tensor->stride[least], (long long)extent);
        extent += (tensor->shape[least] - 1) * tensor->stride[least];
    }
    return QVL_OK;
}

/* An output and an input that start at the same address: allowed only in place, with equal strides. */
static inline enum qvl_status qvl_check_alias(const char *where, const struct qvl_tensor *output,
                                              const struct qvl_tensor *input, bool in_place_allowed,
                                              struct qvl_error *error)
{
    if (!output->data || output->data != input->data)
        return QVL_OK;
    if (!in_place_allowed)
        return qvl_fail(error, QVL_USAGE, "%s: overlaps an input; this op does not work in place", where);
    for (int32_t axis = 0; axis < output->rank; axis++)
        if (output->shape[axis] > 1 && output->stride[axis] != input->stride[axis])
            return qvl_fail(error, QVL_USAGE, "%s: in place with another stride[%d] than the input", where,
                            (int)axis);
    return QVL_OK;
}

static inline enum qvl_status qvl_check_matrix(const char *where, const struct qvl_tensor *tensor,
                                               enum qvl_dtype dtype, int64_t rows, int64_t columns,
                                               struct qvl_error *error)
{
    const int64_t shape[2] = {rows, columns};
    return qvl_check_input(where, tensor, dtype, 2, shape, error);
}

static inline enum qvl_status qvl_check_out_matrix(const char *where, const struct qvl_tensor *tensor,
                                                   enum qvl_dtype dtype, int64_t rows, int64_t columns,
                                                   struct qvl_error *error)
{
    const int64_t shape[2] = {rows, columns};
    return qvl_check_output(where, tensor, dtype, 2, shape, error);
}

static inline enum qvl_status qvl_check_vector(const char *where, const struct qvl_tensor *tensor,
                                               enum qvl_dtype dtype, int64_t count, struct qvl_error *error)
{
    return qvl_check_input(where, tensor, dtype, 1, &count, error);
}

static inline enum qvl_status qvl_check_pointer(const char *where, const void *pointer,
                                                struct qvl_error *error)
{
    return pointer ? QVL_OK : qvl_fail(error, QVL_USAGE, "%s: is NULL", where);
}

/* `value` is finite and above `above`. */
static inline enum qvl_status qvl_check_above(const char *where, double value, double above,
                                              struct qvl_error *error)
{
    if (isfinite(value) && value > above)
        return QVL_OK;
    return qvl_fail(error, QVL_USAGE, "%s: is %g, expected a finite number above %g", where, value, above);
}

static inline enum qvl_status qvl_check_range(const char *where, int64_t value, int64_t low, int64_t high,
                                              struct qvl_error *error)
{
    if (value >= low && value <= high)
        return QVL_OK;
    return qvl_fail(error, QVL_USAGE, "%s: is %lld, expected %lld to %lld", where, (long long)value,
                    (long long)low, (long long)high);
}

/* Grids are positive, h and w multiples of merge, and their patches add up to `rows`. */
static inline enum qvl_status qvl_check_grids(const char *where, const struct qvl_grid *grids, int64_t count,
                                              int64_t merge, int64_t rows, struct qvl_error *error)
{
    int64_t total = 0;
    const int64_t limit = INT64_C(1) << 20; /* per side: the product of three stays below 2^61 */
    if (count < 0 || (count > 0 && !grids) || merge < 1)
        return qvl_fail(error, QVL_USAGE, "%s: %lld grids at %p with merge %lld", where, (long long)count,
                        (const void *)grids, (long long)merge);
    for (int64_t g = 0; g < count; g++) {
        const struct qvl_grid *grid = &grids[g];
        int64_t patches;
        if (grid->t < 1 || grid->h < 1 || grid->w < 1 || grid->t > limit || grid->h > limit ||
            grid->w > limit || grid->h % merge || grid->w % merge)
            return qvl_fail(error, QVL_USAGE,
                            "%s[%lld]: is %lld x %lld x %lld; sides are 1 to 2^20, multiples of %lld", where,
                            (long long)g, (long long)grid->t, (long long)grid->h, (long long)grid->w,
                            (long long)merge);
        patches = grid->t * grid->h * grid->w;
        if (patches > rows - total)
            total = rows;
        total += patches;
    }
    if (total != rows)
        return qvl_fail(error, QVL_USAGE, "%s: the grids do not have the %lld patches of the output", where,
                        (long long)rows);
    return QVL_OK;
}

/* ---- entries, in the order of ops.h ---- */

static inline enum qvl_status qvl_linear_check(const struct qvl_linear_args *args, struct qvl_error *error)
{
    const enum qvl_dtype dtype = args->x.dtype;
    QVL_TRY(qvl_check_matrix("linear.x", &args->x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_pointer("linear.weight", args->weight, error));
    QVL_TRY(qvl_check_out_matrix("linear.y", &args->y, dtype, args->x.shape[0], QVL_CHECK_ANY, error));
    if (args->bias)
        QVL_TRY(qvl_check_vector("linear.bias", args->bias, dtype, args->y.shape[1], error));
    return qvl_check_alias("linear.y", &args->y, &args->x, false, error);
}

static inline enum qvl_status qvl_patch_embed_check(const struct qvl_patch_embed_args *args,
                                                    struct qvl_error *error)
{
    QVL_TRY(qvl_check_matrix("patch_embed.x", &args->x, QVL_F32, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_pointer("patch_embed.weight", args->weight, error));
    QVL_TRY(qvl_check_out_matrix("patch_embed.y", &args->y, QVL_CHECK_STORAGE, args->x.shape[0],
                                 QVL_CHECK_ANY, error));
    if (args->bias)
        QVL_TRY(qvl_check_vector("patch_embed.bias", args->bias, args->y.dtype, args->y.shape[1], error));
    return qvl_check_alias("patch_embed.y", &args->y, &args->x, false, error);
}

static inline enum qvl_status qvl_pos_interp_check(const struct qvl_pos_interp_args *args,
                                                   struct qvl_error *error)
{
    const struct qvl_tensor *table = &args->table;
    QVL_TRY(
        qvl_check_matrix("pos_interp.table", table, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_range("pos_interp.table: shape[0]", table->shape[0], 1, INT64_C(1) << 40, error));
    if (!qvl_tensor_is_contiguous(table))
        return qvl_fail(error, QVL_USAGE, "pos_interp.table: is not contiguous");
    QVL_TRY(
        qvl_check_out_matrix("pos_interp.y", &args->y, table->dtype, QVL_CHECK_ANY, table->shape[1], error));
    QVL_TRY(qvl_check_grids("pos_interp.grids", args->grids, args->grid_count, args->merge, args->y.shape[0],
                            error));
    QVL_TRY(qvl_check_range("pos_interp.rounding", args->rounding, 0, QVL_POS_ROUND_ONCE, error));
    return qvl_check_alias("pos_interp.y", &args->y, table, false, error);
}

static inline enum qvl_status qvl_rms_norm_check(const struct qvl_rms_norm_args *args,
                                                 struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    QVL_TRY(qvl_check_input("rms_norm.x", x, QVL_CHECK_STORAGE, x->rank == 3 ? 3 : 2, any, error));
    QVL_TRY(qvl_check_vector("rms_norm.weight", &args->weight, x->dtype, x->shape[x->rank - 1], error));
    if (!(args->eps >= 0))
        return qvl_fail(error, QVL_USAGE, "rms_norm.eps: is %g, expected 0 or more", args->eps);
    QVL_TRY(qvl_check_output("rms_norm.y", &args->y, x->dtype, x->rank, x->shape, error));
    return qvl_check_alias("rms_norm.y", &args->y, x, true, error);
}

static inline enum qvl_status qvl_layer_norm_check(const struct qvl_layer_norm_args *args,
                                                   struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    QVL_TRY(qvl_check_matrix("layer_norm.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_vector("layer_norm.weight", &args->weight, x->dtype, x->shape[1], error));
    QVL_TRY(qvl_check_vector("layer_norm.bias", &args->bias, x->dtype, x->shape[1], error));
    if (!(args->eps >= 0))
        return qvl_fail(error, QVL_USAGE, "layer_norm.eps: is %g, expected 0 or more", args->eps);
    QVL_TRY(qvl_check_out_matrix("layer_norm.y", &args->y, x->dtype, x->shape[0], x->shape[1], error));
    return qvl_check_alias("layer_norm.y", &args->y, x, true, error);
}

static inline enum qvl_status qvl_gelu_check(const struct qvl_gelu_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    QVL_TRY(qvl_check_matrix("gelu.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_range("gelu.form", args->form, 0, QVL_GELU_ERF, error));
    QVL_TRY(qvl_check_out_matrix("gelu.y", &args->y, x->dtype, x->shape[0], x->shape[1], error));
    return qvl_check_alias("gelu.y", &args->y, x, true, error);
}

static inline enum qvl_status qvl_swiglu_check(const struct qvl_swiglu_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *gate = &args->gate;
    QVL_TRY(qvl_check_matrix("swiglu.gate", gate, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_matrix("swiglu.up", &args->up, gate->dtype, gate->shape[0], gate->shape[1], error));
    QVL_TRY(qvl_check_out_matrix("swiglu.y", &args->y, gate->dtype, gate->shape[0], gate->shape[1], error));
    QVL_TRY(qvl_check_alias("swiglu.y", &args->y, gate, true, error));
    return qvl_check_alias("swiglu.y", &args->y, &args->up, true, error);
}

static inline enum qvl_status qvl_add_check(const struct qvl_add_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *a = &args->a;
    QVL_TRY(qvl_check_matrix("add.a", a, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_matrix("add.b", &args->b, a->dtype, a->shape[0], a->shape[1], error));
    QVL_TRY(qvl_check_out_matrix("add.y", &args->y, a->dtype, a->shape[0], a->shape[1], error));
    QVL_TRY(qvl_check_alias("add.y", &args->y, a, true, error));
    return qvl_check_alias("add.y", &args->y, &args->b, true, error);
}

static inline enum qvl_status qvl_embed_check(const struct qvl_embed_args *args, struct qvl_error *error)
{
    QVL_TRY(
        qvl_check_out_matrix("embed.y", &args->y, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_pointer("embed.table", args->table, error));
    return args->y.shape[0] > 0 ? qvl_check_pointer("embed.ids", args->ids, error) : QVL_OK;
}

/* `rows` has `count` entries, each a row of `y`. */
static inline enum qvl_status qvl_check_row_list(const char *where, const int64_t *rows, int64_t count,
                                                 int64_t limit, struct qvl_error *error)
{
    if (count > 0)
        QVL_TRY(qvl_check_pointer(where, rows, error));
    for (int64_t i = 0; i < count; i++)
        if (rows[i] < 0 || rows[i] >= limit)
            return qvl_fail(error, QVL_USAGE, "%s[%lld]: is %lld, expected 0 to %lld", where, (long long)i,
                            (long long)rows[i], (long long)limit - 1);
    return QVL_OK;
}

static inline enum qvl_status qvl_scatter_rows_check(const struct qvl_scatter_rows_args *args,
                                                     struct qvl_error *error)
{
    const struct qvl_tensor *y = &args->y;
    QVL_TRY(
        qvl_check_out_matrix("scatter_rows.y", y, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_matrix("scatter_rows.src", &args->src, y->dtype, QVL_CHECK_ANY, y->shape[1], error));
    QVL_TRY(qvl_check_row_list("scatter_rows.rows", args->rows, args->src.shape[0], y->shape[0], error));
    return qvl_check_alias("scatter_rows.y", y, &args->src, false, error);
}

static inline enum qvl_status qvl_add_rows_check(const struct qvl_add_rows_args *args,
                                                 struct qvl_error *error)
{
    const struct qvl_tensor *y = &args->y;
    QVL_TRY(qvl_check_out_matrix("add_rows.y", y, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_matrix("add_rows.src", &args->src, y->dtype, QVL_CHECK_ANY, y->shape[1], error));
    QVL_TRY(qvl_check_row_list("add_rows.rows", args->rows, args->src.shape[0], y->shape[0], error));
    return qvl_check_alias("add_rows.y", y, &args->src, false, error);
}

static inline enum qvl_status qvl_rope_scaling_check(const struct qvl_rope_scaling *scaling,
                                                     struct qvl_error *error)
{
    if (!scaling->yarn)
        return QVL_OK;
    QVL_TRY(qvl_check_above("mrope_table.scaling.factor", scaling->factor, 0, error));
    QVL_TRY(qvl_check_above("mrope_table.scaling.original_max_positions", scaling->original_max_positions, 0,
                            error));
    QVL_TRY(qvl_check_above("mrope_table.scaling.beta_fast", scaling->beta_fast, 0, error));
    return qvl_check_above("mrope_table.scaling.beta_slow", scaling->beta_slow, 0, error);
}

static inline enum qvl_status qvl_mrope_table_check(const struct qvl_mrope_table_args *args,
                                                    struct qvl_error *error)
{
    const struct qvl_tensor *cosine = &args->cos;
    const int64_t *section = args->section;
    const int64_t half = args->head_dim / 2;
    QVL_TRY(qvl_check_range("mrope_table.head_dim", args->head_dim, 2, 1 << 16, error));
    QVL_TRY(qvl_check_range("mrope_table.head_dim: remainder by 2", args->head_dim % 2, 0, 0, error));
    QVL_TRY(qvl_check_out_matrix("mrope_table.cos", cosine, QVL_CHECK_STORAGE, QVL_CHECK_ANY, half, error));
    QVL_TRY(
        qvl_check_out_matrix("mrope_table.sin", &args->sin, cosine->dtype, cosine->shape[0], half, error));
    QVL_TRY(qvl_check_alias("mrope_table.sin", &args->sin, cosine, false, error));
    if (cosine->shape[0] > 0)
        QVL_TRY(qvl_check_pointer("mrope_table.positions", args->positions, error));
    QVL_TRY(qvl_check_range("mrope_table.positions_stride", args->positions_stride, cosine->shape[0],
                            INT64_MAX, error));
    QVL_TRY(qvl_check_above("mrope_table.theta", args->theta, 0, error));
    QVL_TRY(qvl_rope_scaling_check(&args->scaling, error));
    for (int axis = 0; axis < 3; axis++)
        QVL_TRY(qvl_check_range("mrope_table.section", section[axis], 0, 1 << 16, error));
    QVL_TRY(qvl_check_range("mrope_table.layout", args->layout, 0, QVL_MROPE_CHUNKED, error));
    QVL_TRY(qvl_check_range("mrope_table.precision", args->precision, 0, QVL_ANGLE_F64, error));
    if (args->layout == QVL_MROPE_CHUNKED)
        QVL_TRY(qvl_check_range("mrope_table.section: sum of the chunks",
                                section[0] + section[1] + section[2], half, half, error));
    return QVL_OK;
}

static inline enum qvl_status qvl_vision_rope_table_check(const struct qvl_vision_rope_table_args *args,
                                                          struct qvl_error *error)
{
    const struct qvl_tensor *cosine = &args->cos;
    QVL_TRY(qvl_check_range("vision_rope_table.head_dim", args->head_dim, 4, 1 << 16, error));
    QVL_TRY(qvl_check_range("vision_rope_table.head_dim: remainder by 4", args->head_dim % 4, 0, 0, error));
    QVL_TRY(qvl_check_out_matrix("vision_rope_table.cos", cosine, QVL_F32, QVL_CHECK_ANY, args->head_dim / 2,
                                 error));
    QVL_TRY(qvl_check_out_matrix("vision_rope_table.sin", &args->sin, QVL_F32, cosine->shape[0],
                                 args->head_dim / 2, error));
    QVL_TRY(qvl_check_alias("vision_rope_table.sin", &args->sin, cosine, false, error));
    QVL_TRY(qvl_check_above("vision_rope_table.theta", args->theta, 0, error));
    return qvl_check_grids("vision_rope_table.grids", args->grids, args->grid_count, args->merge,
                           cosine->shape[0], error);
}

static inline enum qvl_status qvl_rope_check(const struct qvl_rope_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    enum qvl_dtype table;
    QVL_TRY(qvl_check_input("rope.x", x, QVL_CHECK_STORAGE, 3, any, error));
    QVL_TRY(qvl_check_range("rope.x: remainder of shape[2] by 2", x->shape[2] % 2, 0, 0, error));
    QVL_TRY(qvl_check_range("rope.rounding", args->rounding, 0, QVL_ROPE_ROUND_ONCE, error));
    table = args->rounding == QVL_ROPE_ROUND_EACH ? x->dtype : QVL_F32;
    QVL_TRY(qvl_check_matrix("rope.cos", &args->cos, table, x->shape[0], x->shape[2] / 2, error));
    QVL_TRY(qvl_check_matrix("rope.sin", &args->sin, table, x->shape[0], x->shape[2] / 2, error));
    QVL_TRY(qvl_check_output("rope.y", &args->y, x->dtype, 3, x->shape, error));
    return qvl_check_alias("rope.y", &args->y, x, true, error);
}

static inline enum qvl_status qvl_vision_attention_check(const struct qvl_vision_attention_args *args,
                                                         struct qvl_error *error)
{
    const struct qvl_tensor *q = &args->q;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    QVL_TRY(qvl_check_input("vision_attention.q", q, QVL_CHECK_STORAGE, 3, any, error));
    QVL_TRY(qvl_check_input("vision_attention.k", &args->k, q->dtype, 3, q->shape, error));
    QVL_TRY(qvl_check_input("vision_attention.v", &args->v, q->dtype, 3, q->shape, error));
    QVL_TRY(qvl_check_output("vision_attention.y", &args->y, q->dtype, 3, q->shape, error));
    QVL_TRY(qvl_check_alias("vision_attention.y", &args->y, q, false, error));
    QVL_TRY(qvl_check_alias("vision_attention.y", &args->y, &args->k, false, error));
    QVL_TRY(qvl_check_alias("vision_attention.y", &args->y, &args->v, false, error));
    QVL_TRY(qvl_check_range("vision_attention.segment_count", args->segment_count, 0, INT64_MAX, error));
    QVL_TRY(qvl_check_pointer("vision_attention.segment_starts", args->segment_starts, error));
    QVL_TRY(qvl_check_range("vision_attention.segment_starts[0]", args->segment_starts[0], 0, 0, error));
    for (int64_t s = 0; s < args->segment_count; s++)
        QVL_TRY(qvl_check_range("vision_attention.segment_starts", args->segment_starts[s + 1],
                                args->segment_starts[s], q->shape[0], error));
    return qvl_check_range("vision_attention.segment_starts: the last",
                           args->segment_starts[args->segment_count], q->shape[0], q->shape[0], error);
}

/* Segments lie inside the batch and have a cache. */
static inline enum qvl_status qvl_check_segments(const char *where, const struct qvl_segment *segments,
                                                 int64_t count, int64_t rows, struct qvl_error *error)
{
    if (count < 0 || (count > 0 && !segments))
        return qvl_fail(error, QVL_USAGE, "%s: %lld segments at %p", where, (long long)count,
                        (const void *)segments);
    for (int64_t s = 0; s < count; s++) {
        const struct qvl_segment *segment = &segments[s];
        if (!segment->cache)
            return qvl_fail(error, QVL_USAGE, "%s[%lld].cache: is NULL", where, (long long)s);
        if (segment->first < 0 || segment->count < 0 || segment->first > rows - segment->count)
            return qvl_fail(error, QVL_USAGE, "%s[%lld]: rows %lld + %lld exceed the %lld of the batch",
                            where, (long long)s, (long long)segment->first, (long long)segment->count,
                            (long long)rows);
    }
    return QVL_OK;
}

static inline enum qvl_status qvl_cache_append_check(const struct qvl_cache_append_args *args,
                                                     struct qvl_error *error)
{
    const struct qvl_tensor *k = &args->k;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    QVL_TRY(qvl_check_range("cache_append.layer", args->layer, 0, INT64_MAX, error));
    QVL_TRY(qvl_check_input("cache_append.k", k, QVL_CHECK_STORAGE, 3, any, error));
    QVL_TRY(qvl_check_input("cache_append.v", &args->v, k->dtype, 3, k->shape, error));
    return qvl_check_segments("cache_append.segments", args->segments, args->segment_count, k->shape[0],
                              error);
}

static inline enum qvl_status qvl_attention_check(const struct qvl_attention_args *args,
                                                  struct qvl_error *error)
{
    const struct qvl_tensor *q = &args->q;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    QVL_TRY(qvl_check_range("attention.layer", args->layer, 0, INT64_MAX, error));
    QVL_TRY(qvl_check_input("attention.q", q, QVL_CHECK_STORAGE, 3, any, error));
    QVL_TRY(qvl_check_output("attention.y", &args->y, q->dtype, 3, q->shape, error));
    QVL_TRY(qvl_check_alias("attention.y", &args->y, q, false, error));
    return qvl_check_segments("attention.segments", args->segments, args->segment_count, q->shape[0], error);
}

static inline enum qvl_status qvl_moe_route_check(const struct qvl_moe_route_args *args,
                                                  struct qvl_error *error)
{
    const struct qvl_tensor *logits = &args->logits;
    QVL_TRY(
        qvl_check_matrix("moe_route.logits", logits, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_range("moe_route.top_k", args->top_k, 1, logits->shape[1], error));
    QVL_TRY(qvl_check_out_matrix("moe_route.chosen", &args->chosen, QVL_I32, logits->shape[0], args->top_k,
                                 error));
    return qvl_check_out_matrix("moe_route.weights", &args->weights, logits->dtype, logits->shape[0],
                                args->top_k, error);
}

static inline enum qvl_status qvl_moe_experts_check(const struct qvl_moe_experts_args *args,
                                                    struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    const int64_t shape[3] = {x->shape[0], args->chosen.shape[1], x->shape[1]};
    QVL_TRY(qvl_check_matrix("moe_experts.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(
        qvl_check_matrix("moe_experts.chosen", &args->chosen, QVL_I32, x->shape[0], QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_pointer("moe_experts.gate_up", args->gate_up, error));
    QVL_TRY(qvl_check_pointer("moe_experts.down", args->down, error));
    QVL_TRY(qvl_check_output("moe_experts.y", &args->y, x->dtype, 3, shape, error));
    return qvl_check_alias("moe_experts.y", &args->y, x, false, error);
}

static inline enum qvl_status qvl_moe_combine_check(const struct qvl_moe_combine_args *args,
                                                    struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    const int64_t any[3] = {QVL_CHECK_ANY, QVL_CHECK_ANY, QVL_CHECK_ANY};
    QVL_TRY(qvl_check_input("moe_combine.x", x, QVL_CHECK_STORAGE, 3, any, error));
    QVL_TRY(
        qvl_check_matrix("moe_combine.weights", &args->weights, x->dtype, x->shape[0], x->shape[1], error));
    QVL_TRY(qvl_check_out_matrix("moe_combine.y", &args->y, x->dtype, x->shape[0], x->shape[2], error));
    return qvl_check_alias("moe_combine.y", &args->y, x, false, error);
}

static inline enum qvl_status qvl_merger_check(const struct qvl_merger_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    int64_t norm_dim;
    QVL_TRY(qvl_check_matrix("merger.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    if (!qvl_tensor_is_contiguous(x))
        return qvl_fail(error, QVL_USAGE, "merger.x: is not contiguous");
    QVL_TRY(qvl_check_range("merger.group", args->group, 1, 1 << 16, error));
    QVL_TRY(
        qvl_check_range("merger.x: remainder of shape[0] by group", x->shape[0] % args->group, 0, 0, error));
    QVL_TRY(qvl_check_range("merger.norm", args->norm, 0, QVL_MERGER_NORM_GROUP, error));
    norm_dim = args->norm == QVL_MERGER_NORM_GROUP ? args->group * x->shape[1] : x->shape[1];
    QVL_TRY(qvl_check_vector("merger.norm_weight", &args->norm_weight, x->dtype, norm_dim, error));
    QVL_TRY(qvl_check_vector("merger.norm_bias", &args->norm_bias, x->dtype, norm_dim, error));
    if (!(args->eps >= 0))
        return qvl_fail(error, QVL_USAGE, "merger.eps: is %g, expected 0 or more", args->eps);
    QVL_TRY(qvl_check_pointer("merger.fc1", args->fc1, error));
    QVL_TRY(qvl_check_pointer("merger.fc2", args->fc2, error));
    QVL_TRY(qvl_check_vector("merger.fc1_bias", &args->fc1_bias, x->dtype, args->group * x->shape[1], error));
    QVL_TRY(qvl_check_out_matrix("merger.y", &args->y, x->dtype, x->shape[0] / args->group, QVL_CHECK_ANY,
                                 error));
    QVL_TRY(qvl_check_vector("merger.fc2_bias", &args->fc2_bias, x->dtype, args->y.shape[1], error));
    return qvl_check_alias("merger.y", &args->y, x, false, error);
}

static inline enum qvl_status qvl_output_head_check(const struct qvl_output_head_args *args,
                                                    struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    QVL_TRY(qvl_check_matrix("output_head.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    if (!qvl_tensor_is_contiguous(x))
        return qvl_fail(error, QVL_USAGE, "output_head.x: is not contiguous");
    QVL_TRY(qvl_check_pointer("output_head.weight", args->weight, error));
    QVL_TRY(qvl_check_out_matrix("output_head.y", &args->y, x->dtype,
                                 args->rows ? QVL_CHECK_ANY : x->shape[0], QVL_CHECK_ANY, error));
    if (args->rows)
        QVL_TRY(qvl_check_row_list("output_head.rows", args->rows, args->y.shape[0], x->shape[0], error));
    return qvl_check_alias("output_head.y", &args->y, x, false, error);
}

static inline enum qvl_status qvl_softmax_check(const struct qvl_softmax_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *x = &args->x;
    QVL_TRY(qvl_check_matrix("softmax.x", x, QVL_CHECK_STORAGE, QVL_CHECK_ANY, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_out_matrix("softmax.y", &args->y, x->dtype, x->shape[0], x->shape[1], error));
    return qvl_check_alias("softmax.y", &args->y, x, true, error);
}

static inline enum qvl_status qvl_sample_check(const struct qvl_sample_args *args, struct qvl_error *error)
{
    const struct qvl_tensor *logits = &args->logits;
    QVL_TRY(qvl_check_vector("sample.logits", logits, QVL_F32, QVL_CHECK_ANY, error));
    QVL_TRY(qvl_check_range("sample.logits: shape[0]", logits->shape[0], 1, INT64_MAX, error));
    QVL_TRY(qvl_check_range("sample.prompt_count", args->prompt_count, 0, INT64_MAX, error));
    QVL_TRY(qvl_check_range("sample.output_count", args->output_count, 0, INT64_MAX, error));
    QVL_TRY(qvl_check_row_list("sample.prompt", args->prompt, args->prompt_count, logits->shape[0], error));
    QVL_TRY(qvl_check_row_list("sample.output", args->output, args->output_count, logits->shape[0], error));
    QVL_TRY(qvl_check_pointer("sample.token", args->token, error));
    QVL_TRY(qvl_check_above("sample.repetition_penalty", args->repetition_penalty, 0, error));
    if (!isfinite(args->presence_penalty))
        return qvl_fail(error, QVL_USAGE, "sample.presence_penalty: is not finite");
    if (args->greedy)
        return QVL_OK;
    QVL_TRY(qvl_check_above("sample.temperature", args->temperature, 0, error));
    QVL_TRY(qvl_check_range("sample.top_k", args->top_k, 0, INT64_MAX, error));
    if (!(args->top_p > 0 && args->top_p <= 1))
        return qvl_fail(error, QVL_USAGE, "sample.top_p: is %g, expected above 0, at most 1", args->top_p);
    if (!(args->uniform >= 0 && args->uniform < 1))
        return qvl_fail(error, QVL_USAGE, "sample.uniform: is %g, expected 0 or more, below 1",
                        args->uniform);
    return QVL_OK;
}

#endif
