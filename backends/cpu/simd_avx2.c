/* The vector loops for AVX2, FMA and F16C (compiled with those options, run only where the CPU has them). */
#if defined(__x86_64__)
#define SIMD_LANES 8
#define SIMD_TABLE qvl_cpu_simd_avx2
#include "simd.inc"
#else
typedef int qvl_cpu_no_avx2; /* a translation unit may not be empty */
#endif
