/* One op case called again and again, for whoever times it: fresh inputs at the same addresses before each
 * call, outputs poisoned, the time of the entry alone, and outputs of chosen calls judged afterwards as
 * `verify` judges them. Weights are prepared once. Not for probes. One at a time may be inside a call. */
#ifndef QVL_VERIFY_REPEATED_H
#define QVL_VERIFY_REPEATED_H

#include "verify/verify.h"

struct qvl_repeated;

struct qvl_repeated_bytes {
    double inputs, outputs, weights;
};

struct qvl_call_time {
    double seconds; /* from the entry's call to the return of `sync` */
    double settle;  /* what reading an element of each output took longer the first time than the second: a
                       backend that has not finished when `sync` returns makes the reader wait */
};

/* QVL_UNSUPPORTED: the backend lacks the entry, or the case is of a probe. Both backends are borrowed. */
QVL_MUST_USE enum qvl_status qvl_repeated_open(const struct qvl_case *chosen, struct qvl_backend *reference,
                                               struct qvl_backend *candidate, struct qvl_repeated **repeated,
                                               struct qvl_error *error);
void qvl_repeated_close(struct qvl_repeated *repeated); /* NULL is accepted */

/* Put in the inputs of number `index`; those of another number differ, those of the same are the same. Ops
 * whose inputs are integers on the host alone (embed, the rotary tables) have the same inputs always. */
QVL_MUST_USE enum qvl_status qvl_repeated_load(struct qvl_repeated *repeated, uint64_t index,
                                               struct qvl_error *error);

/* Call once, on what was loaded. QVL_FAILED when an element of an output was not written, QVL_UNSUPPORTED and
 * other failures as the backend says. */
QVL_MUST_USE enum qvl_status qvl_repeated_call(struct qvl_repeated *repeated, struct qvl_call_time *time,
                                               struct qvl_error *error);

/* Keep the outputs of the last call in `slot`, 0 .. QVL_REPEATED_SLOTS - 1, in place of what was there. */
#define QVL_REPEATED_SLOTS 3
QVL_MUST_USE enum qvl_status qvl_repeated_keep(struct qvl_repeated *repeated, int slot,
                                               struct qvl_error *error);

/* Judge the kept outputs against the reference and forget them. `result` is that of the first slot that did
 * not pass. Loads other inputs: load again before the next call. */
QVL_MUST_USE enum qvl_status qvl_repeated_judge(struct qvl_repeated *repeated, struct qvl_case_result *result,
                                                struct qvl_error *error);

/* Sizes of the operands. */
struct qvl_repeated_bytes qvl_repeated_sizes(const struct qvl_repeated *repeated);

#endif
