// Weights, and the entries that are one matrix product: dnnl::matmul with x [n, in], the weight as [in, out].
#include <unordered_map>

#include "onednn.hpp"

static enum qvl_status check_weight(const struct qvl_weight_desc *desc, struct qvl_error *error)
{
    const char *name = desc->name ? desc->name : "(unnamed)";
    if (!(desc->use & QVL_USE_LINEAR))
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "weight %s: only matrices of products, no embedding tables or experts", name);
    if (!desc->array.data || desc->array.rank != 2 || desc->array.shape[0] < 1 || desc->array.shape[1] < 1)
        return qvl_fail(error, QVL_USAGE, "weight %s: a matrix [out, in] is needed", name);
    if (!qvl_dtype_is_storage(desc->array.dtype) || !qvl_dtype_is_storage(desc->storage))
        return qvl_fail(error, QVL_USAGE, "weight %s: cannot keep %s as %s; use f32, bf16 or f16", name,
                        qvl_dtype_name(desc->array.dtype), qvl_dtype_name(desc->storage));
    return QVL_OK;
}

// Our own copy in storage type, row by row: a mapped checkpoint need not be aligned.
static void fill(const struct qvl_weight_desc *desc, char *to)
{
    const int64_t rows = desc->array.shape[0], width = desc->array.shape[1];
    const size_t from_bytes = (size_t)width * qvl_dtype_bytes(desc->array.dtype);
    const size_t to_bytes = (size_t)width * qvl_dtype_bytes(desc->storage);
    std::vector<double> row((size_t)width);
    for (int64_t i = 0; i < rows; i++) {
        const char *from = (const char *)desc->array.data + (size_t)i * from_bytes;
        if (desc->array.dtype == desc->storage) {
            memcpy(to + (size_t)i * to_bytes, from, to_bytes);
            continue;
        }
        qvl_load_row(from, desc->array.dtype, width, row.data());
        for (double &value : row)
            value = qvl_round_nearest(desc->storage, value);
        qvl_store_row(row.data(), desc->storage, width, to + (size_t)i * to_bytes);
    }
}

enum qvl_status onednn_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    *weight = NULL;
    QVL_TRY(check_weight(desc, error));
    return onednn_guard("weight_prepare", error, [&] {
        const int64_t out = desc->array.shape[0], in = desc->array.shape[1];
        const memory::desc plain({in, out}, onednn_type(desc->storage), memory::format_tag::ba);
        memory kept(plain, onednn.engine);
        fill(desc, static_cast<char *>(kept.get_data_handle()));
        *weight = new qvl_weight{out, in, desc->storage, desc->use, kept, {}};
        return QVL_OK;
    });
}

void onednn_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight)
{
    (void)backend;
    delete weight;
}

static enum qvl_status check_fit(const char *where, const struct qvl_weight *weight, int64_t in, int64_t out,
                                 enum qvl_dtype dtype, struct qvl_error *error)
{
    if (weight->in != in || weight->out != out)
        return qvl_fail(error, QVL_USAGE, "%s: is [%lld, %lld], the tensors need [%lld, %lld]", where,
                        (long long)weight->out, (long long)weight->in, (long long)out, (long long)in);
    if (weight->dtype != dtype)
        return qvl_fail(error, QVL_UNSUPPORTED, "%s: %s weights with %s rows; oneDNN multiplies equal types",
                        where, qvl_dtype_name(weight->dtype), qvl_dtype_name(dtype));
    return QVL_OK;
}

// The layouts of one product.
struct Product {
    memory::desc x, weight, bias, y;
};

static dnnl::matmul::primitive_desc make_desc(const Onednn &onednn, const Product &product)
{
    const bool bias = product.bias.get_size() > 0;
    dnnl::primitive_attr attributes;
    if (!kAsIs) // float32 is float32, whatever ONEDNN_DEFAULT_FPMATH_MODE says
        attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);
#if DNNL_VERSION_MAJOR >= 3
    return bias ? dnnl::matmul::primitive_desc(onednn.engine, product.x, product.weight, product.bias,
                                               product.y, attributes)
                : dnnl::matmul::primitive_desc(onednn.engine, product.x, product.weight, product.y,
                                               attributes);
#else
    const auto desc = bias ? dnnl::matmul::desc(product.x, product.weight, product.bias, product.y)
                           : dnnl::matmul::desc(product.x, product.weight, product.y);
    return dnnl::matmul::primitive_desc(desc, attributes, onednn.engine);
#endif
}

// The weight in the layout that a product wants, packed on first use.
static memory packed_weight(Onednn &onednn, const struct qvl_weight *weight, const memory::desc &wanted)
{
    // The handle is const for the caller: packing changes where its values lie, not what they are.
    std::vector<memory> &packed = const_cast<struct qvl_weight *>(weight)->packed;
    if (wanted == weight->plain.get_desc())
        return weight->plain;
    for (const memory &candidate : packed)
        if (candidate.get_desc() == wanted)
            return candidate;
    memory made(wanted, onednn.engine);
    memory plain = weight->plain;
    dnnl::reorder(plain, made).execute(onednn.stream, plain, made);
    onednn.stream.wait();
    packed.push_back(made);
    return made;
}

// y = x W^T + bias. x and y are matrices of the weight's type.
static enum qvl_status multiply(Onednn &onednn, const struct qvl_tensor &x, const struct qvl_weight *weight,
                                const struct qvl_tensor *bias, const struct qvl_tensor &y,
                                struct qvl_error *error)
{
    Product product;
    QVL_TRY(onednn_desc("x", x, &product.x, error));
    QVL_TRY(onednn_desc("y", y, &product.y, error));
    product.weight =
        memory::desc({weight->in, weight->out}, onednn_type(weight->dtype), memory::format_tag::any);
    if (bias)
        product.bias = memory::desc({1, weight->out}, onednn_type(bias->dtype), memory::format_tag::ab);
    const Primitive &primitive =
        onednn_primitive(onednn,
                         {'m', x.dtype, x.shape[0], weight->in, weight->out, x.stride[0], y.stride[0],
                          bias != NULL, onednn.threads},
                         [&] {
                             const auto desc = make_desc(onednn, product);
                             return Primitive{dnnl::matmul(desc), desc.weights_desc()};
                         });
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, memory(product.x, onednn.engine, x.data)},
        {DNNL_ARG_WEIGHTS, packed_weight(onednn, weight, primitive.weight)},
        {DNNL_ARG_DST, memory(product.y, onednn.engine, y.data)}};
    if (bias)
        arguments.insert({DNNL_ARG_BIAS, memory(product.bias, onednn.engine, bias->data)});
    primitive.run.execute(onednn.stream, arguments);
    onednn.stream.wait();
    return QVL_OK;
}

enum qvl_status onednn_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                              struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    QVL_TRY(qvl_linear_check(args, error));
    QVL_TRY(onednn_no_cond("linear", args->cond, error));
    QVL_TRY(
        check_fit("linear.weight", args->weight, args->x.shape[1], args->y.shape[1], args->x.dtype, error));
    if (args->x.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("linear", error,
                        [&] { return multiply(onednn, args->x, args->weight, args->bias, args->y, error); });
}

// Patch rows arrive in float32 and are rounded to the storage type before the product.
enum qvl_status onednn_patch_embed(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                   struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    const struct qvl_tensor &x = args->x;
    QVL_TRY(qvl_patch_embed_check(args, error));
    QVL_TRY(onednn_no_cond("patch_embed", args->cond, error));
    QVL_TRY(
        check_fit("patch_embed.weight", args->weight, x.shape[1], args->y.shape[1], args->y.dtype, error));
    if (x.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("patch_embed", error, [&] {
        if (args->y.dtype == QVL_F32)
            return multiply(onednn, x, args->weight, args->bias, args->y, error);
        memory::desc from;
        QVL_TRY(onednn_desc("patch_embed.x", x, &from, error));
        const memory::desc to({x.shape[0], x.shape[1]}, onednn_type(args->y.dtype), memory::format_tag::ab);
        memory source(from, onednn.engine, x.data), rounded(to, onednn.engine);
        dnnl::reorder(source, rounded).execute(onednn.stream, source, rounded);
        onednn.stream.wait();
        const struct qvl_tensor rows =
            qvl_tensor_2d(rounded.get_data_handle(), args->y.dtype, x.shape[0], x.shape[1]);
        return multiply(onednn, rows, args->weight, args->bias, args->y, error);
    });
}

enum qvl_status onednn_output_head(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                   struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    const struct qvl_tensor &x = args->x;
    QVL_TRY(qvl_output_head_check(args, error));
    QVL_TRY(onednn_no_cond("output_head", args->cond, error));
    QVL_TRY(check_fit("output_head.weight", args->weight, x.shape[1], args->y.shape[1], x.dtype, error));
    if (args->y.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("output_head", error, [&] {
        if (!args->rows)
            return multiply(onednn, x, args->weight, NULL, args->y, error);
        const size_t element = qvl_dtype_bytes(x.dtype), bytes = (size_t)x.shape[1] * element;
        std::vector<char> chosen((size_t)args->y.shape[0] * bytes);
        for (int64_t i = 0; i < args->y.shape[0]; i++)
            memcpy(chosen.data() + (size_t)i * bytes,
                   (const char *)x.data + (size_t)(args->rows[i] * x.stride[0]) * element, bytes);
        const struct qvl_tensor rows = qvl_tensor_2d(chosen.data(), x.dtype, args->y.shape[0], x.shape[1]);
        return multiply(onednn, rows, args->weight, NULL, args->y, error);
    });
}
