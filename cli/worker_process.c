/* Workers as their parent sees them. */
#define _GNU_SOURCE /* pipe2, sigabbrev_np, program_invocation_name */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/worker.h"

#define FIRST_FREE 10 /* descriptors above those of the worker, so that moving one does not close another */

/* How long a process that has closed its answers may take to be gone. */
#define END_TRIES 200
#define END_NANOSECONDS 10000000L

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* A pipe whose ends are closed on exec and lie above the worker's own descriptors. */
static bool make_pipe(int ends[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FIRST_FREE);
    close(low[0]);
    close(low[1]);
    return ends[0] >= 0 && ends[1] >= 0;
}

/* Threads that wait must not spin: several workers share the cores. The user's own setting wins. */
static char **make_environment(void)
{
    static char passive[] = "OMP_WAIT_POLICY=passive";
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 2, sizeof *copy);
    if (!copy)
        return NULL;
    if (!getenv("OMP_WAIT_POLICY"))
        copy[kept++] = passive;
    memcpy(copy + kept, environ, count * sizeof *copy);
    return copy;
}

static int spawn(struct qvl_worker *worker, const struct qvl_worker_setup *setup, const int theirs[3])
{
    char threads[16];
    char *const argv[] = {program_invocation_name, (char[]){"worker"},
                          (char *)setup->backend,  threads,
                          (char *)setup->save,     NULL};
    char **environment = make_environment();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    snprintf(threads, sizeof threads, "%d", setup->threads);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs[2], STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs[0], QVL_WORKER_ORDERS);
    posix_spawn_file_actions_adddup2(&actions, theirs[1], QVL_WORKER_ANSWERS);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0); /* Ctrl-C is for the parent; and its children end with it */
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    const int failed =
        environment ? posix_spawn(&worker->pid, "/proc/self/exe", &actions, &attributes, argv, environment)
                    : ENOMEM;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    return failed;
}

enum qvl_status qvl_worker_start(struct qvl_worker *worker, const struct qvl_worker_setup *setup,
                                 struct qvl_error *error)
{
    int orders[2] = {-1, -1}, answers[2] = {-1, -1}, noise[2] = {-1, -1};
    *worker = (struct qvl_worker){.orders = -1, .answers = -1, .noise = -1};
    int failed = make_pipe(orders) && make_pipe(answers) && make_pipe(noise) ? 0 : errno;
    if (!failed) {
        const int theirs[3] = {orders[0], answers[1], noise[1]};
        failed = spawn(worker, setup, theirs);
    }
    close_end(&orders[0]);
    close_end(&answers[1]);
    close_end(&noise[1]);
    if (failed) {
        worker->pid = 0;
        close_end(&orders[1]);
        close_end(&answers[0]);
        close_end(&noise[0]);
        return qvl_fail(error, QVL_UNAVAILABLE, "cannot start a worker process: %s", strerror(failed));
    }
    worker->orders = orders[1];
    worker->answers = answers[0];
    worker->noise = noise[0];
    fcntl(worker->answers, F_SETFL, O_NONBLOCK);
    fcntl(worker->noise, F_SETFL, O_NONBLOCK);
    return QVL_OK;
}

bool qvl_worker_order(struct qvl_worker *worker, const char *line)
{
    char text[QVL_CASE_LINE_BYTES + 1];
    const int length = snprintf(text, sizeof text, "%s\n", line);
    return write(worker->orders, text, (size_t)length) == length; /* below PIPE_BUF: whole or not at all */
}

void qvl_worker_dismiss(struct qvl_worker *worker)
{
    close_end(&worker->orders);
}

bool qvl_worker_listen(struct qvl_worker *worker)
{
    const size_t room = sizeof worker->text - worker->used;
    if (room == 0)
        return false; /* a line longer than any of ours: the pipe is not to be trusted any more */
    const ssize_t got = read(worker->answers, worker->text + worker->used, room);
    if (got > 0)
        worker->used += (size_t)got;
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool qvl_worker_answer(struct qvl_worker *worker, char line[QVL_OUTCOME_BYTES])
{
    const char *end = memchr(worker->text, '\n', worker->used);
    if (!end)
        return false;
    const size_t length = (size_t)(end - worker->text);
    memcpy(line, worker->text, length);
    line[length] = '\0';
    worker->used -= length + 1;
    memmove(worker->text, end + 1, worker->used);
    return true;
}

void qvl_worker_hear(struct qvl_worker *worker)
{
    char piece[4096];
    ssize_t got;
    while (worker->noise >= 0 && (got = read(worker->noise, piece, sizeof piece)) != 0) {
        if (got < 0)
            return;
        const size_t most = sizeof worker->tail - 1, have = strlen(worker->tail);
        const size_t fresh = (size_t)got < most ? (size_t)got : most;
        const size_t old = have + fresh > most ? most - fresh : have;
        memmove(worker->tail, worker->tail + have - old, old);
        for (size_t i = 0; i < fresh; i++) {
            const char c = piece[(size_t)got - fresh + i];
            worker->tail[old + i] = c ? c : '?';
        }
        worker->tail[old + fresh] = '\0';
    }
    close_end(&worker->noise);
}

/* Whether the process has ended; it stays a zombie, so that its group keeps its number. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

void qvl_worker_kill(struct qvl_worker *worker)
{
    kill(-worker->pid, SIGKILL);
}

bool qvl_worker_end(struct qvl_worker *worker, char *how, size_t bytes)
{
    const struct timespec pause = {.tv_nsec = END_NANOSECONDS};
    int state = 0;
    for (int i = 0; i < END_TRIES && !has_ended(worker->pid); i++)
        nanosleep(&pause, NULL);
    qvl_worker_kill(worker); /* with what it may have started */
    while (waitpid(worker->pid, &state, 0) < 0 && errno == EINTR)
        ;
    qvl_worker_hear(worker);
    close_end(&worker->orders);
    close_end(&worker->answers);
    close_end(&worker->noise);
    worker->pid = 0;
    if (WIFSIGNALED(state)) {
        const char *name = sigabbrev_np(WTERMSIG(state));
        snprintf(how, bytes, "killed by SIG%s (%s)%s", name ? name : "?", strsignal(WTERMSIG(state)),
                 WTERMSIG(state) == SIGKILL ? ", perhaps for want of memory" : "");
    } else {
        snprintf(how, bytes, "exited with code %d", WEXITSTATUS(state));
    }
    return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}
