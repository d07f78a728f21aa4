/* The answers to long questions. Planted and uniform ones are closed forms. Sampled ones are computed in
 * double over all keys, with the error analysis of docs/NUMERICS.md 2.4; no code is shared with the
 * reference. */
#include "verify/long_context.h"

#include <stdlib.h>

#include "qvl/bound.h"
#include "qvl/rounding.h"
#include "verify/compare.h"

enum { PIECE = 512 }; /* keys that are made at a time for the sampled queries */

static double unit(const struct qvl_long_truth *truth)
{
    return qvl_dtype_roundoff(truth->math.accumulate);
}

/* Additional relative error of a product. */
static double product(const struct qvl_long_truth *truth)
{
    return truth->math.tf32 && truth->context->dtype == QVL_F32 ? 0x1p-10 : 0;
}

static double sum_bound(const struct qvl_long_truth *truth, int64_t n)
{
    return QVL_BOUND_C * sqrt((double)n) * unit(truth);
}

/* r() where the candidate performs it: the rounded value, and what the bound becomes. */
static double round_as(const struct qvl_long_truth *truth, double value, double *bound)
{
    const enum qvl_dtype dtype = truth->context->dtype;
    if (!truth->math.rounds_attention_scores)
        return value;
    const double rounded = qvl_round_nearest(dtype, value);
    *bound = fmax(qvl_round_nearest(dtype, value + *bound) - rounded,
                  rounded - qvl_round_nearest(dtype, value - *bound));
    return rounded;
}

int64_t qvl_long_truth_bytes(int64_t keys, int64_t samples)
{
    return keys * samples * 2 * (int64_t)sizeof(double);
}

enum qvl_status qvl_long_truth_open(struct qvl_long_truth *truth, const struct qvl_long *context,
                                    const struct qvl_math *math, struct qvl_error *error)
{
    const int64_t width = context->kv_heads * context->d, samples = context->sample_count;
    bool made;
    *truth = (struct qvl_long_truth){.context = context, .math = *math};
    truth->sums = calloc((size_t)(width * (2 * context->rows + 1)), sizeof(double));
    truth->query = calloc((size_t)(3 * samples * context->d) + 1, sizeof(double));
    made = truth->sums && truth->query;
    for (int64_t s = 0; s < samples; s++) {
        truth->score[s] = malloc((size_t)(2 * context->keys) * sizeof(double));
        truth->score_bound[s] = truth->score[s] ? truth->score[s] + context->keys : NULL;
        made = made && truth->score[s];
    }
    if (!made) {
        qvl_long_truth_close(truth);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the answers over %lld keys",
                        (long long)context->keys);
    }
    truth->low = truth->sums + width;
    truth->high = truth->low + width * context->rows;
    truth->answer = truth->query + samples * context->d;
    truth->answer_bound = truth->answer + samples * context->d;
    for (int64_t s = 0; s < samples; s++)
        qvl_long_query(context, context->sample_row[s], context->sample_head[s],
                       truth->query + s * context->d);
    return QVL_OK;
}

void qvl_long_truth_close(struct qvl_long_truth *truth)
{
    free(truth->sums);
    free(truth->query);
    for (int s = 0; s < QVL_LONG_SAMPLES; s++)
        free(truth->score[s]);
    *truth = (struct qvl_long_truth){0};
}

static int64_t kv_head(const struct qvl_long *context, int64_t head)
{
    return head / (context->heads / context->kv_heads);
}

void qvl_long_see_keys(struct qvl_long_truth *truth, int64_t first, int64_t count, const void *raw)
{
    const struct qvl_long *context = truth->context;
    const int64_t d = context->d;
    const size_t row = (size_t)d * qvl_dtype_bytes(context->dtype);
    double key[1024];
    for (int s = 0; s < context->sample_count; s++) {
        const double *query = truth->query + s * d;
        const int64_t g = kv_head(context, context->sample_head[s]);
        for (int64_t j = 0; j < count; j++) {
            double sum = 0, magnitude = 0;
            qvl_load_row((const char *)raw + (size_t)(j * context->kv_heads + g) * row, context->dtype, d,
                         key);
            for (int64_t c = 0; c < d; c++) {
                sum += query[c] * key[c];
                magnitude += fabs(query[c] * key[c]);
            }
            double bound = (sum_bound(truth, d) + product(truth)) * magnitude;
            const double score = round_as(truth, sum, &bound) * context->scale;
            bound = bound * context->scale + unit(truth) * fabs(score);
            truth->score[s][first + j] = round_as(truth, score, &bound);
            truth->score_bound[s][first + j] = bound;
        }
    }
}

/* Remember the sums of the values at the ends of the rows that begin or end before key `position`. */
static void mark(struct qvl_long_truth *truth, int64_t position)
{
    const struct qvl_long *context = truth->context;
    const size_t bytes = (size_t)(context->kv_heads * context->d) * sizeof(double);
    for (int64_t r = 0; r < context->rows; r++) {
        const int64_t at = r * context->kv_heads * context->d;
        if (context->low[r] == position)
            memcpy(truth->low + at, truth->sums, bytes);
        if (context->high[r] == position)
            memcpy(truth->high + at, truth->sums, bytes);
    }
}

/* The next position after `position` where a row begins or ends; `end` when there is none before. */
static int64_t next_mark(const struct qvl_long *context, int64_t position, int64_t end)
{
    for (int64_t r = 0; r < context->rows; r++) {
        if (context->low[r] > position && context->low[r] < end)
            end = context->low[r];
        if (context->high[r] > position && context->high[r] < end)
            end = context->high[r];
    }
    return end;
}

void qvl_long_see_values(struct qvl_long_truth *truth, int64_t first, int64_t count, const void *raw)
{
    const struct qvl_long *context = truth->context;
    const int64_t width = context->kv_heads * context->d, size = (int64_t)qvl_dtype_bytes(context->dtype);
    double piece[1024];
    for (int64_t position = first, end; position < first + count; position = end) {
        end = next_mark(context, position, first + count);
        if (position == 0)
            mark(truth, 0);
        for (int64_t j = position - first; j < end - first; j++)
            for (int64_t at = 0; at < width; at += 1024) {
                const int64_t n = width - at < 1024 ? width - at : 1024;
                qvl_load_row((const char *)raw + (j * width + at) * size, context->dtype, n, piece);
                for (int64_t c = 0; c < n; c++)
                    truth->sums[at + c] += piece[c];
            }
        mark(truth, end);
    }
}

/* Scores of a sampled query become probabilities, bounds of scores the weights of |v| in the bound. */
static void soften(struct qvl_long_truth *truth, int s)
{
    const struct qvl_long *context = truth->context;
    const int64_t row = context->sample_row[s], low = context->low[row], high = context->high[row];
    const int64_t n = high - low;
    double *p = truth->score[s] + low, *bound = truth->score_bound[s] + low;
    double most = -INFINITY, sum = 0, mean = 0;
    for (int64_t j = 0; j < n; j++)
        most = fmax(most, p[j]);
    for (int64_t j = 0; j < n; j++) {
        bound[j] += (most - p[j] + QVL_BOUND_FUNCTION) * unit(truth);
        p[j] = exp(p[j] - most);
        sum += p[j];
    }
    for (int64_t j = 0; j < n; j++) {
        p[j] /= sum;
        mean += p[j] * bound[j];
    }
    for (int64_t j = 0; j < n; j++) {
        const double own = sum_bound(truth, n) + product(truth);
        bound[j] = p[j] * (bound[j] + mean + sum_bound(truth, n) + QVL_BOUND_FUNCTION * unit(truth)) +
                   QVL_BOUND_UNDERFLOW;
        const double before = p[j];
        p[j] = round_as(truth, p[j], &bound[j]);
        bound[j] += own * before;
    }
}

enum qvl_status qvl_long_answer_samples(struct qvl_long_truth *truth, struct qvl_error *error)
{
    const struct qvl_long *context = truth->context;
    const int64_t d = context->d, width = context->kv_heads * d;
    const int64_t size = (int64_t)qvl_dtype_bytes(context->dtype);
    double value[1024];
    if (context->sample_count == 0)
        return QVL_OK;
    char *raw = malloc((size_t)(PIECE * width * size));
    if (!raw)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %d values", PIECE);
    for (int s = 0; s < context->sample_count; s++)
        soften(truth, s);
    for (int64_t first = 0; first < context->keys; first += PIECE) {
        const int64_t count = context->keys - first < PIECE ? context->keys - first : PIECE;
        qvl_long_values(context, first, count, raw);
        for (int s = 0; s < context->sample_count; s++) {
            const int64_t row = context->sample_row[s], g = kv_head(context, context->sample_head[s]);
            double *answer = truth->answer + s * d, *bound = truth->answer_bound + s * d;
            for (int64_t j = first; j < first + count; j++) {
                if (j < context->low[row] || j >= context->high[row])
                    continue;
                qvl_load_row(raw + ((j - first) * width + g * d) * size, context->dtype, d, value);
                for (int64_t c = 0; c < d; c++) {
                    answer[c] += truth->score[s][j] * value[c];
                    bound[c] += truth->score_bound[s][j] * fabs(value[c]);
                }
            }
        }
    }
    free(raw);
    return QVL_OK;
}

/* `count` planted keys of equal score: the mean of their values. One or two terms of weight 1 or 1/2, which
 * every step but the last division holds exactly; the other keys, 3 at most and with scores moved by less
 * than 6, weigh exp(6 - gap) each. */
static void expect_plants(const struct qvl_long_truth *truth, const int *plants, int count, int64_t g,
                          double *value, double *bound)
{
    const struct qvl_long *context = truth->context;
    const int64_t d = context->d, size = (int64_t)qvl_dtype_bytes(context->dtype);
    const double relative = sum_bound(truth, count) + 2 * QVL_BOUND_FUNCTION * unit(truth) + product(truth);
    const double others = 6 * (double)context->keys * exp(6 - qvl_long_gap(context));
    unsigned char raw[16 * 1024 * 4];
    double row[1024];
    for (int64_t c = 0; c < d; c++)
        value[c] = bound[c] = 0;
    for (int i = 0; i < count; i++) {
        qvl_long_values(context, context->plants[plants[i]], 1, raw);
        qvl_load_row(raw + g * d * size, context->dtype, d, row);
        for (int64_t c = 0; c < d; c++) {
            value[c] += row[c] / count;
            bound[c] += relative * fabs(row[c]) / count + others;
        }
    }
}

/* Error of the mean of n whole numbers of mean 0 and deviation 2, beyond what scales with the mean itself.
 * Partial sums are random walks, so their roundings add up to deviation u |partial sum| / sqrt(3), together
 * 2 u / sqrt(6) whatever n is, twice that where a walk goes far; weights of parts that are normalised and
 * merged are off by some roundoffs each, with signs that do not know the values. Nine deviations. */
static double walk_bound(const struct qvl_long_truth *truth, int64_t n)
{
    const double deviation = 2, merged = 2 * log((double)n) + 4 * QVL_BOUND_FUNCTION;
    return 9 * unit(truth) * deviation * (2 / sqrt(6.0) + merged / sqrt((double)n));
}

/* Equal scores: the mean of the values. */
static void expect_uniform(const struct qvl_long_truth *truth, int64_t row, int64_t g, double *value,
                           double *bound)
{
    const struct qvl_long *context = truth->context;
    const int64_t d = context->d, n = context->high[row] - context->low[row];
    const double *low = truth->low + (row * context->kv_heads + g) * d;
    const double *high = truth->high + (row * context->kv_heads + g) * d;
    double p_bound = (3 * QVL_BOUND_FUNCTION * unit(truth) + sum_bound(truth, n)) / (double)(n > 0 ? n : 1);
    const double p = round_as(truth, n > 0 ? 1 / (double)n : 0, &p_bound);
    const double term = p * (sum_bound(truth, n) + product(truth));
    for (int64_t c = 0; c < d; c++) {
        const double sum = high[c] - low[c];
        value[c] = p * sum;
        bound[c] = (p_bound + term) * (c < d / 2 ? sum : 3 * (double)n);
        if (c >= d / 2 && n > 0)
            bound[c] = fmin(bound[c], (p_bound + term) * fabs(sum) + walk_bound(truth, n));
    }
}

void qvl_long_expect(const struct qvl_long_truth *truth, double *value, double *bound)
{
    const struct qvl_long *context = truth->context;
    const int64_t d = context->d;
    for (int64_t row = 0; row < context->rows; row++)
        for (int64_t head = 0; head < context->heads; head++) {
            const struct qvl_long_question question = qvl_long_ask(context, row, head);
            const int64_t at = (row * context->heads + head) * d, g = kv_head(context, head);
            switch (question.kind) {
            case QVL_LONG_PLANT: expect_plants(truth, question.plant, 1, g, value + at, bound + at); break;
            case QVL_LONG_PAIR: expect_plants(truth, question.plant, 2, g, value + at, bound + at); break;
            case QVL_LONG_UNIFORM: expect_uniform(truth, row, g, value + at, bound + at); break;
            case QVL_LONG_SAMPLED:
                memcpy(value + at, truth->answer + question.sample * d, (size_t)d * sizeof *value);
                memcpy(bound + at, truth->answer_bound + question.sample * d, (size_t)d * sizeof *bound);
                break;
            }
        }
}

/* ---- verdict ---- */

/* What the row of the worst element asked, behind the message. */
static void explain(const struct qvl_long *context, struct qvl_case_result *result)
{
    const int64_t row = result->index[0], head = result->index[1];
    const struct qvl_long_question question = qvl_long_ask(context, row, head);
    const size_t used = strlen(result->message);
    char *to = result->message + used;
    const size_t room = sizeof result->message - used;
    const long long low = (long long)context->low[row], high = (long long)context->high[row];
    const long long a = (long long)context->plants[question.plant[0]];
    const long long b = (long long)context->plants[question.plant[1]];
    switch (question.kind) {
    case QVL_LONG_PLANT:
        snprintf(to, room, "; all weight on key %lld of %lld..%lld", a, low, high - 1);
        break;
    case QVL_LONG_PAIR:
        snprintf(to, room, "; keys %lld and %lld of %lld..%lld share the weight", a, b, low, high - 1);
        break;
    case QVL_LONG_UNIFORM: snprintf(to, room, "; equal weights on keys %lld..%lld", low, high - 1); break;
    case QVL_LONG_SAMPLED: snprintf(to, room, "; a random query over keys %lld..%lld", low, high - 1); break;
    }
}

enum qvl_status qvl_long_judge(const struct qvl_long_truth *truth, const void *got, const char *name,
                               struct qvl_case_result *result, struct qvl_error *error)
{
    const struct qvl_long *context = truth->context;
    const int64_t count = context->rows * context->heads * context->d;
    const struct qvl_operand operand = {.name = name,
                                        .judge = QVL_JUDGE_BOUND,
                                        .dtype = context->dtype,
                                        .rank = 3,
                                        .shape = {context->rows, context->heads, context->d}};
    struct qvl_comparison comparison = {.result = result};
    double *value = malloc((size_t)(3 * count) * sizeof *value);
    if (!value)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld expected values", (long long)count);
    double *bound = value + count, *stored = bound + count;
    qvl_long_expect(truth, value, bound);
    qvl_load_row(got, context->dtype, count, stored);
    qvl_compare(&comparison, &operand, stored, &(struct qvl_expected){.value = value, .bound = bound});
    qvl_compare_finish(&comparison);
    if (result->status == QVL_CASE_FAILED)
        explain(context, result);
    free(value);
    return QVL_OK;
}
