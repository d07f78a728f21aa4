/* Can a model on a device close a control loop: from a new camera frame to the action that answers it, as a
 * sum of modelled phases, and a verdict for each action rate. Definitions: docs/COST.md. */
#ifndef QVL_BENCH_CONTROL_H
#define QVL_BENCH_CONTROL_H

#include "bench/memory_fit.h"

/* A transformer on top of the frozen model that puts out a chunk of actions in `steps` passes. */
struct qvl_adapter {
    int64_t width, layers; /* MLP 4 width: 12 width^2 parameters a layer */
    int64_t steps;         /* 1: direct regression; more: flow or diffusion */
};

struct qvl_control_loop {
    const struct qvl_grid *grids; /* new pictures of each replan */
    int64_t grid_count;
    int64_t text_tokens;   /* new text of each replan: markers, timestamps, state */
    int64_t context;       /* tokens that the policy sees, new ones included */
    bool persistent;       /* the cache lives on, so that only new tokens are prefilled */
    double other;          /* s: exposure, transfer, preprocessing, link to the actuator */
    int64_t action_tokens; /* of one action, when actions are decoded as tokens */
    int64_t chunk;         /* actions that one inference puts out */
    int64_t executed;      /* most of them that may run open loop before the next chunk takes over */
    struct qvl_adapter adapter;
};

enum qvl_control_phase {
    QVL_CONTROL_OTHER,
    QVL_CONTROL_VISION,
    QVL_CONTROL_PREFILL,
    QVL_CONTROL_TOKENS,  /* decode steps behind the first token, for one action */
    QVL_CONTROL_ADAPTER, /* all passes, for one chunk */
    QVL_CONTROL_PHASES
};

const char *qvl_control_phase_name(enum qvl_control_phase phase); /* "vision", ... */

struct qvl_control_time {
    double seconds[QVL_CONTROL_PHASES];       /* attainable */
    double floor_seconds[QVL_CONTROL_PHASES]; /* datasheet peaks alone */
    enum qvl_time_source source;              /* weakest of the phases that matter */
    double token_period, chunk_period;        /* of one inference: one action as tokens; one chunk */
    double token_floor, chunk_floor;
    enum qvl_control_phase token_binding, chunk_binding; /* the longest phase of each */
};

/* QVL_UNSUPPORTED as the timings below it; QVL_USAGE: a context shorter than the new tokens. */
QVL_MUST_USE enum qvl_status qvl_control_time(const struct qvl_deployment *deployment,
                                              const struct qvl_control_loop *loop,
                                              struct qvl_control_time *time, struct qvl_error *error);

enum qvl_control_verdict {
    QVL_CONTROL_FEASIBLE,    /* every action answers a fresh frame */
    QVL_CONTROL_WITH_CHUNKS, /* the next chunk is ready before the part of the last one that may run ends */
    QVL_CONTROL_INFEASIBLE,
    QVL_CONTROL_VERDICTS
};

const char *qvl_control_verdict_name(enum qvl_control_verdict verdict);

struct qvl_control_answer {
    enum qvl_control_verdict verdict;
    bool by_physics; /* infeasible: even the datasheet floor is too slow */
    enum qvl_control_phase binding;
    int64_t executed;     /* actions of a chunk: the fewest that cover an inference, at most loop->executed */
    double replan_rate;   /* Hz, in the form of the verdict; chunks overlap execution */
    double reaction;      /* s, worst, from an event to the first action that answers it */
    double reaction_sync; /* the same when the robot waits for each inference */
};

/* `rate` actions a second, dt = 1 / rate. */
struct qvl_control_answer qvl_control_answer(const struct qvl_control_time *time,
                                             const struct qvl_control_loop *loop, double rate);

#endif
