#include "model/config_parts.h"

/* A whole number from low to high. */
enum qvl_status qvl_config_size(const struct qvl_json *at, const char *key, int64_t low, int64_t high,
                                int64_t *value, struct qvl_error *error)
{
    QVL_TRY(qvl_json_int64(at, key, value, error));
    if (*value < low || *value > high)
        return qvl_json_fail(at, key, error, "%lld is out of range, expected %lld to %lld", (long long)*value,
                             (long long)low, (long long)high);
    return QVL_OK;
}

enum qvl_status qvl_config_size_or(const struct qvl_json *at, const char *key, int64_t otherwise, int64_t low,
                                   int64_t high, int64_t *value, struct qvl_error *error)
{
    *value = otherwise;
    return qvl_json_has(at, key) ? qvl_config_size(at, key, low, high, value, error) : QVL_OK;
}

enum qvl_status qvl_config_positive(const struct qvl_json *at, const char *key, double *value,
                                    struct qvl_error *error)
{
    QVL_TRY(qvl_json_double(at, key, value, error));
    if (!(*value > 0))
        return qvl_json_fail(at, key, error, "%g is out of range, expected a number above 0", *value);
    return QVL_OK;
}

/* Only one activation is implemented for each place; another one would silently give other numbers. */
enum qvl_status qvl_config_expect_string(const struct qvl_json *at, const char *key, const char *expected,
                                         struct qvl_error *error)
{
    const char *value;
    QVL_TRY(qvl_json_string_or(at, key, expected, &value, error));
    if (strcmp(value, expected) != 0)
        return qvl_json_fail(at, key, error, "\"%.60s\" is not supported here, only \"%s\"", value, expected);
    return QVL_OK;
}

enum qvl_status qvl_config_tokens(const struct qvl_json *at, const char *key, int64_t *tokens, int64_t *count,
                                  struct qvl_error *error)
{
    struct qvl_json place;
    *count = 0;
    if (!qvl_json_has(at, key))
        return QVL_OK;
    QVL_TRY(qvl_json_member(at, key, &place, error));
    if (cJSON_IsArray(place.node)) {
        QVL_TRY(qvl_json_int64s(at, key, QVL_MAX_EOS, tokens, count, error));
    } else {
        QVL_TRY(qvl_json_int64(at, key, tokens, error));
        *count = 1;
    }
    for (int64_t i = 0; i < *count; i++)
        if (tokens[i] < 0)
            return qvl_json_fail(at, key, error, "%lld is not a token id", (long long)tokens[i]);
    return QVL_OK;
}
