/* The `cpu` backend: OpenBLAS for float32 matrix products, our own vector loops for the rest, OpenMP threads.
 * Storage f32, bf16 and f16; every long sum is accumulated in float32 (qvl_math.accumulate = QVL_F32), and
 * the attention scores and probabilities stay in float32 (qvl_math.rounds_attention_scores = false). */
#ifndef QVL_CPU_H
#define QVL_CPU_H

#include "qvl/backend.h"

/* Instruction sets with kernels of their own. Each contains the ones before it (on x86-64; elsewhere only
 * BASE exists, compiled for the compiler's baseline). */
enum qvl_cpu_isa {
    QVL_CPU_BASE = 0, /* SSE2 or NEON */
    QVL_CPU_AVX2,     /* AVX2, FMA, F16C */
    QVL_CPU_AVX512,   /* AVX-512 F, BW, DQ, VL */
    QVL_CPU_BF16,     /* and AVX512-BF16 for products of bf16 and bf16 */
    QVL_CPU_AMX,      /* and AMX tiles for them */
    QVL_CPU_ISA_COUNT
};

/* "base", "avx2", "avx512", "avx512-bf16", "amx". */
const char *qvl_cpu_isa_name(enum qvl_cpu_isa isa);

/* The fastest instruction set that this machine runs. Asks Linux for the AMX state of the process. */
enum qvl_cpu_isa qvl_cpu_isa_best(void);

/* Open the backend with the fastest instruction set. options may be NULL (all threads). */
qvl_backend_open_fn qvl_cpu_open;

/* Open it with the kernels of a given instruction set, so that each variant can be tested and timed by name.
 * QVL_UNAVAILABLE when this machine does not run it. OpenBLAS chooses its own core whatever is asked here. */
enum qvl_status qvl_cpu_open_isa(const struct qvl_backend_options *options, enum qvl_cpu_isa isa,
                                 struct qvl_backend **backend, struct qvl_error *error);

#endif
