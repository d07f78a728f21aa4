#include "cli/latency_gate.h"

#include "bench/flops.h"

static double value_of(const struct qvl_record *record, const char *name)
{
    const struct qvl_field *field = qvl_record_find(record, name);
    return !field ? 0 : field->type == QVL_FIELD_INT ? (double)field->value.integer : field->value.real;
}

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
    if (seconds <= 0 || limit <= 0)
        return;
    qvl_record_real(record, name, amount / seconds / limit, "1", QVL_FROM_MEASURED);
    if (!*reason)
        qvl_physics_possible(roofline, work, seconds, reason, 256);
}

void qvl_latency_gate(const struct qvl_model_config *config, enum qvl_dtype storage,
                      const struct qvl_roofline *roofline, struct qvl_record *record)
{
    const bool vision = strcmp(record->kind, "latency_vision") == 0;
    const double prefill = value_of(record, "prefill_median"), decode = value_of(record, "decode_median");
    const double encode = value_of(record, "encode_median");
    const struct qvl_work prompt = {.flops = value_of(record, "prefill_flop_rate") * prefill};
    const struct qvl_work tower = {.flops = value_of(record, "encode_flop_rate") * encode};
    char reason[256] = "";
    if (!vision && strcmp(record->kind, "latency") != 0)
        return;
    if (vision) {
        compare(record, "encode_of_peak", roofline, &tower, encode, reason);
    } else {
        const struct qvl_work step = {
            .bytes = decode_bytes(config, storage, (int64_t)value_of(record, "context"))};
        compare(record, "prefill_of_peak", roofline, &prompt, prefill, reason);
        compare(record, "decode_of_bandwidth", roofline, &step, decode, reason);
    }
    if (*reason && (record->status == QVL_CASE_PASSED || record->status == QVL_CASE_NONE)) {
        record->status = QVL_CASE_INVALID;
        qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
    }
}
