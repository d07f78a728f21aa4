/* Cases as lines of text. */
#include <errno.h>
#include <stdlib.h>

#include "verify/verify.h"

#define LARGEST_NUMBER (INT64_C(1) << 24)

static const char *const distributions[QVL_DIST_COUNT] = {
    "normal", "ints", "constant", "tiny", "huge", "outlier", "negative", "ties", "special", "mantissa"};

const char *qvl_distribution_name(enum qvl_distribution distribution)
{
    return (unsigned)distribution < QVL_DIST_COUNT ? distributions[distribution] : "?";
}

static enum qvl_status parse_integer(const char *key, const char *value, uint64_t most, uint64_t *number,
                                     struct qvl_error *error)
{
    char *end;
    errno = 0;
    *number = strtoull(value, &end, 10);
    if (errno || *end || *value < '0' || *value > '9' || *number > most)
        return qvl_fail(error, QVL_USAGE, "%s=%.40s: expected a whole number up to %llu", key, value,
                        (unsigned long long)most);
    return QVL_OK;
}

/* The name of a set: letters, digits, dots and hyphens. */
static enum qvl_status parse_set(const char *value, struct qvl_case *parsed, struct qvl_error *error)
{
    const size_t length = strlen(value);
    if (length == 0 || length >= sizeof parsed->set ||
        strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-") != length)
        return qvl_fail(error, QVL_USAGE,
                        "set=%.40s: expected at most %zu lower-case letters, digits, dots and hyphens", value,
                        sizeof parsed->set - 1);
    memcpy(parsed->set, value, length + 1);
    return QVL_OK;
}

/* dtype, dist, seed and set; `known` tells whether the key was one of them. */
static enum qvl_status parse_common(const char *key, const char *value, struct qvl_case *parsed, bool *known,
                                    struct qvl_error *error)
{
    *known = true;
    if (!strcmp(key, "seed"))
        return parse_integer(key, value, UINT64_MAX, &parsed->seed, error);
    if (!strcmp(key, "set"))
        return parse_set(value, parsed, error);
    if (!strcmp(key, "dtype")) {
        for (enum qvl_dtype dtype = QVL_F32; dtype <= QVL_F16; dtype++)
            if (!strcmp(value, qvl_dtype_name(dtype))) {
                parsed->dtype = dtype;
                return QVL_OK;
            }
        return qvl_fail(error, QVL_USAGE, "dtype=%.40s: expected f32, bf16 or f16", value);
    }
    if (!strcmp(key, "dist")) {
        for (int i = 0; i < QVL_DIST_COUNT; i++)
            if (!strcmp(value, distributions[i])) {
                parsed->distribution = (enum qvl_distribution)i;
                return QVL_OK;
            }
        return qvl_fail(error, QVL_USAGE, "dist=%.40s: no such distribution", value);
    }
    *known = false;
    return QVL_OK;
}

static enum qvl_status parse_pair(char *pair, struct qvl_case *parsed, unsigned *given,
                                  struct qvl_error *error)
{
    char *value = strchr(pair, '=');
    uint64_t number;
    bool known;
    if (!value)
        return qvl_fail(error, QVL_USAGE, "'%.40s': expected key=value", pair);
    *value++ = '\0';
    QVL_TRY(parse_common(pair, value, parsed, &known, error));
    if (known)
        return QVL_OK;
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(parsed->check, i); i++)
        if (!strcmp(pair, qvl_verify_number(parsed->check, i))) {
            QVL_TRY(parse_integer(pair, value, (uint64_t)LARGEST_NUMBER, &number, error));
            parsed->numbers[i] = (int64_t)number;
            *given |= 1U << i;
            return QVL_OK;
        }
    return qvl_fail(error, QVL_USAGE, "%.40s: op %s has no such number", pair,
                    qvl_verify_name(parsed->check));
}

enum qvl_status qvl_case_parse(const char *line, struct qvl_case *parsed, struct qvl_error *error)
{
    char text[QVL_CASE_LINE_BYTES], *rest = NULL;
    unsigned given = 0;
    *parsed = (struct qvl_case){.check = -1, .seed = 1};
    if ((size_t)snprintf(text, sizeof text, "%s", line) >= sizeof text)
        return qvl_fail(error, QVL_USAGE, "a case line has at most %d characters", QVL_CASE_LINE_BYTES - 1);
    const char *name = strtok_r(text, " \t\n", &rest);
    for (int op = 0; name && op < qvl_verify_count(); op++)
        if (!strcmp(name, qvl_verify_name(op)))
            parsed->check = op;
    if (parsed->check < 0)
        return qvl_fail(error, QVL_USAGE, "'%.40s' is no op; `list ops` has the names", name ? name : "");
    for (char *pair = strtok_r(NULL, " \t\n", &rest); pair; pair = strtok_r(NULL, " \t\n", &rest))
        QVL_TRY(parse_pair(pair, parsed, &given, error));
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(parsed->check, i); i++)
        if (!(given >> i & 1))
            return qvl_fail(error, QVL_USAGE, "%s: %s is missing", qvl_verify_name(parsed->check),
                            qvl_verify_number(parsed->check, i));
    return QVL_OK;
}

void qvl_case_print(const struct qvl_case *printed, char line[QVL_CASE_LINE_BYTES])
{
    size_t used = (size_t)snprintf(line, QVL_CASE_LINE_BYTES, "%s", qvl_verify_name(printed->check));
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(printed->check, i); i++)
        used += (size_t)snprintf(line + used, QVL_CASE_LINE_BYTES - used, " %s=%lld",
                                 qvl_verify_number(printed->check, i), (long long)printed->numbers[i]);
    snprintf(line + used, QVL_CASE_LINE_BYTES - used, " dtype=%s dist=%s seed=%llu%s%s",
             qvl_dtype_name(printed->dtype), qvl_distribution_name(printed->distribution),
             (unsigned long long)printed->seed, *printed->set ? " set=" : "", printed->set);
}
