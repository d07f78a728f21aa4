/* qvl-audit generate: the answer of a checkpoint to a chat. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "model/generate.h"
#include "reports/record_json.h"

struct generate_options {
    struct qvl_session_options session;
    int64_t max_tokens, top_k;
    double temperature, top_p, repetition_penalty, presence_penalty;
    uint64_t seed;
    bool greedy, ignore_eos;
    bool has_temperature, has_top_k, has_top_p, has_repetition;
};

enum {
    OPTION_MAX_TOKENS = 0x2000,
    OPTION_GREEDY,
    OPTION_SEED,
    OPTION_TEMPERATURE,
    OPTION_TOP_K,
    OPTION_TOP_P,
    OPTION_REPETITION,
    OPTION_PRESENCE,
    OPTION_IGNORE_EOS
};

static const struct argp_option options_table[] = {
    {"max-tokens", OPTION_MAX_TOKENS, "N", 0, "Tokens to generate at most (default 64)", 3},
    {"greedy", OPTION_GREEDY, NULL, 0, "Take the most probable token", 3},
    {"seed", OPTION_SEED, "S", 0, "Seed of the sampling (default 0)", 3},
    {"temperature", OPTION_TEMPERATURE, "T", 0, "In place of generation_config.json's", 3},
    {"top-k", OPTION_TOP_K, "K", 0, "0 switches it off", 3},
    {"top-p", OPTION_TOP_P, "P", 0, "1 switches it off", 3},
    {"repetition-penalty", OPTION_REPETITION, "R", 0, "1 switches it off", 3},
    {"presence-penalty", OPTION_PRESENCE, "P", 0, "Subtracted once from tokens already generated (default 0)",
     3},
    {"ignore-eos", OPTION_IGNORE_EOS, NULL, 0, "Go on after an end token", 3},
    {0}};

static double real_argument(struct argp_state *state, const char *name, const char *text, double low,
                            double high)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        argp_error(state, "--%s is a number from %g to %g, not %s", name, low, high, text);
    return value;
}

static int64_t count_argument(struct argp_state *state, const char *name, const char *text, int64_t low)
{
    int64_t value = 0;
    if (!qvl_number_count(text, &value) || value < low)
        argp_error(state, "--%s is a number from %lld, not %s", name, (long long)low, text);
    return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct generate_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = state->child_inputs[1] = &options->session; return 0;
    case OPTION_MAX_TOKENS: options->max_tokens = count_argument(state, "max-tokens", argument, 1); return 0;
    case OPTION_GREEDY: options->greedy = true; return 0;
    case OPTION_SEED: options->seed = (uint64_t)count_argument(state, "seed", argument, 0); return 0;
    case OPTION_TEMPERATURE:
        options->has_temperature = true;
        options->temperature = real_argument(state, "temperature", argument, 1e-6, 1e6);
        return 0;
    case OPTION_TOP_K:
        options->has_top_k = true;
        options->top_k = count_argument(state, "top-k", argument, 0);
        return 0;
    case OPTION_TOP_P:
        options->has_top_p = true;
        options->top_p = real_argument(state, "top-p", argument, 1e-9, 1);
        return 0;
    case OPTION_REPETITION:
        options->has_repetition = true;
        options->repetition_penalty = real_argument(state, "repetition-penalty", argument, 1e-3, 1e3);
        return 0;
    case OPTION_PRESENCE:
        options->presence_penalty = real_argument(state, "presence-penalty", argument, -100, 100);
        return 0;
    case OPTION_IGNORE_EOS: options->ignore_eos = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&qvl_session_model_argp, 0, NULL, 0}, {&qvl_session_prompt_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {.options = options_table,
                                   .parser = parse_option,
                                   .children = children,
                                   .doc = "Generate an answer to a chat with text, images and videos. The "
                                          "text is printed as it comes; --json has the text, the "
                                          "token ids, the reason it ended and the time of each stage.\v"
                                          "Example: describe a video with a released checkpoint\n\n"
                                          "  qvl-audit generate --weights ./Qwen3-VL-2B-Instruct --video "
                                          "clip.mp4 --prompt \"What happens?\" --greedy"};

/* Prints the text of the tokens as soon as it is complete UTF-8. */
struct stream {
    const struct qvl_tokenizer *tokenizer;
    struct qvl_progress progress;
    int64_t *pending;
    int64_t pending_count;
    bool quiet;
};

/* Bytes at the end of the text that begin a character whose rest is still to come. */
static size_t incomplete_tail(const char *text, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        const unsigned char byte = (unsigned char)text[size - back];
        if ((byte & 0xC0U) == 0x80U)
            continue;
        const size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

static enum qvl_status take_token(void *context, int64_t token, int64_t done, int64_t total,
                                  struct qvl_error *error)
{
    struct stream *stream = context;
    if (token < 0) {
        stream->progress.total = total;
        qvl_progress_update(&stream->progress, done);
        return QVL_OK;
    }
    qvl_progress_end(&stream->progress);
    if (stream->quiet)
        return QVL_OK;
    stream->pending[stream->pending_count++] = token;
    char *text = NULL;
    size_t size;
    QVL_TRY(qvl_tokenizer_decode(stream->tokenizer, stream->pending, stream->pending_count, true, &text,
                                 &size, error));
    enum qvl_status status = QVL_OK;
    if (done == total || incomplete_tail(text, size) == 0) {
        status = qvl_output_print(text, size, error);
        stream->pending_count = 0;
    }
    free(text);
    return status;
}

static void apply_options(const struct generate_options *from, const struct qvl_generation_config *config,
                          struct qvl_generate_options *to)
{
    qvl_generate_defaults(config, to);
    to->max_tokens = from->max_tokens;
    to->chunk = from->session.chunk;
    to->seed = from->seed;
    to->ignore_eos = from->ignore_eos;
    to->greedy = from->greedy || to->greedy;
    if (from->has_temperature || from->has_top_k || from->has_top_p)
        to->greedy = from->greedy;
    if (from->has_temperature)
        to->temperature = from->temperature;
    if (from->has_top_k)
        to->top_k = from->top_k;
    if (from->has_top_p)
        to->top_p = from->top_p;
    if (from->has_repetition)
        to->repetition_penalty = from->repetition_penalty;
    to->presence_penalty = from->presence_penalty;
}

struct outcome {
    struct qvl_generation generation;
    char *text;
    size_t text_size;
    double vision_seconds;
};

static enum qvl_status run(struct qvl_session *session, const struct generate_options *options, bool quiet,
                           struct outcome *outcome, struct qvl_error *error)
{
    struct qvl_sequence *sequence = NULL;
    struct qvl_generate_options generate;
    apply_options(options, qvl_model_get_generation(session->model), &generate);
    struct stream stream = {.tokenizer = session->tokenizer, .quiet = quiet};
    stream.pending = malloc(sizeof(int64_t) * (size_t)options->max_tokens);
    if (!stream.pending)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld tokens", (long long)options->max_tokens);
    generate.progress = take_token;
    generate.context = &stream;
    enum qvl_status status =
        qvl_sequence_create(session->model, session->prompt.count + options->max_tokens, &sequence, error);
    const double start = qvl_clock();
    if (status == QVL_OK)
        status = qvl_sequence_prompt(sequence, &session->prompt, NULL, error);
    outcome->vision_seconds = qvl_clock() - start;
    if (status == QVL_OK) {
        qvl_progress_begin(&stream.progress, "prefill", "token", session->prompt.count);
        status = qvl_generate(session->model, sequence, &generate, &outcome->generation, error);
        qvl_progress_end(&stream.progress);
    }
    if (status == QVL_OK)
        status =
            qvl_tokenizer_decode(session->tokenizer, outcome->generation.tokens, outcome->generation.count,
                                 true, &outcome->text, &outcome->text_size, error);
    qvl_sequence_destroy(sequence);
    free(stream.pending);
    return status;
}

static double sum(const double *values, int64_t count)
{
    double total = 0;
    for (int64_t i = 0; i < count; i++)
        total += values[i];
    return total;
}

/* Most memory this process has held so far. */
static int64_t peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

static cJSON *ids_json(const int64_t *ids, int64_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < count; i++)
        if (!cJSON_AddItemToArray(array, qvl_json_integer(ids[i]))) {
            cJSON_Delete(array);
            return NULL;
        }
    return array;
}

static cJSON *timings_json(const struct qvl_session *session, const struct outcome *outcome)
{
    const struct qvl_generation *generation = &outcome->generation;
    const int64_t steps = generation->count - 1;
    cJSON *timings = cJSON_CreateObject();
    const struct {
        const char *name;
        double seconds;
    } stages[] = {{"load_seconds", session->load_seconds},
                  {"preprocess_seconds", session->preprocess_seconds},
                  {"vision_seconds", outcome->vision_seconds},
                  {"prefill_seconds", generation->prefill_seconds},
                  {"first_token_seconds", outcome->vision_seconds + generation->first_token_seconds},
                  {"decode_seconds", sum(generation->step_seconds, steps)}};
    bool good = timings != NULL;
    for (size_t i = 0; good && i < sizeof stages / sizeof *stages; i++)
        good = cJSON_AddNumberToObject(timings, stages[i].name, stages[i].seconds) != NULL;
    good = good && qvl_json_put(timings, "decode_step_seconds",
                                cJSON_CreateDoubleArray(generation->step_seconds, (int)steps));
    if (good)
        return timings;
    cJSON_Delete(timings);
    return NULL;
}

static enum qvl_status write_json(const char *path, const struct qvl_session *session,
                                  const struct outcome *outcome, struct qvl_error *error)
{
    const struct qvl_generation *generation = &outcome->generation;
    const char *reason = generation->finish == QVL_FINISH_STOP ? "stop" : "length";
    cJSON *root = cJSON_CreateObject();
    const bool good =
        root && qvl_json_put(root, "text", qvl_json_text(outcome->text)) &&
        qvl_json_put(root, "token_ids", ids_json(generation->tokens, generation->count)) &&
        qvl_json_put(root, "prompt_tokens", qvl_json_integer(session->prompt.count)) &&
        qvl_json_put(root, "finish_reason", qvl_json_text(reason)) &&
        qvl_json_put(root, "timings", timings_json(session, outcome)) &&
        qvl_json_put(root, "peak_memory_bytes", qvl_json_integer(peak_memory())) &&
        qvl_json_put(root, "backend", qvl_json_text(session->backend.backend->name)) &&
        qvl_json_put(root, "dtype", qvl_json_text(qvl_dtype_name(session->storage))) &&
        qvl_json_put(root, "processor", qvl_json_text(qvl_profile_name(session->options->processor.profile)));
    char *text = good ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the JSON of the answer");
    const enum qvl_status status = strcmp(path, "-") == 0 ? qvl_output_print(text, strlen(text), error)
                                                          : qvl_file_write(path, text, strlen(text), error);
    free(text);
    return status;
}

static void add_record(const struct qvl_session *session, const struct outcome *outcome,
                       struct qvl_record *record)
{
    const struct qvl_generation *generation = &outcome->generation;
    qvl_session_describe(session, record);
    qvl_record_text(record, "text", outcome->text, QVL_FROM_MEASURED);
    qvl_record_int(record, "prompt_tokens", session->prompt.count, "token", QVL_FROM_MEASURED);
    qvl_record_int(record, "generated_tokens", generation->count, "token", QVL_FROM_MEASURED);
    qvl_record_text(record, "finish_reason", generation->finish == QVL_FINISH_STOP ? "stop" : "length",
                    QVL_FROM_MEASURED);
    qvl_record_real(record, "preprocess", session->preprocess_seconds, "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "vision", outcome->vision_seconds, "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "prefill", generation->prefill_seconds, "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "decode", sum(generation->step_seconds, generation->count - 1), "s",
                    QVL_FROM_MEASURED);
}

/* The other forms (CSV, Markdown, ...) of the answer as one record; nothing when none was asked for. */
static enum qvl_status write_forms(const struct qvl_output *output, const struct qvl_session *session,
                                   const struct outcome *outcome, struct qvl_error *error)
{
    if (!qvl_output_wanted(output))
        return QVL_OK;
    struct qvl_report report = {0};
    struct qvl_record *record = qvl_record_create("generation", session->options->weights, QVL_CASE_NONE);
    add_record(session, outcome, record);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK)
        status = qvl_output_write(output, &report, error);
    qvl_report_clear(&report);
    return status;
}

enum qvl_status qvl_verb_generate(int argc, char **argv, struct qvl_error *error)
{
    struct generate_options options = {.max_tokens = 64};
    struct qvl_output output = {0};
    struct outcome outcome = {0};
    qvl_session_defaults(&options.session);
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    const char *json = output.files[QVL_REPORT_JSON];
    output.files[QVL_REPORT_JSON] = NULL;
    bool quiet = json && strcmp(json, "-") == 0;
    for (int form = 0; form < QVL_REPORT_FORM_COUNT; form++)
        quiet = quiet || (output.files[form] && strcmp(output.files[form], "-") == 0);
    struct qvl_session session = {.options = &options.session};
    enum qvl_status status = qvl_session_open_prompt(&session, error);
    if (status == QVL_OK)
        status = qvl_session_open_model(&session, error);
    if (status == QVL_OK)
        status = run(&session, &options, quiet, &outcome, error);
    if (status == QVL_OK && !quiet)
        status = qvl_output_print("\n", 1, error);
    if (status == QVL_OK && json)
        status = write_json(json, &session, &outcome, error);
    if (status == QVL_OK)
        status = write_forms(&output, &session, &outcome, error);
    qvl_generation_free(&outcome.generation);
    free(outcome.text);
    qvl_session_close(&session);
    return status;
}
