/* GPU kernel timings that others measured and published (datasets/hardware/published, NOTICE there), and the
 * rooflines fitted to them (docs/PUBLISHED.md). Nothing here was measured by this project. */
#ifndef QVL_DATASETS_PUBLISHED_H
#define QVL_DATASETS_PUBLISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "qvl/status.h"

#define QVL_PUBLISHED_KEYS 4

enum qvl_published_op {
    QVL_PUBLISHED_GEMM,    /* key n, k; along m */
    QVL_PUBLISHED_PREFILL, /* causal attention, head_dim 128; key heads, kv_heads, batch; along tokens */
    QVL_PUBLISHED_VISION,  /* full attention; key heads, head_dim, batch; along patches */
    QVL_PUBLISHED_DECODE,  /* one query, head_dim 128; key heads, kv_heads, batch; along keys */
    QVL_PUBLISHED_MOE,     /* key hidden, intermediate / ways, expert ways, skew of routing; along tokens */
    QVL_PUBLISHED_ALL_REDUCE, /* key ranks; along elements of 2 bytes */
    QVL_PUBLISHED_OPS
};

enum qvl_published_type {
    QVL_PUBLISHED_BF16,
    QVL_PUBLISHED_FP8,
    QVL_PUBLISHED_FP8_BLOCK,
    QVL_PUBLISHED_TYPES
};

/* Constants of the fitted formulas. */
enum qvl_fit {
    QVL_FIT_FLOPS,     /* fraction of the peak rate */
    QVL_FIT_BANDWIDTH, /* fraction of the peak bandwidth */
    QVL_FIT_FIXED,     /* us */
    QVL_FIT_NORM,      /* exponent that joins arithmetic and traffic */
    QVL_FIT_FILL,      /* elements or rows of extra work to fill a tile */
    QVL_FIT_WAVES,     /* exponent of the wave quantisation */
    QVL_FIT_DEPTH,     /* us per unit of the serial loop */
    QVL_FIT_CACHE,     /* factor of traffic that fits the last cache */
    QVL_FIT_BLOCK,     /* cost of a thread block */
    QVL_FIT_KEY,       /* 1e-11 s a key */
    QVL_FIT_SKEW,      /* slowdown by uneven experts, per doubling of ways */
    QVL_FIT_SHUFFLE,   /* passes over the routed rows */
    QVL_FIT_COUNT
};

struct qvl_published_row {
    double key[QVL_PUBLISHED_KEYS];
    double *seconds; /* [axis_count]; NaN: not measured, or a hot-cache timing */
};

struct qvl_published_table {
    char source[32]; /* framework and version */
    double *axis;
    int64_t axis_count;
    struct qvl_published_row *rows;
    int64_t row_count;
    int64_t hot; /* values faster than memory allows, which are not used */
    bool fitted;
    double fit[QVL_FIT_COUNT];
    double median_error, p90_error, datasheet_error; /* of rows held out; fractions */
    double left_out_error; /* the device predicted from its datasheet and the other devices' constants; NaN:
                              no */
};

struct qvl_published_device {
    char name[24];
    double flops[QVL_PUBLISHED_TYPES]; /* dense peak of the type, FLOP/s */
    double bandwidth;                  /* bytes/s */
    double processors, cache;          /* streaming multiprocessors; bytes of the last cache */
    struct qvl_published_table *tables[QVL_PUBLISHED_OPS][QVL_PUBLISHED_TYPES]; /* NULL where there is none */
};

const char *qvl_published_op_name(enum qvl_published_op op);       /* "gemm", ... */
const char *qvl_published_type_name(enum qvl_published_type type); /* "bf16", "fp8", "fp8_block" */
int qvl_published_keys(enum qvl_published_op op);                  /* numbers of a row's key */

/* The device's tables; QVL_USAGE for a name that has none. Free with qvl_published_free. */
QVL_MUST_USE enum qvl_status qvl_published_load(const char *name, struct qvl_published_device **device,
                                                struct qvl_error *error);
void qvl_published_free(struct qvl_published_device *device); /* NULL is accepted */

/* Names in the order of listings; NULL beyond the last. */
const char *qvl_published_name(int64_t index);

/* End-to-end runs of the same text models, tab-separated with a header line; zero-terminated. */
const char *qvl_published_runs(void);

#endif
