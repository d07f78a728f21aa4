#include "cli/latency_gate.h"

#include "bench/flops.h"

/* Bytes that a decode step behind `context` tokens moves at least. */
static double decode_bytes(const struct qvl_model_config *config, enum qvl_dtype storage, int64_t context)
{
    const struct qvl_flops_workload workload = {
        .batch = 1, .cached = context, .tokens = 1, .logits = 1, .storage = storage};
    struct qvl_flops flops;
    struct qvl_error ignored;
    return qvl_flops_count(config, &workload, &flops, &ignored) == QVL_OK ? qvl_flops_bytes(&flops) : 0;
}

/* The fraction of the limit that `work` in `seconds` is; `reason` keeps the first impossibility. */
static void compare(struct qvl_record *record, const char *name, const struct qvl_roofline *roofline,
                    const struct qvl_work *work, double seconds, char reason[256])
{
    const double limit = work->flops > 0 ? roofline->flops : roofline->memory;
    const double amount = work->flops > 0 ? work->flops : work->bytes;
    if (!(seconds > 0 && limit > 0 && amount > 0))
        return;
    qvl_record_real(record, name, amount / seconds / limit, "1", QVL_FROM_MEASURED);
    if (!*reason)
        qvl_physics_possible(roofline, work, seconds, reason, 256);
}

static void compare_vision(const struct qvl_roofline *roofline, struct qvl_record *record, char reason[256])
{
    const double encode = qvl_record_number(record, "encode_median");
    const struct qvl_work tower = {.flops = qvl_record_number(record, "encode_flop_rate") * encode};
    compare(record, "encode_of_peak", roofline, &tower, encode, reason);
}

static void compare_text(const struct qvl_model_config *config, enum qvl_dtype storage,
                         const struct qvl_roofline *roofline, struct qvl_record *record, char reason[256])
{
    const int64_t context = (int64_t)qvl_record_number(record, "context");
    const double prefill = qvl_record_number(record, "prefill_median");
    const struct qvl_work prompt = {.flops = qvl_record_number(record, "prefill_flop_rate") * prefill};
    const struct qvl_work step = {.bytes = decode_bytes(config, storage, context)};
    compare(record, "prefill_of_peak", roofline, &prompt, prefill, reason);
    compare(record, "decode_of_bandwidth", roofline, &step, qvl_record_number(record, "decode_median"),
            reason);
}

void qvl_latency_gate(const struct qvl_model_config *config, enum qvl_dtype storage,
                      const struct qvl_roofline *roofline, struct qvl_record *record)
{
    char reason[256] = "";
    if (strcmp(record->kind, "latency_vision") == 0)
        compare_vision(roofline, record, reason);
    else if (strcmp(record->kind, "latency") == 0)
        compare_text(config, storage, roofline, record, reason);
    if (*reason && (record->status == QVL_CASE_PASSED || record->status == QVL_CASE_NONE)) {
        record->status = QVL_CASE_INVALID;
        qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
    }
}
