#include "cli/timed_case.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"

/* ---- what is shared ---- */

static enum qvl_status make_thrash(struct qvl_timing *timing, struct qvl_error *error)
{
    /* one and a half times the last cache, in the backend's memory and on the host */
    const int64_t least = INT64_C(64) << 20, most = INT64_C(512) << 20;
    const int64_t last_cache = (int64_t)sysconf(_SC_LEVEL3_CACHE_SIZE);
    int64_t bytes = last_cache + last_cache / 2;
    bytes = bytes < least ? least : bytes > most ? most : bytes;
    timing->source = malloc((size_t)bytes);
    if (!timing->source)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld bytes that drive out the caches",
                        (long long)bytes);
    memset(timing->source, 1, (size_t)bytes);
    timing->thrash_bytes = bytes;
    return timing->candidate->allocate(timing->candidate, (size_t)bytes, &timing->thrash, error);
}

void qvl_timing_close(struct qvl_timing *timing)
{
    timing->candidate->release(timing->candidate, timing->thrash);
    free(timing->source);
    timing->thrash = timing->source = NULL;
}

static enum qvl_status drive_out(const struct qvl_timing *timing, struct qvl_error *error)
{
    const struct qvl_tensor all = qvl_tensor_1d(timing->thrash, QVL_U8, timing->thrash_bytes);
    QVL_TRY(timing->candidate->upload(timing->candidate, &all, timing->source, error));
    return timing->candidate->sync(timing->candidate, error);
}

/* ---- work ---- */

static double number(const struct qvl_case *chosen, const char *name)
{
    for (int i = 0; qvl_verify_number(chosen->check, i); i++)
        if (strcmp(qvl_verify_number(chosen->check, i), name) == 0)
            return (double)chosen->numbers[i];
    return 0;
}

double qvl_timed_flops(const struct qvl_case *c)
{
    const char *op = qvl_verify_name(c->check);
    const double rows = number(c, "rows"), in = number(c, "in"), out = number(c, "out");
    const double width = number(c, "group") * number(c, "dim");
    if (strcmp(op, "linear") == 0 || strcmp(op, "patch_embed") == 0)
        return 2 * rows * in * out;
    if (strcmp(op, "output_head") == 0)
        return 2 * (number(c, "chosen") > 0 ? number(c, "chosen") : rows) * number(c, "dim") *
               number(c, "vocab");
    if (strcmp(op, "merger") == 0)
        return 2 * number(c, "tokens") * width * (width + out);
    if (strcmp(op, "vision_attention") == 0)
        return 4 * number(c, "heads") * number(c, "d") *
               (number(c, "a") * number(c, "a") + number(c, "b") * number(c, "b") +
                number(c, "c") * number(c, "c"));
    if (strcmp(op, "attention") == 0) /* of the first sequence: causal, exact */
        return 4 * number(c, "heads") * number(c, "d") * (rows * number(c, "past") + rows * (rows + 1) / 2);
    if (strcmp(op, "moe_experts") == 0)
        return 6 * rows * number(c, "k") * number(c, "dim") * number(c, "ffn");
    return 0;
}

double qvl_timed_weights(const struct qvl_case *c)
{
    const char *op = qvl_verify_name(c->check);
    const double in = number(c, "in"), out = number(c, "out"), dim = number(c, "dim");
    const double width = number(c, "group") * dim;
    if (strcmp(op, "linear") == 0 || strcmp(op, "patch_embed") == 0)
        return in * out;
    if (strcmp(op, "output_head") == 0 || strcmp(op, "embed") == 0)
        return number(c, "vocab") * dim;
    if (strcmp(op, "merger") == 0)
        return width * (width + out);
    if (strcmp(op, "pos_interp") == 0)
        return number(c, "side") * number(c, "side") * dim;
    if (strcmp(op, "moe_experts") == 0)
        return 3 * number(c, "experts") * dim * number(c, "ffn");
    return 0;
}

/* The least that any implementation moves: of tables only the rows it takes, of experts those of one row. */
static double least_bytes(const struct qvl_case *c, const struct qvl_repeated_bytes *sizes)
{
    const char *op = qvl_verify_name(c->check);
    if (strcmp(op, "embed") == 0)
        return 2 * sizes->outputs;
    if (strcmp(op, "scatter_rows") == 0 || strcmp(op, "add_rows") == 0)
        return 2 * number(c, "src") * number(c, "dim") * (double)qvl_dtype_bytes(c->dtype);
    if (strcmp(op, "pos_interp") == 0 || strcmp(op, "output_head") == 0)
        return sizes->outputs + sizes->weights;
    if (strcmp(op, "moe_experts") == 0)
        return sizes->inputs + sizes->outputs + sizes->weights * number(c, "k") / number(c, "experts");
    return sizes->inputs + sizes->outputs + sizes->weights;
}

struct qvl_work qvl_timed_work(const struct qvl_timed_case *timed)
{
    const struct qvl_repeated_bytes sizes = qvl_repeated_sizes(timed->repeated);
    return (struct qvl_work){.flops = qvl_timed_flops(&timed->chosen),
                             .bytes = least_bytes(&timed->chosen, &sizes),
                             .cold = timed->cold};
}

/* ---- a block ---- */

static const char *told(struct qvl_timed_case *timed, enum qvl_status status)
{
    timed->why.status = status;
    return status == QVL_OK ? NULL : timed->why.message;
}

/* One call on the inputs of a number. */
static enum qvl_status call(struct qvl_timed_case *timed, uint64_t index, struct qvl_call_time *time,
                            struct qvl_error *error)
{
    QVL_TRY(qvl_repeated_load(timed->repeated, index, error));
    if (timed->cold && !timed->timing->thrash)
        QVL_TRY(make_thrash(timed->timing, error));
    if (timed->cold)
        QVL_TRY(drive_out(timed->timing, error));
    return qvl_repeated_call(timed->repeated, time, error);
}

const char *qvl_timed_begin(struct qvl_timed_case *timed)
{
    struct qvl_call_time ignored;
    enum qvl_status status = QVL_OK;
    timed->why = (struct qvl_error){0};
    timed->samples.count = 0;
    if (!timed->repeated) {
        status = qvl_repeated_open(&timed->chosen, timed->timing->reference, timed->timing->candidate,
                                   &timed->repeated, &timed->why);
        for (int i = 0; i < 2 && status == QVL_OK; i++)
            status = call(timed, timed->calls++, &ignored, &timed->why);
    }
    timed->before = qvl_moment_now();
    return told(timed, status);
}

static bool make_room(struct qvl_timed_case *timed)
{
    if (timed->samples.count < timed->capacity)
        return true;
    const int64_t wanted = timed->capacity ? 2 * timed->capacity : 64;
    double *values = realloc(timed->samples.values, (size_t)wanted * sizeof *values);
    if (values)
        timed->samples.values = values;
    double *settles = realloc(timed->settles, (size_t)wanted * sizeof *settles);
    if (settles)
        timed->settles = settles;
    if (values && settles)
        timed->capacity = wanted;
    return values && settles;
}

/* Keep the outputs of call n of a block (from 0) when it is the first, or drawn: each later one has the same
 * chance to be the one that is kept in the end. The last is kept at the end. */
static enum qvl_status keep(struct qvl_timed_case *timed, int64_t n, struct qvl_error *error)
{
    if (n > 0 && qvl_random_below(timed->chosen.seed, 99, timed->calls, (uint64_t)n) != 0)
        return QVL_OK;
    return qvl_repeated_keep(timed->repeated, n == 0 ? 0 : 1, error);
}

const char *qvl_timed_iterate(struct qvl_timed_case *timed, double *seconds)
{
    struct qvl_call_time time;
    *seconds = 0;
    if (!make_room(timed))
        return told(timed, qvl_fail(&timed->why, QVL_NO_MEMORY, "no memory for timings"));
    enum qvl_status status = call(timed, timed->calls++, &time, &timed->why);
    if (status == QVL_OK)
        status = keep(timed, timed->samples.count, &timed->why);
    if (status != QVL_OK)
        return told(timed, status);
    timed->settles[timed->samples.count] = time.settle;
    timed->samples.values[timed->samples.count++] = time.seconds;
    *seconds = time.seconds;
    return NULL;
}

/* ---- gates ---- */

/* Shorter times are jitter of the reader, not work. */
#define LEAST_SETTLE 20e-6

static bool settled(struct qvl_timed_case *timed, struct qvl_timed_result *result)
{
    struct qvl_samples settles = {.values = timed->settles, .count = timed->samples.count};
    if (settles.count < 3 || qvl_samples_summarise(&settles, &timed->why) != QVL_OK)
        return true;
    if (settles.median < LEAST_SETTLE || settles.median < 0.5 * timed->samples.median)
        return true;
    snprintf(result->message, sizeof result->message,
             "sync returned after %.3g s, but the outputs were there only %.3g s later: the call had not "
             "finished",
             timed->samples.median, settles.median);
    return false;
}

/* A call with fresh inputs, and one with the same again: seconds of each. */
static enum qvl_status call_twice(struct qvl_timed_case *timed, double *fresh, double *again,
                                  struct qvl_error *error)
{
    struct qvl_call_time time;
    QVL_TRY(call(timed, timed->calls, &time, error));
    *fresh = time.seconds;
    QVL_TRY(call(timed, timed->calls++, &time, error));
    *again = time.seconds;
    return QVL_OK;
}

/* Answering inputs a second time must take as long as the first time. Pairs of calls vote: a burst of another
 * program in one of them, or small inputs that happen to have been there before, must not decide. */
static bool remembers(struct qvl_timed_case *timed, struct qvl_timed_result *result, struct qvl_error *error)
{
    enum { MAJORITY = 5 };
    int slow = 0, quick = 0;
    double fresh, again;
    while (slow < MAJORITY && quick < MAJORITY) {
        if (call_twice(timed, &fresh, &again, error) != QVL_OK) {
            result->status = QVL_CASE_FAILED;
            snprintf(result->message, sizeof result->message, "%.400s", error->message);
            return true;
        }
        if (fresh >= LEAST_SETTLE && again <= 0.5 * fresh)
            quick++;
        else
            slow++;
    }
    if (quick < MAJORITY)
        return false;
    snprintf(result->message, sizeof result->message,
             "inputs seen before are answered in %.3g s, fresh ones in %.3g s: outputs are remembered", again,
             fresh);
    return true;
}

static void judge_outputs(struct qvl_timed_case *timed, struct qvl_timed_result *result)
{
    struct qvl_case_result verdict = {.status = QVL_CASE_FAILED};
    struct qvl_error error;
    enum qvl_status status = qvl_repeated_keep(timed->repeated, 2, &error); /* of the last call */
    if (status == QVL_OK)
        status = qvl_repeated_judge(timed->repeated, &verdict, &error);
    result->status = status == QVL_OK ? verdict.status : QVL_CASE_FAILED;
    /* tolerances too wide for a verdict on arithmetic still tell outputs of these inputs from others */
    if (result->status == QVL_CASE_MISTRUSTED && verdict.failures == 0 && verdict.nmse < 1e-3)
        result->status = QVL_CASE_PASSED;
    if (result->status == QVL_CASE_PASSED)
        return;
    if (status != QVL_OK)
        snprintf(result->message, sizeof result->message, "%.400s", error.message);
    else
        snprintf(result->message, sizeof result->message,
                 "the outputs of a timed call are wrong: %lld of %lld elements, margin %.3g; %.200s",
                 (long long)verdict.failures, (long long)verdict.elements, verdict.margin, verdict.message);
}

static struct qvl_roofline roofline_of(const struct qvl_timed_case *timed)
{
    const struct qvl_timing *timing = timed->timing;
    const bool tf32 = timing->candidate->math.tf32;
    return timing->device ? qvl_roofline_of_device(timing->device, timed->chosen.dtype, tf32)
                          : qvl_roofline_of_host(timing->limits, timed->chosen.dtype, tf32);
}

static void apply_gates(struct qvl_timed_case *timed, struct qvl_timed_result *result)
{
    const struct qvl_roofline roofline = roofline_of(timed);
    const struct qvl_work work = qvl_timed_work(timed);
    struct qvl_error error;
    result->flops = work.flops;
    result->bytes = work.bytes;
    result->limit_fraction = qvl_physics_floor(&roofline, &work) / result->median; /* 0: no limit known */
    judge_outputs(timed, result);
    if (result->status != QVL_CASE_PASSED)
        return;
    if (!settled(timed, result) ||
        !qvl_physics_possible(&roofline, &work, result->minimum, result->message, sizeof result->message)) {
        result->status = QVL_CASE_INVALID;
        return;
    }
    if (remembers(timed, result, &error)) {
        if (result->status == QVL_CASE_PASSED)
            result->status = QVL_CASE_INVALID;
        return;
    }
    if (*result->conditions.broken && timed->timing->strict) {
        result->status = QVL_CASE_INVALID;
        snprintf(result->message, sizeof result->message, "%s", result->conditions.broken);
    }
}

void qvl_timed_end(struct qvl_timed_case *timed, struct qvl_timed_result *result)
{
    *result = (struct qvl_timed_result){.status = QVL_CASE_PASSED, .count = timed->samples.count};
    if (timed->why.status != QVL_OK) {
        result->status = timed->why.status == QVL_UNSUPPORTED ? QVL_CASE_UNSUPPORTED : QVL_CASE_FAILED;
        snprintf(result->message, sizeof result->message, "%.400s", timed->why.message);
        return;
    }
    if (timed->samples.count == 0 || qvl_samples_summarise(&timed->samples, &timed->why) != QVL_OK) {
        result->status = QVL_CASE_SKIPPED;
        return;
    }
    const struct qvl_moment after = qvl_moment_now();
    result->median = timed->samples.median;
    result->minimum = timed->samples.minimum;
    result->mad = timed->samples.mad;
    result->conditions = qvl_conditions_between(&timed->before, &after, qvl_samples_noise(&timed->samples));
    apply_gates(timed, result);
}

void qvl_timed_close(struct qvl_timed_case *timed)
{
    qvl_repeated_close(timed->repeated);
    free(timed->samples.values);
    free(timed->settles);
    timed->repeated = NULL;
    timed->samples = (struct qvl_samples){0};
    timed->settles = NULL;
    timed->capacity = 0;
}
