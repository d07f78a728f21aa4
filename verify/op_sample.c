/* sample. Percentages stand for fractions: p, temp, rep, pres. */
#include "verify/op.h"

#include "base/random.h"

enum { LOGITS, TOKEN, PROBABILITIES };

struct ids {
    int64_t *prompt, *output;
    double uniform; /* set by the reference's run to the middle of the drawn token's interval */
};

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
    probabilities->relative = 1e-5; /* float32 logits of size 20 and a float32 sum over the vocabulary */
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
                                  .repetition_penalty = (double)qvl_number(problem, "rep") / 100,
                                  .presence_penalty = (double)qvl_number(problem, "pres") / 100,
                                  .temperature = (double)qvl_number(problem, "temp") / 100,
                                  .top_k = qvl_number(problem, "k"),
                                  .top_p = (double)qvl_number(problem, "p") / 100,
                                  .uniform = uniform,
                                  .token = side->placed[TOKEN].view.data,
                                  .probabilities = side->placed[PROBABILITIES].view.data},
        error);
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
