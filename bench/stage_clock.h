/* The time of each layer of one forward call, taken where its taps are: the model needs no clocks of its own.
 * At the end of each stage the backend is waited for, so that a backend which queues its calls loses what it
 * gains by that; one that runs them at once loses nothing. */
#ifndef QVL_BENCH_STAGE_CLOCK_H
#define QVL_BENCH_STAGE_CLOCK_H

#include "model/model.h"

/* Seconds. What lies between two stages belongs to the later one; position tables, which the first layer
 * would get, to `rest`. */
struct qvl_stage_clock {
    struct qvl_backend *backend;
    double layers[QVL_MAX_LAYERS];
    double blocks[QVL_MAX_VISION_BLOCKS];
    double deepstack[QVL_MAX_DEEPSTACK];
    double merger;
    double head;  /* behind the final norm */
    double rest;  /* embedding, tables, final norm; patch and position embedding */
    double total; /* of the call */
    /* Private. */
    double begun, last, table, norm;
    bool normed;
};

double qvl_stage_clock_now(void); /* seconds of the monotonic clock, or of the CPU */

/* CPU seconds of all threads of the process so far, and wall time since any origin: their growth, divided, is
 * the number of cores that were at work, fewer than there are threads when other programs took them. */
struct qvl_core_use {
    double cpu, wall;
};
struct qvl_core_use qvl_core_use_now(void);
double qvl_core_use_since(const struct qvl_core_use *begin);

/* Let all timings of this process count the CPU seconds of all its threads in place of wall time: less
 * disturbed by other programs, and the same on a quiet machine with one thread. Set once, in the beginning.
 */
void qvl_stage_clock_count_cpu(void);

void qvl_stage_clock_start(struct qvl_stage_clock *clock, struct qvl_backend *backend);
void qvl_stage_clock_stop(struct qvl_stage_clock *clock);

/* The end of the stage `name` at time `now` since any origin: what the taps call. */
void qvl_stage_clock_mark(struct qvl_stage_clock *clock, const char *name, double now);

/* Taps that want nothing but look at the time; valid as long as the clock. */
struct qvl_taps qvl_stage_clock_taps(struct qvl_stage_clock *clock);

#endif
