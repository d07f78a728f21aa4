/* The clock that all durations are measured with. */
#ifndef QVL_BASE_CLOCK_H
#define QVL_BASE_CLOCK_H

/* Seconds of the monotonic clock; only differences mean anything. */
double qvl_clock(void);

#endif
