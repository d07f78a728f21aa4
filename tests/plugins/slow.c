/* The cpu backend with a slowdown planted in one kernel: every call of linear takes QVL_SLOW_PERCENT
 * (an environment variable) longer. */
#include <stdlib.h>
#include <time.h>

#include "cpu/cpu.h"

static enum qvl_status (*honest)(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                 struct qvl_error *error);

static double percent;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A clock cannot be spun to the nanosecond; what a call overshoots, the next ones wait less. */
static enum qvl_status slow(struct qvl_backend *backend, const struct qvl_linear_args *args,
                            struct qvl_error *error)
{
    static double owed;
    const double start = now();
    QVL_TRY(honest(backend, args, error));
    const double end = now();
    double spun = 0;
    owed += (end - start) * percent / 100;
    while (spun < owed)
        spun = now() - end;
    owed = spun - owed < 1e-6 ? owed - spun : 0; /* losing the CPU while spinning is no payment in advance */
    return QVL_OK;
}

qvl_backend_open_fn qvl_backend_open;

enum qvl_status qvl_backend_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    const char *wanted = getenv("QVL_SLOW_PERCENT");
    percent = wanted ? strtod(wanted, NULL) : 0;
    QVL_TRY(qvl_cpu_open(options, backend, error));
    honest = (*backend)->ops.linear;
    (*backend)->ops.linear = slow;
    (*backend)->name = "slow";
    return QVL_OK;
}
