/* The vector loops of the cpu backend. One source, simd.inc, is compiled once for each instruction set; a
 * backend picks one table when it is opened and passes it around as a value.
 *
 * `dtype` is QVL_F32, QVL_BF16 or QVL_F16. Strides are in elements. Nothing needs alignment beyond that of
 * the element type. Sums are float32 in several lanes; NaN and Inf propagate. */
#ifndef QVL_CPU_SIMD_H
#define QVL_CPU_SIMD_H

#include "cpu.h"

struct cpu_simd {
    int lanes; /* float32 values in one vector */

    /* to[i] = from[i] as float32, and back with round to nearest even. */
    void (*load)(enum qvl_dtype dtype, const void *from, float *to, int64_t count);
    void (*store)(enum qvl_dtype dtype, const float *from, void *to, int64_t count);
    /* values[i] = the nearest value of the type. */
    void (*round)(enum qvl_dtype dtype, float *values, int64_t count);

    /* out[i*out_stride + r] = sum_k x[i*x_stride + k] * w[r*w_stride + k], n rows of x, `rows` rows of w. */
    void (*dot)(enum qvl_dtype dtype, const void *w, int64_t w_stride, int64_t rows, const float *x,
                int64_t x_stride, int64_t n, int64_t depth, float *out, int64_t out_stride);
    /* out[i*out_stride + c] += sum_k x[i*x_stride + k] * w[k*w_stride + c], `depth` rows of w. */
    void (*axpy)(enum qvl_dtype dtype, const void *w, int64_t w_stride, int64_t depth, const float *x,
                 int64_t x_stride, int64_t n, int64_t columns, float *out, int64_t out_stride);

    /* values *= factor; returns the largest value, ignoring NaN (-INFINITY when there is none). */
    float (*scale_max)(float *values, float factor, int64_t count);
    /* values = exp(values - shift); returns their sum. */
    float (*exp_sum)(float *values, float shift, int64_t count);
    void (*multiply)(float *values, float factor, int64_t count);    /* values *= factor */
    float (*sum_squares)(const float *values, int64_t count);        /* sum values^2 */
    float (*dot_f32)(const float *a, const float *b, int64_t count); /* sum a*b */
    void (*silu)(float *values, int64_t count);                      /* x / (1 + exp(-x)) */
    void (*gelu_tanh)(float *values, int64_t count);                 /* tanh form of GELU */
    bool (*all_finite)(const float *values, int64_t count);
};

/* The table of an instruction set, or NULL when it is not compiled in. */
const struct cpu_simd *qvl_cpu_simd(enum qvl_cpu_isa isa);

extern const struct cpu_simd qvl_cpu_simd_base;
#if defined(__x86_64__)
extern const struct cpu_simd qvl_cpu_simd_avx2;
extern const struct cpu_simd qvl_cpu_simd_avx512;
#endif

#endif
