#include "cli/latency_run.h"

#include "base/file.h"
#include "cli/latency_predict.h"
#include "cli/latency_records.h"
#include "cli/latency_spots.h"
#include "cli/latency_trial.h"
#include "cli/models.h"
#include "ref/ref.h"

enum qvl_status qvl_latency_open(struct qvl_latency_run *run, struct qvl_error *error)
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
    QVL_TRY(qvl_backend_open_named(run->session.backend, &options, &run->backend, error));
    run->name = run->backend.backend->name;
    return qvl_ref_open(NULL, &run->reference, error);
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

static enum qvl_status report_whole(struct qvl_latency_run *run, struct qvl_error *error)
{
    const struct qvl_latency_options latency = {.chunk = run->session.chunk,
                                                .decode_steps = run->decode_steps,
                                                .repeats = (int)run->repeats,
                                                .seed = (uint64_t)run->seed,
                                                .watch = run->watch,
                                                .progress = qvl_progress_show,
                                                .context = &run->progress};
    struct qvl_model *model;
    QVL_TRY(qvl_latency_whole(run, &model, error));
    qvl_progress_begin(&run->progress, "latency", "token", 0);
    const enum qvl_status status =
        qvl_latency_report(model, run->name, run->contexts, run->context_count, &latency, run->report, error);
    qvl_progress_end(&run->progress);
    return status;
}

enum qvl_status qvl_latency_take(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_latency_trust trust;
    run->first_record = run->report->record_count;
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

void qvl_latency_close(struct qvl_latency_run *run)
{
    qvl_sampler_destroy(run->sampler);
    qvl_model_destroy(run->model);
    qvl_latency_spots_close(run);
    if (run->reference)
        run->reference->close(run->reference);
    qvl_backend_close_named(&run->backend);
}
