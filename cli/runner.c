#include "cli/runner.h"

#include "base/clock.h"
#include "cli/save_case.h"

enum qvl_status qvl_runner_open(struct qvl_runner *runner, const char *backend, int threads, const char *save,
                                struct qvl_error *error)
{
    const struct qvl_backend_options options = {.threads = threads};
    enum qvl_status status = qvl_backend_open_named("ref", NULL, &runner->reference, error);
    if (status == QVL_OK)
        status = qvl_backend_open_named(backend, &options, &runner->candidate, error);
    runner->context = (struct qvl_case_context){.reference = runner->reference.backend,
                                                .candidate = runner->candidate.backend,
                                                .open = runner->candidate.open,
                                                .threads = threads,
                                                .backend = backend,
                                                .calling = runner->calling,
                                                .keep = save ? qvl_save_tensors : NULL,
                                                .data = (void *)save};
    if (status != QVL_OK)
        qvl_runner_close(runner);
    return status;
}

void qvl_runner_close(struct qvl_runner *runner)
{
    qvl_backend_close_named(&runner->candidate);
    qvl_backend_close_named(&runner->reference);
}

enum qvl_status qvl_runner_run(const struct qvl_runner *runner, const struct qvl_case *chosen,
                               struct qvl_outcome *outcome, struct qvl_error *error)
{
    struct qvl_case_result result;
    const double started = qvl_clock();
    const enum qvl_status status = qvl_case_run(chosen, &runner->context, &result, error);
    if (status == QVL_NO_MEMORY) {
        result.status = QVL_CASE_SKIPPED;
        snprintf(result.message, sizeof result.message, "%.500s", error->message);
    } else if (status != QVL_OK) {
        return status;
    }
    qvl_outcome_set(outcome, &result, qvl_clock() - started);
    return QVL_OK;
}
