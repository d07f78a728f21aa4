/* Google Benchmark, which is C++, behind C: cases that time themselves, its command line and its reports. */
#ifndef QVL_BENCH_GBENCH_H
#define QVL_BENCH_GBENCH_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QVL_GBENCH_COUNTERS 12

struct qvl_gbench_counter {
    const char *name; /* static */
    double value;
};

/* Texts that the functions return are why the case cannot go on, NULL when it can; they stay valid until the
 * next call for the same case. A case that ends with a text has an error in every report, and no time. */
struct qvl_gbench_case {
    void *context;
    const char *(*begin)(void *context);                    /* of a block of iterations */
    const char *(*iterate)(void *context, double *seconds); /* one, timed by itself */
    const char *(*end)(void *context, struct qvl_gbench_counter counters[QVL_GBENCH_COUNTERS], int *count);
};

/* Take the library's own options (--benchmark_...) off the command line. False, after it printed why, when
 * others are left. */
bool qvl_gbench_init(int *argc, char **argv);

/* A line of the reports' context. */
void qvl_gbench_describe(const char *key, const char *value);

/* `name` is copied; the functions and the context live until qvl_gbench_run returns. False: no memory. */
bool qvl_gbench_register(const char *name, const struct qvl_gbench_case *timed);

/* Run what --benchmark_filter leaves; how many cases that were. 0 as well when the library failed. */
size_t qvl_gbench_run(void);

#ifdef __cplusplus
}
#endif

#endif
