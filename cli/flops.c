/* qvl-audit flops: what a model costs, from its config.json alone or counted while it runs. */
#include <stdlib.h>

#include "bench/flops_records.h"
#include "bench/training_records.h"
#include "cli/flops_modes.h"
#include "cli/media_grid.h"
#include "cli/models.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "datasets/hardware.h"

#define MAX_CONTEXTS 64
#define MAX_MEDIA 64

/* A picture (frames 0) or video as the command line gives it. */
struct medium {
    int64_t frames, height, width;
};

enum flops_form { FORM_FORMULA, FORM_COUNTED, FORM_TRAINING, FORM_PARAMETERS };

struct flops_options {
    enum flops_form form;
    const char *models; /* names with commas, or "all" */
    const char *config; /* file or folder */
    int64_t contexts[MAX_CONTEXTS];
    int64_t context_count;
    struct medium media[MAX_MEDIA];
    int64_t media_count;
    bool media_given; /* otherwise media hold the default, which gives way to a short context */
    int64_t batch;
    enum qvl_dtype storage;
    /* --weights */
    struct qvl_session_options session;
    int64_t decode;
    /* --training */
    const char *device;
    struct qvl_training_request training;
};

enum {
    OPTION_MODEL = 0x100,
    OPTION_CONFIG,
    OPTION_CONTEXT,
    OPTION_IMAGE,
    OPTION_VIDEO,
    OPTION_BATCH,
    OPTION_DTYPE,
    OPTION_PARAMETERS,
    OPTION_TRAINING,
    OPTION_SHARE,
    OPTION_DEVICE,
    OPTION_UTILISATION,
    OPTION_WEIGHTS,
    OPTION_MESSAGES,
    OPTION_PROMPT,
    OPTION_BACKEND,
    OPTION_THREADS,
    OPTION_CHUNK,
    OPTION_DECODE,
    OPTION_PROCESSOR
};

static const struct argp_option option_list[] = {
    {"model", OPTION_MODEL, "NAME,...", 0,
     "Models of `qvl-audit list models`, by name or size (8B); all: the six released Qwen3-VL sizes, the "
     "default",
     0},
    {"config", OPTION_CONFIG, "FILE", 0, "A config.json, or the folder it is in, instead of --model", 0},
    {"context", OPTION_CONTEXT, "N,...", 0, "Prompt lengths in tokens (default 8K,32K,256K,1M)", 0},
    {"image", OPTION_IMAGE, "HxW", 0,
     "A picture in each prompt, size before resizing; may be repeated; none: no picture (default one of "
     "1080x1920)",
     0},
    {"video", OPTION_VIDEO, "FRAMESxHxW", 0, "A video in each prompt, by its sampled frames; may be repeated",
     0},
    {"batch", OPTION_BATCH, "N", 0, "Sequences that run together (default 1)", 0},
    {"dtype", OPTION_DTYPE, "bf16|f16|f32", 0,
     "Storage of weights, activations and KV cache (default bf16; with --weights as the checkpoint is "
     "stored)",
     0},
    {NULL, 0, NULL, 0, "Counted while a checkpoint runs, beside the formulas:", 1},
    {"weights", OPTION_WEIGHTS, "DIR", 0, "Run this checkpoint and count what it calls; needs a prompt", 1},
    {"messages", OPTION_MESSAGES, "FILE", 0, "The prompt: chat messages (JSON), with images and videos", 1},
    {"prompt", OPTION_PROMPT, "TEXT", 0, "The prompt: one message of this text", 1},
    {"backend", OPTION_BACKEND, "NAME", 0, "ref, cpu or a plugin ./x.so (default cpu)", 1},
    {"threads", OPTION_THREADS, "N", 0, "Threads of the backend (default: all)", 1},
    {"chunk", OPTION_CHUNK, "N", 0, "Prompt tokens of one forward call", 1},
    {"decode", OPTION_DECODE, "N", 0, "Tokens to decode behind the prompt (default 4)", 1},
    {"processor", OPTION_PROCESSOR, "PROFILE", 0, "Preprocessing as hf4 (default), hf5 or qvu", 1},
    {NULL, 0, NULL, 0, "Other tables:", 2},
    {"parameters", OPTION_PARAMETERS, NULL, 0,
     "Where the parameters are, what a token uses of them, and the figures in the models' names", 2},
    {"training", OPTION_TRAINING, NULL, 0, "What the four stages of pre-training cost", 2},
    {"visual-share", OPTION_SHARE, "P,...", 0, "Visual tokens of 100 in training (default 0,50,90)", 2},
    {"hardware", OPTION_DEVICE, "NAME", 0, "Device of the hours of training (default h100-sxm)", 2},
    {"utilisation", OPTION_UTILISATION, "P", 0, "Per cent of its bf16 peak (default 40)", 2},
    {0},
};

static void add_medium(struct flops_options *options, const char *text, bool video, struct argp_state *state)
{
    int64_t sizes[3] = {0, 0, 0};
    if (!options->media_given)
        options->media_count = 0;
    options->media_given = true;
    if (!video && strcmp(text, "none") == 0)
        return;
    if (options->media_count == MAX_MEDIA)
        argp_error(state, "more than %d pictures and videos", MAX_MEDIA);
    else if (!qvl_number_sizes(text, video ? sizes : sizes + 1, video ? 3 : 2))
        argp_error(state, "\"%s\" is no size: write %s", text,
                   video ? "FRAMESxHEIGHTxWIDTH" : "HEIGHTxWIDTH");
    else
        options->media[options->media_count++] = (struct medium){sizes[0], sizes[1], sizes[2]};
}

static bool set_storage(struct flops_options *options, const char *name)
{
    for (int type = 0; type < QVL_DTYPE_COUNT; type++) {
        if (qvl_dtype_is_storage((enum qvl_dtype)type) &&
            strcmp(name, qvl_dtype_name((enum qvl_dtype)type)) == 0) {
            options->storage = options->session.dtype = (enum qvl_dtype)type;
            options->session.has_dtype = true;
            return true;
        }
    }
    return false;
}

static void set_form(struct flops_options *options, enum flops_form form, struct argp_state *state)
{
    if (options->form != FORM_FORMULA && options->form != form)
        argp_error(state, "--weights, --training and --parameters exclude each other");
    options->form = form;
}

static void positive(struct argp_state *state, const char *name, const char *text, int64_t *value)
{
    if (!qvl_number_count(text, value) || *value < 1)
        argp_error(state, "--%s wants a positive number, not \"%s\"", name, text);
}

static error_t parse_run_option(int key, char *argument, struct argp_state *state)
{
    struct flops_options *options = state->input;
    struct qvl_session_options *session = &options->session;
    int64_t threads = 0;
    switch (key) {
    case OPTION_WEIGHTS:
        session->weights = argument;
        set_form(options, FORM_COUNTED, state);
        return 0;
    case OPTION_MESSAGES: session->messages = argument; return 0;
    case OPTION_PROMPT: session->text = argument; return 0;
    case OPTION_BACKEND: session->backend = argument; return 0;
    case OPTION_THREADS:
        positive(state, "threads", argument, &threads);
        if (threads > 1024)
            argp_error(state, "--threads is a number from 1 to 1024, not %s", argument);
        session->threads = (int)threads;
        return 0;
    case OPTION_CHUNK: positive(state, "chunk", argument, &session->chunk); return 0;
    case OPTION_DECODE:
        if (!qvl_number_count(argument, &options->decode) || options->decode > 1 << 20)
            argp_error(state, "--decode wants a number up to 1M, not \"%s\"", argument);
        return 0;
    case OPTION_PROCESSOR:
        if (!qvl_profile_parse(argument, &session->processor.profile))
            argp_error(state, "--processor is hf4, hf5 or qvu, not %s", argument);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_table_option(int key, char *argument, struct argp_state *state)
{
    struct flops_options *options = state->input;
    struct qvl_training_request *training = &options->training;
    int64_t percent = 0;
    switch (key) {
    case OPTION_PARAMETERS: set_form(options, FORM_PARAMETERS, state); return 0;
    case OPTION_TRAINING: set_form(options, FORM_TRAINING, state); return 0;
    case OPTION_SHARE:
        if (!qvl_number_counts(argument, training->shares, QVL_TRAINING_MAX_SHARES, &training->share_count))
            argp_error(state, "--visual-share is a list of up to %d numbers like 0,50,90, not %s",
                       QVL_TRAINING_MAX_SHARES, argument);
        for (int64_t i = 0; i < training->share_count; i++)
            for (int64_t k = 0; k <= i; k++)
                if (training->shares[i] > 100 || (k < i && training->shares[k] == training->shares[i]))
                    argp_error(state, "--visual-share: each is 0 to 100, once, not %s", argument);
        return 0;
    case OPTION_DEVICE: options->device = argument; return 0;
    case OPTION_UTILISATION:
        positive(state, "utilisation", argument, &percent);
        if (percent > 100)
            argp_error(state, "--utilisation is 1 to 100, not %s", argument);
        training->utilisation = (double)percent / 100;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void check_options(const struct flops_options *options, struct argp_state *state)
{
    const struct qvl_session_options *session = &options->session;
    if (options->models && options->config)
        argp_error(state, "give --model or --config, not both");
    if (options->form == FORM_COUNTED && (options->models || options->config || options->media_given))
        argp_error(state,
                   "--weights brings its own model and prompt: leave out --model, --config, --image and "
                   "--video");
    if (options->form == FORM_COUNTED && !session->messages == !session->text)
        argp_error(state, "--weights needs a prompt: --messages FILE or --prompt TEXT");
    if (options->form != FORM_COUNTED && (session->messages || session->text))
        argp_error(state, "--messages and --prompt need --weights DIR to run");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct flops_options *options = state->input;
    switch (key) {
    case OPTION_MODEL: options->models = argument; return 0;
    case OPTION_CONFIG: options->config = argument; return 0;
    case OPTION_CONTEXT:
        if (!qvl_number_counts(argument, options->contexts, MAX_CONTEXTS, &options->context_count))
            argp_error(state, "\"%s\" is no list of up to %d lengths: write 8K,32K", argument, MAX_CONTEXTS);
        return 0;
    case OPTION_IMAGE: add_medium(options, argument, false, state); return 0;
    case OPTION_VIDEO: add_medium(options, argument, true, state); return 0;
    case OPTION_BATCH: positive(state, "batch", argument, &options->batch); return 0;
    case OPTION_DTYPE:
        if (!set_storage(options, argument))
            argp_error(state, "--dtype is bf16, f16 or f32, not \"%s\"", argument);
        return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument \"%s\"", argument); return 0;
    case ARGP_KEY_END: check_options(options, state); return 0;
    default:
        return parse_run_option(key, argument, state) == 0 ? 0 : parse_table_option(key, argument, state);
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .doc = "Count FLOPs and bytes of a model per stage, for prefill and decode at growing context. Nothing "
           "is run: the numbers follow from config.json. With --weights they are counted while a checkpoint "
           "runs, too, and both stand side by side; exit 1 when they differ.\v"
           "Example: what a 32K prompt with one full-HD picture costs the 8B model\n\n"
           "  qvl-audit flops --model 8B --context 32K --image 1080x1920"};

/* Count one model. The default picture is left out where the shortest context cannot hold it. */
static enum qvl_status count_model(const struct flops_options *options, const char *name,
                                   const struct qvl_model_config *config, struct qvl_report *report,
                                   struct qvl_error *error)
{
    struct qvl_grid grids[MAX_MEDIA];
    struct qvl_flops_request request = {.contexts = options->contexts,
                                        .context_count = options->context_count,
                                        .grids = grids,
                                        .grid_count = options->media_count,
                                        .batch = options->batch,
                                        .storage = options->storage};
    for (int64_t i = 0; i < options->media_count; i++)
        QVL_TRY(qvl_media_grid(config, options->media[i].frames, options->media[i].height,
                               options->media[i].width, &grids[i], error));
    int64_t visual = qvl_flops_visual_tokens(config, grids, request.grid_count);
    for (int64_t i = 0; i < options->context_count && !options->media_given; i++)
        if (options->contexts[i] < visual)
            request.grid_count = 0;
    if (!report->workload) {
        QVL_TRY(qvl_flops_preamble(&request, report, error));
        if (request.grid_count < options->media_count)
            QVL_TRY(qvl_report_note(
                report, "Text only: the default picture does not fit the shortest context.", error));
    }
    return qvl_flops_report(name, config, &request, report, error);
}

/* The tables of one model in the form that was asked for. `title` has the figures of the model's name. */
static enum qvl_status tell_model(const struct flops_options *options, const char *name, const char *title,
                                  const struct qvl_model_config *config, struct qvl_report *report,
                                  struct qvl_error *error)
{
    switch (options->form) {
    case FORM_TRAINING: return qvl_training_report(name, config, &options->training, report, error);
    case FORM_PARAMETERS: return qvl_parameters_report(name, title, config, report, error);
    default: return count_model(options, name, config, report, error);
    }
}

static enum qvl_status count_table(const struct flops_options *options, const struct qvl_model_table *table,
                                   struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_model_config config;
    struct qvl_model_facts facts;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    QVL_TRY(qvl_model_facts_read(table, &facts, error));
    enum qvl_status status = tell_model(options, table->name, facts.title, &config, report, error);
    if (status == QVL_OK && !facts.verified) {
        char note[512];
        snprintf(note, sizeof note, "%s: not seen in a released config.json: %s.", table->name,
                 facts.unverified);
        status = qvl_report_note(report, note, error);
    }
    qvl_model_facts_free(&facts);
    return status;
}

static enum qvl_status count_named(const struct flops_options *options, struct qvl_report *report,
                                   struct qvl_error *error)
{
    if (!options->models || strcmp(options->models, "all") == 0) {
        for (int64_t i = 0; i < qvl_model_table_count(); i++)
            if (qvl_model_is_released_qwen3(qvl_model_table_get(i)))
                QVL_TRY(count_table(options, qvl_model_table_get(i), report, error));
        return QVL_OK;
    }
    char *names = strdup(options->models);
    char *position = NULL;
    enum qvl_status status = names ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for the model names");
    for (char *name = names ? strtok_r(names, ",", &position) : NULL; name && status == QVL_OK;
         name = strtok_r(NULL, ",", &position)) {
        const struct qvl_model_table *table;
        status = qvl_model_find(name, &table, error);
        if (status == QVL_OK)
            status = count_table(options, table, report, error);
    }
    free(names);
    return status;
}

static enum qvl_status count_file(const struct flops_options *options, struct qvl_report *report,
                                  struct qvl_error *error)
{
    struct qvl_model_config config;
    char name[256];
    QVL_TRY(qvl_model_config_at(options->config, &config, name, sizeof name, error));
    return tell_model(options, name, name, &config, report, error);
}

/* The bf16 peak of the device that the hours of training are for. */
static enum qvl_status find_device(struct flops_options *options, struct qvl_error *error)
{
    struct qvl_hardware_table table;
    QVL_TRY(qvl_hardware_load(NULL, &table, error));
    const struct qvl_hardware *row = qvl_hardware_find(&table, options->device);
    enum qvl_status status = QVL_OK;
    if (!row || row->flops[QVL_RATE_BF16] == 0)
        status = qvl_fail(error, QVL_USAGE, "--hardware: \"%s\" %s; `qvl-audit list hardware` has the names",
                          options->device, row ? "states no bf16 peak" : "is not in the table");
    else
        options->training.peak = row->flops[QVL_RATE_BF16];
    options->training.device = options->device;
    qvl_hardware_free(&table);
    return status;
}

static enum qvl_status tell(struct flops_options *options, struct qvl_report *report, struct qvl_error *error)
{
    if (options->form == FORM_COUNTED)
        return qvl_flops_counted(&options->session, options->decode, report, error);
    if (options->form == FORM_TRAINING) {
        QVL_TRY(find_device(options, error));
        QVL_TRY(qvl_training_preamble(&options->training, report, error));
    }
    if (options->form == FORM_PARAMETERS)
        QVL_TRY(qvl_parameters_preamble(report, error));
    return options->config ? count_file(options, report, error) : count_named(options, report, error);
}

enum qvl_status qvl_verb_flops(int argc, char **argv, struct qvl_error *error)
{
    struct flops_options options = {
        .contexts = {8 << 10, 32 << 10, 256 << 10, 1 << 20},
        .context_count = 4,
        .media = {{0, 1080, 1920}},
        .media_count = 1,
        .batch = 1,
        .storage = QVL_BF16,
        .decode = 4,
        .device = "h100-sxm",
        .training = {.shares = {0, 50, 90}, .share_count = 3, .utilisation = 0.4}};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    qvl_session_defaults(&options.session);
    options.session.counted = true;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status = tell(&options, &report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
