/* OpenBLAS, loaded when the backend is opened.
 *
 * OpenBLAS picks its kernels while it is being loaded, and a release older than the machine may pick those of
 * a Pentium (0.3.21 does on Sapphire and Emerald Rapids: 25 GFLOP/s a core instead of 120). So it is loaded
 * with dlopen and, unless the user has set OPENBLAS_CORETYPE, told the core that fits the machine. It runs on
 * the calling thread only; the threads are ours. */
#ifndef QVL_CPU_BLAS_H
#define QVL_CPU_BLAS_H

#include <cblas.h>

#include "cpu.h"

struct cpu_blas {
    void (*sgemm)(OPENBLAS_CONST enum CBLAS_ORDER order, OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_a,
                  OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_b, OPENBLAS_CONST blasint m,
                  OPENBLAS_CONST blasint n, OPENBLAS_CONST blasint k, OPENBLAS_CONST float alpha,
                  OPENBLAS_CONST float *a, OPENBLAS_CONST blasint lda, OPENBLAS_CONST float *b,
                  OPENBLAS_CONST blasint ldb, OPENBLAS_CONST float beta, float *c,
                  OPENBLAS_CONST blasint ldc);
    const char *core;   /* "SkylakeX", owned by OpenBLAS */
    const char *config; /* "OpenBLAS 0.3.21 ...", owned by OpenBLAS */
};

/* QVL_UNAVAILABLE, with what to install, when there is no OpenBLAS. It stays loaded. Changes the environment
 * of the process for a moment, so the first backend is to be opened before other threads read it. */
enum qvl_status qvl_cpu_blas_load(struct cpu_blas *blas, struct qvl_error *error);

#endif
