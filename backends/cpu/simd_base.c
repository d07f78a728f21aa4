/* The vector loops for the compiler's baseline: SSE2 on x86-64, NEON on AArch64. */
#define SIMD_LANES 4
#define SIMD_TABLE qvl_cpu_simd_base
#include "simd.inc"
