/* Calls that must be refused. Internal to verify/. */
#ifndef QVL_VERIFY_REFUSAL_H
#define QVL_VERIFY_REFUSAL_H

#include "verify/op.h"
#include "verify/probe.h"

enum qvl_fault {
    QVL_FAULT_ARGUMENT,   /* in what `call` passes */
    QVL_FAULT_ROWS,       /* axis 0 one shorter */
    QVL_FAULT_WIDTH,      /* the last axis one shorter */
    QVL_FAULT_RANK,       /* one axis more */
    QVL_FAULT_TYPE,       /* no storage type */
    QVL_FAULT_OTHER_TYPE, /* another storage type */
    QVL_FAULT_NULL,
    QVL_FAULT_STRIDE,  /* negative */
    QVL_FAULT_OVERLAP, /* rows of an output share memory */
    QVL_FAULT_ALIAS,   /* starts at the address of `other` */
    QVL_FAULT_NO_WEIGHT
};

struct qvl_wrong_call {
    const char *what; /* NULL ends a list */
    enum qvl_fault fault;
    const char *operand; /* by its name; NULL with QVL_FAULT_ARGUMENT */
    const char *other;
    enum qvl_status (*call)(struct qvl_side *side, struct qvl_error *error); /* NULL: the entry's own */
    enum qvl_status expected;
};

struct qvl_refusal {
    const struct qvl_verify_op *op;
    const char *line; /* the case that the faults are planted in */
    const struct qvl_wrong_call *calls;
};

enum qvl_status qvl_refusal_run(const struct qvl_refusal *refusal, const struct qvl_case *chosen,
                                const struct qvl_case_context *context, struct qvl_case_result *result,
                                struct qvl_error *error);

/* A placed operand by its name. */
struct qvl_tensor qvl_refusal_view(const struct qvl_side *side, const char *name);

/* Define the probe of an entry: its list is `calls_ENTRY`. The rest are its patterns. */
#define QVL_REFUSAL(entry, case_line, ...)                                                                   \
    static enum qvl_status run_##entry(const struct qvl_case *chosen,                                        \
                                       const struct qvl_case_context *context,                               \
                                       struct qvl_case_result *result, struct qvl_error *error)              \
    {                                                                                                        \
        const struct qvl_refusal refusal = {                                                                 \
            .op = &qvl_verify_##entry, .line = case_line, .calls = calls_##entry};                           \
        return qvl_refusal_run(&refusal, chosen, context, result, error);                                    \
    }                                                                                                        \
    static const char *const patterns_##entry[] = {__VA_ARGS__, NULL};                                       \
    const struct qvl_probe qvl_probe_refuse_##entry = {.name = "refuse_" #entry,                             \
                                                       .op = #entry,                                         \
                                                       .numbers = {"call"},                                  \
                                                       .patterns = patterns_##entry,                         \
                                                       .run = run_##entry};

#endif
