/* Prices of devices that the user supplies. */
#ifndef QVL_CLI_PRICES_H
#define QVL_CLI_PRICES_H

#include "datasets/hardware.h"

struct qvl_price {
    char device[32];
    double per_hour; /* of one device */
};

struct qvl_prices {
    struct qvl_price *items; /* owned; a later price of a device replaces the earlier one */
    int64_t count;
    char currency[8];
};

/* "h100-sxm=2.5" or "h100-sxm=2.5/h". QVL_USAGE: another form, a price that is not positive. */
QVL_MUST_USE enum qvl_status qvl_prices_add(struct qvl_prices *prices, const char *text,
                                            struct qvl_error *error);

/* {"currency": "USD", "per_hour": {"h100-sxm": 2.5}}; prices already there stand. QVL_BAD_INPUT names file
 * and key. */
QVL_MUST_USE enum qvl_status qvl_prices_read(struct qvl_prices *prices, const char *path,
                                             struct qvl_error *error);

/* QVL_USAGE: a price of a device that the table lacks. */
QVL_MUST_USE enum qvl_status qvl_prices_check(const struct qvl_prices *prices,
                                              const struct qvl_hardware_table *hardware,
                                              struct qvl_error *error);

double qvl_prices_find(const struct qvl_prices *prices, const char *device); /* 0: none */
void qvl_prices_free(struct qvl_prices *prices);

#endif
