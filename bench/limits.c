#define _GNU_SOURCE /* sched_getaffinity */

#include "bench/limits.h"

#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "bench/limits_kernels.h"
#include "bench/samples.h"

enum { LEAST_SAMPLES = 5, MOST_SAMPLES = 200, FAR_PIECE = 16 << 20 };

/* One figure under way: `run` does the work once and says how much of the unit that was; 0: cannot be done.
 */
struct figure {
    const struct qvl_limits_options *options;
    struct qvl_limits *limits;
    enum qvl_status (*run)(void *context, double *work, struct qvl_error *error);
    void *context;
};

static double seconds_of(const struct qvl_limits_options *options)
{
    return options->seconds > 0 ? options->seconds : 0.2;
}

/* Sample until the time is used up. A rate is work / time; a time (work 1) stays a time. */
static enum qvl_status measure(const struct figure *figure, struct qvl_limit limit, bool is_time,
                               struct qvl_error *error)
{
    double values[MOST_SAMPLES], work = 0;
    struct qvl_samples samples = {.values = values};
    QVL_TRY(figure->run(figure->context, &work, error));
    if (work == 0)
        return QVL_OK;
    const double begin = qvl_clock();
    while (samples.count < MOST_SAMPLES &&
           (samples.count < LEAST_SAMPLES || qvl_clock() - begin < seconds_of(figure->options))) {
        const double start = qvl_clock();
        QVL_TRY(figure->run(figure->context, &work, error));
        values[samples.count++] = (qvl_clock() - start) / work;
    }
    QVL_TRY(qvl_samples_summarise(&samples, error));
    limit.median = is_time ? samples.median : 1 / samples.median;
    limit.best = is_time ? samples.minimum : 1 / samples.minimum;
    if (figure->limits->count < QVL_LIMITS)
        figure->limits->rows[figure->limits->count++] = limit;
    return QVL_OK;
}

/* ---- the host ---- */

struct stream {
    const char *data;
    int64_t bytes;  /* of the whole array */
    int64_t piece;  /* read in one sample; the next one reads the next piece */
    int64_t passes; /* over the piece */
    int threads;
    int64_t position;
    uint64_t sum; /* of what was read: the reads have a use */
};

static enum qvl_status read_stream(void *context, double *work, struct qvl_error *error)
{
    struct stream *stream = context;
    const int64_t piece = stream->piece / stream->threads / 512 * 512;
    if (stream->position + stream->piece > stream->bytes)
        stream->position = 0;
    const char *data = stream->data + stream->position;
    uint64_t sum = 0;
    (void)error;
#pragma omp parallel for num_threads(stream->threads) schedule(static, 1) reduction(+ : sum)
    for (int i = 0; i < stream->threads; i++)
        sum += qvl_limit_read(data + i * piece, piece, stream->passes);
    stream->sum += sum;
    stream->position += stream->piece;
    *work = (double)piece * stream->threads * (double)stream->passes;
    return QVL_OK;
}

struct arithmetic {
    double (*loop)(int64_t rounds, float *sink);
    int64_t rounds;
    int threads;
};

static enum qvl_status compute(void *context, double *work, struct qvl_error *error)
{
    const struct arithmetic *arithmetic = context;
    double flops = 0;
    (void)error;
#pragma omp parallel num_threads(arithmetic->threads) reduction(+ : flops)
    {
        float sink[1024] __attribute__((aligned(64)));
        flops += arithmetic->loop(arithmetic->rounds, sink);
    }
    *work = flops;
    return QVL_OK;
}

static int usable_threads(void)
{
    cpu_set_t allowed;
    const int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    return count > 0 ? count : 1;
}

/* 1, 2, 4, ... and all. */
static int next_threads(int threads, int all)
{
    return threads < all && 2 * threads > all ? all : 2 * threads;
}

static enum qvl_status measure_compute(const struct figure *base, struct qvl_error *error)
{
    const struct {
        const char *name, *what;
        double (*loop)(int64_t rounds, float *sink);
        int64_t rounds; /* milliseconds */
    } loops[] = {{"fma_f32", qvl_limit_fma_name(), qvl_limit_fma, 500000},
                 {"fma_bf16", "AVX-512 BF16 pairs", qvl_limit_bf16_dot, 500000},
                 {"tile_bf16", "AMX tiles", qvl_limit_bf16_tile, 100000}};
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        for (int threads = 1; threads <= base->limits->threads;
             threads = next_threads(threads, base->limits->threads)) {
            struct arithmetic arithmetic = {loops[i].loop, loops[i].rounds, threads};
            struct figure figure = *base;
            struct qvl_limit limit = {.unit = "FLOP/s", .threads = threads};
            figure.run = compute;
            figure.context = &arithmetic;
            snprintf(limit.name, sizeof limit.name, "%s_%d_threads", loops[i].name, threads);
            snprintf(limit.what, sizeof limit.what, "multiply-adds in registers, %s", loops[i].what);
            QVL_TRY(measure(&figure, limit, false, error));
        }
    return QVL_OK;
}

static int64_t memory_size(const struct qvl_limits_options *options)
{
    const int64_t least = INT64_C(256) << 20, most = INT64_C(1) << 30;
    int64_t bytes = options->memory > 0 ? options->memory : 2 * (int64_t)sysconf(_SC_LEVEL3_CACHE_SIZE);
    const int64_t available = qvl_memory_available();
    if (options->memory <= 0)
        bytes = bytes < least ? least : bytes > most ? most : bytes;
    if (available > 0 && bytes > available / 4)
        bytes = available / 4;
    return bytes / 4096 * 4096;
}

static enum qvl_status measure_reads(const struct figure *base, const char *data, int64_t bytes,
                                     struct qvl_error *error)
{
    for (int threads = 1; threads <= base->limits->threads;
         threads = next_threads(threads, base->limits->threads)) {
        /* beyond all caches, and inside the first or second one of each core */
        const int64_t cached = INT64_C(32768) * threads;
        struct stream far = {.data = data, .bytes = bytes, .passes = 1, .threads = threads};
        struct stream near = {
            .data = data, .bytes = cached, .piece = cached, .passes = 500, .threads = threads};
        /* milliseconds, so that some samples escape whatever else runs here */
        far.piece = bytes / 4 < FAR_PIECE ? bytes / 4096 * 1024 : FAR_PIECE;
        struct figure figure = *base;
        struct qvl_limit limit = {.unit = "B/s", .threads = threads};
        figure.run = read_stream;
        figure.context = &far;
        snprintf(limit.name, sizeof limit.name, "read_%d_threads", threads);
        snprintf(limit.what, sizeof limit.what, "array of %lld MiB", (long long)(bytes >> 20));
        QVL_TRY(measure(&figure, limit, false, error));
        figure.context = &near;
        snprintf(limit.name, sizeof limit.name, "cache_read_%d_threads", threads);
        snprintf(limit.what, sizeof limit.what, "32 KiB a thread");
        QVL_TRY(measure(&figure, limit, false, error));
    }
    return QVL_OK;
}

static enum qvl_status measure_sweep(const struct figure *base, const char *data, int64_t most,
                                     struct qvl_error *error)
{
    struct qvl_limits *limits = base->limits;
    const struct qvl_limits_options brief = {.seconds = seconds_of(base->options) / 4};
    for (int64_t bytes = 8192; bytes <= most && limits->sweep_count < QVL_SWEEP; bytes *= 2) {
        struct qvl_limits one = {0};
        struct stream stream = {.data = data,
                                .bytes = bytes,
                                .piece = bytes,
                                .passes = bytes < (1 << 24) ? (1 << 24) / bytes : 1,
                                .threads = 1};
        const struct figure figure = {&brief, &one, read_stream, &stream};
        QVL_TRY(measure(&figure, (struct qvl_limit){.name = "sweep"}, false, error));
        limits->sweep_bytes[limits->sweep_count] = (double)bytes;
        limits->sweep_rates[limits->sweep_count++] = one.rows[0].median;
    }
    return QVL_OK;
}

static enum qvl_status measure_host(const struct figure *base, struct qvl_error *error)
{
    const int64_t bytes = memory_size(base->options);
    char *data = aligned_alloc(4096, (size_t)bytes);
    if (!data)
        return qvl_fail(error, QVL_NO_MEMORY, "limits: no memory for an array of %lld bytes",
                        (long long)bytes);
    memset(data, 1, (size_t)bytes); /* untouched pages would all be one */
    enum qvl_status status = measure_compute(base, error);
    if (status == QVL_OK)
        status = measure_reads(base, data, bytes, error);
    if (status == QVL_OK && base->options->sweep)
        status = measure_sweep(base, data, bytes, error);
    free(data);
    return status;
}

/* ---- the backend ---- */

struct product {
    struct qvl_backend *backend;
    struct qvl_tensor x, y;
    void *values; /* of the weight, on the host */
    struct qvl_weight *weight;
    double flops;
};

static enum qvl_status multiply(void *context, double *work, struct qvl_error *error)
{
    const struct product *product = context;
    const struct qvl_linear_args args = {.x = product->x, .weight = product->weight, .y = product->y};
    *work = product->flops;
    QVL_TRY(product->backend->ops.linear(product->backend, &args, error));
    return product->backend->sync(product->backend, error);
}

static enum qvl_status add_tiny(void *context, double *work, struct qvl_error *error)
{
    const struct product *product = context;
    const struct qvl_add_args args = {.a = product->x, .b = product->x, .y = product->y};
    *work = 1;
    QVL_TRY(product->backend->ops.add(product->backend, &args, error));
    return product->backend->sync(product->backend, error);
}

/* A tensor of random values in backend memory. */
static enum qvl_status upload_random(struct qvl_backend *backend, enum qvl_dtype dtype, int64_t rows,
                                     int64_t columns, struct qvl_tensor *tensor, void **host,
                                     struct qvl_error *error)
{
    const int64_t count = rows * columns;
    void *data = NULL;
    *host = malloc((size_t)count * qvl_dtype_bytes(dtype));
    if (!*host)
        return qvl_fail(error, QVL_NO_MEMORY, "limits: no memory for a matrix");
    for (int64_t i = 0; i < count; i++) {
        const float value = (float)(qvl_random_uniform(1, 1, (uint64_t)i) - 0.5);
        const uint16_t half = dtype == QVL_BF16 ? qvl_f32_to_bf16(value) : qvl_f32_to_f16(value);
        if (dtype == QVL_F32)
            ((float *)*host)[i] = value;
        else
            ((uint16_t *)*host)[i] = half;
    }
    if (!tensor)
        return QVL_OK;
    QVL_TRY(backend->allocate(backend, (size_t)count * qvl_dtype_bytes(dtype), &data, error));
    *tensor = qvl_tensor_2d(data, dtype, rows, columns);
    return backend->upload(backend, tensor, *host, error);
}

static void product_close(struct product *product)
{
    if (product->weight)
        product->backend->weight_destroy(product->backend, product->weight);
    product->backend->release(product->backend, product->x.data);
    product->backend->release(product->backend, product->y.data);
    free(product->values);
}

static enum qvl_status product_open(struct product *product, enum qvl_dtype dtype, int64_t rows, int64_t in,
                                    int64_t out, struct qvl_error *error)
{
    struct qvl_backend *backend = product->backend;
    void *host = NULL, *unused = NULL;
    enum qvl_status status = upload_random(backend, dtype, rows, in, &product->x, &host, error);
    free(host);
    if (status == QVL_OK)
        status = upload_random(backend, dtype, rows, out, &product->y, &unused, error);
    free(unused);
    product->flops = 2.0 * (double)rows * (double)in * (double)out;
    if (status == QVL_OK && in > 8)
        status = upload_random(backend, dtype, out, in, NULL, &product->values, error);
    if (status == QVL_OK && in > 8) {
        const struct qvl_weight_desc desc = {
            .array = {.data = product->values, .dtype = dtype, .rank = 2, .shape = {out, in}},
            .use = QVL_USE_LINEAR,
            .storage = dtype,
            .name = "limit"};
        status = backend->weight_prepare(backend, &desc, &product->weight, error);
    }
    return status;
}

static enum qvl_status measure_product(const struct figure *base, struct qvl_backend *backend,
                                       enum qvl_dtype dtype, const int64_t shape[3], struct qvl_error *error)
{
    struct product product = {.backend = backend};
    struct figure figure = *base;
    struct qvl_limit limit = {.unit = "FLOP/s"};
    const bool tiny = shape[1] <= 8;
    snprintf(limit.name, sizeof limit.name, tiny ? "launch" : "gemm_%s_%lldx%lldx%lld", qvl_dtype_name(dtype),
             (long long)shape[0], (long long)shape[2], (long long)shape[1]);
    snprintf(limit.what, sizeof limit.what, tiny ? "add of one row of 8, %s, and sync" : "linear, %s",
             backend->name);
    if (tiny)
        limit.unit = "s";
    enum qvl_status status = product_open(&product, dtype, shape[0], shape[1], shape[2], error);
    figure.run = tiny ? add_tiny : multiply;
    figure.context = &product;
    if (status == QVL_OK)
        status = measure(&figure, limit, tiny, error);
    product_close(&product);
    return status == QVL_UNSUPPORTED ? QVL_OK : status;
}

static enum qvl_status measure_backend(const struct figure *base, struct qvl_backend *backend,
                                       struct qvl_error *error)
{
    static const int64_t shapes[][3] = {{1024, 2048, 2048}, {256, 2048, 6144}, {256, 6144, 2048}};
    static const enum qvl_dtype types[] = {QVL_F32, QVL_BF16, QVL_F16};
    static const int64_t tiny[3] = {1, 8, 8};
    if (!qvl_backend_lacks(backend, "linear"))
        for (size_t type = 0; type < sizeof types / sizeof *types; type++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
                QVL_TRY(measure_product(base, backend, types[type], shapes[i], error));
    return qvl_backend_lacks(backend, "add") ? QVL_OK : measure_product(base, backend, QVL_F32, tiny, error);
}

enum qvl_status qvl_limits_measure(struct qvl_backend *backend, const struct qvl_limits_options *options,
                                   struct qvl_limits *limits, struct qvl_error *error)
{
    const struct figure base = {.options = options, .limits = limits};
    *limits = (struct qvl_limits){.threads = usable_threads()};
    if (options->host)
        QVL_TRY(measure_host(&base, error));
    return options->backend ? measure_backend(&base, backend, error) : QVL_OK;
}

/* ---- use ---- */

const struct qvl_limit *qvl_limits_find(const struct qvl_limits *limits, const char *name)
{
    for (int i = 0; i < limits->count; i++)
        if (strcmp(limits->rows[i].name, name) == 0)
            return &limits->rows[i];
    return NULL;
}

/* What all threads together can reach at most: the best sample of any number of threads, as if the others
 * had been as fast, so that a machine that was busy meanwhile does not lower the bound. */
static double best_of(const struct qvl_limits *limits, const char *prefix)
{
    double best = 0;
    for (int i = 0; i < limits->count; i++) {
        const struct qvl_limit *limit = &limits->rows[i];
        if (strncmp(limit->name, prefix, strlen(prefix)) != 0 || limit->threads < 1)
            continue;
        const double all = limit->best / limit->threads * limits->threads;
        best = all > best ? all : best;
    }
    return best;
}

double qvl_limits_peak(const struct qvl_limits *limits, enum qvl_dtype dtype, bool tf32)
{
    const double single = best_of(limits, "fma_f32"), pairs = best_of(limits, "fma_bf16");
    const double tiles = best_of(limits, "tile_bf16"), narrow = tiles > pairs ? tiles : pairs;
    if (dtype == QVL_F32 && !tf32)
        return single;
    /* half precision multiply-adds, which are not measured, run at twice the rate of float32 */
    return narrow > 2 * single ? narrow : 2 * single;
}

double qvl_limits_memory(const struct qvl_limits *limits)
{
    return best_of(limits, "read_");
}

double qvl_limits_cache(const struct qvl_limits *limits)
{
    return best_of(limits, "cache_read_");
}

int qvl_limits_caches(const struct qvl_limits *limits, double *bytes, int capacity)
{
    int count = 0;
    double plateau = 0;
    for (int i = 0; i < limits->sweep_count; i++) {
        const double rate = limits->sweep_rates[i];
        if (i > 0 && rate < 0.75 * plateau) {
            if (count < capacity && limits->sweep_bytes[i - 1] > 0)
                bytes[count++] = limits->sweep_bytes[i - 1];
            plateau = rate;
        }
        plateau = rate > plateau ? rate : plateau;
    }
    return count;
}

static enum qvl_status report_sweep(const struct qvl_limits *limits, struct qvl_report *report,
                                    struct qvl_error *error)
{
    double sizes[QVL_SWEEP];
    const int count = qvl_limits_caches(limits, sizes, QVL_SWEEP);
    struct qvl_record *record =
        qvl_record_create("limit_sweep", "read bandwidth by array size, 1 thread", QVL_CASE_NONE);
    for (int i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "drop_%d", i + 1);
        qvl_record_real(record, name, sizes[i], "B", QVL_FROM_MEASURED);
    }
    qvl_record_reals(record, "bytes", limits->sweep_bytes, limits->sweep_count, "B", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_reals(record, "rates", limits->sweep_rates, limits->sweep_count, "B/s", QVL_FROM_MEASURED);
    qvl_record_detail(record);
    return qvl_report_take(report, record, error);
}

enum qvl_status qvl_limits_report(const struct qvl_limits *limits, struct qvl_report *report,
                                  struct qvl_error *error)
{
    for (int i = 0; i < limits->count; i++) {
        const struct qvl_limit *limit = &limits->rows[i];
        struct qvl_record *record = qvl_record_create("limit", limit->name, QVL_CASE_NONE);
        const bool gemm = strncmp(limit->name, "gemm_", 5) == 0;
        qvl_record_text(record, "what", limit->what, QVL_FROM_SETTING);
        if (limit->threads > 0)
            qvl_record_int(record, "threads", limit->threads, NULL, QVL_FROM_SETTING);
        qvl_record_real(record, "median", limit->median, limit->unit, QVL_FROM_MEASURED);
        qvl_record_real(record, "best", limit->best, limit->unit, QVL_FROM_MEASURED);
        const enum qvl_dtype dtype = strncmp(limit->name, "gemm_f32", 8) == 0 ? QVL_F32 : QVL_BF16;
        const double peak = qvl_limits_peak(limits, dtype, false);
        if (gemm && peak > 0)
            qvl_record_real(record, "fraction_of_peak", limit->median / peak, "1", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return limits->sweep_count > 0 ? report_sweep(limits, report, error) : QVL_OK;
}
