/* Numbers as the command line spells them. */
#ifndef QVL_CLI_NUMBERS_H
#define QVL_CLI_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* "8192", "8K" (1024), "1M" (1024 * 1024); not negative, and nothing behind it. */
bool qvl_number_count(const char *text, int64_t *value);

/* Counts separated by commas, at most `capacity`; *count how many. */
bool qvl_number_counts(const char *text, int64_t *values, int64_t capacity, int64_t *count);

/* "1080x1920" or "16x720x1280": exactly `count` positive counts separated by x. */
bool qvl_number_sizes(const char *text, int64_t *values, int64_t count);

#endif
