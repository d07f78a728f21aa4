#include "bench/kernel_time.h"

#include <math.h>

/* Routing in the published runs of mixtures of experts: a power law with this exponent, the closest to real
 * traffic. */
#define ROUTING_SKEW 1.2

const char *qvl_time_source_name(enum qvl_time_source source)
{
    static const char *const names[QVL_TIME_SOURCES] = {"published", "extrapolated from published",
                                                        "roofline only"};
    return (unsigned)source < QVL_TIME_SOURCES ? names[source] : "?";
}

static double bytes_of(enum qvl_published_type type)
{
    return type == QVL_PUBLISHED_BF16 ? 2 : 1;
}

/* Experts that `tokens` with `chosen` each reach on one of `ways` devices, when routing is uniform. */
static double touched_experts(const double *shape)
{
    return shape[4] / shape[5] * (1 - pow(1 - shape[3] / shape[4], shape[0]));
}

/* Least FLOPs and bytes of the kernel. */
static void compulsory(const struct qvl_kernel_shape *shape, double *flops, double *bytes)
{
    const double *s = shape->shape, size = bytes_of(shape->type);
    const double rows = s[0] * s[3] / (s[5] > 0 ? s[5] : 1);
    switch (shape->kernel) {
    case QVL_KERNEL_GEMM:
        *flops = 2 * s[0] * s[1] * s[2];
        *bytes = size * (s[0] * s[2] + s[2] * s[1]) + 2 * s[0] * s[1];
        break;
    case QVL_KERNEL_PREFILL:
        *flops = 4 * s[0] * s[1] * s[5] * (s[3] * s[4] + s[3] * (s[3] + 1) / 2);
        *bytes = 4 * s[0] * s[5] * s[1] * s[3] + 2 * size * s[0] * s[5] * s[2] * (s[3] + s[4]);
        break;
    case QVL_KERNEL_VISION:
        *flops = 4 * s[0] * s[1] * s[2] * s[3] * s[3];
        *bytes = 8 * s[0] * s[1] * s[2] * s[3];
        break;
    case QVL_KERNEL_DECODE:
        *flops = 4 * s[0] * s[1] * s[3] * s[4];
        *bytes = 2 * size * s[0] * s[2] * s[3] * s[4] + 4 * s[0] * s[1] * s[4];
        break;
    case QVL_KERNEL_MOE:
        *flops = 6 * rows * s[1] * s[2];
        *bytes = size * touched_experts(s) * 3 * s[1] * s[2] + 4 * rows * s[1];
        break;
    case QVL_KERNEL_ALL_REDUCE: /* a ring sends twice (ranks - 1) / ranks of the data over each link */
        *flops = 0;
        *bytes = s[0] > 1 ? 2 * 2 * s[1] * (s[0] - 1) / s[0] : 0;
        break;
    case QVL_KERNEL_STREAM:
        *flops = 0;
        *bytes = s[0];
        break;
    }
}

/* ---- the fitted formulas ---- */

/* How much longer the busiest processor works than the average one. */
static double quantisation(double blocks, double processors)
{
    const double waves = blocks / processors;
    return waves < 1 ? 1 / waves : ceil(waves) / waves;
}

static double p_norm(double a, double b, double p)
{
    const double larger = fmax(a, b), smaller = fmin(a, b);
    return larger > 0 ? larger * pow(1 + pow(smaller / larger, p), 1 / p) : 0;
}

struct machine {
    double flops, bandwidth, processors, cache;
};

static double fit_gemm(const double *c, const struct machine *d, const double *s, double size)
{
    const double tile = s[0] <= 64 ? 64 : 128, rows = ceil(s[0] / tile) * tile;
    const double blocks = rows / tile * ceil(s[1] / 128);
    const double compute = 2 * rows * s[1] * (s[2] + c[QVL_FIT_FILL]) / (c[QVL_FIT_FLOPS] * d->flops) *
                           pow(quantisation(blocks, d->processors), c[QVL_FIT_WAVES]);
    const double moved = size * (s[0] * s[2] + s[2] * s[1]) + 2 * s[0] * s[1];
    const double cached = 1 + (c[QVL_FIT_CACHE] - 1) * exp(-moved / d->cache);
    return (c[QVL_FIT_FIXED] + c[QVL_FIT_DEPTH] * s[2] / 1e4) * 1e-6 +
           p_norm(compute, moved / (c[QVL_FIT_BANDWIDTH] * d->bandwidth) * cached, c[QVL_FIT_NORM]);
}

/* Attention of `s` new rows of `keys` keys: causal prefill and the vision tower. */
static double fit_attention(const double *c, const struct machine *d, double batch, double heads, double s,
                            double keys, double flops, double bytes)
{
    const double blocks = batch * heads * ceil(s / 128);
    const double compute = flops / (c[QVL_FIT_FLOPS] * d->flops) * (1 + c[QVL_FIT_FILL] / s) *
                           pow(quantisation(blocks, d->processors), c[QVL_FIT_WAVES]);
    return (c[QVL_FIT_FIXED] + c[QVL_FIT_DEPTH] * keys / 1e3) * 1e-6 +
           p_norm(compute, bytes / (c[QVL_FIT_BANDWIDTH] * d->bandwidth), c[QVL_FIT_NORM]) +
           c[QVL_FIT_BLOCK] * 1e-7 * blocks / d->processors;
}

static double fit_decode(const double *c, const struct machine *d, const double *s, double bytes)
{
    return (c[QVL_FIT_FIXED] + c[QVL_FIT_DEPTH] * log2(1 + s[3]) + c[QVL_FIT_BLOCK] * 1e-3 * s[0] * s[1]) *
               1e-6 +
           p_norm(bytes / (c[QVL_FIT_BANDWIDTH] * d->bandwidth), c[QVL_FIT_KEY] * 1e-11 * s[3],
                  c[QVL_FIT_NORM]);
}

static double fit_moe(const double *c, const struct machine *d, const double *s, double size)
{
    const double rows = s[0] * s[3] / s[5], touched = touched_experts(s);
    const double bytes = size * touched * 3 * s[1] * s[2] + 2 * rows * (2 * s[1] + 3 * s[2]);
    const double flops = 6 * (rows + touched * c[QVL_FIT_FILL]) * s[1] * s[2];
    const double skew = 1 + c[QVL_FIT_SKEW] * log2(1 + s[5]);
    return (c[QVL_FIT_FIXED] + c[QVL_FIT_DEPTH] * log2(1 + s[0])) * 1e-6 +
           p_norm(flops / (c[QVL_FIT_FLOPS] * d->flops) * skew, bytes / (c[QVL_FIT_BANDWIDTH] * d->bandwidth),
                  c[QVL_FIT_NORM]) +
           c[QVL_FIT_SHUFFLE] * 2 * s[0] * s[3] * s[1] / d->bandwidth;
}

double qvl_kernel_fit(const struct qvl_published_device *device, const struct qvl_published_table *table,
                      const struct qvl_kernel_shape *shape)
{
    const double *c = table->fit, *s = shape->shape;
    /* attention multiplies in bf16 whatever the cache holds */
    const bool attends = shape->kernel == QVL_KERNEL_PREFILL || shape->kernel == QVL_KERNEL_VISION;
    const struct machine machine = {device->flops[attends ? QVL_PUBLISHED_BF16 : shape->type],
                                    device->bandwidth, device->processors, device->cache};
    struct qvl_kernel_shape half = *shape;
    double flops, bytes;
    switch (shape->kernel) {
    case QVL_KERNEL_GEMM: return fit_gemm(c, &machine, s, bytes_of(shape->type));
    case QVL_KERNEL_MOE: return fit_moe(c, &machine, s, bytes_of(shape->type));
    case QVL_KERNEL_PREFILL:
        half.type =
            QVL_PUBLISHED_BF16; /* the fit was made with the traffic of new keys and values, 2 bytes */
        compulsory(&half, &flops, &bytes);
        return fit_attention(c, &machine, s[0], s[1], s[3], s[3] + s[4], flops, bytes);
    case QVL_KERNEL_VISION:
        compulsory(shape, &flops, &bytes);
        return fit_attention(c, &machine, s[0], s[1], s[3], s[3], flops, bytes);
    default: compulsory(shape, &flops, &bytes); return fit_decode(c, &machine, s, bytes);
    }
}

/* ---- interpolation of published rows: the ratio to the fit is bilinear in the logarithms ---- */

/* A shape as a table names it: key and place along the axis. `exact` bit i: key i has no neighbours. */
struct place {
    enum qvl_published_op op;
    double key[QVL_PUBLISHED_KEYS], along;
    unsigned exact;
    bool covered; /* the table may hold it */
};

static struct place place_of(const struct qvl_kernel_shape *shape)
{
    const double *s = shape->shape;
    switch (shape->kernel) {
    case QVL_KERNEL_GEMM: return (struct place){QVL_PUBLISHED_GEMM, {s[1], s[2]}, s[0], 0, true};
    case QVL_KERNEL_PREFILL:
        return (struct place){QVL_PUBLISHED_PREFILL, {s[1], s[2], s[0]}, s[3], 3, s[4] == 0 && s[5] == 128};
    case QVL_KERNEL_VISION: return (struct place){QVL_PUBLISHED_VISION, {s[1], s[2], s[0]}, s[3], 3, true};
    case QVL_KERNEL_DECODE:
        return (struct place){QVL_PUBLISHED_DECODE, {s[1], s[2], s[0]}, s[3], 3, s[4] == 128};
    case QVL_KERNEL_MOE:
        return (struct place){
            QVL_PUBLISHED_MOE, {s[1], s[2], s[5], ROUTING_SKEW}, s[0], 15, s[3] == 8 && s[4] == 128};
    default: return (struct place){QVL_PUBLISHED_ALL_REDUCE, {s[0]}, s[1], 1, true};
    }
}

/* The shape of a table's point, for the fit. */
static struct qvl_kernel_shape shape_at(const struct qvl_kernel_shape *like, const double *key, double along)
{
    struct qvl_kernel_shape shape = *like;
    double *s = shape.shape;
    switch (like->kernel) {
    case QVL_KERNEL_GEMM: s[0] = along, s[1] = key[0], s[2] = key[1]; break;
    case QVL_KERNEL_PREFILL: s[4] = 0; /* what was timed starts from an empty cache */ /* fall through */
    case QVL_KERNEL_VISION:
    case QVL_KERNEL_DECODE: s[0] = key[2], s[3] = along; break;
    default: s[0] = along; break;
    }
    return shape;
}

struct bracket {
    double low, high; /* equal at a grid point and beyond the ends */
    double weight;    /* of high */
    bool inside;
};

static struct bracket close_bracket(double low, double high, double at)
{
    if (low > 0 && high < INFINITY)
        return (struct bracket){low, high, high > low ? log(at / low) / log(high / low) : 0, true};
    if (low > 0)
        return (struct bracket){low, low, 0, false};
    return (struct bracket){high, high, 0, false};
}

/* Values of key `index` around `at`, among the rows that match the exact keys. */
static struct bracket around_key(const struct qvl_published_table *table, const struct place *place,
                                 int index)
{
    double low = 0, high = INFINITY;
    for (int64_t r = 0; r < table->row_count; r++) {
        const double *key = table->rows[r].key;
        bool matches = true;
        for (int i = 0; i < qvl_published_keys(place->op); i++)
            matches = matches && (!(place->exact >> i & 1) || key[i] == place->key[i]);
        if (matches && key[index] <= place->key[index])
            low = fmax(low, key[index]);
        if (matches && key[index] >= place->key[index])
            high = fmin(high, key[index]);
    }
    return close_bracket(low, high, place->key[index]);
}

static const struct qvl_published_row *find_row(const struct qvl_published_table *table, int keys,
                                                const double *key)
{
    for (int64_t r = 0; r < table->row_count; r++) {
        bool same = true;
        for (int i = 0; i < keys; i++)
            same = same && table->rows[r].key[i] == key[i];
        if (same)
            return &table->rows[r];
    }
    return NULL;
}

/* log(published / fit) of one row at `along`; false when the row has no value on a side that is needed. */
static bool row_residual(const struct qvl_published_device *device, const struct qvl_published_table *table,
                         const struct qvl_published_row *row, const struct qvl_kernel_shape *like,
                         double along, double *residual, bool *inside)
{
    double low = 0, high = INFINITY, values[2] = {0, 0};
    for (int64_t i = 0; i < table->axis_count; i++) {
        if (isnan(row->seconds[i]))
            continue;
        if (table->axis[i] <= along) {
            low = table->axis[i];
            values[0] = row->seconds[i];
        }
        if (table->axis[i] >= along && table->axis[i] < high) {
            high = table->axis[i];
            values[1] = row->seconds[i];
        }
    }
    const struct bracket axis = close_bracket(low, high, along);
    if (!(axis.low > 0) || isinf(axis.low))
        return false;
    const double first = low > 0 ? values[0] : values[1], second = high < INFINITY ? values[1] : values[0];
    const struct qvl_kernel_shape a = shape_at(like, row->key, axis.low),
                                  b = shape_at(like, row->key, axis.high);
    const bool fitted = table->fitted;
    const double fit_a = fitted ? qvl_kernel_fit(device, table, &a) : 1;
    const double fit_b = fitted ? qvl_kernel_fit(device, table, &b) : 1;
    *residual = (1 - axis.weight) * log(first / fit_a) + axis.weight * log(second / fit_b);
    *inside = *inside && axis.inside;
    return true;
}

/* log(published / fit) at the shape. false: nothing near. *inside: neighbours on all sides. */
static bool residual_at(const struct qvl_published_device *device, const struct qvl_published_table *table,
                        const struct qvl_kernel_shape *shape, double *residual, bool *inside)
{
    const struct place place = place_of(shape);
    const int keys = qvl_published_keys(place.op);
    struct bracket brackets[QVL_PUBLISHED_KEYS];
    double sum = 0, weights = 0;
    *inside = place.covered;
    for (int i = 0; i < keys && i < QVL_PUBLISHED_KEYS; i++) {
        brackets[i] = around_key(table, &place, i);
        if (!(brackets[i].low > 0) && place.key[i] > 0)
            return false;
        if (isinf(brackets[i].low) || ((place.exact >> i & 1) && brackets[i].low != place.key[i]))
            return false;
        *inside = *inside && brackets[i].inside;
    }
    for (unsigned corner = 0; corner < 1U << keys; corner++) {
        double key[QVL_PUBLISHED_KEYS], weight = 1, value = 0;
        for (int i = 0; i < keys; i++) {
            const bool upper = corner >> i & 1;
            key[i] = upper ? brackets[i].high : brackets[i].low;
            weight *= upper ? brackets[i].weight : 1 - brackets[i].weight;
        }
        const struct qvl_published_row *row = weight > 0 ? find_row(table, keys, key) : NULL;
        if (weight > 0 && (!row || !row_residual(device, table, row, shape, place.along, &value, inside)))
            *inside = false;
        else if (weight > 0) {
            sum += weight * value;
            weights += weight;
        }
    }
    *residual = weights > 0 ? sum / weights : 0;
    return weights > 0;
}

/* ---- one kernel ---- */

static double peak_of(const struct qvl_hardware *hardware, const struct qvl_kernel_shape *shape)
{
    const bool attends = shape->kernel == QVL_KERNEL_PREFILL || shape->kernel == QVL_KERNEL_VISION ||
                         shape->kernel == QVL_KERNEL_DECODE;
    if (!attends && shape->type != QVL_PUBLISHED_BF16)
        return hardware->flops[QVL_RATE_FP8];
    return fmax(hardware->flops[QVL_RATE_BF16], hardware->flops[QVL_RATE_FP16]);
}

enum qvl_status qvl_kernel_time(const struct qvl_timed_device *device, const struct qvl_kernel_shape *shape,
                                struct qvl_kernel_time *time, struct qvl_error *error)
{
    const struct qvl_hardware *hardware = device->hardware;
    const struct qvl_published_table *table = NULL;
    const double peak = peak_of(hardware, shape);
    const bool linked = shape->kernel == QVL_KERNEL_ALL_REDUCE;
    *time = (struct qvl_kernel_time){.source = QVL_TIME_ROOFLINE};
    if (!(peak > 0))
        return qvl_fail(error, QVL_UNSUPPORTED, "%s has no stated rate for %s", hardware->name,
                        qvl_published_type_name(shape->type));
    if (linked && shape->shape[0] > 1 && !(hardware->link > 0))
        return qvl_fail(error, QVL_UNSUPPORTED, "%s has no stated link between devices", hardware->name);
    const double bandwidth = linked ? hardware->link : hardware->bandwidth;
    compulsory(shape, &time->flops, &time->bytes);
    time->floor_seconds = fmax(time->flops / peak, time->bytes > 0 ? time->bytes / bandwidth : 0);
    time->seconds = hardware->launch +
                    fmax(time->flops / (peak * hardware->attainable_flops),
                         time->bytes > 0 ? time->bytes / (bandwidth * hardware->attainable_bandwidth) : 0);
    if (shape->kernel != QVL_KERNEL_STREAM && device->published)
        table = device->published->tables[place_of(shape).op][linked ? QVL_PUBLISHED_BF16 : shape->type];
    double residual = 0;
    bool inside = false;
    if (!table || (!residual_at(device->published, table, shape, &residual, &inside) && !table->fitted))
        return QVL_OK;
    time->source = inside ? QVL_TIME_PUBLISHED : QVL_TIME_EXTRAPOLATED;
    time->seconds = exp(residual) * (table->fitted ? qvl_kernel_fit(device->published, table, shape) : 1);
    if (!table->fitted && !inside) /* beyond the table without a formula: bandwidth of its end */
        time->seconds *= fmax(1, time->bytes / (2 * 2 * table->axis[table->axis_count - 1]));
    time->seconds =
        fmax(time->seconds, time->floor_seconds); /* a ratio below 1, carried far, must not beat physics */
    return QVL_OK;
}
