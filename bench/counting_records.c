#include "bench/counting_records.h"

#include <stdlib.h>

/* What is counted of one part of the run, and what the formulas say of it. */
struct part {
    struct qvl_counting counted;
    struct qvl_flops formula;
};

struct run {
    const struct qvl_counting_request *request;
    const struct qvl_model_config *config;
    struct qvl_sequence *sequence;
    float *logits; /* [vocab] of the last row */
    struct part vision, prefill, decode;
};

/* ---- Running ---- */

static enum qvl_status encode(struct run *run, struct qvl_error *error)
{
    const struct qvl_prompt *prompt = run->request->prompt;
    qvl_counting_reset(run->request->backend);
    QVL_TRY(qvl_sequence_prompt(run->sequence, prompt, NULL, error));
    for (int64_t i = 0; i < prompt->visual_count; i++)
        QVL_TRY(qvl_flops_add_tower(run->config, &prompt->visuals[i].grid, run->request->storage,
                                    &run->vision.formula, error));
    qvl_counting_read(run->request->backend, &run->vision.counted);
    qvl_counting_reset(run->request->backend);
    return QVL_OK;
}

static int64_t visual_rows(const struct qvl_positions *positions, int64_t first, int64_t count)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < positions->visual_count; i++)
        rows += positions->visual[i] >= first && positions->visual[i] < first + count;
    return rows;
}

/* One forward call, added to both sides of the part. */
static enum qvl_status forward(struct run *run, struct part *part, const struct qvl_step *step,
                               struct qvl_error *error)
{
    const int64_t touched = part->counted.experts_touched;
    const int64_t first = qvl_sequence_length(run->sequence);
    struct qvl_flops_workload workload = {
        .batch = 1,
        .cached = first,
        .tokens = step->count,
        .logits = step->logit_count,
        .storage = run->request->storage,
        .visual_tokens = visual_rows(qvl_sequence_positions(run->sequence), first, step->count)};
    struct qvl_flops pass;
    QVL_TRY(qvl_model_forward(run->request->model, step, 1, run->logits, NULL, error));
    qvl_counting_read(run->request->backend, &part->counted);
    workload.experts_touched = part->counted.experts_touched - touched;
    QVL_TRY(qvl_flops_count(run->config, &workload, &pass, error));
    qvl_flops_add(&part->formula, &pass);
    return QVL_OK;
}

static enum qvl_status prefill(struct run *run, struct qvl_error *error)
{
    const int64_t chunk = run->request->chunk > 0 ? run->request->chunk : QVL_DEFAULT_CHUNK;
    for (int64_t pending; (pending = qvl_sequence_pending(run->sequence)) > 0;) {
        const int64_t last = pending - 1;
        const struct qvl_step step = {.sequence = run->sequence,
                                      .count = pending < chunk ? pending : chunk,
                                      .logit_rows = &last,
                                      .logit_count = pending <= chunk};
        QVL_TRY(forward(run, &run->prefill, &step, error));
    }
    qvl_counting_reset(run->request->backend);
    return QVL_OK;
}

static enum qvl_status decode(struct run *run, struct qvl_error *error)
{
    for (int64_t i = 0; i < run->request->decode; i++) {
        const int64_t row = 0;
        int64_t token = 0;
        for (int64_t id = 1; id < run->config->text.vocab; id++)
            if (run->logits[id] > run->logits[token])
                token = id;
        const struct qvl_step step = {
            .sequence = run->sequence, .tokens = &token, .count = 1, .logit_rows = &row, .logit_count = 1};
        QVL_TRY(forward(run, &run->decode, &step, error));
    }
    return QVL_OK;
}

/* ---- Records ---- */

/* An exact integer up to 2^63, a double beyond. */
static void put_count(struct qvl_record *record, const char *name, qvl_flop_count count, const char *unit,
                      enum qvl_provenance provenance)
{
    if (count <= INT64_MAX)
        qvl_record_int(record, name, (int64_t)count, unit, provenance);
    else
        qvl_record_real(record, name, (double)count, unit, provenance);
}

static double difference(qvl_flop_count a, qvl_flop_count b)
{
    return a >= b ? (double)(a - b) : -(double)(b - a);
}

static enum qvl_status take_row(const char *kind, const char *name, const struct qvl_flops_stage *counted,
                                const struct qvl_flops_stage *formula, struct qvl_report *report,
                                struct qvl_error *error)
{
    const bool same = counted->flops == formula->flops && counted->bytes == formula->bytes;
    struct qvl_record *record = qvl_record_create(kind, name, same ? QVL_CASE_PASSED : QVL_CASE_FAILED);
    put_count(record, "counted", counted->flops, "FLOP", QVL_FROM_MEASURED);
    put_count(record, "formula", formula->flops, "FLOP", QVL_FROM_MODELLED);
    qvl_record_real(record, "difference", difference(counted->flops, formula->flops), "FLOP",
                    QVL_FROM_MEASURED);
    qvl_record_real(record, "counted_bytes", counted->bytes, "B", QVL_FROM_MEASURED);
    qvl_record_real(record, "formula_bytes", formula->bytes, "B", QVL_FROM_MODELLED);
    qvl_record_real(record, "difference_bytes", counted->bytes - formula->bytes, "B", QVL_FROM_MEASURED);
    return qvl_report_take(report, record, error);
}

/* The stages of either side, and the sum of the matrix products. */
static enum qvl_status report_part(const char *kind, const struct part *part, struct qvl_report *report,
                                   struct qvl_error *error)
{
    static const struct qvl_flops_stage none;
    const struct qvl_flops *const sides[2] = {&part->counted.stages, &part->formula};
    struct qvl_flops_stage sums[2] = {none, none};
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < sides[side]->count; i++) {
            const struct qvl_flops_stage *stage = &sides[side]->stages[i];
            const struct qvl_flops_stage *other = qvl_flops_find(sides[!side], stage->name);
            if (stage->work == QVL_FLOPS_MATRIX) {
                sums[side].flops += stage->flops;
                sums[side].bytes += stage->bytes;
            }
            if (side == 1 && other)
                continue; /* has its row */
            if (stage->flops == 0 && stage->bytes == 0)
                continue;
            const struct qvl_flops_stage *here = other ? other : &none;
            QVL_TRY(take_row(kind, stage->name, side == 0 ? stage : here, side == 0 ? here : stage, report,
                             error));
        }
    }
    return take_row(kind, "matrix products", &sums[0], &sums[1], report, error);
}

static enum qvl_status report_run(const struct run *run, struct qvl_report *report, struct qvl_error *error)
{
    if (run->request->prompt->visual_count > 0)
        QVL_TRY(report_part("counted_vision", &run->vision, report, error));
    QVL_TRY(report_part("counted_prefill", &run->prefill, report, error));
    return run->request->decode > 0 ? report_part("counted_decode", &run->decode, report, error) : QVL_OK;
}

enum qvl_status qvl_counting_report(const struct qvl_counting_request *request, struct qvl_report *report,
                                    struct qvl_error *error)
{
    struct run run = {.request = request, .config = qvl_model_get_config(request->model)};
    run.logits = malloc(sizeof(float) * (size_t)run.config->text.vocab);
    enum qvl_status status =
        run.logits ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a row of logits");
    if (status == QVL_OK)
        status = qvl_sequence_create(request->model, request->prompt->count + request->decode, &run.sequence,
                                     error);
    if (status == QVL_OK)
        status = encode(&run, error);
    if (status == QVL_OK)
        status = prefill(&run, error);
    if (status == QVL_OK)
        status = decode(&run, error);
    if (status == QVL_OK)
        status = report_run(&run, report, error);
    qvl_sequence_destroy(run.sequence);
    free(run.logits);
    return status;
}
