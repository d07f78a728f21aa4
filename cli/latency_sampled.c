/* The records of latency by sampling. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/latency_records.h"
#include "cli/latency_run.h"

/* How far hot and cold decode of a layer are compared: a cache of this many tokens. */
#define HOT_CONTEXT 8192

static enum qvl_status make_sampler(struct qvl_latency_run *run, int repeats, struct qvl_sampler **sampler,
                                    struct qvl_error *error)
{
    const struct qvl_sampled_options options = {.storage = run->storage,
                                                .angles = run->session.angles,
                                                .chunk = run->session.chunk,
                                                .decode_steps = run->decode_steps,
                                                .repeats = repeats,
                                                .seed = (uint64_t)run->seed,
                                                .watch = run->watch,
                                                .layers = run->layers,
                                                .available_bytes = run->memory,
                                                .progress = qvl_progress_show,
                                                .context = &run->progress};
    return qvl_sampler_create(&run->source, &run->config, run->backend.backend, &options, sampler, error);
}

enum qvl_status qvl_latency_sampler(struct qvl_latency_run *run, struct qvl_error *error)
{
    return run->sampler ? QVL_OK : make_sampler(run, (int)run->repeats, &run->sampler, error);
}

static void fill_skipped(struct qvl_record *record, const struct qvl_sampled_point *point)
{
    char reason[256];
    record->status = QVL_CASE_SKIPPED;
    qvl_record_int(record, "needed_bytes", point->needed, "B", QVL_FROM_MODELLED);
    qvl_record_int(record, "available_bytes", point->available, "B", QVL_FROM_MEASURED);
    qvl_record_detail(record);
    snprintf(reason, sizeof reason,
             "a cache of that length for one layer of each kind, with its weights and the head, needs %lld "
             "bytes, %lld are available",
             (long long)point->needed, (long long)point->available);
    qvl_record_text(record, "reason", reason, QVL_FROM_MEASURED);
}

static void fill_parts(struct qvl_record *record, const struct qvl_latency_run *run,
                       const struct qvl_sampled_point *point)
{
    static const char *const names[QVL_LAYER_KINDS] = {"dense_layer_median", "moe_layer_median"};
    for (int kind = 0; kind < QVL_LAYER_KINDS; kind++)
        if (point->layer[kind] > 0)
            qvl_record_real(record, names[kind], point->layer[kind], "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "head_median", point->head, "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "rest_median", point->rest, "s", QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_int(record, "layers_sampled", point->layers, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "layers", run->config.text.layers, NULL, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "working_set", point->working_set, "B", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    qvl_record_int(record, "max_positions", run->config.text.max_positions, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_flag(record, "beyond_positions", point->beyond, QVL_FROM_SETTING);
    qvl_record_detail(record);
}

static void fill(struct qvl_record *record, const struct qvl_latency_run *run,
                 const struct qvl_sampled_point *point)
{
    const double prefill = point->prefill.seconds + point->head;
    qvl_record_int(record, "context", point->context, "token", QVL_FROM_SETTING);
    qvl_record_text(record, "method", "sampled", QVL_FROM_SETTING);
    if (point->skipped) {
        fill_skipped(record, point);
        return;
    }
    qvl_record_real(record, "prefill_median", prefill, "s", QVL_FROM_MODELLED);
    qvl_record_real(record, "prefill_error", point->prefill.error, "s", QVL_FROM_MODELLED);
    qvl_record_real(record, "prefill_repeat_error", point->prefill.repeat_error, "s", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    qvl_record_real(record, "prefill_shape_error", point->prefill.shape_error, "s", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    qvl_record_real(record, "line_residual", point->prefill.residual, "1", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    qvl_record_int(record, "line_points", point->prefill.points, NULL, QVL_FROM_MODELLED);
    qvl_record_detail(record);
    qvl_record_real(record, "prefill_rate", (double)point->context / prefill, "token/s", QVL_FROM_MODELLED);
    qvl_record_real(record, "prefill_flop_rate",
                    qvl_latency_prefill_flops(&run->config, point->context) / prefill, "FLOP/s",
                    QVL_FROM_MODELLED);
    qvl_record_int(record, "chunk_depth", point->chunk_depth, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "chunk_rows_timed", point->timed_rows, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_reals(record, "chunk_samples", point->chunk.values, point->chunk.count, "s",
                     QVL_FROM_MODELLED);
    qvl_record_detail(record);
    if (point->decode.count) {
        qvl_latency_samples(record, "decode", &point->decode, QVL_FROM_MODELLED);
        qvl_record_real(record, "decode_rate", 1 / point->decode.median, "token/s", QVL_FROM_MODELLED);
        qvl_record_real(record, "decode_cores_busy", point->decode_cores, "1", QVL_FROM_MEASURED);
        qvl_record_detail(record);
    }
    qvl_record_real(record, "chunk_cores_busy", point->chunk_cores, "1", QVL_FROM_MEASURED);
    fill_parts(record, run, point);
    qvl_conditions_record(&point->conditions, false, record);
    record->status = point->finite ? QVL_CASE_PASSED : QVL_CASE_INVALID;
    if (!point->finite)
        qvl_record_text(record, "reason", "a timed call returned logits that are not finite or all equal",
                        QVL_FROM_MEASURED);
}

static enum qvl_status take_point(struct qvl_latency_run *run, const struct qvl_sampled_point *point,
                                  struct qvl_error *error)
{
    char name[96];
    snprintf(name, sizeof name, "%s %lld sampled", run->name, (long long)point->context);
    struct qvl_record *record = qvl_record_create("latency", name, QVL_CASE_NONE);
    fill(record, run, point);
    return qvl_report_take(run->report, record, error);
}

static enum qvl_status take_depths(struct qvl_latency_run *run, const struct qvl_sampled_depths *depths,
                                   struct qvl_error *error)
{
    for (int64_t i = 0; i < depths->count; i++) {
        const struct qvl_depth_point *point = &depths->points[i];
        char name[96];
        snprintf(name, sizeof name, "%s depth %lld", run->name, (long long)point->depth);
        struct qvl_record *record = qvl_record_create("latency_chunk", name, QVL_CASE_NONE);
        qvl_record_int(record, "depth", point->depth, "token", QVL_FROM_SETTING);
        qvl_record_int(record, "rows", run->session.chunk ? run->session.chunk : QVL_DEFAULT_CHUNK, "token",
                       QVL_FROM_SETTING);
        qvl_record_real(record, "chunk_seconds", point->seconds, "s", QVL_FROM_MODELLED);
        qvl_record_real(record, "chunk_error", point->error, "s", QVL_FROM_MODELLED);
        QVL_TRY(qvl_report_take(run->report, record, error));
    }
    return QVL_OK;
}

/* A layer read from memory, as in a whole model, and one that lies in the caches. */
static enum qvl_status compare_hot(struct qvl_latency_run *run, const struct qvl_sampled_point *point,
                                   struct qvl_error *error)
{
    static const char *const kinds[QVL_LAYER_KINDS] = {"dense", "moe"};
    for (int kind = 0; kind < QVL_LAYER_KINDS; kind++) {
        struct qvl_samples hot = {0};
        char name[96];
        if (point->layer[kind] <= 0)
            continue;
        enum qvl_status status =
            qvl_sampler_hot_layer(run->sampler, kind, point->context, run->decode_steps, &hot, error);
        if (status != QVL_OK) {
            free(hot.values);
            return status;
        }
        snprintf(name, sizeof name, "%s %s layer %lld", run->name, kinds[kind], (long long)point->context);
        struct qvl_record *record = qvl_record_create("latency_layer", name, QVL_CASE_NONE);
        qvl_record_int(record, "context", point->context, "token", QVL_FROM_SETTING);
        qvl_record_real(record, "cold_median", point->layer[kind], "s", QVL_FROM_MEASURED);
        qvl_latency_samples(record, "hot", &hot, QVL_FROM_MEASURED);
        qvl_record_real(record, "cold_per_hot", point->layer[kind] / hot.median, "1", QVL_FROM_MEASURED);
        qvl_record_int(record, "working_set", point->working_set, "B", QVL_FROM_MODELLED);
        qvl_record_int(record, "cache_bytes", qvl_sampling_cache_bytes(), "B", QVL_FROM_MEASURED);
        free(hot.values);
        QVL_TRY(qvl_report_take(run->report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status take_all(struct qvl_latency_run *run, const struct qvl_sampled_point *points,
                                int64_t count, const struct qvl_sampled_depths *depths,
                                struct qvl_error *error)
{
    const struct qvl_sampled_point *compared = NULL;
    for (int64_t i = 0; i < count; i++) {
        QVL_TRY(take_point(run, &points[i], error));
        if (!compared && !points[i].skipped && points[i].context <= HOT_CONTEXT && points[i].decode.count)
            compared = &points[i];
    }
    QVL_TRY(take_depths(run, depths, error));
    return compared ? compare_hot(run, compared, error) : QVL_OK;
}

static enum qvl_status add_notes(struct qvl_latency_run *run, struct qvl_error *error)
{
    const int64_t positions = run->config.text.max_positions;
    char note[512];
    QVL_TRY(qvl_report_note(
        run->report,
        "sampled: some layers with their weights and a KV cache of the real length are timed, with "
        "embedding, "
        "final norm and head, and the layers are multiplied to their number. The cache is filled with random "
        "rows. Enough layers take turns that weights and cache come from memory (cold), as in a whole model. "
        "Prefill is integrated over chunks at a few depths; prefill_error is what the repeats leave open and "
        "the "
        "difference to a straight line.",
        error));
    if (run->config.text.experts > 0)
        QVL_TRY(qvl_report_note(run->report,
                                "experts: random weights and tokens route almost uniformly over the experts, "
                                "as a balanced model does; a trained router may be less even.",
                                error));
    for (int64_t i = 0; i < run->context_count; i++)
        if (run->contexts[i] + run->decode_steps > positions) {
            snprintf(
                note, sizeof note,
                "beyond max_position_embeddings (%lld tokens) the rows say what the shapes cost, not what "
                "the model can do: it needs YaRN (rope_scaling in config.json) there, which changes the "
                "rotary table and no other work.",
                (long long)positions);
            return qvl_report_note(run->report, note, error);
        }
    return QVL_OK;
}

enum qvl_status qvl_latency_sampled_report(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_sampled_point *points = calloc(QVL_LATENCY_MAX_CONTEXTS, sizeof *points);
    struct qvl_sampled_depths depths = {0};
    if (!points)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the contexts");
    qvl_progress_begin(&run->progress, "latency", "token", 0);
    enum qvl_status status = qvl_latency_sampler(run, error);
    if (status == QVL_OK)
        status = qvl_sampler_measure(run->sampler, run->contexts, run->context_count, points, &depths, error);
    if (status == QVL_OK)
        status = take_all(run, points, run->context_count, &depths, error);
    qvl_progress_end(&run->progress);
    for (int64_t i = 0; i < run->context_count; i++)
        qvl_sampled_point_free(&points[i]);
    free(points);
    return status == QVL_OK ? add_notes(run, error) : status;
}

/* Both ways in turns, so that what changes on the machine meanwhile meets both. Short rounds are disturbed
 * most: there are more of them, for as long as a minute. */
#define MAX_ROUNDS 64
#define LEAST_CHECK 60.0 /* seconds */
enum { MORE_ROUNDS = 15 };
enum { PREFILL, DECODE, FIGURES };
struct rounds {
    double whole[FIGURES][MAX_ROUNDS], estimated[FIGURES][MAX_ROUNDS], ratio[FIGURES][MAX_ROUNDS];
    int64_t count;
    int64_t layers; /* sampled */
};

static void fill_figure(struct qvl_record *record, const char *name, struct rounds *rounds, int figure)
{
    const struct {
        const char *suffix, *unit;
        double *values;
        enum qvl_provenance provenance;
    } fields[] = {{"whole", "s", rounds->whole[figure], QVL_FROM_MEASURED},
                  {"estimated", "s", rounds->estimated[figure], QVL_FROM_MODELLED},
                  {"ratio", "1", rounds->ratio[figure], QVL_FROM_MODELLED}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char field[64];
        struct qvl_samples samples = {.values = fields[i].values, .count = rounds->count};
        if (qvl_samples_summarise(&samples, NULL) != QVL_OK)
            continue;
        snprintf(field, sizeof field, "%s_%s", name, fields[i].suffix);
        qvl_record_real(record, field, samples.median, fields[i].unit, fields[i].provenance);
        snprintf(field, sizeof field, "%s_%s_samples", name, fields[i].suffix);
        qvl_record_reals(record, field, samples.values, samples.count, fields[i].unit, fields[i].provenance);
        qvl_record_detail(record);
    }
}

static enum qvl_status check_round(struct qvl_latency_run *run, struct qvl_sampler *sampler,
                                   struct qvl_model *model, int64_t context, struct rounds *rounds,
                                   struct qvl_error *error)
{
    const struct qvl_latency_options options = {.chunk = run->session.chunk,
                                                .decode_steps = run->decode_steps,
                                                .repeats = 1,
                                                .seed = (uint64_t)(run->seed + rounds->count),
                                                .progress = qvl_progress_show,
                                                .context = &run->progress};
    struct qvl_sampled_point sampled = {0};
    struct qvl_sampled_depths depths;
    struct qvl_latency_point whole = {0};
    const int64_t round = rounds->count;
    int64_t done = 0;
    enum qvl_status status = qvl_sampler_measure(sampler, &context, 1, &sampled, &depths, error);
    if (status == QVL_OK && sampled.skipped)
        status = qvl_fail(error, QVL_NO_MEMORY, "the sampled part needs %lld bytes, %lld are available",
                          (long long)sampled.needed, (long long)sampled.available);
    if (status == QVL_OK)
        status = qvl_latency_measure(model, &context, 1, &options, &whole, &done, error);
    if (status == QVL_OK && !(sampled.finite && whole.finite))
        status = qvl_fail(error, QVL_INCOMPARABLE,
                          "a timed call at %lld tokens returned logits that are not finite or all equal",
                          (long long)context);
    if (status == QVL_OK) {
        rounds->layers = sampled.layers;
        rounds->whole[PREFILL][round] = whole.prefill.median;
        rounds->estimated[PREFILL][round] = sampled.prefill.seconds + sampled.head;
        rounds->whole[DECODE][round] = whole.decode.median;
        rounds->estimated[DECODE][round] = sampled.decode.median;
        for (int i = 0; i < FIGURES; i++)
            rounds->ratio[i][round] = rounds->estimated[i][round] / rounds->whole[i][round];
        rounds->count++;
    }
    qvl_sampled_point_free(&sampled);
    qvl_latency_point_free(&whole);
    return status;
}

static enum qvl_status check_context(struct qvl_latency_run *run, struct qvl_sampler *sampler,
                                     int64_t context, struct qvl_error *error)
{
    struct rounds rounds = {0};
    struct qvl_model *model;
    char name[96];
    QVL_TRY(qvl_latency_whole(run, &model, error));
    const double start = qvl_clock();
    const int64_t most = run->repeats < MAX_ROUNDS ? run->repeats : MAX_ROUNDS;
    while (rounds.count < most || (rounds.count < MORE_ROUNDS && qvl_clock() - start < LEAST_CHECK))
        QVL_TRY(check_round(run, sampler, model, context, &rounds, error));
    snprintf(name, sizeof name, "%s %lld", run->name, (long long)context);
    struct qvl_record *record = qvl_record_create("latency_estimator", name, QVL_CASE_NONE);
    qvl_record_int(record, "context", context, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "layers_sampled", rounds.layers, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "rounds", rounds.count, NULL, QVL_FROM_MEASURED);
    fill_figure(record, "prefill", &rounds, PREFILL);
    if (run->decode_steps > 0)
        fill_figure(record, "decode", &rounds, DECODE);
    return qvl_report_take(run->report, record, error);
}

enum qvl_status qvl_latency_check_report(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_sampler *sampler = NULL;
    enum qvl_status status = run->check_count > 0 ? make_sampler(run, 1, &sampler, error) : QVL_OK;
    qvl_progress_begin(&run->progress, "latency", "token", 0);
    for (int64_t i = 0; i < run->check_count && status == QVL_OK; i++) {
        struct qvl_error reason = {0};
        char name[96];
        status = check_context(run, sampler, run->checks[i], &reason);
        if (status != QVL_NO_MEMORY && status != QVL_OK) {
            status = qvl_fail(error, status, "%s", reason.message);
        } else if (status == QVL_NO_MEMORY) {
            snprintf(name, sizeof name, "%s %lld", run->name, (long long)run->checks[i]);
            struct qvl_record *record = qvl_record_create("latency_estimator", name, QVL_CASE_SKIPPED);
            qvl_record_int(record, "context", run->checks[i], "token", QVL_FROM_SETTING);
            qvl_record_text(record, "reason", reason.message, QVL_FROM_MEASURED);
            status = qvl_report_take(run->report, record, error);
        }
    }
    qvl_progress_end(&run->progress);
    qvl_sampler_destroy(sampler);
    return status;
}
