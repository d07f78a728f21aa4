/* Op verification: every entry of a backend's table against the reference, case by case.
 *
 * A case is one line of text, "rms_norm rows=5 heads=0 dim=37 pad=3 inplace=0 dtype=bf16 dist=normal seed=1":
 * an op or a probe, its integers, a storage type, a distribution of the inputs and a seed. Inputs follow from
 * the line alone. Outputs are poisoned with NaN and stand between guard zones; inputs must be unchanged after
 * the call. An element passes when |y - value| <= bound + half a spacing of its type, where `value` is the
 * reference before its last rounding and `bound` its running error analysis (qvl/ops.h, docs/NUMERICS.md);
 * NaN and infinities must match in kind and place. The library prints nothing. */
#ifndef QVL_VERIFY_VERIFY_H
#define QVL_VERIFY_VERIFY_H

#include "qvl/backend.h"
#include "qvl/record.h"

#define QVL_CASE_NUMBERS 12
#define QVL_CASE_LINE_BYTES 256

enum qvl_distribution {
    QVL_DIST_NORMAL,   /* mean 0, variance 1 */
    QVL_DIST_INTS,     /* whole numbers from -3 to 3: sums are exact and must match bit for bit */
    QVL_DIST_CONSTANT, /* each row one number */
    QVL_DIST_TINY,     /* normal times 1e-3 */
    QVL_DIST_HUGE,     /* normal times 100 */
    QVL_DIST_OUTLIER,  /* normal, one channel fifty times larger */
    QVL_DIST_NEGATIVE, /* all below zero */
    QVL_DIST_TIES,     /* few distinct values */
    QVL_DIST_SPECIAL,  /* normal, with a NaN and both infinities in different rows */
    QVL_DIST_MANTISSA, /* full significands whose leading parts cancel: what remains of a long sum are the low
                          bits, which a product demoted to tf32 or bf16 does not have (verify/mantissa.h) */
    QVL_DIST_COUNT
};

struct qvl_case {
    int check; /* 0 .. qvl_verify_count() - 1 */
    enum qvl_dtype dtype;
    enum qvl_distribution distribution;
    uint64_t seed;
    int64_t numbers[QVL_CASE_NUMBERS]; /* in the order of qvl_verify_number */
    char set[24]; /* where the case comes from: museum, random or the name of a model; "": not said. Changes
                     nothing but the line, so that --case set=museum keeps one set */
};

/* ---- What there is ---- */

/* Checks are numbered: first the entries of the op table, one call against the reference each, then the
 * probes, which judge an entry by several calls or without a reference (verify/probe.h). */
int qvl_verify_op_count(void);
int qvl_verify_count(void);
const char *qvl_verify_name(int check);               /* of the entry or the probe; NULL beyond the last */
const char *qvl_verify_number(int check, int number); /* name of a number, NULL after the last */
int qvl_verify_op(int check);                         /* the entry that it exercises */
const char *qvl_distribution_name(enum qvl_distribution distribution);

/* ---- Cases as text ---- */

/* Read one line. QVL_USAGE names the key. dtype, dist, seed and set default to f32, normal, 1 and "". */
enum qvl_status qvl_case_parse(const char *line, struct qvl_case *parsed, struct qvl_error *error);

/* The line that parses to this case. */
void qvl_case_print(const struct qvl_case *printed, char line[QVL_CASE_LINE_BYTES]);

struct qvl_case_filter {
    const char *op;   /* an entry, with the probes that exercise it, or one probe; NULL: all */
    const char *text; /* only cases whose line contains this; NULL: all */
    bool has_dtype;
    enum qvl_dtype dtype;
    bool has_seed;
    uint64_t seed; /* replaces the seed of every case */
};

/* The built-in cases that a filter (NULL: none) leaves, in the order of the table; malloc'd, caller frees. */
enum qvl_status qvl_cases(const struct qvl_case_filter *filter, struct qvl_case **cases, int64_t *count,
                          struct qvl_error *error);

/* ---- Running ---- */

struct qvl_case_result {
    enum qvl_case_status status; /* PASSED, FAILED, MISTRUSTED, UNSUPPORTED or SKIPPED */
    int64_t elements;            /* compared */
    int64_t failures;            /* of them */
    double margin; /* largest error / tolerance; near 1 for 16-bit outputs, whose last rounding dominates */
    double mean_margin;
    double drift; /* largest share of the bound that was used beyond the last rounding: 0 for a perfect
                     backend */
    double nmse; /* sum (got - expected)^2 / sum expected^2 over the case: what whole-tensor criteria look at.
                    No verdict depends on it; infinite when NaN or an infinity is not matched in kind */
    const char *operand; /* holds the worst element; static, NULL when nothing was compared */
    int32_t rank;
    int64_t index[QVL_MAX_RANK];     /* of the worst element */
    double expected, got, tolerance; /* at the worst element */
    const char *verdict; /* of a check of invariance: "bit-identical", "within tolerance" or "violated";
                            static, NULL for other checks */
    char message[512]; /* why it did not pass; a verdict's smallest pair that is not bit-identical; else empty
                        */
    char repro[512];   /* the command that repeats the case */
};

/* A tensor of a case as evidence: "input.x", "expected.y", "tolerance.y", "got.y". Inputs of 16 bits come as
 * F32, outputs and tolerances as F64. */
struct qvl_case_tensor {
    char name[64];
    enum qvl_dtype dtype;
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    void *data; /* contiguous; valid during the call of `keep` */
};

typedef enum qvl_status qvl_case_keep_fn(void *data, const struct qvl_case *chosen,
                                         const struct qvl_case_result *result,
                                         const struct qvl_case_tensor *tensors, int count,
                                         struct qvl_error *error);

/* Who is verified. */
struct qvl_case_context {
    struct qvl_backend *reference;
    struct qvl_backend *candidate;
    qvl_backend_open_fn *open; /* opens the candidate again with other options; NULL: probes that need that
                                  are SKIPPED */
    int threads;               /* the candidate was opened with */
    const char *backend;       /* the candidate as --backend names it; NULL: by its own name */
    void (*calling)(void *data, bool begins); /* told when the candidate's calls of an op case begin and end;
                                                 may be NULL */
    qvl_case_keep_fn *keep; /* gets the tensors of an op case that did not pass; may be NULL */
    void *data;             /* handed to these two */
};

/* Memory that a case needs where that is large (over 64 MiB, backend and checker together), else 0. A case
 * that needs more than the machine has is SKIPPED; a scheduler runs such cases one at a time. */
int64_t qvl_case_bytes(const struct qvl_case *asked);

/* Run one case on both backends. The result says what became of the candidate; an error is returned only when
 * the case cannot be judged: QVL_USAGE for numbers that no op accepts, QVL_NO_MEMORY, or a failure of the
 * reference. */
enum qvl_status qvl_case_run(const struct qvl_case *chosen, const struct qvl_case_context *context,
                             struct qvl_case_result *result, struct qvl_error *error);

/* Hand the tensors of a case that was not judged, because the candidate did not survive it, to the context's
 * `keep`: the reference alone runs. A probe has none. */
enum qvl_status qvl_case_evidence(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                  const struct qvl_case_result *result, struct qvl_error *error);

#endif
