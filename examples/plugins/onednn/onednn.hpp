// A backend plugin over oneDNN: what its files share. Written against oneDNN 2.6; oneDNN 3 differs in how a
// primitive descriptor is spelled, which make_desc hides.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "qvl/plugin.h"

using dnnl::memory;

// -DONEDNN_AS_IS: every call goes to oneDNN as it comes. Without it the calls that oneDNN 2.6 gets wrong
// (docs/PLUGINS.md) take another way through oneDNN.
#ifdef ONEDNN_AS_IS
constexpr bool kAsIs = true;
#else
constexpr bool kAsIs = false;
#endif

// A primitive, and the layout of the weight that it was made for (products only).
struct Primitive {
    dnnl::primitive run;
    memory::desc weight;
};

// What backend->state points to.
struct Onednn {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    int threads = 0; // 0: as OpenMP is set
    std::string description;
    std::map<std::vector<int64_t>, Primitive> primitives; // by op, variant, type, shape, strides and threads
};

// A matrix [out, in] in storage type, and copies of it in the layouts that products asked for: which layout
// is best depends on the number of rows, so that packing waits for the first call.
struct qvl_weight {
    int64_t out, in;
    enum qvl_dtype dtype;
    unsigned use;
    memory plain;
    std::vector<memory> packed;
};

// oneDNN uses as many threads as OpenMP allows the calling thread; the host's own setting is put back.
class Threads
{
  public:
    explicit Threads(const Onednn &onednn);
    ~Threads();
    Threads(const Threads &) = delete;
    Threads &operator=(const Threads &) = delete;

  private:
    int before_;
};

memory::data_type onednn_type(enum qvl_dtype dtype);

// A 1- or 2-dimensional tensor with its strides. Rows that share elements (stride 0 or below the width),
// which our contract allows for inputs, oneDNN does not describe: QVL_UNSUPPORTED.
enum qvl_status onednn_desc(const char *where, const struct qvl_tensor &tensor, memory::desc *desc,
                            struct qvl_error *error);

// The primitive for a key, made by `make` when it is new.
template <class Make> Primitive &onednn_primitive(Onednn &onednn, std::vector<int64_t> key, Make make)
{
    auto found = onednn.primitives.find(key);
    if (found != onednn.primitives.end())
        return found->second;
    if (onednn.primitives.size() >= 256) // shapes of long ago
        onednn.primitives.clear();
    return onednn.primitives.emplace(std::move(key), make()).first->second;
}

// Run `body`, which returns a status and may throw what oneDNN throws: the status and the words for it.
template <class Body> enum qvl_status onednn_guard(const char *op, struct qvl_error *error, Body body)
{
    try {
        return body();
    } catch (const dnnl::error &failure) {
        if (failure.status == dnnl_unimplemented)
            return qvl_fail(error, QVL_UNSUPPORTED, "%s: this oneDNN has no kernel for it on this CPU: %s",
                            op, failure.what());
        return qvl_fail(error, failure.status == dnnl_out_of_memory ? QVL_NO_MEMORY : QVL_FAILED,
                        "%s: oneDNN says: %s (status %d)", op, failure.what(), (int)failure.status);
    } catch (const std::exception &failure) {
        return qvl_fail(error, QVL_NO_MEMORY, "%s: %s", op, failure.what());
    }
}

// Only the reference fills `cond`.
inline enum qvl_status onednn_no_cond(const char *op, const struct qvl_condition *cond,
                                      struct qvl_error *error)
{
    return cond ? qvl_fail(error, QVL_UNSUPPORTED, "%s.cond: only the reference has an error analysis", op)
                : QVL_OK;
}

// products.cpp
enum qvl_status onednn_weight_prepare(struct qvl_backend *backend, const struct qvl_weight_desc *desc,
                                      struct qvl_weight **weight, struct qvl_error *error);
void onednn_weight_destroy(struct qvl_backend *backend, struct qvl_weight *weight);
enum qvl_status onednn_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                              struct qvl_error *error);
enum qvl_status onednn_patch_embed(struct qvl_backend *backend, const struct qvl_patch_embed_args *args,
                                   struct qvl_error *error);
enum qvl_status onednn_output_head(struct qvl_backend *backend, const struct qvl_output_head_args *args,
                                   struct qvl_error *error);

// rows.cpp
enum qvl_status onednn_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                  struct qvl_error *error);
enum qvl_status onednn_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                            struct qvl_error *error);
enum qvl_status onednn_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                               struct qvl_error *error);

// merger.cpp
enum qvl_status onednn_merger(struct qvl_backend *backend, const struct qvl_merger_args *args,
                              struct qvl_error *error);
