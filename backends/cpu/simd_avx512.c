/* The vector loops for AVX-512 F, BW, DQ and VL (compiled with those options, run only where the CPU has
 * them). */
#if defined(__x86_64__)
#define SIMD_LANES 16
#define SIMD_TABLE qvl_cpu_simd_avx512
#include "simd.inc"
#else
typedef int qvl_cpu_no_avx512; /* a translation unit may not be empty */
#endif
