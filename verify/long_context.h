/* A long sequence of keys and values, made chunk by chunk from counters, and queries whose answers are known
 * without a reference of that length. Internal to verify/.
 *
 * Keys: uniform in [-1, 1) with all bits of the type, but zero in the first QVL_LONG_PLANTS channels, which
 * belong to the planted keys: plant i has QVL_LONG_KEY in channel (i + g) mod QVL_LONG_PLANTS of KV head g.
 * A query of qvl_long_weight in that channel alone scores about 64 on plant i and 0 on every other key: far
 * enough that the others have no weight, near enough that their weights are normal float32 numbers.
 * Values: the first half of the lanes in [0.5, 1) with all bits of the type, the others whole numbers from -3
 * to 3. */
#ifndef QVL_VERIFY_LONG_CONTEXT_H
#define QVL_VERIFY_LONG_CONTEXT_H

#include "verify/verify.h"

#define QVL_LONG_PLANTS 20
#define QVL_LONG_KEY 8.0
#define QVL_LONG_SAMPLES 4

/* What a query row asks. */
enum qvl_long_kind {
    QVL_LONG_PLANT,   /* one planted key: its value */
    QVL_LONG_PAIR,    /* two planted keys: the mean of their values */
    QVL_LONG_UNIFORM, /* nothing, or a planted key that it must not see: the mean of what it sees */
    QVL_LONG_SAMPLED  /* a random query: computed in double over all keys */
};

struct qvl_long_question {
    enum qvl_long_kind kind;
    int plant[2];
    int sample; /* index among the sampled queries */
};

struct qvl_long {
    uint64_t seed;
    enum qvl_dtype dtype;
    int64_t keys, kv_heads, heads, d;
    int64_t rows;        /* of queries */
    double scale;        /* of the scores: float32(1 / sqrt(d)) */
    int64_t *low, *high; /* [rows]: row r sees keys low[r] .. high[r]-1; high ascending, low too */
    int64_t plants[QVL_LONG_PLANTS]; /* positions, ascending */
    int plant_count;
    int64_t sample_row[QVL_LONG_SAMPLES], sample_head[QVL_LONG_SAMPLES];
    int sample_count;
};

/* Add a planted key unless it is there or beyond the sequence. */
void qvl_long_plant(struct qvl_long *context, int64_t position);

/* Choose the sampled queries among the rows, the last first. After the plants and the rows. */
void qvl_long_choose_samples(struct qvl_long *context, int count);

struct qvl_long_question qvl_long_ask(const struct qvl_long *context, int64_t row, int64_t head);

/* Keys or values first .. first+count-1 in storage type, [count, kv_heads, d]. */
void qvl_long_keys(const struct qvl_long *context, int64_t first, int64_t count, void *raw);
void qvl_long_values(const struct qvl_long *context, int64_t first, int64_t count, void *raw);

/* A query's entry in the channel of its plant, and what the plant scores more than other keys. */
double qvl_long_weight(const struct qvl_long *context);
double qvl_long_gap(const struct qvl_long *context);

/* The query of one head, [d]. */
void qvl_long_query(const struct qvl_long *context, int64_t row, int64_t head, double *query);

/* ---- what must come out ---- */

/* The answers, as the sequence passes by. */
struct qvl_long_truth {
    const struct qvl_long *context;
    struct qvl_math math; /* of the candidate */
    double *sums;         /* [kv_heads, d]: of the values so far */
    double *low, *high;   /* [rows, kv_heads, d]: `sums` before the first key of the row and after its last */
    double *score[QVL_LONG_SAMPLES], *score_bound[QVL_LONG_SAMPLES]; /* [keys] */
    double *query;                                                   /* [samples, d] */
    double *answer, *answer_bound;                                   /* [samples, d] */
};

enum qvl_status qvl_long_truth_open(struct qvl_long_truth *truth, const struct qvl_long *context,
                                    const struct qvl_math *math, struct qvl_error *error);
void qvl_long_truth_close(struct qvl_long_truth *truth);
int64_t qvl_long_truth_bytes(int64_t keys, int64_t samples);

/* Keys and values first .. first+count-1, in order. */
void qvl_long_see_keys(struct qvl_long_truth *truth, int64_t first, int64_t count, const void *raw);
void qvl_long_see_values(struct qvl_long_truth *truth, int64_t first, int64_t count, const void *raw);

/* After the last key: the sampled queries, over the values once more. */
enum qvl_status qvl_long_answer_samples(struct qvl_long_truth *truth, struct qvl_error *error);

/* Value before its last rounding and bound of all outputs, [rows, heads, d]. */
void qvl_long_expect(const struct qvl_long_truth *truth, double *value, double *bound);

/* Judge `got` [rows, heads, d] in storage type; the result is PASSED, FAILED (the message says what the worst
 * row asked) or MISTRUSTED. */
enum qvl_status qvl_long_judge(const struct qvl_long_truth *truth, const void *got, const char *operand,
                               struct qvl_case_result *result, struct qvl_error *error);

/* SKIPPED, with needed and available bytes in the message, when the machine has less. */
bool qvl_long_memory_lacks(int64_t bytes, struct qvl_case_result *result);

/* What became of a call that failed: UNSUPPORTED, SKIPPED for QVL_NO_MEMORY, else FAILED. */
void qvl_long_refused(enum qvl_status status, const struct qvl_error *why, struct qvl_case_result *result);

#endif
