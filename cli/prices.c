#include "cli/prices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static enum qvl_status put(struct qvl_prices *prices, const char *device, size_t length, double per_hour,
                           struct qvl_error *error)
{
    struct qvl_price price = {.per_hour = per_hour};
    snprintf(price.device, sizeof price.device, "%.*s", (int)length, device);
    for (int64_t i = 0; i < prices->count; i++)
        if (strcmp(prices->items[i].device, price.device) == 0) {
            prices->items[i] = price;
            return QVL_OK;
        }
    struct qvl_price *grown = realloc(prices->items, (size_t)(prices->count + 1) * sizeof *grown);
    if (!grown)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a price");
    prices->items = grown;
    prices->items[prices->count++] = price;
    return QVL_OK;
}

enum qvl_status qvl_prices_add(struct qvl_prices *prices, const char *text, struct qvl_error *error)
{
    const char *equals = strchr(text, '=');
    char *end = NULL;
    const double price = equals ? strtod(equals + 1, &end) : 0;
    if (!equals || equals == text || end == equals + 1 || (*end && strcmp(end, "/h") != 0) || !(price > 0) ||
        isinf(price))
        return qvl_fail(error, QVL_USAGE, "\"%s\" is no price: write DEVICE=2.5/h", text);
    return put(prices, text, (size_t)(equals - text), price, error);
}

static enum qvl_status read_tree(struct qvl_prices *prices, const struct qvl_json *root,
                                 struct qvl_error *error)
{
    struct qvl_json per_hour;
    const char *currency;
    struct qvl_prices given = {0};
    QVL_TRY(qvl_json_string_or(root, "currency", NULL, &currency, error));
    if (currency && strlen(currency) >= sizeof prices->currency)
        return qvl_json_fail(root, "currency", error, "has more than %zu characters",
                             sizeof prices->currency - 1);
    QVL_TRY(qvl_json_object(root, "per_hour", &per_hour, error));
    enum qvl_status status = QVL_OK;
    for (const cJSON *node = per_hour.node->child; node && status == QVL_OK; node = node->next) {
        double price;
        status = qvl_json_double(&per_hour, node->string, &price, error);
        if (status == QVL_OK && (!(price > 0) || isinf(price)))
            status = qvl_json_fail(&per_hour, node->string, error, "must be a positive price");
        if (status == QVL_OK)
            status = put(&given, node->string, strlen(node->string), price, error);
    }
    for (int64_t i = 0; i < given.count && status == QVL_OK; i++)
        if (!(qvl_prices_find(prices, given.items[i].device) > 0))
            status = put(prices, given.items[i].device, strlen(given.items[i].device),
                         given.items[i].per_hour, error);
    if (status == QVL_OK && currency)
        snprintf(prices->currency, sizeof prices->currency, "%s", currency);
    qvl_prices_free(&given);
    return status;
}

enum qvl_status qvl_prices_read(struct qvl_prices *prices, const char *path, struct qvl_error *error)
{
    cJSON *root;
    QVL_TRY(qvl_json_read(path, &root, error));
    const struct qvl_json at = qvl_json_at_root(root, path);
    const enum qvl_status status = read_tree(prices, &at, error);
    cJSON_Delete(root);
    return status;
}

enum qvl_status qvl_prices_check(const struct qvl_prices *prices, const struct qvl_hardware_table *hardware,
                                 struct qvl_error *error)
{
    for (int64_t i = 0; i < prices->count; i++)
        if (!qvl_hardware_find(hardware, prices->items[i].device))
            return qvl_fail(error, QVL_USAGE,
                            "a price is given for \"%s\", which is no device: see `qvl-audit list hardware`",
                            prices->items[i].device);
    return QVL_OK;
}

double qvl_prices_find(const struct qvl_prices *prices, const char *device)
{
    for (int64_t i = 0; i < prices->count; i++)
        if (strcmp(prices->items[i].device, device) == 0)
            return prices->items[i].per_hour;
    return 0;
}

void qvl_prices_free(struct qvl_prices *prices)
{
    free(prices->items);
    *prices = (struct qvl_prices){0};
}
