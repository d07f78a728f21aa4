#include "bench/latency_sampled.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "bench/latency_parts.h"
#include "bench/stage_clock.h"

#define LONG_CHUNK 10.0 /* seconds: two repeats are enough */

/* Decode steps of a part are short: a burst of other work that a whole model averages out would cover all of
 * them. So there are up to EXTRA_STEPS times as many, until they have taken this long (with 16 steps of 5
 * layers of 28, half a second, medians scattered from 204 to 253 ms where those of the whole model stayed
 * within 1 %). */
#define LEAST_DECODE 3.0 /* seconds */
enum { EXTRA_STEPS = 8 };

struct qvl_sampler {
    struct qvl_model_source source;
    struct qvl_model_config whole;
    struct qvl_backend *backend; /* borrowed */
    struct qvl_sampled_options options;
    struct qvl_model *model; /* the part loaded last */
    struct qvl_model_part part;
    float *logits;
    int64_t *tokens; /* [chunk] */
    int64_t drawn;   /* token ids drawn so far, so that no two calls see the same */
    int64_t done, total;
    struct qvl_stage_clock clock;
};

int64_t qvl_sampling_cache_bytes(void)
{
    const int64_t least = INT64_C(256) << 20;
    int64_t bytes = -1;
#ifdef _SC_LEVEL3_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return bytes > least ? bytes : least;
}

enum qvl_status qvl_sampler_create(const struct qvl_model_source *source,
                                   const struct qvl_model_config *whole, struct qvl_backend *backend,
                                   const struct qvl_sampled_options *options, struct qvl_sampler **sampler,
                                   struct qvl_error *error)
{
    *sampler = NULL;
    if (options->repeats < 1 || options->decode_steps < 0 || options->chunk < 0 || options->layers < 0)
        return qvl_fail(error, QVL_USAGE, "latency: needs a repeat, and no negative number of anything");
    struct qvl_sampler *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a sampler");
    made->source = *source;
    made->whole = *whole;
    made->source.config = &made->whole;
    made->backend = backend;
    made->options = *options;
    if (made->options.chunk == 0)
        made->options.chunk = QVL_DEFAULT_CHUNK;
    if (made->options.cache_bytes == 0)
        made->options.cache_bytes = qvl_sampling_cache_bytes();
    made->logits = malloc(sizeof(float) * (size_t)whole->text.vocab);
    made->tokens = malloc(sizeof(int64_t) * (size_t)made->options.chunk);
    if (!made->logits || !made->tokens) {
        qvl_sampler_destroy(made);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for logits and token ids");
    }
    *sampler = made;
    return QVL_OK;
}

void qvl_sampler_destroy(struct qvl_sampler *sampler)
{
    if (!sampler)
        return;
    qvl_model_destroy(sampler->model);
    free(sampler->logits);
    free(sampler->tokens);
    free(sampler);
}

void qvl_sampled_point_free(struct qvl_sampled_point *point)
{
    free(point->chunk.values);
    free(point->decode.values);
    memset(point, 0, sizeof *point);
}

static bool same_part(const struct qvl_model_part *a, const struct qvl_model_part *b)
{
    return a->layer_count == b->layer_count && a->vision_blocks == b->vision_blocks &&
           memcmp(a->layers, b->layers, sizeof *a->layers * (size_t)a->layer_count) == 0;
}

static enum qvl_status load_part(struct qvl_sampler *sampler, const struct qvl_model_part *part,
                                 struct qvl_error *error)
{
    const struct qvl_model_options options = {.storage = sampler->options.storage,
                                              .angles = sampler->options.angles,
                                              .available_bytes = sampler->options.available_bytes};
    if (sampler->model && same_part(&sampler->part, part))
        return QVL_OK;
    qvl_model_destroy(sampler->model);
    sampler->model = NULL;
    sampler->part = *part;
    return qvl_model_load_part(&sampler->source, part, sampler->backend, &options, &sampler->model, error);
}

/* Memory that a part may plan with: what is free once the part loaded now is gone. */
static int64_t available_bytes(struct qvl_sampler *sampler)
{
    if (sampler->options.available_bytes > 0)
        return sampler->options.available_bytes;
    return qvl_memory_available();
}

static void plan_rows(struct qvl_sampler *sampler, int64_t rows, struct qvl_sampling_plan *plan)
{
    const struct qvl_sampling_request request = {.storage = sampler->options.storage,
                                                 .rows = rows,
                                                 .chunk = sampler->options.chunk,
                                                 .layers = sampler->options.layers,
                                                 .cache_bytes = sampler->options.cache_bytes,
                                                 .available = available_bytes(sampler)};
    qvl_sampling_plan(&sampler->whole, &request, plan);
}

static const int64_t *draw_tokens(struct qvl_sampler *sampler, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        sampler->tokens[i] = qvl_latency_token(&sampler->whole, sampler->options.seed, 0, sampler->drawn + i);
    sampler->drawn += count;
    return sampler->tokens;
}

/* One call of `rows` fresh tokens; the clock has its stages. */
static enum qvl_status call(struct qvl_sampler *sampler, struct qvl_sequence *sequence, int64_t rows,
                            bool with_head, struct qvl_error *error)
{
    const int64_t last = rows - 1;
    const struct qvl_step step = {.sequence = sequence,
                                  .tokens = draw_tokens(sampler, rows),
                                  .count = rows,
                                  .logit_rows = &last,
                                  .logit_count = with_head};
    const struct qvl_taps taps = qvl_stage_clock_taps(&sampler->clock);
    qvl_stage_clock_start(&sampler->clock, sampler->backend);
    const enum qvl_status status =
        qvl_model_forward(sampler->model, &step, 1, with_head ? sampler->logits : NULL, &taps, error);
    qvl_stage_clock_stop(&sampler->clock);
    sampler->done += rows;
    if (sampler->options.progress)
        sampler->options.progress(sampler->options.context, sampler->done, sampler->total);
    return status;
}

/* What the call would have taken all layers, without the head. */
static double scaled(const struct qvl_sampler *sampler)
{
    const struct qvl_text_config *part = &qvl_model_get_config(sampler->model)->text;
    return sampler->clock.rest + qvl_sampling_layers(&sampler->whole.text, part, sampler->clock.layers);
}

static enum qvl_status open_samples(struct qvl_samples *samples, int64_t count, struct qvl_error *error)
{
    *samples = (struct qvl_samples){.values = malloc(sizeof(double) * (size_t)(count + 1))};
    return samples->values ? QVL_OK
                           : qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld timings", (long long)count);
}

static double median_of(double *values, int64_t count)
{
    struct qvl_samples samples = {.values = values, .count = count};
    return count > 0 && qvl_samples_summarise(&samples, NULL) == QVL_OK ? samples.median : 0;
}

/* A call like those that were timed, watched. */
static enum qvl_status show_watcher(struct qvl_sampler *sampler, struct qvl_sequence *sequence, int64_t rows,
                                    struct qvl_error *error)
{
    const struct qvl_latency_watch *watch = &sampler->options.watch;
    if (!watch->tell)
        return QVL_OK;
    qvl_latency_tell(watch, true);
    const enum qvl_status status = call(sampler, sequence, rows, true, error);
    qvl_latency_tell(watch, false);
    return status;
}

/* `rows` tokens behind what the sequence holds, again and again, after once untimed: calls of the whole model
 * without the head in `samples`, the head in `heads`. */
static enum qvl_status repeat_rows(struct qvl_sampler *sampler, struct qvl_sequence *sequence, int64_t rows,
                                   struct qvl_samples *samples, double *heads, bool *finite,
                                   struct qvl_error *error)
{
    const int64_t depth = qvl_sequence_length(sequence);
    /* Where one call takes long, a few rows bring in all but the activations, which shallower calls have. */
    QVL_TRY(call(sampler, sequence, depth > 8 * rows && rows > 32 ? 32 : rows, true, error));
    for (int repeat = 0; repeat < sampler->options.repeats; repeat++) {
        if (repeat >= 2 && sampler->clock.total > LONG_CHUNK)
            break;
        QVL_TRY(qvl_sequence_truncate(sequence, depth, error));
        QVL_TRY(call(sampler, sequence, rows, true, error));
        heads[samples->count] = sampler->clock.head;
        samples->values[samples->count++] = scaled(sampler);
        *finite = *finite && qvl_latency_plausible(sampler->logits, sampler->whole.text.vocab);
    }
    const bool slow = sampler->clock.total > LONG_CHUNK;
    QVL_TRY(qvl_sequence_truncate(sequence, depth, error));
    QVL_TRY(show_watcher(sampler, sequence, slow && rows > 32 ? 32 : rows, error));
    return qvl_samples_summarise(samples, error);
}

/* The chunk of point->chunk_rows tokens at point->chunk_depth; `zero` is that of the whole model at depth 0,
 * which only a chunk of fewer timed rows needs. The sequence is as long as if the whole chunk had run. */
static enum qvl_status time_chunks(struct qvl_sampler *sampler, struct qvl_sequence *sequence, double zero,
                                   struct qvl_sampled_point *point, struct qvl_error *error)
{
    const int64_t depth = point->chunk_depth, rows = point->chunk_rows, timed = point->timed_rows;
    const uint64_t seed = sampler->options.seed;
    double *room = malloc(2 * sizeof(double) * (size_t)sampler->options.repeats);
    struct qvl_samples shallow = {.values = room};
    enum qvl_status status = room ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    double *heads = room + sampler->options.repeats;
    if (status == QVL_OK && timed < rows) {
        status = repeat_rows(sampler, sequence, timed, &shallow, heads, &point->finite, error);
        if (status == QVL_OK)
            status = qvl_sequence_truncate(sequence, 0, error);
    }
    if (status == QVL_OK)
        status = qvl_sequence_fill(sequence, depth, seed, error);
    const struct qvl_core_use begin = qvl_core_use_now();
    if (status == QVL_OK)
        status = repeat_rows(sampler, sequence, timed, &point->chunk, heads, &point->finite, error);
    point->chunk_cores = qvl_core_use_since(&begin);
    if (status == QVL_OK) {
        point->head = median_of(heads, point->chunk.count);
        for (int64_t i = 0; i < point->chunk.count && timed < rows; i++)
            point->chunk.values[i] =
                qvl_sampling_widen(zero, shallow.median, point->chunk.values[i], rows, timed);
        status = qvl_samples_summarise(&point->chunk, error);
    }
    if (status == QVL_OK)
        status = qvl_sequence_fill(sequence, depth + rows, seed, error);
    free(room);
    return status;
}

/* Mean of the layers of a kind in the call that was clocked last. */
static double layer_mean(const struct qvl_sampler *sampler, int kind)
{
    const struct qvl_text_config *part = &qvl_model_get_config(sampler->model)->text;
    double sum = 0;
    int64_t count = 0;
    for (int64_t l = 0; l < part->layers; l++)
        if (part->moe_layer[l] == (kind == QVL_LAYER_MOE)) {
            sum += sampler->clock.layers[l];
            count++;
        }
    return count > 0 ? sum / (double)count : 0;
}

static enum qvl_status time_steps(struct qvl_sampler *sampler, struct qvl_sequence *sequence,
                                  struct qvl_sampled_point *point, struct qvl_error *error)
{
    const int64_t steps = sampler->options.decode_steps, most = EXTRA_STEPS * steps;
    double *parts = calloc((size_t)(most + 1) * (QVL_LAYER_KINDS + 1), sizeof *parts);
    enum qvl_status status = parts ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    if (status == QVL_OK && steps > 0) /* warm up */
        status = call(sampler, sequence, 1, true, error);
    const struct qvl_core_use begin = qvl_core_use_now();
    const double start = qvl_clock();
    for (int64_t i = 0; i < most && status == QVL_OK; i++) {
        if (i >= steps && qvl_clock() - start > LEAST_DECODE)
            break;
        status = call(sampler, sequence, 1, true, error);
        if (status != QVL_OK)
            break;
        point->finite = point->finite && qvl_latency_plausible(sampler->logits, sampler->whole.text.vocab);
        for (int kind = 0; kind < QVL_LAYER_KINDS; kind++)
            parts[kind * most + i] = layer_mean(sampler, kind);
        parts[QVL_LAYER_KINDS * most + i] = sampler->clock.rest;
        point->decode.values[point->decode.count++] = scaled(sampler) + sampler->clock.head;
    }
    point->decode_cores = qvl_core_use_since(&begin);
    if (status == QVL_OK && steps > 0)
        status = show_watcher(sampler, sequence, 1, error);
    if (status == QVL_OK && steps > 0)
        status = qvl_samples_summarise(&point->decode, error);
    for (int kind = 0; kind < QVL_LAYER_KINDS && status == QVL_OK; kind++)
        point->layer[kind] = median_of(parts + kind * most, point->decode.count);
    if (status == QVL_OK)
        point->rest = median_of(parts + QVL_LAYER_KINDS * most, point->decode.count);
    free(parts);
    return status;
}

/* A chunk of `rows` tokens at `depth`, then, if wanted, decode steps behind it. */
static enum qvl_status probe(struct qvl_sampler *sampler, int64_t depth, int64_t rows, bool decode,
                             const struct qvl_sampled_depths *depths, struct qvl_sampled_point *point,
                             struct qvl_error *error)
{
    const bool has_zero = depths->count > 0 && depths->points[0].depth == 0;
    const int64_t steps =
        decode ? EXTRA_STEPS * sampler->options.decode_steps + 2 : 0; /* one warms up, one is watched */
    const int64_t capacity = depth + rows + steps;
    struct qvl_sampling_plan plan;
    struct qvl_sequence *sequence = NULL;
    point->chunk_depth = depth;
    point->chunk_rows = rows;
    point->timed_rows = has_zero ? qvl_sampling_rows(rows, depth) : rows;
    point->finite = true;
    plan_rows(sampler, capacity, &plan);
    point->needed = plan.needed;
    point->available = available_bytes(sampler);
    point->skipped = !plan.fits;
    if (point->skipped)
        return QVL_OK;
    point->layers = plan.part.layer_count;
    point->working_set = plan.working_set;
    QVL_TRY(open_samples(&point->chunk, sampler->options.repeats, error));
    QVL_TRY(open_samples(&point->decode, EXTRA_STEPS * sampler->options.decode_steps, error));
    QVL_TRY(load_part(sampler, &plan.part, error));
    const struct qvl_moment before = qvl_moment_now();
    enum qvl_status status = qvl_sequence_create(sampler->model, capacity, &sequence, error);
    if (status == QVL_OK)
        status = time_chunks(sampler, sequence, has_zero ? depths->points[0].seconds : 0, point, error);
    if (status == QVL_OK && decode)
        status = time_steps(sampler, sequence, point, error);
    const struct qvl_moment after = qvl_moment_now();
    if (status == QVL_OK)
        point->conditions = qvl_conditions_between(
            &before, &after, fmax(qvl_samples_noise(&point->chunk), qvl_samples_noise(&point->decode)));
    qvl_sequence_destroy(sequence);
    if (status == QVL_NO_MEMORY) { /* the plan was too hopeful: someone else took it meanwhile */
        point->skipped = true;
        return QVL_OK;
    }
    return status;
}

/* Keep the chunk of a point that was measured, in order of depth. */
static void add_depth(struct qvl_sampled_depths *depths, const struct qvl_sampled_point *point)
{
    int64_t at = depths->count;
    for (int64_t i = 0; i < depths->count; i++)
        if (depths->points[i].depth == point->chunk_depth)
            return;
    if (point->skipped || depths->count == QVL_SAMPLING_MAX_DEPTHS)
        return;
    while (at > 0 && depths->points[at - 1].depth > point->chunk_depth) {
        depths->points[at] = depths->points[at - 1];
        at--;
    }
    /* 1.4826 MAD is the standard deviation of normal noise. */
    depths->points[at] =
        (struct qvl_depth_point){.depth = point->chunk_depth,
                                 .seconds = point->chunk.median,
                                 .error = 1.4826 * point->chunk.mad / sqrt((double)point->chunk.count)};
    depths->count++;
}

static enum qvl_status probe_depth(struct qvl_sampler *sampler, int64_t depth,
                                   struct qvl_sampled_depths *depths, struct qvl_error *error)
{
    struct qvl_sampled_point point = {0};
    for (int64_t i = 0; i < depths->count; i++)
        if (depths->points[i].depth == depth)
            return QVL_OK;
    const enum qvl_status status =
        probe(sampler, depth, sampler->options.chunk, false, depths, &point, error);
    if (status == QVL_OK)
        add_depth(depths, &point);
    qvl_sampled_point_free(&point);
    return status;
}

/* The middle of a context where two points would be all. */
static enum qvl_status add_depths(struct qvl_sampler *sampler, const int64_t *contexts, int64_t count,
                                  struct qvl_sampled_depths *depths, struct qvl_error *error)
{
    const int64_t chunk = sampler->options.chunk;
    for (int64_t i = 0; i < count; i++) {
        int64_t within = 0;
        if (contexts[i] <= chunk)
            continue;
        for (int64_t k = 0; k < depths->count; k++)
            within += depths->points[k].depth <= contexts[i] - chunk;
        if (within < 3 && contexts[i] - chunk >= 2 * chunk)
            QVL_TRY(probe_depth(sampler, (contexts[i] - chunk) / 2, depths, error));
    }
    return QVL_OK;
}

static void estimate_prefill(const struct qvl_sampler *sampler, const struct qvl_sampled_depths *depths,
                             struct qvl_sampled_point *point)
{
    const int64_t chunk = sampler->options.chunk;
    if (point->context > chunk) {
        qvl_sampling_prefill(depths->points, depths->count, point->context, chunk, &point->prefill);
        return;
    }
    const struct qvl_depth_point whole = {.seconds = point->chunk.median,
                                          .error =
                                              1.4826 * point->chunk.mad / sqrt((double)point->chunk.count)};
    qvl_sampling_prefill(&whole, 1, point->context, point->context, &point->prefill);
}

static void count_work(struct qvl_sampler *sampler, const int64_t *contexts, int64_t count)
{
    sampler->done = sampler->total = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t chunk = contexts[i] < sampler->options.chunk ? contexts[i] : sampler->options.chunk;
        sampler->total += (sampler->options.repeats + 1) * chunk + sampler->options.decode_steps + 1;
    }
}

enum qvl_status qvl_sampler_measure(struct qvl_sampler *sampler, const int64_t *contexts, int64_t count,
                                    struct qvl_sampled_point *points, struct qvl_sampled_depths *depths,
                                    struct qvl_error *error)
{
    const int64_t chunk = sampler->options.chunk;
    memset(points, 0, sizeof *points * (size_t)count);
    *depths = (struct qvl_sampled_depths){0};
    count_work(sampler, contexts, count);
    for (int64_t i = 0; i < count; i++) {
        struct qvl_sampled_point *point = &points[i];
        if (contexts[i] < 1)
            return qvl_fail(error, QVL_USAGE, "latency: a context of %lld tokens", (long long)contexts[i]);
        const int64_t rows = contexts[i] < chunk ? contexts[i] : chunk;
        point->context = contexts[i];
        point->beyond = contexts[i] + sampler->options.decode_steps > sampler->whole.text.max_positions;
        if (contexts[i] > chunk)
            QVL_TRY(probe_depth(sampler, 0, depths, error));
        QVL_TRY(probe(sampler, contexts[i] - rows, rows, true, depths, point, error));
        if (rows == chunk)
            add_depth(depths, point);
    }
    QVL_TRY(add_depths(sampler, contexts, count, depths, error));
    for (int64_t i = 0; i < count; i++)
        if (!points[i].skipped)
            estimate_prefill(sampler, depths, &points[i]);
    return QVL_OK;
}

enum qvl_status qvl_sampler_hot_layer(struct qvl_sampler *sampler, int kind, int64_t context, int64_t steps,
                                      struct qvl_samples *samples, struct qvl_error *error)
{
    struct qvl_model_part part = {.layer_count = 1, .vision_blocks = 1};
    struct qvl_sequence *sequence = NULL;
    const bool moe = kind == QVL_LAYER_MOE;
    while (part.layers[0] < sampler->whole.text.layers &&
           sampler->whole.text.moe_layer[part.layers[0]] != moe)
        part.layers[0]++;
    if (part.layers[0] == sampler->whole.text.layers)
        return qvl_fail(error, QVL_USAGE, "the model has no such layer");
    QVL_TRY(open_samples(samples, steps, error));
    QVL_TRY(load_part(sampler, &part, error));
    QVL_TRY(qvl_sequence_create(sampler->model, context + steps + 2, &sequence, error));
    enum qvl_status status = qvl_sequence_fill(sequence, context, sampler->options.seed, error);
    for (int64_t i = -2; i < steps && status == QVL_OK; i++) {
        status = call(sampler, sequence, 1, false, error);
        if (i >= 0)
            samples->values[samples->count++] = sampler->clock.layers[0];
    }
    qvl_sequence_destroy(sequence);
    return status == QVL_OK && steps > 0 ? qvl_samples_summarise(samples, error) : status;
}

static enum qvl_status encode(struct qvl_sampler *sampler, const struct qvl_prompt *prompt,
                              struct qvl_error *error)
{
    struct qvl_sequence *sequence = NULL;
    QVL_TRY(qvl_sequence_create(sampler->model, prompt->count, &sequence, error));
    const struct qvl_taps taps = qvl_stage_clock_taps(&sampler->clock);
    qvl_stage_clock_start(&sampler->clock, sampler->backend);
    const enum qvl_status status = qvl_sequence_prompt(sequence, prompt, &taps, error);
    qvl_stage_clock_stop(&sampler->clock);
    qvl_sequence_destroy(sequence);
    return status;
}

static double mean(const double *values, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

/* All of a tower from its sampled blocks and mergers. */
static double take_vision(const struct qvl_sampler *sampler, double parts[4])
{
    const struct qvl_vision_config *part = &qvl_model_get_config(sampler->model)->vision;
    const struct qvl_vision_config *whole = &sampler->whole.vision;
    parts[0] = mean(sampler->clock.blocks, part->depth);
    parts[1] = mean(sampler->clock.deepstack, part->deepstack_count);
    parts[2] = sampler->clock.merger;
    parts[3] = sampler->clock.rest + sampler->clock.head;
    return (double)whole->depth * parts[0] + (double)whole->deepstack_count * parts[1] + parts[2] + parts[3];
}

enum qvl_status qvl_sampler_vision(struct qvl_sampler *sampler, const struct qvl_grid *grid, int repeats,
                                   struct qvl_sampled_vision *vision, struct qvl_error *error)
{
    struct qvl_sampling_plan plan;
    double *parts = calloc((size_t)repeats * 4 + 4, sizeof *parts);
    enum qvl_status status = parts ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for timings");
    *vision = (struct qvl_sampled_vision){0};
    plan_rows(sampler, grid->t * grid->h * grid->w, &plan);
    if (status == QVL_OK)
        status = open_samples(&vision->encode, repeats, error);
    if (status == QVL_OK && !(sampler->model && sampler->part.vision_blocks == plan.part.vision_blocks))
        status = load_part(sampler, &plan.part, error);
    /* the first one warms up, one more is watched */
    const struct qvl_latency_watch *watch = &sampler->options.watch;
    const int last = watch->tell ? repeats : repeats - 1;
    for (int i = -1; i <= last && status == QVL_OK; i++) {
        struct qvl_prompt prompt = {0};
        double now[4];
        const uint64_t seed = sampler->options.seed + (uint64_t)(i + 1);
        status = qvl_latency_visual_prompt(&sampler->whole, grid, grid->t > 1, 0, seed, &prompt, error);
        if (status == QVL_OK)
            status = qvl_latency_random_rows(&sampler->whole, seed, &prompt.visuals[0], error);
        if (i == repeats)
            qvl_latency_tell(watch, true);
        if (status == QVL_OK)
            status = encode(sampler, &prompt, error);
        if (i == repeats)
            qvl_latency_tell(watch, false);
        qvl_prompt_free(&prompt);
        if (status != QVL_OK || i < 0 || i == repeats)
            continue;
        vision->encode.values[vision->encode.count++] = take_vision(sampler, now);
        for (int k = 0; k < 4; k++)
            parts[k * repeats + i] = now[k];
    }
    if (status == QVL_OK)
        status = qvl_samples_summarise(&vision->encode, error);
    if (status == QVL_OK) {
        vision->blocks = sampler->part.vision_blocks;
        vision->block = median_of(parts, repeats);
        vision->deepstack = median_of(parts + repeats, repeats);
        vision->merger = median_of(parts + 2 * (size_t)repeats, repeats);
        vision->rest = median_of(parts + 3 * (size_t)repeats, repeats);
    }
    free(parts);
    return status;
}
