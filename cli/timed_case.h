/* One op case timed honestly: fresh inputs before each call, hot or cold operands, and every gate that a
 * timing must pass before anyone sees it. */
#ifndef QVL_CLI_TIMED_CASE_H
#define QVL_CLI_TIMED_CASE_H

#include "bench/physics.h"
#include "bench/samples.h"
#include "verify/repeated.h"

/* What the timed cases of one backend share. */
struct qvl_timing {
    struct qvl_backend *reference, *candidate;
    const struct qvl_limits *limits;   /* of the host */
    const struct qvl_hardware *device; /* NULL: the backend computes on this host */
    bool strict;                       /* broken conditions make a timing invalid, not only noted */
    void *thrash; /* backend memory that drives the caches out; made by the first cold case */
    void *source; /* host memory of the same size */
    int64_t thrash_bytes;
};

/* Free what cold cases made. */
void qvl_timing_close(struct qvl_timing *timing);

struct qvl_timed_case {
    struct qvl_case chosen;
    bool cold;
    struct qvl_timing *timing;
    struct qvl_repeated *repeated; /* NULL: not open */
    uint64_t calls;                /* the number of the next inputs; may begin anywhere */
    struct qvl_samples samples;    /* of one block */
    double *settles;
    int64_t capacity;
    struct qvl_moment before;
    struct qvl_error why; /* of what the last call returned */
};

struct qvl_timed_result {
    enum qvl_case_status status; /* PASSED, FAILED, MISTRUSTED, INVALID or UNSUPPORTED */
    char message[512];           /* why it did not pass */
    struct qvl_conditions conditions;
    double median, minimum, mad; /* s */
    double flops, bytes;         /* of one call */
    double limit_fraction;       /* roofline time / median */
    int64_t count;
};

/* A block: begin, iterate as often as wanted, end. The case stays open between blocks. begin and iterate
 * return NULL or why the case cannot go on, and then end says with what status. */
const char *qvl_timed_begin(struct qvl_timed_case *timed);
const char *qvl_timed_iterate(struct qvl_timed_case *timed, double *seconds);

/* Judge the block: outputs of the first, the last and a random call against the reference; that repeated
 * inputs take as long as fresh ones; that nothing was still computed after sync; physics; conditions. */
void qvl_timed_end(struct qvl_timed_case *timed, struct qvl_timed_result *result);

void qvl_timed_close(struct qvl_timed_case *timed); /* frees what it has; one never begun is accepted */

/* Matrix FLOP of one call of a case; elements of its weight matrices and tables, all experts. */
double qvl_timed_flops(const struct qvl_case *chosen);
double qvl_timed_weights(const struct qvl_case *chosen);

/* Matrix FLOP and least bytes of one call of a case that is open. */
struct qvl_work qvl_timed_work(const struct qvl_timed_case *timed);

#endif
