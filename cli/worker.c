/* qvl-audit worker: runs cases for the process that started it (cli/worker.h). */
#include "cli/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/backends.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "cli/verbs.h"

static bool say(const char *word, const char *text)
{
    char line[QVL_OUTCOME_BYTES + 64];
    const int length = snprintf(line, sizeof line, "%s%s%s\n", word, text ? " " : "", text ? text : "");
    size_t done = 0;
    while (done < (size_t)length) {
        const ssize_t written = write(QVL_WORKER_ANSWERS, line + done, (size_t)length - done);
        if (written < 0 && errno != EINTR)
            return false;
        done += written > 0 ? (size_t)written : 0;
    }
    return true;
}

static void say_error(enum qvl_status status, const struct qvl_error *error)
{
    char text[QVL_ERROR_MESSAGE_BYTES + 32];
    snprintf(text, sizeof text, "%d %s", (int)status, error->message);
    (void)say("error", text);
}

static void say_calling(void *data, bool begins)
{
    (void)data;
    (void)say(begins ? "call" : "check", NULL);
}

static void run_line(const struct qvl_runner *runner, const char *line)
{
    struct qvl_error error = {.message = ""};
    struct qvl_case chosen;
    struct qvl_outcome outcome;
    char text[QVL_OUTCOME_BYTES];
    enum qvl_status status = qvl_case_parse(line, &chosen, &error);
    if (status == QVL_OK)
        status = qvl_runner_run(runner, &chosen, &outcome, &error);
    if (status != QVL_OK) {
        say_error(status, &error);
        return;
    }
    qvl_outcome_print(&outcome, line, text);
    (void)say("done", text);
}

/* The process is its parent's: it leaves no core files behind and does not outlive it. */
static void settle(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

enum qvl_status qvl_verb_worker(int argc, char **argv, struct qvl_error *error)
{
    struct qvl_runner runner = {.calling = say_calling};
    char line[QVL_CASE_LINE_BYTES + 2];
    if (argc < 3 || argc > 4)
        return qvl_fail(error, QVL_USAGE, "this verb is started by `verify`, not by hand");
    settle();
    FILE *orders = fdopen(QVL_WORKER_ORDERS, "r");
    if (!orders)
        return qvl_fail(error, QVL_USAGE, "this verb is started by `verify`, not by hand");
    const enum qvl_status status =
        qvl_runner_open(&runner, argv[1], atoi(argv[2]), argc == 4 ? argv[3] : NULL, error);
    if (status != QVL_OK) {
        say_error(status, error);
        error->message[0] = '\0'; /* the parent says it */
        return status;
    }
    bool heard = say("ready", runner.candidate.backend->description);
    while (heard && fgets(line, sizeof line, orders)) {
        line[strcspn(line, "\n")] = '\0';
        run_line(&runner, line);
    }
    qvl_runner_close(&runner);
    return QVL_OK;
}
