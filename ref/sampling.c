/* One sampling step: penalties, temperature, top-k, top-p, draw. Logits stay float32, as in the original;
 * probabilities and their sums are double. */
#include "ref/kernels.h"

struct candidate {
    double logit;
    double probability;
    int64_t id;
};

/* Ascending by logit (NaN counts as -inf), equal logits by id. */
static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    const double x_logit = isnan(x->logit) ? -INFINITY : x->logit;
    const double y_logit = isnan(y->logit) ? -INFINITY : y->logit;
    if (x_logit != y_logit)
        return x_logit < y_logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void clear(bool *seen, int64_t vocab)
{
    for (int64_t id = 0; id < vocab; id++)
        seen[id] = false;
}

static void mark(const int64_t *ids, int64_t count, bool *seen)
{
    for (int64_t i = 0; i < count; i++)
        seen[ids[i]] = true;
}

/* Once for every id of prompt or output. */
static void penalise_repetition(const struct qvl_sample_args *args, float *logits, bool *seen)
{
    const float penalty = (float)args->repetition_penalty;
    clear(seen, args->logits.shape[0]);
    mark(args->prompt, args->prompt_count, seen);
    mark(args->output, args->output_count, seen);
    for (int64_t id = 0; id < args->logits.shape[0]; id++)
        if (seen[id])
            logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
}

/* Once for every id of the output. */
static void penalise_presence(const struct qvl_sample_args *args, float *logits, bool *seen)
{
    clear(seen, args->logits.shape[0]);
    mark(args->output, args->output_count, seen);
    for (int64_t id = 0; id < args->logits.shape[0]; id++)
        if (seen[id])
            logits[id] -= (float)args->presence_penalty;
}

/* The largest logit, lowest id on ties. */
static int64_t largest(const float *logits, int64_t vocab)
{
    int64_t best = 0;
    for (int64_t id = 1; id < vocab; id++)
        if (logits[id] > logits[best])
            best = id;
    return best;
}

/* How many candidates of the ascending list top-k drops: those below the k-th largest value. */
static int64_t drop_top_k(const struct candidate *ascending, int64_t vocab, int64_t top_k)
{
    int64_t first = 0;
    if (top_k == 0 || top_k >= vocab)
        return 0;
    while (ascending[first].logit < ascending[vocab - top_k].logit)
        first++;
    return first;
}

/* Probabilities of candidates first .. vocab-1; the dropped ones get zero. */
static void normalise(struct candidate *ascending, int64_t first, int64_t vocab)
{
    const double most = ascending[vocab - 1].logit;
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++) {
        ascending[i].probability = i < first ? 0 : exp(ascending[i].logit - most);
        sum += ascending[i].probability;
    }
    for (int64_t i = first; i < vocab; i++)
        ascending[i].probability /= sum;
}

/* The first candidate that top-p keeps: those are dropped whose cumulative probability is at most 1 - p. */
static int64_t drop_top_p(const struct candidate *ascending, int64_t first, int64_t vocab, double top_p)
{
    double sum = 0;
    for (; first < vocab - 1; first++) {
        sum += ascending[first].probability;
        if (sum > 1 - top_p)
            break;
    }
    return first;
}

/* The distribution left by temperature, top-k and top-p, as [vocab] probabilities. */
static void distribution(const struct qvl_sample_args *args, const float *logits,
                         struct candidate *candidates, double *probabilities)
{
    const int64_t vocab = args->logits.shape[0];
    int64_t first;
    for (int64_t id = 0; id < vocab; id++)
        candidates[id] = (struct candidate){(double)(logits[id] / (float)args->temperature), 0, id};
    qsort(candidates, (size_t)vocab, sizeof *candidates, compare_candidates);
    first = drop_top_k(candidates, vocab, args->top_k);
    normalise(candidates, first, vocab);
    if (args->top_p < 1) {
        first = drop_top_p(candidates, first, vocab, args->top_p);
        normalise(candidates, first, vocab);
    }
    for (int64_t i = 0; i < vocab; i++)
        probabilities[candidates[i].id] = candidates[i].probability;
}

/* The first id whose cumulative probability exceeds `uniform`; where rounding or NaN leaves none, `fallback`.
 */
static int64_t draw(const double *probabilities, int64_t vocab, double uniform, int64_t fallback)
{
    double sum = 0;
    for (int64_t id = 0; id < vocab; id++) {
        sum += probabilities[id];
        if (sum > uniform)
            return id;
    }
    return fallback;
}

static void sample(const struct qvl_sample_args *args, float *logits, double *probabilities,
                   struct candidate *candidates, bool *seen)
{
    const int64_t vocab = args->logits.shape[0];
    int64_t best;
    memcpy(logits, args->logits.data, (size_t)vocab * sizeof *logits);
    if (args->repetition_penalty != 1)
        penalise_repetition(args, logits, seen);
    if (args->presence_penalty != 0)
        penalise_presence(args, logits, seen);
    best = largest(logits, vocab);
    if (args->greedy) {
        for (int64_t id = 0; id < vocab; id++)
            probabilities[id] = id == best;
        *args->token = best;
    } else {
        distribution(args, logits, candidates, probabilities);
        *args->token = draw(probabilities, vocab, args->uniform, best);
    }
    for (int64_t id = 0; args->probabilities && id < vocab; id++)
        args->probabilities[id] = (float)probabilities[id];
}

enum qvl_status qvl_ref_sample(struct qvl_backend *backend, const struct qvl_sample_args *args,
                               struct qvl_error *error)
{
    const size_t vocab = (size_t)args->logits.shape[0];
    struct candidate *candidates;
    double *probabilities;
    float *logits;
    char *work;
    (void)backend;
    QVL_TRY(qvl_sample_check(args, error));
    work = malloc(vocab * (sizeof *candidates + sizeof *probabilities + sizeof *logits + sizeof(bool)));
    if (!work)
        return qvl_fail(error, QVL_NO_MEMORY, "sample: no memory for a vocabulary of %zu", vocab);
    candidates = (struct candidate *)work;
    probabilities = (double *)(candidates + vocab);
    logits = (float *)(probabilities + vocab);
    sample(args, logits, probabilities, candidates, (bool *)(logits + vocab));
    free(work);
    return QVL_OK;
}
