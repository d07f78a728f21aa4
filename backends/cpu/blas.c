#include "blas.h"

#include <dlfcn.h>
#include <stdlib.h>

#define CORE_VARIABLE "OPENBLAS_CORETYPE"

/* The OpenBLAS core for this machine, or NULL to let OpenBLAS decide. */
static const char *fitting_core(void)
{
    switch (qvl_cpu_isa_best()) {
    case QVL_CPU_AVX2: return "Haswell";
    case QVL_CPU_BASE: return NULL;
    default: return "SkylakeX";
    }
}

static void *open_library(void)
{
    static const char *const names[] = {"libopenblas.so.0", QVL_OPENBLAS_LIBRARY, "libopenblas.so"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return library;
}

static void *open_with_core(void)
{
    const char *core = getenv(CORE_VARIABLE) ? NULL : fitting_core();
    void *library;
    if (core)
        setenv(CORE_VARIABLE, core, 0);
    library = open_library();
    if (core)
        unsetenv(CORE_VARIABLE);
    return library;
}

/* dlsym returns a data pointer; memcpy turns it into the function pointer that it is. */
static bool find(void *library, const char *name, void *function, size_t bytes)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, bytes);
    return symbol != NULL;
}

enum qvl_status qvl_cpu_blas_load(struct cpu_blas *blas, struct qvl_error *error)
{
    char *(*core)(void), *(*config)(void);
    int (*parallel)(void);
    void (*set_threads)(int);
    void *library = open_with_core();
    if (!library)
        return qvl_fail(error, QVL_UNAVAILABLE,
                        "cpu: OpenBLAS cannot be loaded (%.300s); install libopenblas0-openmp", dlerror());
    if (!find(library, "cblas_sgemm", &blas->sgemm, sizeof blas->sgemm) ||
        !find(library, "openblas_get_corename", &core, sizeof core) ||
        !find(library, "openblas_get_config", &config, sizeof config) ||
        !find(library, "openblas_get_parallel", &parallel, sizeof parallel) ||
        !find(library, "openblas_set_num_threads", &set_threads, sizeof set_threads)) {
        dlclose(library);
        return qvl_fail(error, QVL_UNAVAILABLE,
                        "cpu: libopenblas.so.0 lacks cblas_sgemm or openblas_*; install libopenblas0-openmp");
    }
    if (parallel() == OPENBLAS_THREAD) /* the OpenMP build is told inside each region instead */
        set_threads(1);
    blas->core = core();
    blas->config = config();
    dlclose(library);
    return QVL_OK;
}
