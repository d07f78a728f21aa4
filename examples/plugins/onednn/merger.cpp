// merger, a fused entry, of its parts: the same rounding points, so that nothing but the calls is saved.
#include "onednn.hpp"

static enum qvl_status norm(struct qvl_backend *backend, const struct qvl_merger_args *args,
                            const struct qvl_tensor &grouped, struct qvl_error *error)
{
    const int64_t width = args->norm_weight.shape[0], rows = args->x.shape[0] * args->x.shape[1] / width;
    struct qvl_layer_norm_args part = {};
    part.x = qvl_tensor_2d(args->x.data, args->x.dtype, rows, width); // both norms see contiguous memory
    part.weight = args->norm_weight;
    part.bias = args->norm_bias;
    part.eps = args->eps;
    part.y = qvl_tensor_2d(grouped.data, grouped.dtype, rows, width);
    return onednn_layer_norm(backend, &part, error);
}

static enum qvl_status layer(struct qvl_backend *backend, const struct qvl_tensor &x,
                             const struct qvl_weight *weight, const struct qvl_tensor &bias,
                             const struct qvl_tensor &y, struct qvl_error *error)
{
    struct qvl_linear_args part = {};
    part.x = x;
    part.weight = weight;
    part.bias = &bias;
    part.y = y;
    return onednn_linear(backend, &part, error);
}

enum qvl_status onednn_merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                              struct qvl_error *error)
{
    QVL_TRY(qvl_merger_check(args, error));
    QVL_TRY(onednn_no_cond("merger", args->cond, error));
    const int64_t tokens = args->y.shape[0], width = args->group * args->x.shape[1];
    return onednn_guard("merger", error, [&] {
        std::vector<char> room[2];
        struct qvl_tensor grouped[2];
        for (int i = 0; i < 2; i++) {
            room[i].resize((size_t)(tokens * width) * qvl_dtype_bytes(args->x.dtype) + 1);
            grouped[i] = qvl_tensor_2d(room[i].data(), args->x.dtype, tokens, width);
        }
        struct qvl_gelu_args gelu = {};
        gelu.x = gelu.y = grouped[1];
        gelu.form = QVL_GELU_ERF;
        QVL_TRY(norm(backend, args, grouped[0], error));
        QVL_TRY(layer(backend, grouped[0], args->fc1, args->fc1_bias, grouped[1], error));
        QVL_TRY(onednn_gelu(backend, &gelu, error));
        return layer(backend, grouped[1], args->fc2, args->fc2_bias, args->y, error);
    });
}
