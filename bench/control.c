#include "bench/control.h"

#include <math.h>

const char *qvl_control_phase_name(enum qvl_control_phase phase)
{
    static const char *const names[QVL_CONTROL_PHASES] = {"camera and link", "vision", "prefill",
                                                          "action tokens", "adapter"};
    return (unsigned)phase < QVL_CONTROL_PHASES ? names[phase] : "?";
}

const char *qvl_control_verdict_name(enum qvl_control_verdict verdict)
{
    static const char *const names[QVL_CONTROL_VERDICTS] = {"feasible", "feasible with chunks", "infeasible"};
    return (unsigned)verdict < QVL_CONTROL_VERDICTS ? names[verdict] : "?";
}

static void put(struct qvl_control_time *time, enum qvl_control_phase phase, double times,
                const struct qvl_model_time *model)
{
    time->seconds[phase] += times * model->seconds;
    time->floor_seconds[phase] += times * model->floor_seconds;
}

/* One pass of the adapter: `rows` actions through products of its layers, as kernels of one device. */
static enum qvl_status time_adapter(const struct qvl_deployment *deployment,
                                    const struct qvl_control_loop *loop, struct qvl_model_time *total,
                                    struct qvl_error *error)
{
    const double width = (double)loop->adapter.width, layers = (double)loop->adapter.layers;
    const double sizes[][2] = {{3 * width, width}, {width, width}, {4 * width, width}, {width, 4 * width}};
    *total = (struct qvl_model_time){0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct qvl_kernel_shape shape = {
            QVL_KERNEL_GEMM, QVL_PUBLISHED_BF16, {(double)loop->chunk, sizes[i][0], sizes[i][1]}};
        struct qvl_kernel_time kernel;
        QVL_TRY(qvl_kernel_time(&deployment->device, &shape, &kernel, error));
        total->seconds += layers * kernel.seconds;
        total->floor_seconds += layers * kernel.floor_seconds;
        total->by_source[kernel.source] += layers * kernel.seconds;
    }
    return QVL_OK;
}

static void close_form(const struct qvl_control_time *time, enum qvl_control_phase action, double *period,
                       double *floor, enum qvl_control_phase *binding)
{
    *period = time->seconds[action];
    *floor = time->floor_seconds[action];
    *binding = action;
    for (int phase = QVL_CONTROL_OTHER; phase <= QVL_CONTROL_PREFILL; phase++) {
        *period += time->seconds[phase];
        *floor += time->floor_seconds[phase];
        if (time->seconds[phase] > time->seconds[*binding])
            *binding = (enum qvl_control_phase)phase;
    }
}

enum qvl_status qvl_control_time(const struct qvl_deployment *deployment, const struct qvl_control_loop *loop,
                                 struct qvl_control_time *time, struct qvl_error *error)
{
    const int64_t merge = deployment->config->vision.merge;
    struct qvl_model_time vision, prefill, decode, adapter;
    int64_t fresh = loop->text_tokens;
    *time = (struct qvl_control_time){.seconds = {[QVL_CONTROL_OTHER] = loop->other},
                                      .floor_seconds = {[QVL_CONTROL_OTHER] = loop->other}};
    for (int64_t i = 0; i < loop->grid_count; i++)
        fresh += loop->grids[i].t * loop->grids[i].h * loop->grids[i].w / (merge * merge);
    if (fresh < 1 || loop->context < fresh)
        return qvl_fail(error, QVL_USAGE,
                        "a control context of %lld tokens cannot hold the %lld new tokens of each replan",
                        (long long)loop->context, (long long)fresh);
    const int64_t cached = loop->persistent ? loop->context - fresh : 0;
    QVL_TRY(qvl_time_vision(deployment, loop->grids, loop->grid_count, &vision, error));
    QVL_TRY(qvl_time_prefill(deployment, cached, loop->context - cached, &prefill, error));
    QVL_TRY(qvl_time_decode(deployment, loop->context, &decode, error));
    QVL_TRY(time_adapter(deployment, loop, &adapter, error));
    put(time, QVL_CONTROL_VISION, 1, &vision);
    put(time, QVL_CONTROL_PREFILL, 1, &prefill);
    /* the first token comes out of the prefill */
    put(time, QVL_CONTROL_TOKENS, (double)(loop->action_tokens - 1), &decode);
    put(time, QVL_CONTROL_ADAPTER, (double)loop->adapter.steps, &adapter);
    close_form(time, QVL_CONTROL_TOKENS, &time->token_period, &time->token_floor, &time->token_binding);
    close_form(time, QVL_CONTROL_ADAPTER, &time->chunk_period, &time->chunk_floor, &time->chunk_binding);
    struct qvl_model_time all = {.seconds = time->token_period + time->seconds[QVL_CONTROL_ADAPTER]};
    for (int source = 0; source < QVL_TIME_SOURCES; source++)
        all.by_source[source] = vision.by_source[source] + prefill.by_source[source] +
                                (double)(loop->action_tokens - 1) * decode.by_source[source] +
                                (double)loop->adapter.steps * adapter.by_source[source];
    time->source = qvl_model_time_source(&all);
    return QVL_OK;
}

struct qvl_control_answer qvl_control_answer(const struct qvl_control_time *time,
                                             const struct qvl_control_loop *loop, double rate)
{
    const double dt = 1 / rate;
    if (time->token_period <= dt)
        return (struct qvl_control_answer){.verdict = QVL_CONTROL_FEASIBLE,
                                           .binding = time->token_binding,
                                           .executed = 1,
                                           .replan_rate = rate,
                                           .reaction = dt + time->token_period,
                                           .reaction_sync = dt + time->token_period};
    const double needed = fmax(1, ceil(time->chunk_period / dt - 1e-9));
    const bool keeps_up = needed <= (double)loop->executed;
    const int64_t executed = keeps_up ? (int64_t)needed : loop->executed;
    const double interval = fmax(time->chunk_period, (double)executed * dt);
    return (struct qvl_control_answer){.verdict = keeps_up ? QVL_CONTROL_WITH_CHUNKS : QVL_CONTROL_INFEASIBLE,
                                       .by_physics = time->chunk_floor > (double)loop->executed * dt,
                                       .binding = time->chunk_binding,
                                       .executed = executed,
                                       .replan_rate = 1 / interval,
                                       .reaction = interval + time->chunk_period,
                                       .reaction_sync = (double)executed * dt + time->chunk_period};
}
