/* Blocked attention over the keys of one head (attend.h).
 *
 * Softmax runs online over blocks of keys. For row i: most[i] is the largest score so far, sum[i] the sum of
 * exp(score - most[i]), out[i] the sum of exp(score - most[i]) * v. Few rows: our own loops read keys and
 * values in their storage type, all query heads of a group in one pass. Many rows: both products of a block
 * are sgemm. Only keys that a row sees are read for it, so NaN in rows that it does not see never reaches it.
 */
#include "attend.h"

#define BLOCK 256 /* keys of a block */

/* The query rows of a task and their sums. */
struct sums {
    int64_t count, dim;
    float *q;          /* [count, dim] */
    int64_t *visible;  /* [count]: row i sees keys 0 .. visible[i]-1 */
    float *out;        /* [count, dim] */
    float *most, *sum; /* [count] */
};

/* Scores of one row become exp(score - most); what was summed before is scaled to the new largest score.
 * Returns the factor for the row of `out`. */
static float soften(const struct cpu_simd *simd, float *scores, float scale, int64_t count, float *most,
                    float *sum)
{
    float largest = simd->scale_max(scores, scale, count);
    float before = *most, factor;
    largest = largest > before ? largest : before;
    if (largest == -INFINITY && qvl_cpu_none_is_nan(scores, count)) {
        memset(scores, 0, (size_t)count * sizeof *scores); /* every key has weight zero so far */
        return 1;
    }
    factor = before == largest ? 1.0f : expf(before - largest);
    *sum = *sum * factor + simd->exp_sum(scores, largest, count);
    *most = largest;
    return factor;
}

/* A block of keys as float32: where they lie, or widened into `wide`. */
static const float *wide_keys(const struct cpu_simd *simd, enum qvl_dtype dtype, const char *from,
                              int64_t stride, int64_t count, int64_t dim, float *wide, int64_t *wide_stride)
{
    int64_t bytes = stride * (int64_t)qvl_dtype_bytes(dtype);
    if (dtype == QVL_F32 && stride >= dim && stride <= INT32_MAX) {
        *wide_stride = stride;
        return (const float *)(const void *)from;
    }
    for (int64_t j = 0; j < count; j++)
        simd->load(dtype, from + j * bytes, wide + j * dim, dim);
    *wide_stride = dim;
    return wide;
}

/* out += p v where no row of v may touch the rows of out that do not see it. */
static void add_values(const struct cpu_state *state, const struct sums *rows, const float *scores,
                       const float *v, int64_t v_stride, int64_t first, int64_t count)
{
    const struct cpu_simd *simd = state->simd;
    int64_t dim = rows->dim;
    bool all_see = true, finite = true;
    for (int64_t i = 0; i < rows->count; i++)
        all_see = all_see && rows->visible[i] - first >= count;
    for (int64_t j = 0; j < count && !all_see && finite; j++)
        finite = simd->all_finite(v + j * v_stride, dim);
    if (all_see || finite) {
        state->blas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows->count, (blasint)dim,
                          (blasint)count, 1.0f, scores, BLOCK, v, (blasint)v_stride, 1.0f, rows->out,
                          (blasint)dim);
        return;
    }
    for (int64_t i = 0; i < rows->count; i++) { /* zero times NaN would be NaN: leave unseen keys out */
        int64_t seen = qvl_cpu_least(count, rows->visible[i] - first);
        if (seen > 0)
            simd->axpy(QVL_F32, v, v_stride, seen, scores + i * BLOCK, BLOCK, 1, dim, rows->out + i * dim,
                       dim);
    }
}

static void many_rows_block(const struct cpu_state *state, const struct attend_keys *keys,
                            const struct sums *rows, float scale, int64_t first, int64_t count, float *work)
{
    const struct cpu_simd *simd = state->simd;
    int64_t dim = rows->dim, size = (int64_t)qvl_dtype_bytes(keys->dtype), k_stride, v_stride;
    float *scores = work, *wide_k = scores + rows->count * BLOCK, *wide_v = wide_k + BLOCK * dim;
    const float *k = wide_keys(simd, keys->dtype, keys->k + first * keys->k_stride * size, keys->k_stride,
                               count, dim, wide_k, &k_stride);
    const float *v = wide_keys(simd, keys->dtype, keys->v + first * keys->v_stride * size, keys->v_stride,
                               count, dim, wide_v, &v_stride);
    state->blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows->count, (blasint)count,
                      (blasint)dim, 1.0f, rows->q, (blasint)dim, k, (blasint)k_stride, 0.0f, scores, BLOCK);
    for (int64_t i = 0; i < rows->count; i++) {
        float *own = scores + i * BLOCK;
        int64_t seen = qvl_cpu_least(count, rows->visible[i] - first);
        float factor = 1;
        if (seen > 0)
            factor = soften(simd, own, scale, seen, &rows->most[i], &rows->sum[i]);
        else
            seen = 0;
        memset(own + seen, 0, (size_t)(count - seen) * sizeof *own);
        if (factor != 1)
            simd->multiply(rows->out + i * dim, factor, dim);
    }
    add_values(state, rows, scores, v, v_stride, first, count);
}

/* The same with our own loops; `count` keys are seen by rows `row` .. `row + n` alike. */
static void few_rows_block(const struct cpu_simd *simd, const struct attend_keys *keys,
                           const struct sums *rows, int64_t row, int64_t n, float scale, int64_t first,
                           int64_t count, float *scores)
{
    int64_t dim = rows->dim, size = (int64_t)qvl_dtype_bytes(keys->dtype);
    simd->dot(keys->dtype, keys->k + first * keys->k_stride * size, keys->k_stride, count,
              rows->q + row * dim, dim, n, dim, scores, BLOCK);
    for (int64_t i = 0; i < n; i++) {
        float factor =
            soften(simd, scores + i * BLOCK, scale, count, &rows->most[row + i], &rows->sum[row + i]);
        if (factor != 1)
            simd->multiply(rows->out + (row + i) * dim, factor, dim);
    }
    simd->axpy(keys->dtype, keys->v + first * keys->v_stride * size, keys->v_stride, count, scores, BLOCK, n,
               dim, rows->out + row * dim, dim);
}

static void few_rows(const struct cpu_simd *simd, const struct attend_keys *keys, const struct sums *rows,
                     float scale, int64_t first, int64_t count, float *scores)
{
    for (int64_t row = 0, n; row < rows->count; row += n) {
        int64_t seen = qvl_cpu_least(count, rows->visible[row] - first);
        for (n = 1; row + n < rows->count && rows->visible[row + n] == rows->visible[row];)
            n++;
        if (seen > 0)
            few_rows_block(simd, keys, rows, row, n, scale, first, seen, scores);
    }
}

/* Add the keys of the task. `work` has room for the scores of a block and its widened keys and values. */
static void add_keys(const struct cpu_state *state, const struct attend_task *task, const struct sums *rows,
                     float scale, float *work)
{
    const struct cpu_simd *simd = state->simd;
    for (int64_t j = task->key_first; j < task->key_end; j += BLOCK) {
        int64_t count = qvl_cpu_least(BLOCK, task->key_end - j);
        if (qvl_cpu_attend_is_few(rows->count))
            few_rows(simd, &task->keys, rows, scale, j, count, work);
        else
            many_rows_block(state, &task->keys, rows, scale, j, count, work);
    }
}

/* Query rows of the task as float32, padded with zeros to the length of a key row, and empty sums. */
static void begin(const struct cpu_simd *simd, const struct attend_call *call, const struct attend_task *task,
                  const struct sums *rows)
{
    int64_t dim = call->q->shape[2];
    for (int64_t i = 0; i < task->rows; i++)
        for (int64_t h = 0; h < task->heads; h++) {
            int64_t row = i * task->heads + h;
            float *q = rows->q + row * rows->dim;
            simd->load(call->q->dtype, qvl_cpu_at2(call->q, task->first + i, task->head + h), q, dim);
            memset(q + dim, 0, (size_t)(rows->dim - dim) * sizeof *q);
            rows->visible[row] = task->visible + i * task->step;
            rows->most[row] = -INFINITY;
            rows->sum[row] = 0;
        }
    memset(rows->out, 0, (size_t)(rows->count * rows->dim) * sizeof *rows->out);
}

/* Add the sums of another part of the keys. */
static void merge(const struct sums *rows, const struct sums *part)
{
    for (int64_t i = 0; i < rows->count; i++) {
        float most = rows->most[i] > part->most[i] ? rows->most[i] : part->most[i];
        float own = rows->most[i] == most ? 1.0f : expf(rows->most[i] - most);
        float other = part->most[i] == most ? 1.0f : expf(part->most[i] - most);
        for (int64_t d = i * rows->dim; d < (i + 1) * rows->dim; d++)
            rows->out[d] = rows->out[d] * own + part->out[d] * other;
        rows->sum[i] = rows->sum[i] * own + part->sum[i] * other;
        rows->most[i] = most;
    }
}

/* y = out / sum; zeros for a row that saw no key. */
static void finish(const struct cpu_simd *simd, const struct attend_call *call,
                   const struct attend_task *task, const struct sums *rows)
{
    for (int64_t row = 0; row < rows->count; row++) {
        float *out = rows->out + row * rows->dim;
        for (int64_t d = 0; d < rows->dim; d++)
            out[d] = rows->sum[row] == 0 ? 0.0f : out[d] / rows->sum[row];
        simd->store(call->y->dtype, out,
                    qvl_cpu_at2(call->y, task->first + row / task->heads, task->head + row % task->heads),
                    call->y->shape[2]);
    }
}

/* The sums that a part keeps in its own memory. */
static struct sums part_sums(const struct attend_call *call, const struct attend_task *task)
{
    int64_t count = task->rows * task->heads;
    return (struct sums){.count = count,
                         .dim = call->dim,
                         .out = task->part,
                         .most = task->part + count * call->dim,
                         .sum = task->part + count * (call->dim + 1)};
}

/* Floats of each thread: query rows, sums, scores, widened keys and values; the visible counts as int64. */
static int64_t thread_floats(int64_t count, int64_t dim)
{
    return 2 * count * dim + 2 * count + count * BLOCK + 2 * BLOCK * dim + 2 * count;
}

static void run_task(const struct cpu_state *state, const struct attend_call *call,
                     const struct attend_task *task, float *memory)
{
    const struct cpu_simd *simd = state->simd;
    int64_t count = task->rows * task->heads, dim = call->dim;
    struct sums rows = {.count = count, .dim = dim};
    float *work;
    rows.visible = (int64_t *)(void *)memory;
    rows.q = memory + 2 * count;
    rows.out = rows.q + count * dim;
    rows.most = rows.out + count * dim;
    rows.sum = rows.most + count;
    work = rows.sum + count;
    if (task->part) {
        struct sums own = part_sums(call, task);
        rows.out = own.out;
        rows.most = own.most;
        rows.sum = own.sum;
    }
    begin(simd, call, task, &rows);
    add_keys(state, task, &rows, call->scale, work);
    if (!task->part)
        finish(simd, call, task, &rows);
}

static bool same_rows(const struct attend_task *a, const struct attend_task *b)
{
    return a->first == b->first && a->head == b->head;
}

static void merge_parts(const struct cpu_simd *simd, const struct attend_call *call)
{
    for (int64_t t = 0, next; t < call->count; t = next) {
        struct sums rows;
        next = t + 1;
        if (!call->task[t].part)
            continue;
        rows = part_sums(call, &call->task[t]);
        for (; next < call->count && same_rows(&call->task[t], &call->task[next]); next++) {
            struct sums part = part_sums(call, &call->task[next]);
            merge(&rows, &part);
        }
        finish(simd, call, &call->task[t], &rows);
    }
}

enum qvl_status qvl_cpu_attend(struct cpu_state *state, const struct attend_call *call,
                               struct qvl_error *error)
{
    int64_t most = 0, macs = 0, each;
    float *memory;
    for (int64_t t = 0; t < call->count; t++) {
        const struct attend_task *task = &call->task[t];
        int64_t rows = task->rows * task->heads;
        most = rows > most ? rows : most;
        macs += rows * (task->key_end - task->key_first) * call->dim;
    }
    each = (thread_floats(most, call->dim) + 15) / 16 * 16; /* whole cache lines */
    CPU_SCRATCH(state, memory, each * 4 * state->threads, error);
#pragma omp parallel num_threads(qvl_cpu_team(state, macs / CPU_MAC))
    {
        qvl_cpu_single_blas();
#pragma omp for schedule(dynamic)
        for (int64_t t = 0; t < call->count; t++)
            run_task(state, call, &call->task[t], memory + each * qvl_cpu_thread());
    }
    merge_parts(state->simd, call);
    return QVL_OK;
}
