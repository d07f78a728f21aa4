/* verify --invariance: a checkpoint's answers on one prompt, asked in several ways. */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/progress.h"
#include "cli/verify.h"
#include "verify/invariance_model.h"

/* ---- BLAS core types: OpenBLAS chooses its kernels when it is loaded, so each needs a process. The process
 * is this command again with --plain-run FILE; FILE has the tokens to decode, and then the logits. ---- */

static const char *const cores[] = {"Prescott", "Nehalem", "Sandybridge", "Haswell", "SkylakeX"};

enum { CORES = sizeof cores / sizeof *cores };

/* Whether this machine can execute the kernels of a core type. */
static bool machine_runs(int core)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    switch (core) {
    case 0: return __builtin_cpu_supports("sse3");
    case 1: return __builtin_cpu_supports("sse4.2");
    case 2: return __builtin_cpu_supports("avx");
    case 3: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
#else
    (void)core;
    return false;
#endif
}

struct rerun {
    int argc;
    char **argv; /* of the verb, argv[0] its title */
    struct qvl_progress *progress;
};

extern char **environ;

/* The environment with OPENBLAS_CORETYPE set; malloc'd, its strings borrowed. */
static char **environment_with(char *setting)
{
    size_t count = 0, kept = 0;
    const size_t name = strcspn(setting, "=") + 1;
    while (environ[count])
        count++;
    char **made = malloc((count + 2) * sizeof *made);
    for (size_t i = 0; made && i < count; i++)
        if (strncmp(environ[i], setting, name) != 0)
            made[kept++] = environ[i];
    if (made) {
        made[kept++] = setting;
        made[kept] = NULL;
    }
    return made;
}

static enum qvl_status spawn(const struct rerun *rerun, char *setting, char *file, struct qvl_error *error)
{
    char executable[] = "/proc/self/exe", verb[] = "verify", option[] = "--plain-run";
    char **arguments = malloc(((size_t)rerun->argc + 4) * sizeof *arguments);
    char **environment = environment_with(setting);
    posix_spawn_file_actions_t actions;
    enum qvl_status status = QVL_OK;
    int count = 0, how = 0, failure;
    pid_t child;
    if (!arguments || !environment) {
        free(arguments);
        free(environment);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a process");
    }
    arguments[count++] = executable;
    arguments[count++] = verb;
    for (int i = 1; i < rerun->argc; i++)
        arguments[count++] = rerun->argv[i];
    arguments[count++] = option;
    arguments[count++] = file;
    arguments[count] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    failure = posix_spawn(&child, executable, &actions, NULL, arguments, environment);
    if (failure)
        status = qvl_fail(error, QVL_UNAVAILABLE, "no process: %s", strerror(failure));
    else if (waitpid(child, &how, 0) != child || !WIFEXITED(how) || WEXITSTATUS(how) != 0)
        status = qvl_fail(error, QVL_FAILED, "with %s the run %s %d", setting,
                          WIFSIGNALED(how) ? "was ended by signal" : "exited with code",
                          WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    posix_spawn_file_actions_destroy(&actions);
    free(arguments);
    free(environment);
    return status;
}

static enum qvl_status run_core(void *context, int index, const int64_t *tokens, char label[48],
                                float *logits, int64_t count, struct qvl_error *error)
{
    const struct rerun *rerun = context;
    const char *folder = getenv("TMPDIR");
    char setting[64], file[4096];
    char *data = NULL;
    size_t size = 0;
    if (!machine_runs(index))
        return qvl_fail(error, QVL_UNSUPPORTED, "this machine has no core of type %s", cores[index]);
    snprintf(label, 48, "core %s", cores[index]);
    snprintf(setting, sizeof setting, "OPENBLAS_CORETYPE=%s", cores[index]);
    snprintf(file, sizeof file, "%s/qvl-audit-XXXXXX", folder && *folder ? folder : "/tmp");
    const int descriptor = mkstemp(file);
    if (descriptor < 0)
        return qvl_fail(error, QVL_IO, "%s cannot be created; set TMPDIR to a folder that can be written",
                        file);
    close(descriptor);
    enum qvl_status status = qvl_file_write(file, tokens, QVL_INVARIANCE_TOKENS * sizeof *tokens, error);
    if (status == QVL_OK)
        status = spawn(rerun, setting, file, error);
    if (status == QVL_OK)
        status = qvl_file_read(file, (size_t)count * sizeof *logits, &data, &size, error);
    if (status == QVL_OK && size != (size_t)count * sizeof *logits)
        status = qvl_fail(error, QVL_FAILED, "with %s the run has %zu bytes of logits", setting, size);
    if (status == QVL_OK)
        memcpy(logits, data, size);
    free(data);
    unlink(file);
    return status;
}

/* ---- the prompt and the run ---- */

static enum qvl_status make_prompt(const struct qvl_verify_options *options,
                                   const struct qvl_model_config *config, struct qvl_session *session,
                                   struct qvl_error *error)
{
    const struct qvl_session_options *from = &options->session;
    const uint64_t seed = options->has_seed ? (uint64_t)options->seed : 1;
    if (from->messages || from->text || from->image_count || from->video_count)
        return qvl_session_open_prompt(session, error);
    if (options->tokens)
        return qvl_session_random_prompt(from->weights, options->tokens, seed, &session->prompt, error);
    return qvl_invariance_prompt(config, seed, &session->prompt, error);
}

static void show_dimensions(void *context, int done, int total)
{
    const struct rerun *rerun = context;
    rerun->progress->total = total;
    qvl_progress_update(rerun->progress, done);
}

/* The command as it was given, each word in quotes that a shell takes off again. */
static void repeat_command(const struct rerun *rerun, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "qvl-audit verify");
    for (int i = 1; i < rerun->argc && used < bytes; i++) {
        const char *word = rerun->argv[i];
        used += (size_t)snprintf(text + used, bytes - used, " '");
        for (; *word && used < bytes; word++)
            used += (size_t)snprintf(text + used, bytes - used, *word == '\'' ? "'\\''" : "%c", *word);
        if (used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "'");
    }
}

static enum qvl_status add_record(const struct qvl_dimension_result *result, const struct rerun *rerun,
                                  struct qvl_report *report, struct qvl_error *error)
{
    char command[2048];
    struct qvl_record *record = qvl_record_create("invariance", result->dimension, result->status);
    qvl_record_text(record, "verdict", result->verdict ? result->verdict : "none", QVL_FROM_MEASURED);
    qvl_record_int(record, "settings", result->settings, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "elements", result->elements, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "margin", result->margin, "1", QVL_FROM_MEASURED);
    qvl_record_int(record, "flipped_tokens", result->flips, NULL, QVL_FROM_MEASURED);
    if (result->message[0])
        qvl_record_text(record, "message", result->message, QVL_FROM_MEASURED);
    if (result->status == QVL_CASE_FAILED) {
        repeat_command(rerun, command, sizeof command);
        qvl_record_text(record, "repro", command, QVL_FROM_SETTING);
    }
    return qvl_report_take(report, record, error);
}

/* What both kinds of run need. */
struct setup {
    struct qvl_model_config config;
    qvl_backend_open_fn *candidate;
    struct qvl_invariance_options invariance;
    struct qvl_session session;
};

static enum qvl_status set_up(const struct qvl_verify_options *options, struct setup *setup,
                              struct qvl_error *error)
{
    const struct qvl_session_options *from = &options->session;
    *setup = (struct setup){.session = {.options = from}};
    if (!from->weights)
        return qvl_fail(error, QVL_USAGE, "--invariance needs --weights DIR");
    QVL_TRY(qvl_model_config_read(from->weights, &setup->config, error));
    QVL_TRY(qvl_backend_find(from->backend, &setup->candidate, error));
    const enum qvl_dtype stored = setup->config.has_dtype ? setup->config.dtype : QVL_BF16;
    setup->invariance = (struct qvl_invariance_options){
        .model = {.storage = from->has_dtype ? from->dtype : stored, .angles = from->angles},
        .draws = (int)options->draws,
        .seed = options->has_seed ? (uint64_t)options->seed : 1,
        .threads = from->threads};
    QVL_TRY(make_prompt(options, &setup->config, &setup->session, error));
    if (from->processor.profile == QVL_PROFILE_HF5)
        setup->invariance.model.pos_rounding = QVL_POS_ROUND_ONCE;
    return QVL_OK;
}

enum qvl_status qvl_verb_verify_invariance(const struct qvl_verify_options *options, int argc, char **argv,
                                           struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_dimension_result results[QVL_DIMENSION_COUNT];
    struct qvl_progress progress;
    struct rerun rerun = {.argc = argc, .argv = argv, .progress = &progress};
    struct setup setup;
    qvl_backend_open_fn *reference;
    QVL_TRY(qvl_backend_find("ref", &reference, error));
    enum qvl_status status = set_up(options, &setup, error);
    setup.invariance.core = run_core;
    setup.invariance.core_count = CORES;
    setup.invariance.progress = show_dimensions;
    setup.invariance.context = &rerun;
    qvl_progress_begin(&progress, "invariance", "dimension", QVL_DIMENSION_COUNT);
    if (status == QVL_OK)
        status = qvl_verify_invariance(options->session.weights, &setup.session.prompt, reference,
                                       setup.candidate, &setup.invariance, results, error);
    qvl_progress_end(&progress);
    for (int d = 0; d < QVL_DIMENSION_COUNT && status == QVL_OK; d++)
        status = add_record(&results[d], &rerun, report, error);
    qvl_session_close(&setup.session);
    return status;
}

enum qvl_status qvl_verify_plain_run(const struct qvl_verify_options *options, struct qvl_error *error)
{
    struct setup setup;
    char *tokens = NULL;
    float *logits = NULL;
    size_t size = 0;
    int64_t count = 0;
    enum qvl_status status = set_up(options, &setup, error);
    if (status == QVL_OK)
        status =
            qvl_file_read(options->plain_run, QVL_INVARIANCE_TOKENS * sizeof(int64_t), &tokens, &size, error);
    if (status == QVL_OK && size != QVL_INVARIANCE_TOKENS * sizeof(int64_t))
        status = qvl_fail(error, QVL_BAD_INPUT, "%s: has %zu bytes, not %d token ids", options->plain_run,
                          size, QVL_INVARIANCE_TOKENS);
    if (status == QVL_OK) {
        int64_t ids[QVL_INVARIANCE_TOKENS];
        memcpy(ids, tokens, sizeof ids);
        status = qvl_invariance_plain(options->session.weights, &setup.session.prompt, setup.candidate,
                                      &setup.invariance, ids, &logits, &count, error);
    }
    if (status == QVL_OK)
        status = qvl_file_write(options->plain_run, logits, (size_t)count * sizeof *logits, error);
    free(tokens);
    free(logits);
    qvl_session_close(&setup.session);
    return status;
}
