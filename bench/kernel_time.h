/* Seconds of one kernel on a device, with where the figure comes from: interpolated published timings where
 * they cover the shape, the roofline fitted to them beyond it, the datasheet roofline where there is nothing
 * else. Formulas: docs/PUBLISHED.md. */
#ifndef QVL_BENCH_KERNEL_TIME_H
#define QVL_BENCH_KERNEL_TIME_H

#include "datasets/hardware.h"
#include "datasets/published.h"

/* In order of trust; a sum of kernels has the least of its parts. */
enum qvl_time_source {
    QVL_TIME_PUBLISHED,    /* others measured it, or its neighbours on all sides */
    QVL_TIME_EXTRAPOLATED, /* the fit to what others measured, beyond its range */
    QVL_TIME_ROOFLINE,     /* datasheet and assumed efficiencies only */
    QVL_TIME_SOURCES
};

/* "published", "extrapolated from published", "roofline only" */
const char *qvl_time_source_name(enum qvl_time_source source);

enum qvl_kernel {                     /* shape[] of each, all per device */
                  QVL_KERNEL_GEMM,    /* m, n, k */
                  QVL_KERNEL_PREFILL, /* batch, heads, kv_heads, new tokens, tokens before them, head_dim */
                  QVL_KERNEL_VISION,  /* batch, heads, head_dim, patches */
                  QVL_KERNEL_DECODE,  /* batch, heads, kv_heads, keys, head_dim */
                  QVL_KERNEL_MOE,     /* tokens, hidden, intermediate, chosen, experts, expert ways */
                  QVL_KERNEL_ALL_REDUCE, /* ranks, elements */
                  QVL_KERNEL_STREAM      /* bytes: elementwise work, no FLOPs that matter */
};

struct qvl_kernel_shape {
    enum qvl_kernel kernel;
    enum qvl_published_type type; /* of weights; of the KV cache for attention */
    double shape[6];
};

struct qvl_kernel_time {
    double seconds;       /* attainable */
    double floor_seconds; /* datasheet peaks, no overhead: no measurement may beat it */
    double flops, bytes;
    enum qvl_time_source source;
};

struct qvl_timed_device {
    const struct qvl_hardware *hardware;
    const struct qvl_published_device *published; /* NULL: none */
};

/* QVL_UNSUPPORTED when the device has no rate for the type. */
QVL_MUST_USE enum qvl_status qvl_kernel_time(const struct qvl_timed_device *device,
                                             const struct qvl_kernel_shape *shape,
                                             struct qvl_kernel_time *time, struct qvl_error *error);

/* Seconds by the fitted formula alone; `table` is fitted. */
double qvl_kernel_fit(const struct qvl_published_device *device, const struct qvl_published_table *table,
                      const struct qvl_kernel_shape *shape);

#endif
