
#include "verify/selftest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* What a hunting process tells: the case it begins, or how it ended. At most PIPE_BUF bytes, so that a write
 * is whole or not at all. */
struct message {
    bool final;
    bool honest;                       /* the case begins on the honest version */
    int64_t index;                     /* of the case */
    int64_t tried;                     /* cases run on the mutant so far, this one included */
    struct qvl_selftest_result result; /* when final */
};

struct hunter {
    pid_t pid;
    int pipe; /* read end; -1: idle */
    int64_t mutant;
    struct message last;
    double begun; /* when the case it is at began */
    bool late;    /* it was killed for taking too long */
};

struct hunt {
    const struct qvl_selftest_mutant *mutants;
    int64_t count;
    const struct qvl_selftest_options *options;
    struct qvl_selftest_result *results;
    struct hunter *hunters;
    int64_t next, done;
    struct qvl_selftest_attempt
        *caught; /* [count] what a crash or a hang said, until the honest version ran */
};

/* ---- In the hunting process ---- */

static void tell(int pipe, const struct message *message)
{
    while (write(pipe, message, sizeof *message) < 0 && errno == EINTR)
        ;
}

/* Whether a case that said this has caught its subject. */
static bool is_caught(enum qvl_case_status status)
{
    return status == QVL_CASE_FAILED || status == QVL_CASE_CRASHED || status == QVL_CASE_TIMEOUT;
}

static void attempt(const struct qvl_selftest_mutant *mutant, int64_t index, bool honest,
                    struct qvl_selftest_attempt *result)
{
    struct qvl_error error = {.message = ""};
    *result = (struct qvl_selftest_attempt){.status = QVL_CASE_SKIPPED, .nmse = NAN};
    const enum qvl_status status =
        mutant->kind->run(mutant->kind->context, mutant, index, honest, result, &error);
    if (status == QVL_OK)
        return;
    result->status = QVL_CASE_INVALID;
    snprintf(result->message, sizeof result->message, "%s: %.200s", qvl_status_name(status), error.message);
}

/* Judge a case that caught the mutant by its honest version. */
static void judge_honest(const struct qvl_selftest_mutant *mutant, int64_t index, int pipe,
                         struct message *message)
{
    struct qvl_selftest_result *result = &message->result;
    message->honest = true;
    tell(pipe, message);
    attempt(mutant, index, true, &result->honest);
    result->verdict = result->honest.status == QVL_CASE_PASSED ? QVL_SELFTEST_KILLED : QVL_SELFTEST_UNFAIR;
}

/* Try the cases in order until one catches the mutant. `from` >= 0: only the honest version of that case. */
static void hunt_mutant(const struct hunt *hunt, const struct qvl_selftest_mutant *mutant, int64_t from,
                        int pipe)
{
    struct message message = {.result = {.verdict = QVL_SELFTEST_SURVIVED}};
    struct qvl_selftest_result *result = &message.result;
    char line[QVL_CASE_LINE_BYTES];
    if (from >= 0) {
        message.index = from;
        judge_honest(mutant, from, pipe, &message);
    }
    for (int64_t i = 0; from < 0 && mutant->kind->line(mutant->kind->context, mutant, i, line); i++) {
        if (hunt->options->only && !strstr(line, hunt->options->only))
            continue;
        message.index = i;
        message.tried++;
        tell(pipe, &message);
        attempt(mutant, i, false, &result->mutant);
        if (result->mutant.status == QVL_CASE_SKIPPED) {
            result->skipped++;
            message.tried--;
        }
        if (result->mutant.status == QVL_CASE_INVALID)
            result->verdict = QVL_SELFTEST_BROKEN;
        else if (is_caught(result->mutant.status))
            judge_honest(mutant, i, pipe, &message);
        if (result->verdict != QVL_SELFTEST_SURVIVED)
            break;
    }
    message.final = true;
    tell(pipe, &message);
}

/* ---- In the parent ---- */

static enum qvl_status start(struct hunt *hunt, struct hunter *hunter, int64_t mutant, int64_t from,
                             struct qvl_error *error)
{
    int ends[2];
    if (pipe(ends) != 0)
        return qvl_fail(error, QVL_IO, "selftest: no pipe for a process: %s", strerror(errno));
    fflush(NULL); /* a buffer that both processes hold would be written twice */
    const pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return qvl_fail(error, QVL_IO, "selftest: no process: %s", strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        hunt_mutant(hunt, &hunt->mutants[mutant], from, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    *hunter = (struct hunter){.pid = pid, .pipe = ends[0], .mutant = mutant, .begun = qvl_clock()};
    return QVL_OK;
}

static void set_line(const struct hunt *hunt, int64_t mutant, int64_t index)
{
    const struct qvl_selftest_mutant *of = &hunt->mutants[mutant];
    of->kind->line(of->kind->context, of, index, hunt->results[mutant].line);
}

/* The process has told how it ended. */
static void finish(struct hunt *hunt, const struct message *message, int64_t mutant)
{
    struct qvl_selftest_result *result = &hunt->results[mutant];
    const int64_t tried = result->cases;
    *result = message->result;
    result->cases = message->tried;
    if (is_caught(hunt->caught[mutant].status)) {
        result->mutant = hunt->caught[mutant];
        result->cases = tried;
    }
    if (result->verdict != QVL_SELFTEST_SURVIVED)
        set_line(hunt, mutant, message->index);
    hunt->done++;
}

/* The process is gone without a last word: the case it was at has crashed, or hung until it was killed. */
static enum qvl_status bury(struct hunt *hunt, struct hunter *hunter, int wait_status,
                            struct qvl_error *error)
{
    const int64_t mutant = hunter->mutant;
    struct qvl_selftest_attempt *caught = &hunt->caught[mutant];
    struct qvl_selftest_attempt death = {.status = hunter->late ? QVL_CASE_TIMEOUT : QVL_CASE_CRASHED,
                                         .nmse = NAN};
    if (hunter->late)
        snprintf(death.message, sizeof death.message, "no end after %g s", hunt->options->seconds_a_case);
    else
        snprintf(death.message, sizeof death.message, "the process died of signal %d",
                 WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
    if (!hunter->last.honest) {
        *caught = death;
        hunt->results[mutant].cases = hunter->last.tried;
        return start(hunt, hunter, mutant, hunter->last.index, error);
    }
    struct message last = hunter->last;
    last.result.verdict = QVL_SELFTEST_UNFAIR;
    last.result.honest = death;
    finish(hunt, &last, mutant);
    return QVL_OK;
}

static enum qvl_status listen_to(struct hunt *hunt, struct hunter *hunter, struct qvl_error *error)
{
    struct message message;
    const ssize_t got = read(hunter->pipe, &message, sizeof message);
    if (got < 0 && errno == EINTR)
        return QVL_OK;
    if (got == (ssize_t)sizeof message) {
        hunter->last = message;
        hunter->begun = qvl_clock();
        return QVL_OK;
    }
    int wait_status = 0;
    close(hunter->pipe);
    hunter->pipe = -1;
    while (waitpid(hunter->pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (!hunter->last.final)
        return bury(hunt, hunter, wait_status, error);
    finish(hunt, &hunter->last, hunter->mutant);
    return QVL_OK;
}

static void kill_late(const struct hunt *hunt)
{
    for (int i = 0; i < hunt->options->jobs; i++) {
        struct hunter *hunter = &hunt->hunters[i];
        if (hunter->pipe < 0 || hunter->late || qvl_clock() - hunter->begun <= hunt->options->seconds_a_case)
            continue;
        hunter->late = true;
        kill(hunter->pid, SIGKILL);
    }
}

static enum qvl_status run_all(struct hunt *hunt, struct pollfd *watched, struct qvl_error *error)
{
    while (hunt->done < hunt->count) {
        for (int i = 0; i < hunt->options->jobs; i++) {
            if (hunt->hunters[i].pipe < 0 && hunt->next < hunt->count)
                QVL_TRY(start(hunt, &hunt->hunters[i], hunt->next++, -1, error));
            watched[i] = (struct pollfd){.fd = hunt->hunters[i].pipe, .events = POLLIN};
        }
        if (poll(watched, (nfds_t)hunt->options->jobs, 100) < 0 && errno != EINTR)
            return qvl_fail(error, QVL_IO, "selftest: cannot wait for processes: %s", strerror(errno));
        for (int i = 0; i < hunt->options->jobs; i++)
            if (watched[i].fd >= 0 && watched[i].revents)
                QVL_TRY(listen_to(hunt, &hunt->hunters[i], error));
        kill_late(hunt);
        if (hunt->options->progress)
            hunt->options->progress(hunt->options->context, hunt->done);
    }
    return QVL_OK;
}

/* Processes that are still there after a failure. */
static void stop_all(struct hunt *hunt)
{
    for (int i = 0; i < hunt->options->jobs; i++) {
        if (hunt->hunters[i].pipe < 0)
            continue;
        kill(hunt->hunters[i].pid, SIGKILL);
        while (waitpid(hunt->hunters[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(hunt->hunters[i].pipe);
    }
}

enum qvl_status qvl_selftest_run(const struct qvl_selftest_mutant *mutants, int64_t count,
                                 const struct qvl_selftest_options *options,
                                 struct qvl_selftest_result *results, struct qvl_error *error)
{
    const size_t jobs = (size_t)options->jobs;
    struct hunt hunt = {.mutants = mutants, .count = count, .options = options, .results = results};
    struct pollfd *watched = calloc(jobs, sizeof *watched);
    enum qvl_status status = QVL_OK;
    hunt.hunters = calloc(jobs, sizeof *hunt.hunters);
    hunt.caught = calloc((size_t)count + 1, sizeof *hunt.caught);
    memset(results, 0, (size_t)count * sizeof *results);
    if (!watched || !hunt.hunters || !hunt.caught)
        status = qvl_fail(error, QVL_NO_MEMORY, "selftest: no memory for %d processes", options->jobs);
    for (size_t i = 0; status == QVL_OK && i < jobs; i++)
        hunt.hunters[i].pipe = -1;
    if (status == QVL_OK) {
        status = run_all(&hunt, watched, error);
        stop_all(&hunt);
    }
    free(watched);
    free(hunt.hunters);
    free(hunt.caught);
    return status;
}

bool qvl_selftest_good(const struct qvl_selftest_mutant *mutants, const struct qvl_selftest_result *results,
                       int64_t count, struct qvl_selftest_score *score)
{
    *score = (struct qvl_selftest_score){0};
    for (int64_t i = 0; i < count; i++) {
        const bool killed = results[i].verdict == QVL_SELFTEST_KILLED;
        score->required += !mutants[i].excuse;
        score->required_killed += !mutants[i].excuse && killed;
        score->excused += mutants[i].excuse != NULL;
        score->excused_killed += mutants[i].excuse && killed;
        score->unfair += results[i].verdict == QVL_SELFTEST_UNFAIR;
        score->broken += results[i].verdict == QVL_SELFTEST_BROKEN;
    }
    return count > 0 && score->required_killed == score->required && score->unfair == 0 && score->broken == 0;
}
