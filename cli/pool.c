#include "cli/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/runner.h"

#define TICK_MILLISECONDS 100
#define OPEN_SECONDS 120.0 /* a device may compile its kernels first */
#define CLOSE_SECONDS 30.0
#define MOST_FAILED_STARTS 3
#define MOST_TIMEOUTS 3 /* of one entry */

enum stage { STAGE_NONE, STAGE_OPENING, STAGE_IDLE, STAGE_BUSY, STAGE_CLOSING };

struct slot {
    struct qvl_worker worker;
    enum stage stage;
    int64_t running; /* case of STAGE_BUSY */
    bool calling;    /* the candidate's calls have begun */
    double started, deadline;
};

struct pool {
    const struct qvl_case *cases;
    const struct qvl_pool_options *options;
    struct qvl_pool_result *result;
    struct slot *slots;
    int slot_count;
    bool *taken, *large;              /* a case each */
    int64_t first_small, first_large; /* no case before them is of that kind and not taken */
    int64_t left;                     /* cases that are not taken */
    int64_t done;                     /* outcomes */
    int *timeouts;                    /* of an entry */
    bool large_runs;
    bool opened;       /* some worker has opened the backend */
    int failed_starts; /* without a finished case between them */
    bool stopped;      /* no more orders; status and error say why when it is not a signal */
    enum qvl_status status;
    struct qvl_error *error;
};

static volatile sig_atomic_t caught_signal;

static void note_signal(int number)
{
    caught_signal = number;
}

/* ---- Outcomes ---- */

static void finish(struct pool *pool, int64_t index, const struct qvl_outcome *outcome, bool journalled)
{
    char line[QVL_CASE_LINE_BYTES];
    struct qvl_outcome *kept = malloc(sizeof *kept);
    enum qvl_status status = QVL_OK;
    if (!kept) {
        status = qvl_fail(pool->error, QVL_NO_MEMORY, "no memory for the result of a case");
    } else {
        qvl_outcome_copy(kept, outcome);
        pool->result->outcomes[index] = kept;
        pool->done++;
        if (outcome->result.status == QVL_CASE_TIMEOUT)
            pool->timeouts[qvl_verify_op(pool->cases[index].check)]++;
    }
    qvl_case_print(&pool->cases[index], line);
    if (status == QVL_OK && pool->options->journal && !journalled)
        status = qvl_journal_add(pool->options->journal, line, outcome, pool->error);
    if (status != QVL_OK) {
        pool->status = status;
        pool->stopped = true;
    }
    if (pool->options->progress)
        pool->options->progress(pool->options->context, pool->done);
}

static void skip(struct qvl_outcome *outcome, int op)
{
    struct qvl_case_result result = {.status = QVL_CASE_SKIPPED};
    snprintf(result.message, sizeof result.message,
             "%d cases of %s before this one have timed out; name a case to run it alone", MOST_TIMEOUTS,
             qvl_verify_name(op));
    qvl_outcome_set(outcome, &result, 0);
}

/* Whether MOST_TIMEOUTS cases of its entry, all of them before this one, have timed out. */
static bool is_hopeless(const struct pool *pool, int64_t index)
{
    const int op = qvl_verify_op(pool->cases[index].check);
    int before = 0;
    if (pool->timeouts[op] < MOST_TIMEOUTS)
        return false;
    for (int64_t i = 0; i < index; i++)
        before += pool->result->outcomes[i] && qvl_verify_op(pool->cases[i].check) == op &&
                  pool->result->outcomes[i]->result.status == QVL_CASE_TIMEOUT;
    return before >= MOST_TIMEOUTS;
}

/* What ran although enough cases before it were to time out is skipped all the same, so that the report does
 * not depend on what ran at the same time. */
static void skip_hopeless(struct pool *pool)
{
    int *before = calloc((size_t)qvl_verify_op_count(), sizeof *before);
    for (int64_t i = 0; before && i < pool->result->count; i++) {
        struct qvl_outcome *outcome = pool->result->outcomes[i];
        const int op = qvl_verify_op(pool->cases[i].check);
        if (outcome && before[op] >= MOST_TIMEOUTS)
            skip(outcome, op);
        else if (outcome)
            before[op] += outcome->result.status == QVL_CASE_TIMEOUT;
    }
    free(before);
}

/* The running case ended with the worker. */
static void finish_lost(struct pool *pool, struct slot *slot, enum qvl_case_status status, const char *how)
{
    struct qvl_case_result result = {.status = status};
    struct qvl_outcome outcome;
    snprintf(result.message, sizeof result.message, "%s", how);
    qvl_outcome_set(&outcome, &result, qvl_clock() - slot->started);
    snprintf(outcome.noise, sizeof outcome.noise, "%s", slot->worker.tail);
    pool->large_runs = pool->large_runs && !pool->large[slot->running];
    finish(pool, slot->running, &outcome, false);
}

/* ---- Faults that are no case's ---- */

static void stop(struct pool *pool, enum qvl_status status)
{
    pool->status = status;
    pool->stopped = true;
}

/* The first one is kept. */
static void note_fault(struct pool *pool, enum qvl_case_status status, const char *when, const char *how)
{
    if (pool->result->fault != QVL_CASE_NONE)
        return;
    pool->result->fault = status;
    snprintf(pool->result->fault_message, sizeof pool->result->fault_message, "%s: %s", when, how);
}

/* A worker ended without a case to blame: it starts again, but not for ever. */
static void note_failed_start(struct pool *pool, const char *when, const char *how, bool hopeless)
{
    const char *backend = pool->options->setup.backend;
    if (++pool->failed_starts < MOST_FAILED_STARTS && !hopeless)
        return;
    if (pool->opened) {
        char where[128];
        snprintf(where, sizeof where, "%s, %d times in a row; the rest is not run", when,
                 pool->failed_starts);
        note_fault(pool, QVL_CASE_CRASHED, where, how);
        pool->stopped = true;
        return;
    }
    stop(pool, qvl_fail(pool->error, QVL_UNAVAILABLE, "backend %s: %s: %s", backend, when, how));
}

/* "killed by SIGSEGV (Segmentation fault): LAST LINE OF ITS STDERR" */
static bool end_worker(struct slot *slot, char how[512])
{
    char lines[sizeof slot->worker.tail];
    const bool good = qvl_worker_end(&slot->worker, how, 512);
    memcpy(lines, slot->worker.tail, sizeof lines);
    size_t length = strlen(lines);
    while (length > 0 && (lines[length - 1] == '\n' || lines[length - 1] == ' '))
        lines[--length] = '\0';
    const char *last = strrchr(lines, '\n');
    const size_t used = strlen(how);
    if (length > 0)
        snprintf(how + used, 512 - used, ": %.300s", last ? last + 1 : lines);
    return good;
}

/* The worker's answers have ended. */
static void bury(struct pool *pool, struct slot *slot)
{
    char how[512];
    const bool good = end_worker(slot, how);
    switch (slot->stage) {
    case STAGE_OPENING: note_failed_start(pool, "crashed while it was opened", how, false); break;
    case STAGE_BUSY: finish_lost(pool, slot, QVL_CASE_CRASHED, how); break;
    case STAGE_CLOSING:
        if (!good)
            note_fault(pool, QVL_CASE_CRASHED, "on closing the backend", how);
        break;
    default: /* no case can be blamed */
        note_fault(pool, QVL_CASE_CRASHED, "between two cases", how);
        note_failed_start(pool, "ended between two cases", how, false);
    }
    slot->stage = STAGE_NONE;
}

static void time_out(struct pool *pool, struct slot *slot)
{
    const double limit = pool->options->limit;
    char how[512], late[128];
    qvl_worker_kill(&slot->worker);
    (void)qvl_worker_end(&slot->worker, how, sizeof how);
    switch (slot->stage) {
    case STAGE_BUSY:
        if (slot->calling)
            snprintf(late, sizeof late, "the call did not return within %g s", limit);
        else
            snprintf(late, sizeof late, "the check did not end within %g s", limit * QVL_POOL_CHECK_LIMITS);
        finish_lost(pool, slot, QVL_CASE_TIMEOUT, late);
        break;
    case STAGE_OPENING:
        snprintf(late, sizeof late, "no answer within %g s", OPEN_SECONDS);
        note_failed_start(pool, "hung while it was opened", late, true);
        break;
    default:
        snprintf(late, sizeof late, "no end within %g s", CLOSE_SECONDS);
        note_fault(pool, QVL_CASE_TIMEOUT, "on closing the backend", late);
    }
    slot->stage = STAGE_NONE;
}

/* ---- Orders ---- */

static int64_t first_untaken(struct pool *pool, bool large)
{
    int64_t *first = large ? &pool->first_large : &pool->first_small;
    while (*first < pool->result->count && (pool->taken[*first] || pool->large[*first] != large))
        ++*first;
    return *first < pool->result->count ? *first : -1;
}

/* The next case to run: one with much memory when none runs, so that the long ones do not come last; -1: none
 * may start now. */
static int64_t pick(struct pool *pool)
{
    const int64_t large = pool->large_runs ? -1 : first_untaken(pool, true);
    return large >= 0 ? large : first_untaken(pool, false);
}

static void give_order(struct pool *pool, struct slot *slot)
{
    char line[QVL_CASE_LINE_BYTES];
    struct qvl_outcome skipped;
    int64_t index;
    while ((index = pick(pool)) >= 0 && is_hopeless(pool, index)) {
        skip(&skipped, qvl_verify_op(pool->cases[index].check));
        pool->taken[index] = true;
        pool->left--;
        finish(pool, index, &skipped, true);
    }
    if (index < 0)
        return;
    qvl_case_print(&pool->cases[index], line);
    if (!qvl_worker_order(&slot->worker, line))
        return; /* it is gone, and the end of its answers will say so */
    pool->taken[index] = true;
    pool->left--;
    pool->large_runs = pool->large_runs || pool->large[index];
    slot->stage = STAGE_BUSY;
    slot->running = index;
    slot->calling = false;
    slot->worker.tail[0] = '\0';
    slot->started = qvl_clock();
    slot->deadline = slot->started + pool->options->limit * QVL_POOL_CHECK_LIMITS;
}

static void start_slot(struct pool *pool, struct slot *slot)
{
    const enum qvl_status status = qvl_worker_start(&slot->worker, &pool->options->setup, pool->error);
    if (status != QVL_OK) {
        stop(pool, status);
        return;
    }
    slot->stage = STAGE_OPENING;
    slot->deadline = qvl_clock() + OPEN_SECONDS;
}

static void dismiss(struct slot *slot)
{
    qvl_worker_dismiss(&slot->worker);
    slot->stage = STAGE_CLOSING;
    slot->deadline = qvl_clock() + CLOSE_SECONDS;
}

/* ---- Answers ---- */

/* "STATUS MESSAGE" */
static void take_error(struct pool *pool, struct slot *slot, char *text)
{
    char *message;
    const long status = strtol(text, &message, 10);
    message += *message == ' ';
    if (slot->stage == STAGE_OPENING && pool->opened) {
        note_failed_start(pool, "the backend does not open any more", message, true);
        return;
    }
    stop(pool,
         qvl_fail(pool->error,
                  status > QVL_OK && status < QVL_STATUS_COUNT ? (enum qvl_status)status : QVL_UNAVAILABLE,
                  "%s", message));
}

static void take_outcome(struct pool *pool, struct slot *slot, const char *text)
{
    char line[QVL_CASE_LINE_BYTES], asked[QVL_CASE_LINE_BYTES];
    struct qvl_outcome outcome;
    qvl_case_print(&pool->cases[slot->running], asked);
    if (!qvl_outcome_parse(text, line, &outcome) || strcmp(line, asked) != 0) {
        qvl_worker_kill(&slot->worker); /* somebody else writes to its pipe */
        return;
    }
    qvl_worker_hear(&slot->worker);
    slot->stage = STAGE_IDLE;
    pool->failed_starts = 0;
    pool->large_runs = pool->large_runs && !pool->large[slot->running];
    finish(pool, slot->running, &outcome, false);
}

static void take_answer(struct pool *pool, struct slot *slot, char *line)
{
    const double now = qvl_clock();
    char *text = line + strcspn(line, " ");
    if (*text)
        *text++ = '\0';
    if (strcmp(line, "ready") == 0 && slot->stage == STAGE_OPENING) {
        slot->stage = STAGE_IDLE;
        pool->opened = true;
    } else if (strcmp(line, "error") == 0) {
        take_error(pool, slot, text);
    } else if (slot->stage == STAGE_BUSY && strcmp(line, "call") == 0) {
        slot->calling = true;
        slot->deadline = now + pool->options->limit;
    } else if (slot->stage == STAGE_BUSY && strcmp(line, "check") == 0) {
        slot->calling = false;
        slot->deadline = now + pool->options->limit * QVL_POOL_CHECK_LIMITS;
    } else if (slot->stage == STAGE_BUSY && strcmp(line, "done") == 0) {
        take_outcome(pool, slot, text);
    }
}

static void listen_to(struct pool *pool, struct slot *slot)
{
    char line[QVL_OUTCOME_BYTES];
    const bool more = qvl_worker_listen(&slot->worker);
    while (!pool->stopped && qvl_worker_answer(&slot->worker, line))
        take_answer(pool, slot, line);
    if (!more && !pool->stopped)
        bury(pool, slot);
}

/* ---- The loop ---- */

/* What each worker should do next. Returns how many processes there are. */
static int direct(struct pool *pool)
{
    int alive = 0;
    for (int i = 0; i < pool->slot_count && !pool->stopped; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->stage == STAGE_NONE && pool->left > 0)
            start_slot(pool, slot);
        else if (slot->stage == STAGE_IDLE && pool->left > 0)
            give_order(pool, slot);
        else if (slot->stage == STAGE_IDLE)
            dismiss(slot);
        alive += slot->stage != STAGE_NONE;
    }
    return alive;
}

static void wait_for_answers(struct pool *pool, struct pollfd *waits)
{
    for (int i = 0; i < pool->slot_count; i++) {
        const struct slot *slot = &pool->slots[i];
        const bool alive = slot->stage != STAGE_NONE;
        waits[2 * i] = (struct pollfd){.fd = alive ? slot->worker.answers : -1, .events = POLLIN};
        waits[2 * i + 1] = (struct pollfd){.fd = alive ? slot->worker.noise : -1, .events = POLLIN};
    }
    if (poll(waits, 2 * (nfds_t)pool->slot_count, TICK_MILLISECONDS) < 0)
        return; /* a signal */
    for (int i = 0; i < pool->slot_count && !pool->stopped; i++) {
        struct slot *slot = &pool->slots[i];
        if (waits[2 * i + 1].revents)
            qvl_worker_hear(&slot->worker);
        if (waits[2 * i].revents)
            listen_to(pool, slot);
        else if (slot->stage != STAGE_NONE && slot->stage != STAGE_IDLE && qvl_clock() > slot->deadline)
            time_out(pool, slot);
    }
}

static void run_workers(struct pool *pool, struct pollfd *waits)
{
    char how[128];
    while (!pool->stopped && direct(pool) > 0 && !pool->stopped) {
        wait_for_answers(pool, waits);
        if (caught_signal) {
            pool->result->signal = caught_signal;
            pool->stopped = true;
        }
    }
    for (int i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->stage == STAGE_NONE)
            continue;
        qvl_worker_kill(&slot->worker);
        (void)qvl_worker_end(&slot->worker, how, sizeof how);
    }
}

/* Without workers. */
static void run_here(struct pool *pool)
{
    const struct qvl_worker_setup *setup = &pool->options->setup;
    struct qvl_runner runner = {.calling = NULL};
    struct qvl_outcome outcome;
    pool->status = qvl_runner_open(&runner, setup->backend, setup->threads, setup->save, pool->error);
    if (pool->status != QVL_OK)
        return;
    for (int64_t i = 0; i < pool->result->count && !pool->stopped; i++) {
        if (pool->taken[i])
            continue;
        pool->status = qvl_runner_run(&runner, &pool->cases[i], &outcome, pool->error);
        if (pool->status != QVL_OK)
            break;
        finish(pool, i, &outcome, false);
        pool->result->signal = caught_signal;
        pool->stopped = pool->stopped || caught_signal;
    }
    qvl_runner_close(&runner);
}

/* What the journal has is taken over; what needs much memory is marked. */
static void prepare(struct pool *pool)
{
    pool->left = pool->result->count;
    for (int64_t i = 0; i < pool->result->count; i++) {
        char line[QVL_CASE_LINE_BYTES];
        qvl_case_print(&pool->cases[i], line);
        const struct qvl_outcome *before =
            pool->options->journal ? qvl_journal_find(pool->options->journal, line) : NULL;
        pool->large[i] = qvl_case_bytes(&pool->cases[i]) > 0;
        if (!before)
            continue;
        pool->taken[i] = true;
        pool->left--;
        finish(pool, i, before, true);
    }
}

static void run_all(struct pool *pool, struct pollfd *waits)
{
    const struct sigaction note = {.sa_handler = note_signal}, ignore = {.sa_handler = SIG_IGN};
    struct sigaction old_int, old_term, old_pipe;
    caught_signal = 0;
    sigaction(SIGINT, &note, &old_int);
    sigaction(SIGTERM, &note, &old_term);
    sigaction(SIGPIPE, &ignore, &old_pipe); /* a worker that is gone */
    prepare(pool);
    if (pool->left > 0 && pool->options->jobs > 0)
        run_workers(pool, waits);
    else if (pool->left > 0)
        run_here(pool);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGPIPE, &old_pipe, NULL);
    skip_hopeless(pool);
}

enum qvl_status qvl_pool_run(const struct qvl_case *cases, int64_t count,
                             const struct qvl_pool_options *options, struct qvl_pool_result *result,
                             struct qvl_error *error)
{
    const int slots = options->jobs < count ? options->jobs : (int)count;
    struct pool pool = {
        .cases = cases, .options = options, .result = result, .slot_count = slots, .error = error};
    struct pollfd *waits = calloc(2 * (size_t)slots + 1, sizeof *waits);
    *result = (struct qvl_pool_result){.count = count};
    result->outcomes = calloc((size_t)count + 1, sizeof(struct qvl_outcome *));
    pool.slots = calloc((size_t)slots + 1, sizeof *pool.slots);
    pool.taken = calloc((size_t)count + 1, sizeof *pool.taken);
    pool.large = calloc((size_t)count + 1, sizeof *pool.large);
    pool.timeouts = calloc((size_t)qvl_verify_op_count(), sizeof *pool.timeouts);
    if (waits && result->outcomes && pool.slots && pool.taken && pool.large && pool.timeouts)
        run_all(&pool, waits);
    else
        pool.status = qvl_fail(error, QVL_NO_MEMORY, "no memory to run %lld cases", (long long)count);
    free(waits);
    free(pool.slots);
    free(pool.taken);
    free(pool.large);
    free(pool.timeouts);
    return pool.status;
}

void qvl_pool_result_clear(struct qvl_pool_result *result)
{
    for (int64_t i = 0; result->outcomes && i < result->count; i++)
        free(result->outcomes[i]);
    free(result->outcomes);
    *result = (struct qvl_pool_result){.count = 0};
}
