/* The hardware table: what vendors state of accelerators, and rows that a user adds. Figures are per device,
 * dense, in FLOP/s, bytes and bytes/s. Every row says where it comes from, and which of its figures nobody
 * verified. */
#ifndef QVL_DATASETS_HARDWARE_H
#define QVL_DATASETS_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qvl/status.h"

enum qvl_rate {
    QVL_RATE_FP32,
    QVL_RATE_TF32,
    QVL_RATE_BF16,
    QVL_RATE_FP16,
    QVL_RATE_FP8,
    QVL_RATE_INT8,
    QVL_RATE_FP4,
    QVL_RATE_COUNT
};

const char *qvl_rate_name(enum qvl_rate rate); /* "fp32", ... */

struct qvl_hardware {
    char name[32];                /* "h100-sxm" */
    char title[64];               /* "NVIDIA H100 SXM" */
    char kind[16];                /* gpu, edge, workstation, cpu */
    double flops[QVL_RATE_COUNT]; /* dense peak; 0: not supported or not published */
    double memory;                /* bytes; 0: whatever is built in */
    double bandwidth;             /* bytes/s */
    double power;                 /* W; 0: unknown */
    double link;                  /* bytes/s to a neighbour, one direction; 0: none or unknown */
    double attainable_flops;      /* fraction of the peak that a large matrix product reaches */
    double attainable_bandwidth;  /* fraction of the bandwidth that a long stream reaches */
    double launch;                /* s a kernel, at least */
    bool attainable_measured;     /* attainable_flops stands in the row; otherwise it is the default */
    char published[24];           /* table of published timings, or empty */
    char source[128];
    char unverified[96]; /* names of figures with commas, or empty */
};

struct qvl_hardware_table {
    struct qvl_hardware *rows; /* owned */
    int64_t count;
};

/* The rows that are compiled in, then those of the JSON file `path` (NULL: none), which replace rows of the
 * same name. QVL_BAD_INPUT names file, row and key: a figure that is missing or not positive, a rate of an
 * unknown type. Free with qvl_hardware_free. */
QVL_MUST_USE enum qvl_status qvl_hardware_load(const char *path, struct qvl_hardware_table *table,
                                               struct qvl_error *error);
void qvl_hardware_free(struct qvl_hardware_table *table);

/* Whether nobody verified that figure: "bandwidth", "memory", "power", "link" or the name of a rate. */
bool qvl_hardware_unverified(const struct qvl_hardware *hardware, const char *figure);

/* The row of that name, or NULL. */
const struct qvl_hardware *qvl_hardware_find(const struct qvl_hardware_table *table, const char *name);

#endif
