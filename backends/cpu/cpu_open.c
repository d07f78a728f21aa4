/* Opening and closing the cpu backend; its memory entries. */
#include <omp.h>
#include <stdlib.h>

#include "cpu_state.h"

const char *qvl_cpu_isa_name(enum qvl_cpu_isa isa)
{
    static const char *const names[QVL_CPU_ISA_COUNT] = {"base", "avx2", "avx512", "avx512-bf16", "amx"};
    return (unsigned)isa < QVL_CPU_ISA_COUNT ? names[isa] : "?";
}

static bool machine_runs(enum qvl_cpu_isa isa)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    switch (isa) {
    case QVL_CPU_AMX: return qvl_cpu_bf16_amx() && machine_runs(QVL_CPU_BF16);
    case QVL_CPU_BF16: return qvl_cpu_bf16_avx512() && machine_runs(QVL_CPU_AVX512);
    case QVL_CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               machine_runs(QVL_CPU_AVX2);
    case QVL_CPU_AVX2: /* every CPU with AVX2 and FMA has F16C too; clang 14 does not know that name */
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default: return isa == QVL_CPU_BASE;
    }
#else
    return isa == QVL_CPU_BASE;
#endif
}

/* vdpbf16ps of Intel's cores does half the arithmetic of their float32 multiply-adds (docs/KERNELS.md). */
static bool worth_using(enum qvl_cpu_isa isa)
{
#if defined(__x86_64__)
    return isa != QVL_CPU_BF16 || !__builtin_cpu_is("intel");
#else
    return isa == QVL_CPU_BASE;
#endif
}

enum qvl_cpu_isa qvl_cpu_isa_best(void)
{
    enum qvl_cpu_isa isa = QVL_CPU_ISA_COUNT - 1;
    while (isa > QVL_CPU_BASE && !(machine_runs(isa) && worth_using(isa)))
        isa--;
    return isa;
}

const struct cpu_simd *qvl_cpu_simd(enum qvl_cpu_isa isa)
{
#if defined(__x86_64__)
    if (isa >= QVL_CPU_AVX512)
        return &qvl_cpu_simd_avx512;
    if (isa == QVL_CPU_AVX2)
        return &qvl_cpu_simd_avx2;
#endif
    return isa == QVL_CPU_BASE ? &qvl_cpu_simd_base : NULL;
}

void qvl_cpu_single_blas(void)
{
    omp_set_num_threads(1);
}

int qvl_cpu_thread(void)
{
    return omp_get_thread_num();
}

enum qvl_status qvl_cpu_no_cond(const struct qvl_condition *cond, const char *op, struct qvl_error *error)
{
    if (cond)
        return qvl_fail(error, QVL_UNSUPPORTED,
                        "%s: the cpu backend makes no error analysis; pass cond = NULL or use ref", op);
    return QVL_OK;
}

static void close_backend(struct qvl_backend *backend)
{
    struct cpu_state *state;
    if (!backend)
        return;
    state = backend->state;
    qvl_cpu_scratch_free(state);
    free(state);
    free(backend);
}

static enum qvl_status allocate(struct qvl_backend *backend, size_t bytes, void **data,
                                struct qvl_error *error)
{
    (void)backend;
    *data = bytes > INT64_MAX ? NULL : qvl_cpu_memory((int64_t)bytes);
    if (!*data)
        return qvl_fail(error, QVL_NO_MEMORY,
                        "cpu: needs %zu bytes, the machine has %lld; use shorter chunks", bytes,
                        (long long)qvl_cpu_machine_bytes());
    return QVL_OK;
}

static void release(struct qvl_backend *backend, void *data)
{
    (void)backend;
    free(data);
}

/* Copy a tensor to or from contiguous host memory, axis by axis. */
static void copy_axes(const struct qvl_tensor *tensor, int32_t axis, char *data, char **host, bool to_tensor)
{
    size_t size = qvl_dtype_bytes(tensor->dtype);
    int64_t step = (int64_t)size * (axis < tensor->rank ? tensor->stride[axis] : 0);
    if (axis == tensor->rank || (axis == tensor->rank - 1 && tensor->stride[axis] == 1)) {
        size_t bytes = axis == tensor->rank ? size : (size_t)tensor->shape[axis] * size;
        if (bytes)
            memcpy(to_tensor ? data : *host, to_tensor ? *host : data, bytes);
        *host += bytes;
        return;
    }
    for (int64_t i = 0; i < tensor->shape[axis]; i++)
        copy_axes(tensor, axis + 1, data + i * step, host, to_tensor);
}

static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    char *from = (char *)(uintptr_t)host;
    (void)backend;
    (void)error;
    copy_axes(to, 0, to->data, &from, true);
    return QVL_OK;
}

static enum qvl_status download(struct qvl_backend *backend, const struct qvl_tensor *from, void *host,
                                struct qvl_error *error)
{
    char *to = host;
    (void)backend;
    (void)error;
    copy_axes(from, 0, from->data, &to, false);
    return QVL_OK;
}

static enum qvl_status sync_calls(struct qvl_backend *backend, struct qvl_error *error)
{
    (void)backend;
    (void)error;
    return QVL_OK;
}

/* "OpenBLAS 0.3.21 core Haswell, 2 threads, avx512 loops": what the figures of a report depend on. */
static void describe(struct cpu_state *state)
{
    const char *config = state->blas.config;
    const char *forced = getenv("OPENBLAS_CORETYPE");
    char version[32] = "?";
    if (sscanf(config, "OpenBLAS %31s", version) != 1)
        sscanf(config, "%31s", version);
    snprintf(state->description, sizeof state->description, "OpenBLAS %s core %s%s%.40s%s, %d thread%s, %s",
             version, state->blas.core, forced ? " (OPENBLAS_CORETYPE=" : "", forced ? forced : "",
             forced ? ")" : "", state->threads, state->threads == 1 ? "" : "s", qvl_cpu_isa_name(state->isa));
}

static void fill_tables(struct qvl_backend *backend)
{
    backend->close = close_backend;
    backend->allocate = allocate;
    backend->release = release;
    backend->upload = upload;
    backend->download = download;
    backend->sync = sync_calls;
    backend->weight_prepare = qvl_cpu_weight_prepare;
    backend->weight_destroy = qvl_cpu_weight_destroy;
    backend->cache_create = qvl_cpu_cache_create;
    backend->cache_destroy = qvl_cpu_cache_destroy;
    backend->cache_length = qvl_cpu_cache_length;
    backend->cache_truncate = qvl_cpu_cache_truncate;
    backend->cache_fork = qvl_cpu_cache_fork;
    backend->cache_export = qvl_cpu_cache_export;
#define CPU_SET(name) backend->ops.name = qvl_cpu_##name;
    QVL_OPS(CPU_SET)
#undef CPU_SET
}

enum qvl_status qvl_cpu_open_isa(const struct qvl_backend_options *options, enum qvl_cpu_isa isa,
                                 struct qvl_backend **backend, struct qvl_error *error)
{
    int threads = options ? options->threads : 0;
    struct qvl_backend *opened;
    struct cpu_state *state;
    enum qvl_status status;
    *backend = NULL;
    if (threads < 0)
        return qvl_fail(error, QVL_USAGE, "cpu: threads is %d; give 0 (all) or a positive number", threads);
    if ((unsigned)isa >= QVL_CPU_ISA_COUNT || !machine_runs(isa))
        return qvl_fail(error, QVL_UNAVAILABLE, "cpu: this machine does not run %s code; best is %s",
                        qvl_cpu_isa_name(isa), qvl_cpu_isa_name(qvl_cpu_isa_best()));
    opened = calloc(1, sizeof *opened);
    state = calloc(1, sizeof *state);
    if (!opened || !state) {
        free(opened);
        free(state);
        return qvl_fail(error, QVL_NO_MEMORY, "cpu: cannot allocate the backend");
    }
    status = qvl_cpu_blas_load(&state->blas, error);
    if (status != QVL_OK) {
        free(opened);
        free(state);
        return status;
    }
    state->threads = threads ? threads : omp_get_num_procs();
    state->isa = isa;
    state->simd = qvl_cpu_simd(isa);
    state->bf16 = isa == QVL_CPU_AMX    ? qvl_cpu_bf16_amx()
                  : isa == QVL_CPU_BF16 ? qvl_cpu_bf16_avx512()
                                        : NULL;
    describe(state);
    opened->struct_size = sizeof *opened;
    opened->abi = QVL_BACKEND_ABI;
    opened->name = "cpu";
    opened->description = state->description;
    opened->math = (struct qvl_math){.accumulate = QVL_F32};
    opened->state = state;
    fill_tables(opened);
    *backend = opened;
    return QVL_OK;
}

enum qvl_status qvl_cpu_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                             struct qvl_error *error)
{
    return qvl_cpu_open_isa(options, qvl_cpu_isa_best(), backend, error);
}
