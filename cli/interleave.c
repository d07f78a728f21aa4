#define _GNU_SOURCE /* sigabbrev_np */

#include "cli/interleave.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/progress.h"
#include "cli/trial_key.h"

#define STDERR_BYTES ((size_t)1 << 20)
#define PATH_BYTES (PATH_MAX + 32)

static const char *const sides[2] = {"base", "other"};

/* Set by the handler; the runs look at it. */
static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
    caught = signal;
}

struct run {
    const struct qvl_interleave_options *options;
    char folder[PATH_MAX]; /* absolute */
};

/* ---- One command ---- */

static void path_of(const struct run *run, int side, int64_t pair, char *path, size_t bytes)
{
    if (pair < 0)
        snprintf(path, bytes, "%s/warmup-%s.json", run->folder, sides[side]);
    else
        snprintf(path, bytes, "%s/%04lld-%s.json", run->folder, (long long)pair + 1, sides[side]);
}

/* A backend is tried once, in the run that is not counted: its later runs name that one and go on to what is
 * timed (of the small checkpoint 0.1 s in place of 2 s a run). */
static int name_trial(const struct run *run, int side)
{
    char path[PATH_BYTES];
    path_of(run, side, -1, path, sizeof path);
    return setenv(QVL_TRIAL_VARIABLE, path, 1);
}

/* "COMMAND --json 'PATH'" for the shell; owned. */
static char *shell_line(const char *command, const char *path)
{
    static const char quote[] = "'\\''";
    size_t bytes = strlen(command) + strlen(" --json ''") + 1;
    for (const char *c = path; *c; c++)
        bytes += *c == '\'' ? strlen(quote) : 1;
    char *line = malloc(bytes);
    if (!line)
        return NULL;
    char *end = line + sprintf(line, "%s --json '", command);
    for (const char *c = path; *c; c++)
        end += *c == '\'' ? sprintf(end, "%s", quote) : sprintf(end, "%c", *c);
    sprintf(end, "'");
    return line;
}

/* A process group of its own: Ctrl-C is for us, and we end the shell with what it started. */
static int spawn(char *line, const char *noise, pid_t *pid)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, line, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, noise, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    const int failed = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Wait for the shell; a signal to us ends it. */
static int wait_for(pid_t pid)
{
    int ended = 0;
    while (waitpid(pid, &ended, 0) < 0)
        if (errno == EINTR && caught)
            kill(-pid, SIGTERM);
    return ended;
}

/* The last line that is not empty. */
static void last_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
    const char *line = strrchr(text, '\n');
    if (line)
        memmove(text, line + 1, strlen(line));
}

static enum qvl_status explain(const char *command, int ended, const char *noise, struct qvl_error *error)
{
    char how[64];
    char *text = NULL;
    size_t size;
    struct qvl_error ignored;
    if (WIFSIGNALED(ended))
        snprintf(how, sizeof how, "ended by signal %s", sigabbrev_np(WTERMSIG(ended)));
    else
        snprintf(how, sizeof how, "exit code %d", WEXITSTATUS(ended));
    if (qvl_file_read(noise, STDERR_BYTES, &text, &size, &ignored) == QVL_OK)
        last_line(text);
    const enum qvl_status status = qvl_fail(
        error, QVL_UNAVAILABLE, "%.300s: %s and no report%s%.400s; it must take --json FILE at its end",
        command, how, text && *text ? ": " : "", text ? text : "");
    free(text);
    return status;
}

static enum qvl_status run_side(const struct run *run, int side, int64_t pair,
                                struct qvl_saved_report **report, struct qvl_error *error)
{
    char path[PATH_BYTES];
    char noise[PATH_BYTES];
    pid_t pid;
    path_of(run, side, pair, path, sizeof path);
    snprintf(noise, sizeof noise, "%s/stderr", run->folder);
    unlink(path); /* of an earlier use of the folder */
    char *line = shell_line(run->options->commands[side], path);
    if (!line || (pair >= 0 && name_trial(run, side) != 0)) {
        free(line);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a command line");
    }
    const int failed = spawn(line, noise, &pid);
    free(line);
    if (failed)
        return qvl_fail(error, QVL_UNAVAILABLE, "cannot start /bin/sh: %s", strerror(failed));
    const int ended = wait_for(pid);
    if (caught)
        return qvl_fail(error, QVL_FAILED, "interrupted");
    if (!WIFEXITED(ended) || !qvl_file_exists(path))
        return explain(run->options->commands[side], ended, noise, error);
    return qvl_report_read(path, report, error);
}

/* ---- All of them ---- */

static enum qvl_status warm_up(const struct run *run, struct qvl_error *error)
{
    struct qvl_saved_report *reports[2] = {NULL, NULL};
    enum qvl_status status = QVL_OK;
    for (int side = 0; side < 2 && status == QVL_OK; side++)
        status = run_side(run, side, -1, &reports[side], error);
    if (status == QVL_OK)
        status = run->options->check(run->options->context, reports[0], reports[1], error);
    qvl_saved_report_destroy(reports[0]);
    qvl_saved_report_destroy(reports[1]);
    return status;
}

static enum qvl_status run_all(const struct run *run, struct qvl_saved_report **reports[2],
                               struct qvl_error *error)
{
    struct qvl_progress progress;
    enum qvl_status status = warm_up(run, error);
    qvl_progress_begin(&progress, "compare", "run", 2 * run->options->pairs);
    for (int64_t i = 0; i < 2 * run->options->pairs && status == QVL_OK; i++) {
        const int64_t pair = i / 2;
        const int side = (int)((i + pair) % 2); /* base first in one pair, last in the next */
        status = run_side(run, side, pair, &reports[side][pair], error);
        qvl_progress_update(&progress, i + 1);
    }
    qvl_progress_end(&progress);
    return status;
}

static void remove_folder(const struct run *run)
{
    char path[PATH_BYTES];
    for (int64_t pair = -1; pair < run->options->pairs; pair++)
        for (int side = 0; side < 2; side++) {
            path_of(run, side, pair, path, sizeof path);
            unlink(path);
        }
    snprintf(path, sizeof path, "%s/stderr", run->folder);
    unlink(path);
    rmdir(run->folder);
}

static enum qvl_status make_folder(struct run *run, struct qvl_error *error)
{
    const char *keep = run->options->keep;
    const char *temporary = getenv("TMPDIR");
    char name[PATH_MAX];
    const int length = keep ? snprintf(name, sizeof name, "%s", keep)
                            : snprintf(name, sizeof name, "%s/qvl-compare-XXXXXX",
                                       temporary && *temporary ? temporary : "/tmp");
    if (length >= (int)sizeof name)
        return qvl_fail(error, QVL_USAGE, "%s: the folder's name is too long", keep ? keep : temporary);
    const bool made = keep ? mkdir(name, 0777) == 0 || errno == EEXIST : mkdtemp(name) != NULL;
    if (!made || !qvl_folder_exists(name) || !realpath(name, run->folder))
        return qvl_fail(error, QVL_IO, "%s: cannot make the folder: %s", name, strerror(errno));
    return QVL_OK;
}

enum qvl_status qvl_interleave(const struct qvl_interleave_options *options,
                               struct qvl_saved_report **reports[2], int *interrupted,
                               struct qvl_error *error)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before[3];
    struct run run = {.options = options};
    struct sigaction handler = {.sa_handler = on_signal}; /* no SA_RESTART: waitpid must return */
    QVL_TRY(make_folder(&run, error));
    caught = 0;
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &handler, &before[i]);
    const enum qvl_status status = run_all(&run, reports, error);
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &before[i], NULL);
    if (!options->keep)
        remove_folder(&run);
    *interrupted = caught;
    return status;
}
