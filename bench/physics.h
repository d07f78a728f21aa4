/* Whether a timing can be true, and whether the machine was fit to be timed.
 *
 * Two gates. Physics: work that was done faster than the roofline allows was not done (INVALID). Conditions:
 * a processor that changed its clock, a hypervisor that took time away, or other programs that took the
 * cores make a figure that nobody can repeat; it is INVALID when the samples show it too. */
#ifndef QVL_BENCH_PHYSICS_H
#define QVL_BENCH_PHYSICS_H

#include "bench/limits.h"
#include "datasets/hardware.h"

/* Room above a measured limit: the limit's own samples scatter. */
#define QVL_PHYSICS_MARGIN 1.05

struct qvl_roofline {
    double flops;  /* FLOP/s that no code exceeds; 0: unknown, no bound */
    double memory; /* B/s from beyond the caches */
    double cache;  /* B/s when the operands may be in the caches */
};

/* From limits measured on this host, for work in a storage type. */
struct qvl_roofline qvl_roofline_of_host(const struct qvl_limits *limits, enum qvl_dtype dtype, bool tf32);

/* From a datasheet. Caches of accelerators are not in the table: no bound for hot operands. */
struct qvl_roofline qvl_roofline_of_device(const struct qvl_hardware *device, enum qvl_dtype dtype,
                                           bool tf32);

struct qvl_work {
    double flops; /* of matrix products */
    double bytes; /* that any implementation moves */
    bool cold;    /* the operands were driven out of the caches before */
};

/* Least seconds of the work on that machine; 0 when nothing bounds it. */
double qvl_physics_floor(const struct qvl_roofline *roofline, const struct qvl_work *work);

/* True when `seconds` is possible; else `reason` says what it would take. */
bool qvl_physics_possible(const struct qvl_roofline *roofline, const struct qvl_work *work, double seconds,
                          char *reason, size_t bytes);

/* ---- conditions ---- */

/* The machine at one moment. Ticks are those of /proc/stat, all processors together. */
struct qvl_moment {
    double spin;    /* seconds of a fixed chain of additions; the best of a few */
    double clock;   /* s, monotonic */
    double busy;    /* ticks spent in programs, all of them */
    double stolen;  /* ticks that the hypervisor gave to others */
    double own;     /* ticks of this process */
    double total;   /* ticks of any kind; 0: the system does not say */
    int processors; /* of the machine */
};

/* Takes about 5 ms. */
struct qvl_moment qvl_moment_now(void);

struct qvl_conditions {
    double drift;     /* change of the clock: |spin after / spin before - 1| */
    double others;    /* share of all processors that other programs used */
    double stolen;    /* share that the hypervisor took */
    double noise;     /* median absolute deviation / median of the samples */
    char broken[160]; /* why the figure cannot be trusted; "" when it can */
};

/* Thresholds. */
#define QVL_MOST_DRIFT 0.15
#define QVL_MOST_OTHERS 0.25
#define QVL_MOST_STOLEN 0.10
#define QVL_MOST_NOISE 0.10 /* samples that scatter less are as good as undisturbed */

/* `noise` of what was timed meanwhile: qvl_samples_noise, the largest of several. */
struct qvl_conditions qvl_conditions_between(const struct qvl_moment *before, const struct qvl_moment *after,
                                             double noise);

/* Fields "noise", "clock_drift", "other_load", "stolen" and, when they broke, status INVALID and a reason.
 * With `strict` false the reason alone. */
void qvl_conditions_record(const struct qvl_conditions *conditions, bool strict, struct qvl_record *record);

#endif
