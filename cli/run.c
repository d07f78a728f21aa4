/* qvl-audit run: the whole audit into one report folder. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/audit.h"
#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum {
    OPTION_VIDEO = 0x2000,
    OPTION_OUT,
    OPTION_CONTEXT,
    OPTION_STEPS,
    OPTION_DRAWS,
    OPTION_SEED,
    OPTION_WEIGHTS,
    OPTION_BACKEND,
    OPTION_THREADS,
    OPTION_PROCESSOR,
    OPTION_QUESTION
};

static const struct argp_option options_table[] = {
    {"weights", OPTION_WEIGHTS, "DIR", 0, "Checkpoint folder (default: a small random one is made)", 1},
    {"video", OPTION_VIDEO, "FILE", 0, "A video file (default: a one-minute H.264 scene is rendered)", 1},
    {"question", OPTION_QUESTION, "TEXT", 0, "What is asked about the video", 1},
    {"out", OPTION_OUT, "DIR", 0, "The report folder (default report)", 1},
    {"backend", OPTION_BACKEND, "NAME", 0, "What is audited against ref (default cpu)", 1},
    {"threads", OPTION_THREADS, "N", 0, "Threads of that backend (default: all)", 1},
    {"processor", OPTION_PROCESSOR, "PROFILE", 0, "Preprocessing as hf4 (default), hf5 or qvu", 1},
    {"context", OPTION_CONTEXT, "LIST", 0, "Prompt lengths (default 512,2K,8K)", 1},
    {"decode-steps", OPTION_STEPS, "N", 0, "Timed decode steps at each length (default 16)", 1},
    {"draws", OPTION_DRAWS, "N", 0, "Runs of the reference with randomised rounding (default 3)", 1},
    {"seed", OPTION_SEED, "S", 0, "Seed of everything random (default 1)", 1},
    {0}};

static int64_t count_argument(struct argp_state *state, const char *name, const char *text, int64_t low,
                              int64_t high)
{
    int64_t value = 0;
    if (!qvl_number_count(text, &value) || value < low || value > high)
        argp_error(state, "--%s is a number from %lld to %lld, not %s", name, (long long)low, (long long)high,
                   text);
    return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct qvl_audit_options *options = state->input;
    switch (key) {
    case OPTION_WEIGHTS: options->session.weights = argument; return 0;
    case OPTION_VIDEO: options->video = argument; return 0;
    case OPTION_QUESTION: options->question = argument; return 0;
    case OPTION_OUT: options->out = argument; return 0;
    case OPTION_BACKEND: options->session.backend = argument; return 0;
    case OPTION_THREADS:
        options->session.threads = (int)count_argument(state, "threads", argument, 1, 1024);
        return 0;
    case OPTION_PROCESSOR:
        if (!qvl_profile_parse(argument, &options->session.processor.profile))
            argp_error(state, "--processor is hf4, hf5 or qvu, not %s", argument);
        return 0;
    case OPTION_CONTEXT:
        if (!qvl_number_counts(argument, options->contexts, QVL_AUDIT_MAX_CONTEXTS,
                               &options->context_count) ||
            options->context_count == 0)
            argp_error(state, "--context is a list like 512,2K,8K, not %s", argument);
        return 0;
    case OPTION_STEPS:
        options->decode_steps = count_argument(state, "decode-steps", argument, 1, 100000);
        return 0;
    case OPTION_DRAWS: options->draws = count_argument(state, "draws", argument, 1, 1000); return 0;
    case OPTION_SEED:
        options->seed = (uint64_t)count_argument(state, "seed", argument, 1, INT64_C(1) << 40);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .doc = "The whole audit: a video file is decoded and preprocessed, the checkpoint runs on the reference "
           "and on a backend, every "
           "stage is compared, both are timed at growing context, FLOPs per token of the released sizes are "
           "counted. Writes "
           "report.json and cases.jsonl into the report folder and prints a short table.\v"
           "Example: audit the CPU backend with a video of your own\n\n"
           "  qvl-audit run --video clip.mp4 --out report"};

struct step {
    const char *name;
    enum qvl_status (*run)(struct qvl_audit *audit, struct qvl_error *error);
};

static const struct step steps[] = {
    {"checkpoint", qvl_audit_checkpoint},
    {"video", qvl_audit_video},
    {"stages of the video prompt", qvl_audit_stages},
    {"stages at growing context", qvl_audit_contexts},
    {"decode", qvl_audit_decode},
    {"latency", qvl_audit_latency},
    {"FLOPs and angles", qvl_audit_model_facts},
};

#define STEP_COUNT (sizeof steps / sizeof *steps)

static enum qvl_status make_folder(const char *path, struct qvl_error *error)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return qvl_fail(error, QVL_IO, "%s: cannot make the folder: %s", path, strerror(errno));
    return qvl_folder_exists(path) ? QVL_OK : qvl_fail(error, QVL_IO, "%s: is not a folder", path);
}

static enum qvl_status write_form(const struct qvl_report *report, const char *folder, const char *name,
                                  enum qvl_report_form form, struct qvl_error *error)
{
    char *path = NULL;
    QVL_TRY(qvl_path_join(folder, name, &path, error));
    const enum qvl_status status = qvl_report_write(report, form, path, error);
    free(path);
    return status;
}

static enum qvl_status describe_workload(struct qvl_audit *audit, struct qvl_error *error)
{
    const struct qvl_audit_options *options = audit->options;
    struct qvl_record *workload = qvl_record_create("workload", "run", QVL_CASE_NONE);
    audit->report->workload = workload;
    qvl_record_text(workload, "weights", options->session.weights ? options->session.weights : "audit",
                    QVL_FROM_SETTING);
    qvl_record_text(workload, "video", options->video ? options->video : "rendered scene", QVL_FROM_SETTING);
    qvl_record_text(workload, "question", options->question, QVL_FROM_SETTING);
    qvl_record_text(workload, "backend", options->session.backend, QVL_FROM_SETTING);
    qvl_record_text(workload, "processor", qvl_profile_name(options->session.processor.profile),
                    QVL_FROM_SETTING);
    qvl_record_ints(workload, "contexts", options->contexts, options->context_count, "token",
                    QVL_FROM_SETTING);
    qvl_record_int(workload, "decode_steps", options->decode_steps, NULL, QVL_FROM_SETTING);
    qvl_record_int(workload, "draws", options->draws, NULL, QVL_FROM_SETTING);
    qvl_record_int(workload, "seed", (int64_t)options->seed, NULL, QVL_FROM_SETTING);
    return qvl_record_check(workload, error);
}

static enum qvl_status run_steps(struct qvl_audit *audit, struct qvl_error *error)
{
    QVL_TRY(make_folder(audit->options->out, error));
    QVL_TRY(describe_workload(audit, error));
    for (size_t i = 0; i < STEP_COUNT; i++) {
        char label[64];
        snprintf(label, sizeof label, "[%zu/%zu] %s", i + 1, STEP_COUNT, steps[i].name);
        fprintf(stderr, "%s\n", label);
        const double start = qvl_clock();
        qvl_progress_begin(&audit->progress, label, "token", 0);
        const enum qvl_status status = steps[i].run(audit, error);
        qvl_progress_end(&audit->progress);
        if (status != QVL_OK)
            return qvl_fail_in(error, status, steps[i].name);
        struct qvl_record *record = qvl_record_create("step", steps[i].name, QVL_CASE_NONE);
        qvl_record_real(record, "seconds", qvl_clock() - start, "s", QVL_FROM_MEASURED);
        QVL_TRY(qvl_report_take(audit->report, record, error));
    }
    return QVL_OK;
}

/* Kinds of record that the short table shows, and why there is no latency; report.json has all. */
static bool is_brief(const struct qvl_record *record)
{
    static const char *const when_bad[] = {"trial", "spot_check"};
    for (size_t i = 0; i < sizeof when_bad / sizeof *when_bad; i++)
        if (strcmp(record->kind, when_bad[i]) == 0)
            return record->status != QVL_CASE_NONE;
    static const char *const kinds[] = {"checkpoint", "video", "stages", "decode",
                                        "latency",    "flops", "angle"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(record->kind, kinds[i]) == 0)
            return true;
    return false;
}

/* report.json and cases.jsonl in the folder, the forms asked for, and the short table. */
static enum qvl_status write_all(const struct qvl_output *output, struct qvl_report *report,
                                 const char *folder, struct qvl_error *error)
{
    QVL_TRY(qvl_output_stamp(output, report, error));
    QVL_TRY(write_form(report, folder, "cases.jsonl", QVL_REPORT_JSONL, error));
    QVL_TRY(write_form(report, folder, "report.json", QVL_REPORT_JSON, error));
    return qvl_output_write_chosen(output, report, is_brief, error);
}

enum qvl_status qvl_verb_run(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_audit_options options = {.out = "report",
                                        .question = "What happens in this video, and in which order?",
                                        .contexts = {512, 2048, 8192},
                                        .context_count = 3,
                                        .decode_steps = 16,
                                        .draws = 3,
                                        .seed = 1};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    qvl_session_defaults(&options.session);
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    struct qvl_audit audit = {.options = &options, .report = &report};
    enum qvl_status status = run_steps(&audit, error);
    if (status == QVL_OK)
        status = write_all(&output, &report, options.out, error);
    if (status == QVL_OK)
        status = qvl_report_outcome(&report);
    qvl_session_close(&audit.session);
    free(audit.weights);
    free(audit.video);
    qvl_report_clear(&report);
    return status;
}
