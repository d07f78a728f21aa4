/* Entries whose output rows each come from few input rows: the reference computes one again. */
#include <stdlib.h>

#include "qvl/rounding.h"
#include "verify/spot_parts.h"

/* Of the squared values of a row. Honest kernels were seen below 1e-5 in every entry; an input, a weight row
 * or a tenth of a sum left out is beyond. Residual sums and norms change little where work is left out. */
#define LIMIT 1e-2
#define LIMIT_ELEMENTWISE 1e-4

/* What an argument is, and what takes its place for the reference. */
enum kind { ROWS, ALL, WEIGHT, BIAS };
struct operand {
    enum kind kind;
    union {
        struct qvl_tensor *tensor;        /* ROWS: those the output row comes from; ALL: every element */
        const struct qvl_tensor **bias;   /* may point to NULL */
        const struct qvl_weight **weight; /* the candidate's, then the reference's */
    } of;
};

static enum qvl_status take_weight(struct qvl_spot *spot, const struct qvl_weight **weight,
                                   struct qvl_error *error)
{
    struct qvl_backend *reference = qvl_spot_current->reference;
    const struct qvl_spot_handle *found;
    struct qvl_weight **made = &spot->weights[spot->weight_count];
    QVL_TRY(qvl_spot_find(*weight, &found, error));
    if (!spot->weight_name)
        spot->weight_name = found->name;
    QVL_TRY(reference->weight_prepare(reference, &found->weight, made, error));
    spot->weight_count++;
    *weight = *made;
    return QVL_OK;
}

static enum qvl_status take(struct qvl_spot *spot, const struct operand *operand, struct qvl_error *error)
{
    struct qvl_tensor from;
    switch (operand->kind) {
    case ROWS:
        from = *operand->of.tensor;
        return qvl_spot_rows(spot, &from, spot->first, spot->count, operand->of.tensor, error);
    case ALL:
        from = *operand->of.tensor;
        return qvl_spot_rows(spot, &from, 0, from.shape[0], operand->of.tensor, error);
    case WEIGHT: return take_weight(spot, operand->of.weight, error);
    case BIAS:
        if (!*operand->of.bias)
            return QVL_OK;
        from = **operand->of.bias;
        *operand->of.bias = &spot->bias;
        return qvl_spot_rows(spot, &from, 0, from.shape[0], &spot->bias, error);
    }
    return QVL_OK;
}

/* Inputs as they are before the call, which may be in place, and room for the reference's output row. */
static enum qvl_status take_all(struct qvl_spot *spot, const struct operand *operands, size_t count,
                                struct qvl_tensor *output, struct qvl_error *error)
{
    struct qvl_backend *candidate = qvl_spot_current->candidate;
    struct qvl_tensor row = qvl_tensor_rows(*output, 0, 1);
    void *data;
    QVL_TRY(candidate->sync(candidate, error));
    for (size_t i = 0; i < count; i++)
        QVL_TRY(take(spot, &operands[i], error));
    QVL_TRY(qvl_spot_buffer(spot, (size_t)qvl_tensor_count(&row) * qvl_dtype_bytes(row.dtype), &data, error));
    *output = qvl_tensor_make(data, row.dtype, row.rank, row.shape);
    return QVL_OK;
}

static enum qvl_status receive(struct qvl_spot *spot, const struct qvl_tensor *output, struct qvl_tensor *got,
                               struct qvl_error *error)
{
    struct qvl_backend *candidate = qvl_spot_current->candidate;
    QVL_TRY(candidate->sync(candidate, error));
    return qvl_spot_rows(spot, output, spot->row, 1, got, error);
}

#define TENSOR_ROWS(field)                                                                                   \
    {                                                                                                        \
        ROWS,                                                                                                \
        {                                                                                                    \
            .tensor = &again.field                                                                           \
        }                                                                                                    \
    }
#define TENSOR(field)                                                                                        \
    {                                                                                                        \
        ALL,                                                                                                 \
        {                                                                                                    \
            .tensor = &again.field                                                                           \
        }                                                                                                    \
    }
#define PREPARED(field)                                                                                      \
    {                                                                                                        \
        WEIGHT,                                                                                              \
        {                                                                                                    \
            .weight = &again.field                                                                           \
        }                                                                                                    \
    }
#define OPTIONAL(field)                                                                                      \
    {                                                                                                        \
        BIAS,                                                                                                \
        {                                                                                                    \
            .bias = &again.field                                                                             \
        }                                                                                                    \
    }

/* `select` says which input rows an output row comes from, where it is not that of the same number. */
#define LOOK(name, once, limit, select, ...)                                                                 \
    static enum qvl_status look_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args,    \
                                       struct qvl_error *error)                                              \
    {                                                                                                        \
        struct qvl_spot_check *check = qvl_spot_current;                                                     \
        struct qvl_##name##_args again = *args;                                                              \
        struct qvl_spot spot = {.entry = #name, .single = (once)};                                           \
        struct qvl_tensor got;                                                                               \
        if (!qvl_spot_chosen(&spot, args->y.shape[0]))                                                       \
            return check->honest.ops.name(backend, args, error);                                             \
        select;                                                                                              \
        const struct operand operands[] = {__VA_ARGS__};                                                     \
        enum qvl_status status =                                                                             \
            take_all(&spot, operands, sizeof operands / sizeof *operands, &again.y, error);                  \
        if (status == QVL_OK)                                                                                \
            status = check->honest.ops.name(backend, args, error);                                           \
        if (status == QVL_OK)                                                                                \
            status = receive(&spot, &args->y, &got, error);                                                  \
        if (status == QVL_OK)                                                                                \
            status = check->reference->ops.name(check->reference, &again, error);                            \
        if (status == QVL_OK)                                                                                \
            status = qvl_spot_judge_tensors(&spot, &got, &again.y, limit, error);                            \
        qvl_spot_close(&spot);                                                                               \
        return status;                                                                                       \
    }

#define SAME_ROW (void)0

LOOK(patch_embed, true, LIMIT, SAME_ROW, TENSOR_ROWS(x), PREPARED(weight), OPTIONAL(bias))
LOOK(linear, false, LIMIT, SAME_ROW, TENSOR_ROWS(x), PREPARED(weight), OPTIONAL(bias))
LOOK(merger, true, LIMIT, (spot.first = spot.row * args->group, spot.count = args->group), TENSOR_ROWS(x),
     TENSOR(norm_weight), TENSOR(norm_bias), PREPARED(fc1), TENSOR(fc1_bias), PREPARED(fc2), TENSOR(fc2_bias))
LOOK(moe_experts, false, LIMIT, SAME_ROW, TENSOR_ROWS(x), TENSOR_ROWS(chosen), PREPARED(gate_up),
     PREPARED(down))
LOOK(output_head, true, LIMIT, (spot.first = args->rows ? args->rows[spot.row] : spot.row, again.rows = NULL),
     TENSOR_ROWS(x), PREPARED(weight))
LOOK(embed, true, LIMIT_ELEMENTWISE, again.ids = &args->ids[spot.row], PREPARED(table))
LOOK(layer_norm, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(x), TENSOR(weight), TENSOR(bias))
LOOK(rms_norm, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(x), TENSOR(weight))
LOOK(gelu, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(x))
LOOK(swiglu, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(gate), TENSOR_ROWS(up))
LOOK(rope, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(x), TENSOR_ROWS(cos), TENSOR_ROWS(sin))
LOOK(add, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(a), TENSOR_ROWS(b))
LOOK(moe_combine, false, LIMIT_ELEMENTWISE, SAME_ROW, TENSOR_ROWS(x), TENSOR_ROWS(weights))

void qvl_spot_watch_rows(struct qvl_ops *ops)
{
#define WATCH(name)                                                                                          \
    if (ops->name)                                                                                           \
        ops->name = look_##name;
    WATCH(patch_embed)
    WATCH(linear)
    WATCH(merger)
    WATCH(moe_experts)
    WATCH(output_head)
    WATCH(embed)
    WATCH(layer_norm)
    WATCH(rms_norm)
    WATCH(gelu)
    WATCH(swiglu)
    WATCH(rope)
    WATCH(add)
    WATCH(moe_combine)
#undef WATCH
}
