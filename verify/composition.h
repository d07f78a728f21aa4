/* Checks of the whole path on a small random checkpoint: messages to prompt, prompt to positions, chunks,
 * decode, batches, forks. What a single call of an op cannot show.
 *
 * The expectation of a model check is one run of the reference over the whole text at once, so that chunks,
 * decode steps, position deltas and caches of the path under test meet a computation that has none of them.
 * Tolerances are measured as in verify/stages.h. */
#ifndef QVL_VERIFY_COMPOSITION_H
#define QVL_VERIFY_COMPOSITION_H

#include "qvl/pixels.h"
#include "verify/composition_faults.h"
#include "verify/selftest.h"

struct qvl_composition;

/* The path under test. NULL members are the honest ones. */
struct qvl_composition_path {
    enum qvl_status (*open)(void *context, const struct qvl_backend_options *options,
                            struct qvl_backend **backend, struct qvl_error *error);
    void *context; /* of open */
    const struct qvl_pixel_ops *pixels;
    const struct qvl_path_fault *fault;
};

struct qvl_composition_options {
    qvl_backend_open_fn *reference;
    qvl_backend_open_fn *honest;
    const struct qvl_pixel_ops *pixels;
    uint64_t seed; /* of pictures, tokens and draws; not 0 */
};

/* Write the checkpoints to a new folder of the system's place for temporary files, delete it again, and
 * compute the expectations. */
QVL_MUST_USE enum qvl_status qvl_composition_create(const struct qvl_composition_options *options,
                                                    struct qvl_composition **composition,
                                                    struct qvl_error *error);
void qvl_composition_destroy(struct qvl_composition *composition); /* NULL is accepted */

/* The line of case `index`; NULL beyond the last. */
const char *qvl_composition_line(int64_t index);

/* Run case `index` on a path. SKIPPED: the case has nothing to do with what the path changes. */
QVL_MUST_USE enum qvl_status qvl_composition_run(const struct qvl_composition *composition, int64_t index,
                                                 const struct qvl_composition_path *path,
                                                 struct qvl_selftest_attempt *attempt,
                                                 struct qvl_error *error);

#endif
