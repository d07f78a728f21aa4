/* qvl-audit tokenize: the ids of a text, of a file of texts or of a chat, and the text of ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/tokenize_lines.h"
#include "cli/verbs.h"

struct tokenize_options {
    struct qvl_session_options session;
    const char *text, *lines, *decode;
    bool ids;
};

enum {
    OPTION_TEXT = 0x2000,
    OPTION_MESSAGES,
    OPTION_TOOLS,
    OPTION_VISION_ID,
    OPTION_IDS,
    OPTION_LINES,
    OPTION_DECODE
};

static const struct argp_option options_table[] = {
    {"text", OPTION_TEXT, "TEXT", 0, "Print the ids of a text; ill-formed UTF-8 becomes U+FFFD", 3},
    {"jsonl", OPTION_LINES, "FILE", 0,
     "Read lines {\"id\":..,\"text\":..} (\"-\": standard input), print lines {\"id\":..,\"ids\":[..]}. A "
     "bad line: exit code 3, and nothing is printed; of a pipe, the lines before it are",
     3},
    {"messages", OPTION_MESSAGES, "FILE", 0, "Print the prompt of chat messages (JSON); reads no media", 3},
    {"tools", OPTION_TOOLS, "FILE", 0, "Tool definitions of that prompt (a JSON array)", 3},
    {"add-vision-id", OPTION_VISION_ID, NULL, 0, "Label its media: \"Picture 1: \"", 3},
    {"ids", OPTION_IDS, NULL, 0,
     "Behind the prompt, a line with its ids after expansion, for which the media are read", 3},
    {"decode", OPTION_DECODE, "IDS", 0, "Print the text of ids: 1,2,3", 3},
    {0}};

static void check_options(const struct tokenize_options *options, struct argp_state *state)
{
    const bool chat = options->session.messages != NULL;
    const int modes =
        (options->text != NULL) + (options->lines != NULL) + (options->decode != NULL) + (chat ? 1 : 0);
    if (modes != 1)
        argp_error(state, "give one of --text TEXT, --jsonl FILE, --messages FILE and --decode IDS");
    if (!chat && (options->session.tools || options->session.add_vision_id || options->ids))
        argp_error(state, "--tools, --add-vision-id and --ids go with --messages");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct tokenize_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = state->child_inputs[1] = &options->session; return 0;
    case OPTION_TEXT: options->text = argument; return 0;
    case OPTION_MESSAGES: options->session.messages = argument; return 0;
    case OPTION_TOOLS: options->session.tools = argument; return 0;
    case OPTION_VISION_ID: options->session.add_vision_id = true; return 0;
    case OPTION_IDS: options->ids = true; return 0;
    case OPTION_LINES: options->lines = argument; return 0;
    case OPTION_DECODE: options->decode = argument; return 0;
    case ARGP_KEY_END: check_options(options, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&qvl_session_weights_argp, 0, NULL, 0}, {&qvl_session_processor_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .children = children,
    .doc = "Show the token ids that the model gets. Special tokens in the text become their ids; nothing is "
           "added around it. Ids are printed as [1,2,3]; the preprocessing options matter to --ids alone.\v"
           "Example: the ids of a text\n\n"
           "  qvl-audit tokenize --weights DIR --text 'What happens?'"};

/* What a record gets and what is printed; the text is the prompt, the decoded text, or NULL. */
struct outcome {
    const char *kind, *name;
    char *text;
    size_t text_size;
    int64_t *ids;
    int64_t id_count;
    int64_t replaced;
};

static enum qvl_status print_outcome(const struct outcome *outcome, bool ids, struct qvl_error *error)
{
    struct qvl_bytes out = {.size = 0};
    if (outcome->text)
        qvl_bytes_append(&out, outcome->text, outcome->text_size);
    const bool open = outcome->text && out.size > 0 && out.data[out.size - 1] != '\n';
    if (open && (ids || strcmp(outcome->kind, "detokenized") == 0))
        qvl_bytes_text(&out, "\n");
    if (ids) {
        qvl_tokenize_append_ids(outcome->ids, outcome->id_count, &out);
        qvl_bytes_text(&out, "\n");
    }
    enum qvl_status status = out.failed ? qvl_fail(error, QVL_NO_MEMORY, "no memory for the ids")
                                        : qvl_output_print(out.data, out.size, error);
    qvl_bytes_free(&out);
    return status;
}

static enum qvl_status report(const struct qvl_output *output, const struct tokenize_options *options,
                              const struct outcome *outcome, struct qvl_error *error)
{
    struct qvl_report report = {0};
    struct qvl_record *record = qvl_record_create(outcome->kind, outcome->name, QVL_CASE_NONE);
    qvl_record_text(record, "weights", options->session.weights, QVL_FROM_SETTING);
    if (options->ids)
        qvl_record_text(record, "processor", qvl_profile_name(options->session.processor.profile),
                        QVL_FROM_SETTING);
    if (options->text)
        qvl_record_text(record, "text", options->text, QVL_FROM_SETTING);
    if (outcome->text)
        qvl_record_text(record, options->decode ? "text" : "prompt", outcome->text, QVL_FROM_MEASURED);
    if (outcome->ids) {
        qvl_record_int(record, "tokens", outcome->id_count, "token", QVL_FROM_MEASURED);
        qvl_record_ints(record, "ids", outcome->ids, outcome->id_count, NULL,
                        options->decode ? QVL_FROM_SETTING : QVL_FROM_MEASURED);
    }
    if (options->text)
        qvl_record_int(record, "replaced_bad_utf8", outcome->replaced, NULL, QVL_FROM_MEASURED);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK)
        status = qvl_output_write(output, &report, error);
    qvl_report_clear(&report);
    return status;
}

/* "1,2,3", also in brackets and with spaces, as the ids are printed. */
static enum qvl_status parse_ids(const char *text, int64_t vocabulary, struct outcome *outcome,
                                 struct qvl_error *error)
{
    outcome->ids = malloc(sizeof(int64_t) * (strlen(text) / 2 + 1));
    if (!outcome->ids)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the ids of --decode");
    for (const char *at = text + strspn(text, "[ "); *at;) {
        char *end;
        errno = 0;
        const long long id = strtoll(at, &end, 10);
        if (*at < '0' || *at > '9')
            return qvl_fail(error, QVL_USAGE, "--decode takes ids like 1,2,3; not %.80s", at);
        if (errno || id >= vocabulary)
            return qvl_fail(error, QVL_USAGE, "--decode: id %.*s is not below %lld, where the ids end",
                            (int)(end - at < 40 ? end - at : 40), at, (long long)vocabulary);
        outcome->ids[outcome->id_count++] = id;
        at = end + strspn(end, "], ");
    }
    return outcome->id_count ? QVL_OK : qvl_fail(error, QVL_USAGE, "--decode names no id");
}

static enum qvl_status tokenize_text(const struct tokenize_options *options, struct outcome *outcome,
                                     struct qvl_error *error)
{
    struct qvl_tokenizer *tokenizer = NULL;
    QVL_TRY(qvl_tokenizer_load(options->session.weights, &tokenizer, error));
    enum qvl_status status;
    if (options->decode) {
        *outcome = (struct outcome){.kind = "detokenized", .name = "ids"};
        status = parse_ids(options->decode, qvl_tokenizer_vocabulary(tokenizer), outcome, error);
        if (status == QVL_OK)
            status = qvl_tokenizer_decode(tokenizer, outcome->ids, outcome->id_count, false, &outcome->text,
                                          &outcome->text_size, error);
    } else {
        *outcome = (struct outcome){.kind = "tokenized", .name = "text"};
        status = qvl_tokenizer_encode(tokenizer, options->text, strlen(options->text), &outcome->ids,
                                      &outcome->id_count, &outcome->replaced, error);
    }
    qvl_tokenizer_destroy(tokenizer);
    return status;
}

static enum qvl_status tokenize_chat(const struct tokenize_options *options, struct outcome *outcome,
                                     struct qvl_error *error)
{
    struct qvl_session session = {.options = &options->session};
    struct qvl_messages *messages = NULL;
    struct qvl_render_options render;
    const struct qvl_media_item *items;
    int64_t item_count;
    *outcome = (struct outcome){.kind = "tokenized", .name = options->session.messages};
    QVL_TRY(qvl_session_read_messages(&options->session, &messages, &render, error));
    enum qvl_status status = qvl_messages_render(messages, &render, &outcome->text, &outcome->text_size,
                                                 &items, &item_count, error);
    qvl_messages_destroy(messages);
    if (status == QVL_OK && options->ids)
        status = qvl_session_open_prompt(&session, error);
    if (status == QVL_OK && options->ids) {
        outcome->ids = session.prompt.ids;
        outcome->id_count = session.prompt.count;
        session.prompt.ids = NULL;
    }
    qvl_session_close(&session);
    return status;
}

static void warn_replaced(int64_t replaced)
{
    if (replaced > 0)
        fprintf(stderr, "qvl-audit tokenize: %lld ill-formed part%s of the text replaced by U+FFFD\n",
                (long long)replaced, replaced == 1 ? "" : "s");
}

static enum qvl_status tokenize_lines(const struct tokenize_options *options, const struct qvl_output *output,
                                      struct qvl_error *error)
{
    struct qvl_tokenizer *tokenizer = NULL;
    if (qvl_output_wanted(output))
        return qvl_fail(error, QVL_USAGE, "--jsonl FILE prints lines; it has no other form of output");
    QVL_TRY(qvl_tokenizer_load(options->session.weights, &tokenizer, error));
    const enum qvl_status status = qvl_tokenize_lines(tokenizer, options->lines, error);
    qvl_tokenizer_destroy(tokenizer);
    return status;
}

enum qvl_status qvl_verb_tokenize(int argc, char **argv, struct qvl_error *error)
{
    struct tokenize_options options = {.text = NULL};
    struct qvl_output output = {0};
    struct outcome outcome = {0};
    qvl_session_defaults(&options.session);
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    if (options.lines)
        return tokenize_lines(&options, &output, error);
    options.session.processor.sizes_only = true; /* ids need no pixels */
    enum qvl_status status = options.session.messages ? tokenize_chat(&options, &outcome, error)
                                                      : tokenize_text(&options, &outcome, error);
    if (status == QVL_OK) {
        warn_replaced(outcome.replaced);
        status = qvl_output_wanted(&output) ? report(&output, &options, &outcome, error)
                                            : print_outcome(&outcome, options.text || options.ids, error);
    }
    free(outcome.text);
    free(outcome.ids);
    return status;
}
