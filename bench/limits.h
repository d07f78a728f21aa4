/* What this machine and a backend can do at most, measured: the rates that every other rate is a fraction of.
 *
 * Host: read bandwidth of an array beyond the last cache by 1..n threads, read bandwidth of one thread by
 * array size (which shows the caches), and the peak of multiply-adds that never leave the registers, float32
 * and bfloat16. Backend: matrix products at large shapes through `linear`, and the time of an `add` of one
 * row of eight elements, which is what a call costs. Each figure is the median of several samples and the
 * best of them, after a warm-up. */
#ifndef QVL_BENCH_LIMITS_H
#define QVL_BENCH_LIMITS_H

#include "qvl/backend.h"
#include "qvl/record.h"

struct qvl_limit {
    char name[48];       /* "fma_f32", "read_2_threads", "gemm_bf16", "launch", ... */
    const char *unit;    /* "FLOP/s", "B/s", "s" */
    char what[96];       /* instructions, shape, array */
    int threads;         /* 0: the backend's own */
    double median, best; /* best: the largest rate, the shortest time */
};

#define QVL_LIMITS 48
#define QVL_SWEEP 24

struct qvl_limits {
    struct qvl_limit rows[QVL_LIMITS];
    int count;
    int threads; /* usable by this process */
    /* Read bandwidth of one thread, median, by array size. */
    double sweep_bytes[QVL_SWEEP], sweep_rates[QVL_SWEEP];
    int sweep_count;
};

struct qvl_limits_options {
    double seconds; /* of each figure; 0: 0.2 */
    int64_t memory; /* bytes of the array beyond the last cache; 0: twice the last cache, 256 MiB to 1 GiB */
    bool host, sweep, backend; /* what to measure */
};

/* `backend` may be NULL when it is not asked for. */
QVL_MUST_USE enum qvl_status qvl_limits_measure(struct qvl_backend *backend,
                                                const struct qvl_limits_options *options,
                                                struct qvl_limits *limits, struct qvl_error *error);

/* The limit of that name, or NULL. */
const struct qvl_limit *qvl_limits_find(const struct qvl_limits *limits, const char *name);

/* Peak of matrix products of a storage type that no code on this host can exceed: the best multiply-add rate
 * of any instruction that may serve it. 0 when it was not measured. */
double qvl_limits_peak(const struct qvl_limits *limits, enum qvl_dtype dtype, bool tf32);

/* The best read bandwidth of arrays beyond the caches; of arrays inside them (all threads). 0: not measured.
 */
double qvl_limits_memory(const struct qvl_limits *limits);
double qvl_limits_cache(const struct qvl_limits *limits);

/* Sizes at which the sweep drops: the largest array that is still read at the rate of its cache. At most
 * `capacity`; returns how many. */
int qvl_limits_caches(const struct qvl_limits *limits, double *bytes, int capacity);

/* Append a record of kind "limit" for each figure, one of kind "limit_sweep" for the sweep. */
QVL_MUST_USE enum qvl_status qvl_limits_report(const struct qvl_limits *limits, struct qvl_report *report,
                                               struct qvl_error *error);

#endif
