// Opening, closing, and what all entries use.
#include <new>

#include <omp.h>

#include "onednn.hpp"

Threads::Threads(const Onednn &onednn) : before_(omp_get_max_threads())
{
    if (onednn.threads > 0)
        omp_set_num_threads(onednn.threads);
}

Threads::~Threads()
{
    omp_set_num_threads(before_);
}

memory::data_type onednn_type(enum qvl_dtype dtype)
{
    switch (dtype) {
    case QVL_F32: return memory::data_type::f32;
    case QVL_BF16: return memory::data_type::bf16;
    case QVL_F16: return memory::data_type::f16;
    default: return memory::data_type::undef;
    }
}

enum qvl_status onednn_desc(const char *where, const struct qvl_tensor &tensor, memory::desc *desc,
                            struct qvl_error *error)
{
    const memory::data_type type = onednn_type(tensor.dtype);
    if (tensor.rank == 1) {
        *desc = memory::desc({tensor.shape[0]}, type, memory::format_tag::a);
        return QVL_OK;
    }
    const int64_t rows = tensor.shape[0], width = tensor.shape[1];
    if (rows > 1 && tensor.stride[0] < width)
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "%s: rows %lld apart share elements, which oneDNN cannot describe", where,
                        (long long)tensor.stride[0]);
    *desc = memory::desc({rows, width}, type, memory::dims{rows > 1 ? tensor.stride[0] : width, 1});
    return QVL_OK;
}

static const char *isa_name()
{
    switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "SSE4.1";
    case dnnl::cpu_isa::avx2: return "AVX2";
    case dnnl::cpu_isa::avx512_core: return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni: return "AVX-512 VNNI";
    case dnnl::cpu_isa::avx512_core_bf16: return "AVX-512 BF16";
    case dnnl::cpu_isa::avx512_core_amx: return "AMX";
    default: return "another instruction set";
    }
}

static void onednn_close(struct qvl_backend *backend)
{
    delete static_cast<Onednn *>(backend->state);
    qvl_plugin_close(backend);
}

static enum qvl_status open_backend(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                    struct qvl_error *error)
{
    const dnnl_version_t *version = dnnl_version();
    QVL_TRY(qvl_plugin_create("onednn", "", backend, error));
    struct qvl_backend *made = *backend;
    Onednn *onednn = new (std::nothrow) Onednn;
    if (!onednn) {
        qvl_plugin_close(made);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a state");
    }
    onednn->threads = options ? options->threads : 0;
    onednn->description = "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) +
                          "." + std::to_string(version->patch) + " on " + isa_name() + ", " +
                          std::to_string(onednn->threads > 0 ? onednn->threads : omp_get_max_threads()) +
                          " threads" + (kAsIs ? ", as is" : "");
    made->state = onednn;
    made->description = onednn->description.c_str();
    made->close = onednn_close;
    made->weight_prepare = onednn_weight_prepare;
    made->weight_destroy = onednn_weight_destroy;
    made->ops.linear = onednn_linear;
    made->ops.patch_embed = onednn_patch_embed;
    made->ops.output_head = onednn_output_head;
    made->ops.layer_norm = onednn_layer_norm;
    made->ops.gelu = onednn_gelu;
    made->ops.softmax = onednn_softmax;
    made->ops.merger = onednn_merger;
    return QVL_OK;
}

enum qvl_status qvl_backend_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    return onednn_guard("open", error, [&] { return open_backend(options, backend, error); });
}
