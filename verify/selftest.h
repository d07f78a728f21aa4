/* Scoring the checker: faults planted on purpose ("mutants"), each tried case by case until one case catches
 * it. A kill counts only when the honest version of the same code passes that very case.
 *
 * The engine knows no backend: mutants come in as data with the calls that run them. Every mutant is hunted
 * in a process of its own, so that one which crashes or hangs is a kill by that case and nothing else. Those
 * processes are forks: mutants are plain host code, and what the caller prepared is shared. */
#ifndef QVL_VERIFY_SELFTEST_H
#define QVL_VERIFY_SELFTEST_H

#include "verify/verify.h"

/* What one case said of one side. */
struct qvl_selftest_attempt {
    enum qvl_case_status status; /* SKIPPED: the case has nothing to do with this mutant */
    double nmse;     /* whole-tensor NMSE of the tensor that failed first; NaN when it is no comparison of
                        tensors, infinite when the result is not finite */
    char where[128]; /* the element or stage that failed first */
    char message[256];
};

struct qvl_selftest_mutant;

/* How mutants of one kind are run. */
struct qvl_selftest_kind {
    const char *name;
    void *context;
    /* The line of case `index` for this mutant, cheapest first; false beyond the last. */
    bool (*line)(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                 char line[QVL_CASE_LINE_BYTES]);
    /* Run that case on the mutant, or on its honest version. An error is returned only when the case cannot
     * be judged at all. */
    enum qvl_status (*run)(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                           bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error);
};

struct qvl_selftest_mutant {
    const char *name;   /* the museum's slug */
    int section;        /* of the museum */
    const char *fault;  /* one line */
    const char *entry;  /* where it is planted */
    const char *excuse; /* NULL: it must be killed. Otherwise why it may survive */
    const struct qvl_selftest_kind *kind;
    int64_t number; /* of the kind's own list */
};

enum qvl_selftest_verdict {
    QVL_SELFTEST_KILLED,
    QVL_SELFTEST_SURVIVED,
    QVL_SELFTEST_UNFAIR, /* the honest version fails the case too: the case is wrong, nothing is shown */
    QVL_SELFTEST_BROKEN  /* a case could not be judged */
};

struct qvl_selftest_result {
    enum qvl_selftest_verdict verdict;
    int64_t cases;                  /* run on the mutant */
    int64_t skipped;                /* for want of memory, or because they have nothing to do with it */
    char line[QVL_CASE_LINE_BYTES]; /* of the case that decided; "" when it survived */
    struct qvl_selftest_attempt mutant, honest;
};

struct qvl_selftest_options {
    int jobs;              /* processes at once, at least 1 */
    double seconds_a_case; /* one that takes longer is TIMEOUT */
    const char *only;      /* only cases whose line contains this; NULL: all */
    void (*progress)(void *context, int64_t done);
    void *context;
};

/* Hunt every mutant; results[i] belongs to mutants[i] whatever the order in which they end. Fails with QVL_IO
 * when the system gives no process. */
enum qvl_status qvl_selftest_run(const struct qvl_selftest_mutant *mutants, int64_t count,
                                 const struct qvl_selftest_options *options,
                                 struct qvl_selftest_result *results, struct qvl_error *error);

struct qvl_selftest_score {
    int64_t required, required_killed, excused, excused_killed, unfair, broken;
};

/* Whether the checker passes: every mutant without an excuse killed, and no case unfair or broken. */
bool qvl_selftest_good(const struct qvl_selftest_mutant *mutants, const struct qvl_selftest_result *results,
                       int64_t count, struct qvl_selftest_score *score);

/* The peer's rule on the killing case: whether a whole-tensor NMSE of at most 5e-4 would have let it pass. */
#define QVL_PEER_NMSE 5e-4

/* ---- Mutants of op table entries ---- */

/* The built-in cases of each entry, cheapest first, and who runs them. */
struct qvl_selftest_ops {
    qvl_backend_open_fn *reference;
    qvl_backend_open_fn *honest;
    /* The mutant of that name; the open function may be called again later for the mutant opened last. */
    enum qvl_status (*find)(const char *name, qvl_backend_open_fn **open, struct qvl_error *error);
    FILE *turn;             /* locked by the process whose case needs much memory: one at a time has room */
    struct qvl_case *cases; /* sorted by entry, then by cost */
    int64_t count;
};

QVL_MUST_USE enum qvl_status qvl_selftest_ops_create(struct qvl_selftest_ops *ops, uint64_t seed,
                                                     struct qvl_error *error);
void qvl_selftest_ops_free(struct qvl_selftest_ops *ops);

/* The members of a kind whose context is a struct qvl_selftest_ops. */
bool qvl_selftest_ops_line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                           char line[QVL_CASE_LINE_BYTES]);
enum qvl_status qvl_selftest_ops_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                     bool honest, struct qvl_selftest_attempt *attempt,
                                     struct qvl_error *error);

#endif
