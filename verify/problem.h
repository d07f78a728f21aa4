/* One case as data: the operands of a call with their host values, made from the case line alone. Internal to
 * verify/. */
#ifndef QVL_VERIFY_PROBLEM_H
#define QVL_VERIFY_PROBLEM_H

#include "verify/verify.h"

#define QVL_OPERANDS 12
#define QVL_BLOCKS 40

enum qvl_role {
    QVL_ROLE_INPUT,
    QVL_ROLE_OUTPUT,
    QVL_ROLE_INOUT,  /* starts with values and is judged after the call */
    QVL_ROLE_WEIGHT, /* prepared by the backend */
    QVL_ROLE_HOST    /* host memory that the call fills: exported cache rows, a sampled token */
};

enum qvl_judge {
    QVL_JUDGE_NONE,
    QVL_JUDGE_BOUND, /* against value and bound of the reference's error analysis */
    QVL_JUDGE_SLACK, /* against the reference's output, within absolute + relative |value| and one rounding */
    QVL_JUDGE_EXACT, /* equal to the reference's output */
    QVL_JUDGE_CUSTOM /* the op's own rule */
};

/* What QVL_DIST_MANTISSA makes of an operand. */
enum qvl_part { QVL_PART_INPUT, QVL_PART_QUERY, QVL_PART_KEY, QVL_PART_VALUE };

struct qvl_operand {
    const char *name; /* static */
    enum qvl_part part;
    enum qvl_role role;
    enum qvl_judge judge;
    double absolute, relative; /* QVL_JUDGE_SLACK */
    enum qvl_dtype dtype;
    bool keeps_dtype;   /* also when the reference computes on widened input */
    bool no_infinities; /* QVL_DIST_SPECIAL places NaN only */
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    int64_t pad;  /* elements between the rows of every axis but the last */
    void *host;   /* contiguous values; NULL for QVL_ROLE_OUTPUT and QVL_ROLE_HOST */
    unsigned use; /* QVL_ROLE_WEIGHT */
    bool input_first;
};

struct qvl_problem {
    const struct qvl_case *chosen;
    struct qvl_operand operands[QVL_OPERANDS];
    int count;
    void *extra;              /* host arguments of the op, made by its setup */
    void *blocks[QVL_BLOCKS]; /* everything on the host that a call may read; freed with the problem */
    size_t bytes[QVL_BLOCKS];
    int block_count;
    enum qvl_status status; /* the first failure sticks */
};

/* The value of the case's number; `name` is one of the op's. */
int64_t qvl_number(const struct qvl_problem *problem, const char *name);

/* Zeroed host memory of the problem; NULL (and a sticky QVL_NO_MEMORY) when there is none. */
void *qvl_problem_block(struct qvl_problem *problem, int64_t count, size_t bytes);

/* A new operand of the case's type, zero where it has host values. Never NULL. */
struct qvl_operand *qvl_problem_add(struct qvl_problem *problem, enum qvl_role role, const char *name,
                                    int32_t rank, const int64_t *shape);

/* Fill with the case's distribution; `scale` multiplies what has a scale. */
void qvl_problem_fill(struct qvl_problem *problem, struct qvl_operand *operand, double scale);

/* Fill with mean + deviation * normal, whatever the distribution, unless that asks for whole numbers. */
void qvl_problem_fill_normal(struct qvl_problem *problem, struct qvl_operand *operand, double mean,
                             double deviation);

/* A prepared matrix [out, in] or experts [experts, out, in], [experts, in, out] with input_first: normal with
 * variance 1/in, so that outputs have the scale of the inputs. */
enum qvl_layer {
    QVL_LAYER_ONLY,  /* of the op */
    QVL_LAYER_FIRST, /* of two: `units` hidden units */
    QVL_LAYER_SECOND
};
struct qvl_weight_shape {
    int64_t experts; /* 0: a matrix */
    int64_t out, in;
    bool input_first;
    enum qvl_layer layer;
    int64_t units,
        period; /* QVL_LAYER_FIRST: hidden units, and columns of one row of the op's input (0: in) */
};
struct qvl_operand *qvl_problem_add_weight(struct qvl_problem *problem, const char *name,
                                           const struct qvl_weight_shape *shape);

/* `count` of the numbers 0 .. limit-1, distinct, in random order. */
int64_t *qvl_problem_choose(struct qvl_problem *problem, const char *name, int64_t count, int64_t limit);

/* An FNV-1a hash of the 64-bit words of all host blocks: equal before and after a call that keeps its inputs.
 */
uint64_t qvl_problem_fingerprint(const struct qvl_problem *problem);

void qvl_problem_free(struct qvl_problem *problem);

/* The value of an element that nobody has written: a NaN that no computation on the inputs yields. */
#define QVL_UNWRITTEN_BITS UINT64_C(0x7ffd0a7e0a7e0a7e)

static inline double qvl_unwritten(void)
{
    const uint64_t bits = QVL_UNWRITTEN_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline bool qvl_is_unwritten(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == QVL_UNWRITTEN_BITS;
}

static inline int64_t qvl_operand_count(const struct qvl_operand *operand)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < operand->rank; axis++)
        count *= operand->shape[axis];
    return count;
}

#endif
