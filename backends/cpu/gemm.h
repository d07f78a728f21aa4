/* What gemm.c and gemm_bf16.c share. */
#ifndef QVL_CPU_GEMM_H
#define QVL_CPU_GEMM_H

#include "cpu_state.h"

/* One matrix product, as its tasks see it. */
struct product {
    const struct cpu_state *state;
    const struct qvl_tensor *x, *y;
    const struct cpu_matrix *weight;
    const float *bias; /* float32 copy, or NULL */
    const float *rows; /* the rows of x in work, as float32 */
    int64_t rows_stride;
};

/* Where the weight of output `out` and input `in` lies. */
const char *qvl_cpu_weight_at(const struct cpu_matrix *weight, int64_t out, int64_t in);

/* Add the bias to `count` sums and store them, rounded, in row `row` of y from column `first` on. */
void qvl_cpu_finish_row(const struct product *product, float *sums, int64_t row, int64_t first,
                        int64_t count);

/* Threads that the product is worth. */
int qvl_cpu_product_team(const struct product *product);

/* Both factors are bf16 and the backend was opened with bf16 instructions. */
bool qvl_cpu_gemm_bf16_fits(const struct product *product);
enum qvl_status qvl_cpu_gemm_bf16(struct cpu_state *state, const struct product *product,
                                  struct qvl_error *error);

#endif
