/* The checks and measurements of an audit. */
#include <stdlib.h>
#include <string.h>

#include "bench/flops_records.h"
#include "cli/audit.h"
#include "cli/latency_run.h"
#include "cli/models.h"
#include "cli/stage_records.h"
#include "model/generate.h"
#include "verify/angles.h"

/* What the plain loops of the reference do in a second on a slow machine, and how long one of its runs may
 * take. */
#define REFERENCE_FLOPS 1e9
#define REFERENCE_SECONDS 60.0

bool qvl_audit_reference_fits(const struct qvl_audit *audit, int64_t tokens, char reason[256])
{
    const struct qvl_flops_workload workload = {
        .batch = 1, .tokens = tokens, .logits = 1, .storage = QVL_F32};
    struct qvl_model_config config;
    struct qvl_flops flops;
    struct qvl_error error;
    if (qvl_model_config_read(audit->weights, &config, &error) != QVL_OK ||
        qvl_flops_count(&config, &workload, &flops, &error) != QVL_OK) {
        snprintf(reason, 256, "%.250s", error.message);
        return false;
    }
    const double seconds = (double)qvl_flops_sum(&flops, QVL_FLOPS_MATRIX, false) / REFERENCE_FLOPS;
    snprintf(reason, 256, "%lld tokens would take the reference about %.0f s a run; the limit is %.0f s",
             (long long)tokens, seconds, REFERENCE_SECONDS);
    return seconds <= REFERENCE_SECONDS;
}

static void show_runs(void *context, int done, int total)
{
    struct qvl_progress *progress = context;
    progress->unit = "run";
    progress->total = total;
    qvl_progress_update(progress, done);
}

/* A jittered run of a long prompt takes the reference tens of seconds, and its many rows make one draw speak
 * for several. */
#define LONG_PROMPT 4096

/* Last tokens of a prompt whose logits are compared. */
#define LOGIT_ROWS 64

/* One comparison of all stages of a prompt: its records and a summary. */
static enum qvl_status compare_stages(struct qvl_audit *audit, const struct qvl_prompt *prompt,
                                      const char *label, enum qvl_dtype storage, const char *prompt_options,
                                      struct qvl_error *error)
{
    const char *backend = audit->options->session.backend;
    const int64_t draws = prompt->count > LONG_PROMPT ? 1 : audit->options->draws;
    const struct qvl_stage_options options = {.storage = storage,
                                              .chunk = audit->options->session.chunk,
                                              .draws = (int)draws,
                                              .seed = audit->options->seed,
                                              .threads = audit->options->session.threads,
                                              .logit_rows = LOGIT_ROWS,
                                              .forced = QVL_FORCED_ON_FAILURE,
                                              .progress = show_runs,
                                              .context = &audit->progress};
    struct qvl_stage_summary summary;
    qvl_backend_open_fn *reference;
    qvl_backend_open_fn *candidate;
    char repro[1024];
    char name[128];
    snprintf(repro, sizeof repro,
             "qvl-audit verify --backend %s --weights %s --dtype %s --draws %lld --seed %llu %s", backend,
             audit->weights, qvl_dtype_name(storage), (long long)draws,
             (unsigned long long)audit->options->seed, prompt_options);
    snprintf(name, sizeof name, "%s %s", label, qvl_dtype_name(storage));
    QVL_TRY(qvl_backend_find("ref", &reference, error));
    QVL_TRY(qvl_backend_find(backend, &candidate, error));
    QVL_TRY(qvl_stage_add_records(audit->weights, prompt, reference, candidate, &options, name, repro,
                                  audit->report, &summary, error));
    struct qvl_record *record =
        qvl_record_create("stages", name, summary.failed ? QVL_CASE_FAILED : QVL_CASE_PASSED);
    qvl_record_text(record, "backend", backend, QVL_FROM_SETTING);
    qvl_record_int(record, "tokens", prompt->count, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "draws", draws, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "stages", summary.stages, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "failed", summary.failed, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "worst_margin", summary.worst_margin, "1", QVL_FROM_MEASURED);
    qvl_record_text(record, "worst_stage", summary.worst, QVL_FROM_MEASURED);
    if (summary.failed) {
        qvl_record_text(record, "first_failure", summary.first_failure, QVL_FROM_MEASURED);
        qvl_record_text(record, "verdict", summary.verdict, QVL_FROM_MEASURED);
    }
    return qvl_report_take(audit->report, record, error);
}

static enum qvl_status skip(struct qvl_audit *audit, const char *kind, const char *name, const char *reason,
                            struct qvl_error *error)
{
    struct qvl_record *record = qvl_record_create(kind, name, QVL_CASE_SKIPPED);
    qvl_record_text(record, "reason", reason, QVL_FROM_MODELLED);
    QVL_TRY(qvl_report_take(audit->report, record, error));
    return qvl_report_omit(audit->report, name, reason, error);
}

enum qvl_status qvl_audit_stages(struct qvl_audit *audit, struct qvl_error *error)
{
    const enum qvl_dtype types[] = {QVL_F32, QVL_BF16};
    char reason[256];
    char repeat[512];
    snprintf(repeat, sizeof repeat, "--processor %s --video '%s' --prompt '%s'",
             qvl_profile_name(audit->options->session.processor.profile), audit->video,
             audit->options->question);
    if (!qvl_audit_reference_fits(audit, audit->session.prompt.count, reason))
        return skip(audit, "stages", "video", reason, error);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        QVL_TRY(compare_stages(audit, &audit->session.prompt, "video", types[i], repeat, error));
    return QVL_OK;
}

enum qvl_status qvl_audit_contexts(struct qvl_audit *audit, struct qvl_error *error)
{
    for (int64_t i = 0; i < audit->options->context_count; i++) {
        const int64_t tokens = audit->options->contexts[i];
        struct qvl_prompt prompt = {0};
        char name[64];
        char reason[256];
        char repeat[64];
        snprintf(name, sizeof name, "text %lld", (long long)tokens);
        snprintf(repeat, sizeof repeat, "--tokens %lld", (long long)tokens);
        if (!qvl_audit_reference_fits(audit, tokens, reason)) {
            QVL_TRY(skip(audit, "stages", name, reason, error));
            continue;
        }
        enum qvl_status status =
            qvl_session_random_prompt(audit->weights, tokens, audit->options->seed, &prompt, error);
        if (status == QVL_OK)
            status = compare_stages(audit, &prompt, name, audit->stored, repeat, error);
        qvl_prompt_free(&prompt);
        QVL_TRY(status);
    }
    return QVL_OK;
}

/* Greedy tokens of the video prompt on one backend. */
static enum qvl_status greedy(struct qvl_audit *audit, const char *backend, struct qvl_generation *generation,
                              struct qvl_error *error)
{
    struct qvl_session_options options = audit->session_options;
    struct qvl_session session = {.options = &options};
    struct qvl_sequence *sequence = NULL;
    struct qvl_generate_options generate;
    options.backend = backend;
    options.has_dtype = true;
    options.dtype = QVL_F32;
    enum qvl_status status = qvl_session_open_model(&session, error);
    if (status == QVL_OK) {
        qvl_generate_defaults(qvl_model_get_generation(session.model), &generate);
        generate.greedy = generate.ignore_eos = true;
        generate.repetition_penalty = 1;
        generate.max_tokens = audit->options->decode_steps;
        status = qvl_sequence_create(session.model, audit->session.prompt.count + generate.max_tokens,
                                     &sequence, error);
    }
    if (status == QVL_OK)
        status = qvl_sequence_prompt(sequence, &audit->session.prompt, NULL, error);
    if (status == QVL_OK)
        status = qvl_generate(session.model, sequence, &generate, generation, error);
    qvl_sequence_destroy(sequence);
    qvl_session_close(&session);
    return status;
}

static enum qvl_status add_decode_record(struct qvl_audit *audit, const struct qvl_generation *reference,
                                         const struct qvl_generation *candidate, struct qvl_error *error)
{
    int64_t agree = 0;
    char *text = NULL;
    size_t size;
    while (agree < reference->count && agree < candidate->count &&
           reference->tokens[agree] == candidate->tokens[agree])
        agree++;
    QVL_TRY(qvl_tokenizer_decode(audit->session.tokenizer, candidate->tokens, candidate->count, false, &text,
                                 &size, error));
    struct qvl_record *record = qvl_record_create(
        "decode", "greedy f32", agree == reference->count ? QVL_CASE_PASSED : QVL_CASE_FAILED);
    qvl_record_text(record, "backend", audit->options->session.backend, QVL_FROM_SETTING);
    qvl_record_int(record, "tokens", reference->count, "token", QVL_FROM_SETTING);
    qvl_record_int(record, "equal_tokens", agree, "token", QVL_FROM_MEASURED);
    qvl_record_ints(record, "reference_ids", reference->tokens, reference->count, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_ints(record, "ids", candidate->tokens, candidate->count, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_text(record, "text", text, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    free(text);
    return qvl_report_take(audit->report, record, error);
}

enum qvl_status qvl_audit_decode(struct qvl_audit *audit, struct qvl_error *error)
{
    struct qvl_generation reference = {0};
    struct qvl_generation candidate = {0};
    char reason[256];
    if (!qvl_audit_reference_fits(audit, audit->session.prompt.count + audit->options->decode_steps, reason))
        return skip(audit, "decode", "greedy f32", reason, error);
    enum qvl_status status = greedy(audit, "ref", &reference, error);
    if (status == QVL_OK)
        status = greedy(audit, audit->options->session.backend, &candidate, error);
    if (status == QVL_OK)
        status = add_decode_record(audit, &reference, &candidate, error);
    qvl_generation_free(&reference);
    qvl_generation_free(&candidate);
    return status;
}

/* As `latency --whole` does: the contexts that the backend can run in reasonable time; all but those of the
 * reference. */
static enum qvl_status time_backend(struct qvl_audit *audit, const char *backend, int repeats,
                                    struct qvl_error *error)
{
    const struct qvl_audit_options *options = audit->options;
    struct qvl_latency_run run = {.session = audit->session_options,
                                  .whole = true,
                                  .decode_steps = options->decode_steps,
                                  .repeats = repeats,
                                  .seed = (int64_t)options->seed,
                                  .report = audit->report};
    run.session.backend = backend;
    for (int64_t i = 0; i < options->context_count; i++) {
        char name[64];
        char reason[256];
        snprintf(name, sizeof name, "%s %lld", backend, (long long)options->contexts[i]);
        if (strcmp(backend, "ref") == 0 && !qvl_audit_reference_fits(audit, options->contexts[i], reason))
            QVL_TRY(skip(audit, "latency", name, reason, error));
        else
            run.contexts[run.context_count++] = options->contexts[i];
    }
    if (run.context_count == 0)
        return QVL_OK;
    enum qvl_status status = qvl_latency_open(&run, error);
    run.name = backend;
    if (status == QVL_OK)
        status = qvl_latency_take(&run, error);
    qvl_latency_close(&run);
    return status;
}

enum qvl_status qvl_audit_latency(struct qvl_audit *audit, struct qvl_error *error)
{
    QVL_TRY(time_backend(audit, "ref", 1, error));
    if (strcmp(audit->options->session.backend, "ref") == 0)
        return QVL_OK;
    return time_backend(audit, audit->options->session.backend, 3, error);
}

static enum qvl_status add_angles(struct qvl_audit *audit, struct qvl_error *error)
{
    const int64_t positions[] = {4096, 32768, 262144, 1000000};
    const int64_t count = sizeof positions / sizeof *positions;
    const struct qvl_model_table *table = qvl_model_table_find("qwen3-vl-235b-a22b");
    struct qvl_angle_error errors[sizeof positions / sizeof *positions];
    struct qvl_opened_backend reference;
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    QVL_TRY(qvl_backend_open_named("ref", NULL, &reference, error));
    enum qvl_status status =
        qvl_angle_curve(reference.backend, &config.text, positions, count, errors, error);
    qvl_backend_close_named(&reference);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        char name[64];
        snprintf(name, sizeof name, "position %lld", (long long)positions[i]);
        struct qvl_record *record = qvl_record_create("angle", name, QVL_CASE_NONE);
        qvl_record_int(record, "position", positions[i], NULL, QVL_FROM_SETTING);
        qvl_record_real(record, "float32_angle_error", errors[i].radians, "rad", QVL_FROM_MEASURED);
        qvl_record_int(record, "lane", errors[i].lane, NULL, QVL_FROM_MEASURED);
        status = qvl_report_take(audit->report, record, error);
    }
    return status;
}

enum qvl_status qvl_audit_model_facts(struct qvl_audit *audit, struct qvl_error *error)
{
    const int64_t contexts[] = {8192, 32768, 262144, 1048576};
    const struct qvl_flops_request request = {
        .contexts = contexts, .context_count = 4, .batch = 1, .storage = QVL_BF16};
    for (int64_t i = 0; i < qvl_model_table_count(); i++) {
        const struct qvl_model_table *table = qvl_model_table_get(i);
        struct qvl_model_config config;
        if (!qvl_model_is_released_qwen3(table))
            continue;
        QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
        QVL_TRY(qvl_flops_report(table->name, &config, &request, audit->report, error));
    }
    QVL_TRY(add_angles(audit, error));
    QVL_TRY(qvl_report_omit(audit->report, "GPU backends", "this build has none", error));
    return qvl_report_omit(audit->report, "released weights",
                           "accuracy on real data needs a released checkpoint: --weights DIR", error);
}
