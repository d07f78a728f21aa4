#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/sha256.h"
#include "bench/counting.h"
#include "cli/numbers.h"
#include "datasets/media.h"
#include "ref/pixels.h"

enum {
    OPTION_WEIGHTS = 0x1000,
    OPTION_BACKEND,
    OPTION_DTYPE,
    OPTION_THREADS,
    OPTION_CHUNK,
    OPTION_ANGLES,
    OPTION_MESSAGES,
    OPTION_TOOLS,
    OPTION_PROMPT,
    OPTION_IMAGE,
    OPTION_VIDEO,
    OPTION_PROCESSOR,
    OPTION_RESIZE,
    OPTION_VISION_ID,
    OPTION_DAMAGED
};

static const struct argp_option weights_options[] = {
    {"weights", OPTION_WEIGHTS, "DIR", 0, "Checkpoint folder in the Hugging Face layout", 1}, {0}};

static const struct argp_option model_options[] = {
    {"backend", OPTION_BACKEND, "NAME", 0, "ref, cpu or a plugin ./x.so (default cpu)", 1},
    {"dtype", OPTION_DTYPE, "TYPE", 0, "f32, bf16 or f16 (default: as the checkpoint is stored)", 1},
    {"threads", OPTION_THREADS, "N", 0, "Threads of the backend (default: all)", 1},
    {"chunk", OPTION_CHUNK, "N", 0, "Prompt tokens of one forward call", 1},
    {"angles", OPTION_ANGLES, "PRECISION", 0, "Rotary angles: f32 as the original (default), or f64", 1},
    {0}};

static const struct argp_option processor_options[] = {
    {"processor", OPTION_PROCESSOR, "PROFILE", 0, "Preprocessing as hf4 (default), hf5 or qvu", 2},
    {"resize", OPTION_RESIZE, "METHOD", 0, "torchvision, pillow, pillow13 or float in place of the profile's",
     2},
    {"accept-damaged", OPTION_DAMAGED, NULL, 0,
     "Take videos whose selected frames are damaged, marked inexact", 2},
    {0}};

static const struct argp_option prompt_options[] = {
    {"messages", OPTION_MESSAGES, "FILE", 0, "Chat messages (JSON)", 2},
    {"tools", OPTION_TOOLS, "FILE", 0, "Tool definitions (a JSON array)", 2},
    {"prompt", OPTION_PROMPT, "TEXT", 0, "One user message in place of --messages", 2},
    {"image", OPTION_IMAGE, "FILE", 0, "An image of that message, in front of the text; may be repeated", 2},
    {"video", OPTION_VIDEO, "FILE", 0, "A video of that message; may be repeated", 2},
    {"add-vision-id", OPTION_VISION_ID, NULL, 0, "Label media: \"Picture 1: \"", 2},
    {0}};

static bool parse_dtype(const char *name, enum qvl_dtype *dtype)
{
    for (enum qvl_dtype type = QVL_F32; type <= QVL_F16; type++)
        if (strcmp(name, qvl_dtype_name(type)) == 0) {
            *dtype = type;
            return true;
        }
    return false;
}

static bool parse_resize(const char *name, enum qvl_resize_method *method)
{
    static const char *const names[] = {"torchvision", "pillow", "pillow13", "float"};
    static const enum qvl_resize_method methods[] = {QVL_RESIZE_TORCHVISION_U8, QVL_RESIZE_PILLOW,
                                                     QVL_RESIZE_PILLOW13, QVL_RESIZE_TORCHVISION_F32};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *method = methods[i];
            return true;
        }
    return false;
}

static error_t parse_weights_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_session_options *options = state->input;
    switch (key) {
    case OPTION_WEIGHTS: options->weights = argument; return 0;
    case ARGP_KEY_END:
        if (!options->weights && !options->weights_optional)
            argp_error(state, "--weights DIR is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_model_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_session_options *options = state->input;
    int64_t number;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = options; return 0;
    case OPTION_BACKEND: options->backend = argument; return 0;
    case OPTION_DTYPE:
        options->has_dtype = true;
        if (!parse_dtype(argument, &options->dtype))
            argp_error(state, "--dtype is f32, bf16 or f16, not %s", argument);
        return 0;
    case OPTION_THREADS:
        if (!qvl_number_count(argument, &number) || number < 1 || number > 1024)
            argp_error(state, "--threads is a number from 1 to 1024, not %s", argument);
        options->threads = (int)number;
        return 0;
    case OPTION_CHUNK:
        if (!qvl_number_count(argument, &options->chunk) || options->chunk < 1)
            argp_error(state, "--chunk is a positive number, not %s", argument);
        return 0;
    case OPTION_ANGLES:
        if (strcmp(argument, "f32") != 0 && strcmp(argument, "f64") != 0)
            argp_error(state, "--angles is f32 or f64, not %s", argument);
        options->angles = strcmp(argument, "f64") == 0 ? QVL_ANGLE_F64 : QVL_ANGLE_F32;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void check_prompt_options(const struct qvl_session_options *options, struct argp_state *state)
{
    const bool single = options->text || options->image_count || options->video_count;
    if (options->messages && single)
        argp_error(state, "--messages and --prompt, --image, --video exclude each other");
    if (!options->messages && !single && !options->prompt_optional)
        argp_error(state, "a prompt is needed: --messages FILE or --prompt TEXT");
}

static error_t parse_processor_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_session_options *options = state->input;
    switch (key) {
    case OPTION_PROCESSOR:
        if (!qvl_profile_parse(argument, &options->processor.profile))
            argp_error(state, "--processor is hf4, hf5 or qvu, not %s", argument);
        return 0;
    case OPTION_RESIZE:
        options->processor.override_resize = true;
        if (!parse_resize(argument, &options->processor.resize))
            argp_error(state, "--resize is torchvision, pillow, pillow13 or float, not %s", argument);
        return 0;
    case OPTION_DAMAGED: options->processor.accept_damaged = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_prompt_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_session_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = options; return 0;
    case OPTION_MESSAGES: options->messages = argument; return 0;
    case OPTION_TOOLS: options->tools = argument; return 0;
    case OPTION_PROMPT: options->text = argument; return 0;
    case OPTION_IMAGE:
        if (options->image_count == QVL_SESSION_MAX_MEDIA)
            argp_error(state, "more than %d images; use --messages", QVL_SESSION_MAX_MEDIA);
        options->images[options->image_count++] = argument;
        return 0;
    case OPTION_VIDEO:
        if (options->video_count == QVL_SESSION_MAX_MEDIA)
            argp_error(state, "more than %d videos; use --messages", QVL_SESSION_MAX_MEDIA);
        options->videos[options->video_count++] = argument;
        return 0;
    case OPTION_VISION_ID: options->add_vision_id = true; return 0;
    case ARGP_KEY_END: check_prompt_options(options, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp qvl_session_weights_argp = {.options = weights_options, .parser = parse_weights_option};
const struct argp qvl_session_processor_argp = {.options = processor_options,
                                                .parser = parse_processor_option};

static const struct argp_child model_children[] = {{&qvl_session_weights_argp, 0, NULL, 0}, {0}};
static const struct argp_child prompt_children[] = {{&qvl_session_processor_argp, 0, NULL, 0}, {0}};

const struct argp qvl_session_model_argp = {
    .options = model_options, .parser = parse_model_option, .children = model_children};
const struct argp qvl_session_prompt_argp = {
    .options = prompt_options, .parser = parse_prompt_option, .children = prompt_children};

void qvl_session_defaults(struct qvl_session_options *options)
{
    *options = (struct qvl_session_options){.backend = "cpu"};
}

static bool add_part(cJSON *parts, const char *type, const char *value)
{
    cJSON *part = cJSON_CreateObject();
    const bool good =
        part && cJSON_AddStringToObject(part, "type", type) && cJSON_AddStringToObject(part, type, value);
    return cJSON_AddItemToArray(parts, part) && good;
}

/* One user message of the media and the text given on the command line. */
static enum qvl_status single_message(const struct qvl_session_options *options, char **json,
                                      struct qvl_error *error)
{
    cJSON *messages = cJSON_CreateArray();
    cJSON *message = cJSON_CreateObject();
    bool good = messages && message && cJSON_AddItemToArray(messages, message) &&
                cJSON_AddStringToObject(message, "role", "user");
    cJSON *parts = good ? cJSON_AddArrayToObject(message, "content") : NULL;
    good = good && parts;
    for (int i = 0; good && i < options->image_count; i++)
        good = add_part(parts, "image", options->images[i]);
    for (int i = 0; good && i < options->video_count; i++)
        good = add_part(parts, "video", options->videos[i]);
    if (good && options->text)
        good = add_part(parts, "text", options->text);
    *json = good ? cJSON_PrintUnformatted(messages) : NULL;
    cJSON_Delete(messages);
    return *json ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a message");
}

static enum qvl_status read_messages(const struct qvl_session_options *options,
                                     struct qvl_messages **messages, struct qvl_error *error)
{
    char *json = NULL;
    char *tools = NULL;
    size_t size;
    if (options->messages)
        return qvl_messages_read(options->messages, options->tools, messages, error);
    enum qvl_status status = single_message(options, &json, error);
    if (status == QVL_OK && options->tools)
        status = qvl_file_read(options->tools, (size_t)1 << 24, &tools, &size, error);
    if (status == QVL_OK)
        status = qvl_messages_parse(json, ".", tools, messages, error);
    free(json);
    free(tools);
    return status;
}

enum qvl_status qvl_session_read_messages(const struct qvl_session_options *options,
                                          struct qvl_messages **messages, struct qvl_render_options *render,
                                          struct qvl_error *error)
{
    *render =
        (struct qvl_render_options){.add_generation_prompt = true, .add_vision_id = options->add_vision_id};
    QVL_TRY(qvl_template_detect(options->weights, &render->template, error));
    return read_messages(options, messages, error);
}

enum qvl_status qvl_session_load_processor(const struct qvl_session_options *options,
                                           struct qvl_processor **processor, struct qvl_error *error)
{
    return qvl_processor_load(options->weights, &qvl_ref_pixel_ops, &options->processor, processor, error);
}

enum qvl_status qvl_session_open_prompt(struct qvl_session *session, struct qvl_error *error)
{
    const struct qvl_session_options *options = session->options;
    struct qvl_messages *messages = NULL;
    struct qvl_render_options render;
    const double start = qvl_clock();
    QVL_TRY(qvl_tokenizer_load(options->weights, &session->tokenizer, error));
    QVL_TRY(qvl_session_load_processor(options, &session->processor, error));
    QVL_TRY(qvl_session_read_messages(options, &messages, &render, error));
    const enum qvl_status status =
        qvl_processor_prompt(session->processor, session->tokenizer, &qvl_media_files, messages, &render,
                             &session->prompt, &session->text, &session->text_size, error);
    qvl_messages_destroy(messages);
    session->preprocess_seconds = qvl_clock() - start;
    return status;
}

enum qvl_status qvl_session_random_prompt(const char *folder, int64_t tokens, uint64_t seed,
                                          struct qvl_prompt *prompt, struct qvl_error *error)
{
    struct qvl_model_config config;
    *prompt = (struct qvl_prompt){0};
    QVL_TRY(qvl_model_config_read(folder, &config, error));
    /* Ordinary tokens come before the added ones, of which vision_start is one. */
    const int64_t added = config.vision_start_token;
    const int64_t limit = added > 0 && added < config.text.vocab ? added : config.text.vocab;
    int64_t *ids = malloc(sizeof(int64_t) * (size_t)tokens);
    if (!ids)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld token ids", (long long)tokens);
    for (int64_t i = 0; i < tokens; i++)
        ids[i] = (int64_t)qvl_random_below(seed, (uint64_t)tokens, (uint64_t)i, (uint64_t)limit);
    *prompt = (struct qvl_prompt){.ids = ids, .count = tokens};
    return QVL_OK;
}

enum qvl_status qvl_session_open_model(struct qvl_session *session, struct qvl_error *error)
{
    const struct qvl_session_options *options = session->options;
    const struct qvl_backend_options backend_options = {.threads = options->threads};
    struct qvl_model_config config;
    const double start = qvl_clock();
    QVL_TRY(qvl_model_config_read(options->weights, &config, error));
    session->storage = options->has_dtype ? options->dtype : config.has_dtype ? config.dtype : QVL_BF16;
    const struct qvl_model_options model_options = {
        .storage = session->storage,
        .pos_rounding =
            options->processor.profile == QVL_PROFILE_HF5 ? QVL_POS_ROUND_ONCE : QVL_POS_ROUND_EACH,
        .angles = options->angles};
    QVL_TRY(qvl_backend_open_named(options->backend, &backend_options, &session->backend, error));
    if (options->counted)
        QVL_TRY(qvl_counting_open(session->backend.backend, &session->counting, error));
    QVL_TRY(qvl_model_load(options->weights, options->counted ? session->counting : session->backend.backend,
                           &model_options, &session->model, error));
    session->load_seconds = qvl_clock() - start;
    return QVL_OK;
}

void qvl_session_close(struct qvl_session *session)
{
    qvl_model_destroy(session->model);
    if (session->counting)
        session->counting->close(session->counting);
    qvl_backend_close_named(&session->backend);
    qvl_processor_destroy(session->processor);
    qvl_tokenizer_destroy(session->tokenizer);
    qvl_prompt_free(&session->prompt);
    free(session->text);
    memset(session, 0, sizeof *session);
}

/* The model's identity, whatever folder it lies in. */
static void describe_config(const char *folder, struct qvl_record *record)
{
    char *path = NULL;
    char hex[QVL_SHA256_HEX_BYTES];
    struct qvl_error error;
    if (qvl_path_join(folder, "config.json", &path, &error) == QVL_OK &&
        qvl_sha256_file(path, hex, &error) == QVL_OK) {
        qvl_record_text(record, "config_sha256", hex, QVL_FROM_SETTING);
        qvl_record_detail(record);
    }
    free(path);
}

void qvl_session_describe_conditions(const struct qvl_session_options *options,
                                     const struct qvl_backend *backend, struct qvl_record *record)
{
    char math[64];
    const struct qvl_math *promised = &backend->math;
    if (options->weights)
        describe_config(options->weights, record);
    snprintf(math, sizeof math, "%s sums%s%s", qvl_dtype_name(promised->accumulate),
             promised->tf32 ? ", tf32" : "", promised->rounds_attention_scores ? ", rounded scores" : "");
    qvl_record_text(record, "math", math, QVL_FROM_SETTING);
    qvl_record_detail(record);
    if (options->threads > 0)
        qvl_record_int(record, "threads", options->threads, NULL, QVL_FROM_SETTING);
    else
        qvl_record_text(record, "threads", "all", QVL_FROM_SETTING);
    qvl_record_detail(record);
}

void qvl_session_describe(const struct qvl_session *session, struct qvl_record *record)
{
    qvl_record_text(record, "weights", session->options->weights, QVL_FROM_SETTING);
    if (session->backend.backend) {
        qvl_record_text(record, "backend", session->backend.backend->name, QVL_FROM_SETTING);
        qvl_record_text(record, "backend_description", session->backend.backend->description,
                        QVL_FROM_MEASURED);
        qvl_session_describe_conditions(session->options, session->backend.backend, record);
    }
    if (session->model) {
        qvl_record_text(record, "dtype", qvl_dtype_name(session->storage), QVL_FROM_SETTING);
        qvl_record_text(record, "plan", qvl_model_plan(session->model), QVL_FROM_MEASURED);
    }
    if (session->processor)
        qvl_record_text(record, "processor", qvl_profile_name(session->options->processor.profile),
                        QVL_FROM_SETTING);
}
