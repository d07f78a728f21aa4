/* Packing of bf16 weights, and their product by vdpbf16ps (compiled for AVX512-BF16, run only where the CPU
 * has it). */
#include "bf16.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Pairs p of 16 outputs (row r of in[] holds pairs 0..15 of output r) become rows of outputs: in[p] lane r.
 */
static void transpose(__m512i in[16])
{
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(in[i], in[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(in[i], in[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
            b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    for (int j = 0; j < 4; j++) { /* b[4g + j], 128-bit lane l: pair 4l + j of outputs 4g .. 4g+3 */
        __m512i low = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88),
                high = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
        __m512i low2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
        __m512i high2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
        in[j] = _mm512_shuffle_i32x4(low, low2, 0x88);
        in[8 + j] = _mm512_shuffle_i32x4(low, low2, 0xdd);
        in[4 + j] = _mm512_shuffle_i32x4(high, high2, 0x88);
        in[12 + j] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
}

static __mmask32 first_bits(int64_t count)
{
    return count >= 32 ? 0xffffffffU : count <= 0 ? 0 : (1U << count) - 1;
}

static void pack_output_first(const uint16_t *w, int64_t stride, int64_t out, int64_t depth, uint16_t *panel)
{
    for (int64_t k = 0; k < depth; k += 32)
        for (int64_t half = 0; half < BF16_PANEL; half += 16) {
            __m512i lines[16];
            for (int64_t o = 0; o < 16; o++)
                lines[o] = half + o < out
                               ? _mm512_maskz_loadu_epi16(first_bits(depth - k), w + (half + o) * stride + k)
                               : _mm512_setzero_si512();
            transpose(lines);
            for (int64_t p = 0; p < 16; p++)
                _mm512_storeu_si512(panel + (k + 2 * p) * BF16_PANEL + 2 * half, lines[p]);
        }
}

static void pack_input_first(const uint16_t *w, int64_t stride, int64_t out, int64_t depth, uint16_t *panel)
{
    int64_t padded = (depth + BF16_DEPTH - 1) / BF16_DEPTH * BF16_DEPTH;
    for (int64_t k = 0; k < padded; k += 2)
        for (int64_t half = 0; half < BF16_PANEL; half += 16) {
            __mmask16 mask = (__mmask16)first_bits(out - half < 16 ? out - half : 16);
            __mmask16 one = k < depth ? mask : 0, two = k + 1 < depth ? mask : 0;
            __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(one, w + k * stride + half));
            __m512i odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(two, w + (k + 1) * stride + half));
            _mm512_storeu_si512(panel + k * BF16_PANEL + 2 * half,
                                _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
        }
}

void qvl_cpu_bf16_pack(const uint16_t *w, int64_t stride, int64_t out, int64_t depth, bool input_first,
                       uint16_t *panel)
{
    if (input_first)
        pack_input_first(w, stride, out, depth, panel);
    else
        pack_output_first(w, stride, out, depth, panel);
}

/* R rows (a constant) by 32 outputs: 2R sums in registers. */
static inline __attribute__((always_inline)) void multiply_rows(int R, const uint16_t *panel,
                                                                const uint16_t *x, int64_t x_stride,
                                                                int64_t depth, bool add, float *sums)
{
    __m512 sum[12][2];
    for (int i = 0; i < R; i++)
        for (int h = 0; h < 2; h++)
            sum[i][h] = add ? _mm512_loadu_ps(sums + i * BF16_PANEL + 16 * h) : _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k += 2) {
        __m512i w0 = _mm512_loadu_si512(panel + k * BF16_PANEL);
        __m512i w1 = _mm512_loadu_si512(panel + k * BF16_PANEL + 32);
        for (int i = 0; i < R; i++) {
            int32_t pair;
            memcpy(&pair, x + i * x_stride + k, sizeof pair);
            __m512i xs = _mm512_set1_epi32(pair);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], (__m512bh)xs, (__m512bh)w0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], (__m512bh)xs, (__m512bh)w1);
        }
    }
    for (int i = 0; i < R; i++)
        for (int h = 0; h < 2; h++)
            _mm512_storeu_ps(sums + i * BF16_PANEL + 16 * h, sum[i][h]);
}

static void multiply(const uint16_t *panel, const uint16_t *x, int64_t x_stride, int64_t rows, int64_t depth,
                     bool add, float *sums)
{
    for (int64_t i = 0; i < rows; i += BF16_ROWS) { /* 32 = 12 + 12 + 8 */
        multiply_rows(12, panel, x + i * x_stride, x_stride, depth, add, sums + i * BF16_PANEL);
        multiply_rows(12, panel, x + (i + 12) * x_stride, x_stride, depth, add, sums + (i + 12) * BF16_PANEL);
        multiply_rows(8, panel, x + (i + 24) * x_stride, x_stride, depth, add, sums + (i + 24) * BF16_PANEL);
    }
}

const struct cpu_bf16 *qvl_cpu_bf16_avx512(void)
{
    static const struct cpu_bf16 table = {multiply};
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") ? &table : NULL;
}

#else

void qvl_cpu_bf16_pack(const uint16_t *w, int64_t stride, int64_t out, int64_t depth, bool input_first,
                       uint16_t *panel)
{
    (void)w, (void)stride, (void)out, (void)depth, (void)input_first, (void)panel;
}

const struct cpu_bf16 *qvl_cpu_bf16_avx512(void)
{
    return NULL;
}

#endif
