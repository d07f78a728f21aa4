#include "bench/training_records.h"

/* 512 x 512 pixels: 256 tokens. */
static const struct qvl_grid picture = {1, 32, 32};

static void put(struct qvl_record *record, const char *name, double value, const char *unit)
{
    qvl_record_real(record, name, value, unit, QVL_FROM_MODELLED);
}

static void put_share(struct qvl_record *record, const char *what, int64_t share, double value,
                      const char *unit)
{
    char name[48];
    snprintf(name, sizeof name, "%s_%lld_percent_visual", what, (long long)share);
    put(record, name, value, unit);
}

static void put_part(struct qvl_record *record, const char *what, const struct qvl_training_part *part)
{
    const struct {
        const char *suffix;
        double value;
    } figures[] = {{"forward", part->forward},
                   {"input_gradients", part->input_gradients},
                   {"weight_gradients", part->weight_gradients}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_%s", what, figures[i].suffix);
        put(record, name, figures[i].value, "FLOP");
        qvl_record_detail(record);
    }
}

static void add_part(struct qvl_training_part *sum, const struct qvl_training_part *part)
{
    sum->forward += part->forward;
    sum->input_gradients += part->input_gradients;
    sum->weight_gradients += part->weight_gradients;
}

static void add_cost(struct qvl_training_cost *sum, const struct qvl_training_cost *cost)
{
    add_part(&sum->tower, &cost->tower);
    add_part(&sum->mergers, &cost->mergers);
    add_part(&sum->linear, &cost->linear);
    add_part(&sum->scores, &cost->scores);
    add_part(&sum->head, &cost->head);
    sum->total += cost->total;
}

/* One stage, or all: costs at each share. */
static enum qvl_status take_stage(const char *name, const struct qvl_training_request *request,
                                  const struct qvl_training_stage *stage, double tokens, double active,
                                  const struct qvl_training_cost *costs, struct qvl_report *report,
                                  struct qvl_error *error)
{
    struct qvl_record *record = qvl_record_create("training", name, QVL_CASE_NONE);
    const struct qvl_training_cost *first = &costs[0];
    qvl_record_real(record, "tokens", tokens, "token", QVL_FROM_PUBLISHED);
    if (stage) {
        qvl_record_int(record, "sequence", stage->sequence, "token", QVL_FROM_PUBLISHED);
        qvl_record_detail(record);
        qvl_record_text(record, "trained", stage->merger_only ? "merger" : "all", QVL_FROM_PUBLISHED);
        qvl_record_detail(record);
    }
    for (int64_t i = 0; i < request->share_count; i++)
        put_share(record, "flops", request->shares[i], costs[i].total, "FLOP");
    put(record, "scores_share", 100 * (first->scores.forward + first->scores.input_gradients) / first->total,
        "%");
    put(record, "against_6_n_d", first->total / (6 * active * tokens), "1");
    for (int64_t i = 0; i < request->share_count; i++)
        put_share(record, "device_hours", request->shares[i],
                  costs[i].total / (request->peak * request->utilisation) / 3600, "h");
    put_part(record, "tower", &first->tower);
    put_part(record, "mergers", &first->mergers);
    put_part(record, "linear", &first->linear);
    put_part(record, "scores", &first->scores);
    put_part(record, "head", &first->head);
    return qvl_report_take(report, record, error);
}

enum qvl_status qvl_training_report(const char *model, const struct qvl_model_config *config,
                                    const struct qvl_training_request *request, struct qvl_report *report,
                                    struct qvl_error *error)
{
    const double active = (double)qvl_model_count_parameters(config).active_llm;
    struct qvl_training_cost sums[QVL_TRAINING_MAX_SHARES] = {0};
    double tokens = 0;
    char name[160];
    const struct qvl_training_stage *stage;
    for (int64_t s = 0; (stage = qvl_training_stage_at(s)); s++) {
        struct qvl_training_cost costs[QVL_TRAINING_MAX_SHARES] = {0};
        for (int64_t i = 0; i < request->share_count; i++) {
            const double share = (double)request->shares[i] / 100;
            QVL_TRY(qvl_training_count(config, stage, share, &picture, &costs[i], error));
            add_cost(&sums[i], &costs[i]);
        }
        tokens += stage->tokens;
        snprintf(name, sizeof name, "%s %s", model, stage->name);
        QVL_TRY(take_stage(name, request, stage, stage->tokens, active, costs, report, error));
    }
    snprintf(name, sizeof name, "%s all stages", model);
    return take_stage(name, request, NULL, tokens, active, sums, report, error);
}

enum qvl_status qvl_training_preamble(const struct qvl_training_request *request, struct qvl_report *report,
                                      struct qvl_error *error)
{
    static const char *const notes[] = {
        "Token budgets and sequence lengths: technical report, Table 1 (S1 and S2 \"about 1T\"), taken to "
        "hold "
        "for every size and to include visual tokens. Post-training is not in them.",
        "Matrix products only. Backward: as much as forward for the gradients of inputs, and again for those "
        "of weights. S0 trains the mergers (DeepStack's too): nothing goes back into the tower, activation "
        "gradients alone go through the frozen language model.",
        "The share of visual tokens is not published: the columns span it. Pictures are taken as 512 x 512 "
        "pixels (256 tokens). S0 without pictures is a lower bound, not a stage.",
        "Sequences are taken as full and attended causally over their whole length; packed documents that do "
        "not see each other cost less, down to no scores at all. Recomputed activations are not counted.",
        "against_6_n_d: the total over 6 FLOPs for each active parameter of the language model and token.",
    };
    char note[256];
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        QVL_TRY(qvl_report_note(report, notes[i], error));
    snprintf(
        note, sizeof note,
        "Device hours are arithmetic, not a measurement: FLOPs over %.4g TFLOP/s (%s, bf16) at %.3g %% of "
        "it, a stated assumption.",
        request->peak / 1e12, request->device, 100 * request->utilisation);
    QVL_TRY(qvl_report_note(report, note, error));
    report->workload = qvl_record_create("workload", "training", QVL_CASE_NONE);
    qvl_record_ints(report->workload, "visual_shares", request->shares, request->share_count, "%",
                    QVL_FROM_SETTING);
    qvl_record_text(report->workload, "device", request->device, QVL_FROM_SETTING);
    qvl_record_real(report->workload, "peak", request->peak, "FLOP/s", QVL_FROM_SETTING);
    qvl_record_real(report->workload, "utilisation", request->utilisation, "1", QVL_FROM_SETTING);
    return qvl_record_check(report->workload, error);
}
