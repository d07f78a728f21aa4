#define _GNU_SOURCE /* program_invocation_name, sigabbrev_np */

#include "cli/stage_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "verify/foreign.h"

#define POLL_NANOSECONDS 5000000L
#define NOISE_BYTES ((size_t)1 << 20)

/* The files of one pass. */
struct scratch {
    char folder[256], order[300], out[300], noise[300];
};

static enum qvl_status make_scratch(struct scratch *scratch, struct qvl_error *error)
{
    const char *root = getenv("TMPDIR");
    snprintf(scratch->folder, sizeof scratch->folder, "%.200s/qvl-audit-XXXXXX",
             root && *root ? root : "/tmp");
    if (!mkdtemp(scratch->folder))
        return qvl_fail(error, QVL_IO, "%s: cannot make a temporary folder: %s", scratch->folder,
                        strerror(errno));
    snprintf(scratch->order, sizeof scratch->order, "%s/order.safetensors", scratch->folder);
    snprintf(scratch->out, sizeof scratch->out, "%s/taken.safetensors", scratch->folder);
    snprintf(scratch->noise, sizeof scratch->noise, "%s/stderr.txt", scratch->folder);
    return QVL_OK;
}

static void remove_scratch(const struct scratch *scratch)
{
    unlink(scratch->order);
    unlink(scratch->out);
    unlink(scratch->noise);
    rmdir(scratch->folder);
}

static int start(const struct scratch *scratch, pid_t *pid)
{
    char *const argv[] = {program_invocation_name, (char[]){"stage-worker"}, (char *)scratch->order,
                          (char *)scratch->out, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, scratch->noise, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0); /* its children end with it */
    const int failed = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Wait for the process, kill it when its time is over; false then. */
static bool await(pid_t pid, double limit, int *state)
{
    const struct timespec pause = {.tv_nsec = POLL_NANOSECONDS};
    const double begin = qvl_clock();
    siginfo_t info = {.si_pid = 0};
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0 &&
           qvl_clock() - begin < limit)
        nanosleep(&pause, NULL);
    kill(-pid, SIGKILL); /* the process when it hangs, and what it may have started */
    while (waitpid(pid, state, 0) < 0 && errno == EINTR)
        ;
    return info.si_pid == pid;
}

/* The last line that the process wrote to stderr; "" when there is none. */
static void last_words(const struct scratch *scratch, char *text, size_t size)
{
    char *data = NULL;
    size_t length = 0;
    struct qvl_error ignored;
    *text = '\0';
    if (qvl_file_read(scratch->noise, NOISE_BYTES, &data, &length, &ignored) != QVL_OK)
        return;
    while (length > 0 && data[length - 1] == '\n')
        data[--length] = '\0';
    const char *line = strrchr(data, '\n');
    snprintf(text, size, "%s", line ? line + 1 : data);
    free(data);
}

/* What a process that has ended without stages says: its own error, or a fault. */
static enum qvl_status explain(struct qvl_stage_process *process, const struct scratch *scratch, bool in_time,
                               int state, struct qvl_error *error)
{
    static const enum qvl_status statuses[] = {QVL_OK,        QVL_FAILED,      QVL_USAGE,
                                               QVL_BAD_INPUT, QVL_UNAVAILABLE, QVL_INCOMPARABLE};
    static const char title[] = "qvl-audit stage-worker: ";
    char words[300];
    last_words(scratch, words, sizeof words);
    if (in_time && WIFEXITED(state) && WEXITSTATUS(state) >= 2 && WEXITSTATUS(state) <= 5 &&
        strncmp(words, title, strlen(title)) == 0)
        return qvl_fail(error, statuses[WEXITSTATUS(state)], "%s", words + strlen(title));
    process->fault = in_time ? QVL_CASE_CRASHED : QVL_CASE_TIMEOUT;
    if (!in_time)
        snprintf(process->message, sizeof process->message, "the pass was ended after %.3g s",
                 process->limit);
    else if (WIFSIGNALED(state))
        snprintf(process->message, sizeof process->message, "killed by SIG%s; %s",
                 sigabbrev_np(WTERMSIG(state)), words);
    else
        snprintf(process->message, sizeof process->message, "exited with code %d; %s", WEXITSTATUS(state),
                 words);
    return qvl_fail(error, QVL_FAILED, "backend %s: %s", process->backend, process->message);
}

static enum qvl_status read_stages(const char *path, int64_t tokens, struct qvl_tap_store *taken,
                                   struct qvl_error *error)
{
    struct qvl_dump dump;
    int64_t *positions = NULL;
    int64_t count;
    QVL_TRY(qvl_dump_open(path, &dump, error));
    const enum qvl_status status = qvl_dump_stages(&dump, tokens, taken, &positions, &count, error);
    free(positions);
    qvl_dump_close(&dump);
    return status;
}

enum qvl_status qvl_stage_process_run(void *context, const struct qvl_stage_pass *pass,
                                      const struct qvl_tap_store *forced, struct qvl_tap_store *taken,
                                      struct qvl_error *error)
{
    struct qvl_stage_process *process = context;
    struct scratch scratch;
    pid_t pid;
    int state = 0;
    QVL_TRY(make_scratch(&scratch, error));
    enum qvl_status status = qvl_stage_order_write(scratch.order, process, pass, forced, error);
    const int failed = status == QVL_OK ? start(&scratch, &pid) : 0;
    if (failed)
        status =
            qvl_fail(error, QVL_UNAVAILABLE, "cannot start a process for the backend: %s", strerror(failed));
    if (status == QVL_OK) {
        const bool in_time = await(pid, process->limit, &state);
        status = in_time && WIFEXITED(state) && WEXITSTATUS(state) == 0 && qvl_file_exists(scratch.out)
                     ? read_stages(scratch.out, pass->prompt->count, taken, error)
                     : explain(process, &scratch, in_time, state, error);
    }
    remove_scratch(&scratch);
    return status;
}
