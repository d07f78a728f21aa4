// layer_norm, gelu, softmax: one primitive each over the rows of a matrix, in place when data coincide.
#include <cmath>
#include <functional>
#include <unordered_map>

#include "onednn.hpp"

// One call: what names its primitive beside the layouts, how to make it, and its arguments beside x and y.
struct RowsCall {
    int64_t op, variant;
    std::function<dnnl::primitive(const memory::desc &x, const memory::desc &y)> make;
    std::unordered_map<int, memory> arguments;
};

static void execute(Onednn &onednn, const RowsCall &call, const memory::desc &x_desc, void *x,
                    const memory::desc &y_desc, void *y, std::vector<int64_t> key)
{
    std::unordered_map<int, memory> arguments = call.arguments;
    key.insert(key.end(), {call.op, call.variant, x == y, onednn.threads});
    const Primitive &primitive = onednn_primitive(onednn, key, [&] {
        return Primitive{call.make(x_desc, y_desc), memory::desc()};
    });
    arguments.insert({DNNL_ARG_SRC, memory(x_desc, onednn.engine, x)});
    arguments.insert({DNNL_ARG_DST, memory(y_desc, onednn.engine, y)});
    primitive.run.execute(onednn.stream, arguments);
    onednn.stream.wait();
}

static enum qvl_status run_directly(Onednn &onednn, const RowsCall &call, const struct qvl_tensor &x,
                                    const struct qvl_tensor &y, struct qvl_error *error)
{
    memory::desc from, to;
    QVL_TRY(onednn_desc("x", x, &from, error));
    QVL_TRY(onednn_desc("y", y, &to, error));
    execute(onednn, call, from, x.data, to, y.data,
            {x.dtype, y.dtype, x.shape[0], x.shape[1], x.stride[0], y.stride[0]});
    return QVL_OK;
}

static void copy(Onednn &onednn, const memory::desc &from_desc, void *from, const memory::desc &to_desc,
                 void *to)
{
    memory source(from_desc, onednn.engine, from), target(to_desc, onednn.engine, to);
    dnnl::reorder(source, target).execute(onednn.stream, source, target);
    onednn.stream.wait();
}

// The same in place on a copy of x in another type or with gaps between its rows (two at least, since one row
// has none), copied to y afterwards.
static enum qvl_status run_on_copy(Onednn &onednn, const RowsCall &call, const struct qvl_tensor &x,
                                   const struct qvl_tensor &y, enum qvl_dtype dtype, int64_t gap,
                                   struct qvl_error *error)
{
    const int64_t rows = x.shape[0], width = x.shape[1], stride = width + gap;
    const int64_t worked = gap > 0 && rows < 2 ? 2 : rows;
    std::vector<char> room((size_t)(worked * stride) * qvl_dtype_bytes(dtype)); // zeros
    const memory::desc part({rows, width}, onednn_type(dtype), memory::dims{stride, 1});
    const memory::desc whole({worked, width}, onednn_type(dtype), memory::dims{stride, 1});
    memory::desc from, to;
    QVL_TRY(onednn_desc("x", x, &from, error));
    QVL_TRY(onednn_desc("y", y, &to, error));
    copy(onednn, from, x.data, part, room.data());
    execute(onednn, call, whole, room.data(), whole, room.data(), {dtype, dtype, worked, width, stride});
    copy(onednn, part, room.data(), to, y.data);
    return QVL_OK;
}

static bool is_dense(const struct qvl_tensor &tensor)
{
    return tensor.shape[0] <= 1 || tensor.stride[0] == tensor.shape[1];
}

#if DNNL_VERSION_MAJOR < 3
// oneDNN 2 has one layout for both sides of layer_normalization and eltwise.
static void need_one_layout(const memory::desc &x, const memory::desc &y)
{
    if (x != y)
        throw dnnl::error(dnnl_unimplemented, "x and y have different row strides");
}
#endif

// A vector of parameters as the float32 that oneDNN takes them in.
static memory float_vector(const Onednn &onednn, const struct qvl_tensor &vector)
{
    const memory::desc wanted({vector.shape[0]}, memory::data_type::f32, memory::format_tag::a);
    if (vector.dtype == QVL_F32)
        return memory(wanted, onednn.engine, vector.data);
    memory made(wanted, onednn.engine);
    std::vector<double> row((size_t)vector.shape[0]);
    qvl_load_row(vector.data, vector.dtype, vector.shape[0], row.data());
    qvl_store_row(row.data(), QVL_F32, vector.shape[0], made.get_data_handle());
    return made;
}

static dnnl::primitive make_norm(const Onednn &onednn, double eps, const memory::desc &x,
                                 const memory::desc &y)
{
    using Norm = dnnl::layer_normalization_forward;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
#if DNNL_VERSION_MAJOR >= 3
    return Norm(Norm::primitive_desc(onednn.engine, kind, x, y, (float)eps, flags));
#else
    need_one_layout(x, y);
    return Norm(Norm::primitive_desc(Norm::desc(kind, x, (float)eps, flags), onednn.engine));
#endif
}

// oneDNN 2.6 takes rows with gaps between them for dense ones.
enum qvl_status onednn_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                  struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    QVL_TRY(qvl_layer_norm_check(args, error));
    QVL_TRY(onednn_no_cond("layer_norm", args->cond, error));
    if (args->x.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("layer_norm", error, [&] {
        RowsCall call = {'n', 0, {}, {}};
        memcpy(&call.variant, &args->eps, sizeof call.variant); // eps by its bits
        call.make = [&](const memory::desc &x, const memory::desc &y) {
            return make_norm(onednn, args->eps, x, y);
        };
        call.arguments = {{DNNL_ARG_SCALE, float_vector(onednn, args->weight)},
                          {DNNL_ARG_SHIFT, float_vector(onednn, args->bias)}};
        if (kAsIs || (is_dense(args->x) && is_dense(args->y)))
            return run_directly(onednn, call, args->x, args->y, error);
        return run_on_copy(onednn, call, args->x, args->y, args->x.dtype, 0, error);
    });
}

static dnnl::primitive make_gelu(const Onednn &onednn, enum qvl_gelu_form form, const memory::desc &x,
                                 const memory::desc &y)
{
    using Eltwise = dnnl::eltwise_forward;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm =
        form == QVL_GELU_ERF ? dnnl::algorithm::eltwise_gelu_erf : dnnl::algorithm::eltwise_gelu_tanh;
#if DNNL_VERSION_MAJOR >= 3
    return Eltwise(Eltwise::primitive_desc(onednn.engine, kind, algorithm, x, y));
#else
    need_one_layout(x, y);
    return Eltwise(Eltwise::primitive_desc(Eltwise::desc(kind, algorithm, x, 0, 0), onednn.engine));
#endif
}

// The erf of oneDNN 2.6's vector kernels is good to 5e-7 only; rows with gaps get its plain kernel, which
// calls erff.
enum qvl_status onednn_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                            struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    const struct qvl_tensor &x = args->x, &y = args->y;
    QVL_TRY(qvl_gelu_check(args, error));
    QVL_TRY(onednn_no_cond("gelu", args->cond, error));
    if (x.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("gelu", error, [&] {
        const RowsCall call = {'g',
                               args->form,
                               [&](const memory::desc &from, const memory::desc &to) {
                                   return make_gelu(onednn, args->form, from, to);
                               },
                               {}};
        const int64_t gap = DNNL_VERSION_MAJOR < 3 && args->form == QVL_GELU_ERF && x.dtype == QVL_F32;
        const bool one_layout = x.shape[0] <= 1 || x.stride[0] == y.stride[0];
        if (kAsIs || (!gap && one_layout))
            return run_directly(onednn, call, x, y, error);
        return run_on_copy(onednn, call, x, y, x.dtype, gap, error);
    });
}

static dnnl::primitive make_softmax(const Onednn &onednn, const memory::desc &x, const memory::desc &y)
{
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::softmax_accurate;
#if DNNL_VERSION_MAJOR >= 3
    using Softmax = dnnl::softmax_forward;
    return Softmax(Softmax::primitive_desc(onednn.engine, kind, algorithm, x, y, 1));
#else
    using Softmax = dnnl::softmax_v2_forward;
    return Softmax(Softmax::primitive_desc(Softmax::desc(kind, algorithm, x, y, 1), onednn.engine));
#endif
}

// A row whose softmax is one number throughout, and that number.
struct UniformRow {
    int64_t row;
    double value;
};

// Rows of nothing but -inf (0 by our contract), and rows with a NaN or +inf (NaN): oneDNN makes NaN of the
// first and zeros of most of the second.
static std::vector<UniformRow> uniform_rows(const struct qvl_tensor &x)
{
    std::vector<UniformRow> found;
    std::vector<double> row((size_t)x.shape[1]);
    for (int64_t i = 0; i < x.shape[0]; i++) {
        double largest = -INFINITY;
        qvl_load_row((const char *)x.data + (size_t)(i * x.stride[0]) * qvl_dtype_bytes(x.dtype), x.dtype,
                     x.shape[1], row.data());
        for (double value : row)
            largest = std::isnan(value) || value > largest ? value : largest;
        if (largest == -INFINITY)
            found.push_back({i, 0});
        else if (!(largest < INFINITY))
            found.push_back({i, NAN});
    }
    return found;
}

static void fill_rows(const std::vector<UniformRow> &rows, const struct qvl_tensor &y)
{
    for (const UniformRow &uniform : rows) {
        const std::vector<double> row((size_t)y.shape[1], uniform.value);
        qvl_store_row(row.data(), y.dtype, y.shape[1],
                      (char *)y.data + (size_t)(uniform.row * y.stride[0]) * qvl_dtype_bytes(y.dtype));
    }
}

// oneDNN 2.6 keeps exp(x - max) in the type of y before it divides, so that 16-bit rows are rounded twice.
enum qvl_status onednn_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                               struct qvl_error *error)
{
    Onednn &onednn = *static_cast<Onednn *>(backend->state);
    QVL_TRY(qvl_softmax_check(args, error));
    QVL_TRY(onednn_no_cond("softmax", args->cond, error));
    if (args->x.shape[0] == 0)
        return QVL_OK;
    const Threads threads(onednn);
    return onednn_guard("softmax", error, [&] {
        const RowsCall call = {
            's',
            0,
            [&](const memory::desc &x, const memory::desc &y) { return make_softmax(onednn, x, y); },
            {}};
        if (kAsIs)
            return run_directly(onednn, call, args->x, args->y, error);
        const std::vector<UniformRow> uniform = uniform_rows(args->x);
        QVL_TRY(args->x.dtype == QVL_F32 ? run_directly(onednn, call, args->x, args->y, error)
                                         : run_on_copy(onednn, call, args->x, args->y, QVL_F32, 0, error));
        fill_rows(uniform, args->y);
        return QVL_OK;
    });
}
