/* qvl-audit procure: which device runs which model, how fast, and for how much. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/procure.h"
#include "cli/measured_rows.h"
#include "cli/media_grid.h"
#include "cli/models.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/prices.h"
#include "cli/verbs.h"

#define MAX_CONTEXTS 16
#define MAX_RATES 8
#define MAX_REPORTS 64
#define MAX_PRICES 64

struct procure_options {
    const char *models;  /* names with commas, or "all" */
    const char *devices; /* likewise */
    const char *config, *hardware, *prices_file;
    const char *prices[MAX_PRICES];
    int price_count;
    int64_t contexts[MAX_CONTEXTS];
    double rates[MAX_RATES];
    const char *reports[MAX_REPORTS];
    int report_count;
    int64_t image[2], frame[2]; /* height, width; 0: none */
    struct qvl_control_loop loop;
    struct qvl_procure_request request;
};

enum {
    OPTION_MODEL = 0x100,
    OPTION_CONFIG,
    OPTION_DEVICE,
    OPTION_HARDWARE,
    OPTION_CONTEXT,
    OPTION_IMAGE,
    OPTION_BATCH,
    OPTION_DTYPE,
    OPTION_CACHE,
    OPTION_WAYS,
    OPTION_PRICE,
    OPTION_PRICES,
    OPTION_RATE,
    OPTION_FRAME,
    OPTION_CONTROL_CONTEXT,
    OPTION_NO_CACHE,
    OPTION_ACTION_TOKENS,
    OPTION_CHUNK,
    OPTION_EXECUTE,
    OPTION_STEPS,
    OPTION_DELAY
};

static const struct argp_option option_list[] = {
    {"model", OPTION_MODEL, "NAME,...", 0,
     "Models of `qvl-audit list models`, by name or size (8B); all: the six released Qwen3-VL sizes, the "
     "default",
     0},
    {"config", OPTION_CONFIG, "FILE", 0, "A config.json, or the folder it is in, instead of --model", 0},
    {"device", OPTION_DEVICE, "NAME,...", 0, "Devices of `qvl-audit list hardware` (default all)", 0},
    {"hardware", OPTION_HARDWARE, "FILE", 0, "Add or replace rows of the hardware table", 0},
    {"context", OPTION_CONTEXT, "N,...", 0, "Prompt lengths in tokens (default 8K,32K,256K,1M)", 0},
    {"image", OPTION_IMAGE, "HxW", 0, "A picture in each prompt; none: no picture (default 1080x1920)", 0},
    {"batch", OPTION_BATCH, "N", 0, "Sequences that run together (default 1)", 0},
    {"dtype", OPTION_DTYPE, "bf16|fp8|fp8_block", 0,
     "Weights of the decoder; the tower and the head stay in bf16 (default bf16)", 0},
    {"cache", OPTION_CACHE, "bf16|fp8", 0, "Keys and values (default bf16)", 0},
    {"ways", OPTION_WAYS, "1|2|4|8", 0, "Tensor-parallel devices (default: the fewest that hold the model)",
     0},
    {"price", OPTION_PRICE, "DEVICE=N/h", 0, "Price of one device for an hour; may be repeated", 0},
    {"prices", OPTION_PRICES, "FILE", 0,
     "Prices: {\"currency\": \"USD\", \"per_hour\": {\"h100-sxm\": 2.5}}; --price goes before", 0},
    {NULL, 0, NULL, 0, "Control loop:", 1},
    {"rate", OPTION_RATE, "HZ,...", 0, "Actions a second (default 10,50,200)", 1},
    {"frame", OPTION_FRAME, "HxW", 0, "New camera picture of each replan (default 480x640)", 1},
    {"control-context", OPTION_CONTROL_CONTEXT, "N", 0, "Tokens that the policy sees (default 4K)", 1},
    {"no-cache", OPTION_NO_CACHE, NULL, 0, "Prefill the whole context at each replan", 1},
    {"action-tokens", OPTION_ACTION_TOKENS, "N", 0, "Tokens of one action (default 7)", 1},
    {"chunk", OPTION_CHUNK, "K", 0, "Actions in a chunk of the adapter (default 50)", 1},
    {"execute", OPTION_EXECUTE, "E", 0, "Most actions of a chunk that may run open loop (default half of it)",
     1},
    {"adapter-steps", OPTION_STEPS, "N", 0, "Passes of the adapter for a chunk (default 10)", 1},
    {"delay", OPTION_DELAY, "MS", 0, "Camera, preprocessing and link (default 0)", 1},
    {0},
};

static void parse_count(struct argp_state *state, const char *name, const char *text, int64_t *value)
{
    if (!qvl_number_count(text, value) || *value < 1 || *value > (int64_t)1 << 30)
        argp_error(state, "--%s wants a number from 1 to 1G, not \"%s\"", name, text);
}

static void parse_size(struct argp_state *state, const char *name, const char *text, int64_t size[2])
{
    size[0] = size[1] = 0;
    if (strcmp(text, "none") != 0 && !qvl_number_sizes(text, size, 2))
        argp_error(state, "--%s wants HEIGHTxWIDTH, not \"%s\"", name, text);
}

static void parse_type(struct argp_state *state, const char *text, bool cache, enum qvl_published_type *type)
{
    for (int i = 0; i < (cache ? QVL_PUBLISHED_FP8_BLOCK : QVL_PUBLISHED_TYPES); i++)
        if (strcmp(text, qvl_published_type_name((enum qvl_published_type)i)) == 0) {
            *type = (enum qvl_published_type)i;
            return;
        }
    argp_error(state, "--%s is %s, not \"%s\"", cache ? "cache" : "dtype",
               cache ? "bf16 or fp8" : "bf16, fp8 or fp8_block", text);
}

static void parse_real(struct argp_state *state, const char *name, const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end || !(*value >= 0) || isinf(*value))
        argp_error(state, "--%s wants a number that is not negative, not \"%s\"", name, text);
}

static void parse_rates(struct argp_state *state, const char *text, struct procure_options *options)
{
    const char *at = text;
    options->request.rate_count = 0;
    for (;; at++) {
        char *end;
        const double rate = strtod(at, &end);
        if (end == at || !(rate > 0) || isinf(rate) || (*end && *end != ',') ||
            options->request.rate_count == MAX_RATES)
            argp_error(state, "--rate wants up to %d positive numbers with commas, not \"%s\"", MAX_RATES,
                       text);
        options->rates[options->request.rate_count++] = rate;
        if (!*end)
            return;
        at = end;
    }
}

static void parse_contexts(struct argp_state *state, const char *text, struct procure_options *options)
{
    int64_t *contexts = options->contexts;
    bool good = qvl_number_counts(text, contexts, MAX_CONTEXTS, &options->request.context_count) &&
                options->request.context_count > 0;
    for (int64_t i = 0; good && i < options->request.context_count; i++)
        good = contexts[i] > (i ? contexts[i - 1] : 0) && contexts[i] <= (int64_t)1 << 26;
    if (!good)
        argp_error(state, "--context wants up to %d growing lengths of at most 64M, like 8K,32K, not \"%s\"",
                   MAX_CONTEXTS, text);
}

static void parse_ways(struct argp_state *state, const char *text, int64_t *ways)
{
    if (!qvl_number_count(text, ways) || (*ways != 1 && *ways != 2 && *ways != 4 && *ways != 8))
        argp_error(state, "--ways is 1, 2, 4 or 8, not \"%s\"", text);
}

/* Options of the control loop. */
static error_t parse_control(int key, char *argument, struct argp_state *state)
{
    struct procure_options *options = state->input;
    struct qvl_control_loop *loop = &options->loop;
    switch (key) {
    case OPTION_RATE: parse_rates(state, argument, options); return 0;
    case OPTION_FRAME: parse_size(state, "frame", argument, options->frame); return 0;
    case OPTION_CONTROL_CONTEXT: parse_count(state, "control-context", argument, &loop->context); return 0;
    case OPTION_NO_CACHE: loop->persistent = false; return 0;
    case OPTION_ACTION_TOKENS: parse_count(state, "action-tokens", argument, &loop->action_tokens); return 0;
    case OPTION_CHUNK: parse_count(state, "chunk", argument, &loop->chunk); return 0;
    case OPTION_EXECUTE: parse_count(state, "execute", argument, &loop->executed); return 0;
    case OPTION_STEPS: parse_count(state, "adapter-steps", argument, &loop->adapter.steps); return 0;
    case OPTION_DELAY:
        parse_real(state, "delay", argument, &loop->other);
        loop->other *= 1e-3;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void finish_options(struct procure_options *options, struct argp_state *state)
{
    struct qvl_control_loop *loop = &options->loop;
    if (options->models && options->config)
        argp_error(state, "give --model or --config, not both");
    if (loop->executed == 0)
        loop->executed = (loop->chunk + 1) / 2;
    if (loop->executed > loop->chunk)
        argp_error(state, "--execute %lld is more than the --chunk of %lld actions",
                   (long long)loop->executed, (long long)loop->chunk);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct procure_options *options = state->input;
    struct qvl_procure_request *request = &options->request;
    switch (key) {
    case OPTION_MODEL: options->models = argument; return 0;
    case OPTION_CONFIG: options->config = argument; return 0;
    case OPTION_DEVICE: options->devices = argument; return 0;
    case OPTION_HARDWARE: options->hardware = argument; return 0;
    case OPTION_CONTEXT: parse_contexts(state, argument, options); return 0;
    case OPTION_IMAGE: parse_size(state, "image", argument, options->image); return 0;
    case OPTION_BATCH: parse_count(state, "batch", argument, &request->batch); return 0;
    case OPTION_DTYPE: parse_type(state, argument, false, &request->weights); return 0;
    case OPTION_CACHE: parse_type(state, argument, true, &request->cache); return 0;
    case OPTION_WAYS: parse_ways(state, argument, &request->ways); return 0;
    case OPTION_PRICES: options->prices_file = argument; return 0;
    case OPTION_PRICE:
        if (options->price_count == MAX_PRICES)
            argp_error(state, "more than %d prices: use --prices FILE", MAX_PRICES);
        options->prices[options->price_count++] = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (options->report_count == MAX_REPORTS)
            argp_error(state, "more than %d reports", MAX_REPORTS);
        options->reports[options->report_count++] = argument;
        return 0;
    case ARGP_KEY_END: finish_options(options, state); return 0;
    default: return parse_control(key, argument, state);
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "[REPORT...]",
    .doc =
        "Which device runs which model: does it fit and on how many devices, time to the first token and per "
        "token at growing context, energy and price, and whether it closes a control loop. Every time says "
        "where it comes from; the datasheet floor stands beside it. Each REPORT (report.json of `latency` or "
        "`run`) adds the rows that were measured there.\v"
        "Example: two models on three devices, as a page with plots\n\n"
        "  qvl-audit procure --model 8B,30B-A3B --device h100-sxm,l40s,agx-thor --price h100-sxm=2.5/h "
        "--html procure.html"};

/* The devices that were asked for, with their published timings. */
struct devices {
    struct qvl_hardware_table table;
    struct qvl_procure_device *items;
    struct qvl_published_device **published;
    int64_t count;
};

static void devices_free(struct devices *devices)
{
    for (int64_t i = 0; devices->published && i < devices->count; i++)
        qvl_published_free(devices->published[i]);
    free(devices->published);
    free(devices->items);
    qvl_hardware_free(&devices->table);
}

static enum qvl_status add_device(struct devices *devices, const struct qvl_hardware *hardware,
                                  struct qvl_error *error)
{
    for (int64_t i = 0; i < devices->count; i++)
        if (devices->items[i].timed.hardware == hardware)
            return QVL_OK;
    struct qvl_published_device **published = &devices->published[devices->count];
    if (hardware->published[0])
        QVL_TRY(qvl_published_load(hardware->published, published, error));
    devices->items[devices->count++] = (struct qvl_procure_device){.timed = {hardware, *published}};
    return QVL_OK;
}

static enum qvl_status choose_devices(const char *wanted, struct devices *devices, struct qvl_error *error)
{
    const bool all = !wanted || strcmp(wanted, "all") == 0;
    devices->items = calloc((size_t)devices->table.count + 1, sizeof *devices->items);
    devices->published = calloc((size_t)devices->table.count + 1, sizeof(struct qvl_published_device *));
    char *names = strdup(all ? "" : wanted), *position = NULL;
    enum qvl_status status = devices->items && devices->published && names
                                 ? QVL_OK
                                 : qvl_fail(error, QVL_NO_MEMORY, "no memory for the devices");
    for (int64_t i = 0; all && i < devices->table.count && status == QVL_OK; i++)
        status = add_device(devices, &devices->table.rows[i], error);
    for (char *name = names ? strtok_r(names, ",", &position) : NULL; name && status == QVL_OK;
         name = strtok_r(NULL, ",", &position)) {
        const struct qvl_hardware *hardware = qvl_hardware_find(&devices->table, name);
        status = hardware ? add_device(devices, hardware, error)
                          : qvl_fail(error, QVL_USAGE,
                                     "no device is named \"%s\": see `qvl-audit list hardware`", name);
    }
    free(names);
    return status;
}

static enum qvl_status price_devices(const struct procure_options *options, struct devices *devices,
                                     struct qvl_prices *prices, struct qvl_error *error)
{
    for (int i = 0; i < options->price_count; i++)
        QVL_TRY(qvl_prices_add(prices, options->prices[i], error));
    if (options->prices_file)
        QVL_TRY(qvl_prices_read(prices, options->prices_file, error));
    QVL_TRY(qvl_prices_check(prices, &devices->table, error));
    for (int64_t i = 0; i < devices->count; i++)
        devices->items[i].price = qvl_prices_find(prices, devices->items[i].timed.hardware->name);
    return QVL_OK;
}

/* All rows of one model. */
static enum qvl_status report_model(const struct procure_options *options, const struct devices *devices,
                                    const char *name, const struct qvl_model_config *config,
                                    struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_grid image, frame;
    struct qvl_procure_model model = {.name = name, .config = config, .loop = options->loop};
    const int64_t merge = config->vision.merge;
    if (options->image[0]) {
        QVL_TRY(qvl_media_grid(config, 0, options->image[0], options->image[1], &image, error));
        if (image.h * image.w / (merge * merge) > options->contexts[0])
            return qvl_fail(
                error, QVL_USAGE,
                "%s: a context of %lld tokens cannot hold the %lld visual tokens of its picture; give "
                "a longer --context or --image none",
                name, (long long)options->contexts[0], (long long)(image.h * image.w / (merge * merge)));
        model.grids = &image;
        model.grid_count = 1;
    }
    if (options->frame[0]) {
        QVL_TRY(qvl_media_grid(config, 0, options->frame[0], options->frame[1], &frame, error));
        model.loop.grids = &frame;
        model.loop.grid_count = 1;
    }
    for (int64_t i = 0; i < devices->count; i++)
        QVL_TRY(qvl_procure_report(&model, &devices->items[i], &options->request, report, error));
    return QVL_OK;
}

static enum qvl_status report_table(const struct procure_options *options, const struct devices *devices,
                                    const struct qvl_model_table *table, struct qvl_report *report,
                                    struct qvl_error *error)
{
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    return report_model(options, devices, table->name, &config, report, error);
}

static enum qvl_status report_models(const struct procure_options *options, const struct devices *devices,
                                     struct qvl_report *report, struct qvl_error *error)
{
    if (!options->models || strcmp(options->models, "all") == 0) {
        for (int64_t i = 0; i < qvl_model_table_count(); i++)
            if (qvl_model_is_released_qwen3(qvl_model_table_get(i)))
                QVL_TRY(report_table(options, devices, qvl_model_table_get(i), report, error));
        return QVL_OK;
    }
    char *names = strdup(options->models), *position = NULL;
    enum qvl_status status = names ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for the model names");
    for (char *name = names ? strtok_r(names, ",", &position) : NULL; name && status == QVL_OK;
         name = strtok_r(NULL, ",", &position)) {
        const struct qvl_model_table *table;
        status = qvl_model_find(name, &table, error);
        if (status == QVL_OK)
            status = report_table(options, devices, table, report, error);
    }
    free(names);
    return status;
}

static enum qvl_status report_workload(const struct procure_options *options, struct qvl_report *report,
                                       struct qvl_error *error)
{
    const struct qvl_procure_request *request = &options->request;
    const struct qvl_control_loop *loop = &options->loop;
    struct qvl_record *record = qvl_record_create("workload", "procure", QVL_CASE_NONE);
    qvl_record_ints(record, "contexts", request->contexts, request->context_count, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "batch", request->batch, "sequence", QVL_FROM_SETTING);
    qvl_record_text(record, "weights_type", qvl_published_type_name(request->weights), QVL_FROM_SETTING);
    qvl_record_text(record, "cache_type", qvl_published_type_name(request->cache), QVL_FROM_SETTING);
    qvl_record_ints(record, "image", options->image, 2, "pixel", QVL_FROM_SETTING);
    qvl_record_reals(record, "rates", request->rates, request->rate_count, "Hz", QVL_FROM_SETTING);
    qvl_record_ints(record, "frame", options->frame, 2, "pixel", QVL_FROM_SETTING);
    qvl_record_int(record, "control_context", loop->context, "token", QVL_FROM_SETTING);
    qvl_record_flag(record, "persistent_cache", loop->persistent, QVL_FROM_SETTING);
    qvl_record_int(record, "new_text_tokens", loop->text_tokens, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "action_tokens", loop->action_tokens, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "chunk", loop->chunk, "action", QVL_FROM_SETTING);
    qvl_record_int(record, "executed", loop->executed, "action", QVL_FROM_SETTING);
    qvl_record_int(record, "adapter_parameters",
                   12 * loop->adapter.width * loop->adapter.width * loop->adapter.layers, "parameter",
                   QVL_FROM_MODELLED);
    qvl_record_int(record, "adapter_steps", loop->adapter.steps, NULL, QVL_FROM_SETTING);
    qvl_record_real(record, "camera_and_link", loop->other, "s", QVL_FROM_SETTING);
    report->workload = record;
    return qvl_record_check(record, error);
}

static enum qvl_status fill(struct procure_options *options, struct devices *devices,
                            struct qvl_prices *prices, struct qvl_report *report, struct qvl_error *error)
{
    QVL_TRY(qvl_hardware_load(options->hardware, &devices->table, error));
    QVL_TRY(choose_devices(options->devices, devices, error));
    QVL_TRY(price_devices(options, devices, prices, error));
    options->request.contexts = options->contexts;
    options->request.rates = options->rates;
    options->request.currency = prices->currency[0] ? prices->currency : "price";
    QVL_TRY(report_workload(options, report, error));
    for (int i = 0; i < options->report_count; i++)
        QVL_TRY(qvl_measured_rows(options->reports[i], report, error));
    if (options->config) {
        struct qvl_model_config config;
        char name[96];
        QVL_TRY(qvl_model_config_at(options->config, &config, name, sizeof name, error));
        QVL_TRY(report_model(options, devices, name, &config, report, error));
    } else
        QVL_TRY(report_models(options, devices, report, error));
    for (int64_t i = 0; i < devices->count; i++)
        QVL_TRY(qvl_report_take(report, qvl_hardware_record(devices->items[i].timed.hardware), error));
    return qvl_procure_notes(report, error);
}

/* What the terminal shows; the other kinds are for files and pages. */
static bool in_tables(const struct qvl_record *record)
{
    return strcmp(record->kind, "roofline") != 0 && strcmp(record->kind, "hardware") != 0;
}

enum qvl_status qvl_verb_procure(int argc, char **argv, struct qvl_error *error)
{
    struct procure_options options = {
        .contexts = {8 << 10, 32 << 10, 256 << 10, 1 << 20},
        .rates = {10, 50, 200},
        .image = {1080, 1920},
        .frame = {480, 640},
        .loop = {.text_tokens = 16,
                 .context = 4096,
                 .persistent = true,
                 .action_tokens = 7,
                 .chunk = 50,
                 .adapter = {.width = 1024, .layers = 8, .steps = 10}},
        .request = {.context_count = 4, .batch = 1, .rate_count = 3},
    };
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    struct devices devices = {0};
    struct qvl_prices prices = {0};
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status = fill(&options, &devices, &prices, &report, error);
    if (status == QVL_OK)
        status = qvl_output_write_chosen(&output, &report, in_tables, error);
    qvl_report_clear(&report);
    qvl_prices_free(&prices);
    devices_free(&devices);
    return status;
}
