#include "cli/outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. */
static uint64_t checksum_of(const char *text, size_t bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void copy_text(char *to, size_t bytes, const char *from)
{
    snprintf(to, bytes, "%s", from ? from : "");
}

/* Point what a result borrows into the outcome. */
static void own_names(struct qvl_outcome *outcome)
{
    outcome->result.operand = outcome->operand[0] ? outcome->operand : NULL;
    outcome->result.verdict = outcome->verdict[0] ? outcome->verdict : NULL;
}

void qvl_outcome_set(struct qvl_outcome *outcome, const struct qvl_case_result *result, double seconds)
{
    *outcome = (struct qvl_outcome){.result = *result, .seconds = seconds};
    outcome->result.repro[0] = '\0';
    copy_text(outcome->operand, sizeof outcome->operand, result->operand);
    copy_text(outcome->verdict, sizeof outcome->verdict, result->verdict);
    own_names(outcome);
}

void qvl_outcome_copy(struct qvl_outcome *to, const struct qvl_outcome *from)
{
    *to = *from;
    own_names(to);
}

/* ---- The fields of a line, in order: written and read by the same walk ---- */

struct line {
    char *text; /* written to */
    size_t used;
    char *next; /* read from; NULL when writing */
    bool good;
};

static void put(struct line *line, const char *text)
{
    const size_t room = QVL_OUTCOME_BYTES - 32 - line->used; /* the checksum needs 17 */
    const size_t length = strlen(text) < room ? strlen(text) : room;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        line->text[line->used++] = c == '\n' ? '\r' : c < 0x20 ? ' ' : (char)c;
    }
    line->text[line->used++] = '\t';
}

/* The next field; empty, and the line bad, when there is none. */
static char *take(struct line *line)
{
    char *field = line->next ? strsep(&line->next, "\t") : NULL;
    static char none[1];
    line->good = line->good && field;
    return field ? field : none;
}

static void walk_text(struct line *line, char *text, size_t bytes)
{
    if (line->text) {
        put(line, text);
        return;
    }
    copy_text(text, bytes, take(line));
    for (char *c = text; *c; c++)
        if (*c == '\r')
            *c = '\n';
}

static void walk_int(struct line *line, int64_t *value)
{
    char digits[32], *end;
    if (line->text) {
        snprintf(digits, sizeof digits, "%" PRId64, *value);
        put(line, digits);
        return;
    }
    *value = strtoll(take(line), &end, 10);
    line->good = line->good && !*end;
}

/* Every bit of a double comes back, but for the sign and the payload of a NaN. */
static void walk_real(struct line *line, double *value)
{
    char digits[64], *end;
    if (line->text) {
        snprintf(digits, sizeof digits, "%a", *value);
        put(line, *value != *value ? "nan" : digits);
        return;
    }
    *value = strtod(take(line), &end);
    line->good = line->good && !*end;
}

static void walk(struct line *line, struct qvl_outcome *outcome)
{
    struct qvl_case_result *result = &outcome->result;
    int64_t status = result->status, rank = result->rank;
    walk_int(line, &status);
    walk_int(line, &result->elements);
    walk_int(line, &result->failures);
    walk_real(line, &result->margin);
    walk_real(line, &result->mean_margin);
    walk_real(line, &result->drift);
    walk_real(line, &result->nmse);
    walk_text(line, outcome->operand, sizeof outcome->operand);
    walk_int(line, &rank);
    for (int axis = 0; axis < QVL_MAX_RANK; axis++)
        walk_int(line, &result->index[axis]);
    walk_real(line, &result->expected);
    walk_real(line, &result->got);
    walk_real(line, &result->tolerance);
    walk_text(line, outcome->verdict, sizeof outcome->verdict);
    walk_real(line, &outcome->seconds);
    walk_text(line, result->message, sizeof result->message);
    walk_text(line, outcome->noise, sizeof outcome->noise);
    line->good = line->good && status > QVL_CASE_NONE && status < QVL_CASE_STATUS_COUNT && rank >= 0 &&
                 rank <= QVL_MAX_RANK;
    result->status = (enum qvl_case_status)status;
    result->rank = (int32_t)rank;
}

void qvl_outcome_print(const struct qvl_outcome *outcome, const char *case_line, char text[QVL_OUTCOME_BYTES])
{
    struct qvl_outcome copy = *outcome;
    struct line line = {.text = text, .good = true};
    put(&line, case_line);
    walk(&line, &copy);
    snprintf(text + line.used, QVL_OUTCOME_BYTES - line.used, "%016" PRIx64, checksum_of(text, line.used));
}

bool qvl_outcome_parse(const char *text, char case_line[QVL_CASE_LINE_BYTES], struct qvl_outcome *outcome)
{
    char copy[QVL_OUTCOME_BYTES], *end;
    struct line line = {.next = copy, .good = true};
    *outcome = (struct qvl_outcome){.seconds = 0};
    const size_t length = (size_t)snprintf(copy, sizeof copy, "%s", text);
    const char *last = strrchr(copy, '\t');
    if (length >= sizeof copy || !last || strlen(last) != 17 ||
        strtoull(last + 1, &end, 16) != checksum_of(copy, (size_t)(last + 1 - copy)) || *end)
        return false;
    copy_text(case_line, QVL_CASE_LINE_BYTES, take(&line));
    walk(&line, outcome);
    own_names(outcome);
    return line.good;
}
