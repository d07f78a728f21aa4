/* qvl-audit latency: prefill and decode at growing context, the vision tower, and the way from a file to the
 * first token; of a checkpoint or of random weights, whole or by sampling. */
#include "base/file.h"
#include "bench/stage_clock.h"
#include "cli/latency_predict.h"
#include "cli/latency_records.h"
#include "cli/latency_run.h"
#include "cli/latency_spots.h"
#include "cli/latency_trial.h"
#include "cli/models.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"

#include <stdlib.h>

enum {
    OPTION_CONTEXT = 0x2000,
    OPTION_STEPS,
    OPTION_REPEATS,
    OPTION_SEED,
    OPTION_MODEL,
    OPTION_CONFIG,
    OPTION_SAMPLE,
    OPTION_WHOLE,
    OPTION_CHECK,
    OPTION_PREDICT,
    OPTION_LAYERS,
    OPTION_MEMORY,
    OPTION_FRAME,
    OPTION_FILE,
    OPTION_TEXT,
    OPTION_CLOCK,
    OPTION_CONDITIONS
};

static const struct argp_option options_table[] = {
    {"model", OPTION_MODEL, "NAME", 0,
     "Shapes of a released model, by name or size (2B), with random weights instead of --weights", 3},
    {"config", OPTION_CONFIG, "FILE", 0, "The same of a config.json", 3},
    {"sample", OPTION_SAMPLE, NULL, 0,
     "Some layers and some prefill chunks, multiplied up (default without --weights)", 3},
    {"whole", OPTION_WHOLE, NULL, 0, "All layers, all chunks (default with --weights)", 3},
    {"context", OPTION_CONTEXT, "LIST", 0, "Prompt lengths (default 512,2K,8K whole, 8K,32K,256K,1M sampled)",
     3},
    {"check", OPTION_CHECK, "LIST", 0,
     "Contexts measured both ways in turns, --repeats times, to see how good sampling is", 3},
    {"predict", OPTION_PREDICT, "LIST", 0,
     "Contexts predicted from the model's ops, timed at two other depths, and measured whole", 3},
    {"decode-steps", OPTION_STEPS, "N", 0, "Timed decode steps at each context (default 16)", 3},
    {"repeats", OPTION_REPEATS, "N", 0, "Prefills or chunks timed at each context (default 3)", 3},
    {"sample-layers", OPTION_LAYERS, "N", 0,
     "Layers of each kind to sample (default: until they outgrow the last-level cache twice)", 3},
    {"memory", OPTION_MEMORY, "BYTES", 0, "Memory to plan with (default: what is free)", 3},
    {"frame", OPTION_FRAME, "HxW", 0,
     "A picture for the vision tower; may be repeated; none: no picture (default 720x1280; the "
     "backend ref: none)",
     3},
    {"file", OPTION_FILE, "FILE", 0, "A picture or video to follow to the first token; may be repeated", 3},
    {"text", OPTION_TEXT, "N", 0, "Tokens of text behind it (default 32)", 3},
    {"clock", OPTION_CLOCK, "CLOCK", 0,
     "wall (default), or cpu: CPU seconds of all threads, which other programs disturb less", 3},
    {"conditions", OPTION_CONDITIONS, "RULE", 0,
     "report (default): say so where other programs disturbed a timing; strict: such a row is INVALID", 3},
    {"seed", OPTION_SEED, "S", 0, "Seed of weights and token ids (default 1)", 3},
    {0}};

static void count_option(struct argp_state *state, const char *name, const char *text, int64_t low,
                         int64_t *value)
{
    if (!qvl_number_count(text, value) || *value < low || *value > 1000000)
        argp_error(state, "--%s is a number from %lld to 1000000, not %s", name, (long long)low, text);
}

static void list_option(struct argp_state *state, const char *name, const char *text, int64_t *values,
                        int64_t *count)
{
    bool good = qvl_number_counts(text, values, QVL_LATENCY_MAX_CONTEXTS, count) && *count > 0;
    for (int64_t i = 0; good && i < *count; i++) {
        good = values[i] > 0;
        for (int64_t k = 0; k < i; k++)
            good = good && values[k] != values[i];
    }
    if (!good)
        argp_error(state, "--%s is a list of different lengths like 512,2K,8K, not %s", name, text);
}

static void add_frame(struct qvl_latency_run *run, const char *text, struct argp_state *state)
{
    if (!run->frames_given)
        run->frame_count = 0;
    run->frames_given = true;
    if (strcmp(text, "none") == 0)
        return;
    if (run->frame_count == QVL_LATENCY_MAX_FRAMES)
        argp_error(state, "more than %d frames", QVL_LATENCY_MAX_FRAMES);
    else if (!qvl_number_sizes(text, run->frames[run->frame_count], 2))
        argp_error(state, "--frame is HEIGHTxWIDTH, not %s", text);
    else
        run->frame_count++;
}

static void finish_options(struct qvl_latency_run *run, struct argp_state *state)
{
    static const int64_t small[] = {512, 2048, 8192}, large[] = {8192, 32768, 262144, 1048576};
    const int given = (run->session.weights != NULL) + (run->model_name != NULL) + (run->config_file != NULL);
    if (given != 1)
        argp_error(state, "give one of --weights DIR, --model NAME and --config FILE");
    if (!run->sample && !run->whole) {
        run->sample = run->session.weights == NULL;
        run->whole = !run->sample;
    }
    if (!run->frames_given && strcmp(run->session.backend, "ref") == 0)
        run->frame_count = 0;
    if (run->context_count == 0) {
        run->context_count = run->sample ? 4 : 3;
        memcpy(run->contexts, run->sample ? large : small, sizeof(int64_t) * (size_t)run->context_count);
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_latency_run *run = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &run->session; return 0;
    case OPTION_MODEL: run->model_name = argument; return 0;
    case OPTION_CONFIG: run->config_file = argument; return 0;
    case OPTION_SAMPLE: run->sample = true; return 0;
    case OPTION_WHOLE: run->whole = true; return 0;
    case OPTION_CONTEXT:
        list_option(state, "context", argument, run->contexts, &run->context_count);
        return 0;
    case OPTION_CHECK: list_option(state, "check", argument, run->checks, &run->check_count); return 0;
    case OPTION_PREDICT:
        list_option(state, "predict", argument, run->predicted, &run->predicted_count);
        return 0;
    case OPTION_STEPS: count_option(state, "decode-steps", argument, 0, &run->decode_steps); return 0;
    case OPTION_REPEATS: count_option(state, "repeats", argument, 1, &run->repeats); return 0;
    case OPTION_SEED: count_option(state, "seed", argument, 0, &run->seed); return 0;
    case OPTION_LAYERS: count_option(state, "sample-layers", argument, 1, &run->layers); return 0;
    case OPTION_TEXT: count_option(state, "text", argument, 1, &run->text); return 0;
    case OPTION_MEMORY:
        if (!qvl_number_count(argument, &run->memory) || run->memory < 1)
            argp_error(state, "--memory is a number of bytes, not %s", argument);
        return 0;
    case OPTION_FRAME: add_frame(run, argument, state); return 0;
    case OPTION_FILE:
        if (run->file_count == QVL_LATENCY_MAX_FRAMES)
            argp_error(state, "more than %d files", QVL_LATENCY_MAX_FRAMES);
        run->files[run->file_count++] = argument;
        return 0;
    case OPTION_CONDITIONS:
        run->strict = strcmp(argument, "strict") == 0;
        if (!run->strict && strcmp(argument, "report") != 0)
            argp_error(state, "--conditions is report or strict, not %s", argument);
        return 0;
    case OPTION_CLOCK:
        run->cpu_clock = strcmp(argument, "cpu") == 0;
        if (!run->cpu_clock && strcmp(argument, "wall") != 0)
            argp_error(state, "--clock is wall or cpu, not %s", argument);
        return 0;
    case ARGP_KEY_END: finish_options(run, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&qvl_session_model_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .children = children,
    .doc =
        "Time a model: prefill of random text tokens (first forward call to the logits of the last token) "
        "and "
        "decode steps at that depth, each with fresh tokens whose logits are looked at; the vision tower; "
        "and "
        "the stages from a file to the first token. What is too large to run whole is sampled: some layers "
        "with caches of the real length, some prefill chunks along the depth (docs/COST.md). All samples "
        "stand in the JSON.\v"
        "Example: the shapes of the 2B model up to a million tokens, and how good the estimate is at 2K\n\n"
        "  qvl-audit latency --model 2B --context 8K,32K,256K,1M --check 2K --json latency.json"};

static void show_progress(void *context, int64_t done, int64_t total)
{
    struct qvl_progress *progress = context;
    progress->total = total;
    qvl_progress_update(progress, done);
}

/* The shapes, and the backend they are to run on. */
static enum qvl_status open_run(struct qvl_latency_run *run, struct qvl_error *error)
{
    const struct qvl_backend_options options = {.threads = run->session.threads};
    run->source = (struct qvl_model_source){
        .folder = run->session.weights, .config = &run->config, .seed = (uint64_t)run->seed};
    if (run->session.weights) {
        QVL_TRY(qvl_model_config_read(run->session.weights, &run->config, error));
    } else if (run->config_file) {
        QVL_TRY(qvl_folder_exists(run->config_file)
                    ? qvl_model_config_read(run->config_file, &run->config, error)
                    : qvl_model_config_read_file(run->config_file, &run->config, error));
    } else {
        const struct qvl_model_table *table;
        QVL_TRY(qvl_model_find(run->model_name, &table, error));
        QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &run->config, error));
    }
    run->storage = run->session.has_dtype  ? run->session.dtype
                   : run->config.has_dtype ? run->config.dtype
                                           : QVL_BF16;
    return qvl_backend_open_named(run->session.backend, &options, &run->backend, error);
}

enum qvl_status qvl_latency_whole(struct qvl_latency_run *run, struct qvl_model **model,
                                  struct qvl_error *error)
{
    const struct qvl_model_options options = {
        .storage = run->storage, .angles = run->session.angles, .available_bytes = run->memory};
    if (!run->model)
        QVL_TRY(qvl_model_load_part(&run->source, NULL, run->backend.backend, &options, &run->model, error));
    *model = run->model;
    return QVL_OK;
}

/* Pictures by size, files by content: names and paths may differ. */
static enum qvl_status describe_media(const struct qvl_latency_run *run, struct qvl_record *record,
                                      struct qvl_error *error)
{
    char sizes[QVL_LATENCY_MAX_FRAMES * 48] = "none";
    size_t length = 0;
    for (int64_t i = 0; i < run->frame_count; i++)
        length += (size_t)snprintf(sizes + length, sizeof sizes - length, "%s%lldx%lld", i ? "," : "",
                                   (long long)run->frames[i][0], (long long)run->frames[i][1]);
    qvl_record_text(record, "frames", sizes, QVL_FROM_SETTING);
    for (int64_t i = 0; i < run->file_count; i++) {
        char field[24], hash[QVL_SHA256_HEX_BYTES];
        snprintf(field, sizeof field, "file_%lld_sha256", (long long)i + 1);
        QVL_TRY(qvl_sha256_file(run->files[i], hash, error));
        qvl_record_text(record, field, hash, QVL_FROM_SETTING);
    }
    return QVL_OK;
}

static enum qvl_status describe(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_record *record = qvl_record_create("workload", "latency", QVL_CASE_NONE);
    run->report->workload = record;
    if (run->session.weights)
        qvl_record_text(record, "weights", run->session.weights, QVL_FROM_SETTING);
    else
        qvl_record_text(record, "shapes", run->model_name ? run->model_name : run->config_file,
                        QVL_FROM_SETTING);
    qvl_record_text(record, "backend", run->backend.backend->name, QVL_FROM_SETTING);
    qvl_record_text(record, "backend_description", run->backend.backend->description, QVL_FROM_MEASURED);
    qvl_session_describe_conditions(&run->session, run->backend.backend, record);
    qvl_record_text(record, "dtype", qvl_dtype_name(run->storage), QVL_FROM_SETTING);
    qvl_record_text(record, "method",
                    run->sample && run->whole ? "sampled, whole"
                    : run->sample             ? "sampled"
                                              : "whole",
                    QVL_FROM_SETTING);
    qvl_record_text(record, "clock", run->cpu_clock ? "cpu" : "wall", QVL_FROM_SETTING);
    qvl_record_int(record, "chunk", run->session.chunk ? run->session.chunk : QVL_DEFAULT_CHUNK, "token",
                   QVL_FROM_SETTING);
    qvl_record_ints(record, "contexts", run->contexts, run->context_count, "token", QVL_FROM_SETTING);
    qvl_record_ints(record, "checks", run->checks, run->check_count, "token", QVL_FROM_SETTING);
    qvl_record_ints(record, "predicted", run->predicted, run->predicted_count, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "decode_steps", run->decode_steps, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "repeats", run->repeats, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "sample_layers", run->layers, NULL, QVL_FROM_SETTING);
    QVL_TRY(describe_media(run, record, error));
    qvl_record_int(record, "text", run->text, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "seed", run->seed, NULL, QVL_FROM_SETTING);
    return qvl_record_check(record, error);
}

static enum qvl_status report_whole(struct qvl_latency_run *run, struct qvl_error *error)
{
    const struct qvl_latency_options latency = {.chunk = run->session.chunk,
                                                .decode_steps = run->decode_steps,
                                                .repeats = (int)run->repeats,
                                                .seed = (uint64_t)run->seed,
                                                .watch = run->watch,
                                                .progress = show_progress,
                                                .context = &run->progress};
    struct qvl_model *model;
    QVL_TRY(qvl_latency_whole(run, &model, error));
    qvl_progress_begin(&run->progress, "latency", "token", 0);
    const enum qvl_status status = qvl_latency_report(model, run->backend.backend->name, run->contexts,
                                                      run->context_count, &latency, run->report, error);
    qvl_progress_end(&run->progress);
    return status;
}

static enum qvl_status measure(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_latency_trust trust;
    if (run->cpu_clock)
        qvl_stage_clock_count_cpu();
    QVL_TRY(describe(run, error));
    QVL_TRY(qvl_latency_trial(run, &trust, error));
    if (!trust.trusted)
        return QVL_OK;
    if (!trust.taken_over)
        QVL_TRY(qvl_latency_spots_open(run, error));
    if (run->sample)
        QVL_TRY(qvl_latency_sampled_report(run, error));
    if (run->whole)
        QVL_TRY(report_whole(run, error));
    QVL_TRY(qvl_latency_check_report(run, error));
    QVL_TRY(qvl_latency_predict_report(run, run->predicted, run->predicted_count, error));
    QVL_TRY(qvl_latency_frames_report(run, error));
    QVL_TRY(qvl_latency_files_report(run, error));
    qvl_latency_judge(run, &trust);
    QVL_TRY(qvl_latency_spots_report(run, error));
    return qvl_latency_try_again(run, &trust, error);
}

enum qvl_status qvl_verb_latency(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_report report = {0};
    struct qvl_latency_run run = {.frames = {{720, 1280}},
                                  .frame_count = 1,
                                  .text = 32,
                                  .decode_steps = 16,
                                  .repeats = 3,
                                  .seed = 1,
                                  .report = &report};
    struct qvl_output output = {0};
    qvl_session_defaults(&run.session);
    run.session.weights_optional = true;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &run, &output, error));
    enum qvl_status status = open_run(&run, error);
    if (status == QVL_OK)
        status = measure(&run, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    qvl_sampler_destroy(run.sampler);
    qvl_model_destroy(run.model);
    qvl_latency_spots_close(&run);
    qvl_backend_close_named(&run.backend);
    return status;
}
