/* The matrix product of every op: rows of x times a weight as it is stored.
 *
 * Few rows (decode): our own dot products over the weight in its storage type, which is read once, so the
 * speed is that of memory. Many rows: OpenBLAS sgemm on blocks; weights (and rows) of 16-bit types are
 * widened block by block into memory that fits the second-level cache, unless the CPU multiplies bf16 itself
 * (gemm_bf16.c). Blocks have fixed sizes, each is one
 * task, and sgemm runs on the calling thread only, so the result does not depend on the number of threads. */
#include "gemm.h"

#define FEW_ROWS 16      /* up to here the product is bound by reading the weight */
#define GEMV_OUT 64      /* outputs of one task of a few-row product */
#define GEMV_COLUMNS 256 /* the same for an input-first weight: whole lines of each row */
#define BLOCK_ROWS 512   /* rows of x in a block */
#define BLOCK_OUT 256    /* outputs in a block */
#define BLOCK_IN 512     /* inputs of a widened block: 512 KiB of weight */

const char *qvl_cpu_weight_at(const struct cpu_matrix *weight, int64_t out, int64_t in)
{
    int64_t index = weight->input_first ? in * weight->out + out : out * weight->in + in;
    return (const char *)weight->data + index * (int64_t)qvl_dtype_bytes(weight->dtype);
}

void qvl_cpu_finish_row(const struct product *product, float *sums, int64_t row, int64_t first, int64_t count)
{
    enum qvl_dtype dtype = product->y->dtype;
    char *to = qvl_cpu_at(product->y, row) + first * (int64_t)qvl_dtype_bytes(dtype);
    if (product->bias)
        for (int64_t o = 0; o < count; o++)
            sums[o] += product->bias[first + o];
    if (to != (char *)sums)
        product->state->simd->store(dtype, sums, to, count);
}

int qvl_cpu_product_team(const struct product *product)
{
    const struct cpu_matrix *weight = product->weight;
    return qvl_cpu_team(product->state, product->x->shape[0] * weight->out * weight->in / CPU_MAC);
}

static void few_rows_task(const struct product *product, int64_t first, int64_t count)
{
    const struct cpu_simd *simd = product->state->simd;
    const struct cpu_matrix *weight = product->weight;
    float sums[FEW_ROWS][GEMV_COLUMNS];
    int64_t n = product->x->shape[0];
    if (weight->input_first) {
        memset(sums, 0, sizeof sums);
        simd->axpy(weight->dtype, qvl_cpu_weight_at(weight, first, 0), weight->out, weight->in, product->rows,
                   product->rows_stride, n, count, sums[0], GEMV_COLUMNS);
    } else {
        simd->dot(weight->dtype, qvl_cpu_weight_at(weight, first, 0), weight->in, count, product->rows,
                  product->rows_stride, n, weight->in, sums[0], GEMV_COLUMNS);
    }
    for (int64_t i = 0; i < n; i++)
        qvl_cpu_finish_row(product, sums[i], i, first, count);
}

static void few_rows(const struct product *product)
{
    int64_t out = product->weight->out;
    int64_t step = product->weight->input_first ? GEMV_COLUMNS : GEMV_OUT;
#pragma omp parallel for num_threads(qvl_cpu_product_team(product)) schedule(dynamic)
    for (int64_t first = 0; first < out; first += step)
        few_rows_task(product, first, qvl_cpu_least(step, out - first));
}

/* C = X W^T (accumulated when `beta` is 1), W as stored or widened, its leading dimension `w_stride`. */
static void multiply_block(const struct cpu_blas *blas, int64_t rows, int64_t out, int64_t in, const float *x,
                           int64_t x_stride, const float *w, int64_t w_stride, bool input_first, float beta,
                           float *c, int64_t c_stride)
{
    blas->sgemm(CblasRowMajor, CblasNoTrans, input_first ? CblasNoTrans : CblasTrans, (blasint)rows,
                (blasint)out, (blasint)in, 1.0f, x, (blasint)x_stride, w, (blasint)w_stride, beta, c,
                (blasint)c_stride);
}

/* Widen W[first .. first+out)[in0 .. in0+in) to float32, contiguous in the order it is stored. */
static void widen_block(const struct product *product, int64_t first, int64_t out, int64_t in0, int64_t in,
                        float *to)
{
    const struct cpu_matrix *weight = product->weight;
    if (weight->input_first)
        for (int64_t k = 0; k < in; k++)
            product->state->simd->load(weight->dtype, qvl_cpu_weight_at(weight, first, in0 + k), to + k * out,
                                       out);
    else
        for (int64_t o = 0; o < out; o++)
            product->state->simd->load(weight->dtype, qvl_cpu_weight_at(weight, first + o, in0), to + o * in,
                                       in);
}

/* Sums of `rows` widened rows and outputs first .. first+out) into `sums`. */
static void block_sums(const struct product *product, int64_t rows, int64_t first, int64_t out, float *wide,
                       float *sums, int64_t sums_stride)
{
    const struct cpu_matrix *weight = product->weight;
    const float *x = product->rows;
    if (weight->dtype == QVL_F32) {
        multiply_block(&product->state->blas, rows, out, weight->in, x, product->rows_stride,
                       (const float *)(const void *)qvl_cpu_weight_at(weight, first, 0),
                       weight->input_first ? weight->out : weight->in, weight->input_first, 0, sums,
                       sums_stride);
        return;
    }
    for (int64_t in0 = 0; in0 < weight->in; in0 += BLOCK_IN) {
        int64_t in = qvl_cpu_least(BLOCK_IN, weight->in - in0);
        widen_block(product, first, out, in0, in, wide);
        multiply_block(&product->state->blas, rows, out, in, x + in0, product->rows_stride, wide,
                       weight->input_first ? out : in, weight->input_first, in0 > 0, sums, sums_stride);
    }
}

/* Sums go straight into a float32 output whose stride OpenBLAS can express. */
static bool sums_in_place(const struct qvl_tensor *y)
{
    return y->dtype == QVL_F32 && y->stride[0] <= INT32_MAX;
}

/* One task: a block of outputs for the rows that are widened now (row0 counts from the start of x). */
static void many_rows_task(const struct product *product, int64_t row0, int64_t rows, int64_t first,
                           int64_t out, float *wide, float *sums)
{
    const struct qvl_tensor *y = product->y;
    bool direct = sums_in_place(y);
    float *to = direct ? (float *)(void *)qvl_cpu_at(y, row0) + first : sums;
    int64_t stride = direct ? y->stride[0] : out;
    block_sums(product, rows, first, out, wide, to, stride);
    if (direct && !product->bias)
        return;
    for (int64_t i = 0; i < rows; i++)
        qvl_cpu_finish_row(product, to + i * stride, row0 + i, first, out);
}

/* Rows are used where they lie when they are float32 and OpenBLAS can express their stride. */
static bool rows_in_place(const struct qvl_tensor *x)
{
    return x->dtype == QVL_F32 && x->stride[0] >= x->shape[1] && x->stride[0] <= INT32_MAX;
}

/* x rows row0 .. row0+count as float32, in place or in `wide`. */
static void widen_rows(struct product *product, int64_t row0, int64_t count, float *wide)
{
    const struct qvl_tensor *x = product->x;
    int64_t in = product->weight->in;
    if (rows_in_place(x)) {
        product->rows = (const float *)(const void *)qvl_cpu_at(x, row0);
        product->rows_stride = x->stride[0];
        return;
    }
#pragma omp parallel for num_threads(qvl_cpu_team(product->state, count *in)) schedule(static)
    for (int64_t i = 0; i < count; i++)
        product->state->simd->load(x->dtype, qvl_cpu_at(x, row0 + i), wide + i * in, in);
    product->rows = wide;
    product->rows_stride = in;
}

static enum qvl_status many_rows(struct cpu_state *state, struct product *product, struct qvl_error *error)
{
    const struct cpu_matrix *weight = product->weight;
    int64_t n = product->x->shape[0];
    int64_t block = qvl_cpu_least(n, BLOCK_ROWS);
    int64_t wide_count = weight->dtype == QVL_F32 ? 0 : BLOCK_OUT * BLOCK_IN;
    int64_t sums_count = sums_in_place(product->y) ? 0 : block * BLOCK_OUT;
    int64_t each = wide_count + sums_count;
    float *rows = NULL, *own = NULL;
    if (!rows_in_place(product->x))
        CPU_SCRATCH(state, rows, block * weight->in * 4, error);
    CPU_SCRATCH(state, own, each * 4 * state->threads, error);
    for (int64_t row0 = 0; row0 < n; row0 += block) {
        int64_t count = qvl_cpu_least(block, n - row0);
        widen_rows(product, row0, count, rows);
#pragma omp parallel num_threads(qvl_cpu_product_team(product))
        {
            float *wide = own + each * qvl_cpu_thread();
            qvl_cpu_single_blas();
#pragma omp for schedule(dynamic)
            for (int64_t first = 0; first < weight->out; first += BLOCK_OUT)
                many_rows_task(product, row0, count, first, qvl_cpu_least(BLOCK_OUT, weight->out - first),
                               wide, wide + wide_count);
        }
    }
    return QVL_OK;
}

static enum qvl_status run(struct cpu_state *state, struct product *product, const struct qvl_tensor *bias,
                           struct qvl_error *error)
{
    const struct cpu_matrix *weight = product->weight;
    int64_t n = product->x->shape[0];
    float *rows = NULL;
    if (bias) {
        float *copy;
        CPU_SCRATCH(state, copy, weight->out * 4, error);
        state->simd->load(bias->dtype, bias->data, copy, weight->out);
        product->bias = copy;
    }
    if (n > FEW_ROWS)
        return qvl_cpu_gemm_bf16_fits(product) ? qvl_cpu_gemm_bf16(state, product, error)
                                               : many_rows(state, product, error);
    if (!rows_in_place(product->x))
        CPU_SCRATCH(state, rows, n * weight->in * 4, error);
    widen_rows(product, 0, n, rows);
    few_rows(product);
    return QVL_OK;
}

enum qvl_status qvl_cpu_gemm(struct cpu_state *state, const struct qvl_tensor *x,
                             const struct cpu_matrix *weight, const struct qvl_tensor *bias,
                             const struct qvl_tensor *y, struct qvl_error *error)
{
    struct product product = {.state = state, .x = x, .y = y, .weight = weight};
    struct cpu_mark mark = qvl_cpu_scratch_mark(state);
    enum qvl_status status = QVL_OK;
    if (x->shape[0] > 0)
        status = run(state, &product, bias, error);
    qvl_cpu_scratch_release(state, mark);
    return status;
}
