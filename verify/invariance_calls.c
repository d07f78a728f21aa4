/* Repeat and thread count, for every entry: the entry's own case, its call made several times or by backends
 * opened with other numbers of threads. */
#include "verify/invariance.h"
#include "verify/probe.h"

/* ---- repeat ---- */

enum { FRESH, AFTER_OTHER_WORK, ON_USED_OPERANDS };

static enum qvl_status call(struct qvl_side *side, const struct qvl_verify_op *op,
                            const struct qvl_setting *setting, struct qvl_error *error)
{
    (void)setting;
    return op->call(side, NULL, error);
}

/* The same entry on other operands, so that what it leaves behind (scratch, caches of results) is not what
 * the call under test needs. */
static enum qvl_status work_on_others(struct qvl_backend *backend, const struct qvl_verify_op *op,
                                      const struct qvl_case *chosen, struct qvl_error *error)
{
    struct qvl_case other = *chosen;
    other.seed += 1000003;
    struct qvl_problem problem = {.chosen = &other};
    struct qvl_side side = {.backend = backend, .problem = &problem};
    enum qvl_status status = qvl_problem_set_up(&problem, op, error);
    if (status == QVL_OK)
        status = qvl_side_open(&side, error);
    if (status == QVL_OK)
        status = op->call(&side, NULL, error);
    if (status == QVL_OK)
        status = backend->sync(backend, error);
    qvl_side_close(&side);
    qvl_problem_free(&problem);
    return status;
}

/* Whether a second call on the same operands has the same answer: not when it works in place, and not when it
 * makes caches, which belong to the side. */
static bool can_call_twice(const struct qvl_side *side)
{
    for (int i = 0; i < side->problem->count; i++)
        if (side->problem->operands[i].role == QVL_ROLE_INOUT)
            return false;
    return !side->caches[0];
}

static enum qvl_status repeat(struct qvl_side *side, const struct qvl_verify_op *op,
                              const struct qvl_setting *setting, struct qvl_error *error)
{
    if (setting->variant == AFTER_OTHER_WORK)
        QVL_TRY(work_on_others(side->backend, op, side->problem->chosen, error));
    QVL_TRY(op->call(side, NULL, error));
    for (int again = 0; again < 2 && setting->variant == ON_USED_OPERANDS && can_call_twice(side); again++)
        QVL_TRY(op->call(side, NULL, error));
    return QVL_OK;
}

static enum qvl_status run_repeat(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                  struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = qvl_verify_entry(qvl_verify_op(chosen->check)), .ask = repeat};
    for (int64_t i = 1; i <= 6; i++)
        qvl_setting_add(&invariance, i, FRESH, "call %lld", (long long)i);
    for (int64_t i = 7; i <= 8; i++)
        qvl_setting_add(&invariance, i, AFTER_OTHER_WORK, "call %lld, after other operands", (long long)i);
    qvl_setting_add(&invariance, 9, ON_USED_OPERANDS, "three calls on the same operands");
    return qvl_invariance_judge(&invariance, chosen, context, result, error);
}

/* ---- threads ---- */

static enum qvl_status open_all(struct qvl_invariance *invariance, const struct qvl_case_context *context,
                                struct qvl_case_result *result)
{
    const int counts[] = {1, 2, 3, 4};
    struct qvl_error error = {.message = ""};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const struct qvl_backend_options options = {.threads = counts[i]};
        struct qvl_backend *backend = NULL;
        const enum qvl_status status = context->open(&options, &backend, &error);
        if (status != QVL_OK) {
            result->status = QVL_CASE_FAILED;
            snprintf(result->message, sizeof result->message, "does not open with %d threads: %.400s",
                     counts[i], error.message);
            return status;
        }
        qvl_setting_add(invariance, counts[i], 0, "%d thread%s", counts[i], counts[i] > 1 ? "s" : "")
            ->backend = backend;
    }
    return QVL_OK;
}

static enum qvl_status run_threads(const struct qvl_case *chosen, const struct qvl_case_context *context,
                                   struct qvl_case_result *result, struct qvl_error *error)
{
    struct qvl_invariance invariance = {.op = qvl_verify_entry(qvl_verify_op(chosen->check)), .ask = call};
    enum qvl_status status = QVL_OK;
    if (!context->open) {
        result->status = QVL_CASE_SKIPPED;
        snprintf(result->message, sizeof result->message,
                 "this backend cannot be opened again with another number of threads");
        return QVL_OK;
    }
    if (open_all(&invariance, context, result) == QVL_OK)
        status = qvl_invariance_judge(&invariance, chosen, context, result, error);
    for (int s = 0; s < invariance.count; s++)
        invariance.settings[s].backend->close(invariance.settings[s].backend);
    return status;
}

/* ---- the probes: small for repeat; for threads large enough that a backend would share the work ---- */

#define PROBE(dimension, entry, ...)                                                                         \
    static const char *const dimension##_##entry##_patterns[] = {__VA_ARGS__, NULL};                         \
    const struct qvl_probe qvl_probe_##dimension##_##entry = {.name = #dimension "_" #entry,                 \
                                                              .op = #entry,                                  \
                                                              .patterns = dimension##_##entry##_patterns,    \
                                                              .run = run_##dimension}

PROBE(repeat, patch_embed, "repeat_patch_embed rows=19 in=96 out=33 bias=1");
PROBE(repeat, pos_interp, "repeat_pos_interp side=7 dim=11 t=2 h=6 w=10 merge=2 once=0,1");
PROBE(repeat, vision_rope_table, "repeat_vision_rope_table t=2 h=6 w=10 merge=2 d=72 dtype=f32");
PROBE(repeat, layer_norm, "repeat_layer_norm rows=17 dim=131 pad=3 inplace=0,1");
PROBE(repeat, linear, "repeat_linear rows=1,19 in=200 out=33 bias=1 pad=0");
PROBE(repeat, rope, "repeat_rope rows=9 heads=3 d=72 once=0,1 pad=0 inplace=0");
PROBE(repeat, vision_attention, "repeat_vision_attention heads=3 d=72 a=17 b=33 c=5 pad=0");
PROBE(repeat, gelu, "repeat_gelu rows=7 dim=129 erf=0,1 pad=0 inplace=0");
PROBE(repeat, merger, "repeat_merger tokens=9 group=4 dim=10 out=14 norm=0,1");
PROBE(repeat, embed, "repeat_embed rows=9 vocab=31 dim=37");
PROBE(repeat, scatter_rows, "repeat_scatter_rows rows=9 src=4 dim=13");
PROBE(repeat, mrope_table,
      "repeat_mrope_table rows=9 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0,1 double=0 top=262143");
PROBE(repeat, rms_norm, "repeat_rms_norm rows=17 heads=0,3 dim=72 pad=0 inplace=0,1");
PROBE(repeat, cache_append, "repeat_cache_append kv=2 d=72 past=15 rows=3 seqs=3 pad=0");
PROBE(repeat, attention, "repeat_attention heads=6 kv=2 d=72 past=33 rows=1,5 seqs=3 drop=0 pad=0");
PROBE(repeat, swiglu, "repeat_swiglu rows=7 dim=129 pad=0 inplace=0");
PROBE(repeat, add, "repeat_add rows=7 dim=129 pad=0 inplace=0,1");
PROBE(repeat, add_rows, "repeat_add_rows rows=9 src=4 dim=13");
PROBE(repeat, moe_route, "repeat_moe_route rows=17 experts=128 k=8");
PROBE(repeat, moe_experts, "repeat_moe_experts rows=17 experts=5 k=2 dim=40 ffn=12 first=0,1");
PROBE(repeat, moe_combine, "repeat_moe_combine rows=9 k=8 dim=37");
PROBE(repeat, output_head, "repeat_output_head rows=9 chosen=0,3 dim=72 vocab=101");
PROBE(repeat, softmax, "repeat_softmax rows=9 dim=1000 pad=0 inplace=0");
PROBE(repeat, sample,
      "repeat_sample vocab=1013 prompt=7 output=6 greedy=0,1 rep=110 pres=50 temp=70 k=20 p=80 dtype=f32");

PROBE(threads, patch_embed, "threads_patch_embed rows=67 in=192 out=257 bias=1 dtype=f32,bf16");
PROBE(threads, pos_interp, "threads_pos_interp side=12 dim=131 t=2 h=10 w=14 merge=2 once=1 dtype=f32,bf16");
PROBE(threads, vision_rope_table, "threads_vision_rope_table t=2 h=10 w=14 merge=2 d=72 dtype=f32");
PROBE(threads, layer_norm, "threads_layer_norm rows=67 dim=521 pad=0 inplace=0 dtype=f32,bf16");
PROBE(threads, linear, "threads_linear rows=1,67 in=257 out=521 bias=1 pad=0 dtype=f32,bf16");
PROBE(threads, rope, "threads_rope rows=67 heads=7 d=80 once=0 pad=0 inplace=0 dtype=f32,bf16");
PROBE(threads, vision_attention, "threads_vision_attention heads=3 d=72 a=17 b=65 c=33 pad=0 dtype=f32,bf16");
PROBE(threads, gelu, "threads_gelu rows=67 dim=521 erf=0,1 pad=0 inplace=0 dtype=f32");
PROBE(threads, merger, "threads_merger tokens=67 group=4 dim=33 out=70 norm=0,1 dtype=f32,bf16");
PROBE(threads, embed, "threads_embed rows=67 vocab=131 dim=521 dtype=f32");
PROBE(threads, scatter_rows, "threads_scatter_rows rows=80 src=67 dim=521 dtype=f32");
PROBE(threads, mrope_table,
      "threads_mrope_table rows=67 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0 double=0 top=5000 dtype=f32");
PROBE(threads, rms_norm, "threads_rms_norm rows=67 heads=0,3 dim=521 pad=0 inplace=0 dtype=f32,bf16");
PROBE(threads, cache_append, "threads_cache_append kv=2 d=128 past=70 rows=61 seqs=3 pad=0 dtype=f32");
PROBE(threads, attention,
      "threads_attention heads=6 kv=2 d=72 past=129 rows=1,33 seqs=3 drop=0 pad=0 dtype=f32,bf16");
PROBE(threads, swiglu, "threads_swiglu rows=67 dim=521 pad=0 inplace=0 dtype=f32,bf16");
PROBE(threads, add, "threads_add rows=67 dim=521 pad=0 inplace=0 dtype=f32");
PROBE(threads, add_rows, "threads_add_rows rows=80 src=67 dim=521 dtype=f32");
PROBE(threads, moe_route, "threads_moe_route rows=67 experts=128 k=8 dtype=f32,bf16");
PROBE(threads, moe_experts,
      "threads_moe_experts rows=67 experts=5 k=2 dim=131 ffn=65 first=0,1 dtype=f32,bf16");
PROBE(threads, moe_combine, "threads_moe_combine rows=67 k=8 dim=131 dtype=f32,bf16");
PROBE(threads, output_head, "threads_output_head rows=9 chosen=0,3 dim=131 vocab=1013 dtype=f32,bf16");
PROBE(threads, softmax, "threads_softmax rows=67 dim=521 pad=0 inplace=0 dtype=f32,bf16");
PROBE(threads, sample,
      "threads_sample vocab=40013 prompt=7 output=6 greedy=0,1 rep=110 pres=50 temp=70 k=20 p=80 dtype=f32");
