/* A progress line on stderr when that is a terminal: bar, count, rate, time left. Silent otherwise. */
#ifndef QVL_CLI_PROGRESS_H
#define QVL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct qvl_progress {
    const char *label; /* borrowed */
    const char *unit;  /* borrowed; what is counted: "case", "token" */
    int64_t total;     /* 0: unknown; the bar and the time left are then omitted */
    double started;    /* seconds of the monotonic clock */
    double shown;      /* when the line was drawn last */
    bool active;       /* stderr is a terminal */
};

void qvl_progress_begin(struct qvl_progress *progress, const char *label, const char *unit, int64_t total);
/* Redraws at most ten times a second. */
void qvl_progress_update(struct qvl_progress *progress, int64_t done);
/* The same for those who report what is done of all: `progress` is a struct qvl_progress. */
void qvl_progress_show(void *progress, int64_t done, int64_t total);
/* Erases the line. */
void qvl_progress_end(struct qvl_progress *progress);

/* The line for a state, without control characters; `seconds` since the start. */
void qvl_progress_line(const struct qvl_progress *progress, int64_t done, double seconds, char *line,
                       int64_t bytes);

#endif
