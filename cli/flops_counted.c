/* qvl-audit flops --weights: counted while a checkpoint runs, beside the formulas. */
#include "bench/counting_records.h"
#include "cli/flops_modes.h"

static enum qvl_status describe(const struct qvl_session *session, int64_t decode, struct qvl_report *report,
                                struct qvl_error *error)
{
    struct qvl_record *record = qvl_record_create("workload", "flops counted", QVL_CASE_NONE);
    report->workload = record;
    qvl_session_describe(session, record);
    qvl_record_int(record, "prompt_tokens", session->prompt.count, "token", QVL_FROM_MEASURED);
    qvl_record_int(record, "decode", decode, "token", QVL_FROM_SETTING);
    for (int64_t i = 0; i < session->prompt.visual_count; i++) {
        char name[32];
        const struct qvl_grid *grid = &session->prompt.visuals[i].grid;
        const int64_t sides[3] = {grid->t, grid->h, grid->w};
        snprintf(name, sizeof name, "grid_%lld", (long long)i);
        qvl_record_ints(record, name, sides, 3, "patch", QVL_FROM_MEASURED);
    }
    QVL_TRY(qvl_record_check(record, error));
    char note[256];
    snprintf(note, sizeof note,
             "Counted: from the arguments of every call that the model made to backend %s, for a prompt of "
             "%lld tokens. "
             "Formula: from config.json, the grids and the lengths of the calls.",
             session->backend.backend->name, (long long)session->prompt.count);
    QVL_TRY(qvl_report_note(report, note, error));
    return qvl_report_note(report,
                           "A multiply-add counts as 2 FLOPs. Bytes are the least that must move in each "
                           "call; of the experts, those that the router chose.",
                           error);
}

enum qvl_status qvl_flops_counted(const struct qvl_session_options *options, int64_t decode,
                                  struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_session session = {.options = options};
    enum qvl_status status = qvl_session_open_prompt(&session, error);
    if (status == QVL_OK)
        status = qvl_session_open_model(&session, error);
    if (status == QVL_OK)
        status = describe(&session, decode, report, error);
    if (status == QVL_OK) {
        const struct qvl_counting_request request = {.backend = session.counting,
                                                     .model = session.model,
                                                     .storage = session.storage,
                                                     .prompt = &session.prompt,
                                                     .chunk = options->chunk,
                                                     .decode = decode};
        status = qvl_counting_report(&request, report, error);
    }
    qvl_session_close(&session);
    return status;
}
