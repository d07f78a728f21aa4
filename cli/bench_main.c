/* qvl-bench: the entries of backends in the shapes of the released models, as a Google Benchmark program. */
#include <stdlib.h>
#include <string.h>

#include "bench/gbench.h"
#include "cli/backends.h"
#include "cli/timed_case.h"
#include "cli/timed_shapes.h"
#include "datasets/model_tables.h"
#include "ref/ref.h"

#define MOST_BACKENDS 8

struct options {
    const char *backends[MOST_BACKENDS];
    int backend_count;
    const char *model; /* "all" for all */
    const char *dtype, *text, *device, *hardware;
    int threads;
    bool strict, quick;
};

/* A backend and what it is measured with. */
struct bench_backend {
    struct qvl_opened_backend opened;
    const char *name;
    struct qvl_timing timing;
};

/* One benchmark. */
struct entry {
    struct bench_backend *backend;
    struct qvl_timed_case timed;
    char message[560];
};

static struct {
    struct options options;
    struct qvl_backend *reference;
    struct bench_backend backends[MOST_BACKENDS];
    int backend_count;
    struct qvl_limits limits;
    struct qvl_hardware_table hardware;
    struct entry *entries; /* room for all of them, so that none moves */
    int64_t entry_count;
    struct qvl_timed_case *open; /* at most one holds operands */
    bool failed, invalid;
} bench;

static const char usage[] =
    "Usage: qvl-bench [OPTION...] [--benchmark_filter=REGEX] [--benchmark_out=FILE] ...\n\n"
    "Time the entries of backends in the shapes of the released models. Each timed call gets fresh inputs; "
    "its\n"
    "outputs are judged by the reference; what is wrong, beats physics or was remembered has an error and no "
    "time.\n\n"
    "  --backend=NAME[,NAME]  ref, cpu, a plugin's path (default cpu); with several, names begin with it\n"
    "  --model=NAME           a model of `qvl-audit list` (default qwen3-vl-2b), or all\n"
    "  --dtype=TYPE           f32, bf16 or f16 alone (default f32 and bf16)\n"
    "  --case=LINE            one case as `qvl-audit verify --list` prints it, in place of a model's\n"
    "  --threads=N            of the backend (default all)\n"
    "  --device=NAME          the backend computes on this device: its datasheet bounds the timings\n"
    "  --hardware=FILE        JSON with rows of devices beside the built-in ones\n"
    "  --conditions=report    timings taken while other programs disturbed are noted, not errors\n"
    "  --quick                host limits from shorter samples\n\n"
    "Example: a JSON for Google Benchmark's compare.py\n\n"
    "  qvl-bench --benchmark_filter='linear.*bf16/hot' --benchmark_out=now.json\n";

/* ---- the callbacks of a benchmark ---- */

/* Why a case stopped, with the status it will have. */
static const char *explain(struct entry *entry, const char *why)
{
    if (!why)
        return NULL;
    snprintf(entry->message, sizeof entry->message, "%s: %.500s",
             entry->timed.why.status == QVL_UNSUPPORTED ? "UNSUPPORTED" : "FAILED", why);
    return entry->message;
}

static const char *begin(void *context)
{
    struct entry *entry = context;
    if (bench.open != &entry->timed) {
        if (bench.open)
            qvl_timed_close(bench.open);
        bench.open = &entry->timed;
    }
    return explain(entry, qvl_timed_begin(&entry->timed));
}

static const char *iterate(void *context, double *seconds)
{
    struct entry *entry = context;
    return explain(entry, qvl_timed_iterate(&entry->timed, seconds));
}

static void put(struct qvl_gbench_counter *counters, int *count, const char *name, double value)
{
    counters[(*count)++] = (struct qvl_gbench_counter){name, value};
}

static const char *end(void *context, struct qvl_gbench_counter counters[QVL_GBENCH_COUNTERS], int *count)
{
    struct entry *entry = context;
    struct qvl_timed_result result;
    qvl_timed_end(&entry->timed, &result);
    if (result.status == QVL_CASE_SKIPPED)
        return NULL;
    if (result.status != QVL_CASE_PASSED) {
        bench.invalid |= result.status == QVL_CASE_INVALID;
        bench.failed |= result.status != QVL_CASE_INVALID && result.status != QVL_CASE_UNSUPPORTED;
        snprintf(entry->message, sizeof entry->message, "%s: %s", qvl_case_status_name(result.status),
                 result.message);
        return entry->message;
    }
    put(counters, count, "median_s", result.median);
    put(counters, count, "noise", result.conditions.noise);
    put(counters, count, "other_load", result.conditions.others);
    put(counters, count, "B", result.bytes);
    put(counters, count, "B/s", result.bytes / result.median);
    put(counters, count, "of_limit", result.limit_fraction);
    if (result.flops > 0) {
        put(counters, count, "FLOP", result.flops);
        put(counters, count, "FLOP/s", result.flops / result.median);
    }
    return NULL;
}

/* ---- registering ---- */

/* "linear/rows:1/in:2048/.../bf16/hot" */
static void name_of(const struct qvl_case *chosen, bool cold, const char *backend, char *name, size_t bytes)
{
    int used = snprintf(name, bytes, "%s%s%s/%s", backend ? backend : "", backend ? "/" : "",
                        *chosen->set ? chosen->set : "case", qvl_verify_name(chosen->check));
    for (int i = 0; qvl_verify_number(chosen->check, i) && used < (int)bytes; i++)
        used += snprintf(name + used, bytes - (size_t)used, "/%s:%lld", qvl_verify_number(chosen->check, i),
                         (long long)chosen->numbers[i]);
    if (used < (int)bytes)
        snprintf(name + used, bytes - (size_t)used, "/%s/%s", qvl_dtype_name(chosen->dtype),
                 cold ? "cold" : "hot");
}

static enum qvl_status add_case(const struct qvl_case *chosen, struct qvl_error *error)
{
    for (int i = 0; i < bench.backend_count; i++)
        for (int cold = 0; cold < 2; cold++) {
            struct bench_backend *backend = &bench.backends[i];
            struct entry *entry = &bench.entries[bench.entry_count++];
            char name[384];
            entry->backend = backend;
            entry->timed =
                (struct qvl_timed_case){.chosen = *chosen, .cold = cold, .timing = &backend->timing};
            name_of(chosen, cold, bench.backend_count > 1 ? backend->name : NULL, name, sizeof name);
            if (!qvl_gbench_register(name, &(struct qvl_gbench_case){entry, begin, iterate, end}))
                return qvl_fail(error, QVL_NO_MEMORY, "no memory for %s", name);
        }
    return QVL_OK;
}

static enum qvl_status add_model(const struct qvl_model_table *table, struct qvl_error *error)
{
    static const enum qvl_dtype types[] = {QVL_F32, QVL_BF16, QVL_F16};
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct qvl_case cases[QVL_TIMED_SHAPES];
        int count;
        const char *wanted = bench.options.dtype;
        if (wanted ? strcmp(wanted, qvl_dtype_name(types[t])) != 0 : types[t] == QVL_F16)
            continue;
        QVL_TRY(qvl_timed_shapes(table->name, &config, types[t], cases, &count, error));
        for (int i = 0; i < count; i++)
            QVL_TRY(add_case(&cases[i], error));
    }
    return QVL_OK;
}

static enum qvl_status add_all(struct qvl_error *error)
{
    const struct options *options = &bench.options;
    const int64_t models = qvl_model_table_count();
    bool found = false;
    const int64_t most = (models * 3 * QVL_TIMED_SHAPES + 1) * 2 * bench.backend_count;
    bench.entries = calloc((size_t)most, sizeof *bench.entries);
    if (!bench.entries)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld benchmarks", (long long)most);
    if (options->text) {
        struct qvl_case one;
        QVL_TRY(qvl_case_parse(options->text, &one, error));
        if (one.check >= qvl_verify_op_count())
            return qvl_fail(error, QVL_USAGE, "%s is a probe, which has no time", qvl_verify_name(one.check));
        return add_case(&one, error);
    }
    for (int64_t i = 0; i < models; i++) {
        const struct qvl_model_table *table = qvl_model_table_get(i);
        const bool all = strcmp(options->model, "all") == 0 && strncmp(table->name, "qwen3-vl-", 9) == 0;
        if (!all && strcmp(options->model, table->name) != 0)
            continue;
        found = true;
        QVL_TRY(add_model(table, error));
    }
    return found ? QVL_OK
                 : qvl_fail(error, QVL_USAGE, "no model %s; `qvl-audit list` names them", options->model);
}

/* ---- opening ---- */

static enum qvl_status open_backend(const char *name, struct qvl_error *error)
{
    struct bench_backend *backend = &bench.backends[bench.backend_count];
    const struct qvl_backend_options options = {.threads = bench.options.threads};
    const char *slash = strrchr(name, '/');
    backend->name = slash ? slash + 1 : name;
    QVL_TRY(qvl_backend_open_named(name, &options, &backend->opened, error));
    bench.backend_count++;
    backend->timing = (struct qvl_timing){.reference = bench.reference,
                                          .candidate = backend->opened.backend,
                                          .limits = &bench.limits,
                                          .strict = bench.options.strict};
    if (bench.options.device) {
        backend->timing.device = qvl_hardware_find(&bench.hardware, bench.options.device);
        if (!backend->timing.device)
            return qvl_fail(error, QVL_USAGE, "no device %s; `qvl-audit list` names them",
                            bench.options.device);
    }
    qvl_gbench_describe(backend->name, backend->opened.backend->description);
    return QVL_OK;
}

static enum qvl_status open_all(struct qvl_error *error)
{
    const struct qvl_limits_options host = {.seconds = bench.options.quick ? 0.02 : 0.2,
                                            .memory = bench.options.quick ? 64 << 20 : 0,
                                            .host = true};
    char value[32];
    QVL_TRY(qvl_ref_open(NULL, &bench.reference, error));
    QVL_TRY(qvl_hardware_load(bench.options.hardware, &bench.hardware, error));
    QVL_TRY(qvl_limits_measure(NULL, &host, &bench.limits, error));
    const struct {
        const char *name;
        double rate;
    } rates[] = {{"limit_f32_FLOP/s", qvl_limits_peak(&bench.limits, QVL_F32, false)},
                 {"limit_bf16_FLOP/s", qvl_limits_peak(&bench.limits, QVL_BF16, false)},
                 {"limit_memory_B/s", qvl_limits_memory(&bench.limits)},
                 {"limit_cache_B/s", qvl_limits_cache(&bench.limits)}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        snprintf(value, sizeof value, "%.4g", rates[i].rate);
        qvl_gbench_describe(rates[i].name, value);
    }
    for (int i = 0; i < bench.options.backend_count; i++)
        QVL_TRY(open_backend(bench.options.backends[i], error));
    return add_all(error);
}

static void close_all(void)
{
    if (bench.open)
        qvl_timed_close(bench.open);
    for (int i = 0; i < bench.backend_count; i++) {
        qvl_timing_close(&bench.backends[i].timing);
        qvl_backend_close_named(&bench.backends[i].opened);
    }
    if (bench.reference)
        bench.reference->close(bench.reference);
    qvl_hardware_free(&bench.hardware);
    free(bench.entries);
}

/* ---- the command line ---- */

/* The value of --NAME=VALUE, or NULL. */
static const char *value_of(const char *argument, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

/* Take an option of ours; false: it is not. */
static bool take(char *argument)
{
    struct options *options = &bench.options;
    const char *value;
    if ((value = value_of(argument, "--backend"))) {
        for (char *name = strtok((char *)value, ","); name; name = strtok(NULL, ","))
            if (options->backend_count < MOST_BACKENDS)
                options->backends[options->backend_count++] = name;
    } else if ((value = value_of(argument, "--model"))) {
        options->model = value;
    } else if ((value = value_of(argument, "--dtype"))) {
        options->dtype = value;
    } else if ((value = value_of(argument, "--case"))) {
        options->text = value;
    } else if ((value = value_of(argument, "--device"))) {
        options->device = value;
    } else if ((value = value_of(argument, "--hardware"))) {
        options->hardware = value;
    } else if ((value = value_of(argument, "--threads"))) {
        options->threads = atoi(value);
    } else if ((value = value_of(argument, "--conditions"))) {
        options->strict = strcmp(value, "report") != 0;
    } else if (strcmp(argument, "--quick") == 0) {
        options->quick = true;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    /* The library's default of half a second of timed calls takes minutes where a call takes microseconds and
     * its fresh inputs more. */
    char default_time[] = "--benchmark_min_time=0.05";
    char **left = calloc((size_t)argc + 2, sizeof *left);
    struct qvl_error error = {QVL_OK, ""};
    int count = 0;
    if (!left)
        return qvl_status_exit_code(QVL_NO_MEMORY);
    bench.options = (struct options){.model = "qwen3-vl-2b", .strict = true};
    left[count++] = argv[0];
    left[count++] = default_time;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            fputs(usage, stdout);
        if (!take(argv[i]))
            left[count++] = argv[i];
    }
    if (bench.options.backend_count == 0)
        bench.options.backends[bench.options.backend_count++] = "cpu";
    enum qvl_status status = qvl_gbench_init(&count, left) ? open_all(&error) : QVL_USAGE;
    if (status == QVL_OK && qvl_gbench_run() == 0)
        status = qvl_fail(&error, QVL_USAGE, "no benchmark was run; --benchmark_list_tests prints all");
    if (status == QVL_OK)
        status = bench.failed ? QVL_FAILED : bench.invalid ? QVL_INCOMPARABLE : QVL_OK;
    if (error.message[0])
        fprintf(stderr, "qvl-bench: %s\n", error.message);
    close_all();
    free(left);
    return qvl_status_exit_code(status);
}
