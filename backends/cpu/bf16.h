/* bf16 matrix products on the CPU's own bf16 instructions: vdpbf16ps (AVX512-BF16) and the tiles of AMX.
 *
 * The weight is packed into panels of BF16_PANEL outputs: pairs of inputs beside each other, out after out,
 * as both instructions want them: panel[pair][out][2]. Products are exact in float32, sums are float32;
 * subnormal inputs and results count as zero, which the tolerances allow for. */
#ifndef QVL_CPU_BF16_H
#define QVL_CPU_BF16_H

#include "cpu.h"

#define BF16_PANEL 32 /* outputs of a panel */
#define BF16_ROWS 32  /* rows of x come in multiples of this */
#define BF16_DEPTH 32 /* inputs come in multiples of this, zeros behind the last */

struct cpu_bf16 {
    /* sums[i][o] (+)= sum_k x[i][k] panel[k/2][o][k%2] for `rows` rows; `add` keeps what sums held. x has
     * x_stride elements a row, sums BF16_PANEL. */
    void (*multiply)(const uint16_t *panel, const uint16_t *x, int64_t x_stride, int64_t rows, int64_t depth,
                     bool add, float *sums);
};

/* Pack `out` <= BF16_PANEL outputs and `depth` inputs of a weight into a panel, zeros where they do not fill
 * it. Output o begins at w + o * stride, its inputs follow each other; input_first: input k begins at w + k *
 * stride. */
void qvl_cpu_bf16_pack(const uint16_t *w, int64_t stride, int64_t out, int64_t depth, bool input_first,
                       uint16_t *panel);

/* NULL when the machine or the build lacks the instructions. */
const struct cpu_bf16 *qvl_cpu_bf16_avx512(void);
const struct cpu_bf16 *qvl_cpu_bf16_amx(void);

#endif
