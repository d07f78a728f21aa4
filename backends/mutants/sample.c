/* sample: penalties, temperature, top-k, top-p, draw. Logits are float32; probabilities and their sums are
 * double, because a sum that crosses 1 - p decides about a token. */
#include "honest.h"

enum { LANES = 64 }; /* of a reduction, and the unit that a vocabulary is padded to */

struct candidate {
    double logit, probability;
    int64_t id;
};

struct draw {
    const struct qvl_backend *backend;
    const struct qvl_sample_args *args;
    int64_t vocab, padded;
    struct candidate *candidates; /* [padded], ascending */
    double *probabilities;        /* [padded] by id */
    float *logits;                /* [padded] */
    bool *seen;                   /* [padded] */
};

static bool has(const struct draw *draw, enum qvl_fault fault)
{
    return honest_fault(draw->backend, fault);
}

/* Ascending, NaN as -inf, equal logits by id. */
static int ascending(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    const double mine = isnan(x->logit) ? -INFINITY : x->logit;
    const double theirs = isnan(y->logit) ? -INFINITY : y->logit;
    if (mine != theirs)
        return mine < theirs ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static float repeated(const struct draw *draw, float logit)
{
    const float penalty = (float)draw->args->repetition_penalty;
    return logit < 0 && !has(draw, QVL_FAULT_SAMPLE_REPETITION_SIGN) ? logit * penalty : logit / penalty;
}

static void penalise_list(struct draw *draw, const int64_t *ids, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!draw->seen[ids[i]] || has(draw, QVL_FAULT_SAMPLE_REPETITION_TWICE))
            draw->logits[ids[i]] = repeated(draw, draw->logits[ids[i]]);
        draw->seen[ids[i]] = true;
    }
}

static void penalise_presence(struct draw *draw, const int64_t *ids, int64_t count)
{
    memset(draw->seen, 0, (size_t)draw->vocab * sizeof *draw->seen);
    for (int64_t i = 0; i < count; i++) {
        if (!draw->seen[ids[i]])
            draw->logits[ids[i]] -= (float)draw->args->presence_penalty;
        draw->seen[ids[i]] = true;
    }
}

static void penalise(struct draw *draw)
{
    const struct qvl_sample_args *args = draw->args;
    if (args->repetition_penalty != 1) {
        memset(draw->seen, 0, (size_t)draw->vocab * sizeof *draw->seen);
        penalise_list(draw, args->prompt, args->prompt_count);
        penalise_list(draw, args->output, args->output_count);
    }
    if (args->presence_penalty != 0) {
        penalise_presence(draw, args->output, args->output_count);
        if (has(draw, QVL_FAULT_SAMPLE_PRESENCE_OF_PROMPT))
            penalise_presence(draw, args->prompt, args->prompt_count);
    }
}

/* The largest logit, the lowest id on ties. */
static int64_t largest(const struct draw *draw)
{
    int64_t best = 0;
    float most;
    if (has(draw, QVL_FAULT_HEAD_TAIL_LANE)) /* a reduction that starts from its last lane */
        best = (draw->vocab + LANES - 1) / LANES * LANES - 1;
    most = best < draw->vocab ? draw->logits[best] : -INFINITY;
    for (int64_t id = 0; id < draw->padded; id++)
        if (draw->logits[id] > most ||
            (has(draw, QVL_FAULT_SAMPLE_TIE_TO_LAST) && draw->logits[id] == most)) {
            best = id;
            most = draw->logits[id];
        }
    return best;
}

/* Candidates first .. get probabilities, the others zero. */
static void normalise(struct draw *draw, int64_t first)
{
    const double most = draw->candidates[draw->padded - 1].logit;
    double sum = 0;
    for (int64_t i = 0; i < draw->padded; i++) {
        draw->candidates[i].probability = i < first ? 0 : exp(draw->candidates[i].logit - most);
        sum += draw->candidates[i].probability;
    }
    for (int64_t i = first; i < draw->padded; i++)
        draw->candidates[i].probability /= sum;
}

static int64_t cut_top_k(const struct draw *draw)
{
    const int64_t k = draw->args->top_k;
    int64_t first = 0;
    if (k == 0 || k >= draw->padded)
        return 0;
    if (has(draw, QVL_FAULT_SAMPLE_TOP_K_CUTS_TIES))
        return draw->padded - k;
    while (draw->candidates[first].logit < draw->candidates[draw->padded - k].logit)
        first++;
    return first;
}

static int64_t cut_top_p(const struct draw *draw, int64_t first)
{
    const bool late = has(draw, QVL_FAULT_SAMPLE_TOP_P_DROPS_CROSSING);
    double sum = 0;
    for (; first < draw->padded - 1; first++) {
        const double before = sum;
        sum += draw->candidates[first].probability;
        if ((late ? before : sum) > 1 - draw->args->top_p)
            break;
    }
    return first;
}

static void make_distribution(struct draw *draw)
{
    const float temperature = (float)draw->args->temperature;
    int64_t first;
    for (int64_t id = 0; id < draw->padded; id++)
        draw->candidates[id] = (struct candidate){(double)(draw->logits[id] / temperature), 0, id};
    qsort(draw->candidates, (size_t)draw->padded, sizeof *draw->candidates, ascending);
    first = cut_top_k(draw);
    normalise(draw, first);
    if (draw->args->top_p < 1) {
        first = cut_top_p(draw, first);
        normalise(draw, first);
    }
    for (int64_t i = 0; i < draw->padded; i++)
        draw->probabilities[draw->candidates[i].id] = draw->candidates[i].probability;
}

static int64_t pick(const struct draw *draw, int64_t otherwise)
{
    double sum = 0;
    for (int64_t id = 0; id < draw->padded; id++) {
        sum += draw->probabilities[id];
        if (sum > draw->args->uniform)
            return id;
    }
    return otherwise;
}

static void run(struct draw *draw)
{
    const struct qvl_sample_args *args = draw->args;
    int64_t best;
    memcpy(draw->logits, args->logits.data, (size_t)draw->vocab * sizeof *draw->logits);
    for (int64_t id = draw->vocab; id < draw->padded; id++)
        draw->logits[id] = 0; /* zero rows of a padded head */
    if (!(args->greedy && has(draw, QVL_FAULT_SAMPLE_GREEDY_UNPENALISED)))
        penalise(draw);
    best = largest(draw);
    if (args->greedy) {
        for (int64_t id = 0; id < draw->padded; id++)
            draw->probabilities[id] = id == best;
        *args->token = best;
    } else {
        make_distribution(draw);
        *args->token = pick(draw, best);
    }
    for (int64_t id = 0; args->probabilities && id < draw->vocab; id++)
        args->probabilities[id] = (float)draw->probabilities[id];
}

enum qvl_status honest_sample(struct qvl_backend *backend, const struct qvl_sample_args *args,
                              struct qvl_error *error)
{
    const int64_t vocab = args->logits.shape[0];
    struct draw draw = {.backend = backend, .args = args, .vocab = vocab, .padded = vocab};
    QVL_TRY(qvl_sample_check(args, error));
    if (honest_fault(backend, QVL_FAULT_HEAD_PADDED_VOCAB_WINS))
        draw.padded = (vocab + LANES - 1) / LANES * LANES;
    draw.candidates = malloc((size_t)draw.padded * (sizeof *draw.candidates + sizeof *draw.probabilities +
                                                    sizeof *draw.logits + sizeof *draw.seen));
    if (!draw.candidates)
        return qvl_fail(error, QVL_NO_MEMORY, "sample: no memory for a vocabulary of %lld", (long long)vocab);
    draw.probabilities = (double *)(draw.candidates + draw.padded);
    draw.logits = (float *)(draw.probabilities + draw.padded);
    draw.seen = (bool *)(draw.logits + draw.padded);
    run(&draw);
    free(draw.candidates);
    return QVL_OK;
}
