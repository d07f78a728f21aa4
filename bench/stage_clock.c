#include "bench/stage_clock.h"

#include <stdlib.h>
#include <time.h>

static clockid_t source = CLOCK_MONOTONIC;

void qvl_stage_clock_count_cpu(void)
{
    source = CLOCK_PROCESS_CPUTIME_ID;
}

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double qvl_stage_clock_now(void)
{
    return seconds_of(source);
}

struct qvl_core_use qvl_core_use_now(void)
{
    return (struct qvl_core_use){.cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID),
                                 .wall = seconds_of(CLOCK_MONOTONIC)};
}

double qvl_core_use_since(const struct qvl_core_use *begin)
{
    const struct qvl_core_use end = qvl_core_use_now();
    return end.wall > begin->wall ? (end.cpu - begin->cpu) / (end.wall - begin->wall) : 0;
}

/* The number behind `prefix` and the text behind it; -1 when the name begins otherwise. */
static int64_t number_behind(const char *name, const char *prefix, int64_t limit, const char **tail)
{
    const size_t length = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, length) != 0)
        return -1;
    const long long number = strtoll(name + length, &end, 10);
    *tail = end;
    return end != name + length && number >= 0 && number < limit ? number : -1;
}

/* A stage inside a layer or block. The first norm of the first one comes after the position tables, the
 * second norm costs the same without them. */
static void mark_inside(struct qvl_stage_clock *clock, int64_t number, const char *tail, const char *first,
                        const char *second, double interval, double now)
{
    if (number == 0 && strcmp(tail, first) == 0) {
        clock->table = interval;
        clock->last = now;
    } else if (number == 0 && strcmp(tail, second) == 0) {
        clock->norm = interval;
        clock->normed = true;
    }
}

/* The end of layer or block `number`; `since` is what has gone by since its first norm, or since the one
 * before. */
static double layer_seconds(struct qvl_stage_clock *clock, int64_t number, double since)
{
    if (number != 0)
        return since;
    const double norm = clock->normed && clock->norm < clock->table ? clock->norm : clock->table;
    clock->rest += clock->table - norm;
    clock->table = 0;
    clock->normed = false;
    return since + norm;
}

void qvl_stage_clock_mark(struct qvl_stage_clock *clock, const char *name, double now)
{
    const char *tail;
    const double interval = now - clock->last;
    int64_t number;
    double *place = NULL;
    if ((number = number_behind(name, "model.language_model.layers.", QVL_MAX_LAYERS, &tail)) >= 0) {
        if (*tail == '\0') {
            clock->layers[number] += layer_seconds(clock, number, interval);
            clock->last = now;
        } else if (strcmp(tail, ".deepstack_added") == 0) {
            place = &clock->rest;
        } else {
            mark_inside(clock, number, tail, ".input_layernorm", ".post_attention_layernorm",
                        now - clock->begun, now);
        }
    } else if ((number = number_behind(name, "model.visual.blocks.", QVL_MAX_VISION_BLOCKS, &tail)) >= 0) {
        if (*tail == '\0') {
            clock->blocks[number] += layer_seconds(clock, number, interval);
            clock->last = now;
        } else {
            mark_inside(clock, number, tail, ".norm1", ".norm2", now - clock->begun, now);
        }
    } else if ((number = number_behind(name, "model.visual.deepstack_merger_list.", QVL_MAX_DEEPSTACK,
                                       &tail)) >= 0) {
        place = *tail ? NULL : &clock->deepstack[number];
    } else if (strcmp(name, "model.visual.merger") == 0) {
        place = &clock->merger;
    } else if (strcmp(name, "model.visual.merger.norm") != 0 &&
               strcmp(name, "model.visual.merger.linear_fc1") != 0) {
        place = &clock->rest;
    }
    clock->begun = now;
    if (place) {
        *place += interval;
        clock->last = now;
    }
}

static bool look(void *context, const char *name)
{
    struct qvl_stage_clock *clock = context;
    struct qvl_error ignored;
    if (clock->backend->sync(clock->backend, &ignored) == QVL_OK)
        qvl_stage_clock_mark(clock, name, qvl_stage_clock_now());
    return false;
}

struct qvl_taps qvl_stage_clock_taps(struct qvl_stage_clock *clock)
{
    return (struct qvl_taps){.context = clock, .wants = look};
}

void qvl_stage_clock_start(struct qvl_stage_clock *clock, struct qvl_backend *backend)
{
    memset(clock, 0, sizeof *clock);
    clock->backend = backend;
    clock->last = clock->begun = clock->total = qvl_stage_clock_now();
}

void qvl_stage_clock_stop(struct qvl_stage_clock *clock)
{
    const double now = qvl_stage_clock_now();
    clock->head = now - clock->last; /* of a decoder; of the tower this is what follows the last merger */
    clock->total = now - clock->total;
}
