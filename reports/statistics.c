#include "reports/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX 60
#define POWER 0.9

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double qvl_quantile(double *values, int64_t count, double p)
{
    qsort(values, (size_t)count, sizeof(double), by_value);
    const double place = p * (double)(count - 1);
    const int64_t below = (int64_t)place;
    const int64_t above = below + 1 < count ? below + 1 : below;
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}

static double normal_above(double z)
{
    return 0.5 * erfc(z / sqrt(2));
}

/* Bisection: called a few times a row, and the distribution function of libm is exact enough. */
double qvl_normal_quantile(double p)
{
    double low = -40;
    double high = 40;
    for (int i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);
        if (normal_above(-middle) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* ---- Ranks ---- */

/* Twice the rank of each value, ties at their mean: whole numbers. `order` is scratch for count values. */
static void double_ranks(const double *values, int64_t count, double *order, int64_t *ranks)
{
    memcpy(order, values, sizeof(double) * (size_t)count);
    qsort(order, (size_t)count, sizeof(double), by_value);
    for (int64_t i = 0; i < count; i++) {
        int64_t below = 0;
        int64_t equal = 0;
        for (int64_t low = 0, high = count; low < high; below = low) {
            const int64_t middle = low + (high - low) / 2;
            if (order[middle] < values[i])
                low = middle + 1;
            else
                high = middle;
        }
        while (below + equal < count && order[below + equal] == values[i])
            equal++;
        ranks[i] = 2 * below + equal + 1;
    }
}

/* Chance that the sum of a random half of the ranks is at least `sum`: every sign pattern is as likely. */
static double exact_tail(const int64_t *ranks, int64_t count, int64_t sum)
{
    int64_t total = 0;
    double *chance = calloc(2 * EXACT_MAX * (EXACT_MAX + 1), sizeof(double));
    if (!chance)
        return NAN;
    chance[0] = 1;
    for (int64_t i = 0; i < count; i++) {
        total += ranks[i];
        for (int64_t s = total; s >= 0; s--)
            chance[s] = 0.5 * (chance[s] + (s >= ranks[i] ? chance[s - ranks[i]] : 0));
    }
    double tail = 0;
    for (int64_t s = total; s >= sum && s >= 0; s--)
        tail += chance[s];
    free(chance);
    return tail < 1 ? tail : 1;
}

/* One-sided p of rank sum `sum` or more among `count` doubled ranks. */
static double rank_tail(const int64_t *ranks, int64_t count, int64_t sum)
{
    if (count <= EXACT_MAX)
        return exact_tail(ranks, count, sum);
    double mean = 0;
    double variance = 0;
    for (int64_t i = 0; i < count; i++) {
        mean += 0.5 * (double)ranks[i];
        variance += 0.25 * (double)ranks[i] * (double)ranks[i];
    }
    return normal_above(((double)sum - mean - 1) / sqrt(variance)); /* half a rank of continuity, doubled */
}

static bool signed_ranks(const double *differences, int64_t count, double *p_above, double *p_below)
{
    double *sizes = malloc(2 * sizeof(double) * (size_t)count);
    int64_t *ranks = malloc(sizeof(int64_t) * (size_t)count);
    bool *positive = malloc((size_t)count);
    int64_t kept = 0; /* zeros say nothing about the direction */
    int64_t above = 0;
    int64_t total = 0;
    const bool good = sizes && ranks && positive;
    for (int64_t i = 0; good && i < count; i++) {
        if (differences[i] == 0)
            continue;
        positive[kept] = differences[i] > 0;
        sizes[kept++] = fabs(differences[i]);
    }
    *p_above = *p_below = 1;
    if (good && kept > 0) {
        double_ranks(sizes, kept, sizes + count, ranks);
        for (int64_t i = 0; i < kept; i++) {
            total += ranks[i];
            above += positive[i] ? ranks[i] : 0;
        }
        *p_above = rank_tail(ranks, kept, above);
        *p_below = rank_tail(ranks, kept, total - above);
    }
    free(sizes);
    free(ranks);
    free(positive);
    return good && !isnan(*p_above) && !isnan(*p_below);
}

/* How many of the sorted pairwise means the interval leaves out at each end; -1: not even none is enough. */
static int64_t left_out(int64_t count, double tail)
{
    const double n = (double)count;
    if (count > EXACT_MAX) {
        const double spread = sqrt(n * (n + 1) * (2 * n + 1) / 24);
        return (int64_t)floor(n * (n + 1) / 4 - 0.5 - qvl_normal_quantile(1 - tail) * spread);
    }
    int64_t ranks[EXACT_MAX];
    for (int64_t i = 0; i < count; i++)
        ranks[i] = 2 * (i + 1);
    const int64_t total = count * (count + 1);
    int64_t out = -1;
    while (exact_tail(ranks, count, total - 2 * (out + 1)) <= tail)
        out++;
    return out;
}

enum qvl_status qvl_paired_test(const double *differences, int64_t count, double confidence,
                                struct qvl_paired *result, struct qvl_error *error)
{
    if (count < 1 || count > QVL_PAIRED_MAX)
        return qvl_fail(error, QVL_USAGE, "a paired test needs 1 to %d differences, not %lld", QVL_PAIRED_MAX,
                        (long long)count);
    const int64_t means = count * (count + 1) / 2;
    double *walsh = malloc(sizeof(double) * (size_t)means);
    *result = (struct qvl_paired){.count = count, .low = -INFINITY, .high = INFINITY, .error = INFINITY};
    if (!walsh || !signed_ranks(differences, count, &result->p_above, &result->p_below)) {
        free(walsh);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a paired test");
    }
    int64_t next = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = i; k < count; k++)
            walsh[next++] = 0.5 * (differences[i] + differences[k]);
    result->estimate = qvl_quantile(walsh, means, 0.5);
    const double tail = 0.5 * (1 - confidence);
    const int64_t out = left_out(count, tail);
    if (out >= 0) {
        result->bounded = true;
        result->low = walsh[out];
        result->high = walsh[means - 1 - out];
    }
    /* The width of a 68 % interval is two standard errors whatever the distribution. */
    const int64_t inner = left_out(count, normal_above(1));
    if (inner >= 0)
        result->error = 0.5 * (walsh[means - 1 - inner] - walsh[inner]);
    free(walsh);
    return QVL_OK;
}

int64_t qvl_paired_minimum(double level)
{
    int64_t count = 1;
    while (count < EXACT_MAX && ldexp(1, -(int)count) > level)
        count++;
    return count;
}

double qvl_paired_detectable(const struct qvl_paired *result, double level)
{
    if (result->count < qvl_paired_minimum(level))
        return INFINITY;
    return (qvl_normal_quantile(1 - level) + qvl_normal_quantile(POWER)) * result->error;
}

/* ---- Order in time ---- */

/* Correlation time in samples, at least 1. `ranks` are deviations from their mean. */
static double correlation_time(const double *ranks, int64_t count)
{
    double power = 0;
    double time = -1;
    for (int64_t i = 0; i < count; i++)
        power += ranks[i] * ranks[i];
    for (int64_t lag = 0; power > 0 && lag + 1 < count; lag += 2) {
        double pair = 0; /* autocorrelations at lag and lag + 1 */
        for (int64_t i = 0; i + lag < count; i++)
            pair += ranks[i] * ranks[i + lag] + (i + lag + 1 < count ? ranks[i] * ranks[i + lag + 1] : 0);
        if (pair <= 0)
            break;
        time += 2 * pair / power;
    }
    return time > 1 ? time : 1;
}

int64_t qvl_blocks(double *differences, int64_t count)
{
    double *scratch = malloc(2 * sizeof(double) * (size_t)(count > 0 ? count : 1));
    int64_t *ranks = malloc(sizeof(int64_t) * (size_t)(count > 0 ? count : 1));
    int64_t blocks = 0;
    if (scratch && ranks && count > 0) {
        double_ranks(differences, count, scratch, ranks);
        for (int64_t i = 0; i < count; i++)
            scratch[count + i] = (double)(ranks[i] - count - 1);
        /* Below 8 the estimate of a correlation is noise. */
        const double time = count < 8 ? 1 : correlation_time(scratch + count, count);
        int64_t length = (int64_t)ceil(time - 0.5);
        if (length < (count + QVL_PAIRED_MAX - 1) / QVL_PAIRED_MAX)
            length = (count + QVL_PAIRED_MAX - 1) / QVL_PAIRED_MAX;
        blocks = count / length > 0 ? count / length : 1;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t first = b * count / blocks;
            const int64_t end = (b + 1) * count / blocks;
            memcpy(scratch, differences + first, sizeof(double) * (size_t)(end - first));
            differences[b] = qvl_quantile(scratch, end - first, 0.5);
        }
    }
    free(scratch);
    free(ranks);
    return blocks;
}

bool qvl_trend(const double *values, int64_t count, double *change, double *p)
{
    double *slopes = count < 2 ? NULL : malloc(sizeof(double) * (size_t)(count * (count - 1) / 2));
    int64_t next = 0;
    int64_t rising = 0;
    if (!slopes)
        return false;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = i + 1; k < count; k++) {
            rising += (values[k] > values[i]) - (values[k] < values[i]);
            slopes[next++] = (values[k] - values[i]) / (double)(k - i);
        }
    const double n = (double)count;
    const double z = fmax(fabs((double)rising) - 1, 0) / sqrt(n * (n - 1) * (2 * n + 5) / 18);
    *change = qvl_quantile(slopes, next, 0.5) * (n - 1);
    *p = 2 * normal_above(z);
    free(slopes);
    return true;
}

/* ---- Many rows ---- */

enum qvl_status qvl_false_discovery(const double *p, int64_t count, double *adjusted, struct qvl_error *error)
{
    double *sorted = malloc(sizeof(double) * (size_t)(count > 0 ? count : 1));
    if (!sorted)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld rows", (long long)count);
    memcpy(sorted, p, sizeof(double) * (size_t)count);
    qsort(sorted, (size_t)count, sizeof(double), by_value);
    for (int64_t k = count - 1; k >= 0; k--) {
        sorted[k] *= (double)count / (double)(k + 1);
        if (k + 1 < count && sorted[k + 1] < sorted[k])
            sorted[k] = sorted[k + 1];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t at_most = 0; /* rows with a p no larger: the rank of the last of equals */
        for (int64_t k = 0; k < count; k++)
            at_most += p[k] <= p[i];
        adjusted[i] = fmin(1, sorted[at_most - 1]);
    }
    free(sorted);
    return QVL_OK;
}
