/* qvl-audit latency: prefill and decode of a loaded checkpoint at growing context. */
#include "cli/latency_records.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/verbs.h"

#define MAX_CONTEXTS 64

struct latency_options {
    struct qvl_session_options session;
    int64_t contexts[MAX_CONTEXTS];
    int64_t context_count;
    int64_t decode_steps, repeats, seed;
};

enum { OPTION_CONTEXT = 0x2000, OPTION_STEPS, OPTION_REPEATS, OPTION_SEED };

static const struct argp_option options_table[] = {
    {"context", OPTION_CONTEXT, "LIST", 0, "Prompt lengths (default 512,2K,8K)", 3},
    {"decode-steps", OPTION_STEPS, "N", 0, "Timed decode steps at each context (default 16)", 3},
    {"repeats", OPTION_REPEATS, "N", 0, "Prefills timed at each context (default 3)", 3},
    {"seed", OPTION_SEED, "S", 0, "Seed of the token ids (default 1)", 3},
    {0}};

static void count_option(struct argp_state *state, const char *name, const char *text, int64_t low,
                         int64_t *value)
{
    if (!qvl_number_count(text, value) || *value < low || *value > 1000000)
        argp_error(state, "--%s is a number from %lld to 1000000, not %s", name, (long long)low, text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct latency_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->session; return 0;
    case OPTION_CONTEXT:
        if (!qvl_number_counts(argument, options->contexts, MAX_CONTEXTS, &options->context_count) ||
            options->context_count == 0)
            argp_error(state, "--context is a list like 512,2K,8K, not %s", argument);
        return 0;
    case OPTION_STEPS: count_option(state, "decode-steps", argument, 0, &options->decode_steps); return 0;
    case OPTION_REPEATS: count_option(state, "repeats", argument, 1, &options->repeats); return 0;
    case OPTION_SEED: count_option(state, "seed", argument, 0, &options->seed); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&qvl_session_model_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .children = children,
    .doc =
        "Time the loaded model: prefill of random text tokens (first forward call to the logits of the last "
        "token) and decode "
        "steps at that depth, each with fresh tokens whose logits are looked at. All samples stand in the "
        "JSON.\v"
        "Example: a checkpoint at four contexts\n\n"
        "  qvl-audit latency --weights ./Qwen3-VL-2B-Instruct --context 512,2K,8K,32K --json latency.json"};

static void show_progress(void *context, int64_t done, int64_t total)
{
    struct qvl_progress *progress = context;
    progress->total = total;
    qvl_progress_update(progress, done);
}

static enum qvl_status measure(const struct latency_options *options, struct qvl_session *session,
                               struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_progress progress;
    const struct qvl_latency_options latency = {.chunk = options->session.chunk,
                                                .decode_steps = options->decode_steps,
                                                .repeats = (int)options->repeats,
                                                .seed = (uint64_t)options->seed,
                                                .progress = show_progress,
                                                .context = &progress};
    report->workload = qvl_record_create("workload", "latency", QVL_CASE_NONE);
    qvl_session_describe(session, report->workload);
    qvl_record_ints(report->workload, "contexts", options->contexts, options->context_count, "token",
                    QVL_FROM_SETTING);
    qvl_record_int(report->workload, "decode_steps", options->decode_steps, NULL, QVL_FROM_SETTING);
    qvl_record_int(report->workload, "repeats", options->repeats, NULL, QVL_FROM_SETTING);
    qvl_record_int(report->workload, "seed", options->seed, NULL, QVL_FROM_SETTING);
    QVL_TRY(qvl_record_check(report->workload, error));
    qvl_progress_begin(&progress, "latency", "token", 0);
    const enum qvl_status status =
        qvl_latency_report(session->model, session->backend.backend->name, options->contexts,
                           options->context_count, &latency, report, error);
    qvl_progress_end(&progress);
    return status;
}

enum qvl_status qvl_verb_latency(int argc, char **argv, struct qvl_error *error)
{
    struct latency_options options = {
        .contexts = {512, 2048, 8192}, .context_count = 3, .decode_steps = 16, .repeats = 3, .seed = 1};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    qvl_session_defaults(&options.session);
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    struct qvl_session session = {.options = &options.session};
    enum qvl_status status = qvl_session_open_model(&session, error);
    if (status == QVL_OK)
        status = measure(&options, &session, &report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    qvl_session_close(&session);
    return status;
}
