#include "bench/flops_records.h"

void qvl_flops_context_label(int64_t context, char label[24])
{
    if (context >= 1 << 20 && context % (1 << 20) == 0)
        snprintf(label, 24, "%lldM", (long long)(context >> 20));
    else if (context >= 1 << 10 && context % (1 << 10) == 0)
        snprintf(label, 24, "%lldK", (long long)(context >> 10));
    else
        snprintf(label, 24, "%lld", (long long)context);
}

/* An exact integer up to 2^63, a double beyond. */
static void put_count(struct qvl_record *record, const char *name, qvl_flop_count count, const char *unit)
{
    if (count <= INT64_MAX)
        qvl_record_int(record, name, (int64_t)count, unit, QVL_FROM_MODELLED);
    else
        qvl_record_real(record, name, (double)count, unit, QVL_FROM_MODELLED);
}

/* The three passes that a context is described by. */
struct passes {
    struct qvl_flops prefill; /* the whole prompt */
    struct qvl_flops last;    /* its last token alone */
    struct qvl_flops decode;  /* one token behind it */
};

static enum qvl_status count_passes(const struct qvl_model_config *config,
                                    const struct qvl_flops_request *request, int64_t context,
                                    struct passes *passes, struct qvl_error *error)
{
    struct qvl_flops_workload workload = {.batch = request->batch,
                                          .tokens = context,
                                          .logits = 1,
                                          .grids = request->grids,
                                          .grid_count = request->grid_count,
                                          .storage = request->storage};
    QVL_TRY(qvl_flops_count(config, &workload, &passes->prefill, error));
    workload.grid_count = 0;
    workload.tokens = 1;
    workload.cached = context - 1;
    QVL_TRY(qvl_flops_count(config, &workload, &passes->last, error));
    workload.cached = context;
    return qvl_flops_count(config, &workload, &passes->decode, error);
}

static void put_settings(struct qvl_record *record, const char *model,
                         const struct qvl_flops_request *request)
{
    qvl_record_text(record, "model", model, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "batch", request->batch, "sequence", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "storage", qvl_dtype_name(request->storage), QVL_FROM_SETTING);
    qvl_record_detail(record);
}

/* A record of one context. */
static struct qvl_record *begin(const char *kind, const char *model, int64_t context,
                                const struct qvl_flops_request *request)
{
    char label[24], name[160];
    qvl_flops_context_label(context, label);
    snprintf(name, sizeof name, "%s at %s", model, label);
    struct qvl_record *record = qvl_record_create(kind, name, QVL_CASE_NONE);
    put_settings(record, model, request);
    qvl_record_int(record, "context", context, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    return record;
}

static struct qvl_record *summary_record(const char *model, const struct qvl_model_config *config,
                                         const struct qvl_flops_request *request, int64_t context,
                                         const struct passes *passes)
{
    struct qvl_record *record = begin("flops", model, context, request);
    struct qvl_parameter_count parameters = qvl_model_count_parameters(config);
    double size = (double)qvl_dtype_bytes(request->storage), batch = (double)request->batch;
    qvl_flop_count vision = qvl_flops_sum(&passes->prefill, QVL_FLOPS_MATRIX, true);
    qvl_flop_count language = qvl_flops_sum(&passes->prefill, QVL_FLOPS_MATRIX, false);
    double attention = (double)qvl_flops_find(&passes->prefill, "attention")->flops;
    qvl_record_int(record, "parameters", parameters.total, "parameter", QVL_FROM_MODELLED);
    qvl_record_int(record, "active_parameters", parameters.active, "parameter", QVL_FROM_MODELLED);
    if (request->grid_count > 0)
        put_count(record, "vision", vision, "FLOP");
    put_count(record, "prefill", vision + language, "FLOP");
    qvl_record_real(record, "prefill_per_token", (double)language / batch / (double)context, "FLOP/token",
                    QVL_FROM_MODELLED);
    qvl_record_real(record, "last_prompt_token",
                    (double)qvl_flops_sum(&passes->last, QVL_FLOPS_MATRIX, false) / batch, "FLOP/token",
                    QVL_FROM_MODELLED);
    qvl_record_real(record, "decode_per_token",
                    (double)qvl_flops_sum(&passes->decode, QVL_FLOPS_MATRIX, false) / batch, "FLOP/token",
                    QVL_FROM_MODELLED);
    qvl_record_real(record, "attention_share_of_prefill", 100 * attention / (double)language, "%",
                    QVL_FROM_MODELLED);
    qvl_record_real(record, "weights", (double)parameters.total * size, "B", QVL_FROM_MODELLED);
    qvl_record_real(record, "kv_cache",
                    batch * (double)context * (double)qvl_flops_cache_bytes(config, request->storage), "B",
                    QVL_FROM_MODELLED);
    qvl_record_real(record, "decode_traffic", qvl_flops_bytes(&passes->decode) / batch, "B/token",
                    QVL_FROM_MODELLED);
    return record;
}

enum part { LANGUAGE, VISION };
enum quantity { FLOPS, BYTES };

/* A field for each stage of one part that does anything. */
static void put_stages(struct qvl_record *record, const struct qvl_flops *flops, enum part part,
                       enum quantity quantity)
{
    for (int64_t i = 0; i < flops->count; i++) {
        const struct qvl_flops_stage *stage = &flops->stages[i];
        if (stage->vision != (part == VISION))
            continue;
        if (quantity == BYTES && stage->bytes > 0)
            qvl_record_real(record, stage->name, stage->bytes, "B", QVL_FROM_MODELLED);
        else if (quantity == FLOPS && stage->flops > 0)
            put_count(record, stage->name, stage->flops, "FLOP");
    }
}

/* The vision part is the same at every context. */
static enum qvl_status report_vision(const char *model, const struct qvl_model_config *config,
                                     const struct qvl_flops_request *request, struct qvl_report *report,
                                     struct qvl_error *error)
{
    const struct qvl_flops_workload workload = {.batch = request->batch,
                                                .grids = request->grids,
                                                .grid_count = request->grid_count,
                                                .storage = request->storage};
    struct qvl_flops flops;
    QVL_TRY(qvl_flops_count(config, &workload, &flops, error));
    for (int quantity = FLOPS; quantity <= BYTES; quantity++) {
        struct qvl_record *record =
            qvl_record_create(quantity == FLOPS ? "vision_flops" : "vision_bytes", model, QVL_CASE_NONE);
        put_settings(record, model, request);
        qvl_record_int(record, "visual_tokens",
                       qvl_flops_visual_tokens(config, request->grids, request->grid_count), "token",
                       QVL_FROM_MODELLED);
        put_stages(record, &flops, VISION, (enum quantity)quantity);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status report_context(const char *model, const struct qvl_model_config *config,
                                      const struct qvl_flops_request *request, int64_t context,
                                      struct qvl_report *report, struct qvl_error *error)
{
    struct passes passes;
    int64_t visual = qvl_flops_visual_tokens(config, request->grids, request->grid_count);
    if (context < 1 || context < visual)
        return qvl_fail(
            error, QVL_USAGE,
            "%s: a context of %lld tokens cannot hold the %lld visual tokens of its pictures and videos; "
            "give a longer --context or smaller media",
            model, (long long)context, (long long)visual);
    QVL_TRY(count_passes(config, request, context, &passes, error));
    QVL_TRY(qvl_report_take(report, summary_record(model, config, request, context, &passes), error));
    const struct {
        const char *kind;
        const struct qvl_flops *flops;
        enum quantity quantity;
    } tables[] = {{"prefill_flops", &passes.prefill, FLOPS},
                  {"decode_flops", &passes.decode, FLOPS},
                  {"prefill_bytes", &passes.prefill, BYTES},
                  {"decode_bytes", &passes.decode, BYTES}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct qvl_record *record = begin(tables[i].kind, model, context, request);
        put_stages(record, tables[i].flops, LANGUAGE, tables[i].quantity);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

enum qvl_status qvl_flops_report(const char *model, const struct qvl_model_config *config,
                                 const struct qvl_flops_request *request, struct qvl_report *report,
                                 struct qvl_error *error)
{
    for (int64_t i = 0; i < request->context_count; i++)
        QVL_TRY(report_context(model, config, request, request->contexts[i], report, error));
    return request->grid_count > 0 ? report_vision(model, config, request, report, error) : QVL_OK;
}

enum qvl_status qvl_flops_preamble(const struct qvl_flops_request *request, struct qvl_report *report,
                                   struct qvl_error *error)
{
    static const char *const notes[] = {
        "A multiply-add counts as 2 FLOPs. Causal attention counts only the keys that a query sees.",
        "Totals are matrix products (attention included); norms, softmax and elementwise work are listed "
        "apart and are "
        "not in any total.",
        "prefill_per_token is the language model's mean over the prompt; vision runs once for each picture "
        "or video. "
        "Logits are computed for the last prompt token only.",
        "Bytes are the least that must move: each weight once a pass (of the experts, those that uniform "
        "routing "
        "touches), inputs and outputs of matrix products, cached keys and values once.",
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        QVL_TRY(qvl_report_note(report, notes[i], error));
    struct qvl_record *record = qvl_record_create("workload", "flops", QVL_CASE_NONE);
    qvl_record_ints(record, "contexts", request->contexts, request->context_count, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "batch", request->batch, "sequence", QVL_FROM_SETTING);
    qvl_record_text(record, "storage", qvl_dtype_name(request->storage), QVL_FROM_SETTING);
    for (int64_t i = 0; i < request->grid_count; i++) {
        char name[32];
        const int64_t grid[3] = {request->grids[i].t, request->grids[i].h, request->grids[i].w};
        snprintf(name, sizeof name, "grid_%lld", (long long)i);
        qvl_record_ints(record, name, grid, 3, "patch", QVL_FROM_SETTING);
    }
    enum qvl_status status = qvl_record_check(record, error);
    if (status != QVL_OK) {
        qvl_record_destroy(record);
        return status;
    }
    report->workload = record;
    return QVL_OK;
}
