/* Refusals of the entries that work row by row. */
#include "verify/refusal.h"

/* What every matrix operand may suffer. */
#define INPUT(name)                                                                                          \
    {"one row too few in " name, QVL_FAULT_ROWS, name, NULL, NULL, QVL_USAGE},                               \
        {"one column too few in " name, QVL_FAULT_WIDTH, name, NULL, NULL, QVL_USAGE},                       \
        {"bytes for " name, QVL_FAULT_TYPE, name, NULL, NULL, QVL_USAGE},                                    \
        {"another type for " name, QVL_FAULT_OTHER_TYPE, name, NULL, NULL, QVL_USAGE},                       \
        {"an axis too many in " name, QVL_FAULT_RANK, name, NULL, NULL, QVL_USAGE},                          \
        {"no memory for " name, QVL_FAULT_NULL, name, NULL, NULL, QVL_USAGE},                                \
    {                                                                                                        \
        "a negative stride in " name, QVL_FAULT_STRIDE, name, NULL, NULL, QVL_USAGE                          \
    }
#define OUTPUT(name)                                                                                         \
    INPUT(name),                                                                                             \
    {                                                                                                        \
        "rows of " name " overlap", QVL_FAULT_OVERLAP, name, NULL, NULL, QVL_USAGE                           \
    }
#define VECTOR(name)                                                                                         \
    {"one value too few in " name, QVL_FAULT_ROWS, name, NULL, NULL, QVL_USAGE},                             \
        {"another type for " name, QVL_FAULT_OTHER_TYPE, name, NULL, NULL, QVL_USAGE},                       \
    {                                                                                                        \
        "no memory for " name, QVL_FAULT_NULL, name, NULL, NULL, QVL_USAGE                                   \
    }
#define ARGUMENT(what, call, status)                                                                         \
    {                                                                                                        \
        what, QVL_FAULT_ARGUMENT, NULL, NULL, call, status                                                   \
    }
#define END                                                                                                  \
    {                                                                                                        \
        NULL, QVL_FAULT_ARGUMENT, NULL, NULL, NULL, QVL_OK                                                   \
    }

static enum qvl_status unknown_gelu(struct qvl_side *side, struct qvl_error *error)
{
    return side->backend->ops.gelu(side->backend,
                                   &(struct qvl_gelu_args){.x = qvl_refusal_view(side, "x"),
                                                           .form = (enum qvl_gelu_form)7,
                                                           .y = qvl_refusal_view(side, "y")},
                                   error);
}

static enum qvl_status norm_eps(struct qvl_side *side, double eps, struct qvl_error *error)
{
    return side->backend->ops.rms_norm(side->backend,
                                       &(struct qvl_rms_norm_args){.x = qvl_refusal_view(side, "x"),
                                                                   .weight = qvl_refusal_view(side, "weight"),
                                                                   .eps = eps,
                                                                   .y = qvl_refusal_view(side, "y")},
                                       error);
}

static enum qvl_status nan_eps(struct qvl_side *side, struct qvl_error *error)
{
    return norm_eps(side, NAN, error);
}

static enum qvl_status negative_eps(struct qvl_side *side, struct qvl_error *error)
{
    return norm_eps(side, -1e-6, error);
}

/* Lists of rows of which the last lies outside y, or below it. */
static enum qvl_status scatter(struct qvl_side *side, int64_t last, bool add, struct qvl_error *error)
{
    const int64_t rows[4] = {2, 0, 5, last};
    const struct qvl_tensor src = qvl_refusal_view(side, "src"), y = qvl_refusal_view(side, "y");
    if (add)
        return side->backend->ops.add_rows(
            side->backend, &(struct qvl_add_rows_args){.src = src, .rows = rows, .y = y}, error);
    return side->backend->ops.scatter_rows(
        side->backend, &(struct qvl_scatter_rows_args){.src = src, .rows = rows, .y = y}, error);
}

static enum qvl_status scatter_beyond(struct qvl_side *side, struct qvl_error *error)
{
    return scatter(side, 9, false, error);
}

static enum qvl_status scatter_below(struct qvl_side *side, struct qvl_error *error)
{
    return scatter(side, -1, false, error);
}

static enum qvl_status add_beyond(struct qvl_side *side, struct qvl_error *error)
{
    return scatter(side, 9, true, error);
}

static enum qvl_status add_below(struct qvl_side *side, struct qvl_error *error)
{
    return scatter(side, -1, true, error);
}

static enum qvl_status embed(struct qvl_side *side, int64_t id, struct qvl_error *error)
{
    const int64_t ids[5] = {0, 3, 10, id, 1};
    return side->backend->ops.embed(
        side->backend,
        &(struct qvl_embed_args){.ids = ids, .table = side->weights[0], .y = qvl_refusal_view(side, "y")},
        error);
}

static enum qvl_status id_beyond(struct qvl_side *side, struct qvl_error *error)
{
    return embed(side, 11, error);
}

static enum qvl_status id_below(struct qvl_side *side, struct qvl_error *error)
{
    return embed(side, -1, error);
}

static enum qvl_status id_far_beyond(struct qvl_side *side, struct qvl_error *error)
{
    return embed(side, INT64_C(1) << 32, error); /* 0 in its low half */
}

static const struct qvl_wrong_call calls_rms_norm[] = {
    OUTPUT("y"), VECTOR("weight"), ARGUMENT("an eps of NaN", nan_eps, QVL_USAGE),
    ARGUMENT("a negative eps", negative_eps, QVL_USAGE), END};
static const struct qvl_wrong_call calls_layer_norm[] = {OUTPUT("y"), VECTOR("weight"), VECTOR("bias"), END};
static const struct qvl_wrong_call calls_gelu[] = {
    OUTPUT("y"), INPUT("x"), ARGUMENT("an unknown form of GELU", unknown_gelu, QVL_USAGE), END};
static const struct qvl_wrong_call calls_swiglu[] = {OUTPUT("y"), INPUT("up"), END};
static const struct qvl_wrong_call calls_add[] = {OUTPUT("y"), INPUT("b"), END};
static const struct qvl_wrong_call calls_softmax[] = {OUTPUT("y"), INPUT("x"), END};
static const struct qvl_wrong_call calls_scatter_rows[] = {
    {"one column too few in src", QVL_FAULT_WIDTH, "src", NULL, NULL, QVL_USAGE},
    {"another type for src", QVL_FAULT_OTHER_TYPE, "src", NULL, NULL, QVL_USAGE},
    {"y starts where src does", QVL_FAULT_ALIAS, "y", "src", NULL, QVL_USAGE},
    ARGUMENT("a row beyond y", scatter_beyond, QVL_USAGE),
    ARGUMENT("a row below 0", scatter_below, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_add_rows[] = {
    {"one column too few in src", QVL_FAULT_WIDTH, "src", NULL, NULL, QVL_USAGE},
    {"another type for src", QVL_FAULT_OTHER_TYPE, "src", NULL, NULL, QVL_USAGE},
    {"y starts where src does", QVL_FAULT_ALIAS, "y", "src", NULL, QVL_USAGE},
    ARGUMENT("a row beyond y", add_beyond, QVL_USAGE),
    ARGUMENT("a row below 0", add_below, QVL_USAGE),
    END};
static const struct qvl_wrong_call calls_embed[] = {
    {"no table", QVL_FAULT_NO_WEIGHT, "table", NULL, NULL, QVL_USAGE},
    {"one column too few in y", QVL_FAULT_WIDTH, "y", NULL, NULL, QVL_USAGE},
    {"no memory for y", QVL_FAULT_NULL, "y", NULL, NULL, QVL_USAGE},
    ARGUMENT("an id behind the table", id_beyond, QVL_BAD_INPUT),
    ARGUMENT("an id of -1", id_below, QVL_BAD_INPUT),
    ARGUMENT("an id of 2^32", id_far_beyond, QVL_BAD_INPUT),
    END};

QVL_REFUSAL(rms_norm, "rms_norm rows=3 heads=0 dim=37 pad=0 inplace=0",
            "refuse_rms_norm call=0,1,2,3,4,5,6,7,8,9,10,11,12 dtype=f32,bf16")
QVL_REFUSAL(layer_norm, "layer_norm rows=3 dim=37 pad=0 inplace=0",
            "refuse_layer_norm call=0,1,2,3,4,5,6,7,8,9,10,11,12,13 dtype=f32,bf16")
QVL_REFUSAL(gelu, "gelu rows=3 dim=37 erf=1 pad=0 inplace=0",
            "refuse_gelu call=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 dtype=f32,bf16")
QVL_REFUSAL(swiglu, "swiglu rows=3 dim=37 pad=0 inplace=0",
            "refuse_swiglu call=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14 dtype=f32,bf16")
QVL_REFUSAL(add, "add rows=3 dim=37 pad=0 inplace=0",
            "refuse_add call=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14 dtype=f32,bf16")
QVL_REFUSAL(softmax, "softmax rows=3 dim=37 pad=0 inplace=0",
            "refuse_softmax call=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14 dtype=f32,bf16")
QVL_REFUSAL(scatter_rows, "scatter_rows rows=9 src=4 dim=13",
            "refuse_scatter_rows call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(add_rows, "add_rows rows=9 src=4 dim=13", "refuse_add_rows call=0,1,2,3,4 dtype=f32,bf16")
QVL_REFUSAL(embed, "embed rows=5 vocab=11 dim=37", "refuse_embed call=0,1,2,3,4,5 dtype=f32,bf16")
