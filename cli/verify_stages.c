/* verify, the part with a checkpoint: every stage of a prompt. */
#include "cli/progress.h"
#include "cli/stage_records.h"
#include "cli/verify.h"

/* Logits compared: 2^24 float32 values are 64 MiB, held three times. */
#define LOGIT_VALUES ((int64_t)1 << 24)

static void show_runs(void *context, int done, int total)
{
    struct qvl_progress *progress = context;
    progress->total = total;
    qvl_progress_update(progress, done);
}

static enum qvl_status make_prompt(const struct qvl_verify_options *options, struct qvl_session *session,
                                   struct qvl_error *error)
{
    const struct qvl_session_options *from = &options->session;
    const bool given = from->messages || from->text || from->image_count || from->video_count;
    if (given && options->tokens)
        return qvl_fail(error, QVL_USAGE, "--tokens and a prompt exclude each other");
    if (given)
        return qvl_session_open_prompt(session, error);
    return qvl_session_random_prompt(from->weights, options->tokens ? options->tokens : 64,
                                     options->has_seed ? (uint64_t)options->seed : 1, &session->prompt,
                                     error);
}

enum qvl_status qvl_verb_verify_stages(const struct qvl_verify_options *options, struct qvl_report *report,
                                       struct qvl_error *error)
{
    struct qvl_session session = {.options = &options->session};
    struct qvl_model_config config;
    struct qvl_stage_summary summary;
    struct qvl_progress progress;
    qvl_backend_open_fn *reference;
    qvl_backend_open_fn *candidate;
    char repro[512];
    QVL_TRY(qvl_model_config_read(options->session.weights, &config, error));
    QVL_TRY(qvl_backend_find("ref", &reference, error));
    QVL_TRY(qvl_backend_find(options->session.backend, &candidate, error));
    const enum qvl_dtype stored = config.has_dtype ? config.dtype : QVL_BF16;
    const struct qvl_stage_options stages = {.storage =
                                                 options->session.has_dtype ? options->session.dtype : stored,
                                             .chunk = options->session.chunk,
                                             .draws = (int)options->draws,
                                             .seed = options->has_seed ? (uint64_t)options->seed : 1,
                                             .threads = options->session.threads,
                                             .logit_rows = LOGIT_VALUES / config.text.vocab + 1,
                                             .progress = show_runs,
                                             .context = &progress};
    snprintf(repro, sizeof repro, "the same command with --dtype %s --seed %llu",
             qvl_dtype_name(stages.storage), (unsigned long long)stages.seed);
    enum qvl_status status = make_prompt(options, &session, error);
    qvl_progress_begin(&progress, "stages", "run", 2 * (options->draws + 1) + 1);
    if (status == QVL_OK)
        status = qvl_stage_add_records(options->session.weights, &session.prompt, reference, candidate,
                                       &stages, options->session.backend, repro, report, &summary, error);
    if (status == QVL_OK)
        status = qvl_report_note(report, summary.verdict, error);
    qvl_progress_end(&progress);
    qvl_session_close(&session);
    return status;
}
