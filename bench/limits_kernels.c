#include "bench/limits_kernels.h"

#include <stdbool.h>
#include <string.h>

typedef uint64_t words __attribute__((vector_size(64), aligned(64)));
typedef float lanes __attribute__((vector_size(64), aligned(64)));

/* Eight independent sums of 64 bytes. */
#define READ_LOOP(name, target)                                                                              \
    target static uint64_t name(const void *data, int64_t bytes, int64_t passes)                             \
    {                                                                                                        \
        const words *from = data;                                                                            \
        words sums[8] = {{0}};                                                                               \
        uint64_t total = 0;                                                                                  \
        for (int64_t pass = 0; pass < passes; pass++) {                                                      \
            __asm__ volatile("" ::: "memory"); /* the passes are not one */                                  \
            for (int64_t i = 0; i < bytes / 64; i += 8)                                                      \
                for (int j = 0; j < 8; j++)                                                                  \
                    sums[j] += from[i + j];                                                                  \
        }                                                                                                    \
        for (int j = 0; j < 8; j++)                                                                          \
            for (int i = 0; i < 8; i++)                                                                      \
                total += sums[j][i];                                                                         \
        return total;                                                                                        \
    }

/* `count` independent chains of 16 multiply-adds: as many as the registers hold, more than the latency needs.
 */
#define FMA_LOOP(name, target, count)                                                                        \
    target static double name(int64_t rounds, float *sink)                                                   \
    {                                                                                                        \
        lanes sums[count], factor, term;                                                                     \
        for (int i = 0; i < 16; i++) {                                                                       \
            factor[i] = 0.999f;                                                                              \
            term[i] = 0.001f;                                                                                \
        }                                                                                                    \
        for (int j = 0; j < (count); j++)                                                                    \
            sums[j] = term * (float)(j + 1);                                                                 \
        for (int64_t round = 0; round < rounds; round++) {                                                   \
            _Pragma("GCC unroll 16") for (int j = 0; j < (count); j++) sums[j] = sums[j] * factor + term;    \
        }                                                                                                    \
        for (int j = 1; j < (count); j++)                                                                    \
            sums[0] += sums[j];                                                                              \
        memcpy(sink, &sums[0], sizeof sums[0]);                                                              \
        return 2.0 * 16 * (count) * (double)rounds;                                                          \
    }

#if defined(__x86_64__)
#include <immintrin.h>

READ_LOOP(read_avx512, __attribute__((target("avx512f"))))
READ_LOOP(read_avx2, __attribute__((target("avx2"))))
READ_LOOP(read_base, )
FMA_LOOP(fma_avx512, __attribute__((target("avx512f"))), 12)
FMA_LOOP(fma_avx2, __attribute__((target("avx2,fma"))), 5)
FMA_LOOP(fma_base, , 3)

uint64_t qvl_limit_read(const void *data, int64_t bytes, int64_t passes)
{
    return __builtin_cpu_supports("avx512f") ? read_avx512(data, bytes, passes)
           : __builtin_cpu_supports("avx2")  ? read_avx2(data, bytes, passes)
                                             : read_base(data, bytes, passes);
}

double qvl_limit_fma(int64_t rounds, float *sink)
{
    return __builtin_cpu_supports("avx512f")                                 ? fma_avx512(rounds, sink)
           : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? fma_avx2(rounds, sink)
                                                                             : fma_base(rounds, sink);
}

const char *qvl_limit_fma_name(void)
{
    return __builtin_cpu_supports("avx512f")                                 ? "AVX-512"
           : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "AVX2"
                                                                             : "SSE2";
}

__attribute__((target("avx512f,avx512bf16"))) static double dot_avx512(int64_t rounds, float *sink)
{
    enum { CHAINS = 24 };
    __m512 sums[CHAINS];
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3c003c00), b = (__m512bh)_mm512_set1_epi32(0x3c803c80);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = _mm512_set1_ps((float)j);
    for (int64_t round = 0; round < rounds; round++)
#pragma GCC unroll 24
        for (int j = 0; j < CHAINS; j++)
            sums[j] = _mm512_dpbf16_ps(sums[j], a, b);
    for (int j = 1; j < CHAINS; j++)
        sums[0] = _mm512_add_ps(sums[0], sums[j]);
    _mm512_storeu_ps(sink, sums[0]);
    return 4.0 * 16 * CHAINS * (double)rounds;
}

double qvl_limit_bf16_dot(int64_t rounds, float *sink)
{
    return __builtin_cpu_supports("avx512bf16") ? dot_avx512(rounds, sink) : 0;
}

#if defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Layout that ldtilecfg reads: palette 1, eight tiles of 16 rows of 64 bytes. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* CPUID leaf 7: EDX bit 24 AMX-TILE, bit 22 AMX-BF16; and the kernel lets this process keep tile data. */
static bool has_tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl, from asm/prctl.h of Linux 5.16 */
    unsigned a, b, c, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1) || !(d >> 22 & 1))
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Four accumulating tiles from two by two, as in a matrix product; each call is 16 x 16 x 32 multiply-adds.
 */
__attribute__((target("amx-tile,amx-bf16"))) static double multiply_tiles(int64_t rounds, float *sink)
{
    struct tile_config config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = 16;
    }
    _tile_loadconfig(&config);
    memset(sink, 0, 1024);
    _tile_loadd(4, sink, 64);
    _tile_loadd(5, sink, 64);
    _tile_loadd(6, sink, 64);
    _tile_loadd(7, sink, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sink, 64);
    _tile_release();
    return 4.0 * 2 * 16 * 16 * 32 * (double)rounds;
}

double qvl_limit_bf16_tile(int64_t rounds, float *sink)
{
    return has_tiles() ? multiply_tiles(rounds, sink) : 0;
}
#else
double qvl_limit_bf16_tile(int64_t rounds, float *sink)
{
    (void)rounds;
    (void)sink;
    return 0;
}
#endif

#else /* other processors: what the compiler makes of vectors of 64 bytes */

READ_LOOP(read_base, )
FMA_LOOP(fma_base, , 5)

uint64_t qvl_limit_read(const void *data, int64_t bytes, int64_t passes)
{
    return read_base(data, bytes, passes);
}

double qvl_limit_fma(int64_t rounds, float *sink)
{
    return fma_base(rounds, sink);
}

const char *qvl_limit_fma_name(void)
{
    return "vectors of 64 bytes";
}

double qvl_limit_bf16_dot(int64_t rounds, float *sink)
{
    (void)rounds;
    (void)sink;
    return 0;
}

double qvl_limit_bf16_tile(int64_t rounds, float *sink)
{
    (void)rounds;
    (void)sink;
    return 0;
}
#endif
