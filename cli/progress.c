#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR 24

void qvl_progress_begin(struct qvl_progress *progress, const char *label, const char *unit, int64_t total)
{
    *progress = (struct qvl_progress){.label = label,
                                      .unit = unit,
                                      .total = total,
                                      .started = qvl_clock(),
                                      .active = isatty(STDERR_FILENO)};
    qvl_progress_update(progress, 0);
}

/* "1:05:09", "5:09" */
static void put_duration(double seconds, char *text, size_t bytes)
{
    int64_t whole = (int64_t)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(text, bytes, "%" PRId64 ":%02d:%02d", whole / 3600, (int)(whole / 60 % 60),
                 (int)(whole % 60));
    else
        snprintf(text, bytes, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
}

void qvl_progress_line(const struct qvl_progress *progress, int64_t done, double seconds, char *line,
                       int64_t bytes)
{
    char bar[BAR + 1], rate[48] = "", left[48] = "";
    double per_second = seconds > 0 ? (double)done / seconds : 0;
    if (per_second > 0)
        snprintf(rate, sizeof rate, "  %.3g %s/s", per_second, progress->unit);
    if (progress->total <= 0) {
        snprintf(line, (size_t)bytes, "%s  %" PRId64 "%s", progress->label, done, rate);
        return;
    }
    int64_t within = done < 0 ? 0 : done > progress->total ? progress->total : done;
    int filled = (int)((double)within / (double)progress->total * BAR);
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = '\0';
    if (per_second > 0) {
        char duration[32];
        put_duration((double)(progress->total - within) / per_second, duration, sizeof duration);
        snprintf(left, sizeof left, "  %s left", duration);
    }
    snprintf(line, (size_t)bytes, "%s  [%s] %" PRId64 "/%" PRId64 "%s%s", progress->label, bar, done,
             progress->total, rate, left);
}

void qvl_progress_update(struct qvl_progress *progress, int64_t done)
{
    char line[256];
    double time = progress->active ? qvl_clock() : 0;
    bool final = progress->total > 0 && done >= progress->total;
    if (!progress->active || (time - progress->shown < 0.1 && !final))
        return;
    progress->shown = time;
    qvl_progress_line(progress, done, time - progress->started, line, sizeof line);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
}

void qvl_progress_show(void *progress, int64_t done, int64_t total)
{
    struct qvl_progress *shown = progress;
    shown->total = total;
    qvl_progress_update(shown, done);
}

void qvl_progress_end(struct qvl_progress *progress)
{
    if (progress->active)
        fprintf(stderr, "\r\033[K");
    progress->active = false;
}
