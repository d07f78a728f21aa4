/* qvl-audit flops: what a model costs, from its config.json alone. */
#include <stdlib.h>

#include "bench/flops_records.h"
#include "cli/media_grid.h"
#include "cli/models.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"

#define MAX_CONTEXTS 64
#define MAX_MEDIA 64

/* A picture (frames 0) or video as the command line gives it. */
struct medium {
    int64_t frames, height, width;
};

struct flops_options {
    const char *models; /* names with commas, or "all" */
    const char *config; /* file or folder */
    int64_t contexts[MAX_CONTEXTS];
    int64_t context_count;
    struct medium media[MAX_MEDIA];
    int64_t media_count;
    bool media_given; /* otherwise media hold the default, which gives way to a short context */
    int64_t batch;
    enum qvl_dtype storage;
};

enum {
    OPTION_MODEL = 0x100,
    OPTION_CONFIG,
    OPTION_CONTEXT,
    OPTION_IMAGE,
    OPTION_VIDEO,
    OPTION_BATCH,
    OPTION_DTYPE
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
    {"dtype", OPTION_DTYPE, "bf16|f16|f32", 0, "Storage of weights, activations and KV cache (default bf16)",
     0},
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
    case OPTION_BATCH:
        if (!qvl_number_count(argument, &options->batch) || options->batch < 1)
            argp_error(state, "--batch wants a positive number, not \"%s\"", argument);
        return 0;
    case OPTION_DTYPE:
        for (int type = 0; type < QVL_DTYPE_COUNT; type++) {
            if (qvl_dtype_is_storage((enum qvl_dtype)type) &&
                strcmp(argument, qvl_dtype_name((enum qvl_dtype)type)) == 0) {
                options->storage = (enum qvl_dtype)type;
                return 0;
            }
        }
        argp_error(state, "--dtype is bf16, f16 or f32, not \"%s\"", argument);
        return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument \"%s\"", argument); return 0;
    case ARGP_KEY_END:
        if (options->models && options->config)
            argp_error(state, "give --model or --config, not both");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .doc = "Count FLOPs and bytes of a model per stage, for prefill and decode at growing context. Nothing "
           "is run: "
           "the numbers follow from config.json.\v"
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

static enum qvl_status count_table(const struct flops_options *options, const struct qvl_model_table *table,
                                   struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_model_config config;
    struct qvl_model_facts facts;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    QVL_TRY(count_model(options, table->name, &config, report, error));
    QVL_TRY(qvl_model_facts_read(table, &facts, error));
    enum qvl_status status = QVL_OK;
    if (!facts.verified) {
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
    return count_model(options, name, &config, report, error);
}

enum qvl_status qvl_verb_flops(int argc, char **argv, struct qvl_error *error)
{
    struct flops_options options = {.contexts = {8 << 10, 32 << 10, 256 << 10, 1 << 20},
                                    .context_count = 4,
                                    .media = {{0, 1080, 1920}},
                                    .media_count = 1,
                                    .batch = 1,
                                    .storage = QVL_BF16};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status =
        options.config ? count_file(&options, &report, error) : count_named(&options, &report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
