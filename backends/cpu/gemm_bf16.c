/* Products of bf16 rows and bf16 weights on the bf16 instructions of the CPU (bf16.h). A task is one panel of
 * outputs for a block of rows; its weights are packed piece by piece into the first-level cache. */
#include "bf16.h"
#include "gemm.h"

#define BLOCK_ROWS 1024 /* rows that a packed panel serves */
#define PIECE 512       /* inputs packed at a time: 32 KiB */

static int64_t padded(int64_t count, int64_t unit)
{
    return (count + unit - 1) / unit * unit;
}

/* Rows of x copied to memory where rows and inputs are padded with zeros. One more line a row, so that rows
 * do not fall on the same cache sets. */
struct packed_rows {
    uint16_t *data;
    int64_t stride, count; /* count includes the padding */
};

static void pack_rows(const struct product *product, int64_t row0, int64_t count, struct packed_rows *rows)
{
    const struct qvl_tensor *x = product->x;
    int64_t in = x->shape[1];
    rows->count = padded(count, BF16_ROWS);
#pragma omp parallel for num_threads(qvl_cpu_team(product->state, count *in)) schedule(static)
    for (int64_t i = 0; i < rows->count; i++) {
        uint16_t *to = rows->data + i * rows->stride;
        int64_t used = i < count ? in : 0;
        if (used)
            memcpy(to, qvl_cpu_at(x, row0 + i), (size_t)used * sizeof *to);
        memset(to + used, 0, (size_t)(rows->stride - used) * sizeof *to);
    }
}

static void panel_task(const struct product *product, const struct packed_rows *rows, int64_t row0,
                       int64_t count, int64_t first, uint16_t *panel, float *sums)
{
    const struct cpu_matrix *weight = product->weight;
    int64_t out = qvl_cpu_least(BF16_PANEL, weight->out - first);
    int64_t stride = weight->input_first ? weight->out : weight->in;
    for (int64_t k = 0; k < weight->in; k += PIECE) {
        int64_t depth = qvl_cpu_least(PIECE, weight->in - k);
        const void *w = qvl_cpu_weight_at(weight, first, k);
        qvl_cpu_bf16_pack(w, stride, out, depth, weight->input_first, panel);
        product->state->bf16->multiply(panel, rows->data + k, rows->stride, rows->count,
                                       padded(depth, BF16_DEPTH), k > 0, sums);
    }
    for (int64_t i = 0; i < count; i++)
        qvl_cpu_finish_row(product, sums + i * BF16_PANEL, row0 + i, first, out);
}

bool qvl_cpu_gemm_bf16_fits(const struct product *product)
{
    return product->state->bf16 && product->x->dtype == QVL_BF16 && product->weight->dtype == QVL_BF16;
}

enum qvl_status qvl_cpu_gemm_bf16(struct cpu_state *state, const struct product *product,
                                  struct qvl_error *error)
{
    int64_t n = product->x->shape[0], block = qvl_cpu_least(n, BLOCK_ROWS);
    int64_t panel_bytes = PIECE * BF16_PANEL * 2;
    int64_t each = panel_bytes + padded(block, BF16_ROWS) * BF16_PANEL * 4;
    struct packed_rows rows = {.stride = padded(product->weight->in, BF16_DEPTH) + 32};
    char *own;
    CPU_SCRATCH(state, rows.data, padded(block, BF16_ROWS) * rows.stride * 2, error);
    CPU_SCRATCH(state, own, each * state->threads, error);
    for (int64_t row0 = 0; row0 < n; row0 += block) {
        int64_t count = qvl_cpu_least(block, n - row0);
        pack_rows(product, row0, count, &rows);
#pragma omp parallel for num_threads(qvl_cpu_product_team(product)) schedule(dynamic)
        for (int64_t first = 0; first < product->weight->out; first += BF16_PANEL) {
            char *memory = own + each * qvl_cpu_thread();
            panel_task(product, &rows, row0, count, first, (uint16_t *)(void *)memory,
                       (float *)(void *)(memory + panel_bytes));
        }
    }
    return QVL_OK;
}
