/* sample: one token from float32 logits. Penalties and temperature are applied in float32 as in the original;
 * probabilities and their sums are formed in double. */
#include <stdlib.h>

#include "cpu_state.h"

struct candidate {
    double value; /* logit, later exp(logit - largest) */
    int64_t id;
};

#define SHORT_TOP_K 256 /* up to here the k largest are kept in a sorted array while the logits pass by */

/* By value, NaN as -inf, equal values by id. */
static int ascending(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    double x = isnan(a->value) ? -INFINITY : a->value, y = isnan(b->value) ? -INFINITY : b->value;
    if (x != y)
        return x < y ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static void mark(const int64_t *ids, int64_t count, bool *seen)
{
    for (int64_t i = 0; i < count; i++)
        seen[ids[i]] = true;
}

/* Repetition once for each id of prompt or output, presence once for each id of the output. */
static void penalise(const struct qvl_sample_args *args, float *logits, bool *seen, int64_t vocab)
{
    float factor = (float)args->repetition_penalty;
    memset(seen, 0, (size_t)vocab * sizeof *seen);
    mark(args->prompt, args->prompt_count, seen);
    mark(args->output, args->output_count, seen);
    for (int64_t id = 0; id < vocab && factor != 1; id++)
        if (seen[id])
            logits[id] = logits[id] < 0 ? logits[id] * factor : logits[id] / factor;
    memset(seen, 0, (size_t)vocab * sizeof *seen);
    mark(args->output, args->output_count, seen);
    for (int64_t id = 0; id < vocab; id++)
        if (seen[id])
            logits[id] -= (float)args->presence_penalty;
}

static int64_t argmax(const float *logits, int64_t vocab)
{
    int64_t best = 0;
    for (int64_t id = 1; id < vocab; id++)
        if (logits[id] > logits[best])
            best = id;
    return best;
}

/* The k-th largest of the logits, k <= SHORT_TOP_K; -inf, so that nothing is dropped, when one is NaN. */
static float kth_largest(const float *logits, int64_t vocab, int64_t k)
{
    float best[SHORT_TOP_K]; /* descending */
    int64_t held = 0;
    for (int64_t id = 0; id < vocab; id++) {
        float value = logits[id];
        int64_t at = held < k ? held : k - 1;
        if (isnan(value))
            return -INFINITY;
        if (held == k && !(value > best[k - 1]))
            continue;
        for (; at > 0 && best[at - 1] < value; at--)
            best[at] = best[at - 1];
        best[at] = value;
        held += held < k;
    }
    return best[k - 1];
}

/* Candidates in ascending order without those that top-k drops. */
static int64_t collect(const struct qvl_sample_args *args, const float *logits, int64_t vocab,
                       struct candidate *list)
{
    int64_t count = 0, first = 0;
    bool cut = args->top_k > 0 && args->top_k < vocab;
    float limit = cut && args->top_k <= SHORT_TOP_K ? kth_largest(logits, vocab, args->top_k) : -INFINITY;
    for (int64_t id = 0; id < vocab; id++)
        if (!(logits[id] < limit))
            list[count++] = (struct candidate){logits[id], id};
    qsort(list, (size_t)count, sizeof *list, ascending);
    while (cut && list[first].value < list[count - args->top_k].value)
        first++;
    memmove(list, list + first, (size_t)(count - first) * sizeof *list);
    return count - first;
}

/* Values become exp(value - largest); returns their sum. */
static double exponentiate(struct candidate *list, int64_t count)
{
    double largest = list[count - 1].value, total = 0;
    for (int64_t i = 0; i < count; i++) {
        list[i].value = exp(list[i].value - largest);
        total += list[i].value;
    }
    return total;
}

/* The first candidate that top-p keeps: the ones before it have a cumulative probability of at most 1 - p. */
static int64_t first_of_top_p(const struct qvl_sample_args *args, const struct candidate *list, int64_t count,
                              double total)
{
    double sum = 0;
    int64_t first = 0;
    for (; args->top_p < 1 && first < count - 1; first++) {
        sum += list[first].value / total;
        if (sum > 1 - args->top_p)
            break;
    }
    return first;
}

/* The first id whose cumulative probability exceeds `uniform`, or `fallback` where rounding or NaN leaves
 * none. */
static int64_t draw(const double *probability, int64_t vocab, double uniform, int64_t fallback)
{
    double sum = 0;
    for (int64_t id = 0; id < vocab; id++) {
        sum += probability[id];
        if (sum > uniform)
            return id;
    }
    return fallback;
}

/* The distribution that is left, over the whole vocabulary. */
static void distribution(const struct qvl_sample_args *args, float *logits, int64_t vocab,
                         struct candidate *list, double *probability)
{
    int64_t count, first;
    double total, kept = 0;
    for (int64_t id = 0; id < vocab; id++)
        logits[id] /= (float)args->temperature;
    count = collect(args, logits, vocab, list);
    total = exponentiate(list, count);
    first = first_of_top_p(args, list, count, total);
    for (int64_t i = first; i < count; i++)
        kept += list[i].value;
    memset(probability, 0, (size_t)vocab * sizeof *probability);
    for (int64_t i = first; i < count; i++)
        probability[list[i].id] = list[i].value / kept;
}

enum qvl_status qvl_cpu_sample(struct qvl_backend *backend, const struct qvl_sample_args *args,
                               struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    int64_t vocab = args->logits.shape[0], best;
    struct candidate *list;
    float *logits;
    double *probability;
    bool *seen;
    QVL_TRY(qvl_sample_check(args, error));
    CPU_SCRATCH(state, logits, vocab * (int64_t)sizeof *logits, error);
    CPU_SCRATCH(state, seen, vocab * (int64_t)sizeof *seen, error);
    CPU_SCRATCH(state, list, vocab * (int64_t)sizeof *list, error);
    CPU_SCRATCH(state, probability, vocab * (int64_t)sizeof *probability, error);
    memcpy(logits, args->logits.data, (size_t)vocab * sizeof *logits);
    penalise(args, logits, seen, vocab);
    best = argmax(logits, vocab);
    if (args->greedy) {
        memset(probability, 0, (size_t)vocab * sizeof *probability);
        probability[best] = 1;
        *args->token = best;
    } else {
        distribution(args, logits, vocab, list, probability);
        *args->token = draw(probability, vocab, args->uniform, best);
    }
    for (int64_t id = 0; args->probabilities && id < vocab; id++)
        args->probabilities[id] = (float)probability[id];
    return QVL_OK;
}
