#include "bench/physics.h"

#include <sys/times.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- physics ---- */

struct qvl_roofline qvl_roofline_of_host(const struct qvl_limits *limits, enum qvl_dtype dtype, bool tf32)
{
    return (struct qvl_roofline){.flops = qvl_limits_peak(limits, dtype, tf32),
                                 .memory = qvl_limits_memory(limits),
                                 .cache = qvl_limits_cache(limits)};
}

struct qvl_roofline qvl_roofline_of_device(const struct qvl_hardware *device, enum qvl_dtype dtype, bool tf32)
{
    const enum qvl_rate rate = dtype == QVL_BF16  ? QVL_RATE_BF16
                               : dtype == QVL_F16 ? QVL_RATE_FP16
                               : tf32             ? QVL_RATE_TF32
                                                  : QVL_RATE_FP32;
    return (struct qvl_roofline){.flops = device->flops[rate], .memory = device->bandwidth};
}

double qvl_physics_floor(const struct qvl_roofline *roofline, const struct qvl_work *work)
{
    const double bandwidth = work->cold ? roofline->memory : roofline->cache;
    const double compute = roofline->flops > 0 ? work->flops / roofline->flops : 0;
    const double memory = bandwidth > 0 ? work->bytes / bandwidth : 0;
    return compute > memory ? compute : memory;
}

bool qvl_physics_possible(const struct qvl_roofline *roofline, const struct qvl_work *work, double seconds,
                          char *reason, size_t bytes)
{
    const double floor = qvl_physics_floor(roofline, work);
    if (floor <= seconds * QVL_PHYSICS_MARGIN)
        return true;
    snprintf(reason, bytes,
             "%.3g s is less than the %.3g s that %.3g FLOP and %.3g B take at this machine's limits (%.3g "
             "FLOP/s, %.3g B/s)",
             seconds, floor, work->flops, work->bytes, roofline->flops,
             work->cold ? roofline->memory : roofline->cache);
    return false;
}

/* ---- conditions ---- */

/* A chain of dependent additions: its time is a number of cycles, whatever memory and caches do. */
static double spin_once(void)
{
    const double start = qvl_clock();
    uint64_t value = 1;
    for (int i = 0; i < 1000000; i++) {
        value += 3;
        __asm__ volatile("" : "+r"(value)); /* the compiler cannot foresee the sum */
    }
    return qvl_clock() - start;
}

struct qvl_moment qvl_moment_now(void)
{
    struct qvl_moment moment = {.spin = 1e9};
    struct tms own;
    double user, nice, system, idle, wait, interrupt, soft, stolen;
    for (int i = 0; i < 7; i++) {
        const double seconds = spin_once();
        moment.spin = seconds < moment.spin ? seconds : moment.spin;
    }
    FILE *file = fopen("/proc/stat", "r");
    if (file && fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait,
                       &interrupt, &soft, &stolen) == 8) {
        moment.busy = user + nice + system + interrupt + soft;
        moment.stolen = stolen;
        moment.total = moment.busy + idle + wait + stolen;
    }
    if (file)
        fclose(file);
    times(&own);
    moment.own = (double)(own.tms_utime + own.tms_stime);
    moment.processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    moment.clock = qvl_clock();
    return moment;
}

struct qvl_conditions qvl_conditions_between(const struct qvl_moment *before, const struct qvl_moment *after,
                                             double noise)
{
    struct qvl_conditions conditions = {.noise = noise};
    const double total = after->total - before->total;
    if (before->spin > 0)
        conditions.drift = fabs(after->spin / before->spin - 1);
    if (total > 0) {
        const double others = after->busy - before->busy - (after->own - before->own);
        conditions.others = others > 0 ? others / total : 0;
        conditions.stolen = (after->stolen - before->stolen) / total;
    }
    if (conditions.noise <= QVL_MOST_NOISE)
        return conditions;
    const char *what = conditions.stolen > QVL_MOST_STOLEN   ? "the hypervisor took time away"
                       : conditions.others > QVL_MOST_OTHERS ? "other programs used the processors"
                       : conditions.drift > QVL_MOST_DRIFT   ? "the clock of the processor changed"
                                                             : NULL;
    if (what)
        snprintf(conditions.broken, sizeof conditions.broken,
                 "%s: drift %.0f %%, other load %.0f %%, stolen %.0f %%, deviation of the samples %.0f %%",
                 what, 100 * conditions.drift, 100 * conditions.others, 100 * conditions.stolen,
                 100 * conditions.noise);
    return conditions;
}

void qvl_conditions_record(const struct qvl_conditions *conditions, bool strict, struct qvl_record *record)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {{"noise", conditions->noise},
                  {"clock_drift", conditions->drift},
                  {"other_load", conditions->others},
                  {"stolen", conditions->stolen}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        qvl_record_real(record, fields[i].name, fields[i].value, "1", QVL_FROM_MEASURED);
        if (i > 0)
            qvl_record_detail(record);
    }
    if (!*conditions->broken)
        return;
    qvl_record_text(record, "conditions", conditions->broken, QVL_FROM_MEASURED);
    if (strict && record)
        record->status = QVL_CASE_INVALID;
}
