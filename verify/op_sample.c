/* sample. Percentages stand for fractions: p, temp, rep, pres. */
#include "verify/op.h"

#include <stdlib.h>

#include "base/random.h"
#include "qvl/bound.h"

enum { LOGITS, TOKEN, PROBABILITIES };

struct ids {
    int64_t *prompt, *output;
    double top_p;   /* set by the reference's run to the middle of the interval that makes the same cut */
    double uniform; /* and this to the middle of the drawn token's interval */
};

static double fraction(const struct qvl_problem *problem, const char *name)
{
    return (double)qvl_number(problem, name) / 100;
}

/* What a probability may be off by, relatively. Penalties and temperature are single IEEE operations that the
 * contract orders, so all start from the same logits. With `most` the largest of them in magnitude, x - max
 * and its product with log2 e lose two roundoffs of up to 2 most, the exponential four, its own and those of
 * the sum's terms alike; then the sum of `vocab` terms, a reciprocal and a product, and the reference's own
 * result. */
static double relative_error(const struct qvl_problem *problem, const struct qvl_operand *logits)
{
    const int64_t vocab = logits->shape[0];
    const float *values = logits->host;
    double most = 0;
    for (int64_t i = 0; values && i < vocab; i++)
        most = fmax(most, fabs((double)values[i]));
    most = (most * fmax(fraction(problem, "rep"), 1) + fraction(problem, "pres")) / fraction(problem, "temp");
    return (2 * (2 * 2 * most + QVL_BOUND_FUNCTION) + QVL_BOUND_C * sqrt((double)vocab) + QVL_BOUND_FUNCTION +
            2) *
           qvl_dtype_roundoff(QVL_F32);
}

/* Greedy with dist=special: every logit is -inf, as when a grammar forbids all tokens. The lowest id wins. */
static void mask_all(const struct qvl_operand *logits, struct qvl_operand *probabilities)
{
    float *values = logits->host;
    for (int64_t i = 0; values && i < logits->shape[0]; i++)
        values[i] = -INFINITY;
    probabilities->judge = QVL_JUDGE_EXACT;
}

static void setup_sample(struct qvl_problem *problem)
{
    const int64_t vocab = qvl_number(problem, "vocab"), one = 1;
    struct ids *ids = qvl_problem_block(problem, 1, sizeof *ids);
    struct qvl_operand *logits = qvl_problem_add(problem, QVL_ROLE_INPUT, "logits", 1, &vocab);
    logits->dtype = QVL_F32;
    qvl_problem_fill(problem, logits, 3);
    struct qvl_operand *token = qvl_problem_add(problem, QVL_ROLE_HOST, "token", 1, &one);
    token->dtype = QVL_I64;
    token->judge = QVL_JUDGE_EXACT;
    struct qvl_operand *probabilities = qvl_problem_add(problem, QVL_ROLE_HOST, "probabilities", 1, &vocab);
    probabilities->dtype = QVL_F32;
    probabilities->judge = QVL_JUDGE_SLACK;
    probabilities->relative = relative_error(problem, logits);
    if (problem->chosen->distribution == QVL_DIST_SPECIAL && qvl_number(problem, "greedy"))
        mask_all(logits, probabilities);
    problem->extra = ids;
    if (!ids || vocab < 1) /* the check of the args refuses an empty vocabulary */
        return;
    ids->prompt = qvl_problem_block(problem, qvl_number(problem, "prompt"), sizeof *ids->prompt);
    ids->output = qvl_problem_block(problem, qvl_number(problem, "output"), sizeof *ids->output);
    for (int64_t i = 0; ids->prompt && i < qvl_number(problem, "prompt"); i++)
        ids->prompt[i] = (int64_t)qvl_random_below(problem->chosen->seed, 11, (uint64_t)i, (uint64_t)vocab);
    for (int64_t i = 0; ids->output && i < qvl_number(problem, "output"); i++) /* every id twice */
        ids->output[i] =
            (int64_t)qvl_random_below(problem->chosen->seed, 12, (uint64_t)i / 2, (uint64_t)vocab);
    ids->top_p = fraction(problem, "p");
    ids->uniform = -1;
}

static enum qvl_status call(struct qvl_side *side, double uniform, struct qvl_error *error)
{
    const struct qvl_problem *problem = side->problem;
    const struct ids *ids = problem->extra;
    return side->backend->ops.sample(
        side->backend,
        &(struct qvl_sample_args){.logits = side->placed[LOGITS].view,
                                  .prompt = ids->prompt,
                                  .prompt_count = qvl_number(problem, "prompt"),
                                  .output = ids->output,
                                  .output_count = qvl_number(problem, "output"),
                                  .greedy = qvl_number(problem, "greedy"),
                                  .repetition_penalty = fraction(problem, "rep"),
                                  .presence_penalty = fraction(problem, "pres"),
                                  .temperature = fraction(problem, "temp"),
                                  .top_k = qvl_number(problem, "k"),
                                  .top_p = ids->top_p,
                                  .uniform = uniform,
                                  .token = side->placed[TOKEN].view.data,
                                  .probabilities = side->placed[PROBABILITIES].view.data},
        error);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Top-p drops the smallest probabilities while their sum is at most 1 - p. Where a sum comes close to 1 - p
 * an honest rounding may drop one more or less; in the middle between two sums it cannot. */
static enum qvl_status centre_top_p(struct qvl_side *side, struct qvl_error *error)
{
    struct ids *ids = side->problem->extra;
    const int64_t vocab = side->placed[PROBABILITIES].view.shape[0];
    const float *probabilities = side->placed[PROBABILITIES].view.data;
    const double wanted = 1 - ids->top_p;
    double *ascending = malloc((size_t)vocab * sizeof *ascending), before = 0, sum = 0;
    if (!ascending)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory to sort %lld probabilities", (long long)vocab);
    ids->top_p = 1;
    const enum qvl_status status = call(side, 0, error);
    for (int64_t i = 0; i < vocab; i++)
        ascending[i] = (double)probabilities[i];
    qsort(ascending, (size_t)vocab, sizeof *ascending, compare_doubles);
    for (int64_t i = 0; i < vocab && sum <= wanted; i++) {
        before = sum;
        sum += ascending[i];
    }
    free(ascending);
    ids->top_p = 1 - (before + sum) / 2;
    return status;
}

/* The first run, the reference's, draws with a random number and then moves it to the middle of the interval
 * of the token it fell on, where honest rounding of the probabilities cannot change the draw. */
static enum qvl_status call_sample(struct qvl_side *side, struct qvl_condition *cond, struct qvl_error *error)
{
    struct ids *ids = side->problem->extra;
    (void)cond;
    if (ids->uniform < 0) {
        const float *probabilities = side->placed[PROBABILITIES].view.data;
        double before = 0;
        if (ids->top_p < 1)
            QVL_TRY(centre_top_p(side, error));
        QVL_TRY(call(side, qvl_random_uniform(side->problem->chosen->seed, 13, 0), error));
        const int64_t token = *(const int64_t *)side->placed[TOKEN].view.data;
        for (int64_t id = 0; id < token; id++)
            before += (double)probabilities[id];
        ids->uniform = before + (double)probabilities[token] / 2;
        if (!(ids->uniform >= 0 && ids->uniform < 1))
            ids->uniform = 0.5;
    }
    return call(side, ids->uniform, error);
}

const struct qvl_verify_op qvl_verify_sample = {
    .numbers = {"vocab", "prompt", "output", "greedy", "rep", "pres", "temp", "k", "p"},
    .setup = setup_sample,
    .call = call_sample};
