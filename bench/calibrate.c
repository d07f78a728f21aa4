#include "bench/calibrate.h"

#include <stdlib.h>

#include "bench/latency.h"
#include "bench/latency_parts.h"
#include "bench/stage_clock.h"
#include "model/sample.h"

enum { LEAST_ROWS = 64, MOST_CALLS = 256 };

/* ---- the clock in the op table ---- */

/* Entries have no argument for it: one calibration at a time. */
static struct {
    struct qvl_ops ops; /* of the backend itself */
    double seconds[QVL_CALL_CLASSES];
} clocked;

static enum qvl_call_class class_of(const char *entry)
{
    return strcmp(entry, "linear") == 0 || strcmp(entry, "moe_experts") == 0 ? QVL_CALL_PRODUCTS
           : strcmp(entry, "attention") == 0                                 ? QVL_CALL_ATTENTION
           : strcmp(entry, "output_head") == 0                               ? QVL_CALL_HEAD
                                                                             : QVL_CALL_REST;
}

#define CLOCKED(name)                                                                                        \
    static enum qvl_status clocked_##name(struct qvl_backend *backend, const struct qvl_##name##_args *args, \
                                          struct qvl_error *error)                                           \
    {                                                                                                        \
        const double start = qvl_stage_clock_now();                                                          \
        enum qvl_status status = clocked.ops.name(backend, args, error);                                     \
        if (status == QVL_OK)                                                                                \
            status = backend->sync(backend, error);                                                          \
        clocked.seconds[class_of(#name)] += qvl_stage_clock_now() - start;                                   \
        return status;                                                                                       \
    }
QVL_OPS(CLOCKED)
#undef CLOCKED

static void start_clock(struct qvl_backend *backend)
{
    memset(clocked.seconds, 0, sizeof clocked.seconds);
    clocked.ops = backend->ops;
#define REPLACE(name)                                                                                        \
    if (backend->ops.name)                                                                                   \
        backend->ops.name = clocked_##name;
    QVL_OPS(REPLACE)
#undef REPLACE
}

/* ---- measuring ---- */

/* What is sampled: the calls of one point, [class or total][call]. */
struct sampled {
    int64_t rows, depth;
    double values[QVL_CALL_CLASSES + 1][MOST_CALLS];
    int count;
};

struct qvl_calibrator {
    struct qvl_model *model;
    struct qvl_backend *backend;
    struct qvl_calibration_options options; /* chunk is set */
    struct qvl_sequence *sequence;
    int64_t *tokens; /* room for a chunk */
    float *logits;
    uint64_t stream; /* a fresh one for every call */
    struct sampled points[QVL_CALIBRATION_POINTS];
    int count;
};

/* One forward call of `rows` rows behind `depth` tokens, with the logits of the last row. */
static enum qvl_status call(struct qvl_calibrator *calibrator, int64_t rows, int64_t depth,
                            double seconds[QVL_CALL_CLASSES], double *total, struct qvl_error *error)
{
    const struct qvl_model_config *config = qvl_model_get_config(calibrator->model);
    const int64_t last = rows - 1;
    const struct qvl_step step = {.sequence = calibrator->sequence,
                                  .tokens = calibrator->tokens,
                                  .count = rows,
                                  .logit_rows = &last,
                                  .logit_count = 1};
    calibrator->stream++;
    for (int64_t i = 0; i < rows; i++)
        calibrator->tokens[i] = qvl_latency_token(config, calibrator->options.seed, calibrator->stream, i);
    start_clock(calibrator->backend);
    const double start = qvl_stage_clock_now();
    const enum qvl_status status =
        qvl_model_forward(calibrator->model, &step, 1, calibrator->logits, NULL, error);
    *total = qvl_stage_clock_now() - start;
    calibrator->backend->ops = clocked.ops;
    QVL_TRY(status);
    memcpy(seconds, clocked.seconds, sizeof clocked.seconds);
    const double entries = seconds[QVL_CALL_PRODUCTS] + seconds[QVL_CALL_ATTENTION] + seconds[QVL_CALL_HEAD] +
                           seconds[QVL_CALL_REST];
    seconds[QVL_CALL_REST] += *total - entries;
    return qvl_sequence_truncate(calibrator->sequence, depth, error);
}

/* Calls of one point in one round; a call that is not counted goes first, and a single row is called four
 * times as often. */
static enum qvl_status sample_point(struct qvl_calibrator *calibrator, struct sampled *sampled,
                                    struct qvl_error *error)
{
    const int wanted = sampled->rows == 1 ? 4 : 1;
    for (int i = -1; i < wanted; i++) {
        double seconds[QVL_CALL_CLASSES], total;
        QVL_TRY(call(calibrator, sampled->rows, sampled->depth, seconds, &total, error));
        if (i < 0 || sampled->count == MOST_CALLS)
            continue;
        for (int class = 0; class < QVL_CALL_CLASSES; class ++)
            sampled->values[class][sampled->count] = seconds[class];
        sampled->values[QVL_CALL_CLASSES][sampled->count++] = total;
    }
    return QVL_OK;
}

static enum qvl_status take_medians(struct sampled *sampled, struct qvl_calibration_point *point,
                                    struct qvl_error *error)
{
    *point = (struct qvl_calibration_point){.rows = sampled->rows, .depth = sampled->depth};
    for (int class = 0; class <= QVL_CALL_CLASSES; class ++) {
        struct qvl_samples samples = {.values = sampled->values[class], .count = sampled->count};
        QVL_TRY(qvl_samples_summarise(&samples, error));
        *(class < QVL_CALL_CLASSES ? &point->seconds[class] : &point->total) = samples.median;
    }
    return QVL_OK;
}

/* One row and half a chunk at both depths; other row counts at the first alone, for what does not depend on
 * the depth. */
static int plan(const struct qvl_calibration_options *options, struct sampled *points)
{
    const int64_t chunk = options->chunk, half = (chunk + 1) / 2;
    const int64_t rows[] = {1, chunk / 32, chunk / 8, chunk / 4, half, chunk};
    int count = 0;
    for (int depth = 0; depth < 2; depth++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (depth == 0 || rows[i] == 1 || rows[i] == half)
                points[count++] = (struct sampled){.rows = rows[i], .depth = options->depths[depth]};
    return count;
}

enum qvl_status qvl_calibrator_round(struct qvl_calibrator *calibrator, struct qvl_error *error)
{
    for (int i = 0; i < calibrator->count; i++) {
        const int64_t depth = calibrator->points[i].depth;
        if (qvl_sequence_length(calibrator->sequence) > depth)
            QVL_TRY(qvl_sequence_truncate(calibrator->sequence, depth, error));
        QVL_TRY(qvl_sequence_fill(calibrator->sequence, depth, calibrator->options.seed, error));
        QVL_TRY(sample_point(calibrator, &calibrator->points[i], error));
    }
    return QVL_OK;
}

enum qvl_status qvl_calibrator_finish(struct qvl_calibrator *calibrator, struct qvl_calibration *calibration,
                                      struct qvl_error *error)
{
    *calibration = (struct qvl_calibration){.chunk = calibrator->options.chunk, .count = calibrator->count};
    for (int i = 0; i < calibrator->count; i++)
        QVL_TRY(take_medians(&calibrator->points[i], &calibration->points[i], error));
    return qvl_calibration_fit(calibration, error);
}

void qvl_calibrator_destroy(struct qvl_calibrator *calibrator)
{
    if (!calibrator)
        return;
    qvl_sequence_destroy(calibrator->sequence);
    free(calibrator->tokens);
    free(calibrator->logits);
    free(calibrator);
}

enum qvl_status qvl_calibrator_create(struct qvl_model *model, struct qvl_backend *backend,
                                      const struct qvl_calibration_options *options,
                                      struct qvl_calibrator **calibrator, struct qvl_error *error)
{
    const int64_t chunk = options->chunk > 0 ? options->chunk : QVL_DEFAULT_CHUNK;
    *calibrator = NULL;
    if (options->depths[0] < 0 || options->depths[1] <= options->depths[0])
        return qvl_fail(error, QVL_USAGE, "calibration: needs two ascending depths");
    if (chunk < LEAST_ROWS)
        return qvl_fail(error, QVL_USAGE, "calibration: chunks of %lld rows are too short, at least %d",
                        (long long)chunk, LEAST_ROWS);
    struct qvl_calibrator *made = calloc(1, sizeof *made);
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "calibration: no memory for timings");
    made->model = model;
    made->backend = backend;
    made->options = *options;
    made->options.chunk = chunk;
    made->count = plan(&made->options, made->points);
    made->tokens = malloc(sizeof(int64_t) * (size_t)chunk);
    made->logits = malloc(sizeof(float) * (size_t)qvl_model_get_config(model)->text.vocab);
    enum qvl_status status = QVL_OK;
    if (!made->tokens || !made->logits)
        status = qvl_fail(error, QVL_NO_MEMORY, "calibration: no memory for logits");
    if (status == QVL_OK)
        status = qvl_sequence_create(model, options->depths[1] + chunk, &made->sequence, error);
    if (status != QVL_OK) {
        qvl_calibrator_destroy(made);
        return status;
    }
    *calibrator = made;
    return QVL_OK;
}

/* ---- the lines ---- */

/* Pairs of query and key that the causal mask leaves. */
static double pairs_of(int64_t rows, int64_t depth)
{
    return (double)rows * (double)depth + 0.5 * (double)rows * (double)(rows + 1);
}

static const struct qvl_calibration_point *find(const struct qvl_calibration *calibration, int64_t rows,
                                                bool deepest)
{
    const struct qvl_calibration_point *found = NULL;
    for (int i = 0; i < calibration->count; i++)
        if (calibration->points[i].rows == rows && (!found || deepest))
            found = &calibration->points[i];
    return found;
}

/* Attention of chunks, seconds = a rows + b pairs: least squares of relative residuals. */
static void fit_pieces(struct qvl_calibration *calibration)
{
    double rr = 0, rp = 0, pp = 0, r = 0, p = 0; /* sums of products of rows / s, pairs / s and 1 */
    for (int i = 0; i < calibration->count; i++) {
        const struct qvl_calibration_point *point = &calibration->points[i];
        const double seconds = point->seconds[QVL_CALL_ATTENTION];
        if (point->rows == 1 || seconds <= 0)
            continue;
        const double rows = (double)point->rows / seconds;
        const double pairs = pairs_of(point->rows, point->depth) / seconds;
        rr += rows * rows;
        rp += rows * pairs;
        pp += pairs * pairs;
        r += rows;
        p += pairs;
    }
    const double determinant = rr * pp - rp * rp;
    calibration->piece[0] = (r * pp - p * rp) / determinant;
    calibration->piece[1] = (p * rr - r * rp) / determinant;
}

enum qvl_status qvl_calibration_fit(struct qvl_calibration *calibration, struct qvl_error *error)
{
    const int64_t half = (calibration->chunk + 1) / 2;
    const struct qvl_calibration_point *step0 = find(calibration, 1, false);
    const struct qvl_calibration_point *step1 = find(calibration, 1, true);
    const struct qvl_calibration_point *piece0 = find(calibration, half, false);
    const struct qvl_calibration_point *piece1 = find(calibration, half, true);
    if (!step0 || !piece0 || step0->depth == step1->depth || piece0->depth == piece1->depth)
        return qvl_fail(error, QVL_USAGE,
                        "calibration: one row and half a chunk are needed at two depths each");
    calibration->step[1] = (step1->seconds[QVL_CALL_ATTENTION] - step0->seconds[QVL_CALL_ATTENTION]) /
                           (double)(step1->depth - step0->depth);
    calibration->step[0] = step0->seconds[QVL_CALL_ATTENTION] - calibration->step[1] * (double)step0->depth;
    fit_pieces(calibration);
    calibration->head = step0->seconds[QVL_CALL_HEAD];
    return QVL_OK;
}

/* Seconds of a class for a number of rows: straight between neighbouring row counts of the first depth. */
static double at_rows(const struct qvl_calibration *calibration, enum qvl_call_class class, int64_t rows)
{
    const struct qvl_calibration_point *low = NULL, *high = NULL;
    for (int i = 0; i < calibration->count; i++) {
        const struct qvl_calibration_point *point = &calibration->points[i];
        if (point->depth != calibration->points[0].depth)
            continue;
        if (point->rows <= rows)
            low = point;
        if (point->rows >= rows && !high)
            high = point;
    }
    if (!low || !high) /* beyond the last one: in proportion */
        return low ? low->seconds[class] * (double)rows / (double)low->rows : 0;
    if (high->rows == low->rows)
        return low->seconds[class];
    const double share = (double)(rows - low->rows) / (double)(high->rows - low->rows);
    return low->seconds[class] + share * (high->seconds[class] - low->seconds[class]);
}

static void sum_up(struct qvl_prediction *prediction)
{
    prediction->seconds = 0;
    for (int class = 0; class < QVL_CALL_CLASSES; class ++)
        prediction->seconds += prediction->by_class[class];
}

struct qvl_prediction qvl_predict_prefill(const struct qvl_calibration *calibration, int64_t tokens)
{
    struct qvl_prediction prediction = {.by_class = {[QVL_CALL_HEAD] = calibration->head}};
    for (int64_t depth = 0; depth < tokens; depth += calibration->chunk) {
        const int64_t rows = tokens - depth < calibration->chunk ? tokens - depth : calibration->chunk;
        const double attention =
            calibration->piece[0] * (double)rows + calibration->piece[1] * pairs_of(rows, depth);
        prediction.by_class[QVL_CALL_PRODUCTS] += at_rows(calibration, QVL_CALL_PRODUCTS, rows);
        prediction.by_class[QVL_CALL_REST] += at_rows(calibration, QVL_CALL_REST, rows);
        prediction.by_class[QVL_CALL_ATTENTION] += attention > 0 ? attention : 0;
    }
    sum_up(&prediction);
    return prediction;
}

struct qvl_prediction qvl_predict_decode(const struct qvl_calibration *calibration, int64_t context)
{
    struct qvl_prediction prediction = {.by_class = {[QVL_CALL_HEAD] = calibration->head}};
    prediction.by_class[QVL_CALL_PRODUCTS] = at_rows(calibration, QVL_CALL_PRODUCTS, 1);
    prediction.by_class[QVL_CALL_REST] = at_rows(calibration, QVL_CALL_REST, 1);
    prediction.by_class[QVL_CALL_ATTENTION] = calibration->step[0] + calibration->step[1] * (double)context;
    sum_up(&prediction);
    return prediction;
}
