/* The loops whose rates are a processor's limits: streaming reads and multiply-adds that depend on nothing
 * but registers. They use the widest instructions that the processor has. */
#ifndef QVL_BENCH_LIMITS_KERNELS_H
#define QVL_BENCH_LIMITS_KERNELS_H

#include <stdint.h>

/* Read `bytes` (a multiple of 512, aligned to 64) `passes` times; the sum keeps the loads alive. */
uint64_t qvl_limit_read(const void *data, int64_t bytes, int64_t passes);

/* Each returns the FLOP of `rounds` rounds, done by the calling thread; 0 when the processor has no such
 * instructions. `sink` (4 KiB, aligned to 64) receives what keeps the compiler from dropping the work. */
double qvl_limit_fma(int64_t rounds, float *sink);       /* float32 multiply-adds */
double qvl_limit_bf16_dot(int64_t rounds, float *sink);  /* pairs of bfloat16 products into float32 lanes */
double qvl_limit_bf16_tile(int64_t rounds, float *sink); /* bfloat16 matrix tiles */

/* What the three use: "AVX-512", ...; static. */
const char *qvl_limit_fma_name(void);

#endif
