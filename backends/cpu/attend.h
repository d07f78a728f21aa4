/* Attention of a few query rows over the keys and values of one head: the part that text and vision share.
 *
 * Softmax runs online over blocks of keys. For row i: most[i] is the largest score so far, sum[i] the sum of
 * exp(score - most[i]), out[i] the sum of exp(score - most[i]) * v. Only keys that a row sees are read for
 * it, so NaN in rows that it does not see never reaches it. Scores and probabilities stay float32. */
#ifndef QVL_CPU_ATTEND_H
#define QVL_CPU_ATTEND_H

#include "cpu_state.h"

/* Keys and values of one head; row j at k + j * k_stride elements. */
struct attend_keys {
    const char *k, *v; /* borrowed */
    enum qvl_dtype dtype;
    int64_t k_stride, v_stride;
};

/* Query rows first .. first+rows-1 of q with heads head .. head+heads-1, which all read the same keys. Row i
 * of the task sees keys 0 .. visible + i*step - 1 (none when that is not positive). */
struct attend_task {
    struct attend_keys keys;
    int64_t first, rows;
    int64_t head, heads;
    int64_t visible, step;      /* step: 1 causal, 0 bidirectional */
    int64_t key_first, key_end; /* the part of the keys that this task adds */
    float *part;                /* NULL, or where the sums of one of several parts of the keys are kept */
};

struct attend_call {
    const struct qvl_tensor *q, *y; /* [n, heads, dim], outer strides free */
    float scale;
    int64_t dim; /* of the key rows: at least that of q, zeros behind it */
    struct attend_task *task;
    int64_t count;
};

/* Query rows (rows times heads) of one task, unless the caller has fewer. */
#define ATTEND_ROWS 256

/* Keys of one task when there are few query rows, a whole number of blocks. */
#define ATTEND_SPLIT 2048

/* Floats that one part keeps for `count` query rows. */
static inline int64_t qvl_cpu_attend_part(int64_t count, int64_t dim)
{
    return count * (dim + 2);
}

/* Query rows that are better served by splitting the keys over the threads. */
static inline bool qvl_cpu_attend_is_few(int64_t count)
{
    return count <= 16;
}

/* Run all tasks and write y. Parts of the same rows follow each other in the list, in the order of the keys.
 */
enum qvl_status qvl_cpu_attend(struct cpu_state *state, const struct attend_call *call,
                               struct qvl_error *error);

#endif
