#include "verify/long_context.h"

#include "base/memory.h"
#include "qvl/rounding.h"
#include "verify/counter_values.h"

enum { MOST_DIM = 128 };

/* Values that the type holds exactly, to row `row` of `raw`. */
static void store_row(const struct qvl_long *context, const float *values, void *raw, int64_t row)
{
    const int64_t d = context->d;
    uint16_t *narrow = (uint16_t *)raw + row * d;
    if (context->dtype == QVL_F32) {
        memcpy((float *)raw + row * d, values, (size_t)d * sizeof *values);
        return;
    }
    for (int64_t c = 0; c < d; c++) {
        uint32_t bits;
        memcpy(&bits, &values[c], sizeof bits);
        narrow[c] = context->dtype == QVL_BF16 ? (uint16_t)(bits >> 16) : qvl_f32_to_f16(values[c]);
    }
}

/* The plant at a position, -1 for none. */
static int plant_at(const struct qvl_long *context, int64_t position)
{
    for (int i = 0; i < context->plant_count; i++)
        if (context->plants[i] == position)
            return i;
    return -1;
}

void qvl_long_keys(const struct qvl_long *context, int64_t first, int64_t count, void *raw)
{
    const uint64_t stream = qvl_random_stream("long.k");
    const int precision = qvl_counter_precision(context->dtype);
    uint32_t bits[MOST_DIM];
    float values[MOST_DIM] = {0};
    for (int64_t j = 0; j < count; j++) {
        const int plant = plant_at(context, first + j);
        for (int64_t g = 0; g < context->kv_heads; g++) {
            qvl_counter_bits(context->dtype, context->seed, stream, context->d,
                             (uint64_t)((first + j) * context->kv_heads + g), bits);
            for (int64_t c = 0; c < QVL_LONG_PLANTS; c++)
                values[c] = 0;
            for (int64_t c = QVL_LONG_PLANTS; c < context->d; c++)
                values[c] = qvl_counter_signed(bits[c], precision);
            if (plant >= 0)
                values[(plant + g) % QVL_LONG_PLANTS] = (float)QVL_LONG_KEY;
            store_row(context, values, raw, j * context->kv_heads + g);
        }
    }
}

void qvl_long_values(const struct qvl_long *context, int64_t first, int64_t count, void *raw)
{
    const uint64_t stream = qvl_random_stream("long.v");
    const int64_t d = context->d;
    const int precision = qvl_counter_precision(context->dtype);
    uint32_t bits[MOST_DIM];
    float values[MOST_DIM] = {0};
    for (int64_t row = 0; row < count * context->kv_heads; row++) {
        qvl_counter_bits(context->dtype, context->seed, stream, context->d,
                         (uint64_t)(first * context->kv_heads + row), bits);
        for (int64_t c = 0; c < d / 2; c++)
            values[c] = qvl_counter_positive(bits[c], precision);
        for (int64_t c = d / 2; c < d; c++)
            values[c] = qvl_counter_whole(bits[c]);
        store_row(context, values, raw, row);
    }
}

/* ---- questions ---- */

void qvl_long_plant(struct qvl_long *context, int64_t position)
{
    int at = context->plant_count;
    if (position < 0 || position >= context->keys || at == QVL_LONG_PLANTS ||
        plant_at(context, position) >= 0)
        return;
    for (; at > 0 && context->plants[at - 1] > position; at--)
        context->plants[at] = context->plants[at - 1];
    context->plants[at] = position;
    context->plant_count++;
}

static bool sees(const struct qvl_long *context, int64_t row, int plant)
{
    return context->plants[plant] >= context->low[row] && context->plants[plant] < context->high[row];
}

/* Turns of a cycle of eight: consecutive heads ask different things, and so do consecutive rows. */
static int turn(const struct qvl_long *context, int64_t row, int64_t head)
{
    return (int)((uint64_t)(row + head + context->rows) % 8);
}

enum { TURN_LAST, TURN_UNIFORM, TURN_PAIR, TURN_SAMPLED };

void qvl_long_choose_samples(struct qvl_long *context, int count)
{
    for (int64_t row = context->rows - 1; row >= 0; row--)
        for (int64_t head = context->heads - 1; head >= 0; head--)
            if (turn(context, row, head) == TURN_SAMPLED && context->sample_count < count &&
                context->high[row] > context->low[row]) {
                context->sample_row[context->sample_count] = row;
                context->sample_head[context->sample_count++] = head;
            }
}

struct qvl_long_question qvl_long_ask(const struct qvl_long *context, int64_t row, int64_t head)
{
    const int any = (int)((uint64_t)(row * 5 + head) % (uint64_t)context->plant_count);
    struct qvl_long_question question = {.kind = QVL_LONG_PLANT, .plant = {any, any}};
    int first = -1, last = -1;
    for (int i = 0; i < context->plant_count; i++)
        if (sees(context, row, i)) {
            first = first < 0 ? i : first;
            last = i;
        }
    switch (turn(context, row, head)) {
    case TURN_LAST: question.plant[0] = question.plant[1] = last >= 0 ? last : any; break;
    case TURN_UNIFORM: question.kind = QVL_LONG_UNIFORM; return question;
    case TURN_PAIR:
        if (first != last) {
            question = (struct qvl_long_question){.kind = QVL_LONG_PAIR, .plant = {first, last}};
            return question;
        }
        break;
    case TURN_SAMPLED:
        for (int i = 0; i < context->sample_count; i++)
            if (context->sample_row[i] == row && context->sample_head[i] == head) {
                question = (struct qvl_long_question){.kind = QVL_LONG_SAMPLED, .sample = i};
                return question;
            }
        break;
    default: break;
    }
    if (!sees(context, row, question.plant[0]))
        question.kind = QVL_LONG_UNIFORM;
    return question;
}

double qvl_long_gap(const struct qvl_long *context)
{
    return QVL_LONG_KEY * qvl_long_weight(context) * context->scale;
}

double qvl_long_weight(const struct qvl_long *context)
{
    return 8 * rint(sqrt((double)context->d));
}

void qvl_long_query(const struct qvl_long *context, int64_t row, int64_t head, double *query)
{
    const struct qvl_long_question question = qvl_long_ask(context, row, head);
    const int64_t g = head / (context->heads / context->kv_heads);
    const int precision = qvl_counter_precision(context->dtype);
    uint32_t bits[MOST_DIM];
    /* beside a plant, noise that moves a score by less than 3; alone, scores of deviation 2 to 3 */
    const double size = question.kind == QVL_LONG_SAMPLED ? 8 : question.kind == QVL_LONG_PLANT ? 0.25 : 0;
    qvl_counter_bits(context->dtype, context->seed, qvl_random_stream("long.q"), context->d,
                     (uint64_t)(row * context->heads + head), bits);
    for (int64_t c = 0; c < context->d; c++)
        query[c] = c < QVL_LONG_PLANTS ? 0 : size * (double)qvl_counter_signed(bits[c], precision);
    if (question.kind == QVL_LONG_SAMPLED || turn(context, row, head) == TURN_UNIFORM)
        return;
    for (int i = 0; i < 2; i++)
        query[(question.plant[i] + g) % QVL_LONG_PLANTS] = qvl_long_weight(context);
}

/* ---- results ---- */

bool qvl_long_memory_lacks(int64_t bytes, struct qvl_case_result *result)
{
    const int64_t available = qvl_memory_available();
    if (available < 0 || available >= bytes)
        return false;
    result->status = QVL_CASE_SKIPPED;
    snprintf(result->message, sizeof result->message,
             "needs %lld bytes (%.1f GiB), the machine has %lld available; run it where there is more memory",
             (long long)bytes, (double)bytes * 0x1p-30, (long long)available);
    return true;
}

void qvl_long_refused(enum qvl_status status, const struct qvl_error *why, struct qvl_case_result *result)
{
    result->status = status == QVL_UNSUPPORTED ? QVL_CASE_UNSUPPORTED
                     : status == QVL_NO_MEMORY ? QVL_CASE_SKIPPED
                                               : QVL_CASE_FAILED;
    snprintf(result->message, sizeof result->message, "%s: %.400s", qvl_status_name(status), why->message);
}
