/* qvl-audit latency: prefill and decode at growing context, the vision tower, and the way from a file to the
 * first token; of a checkpoint or of random weights, whole or by sampling. */
#include "base/sha256.h"
#include "bench/stage_clock.h"
#include "cli/latency_run.h"
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
        char field[40], hash[QVL_SHA256_HEX_BYTES];
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
    qvl_record_text(record, "backend", run->name, QVL_FROM_SETTING);
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
    if (run.cpu_clock)
        qvl_stage_clock_count_cpu();
    enum qvl_status status = qvl_latency_open(&run, error);
    if (status == QVL_OK)
        status = describe(&run, error);
    if (status == QVL_OK)
        status = qvl_latency_take(&run, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    qvl_latency_close(&run);
    return status;
}
