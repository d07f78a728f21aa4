/* What the tokenizer knows about code points; unicode_tables.c is made by unicode_tables.py. */
#ifndef QVL_MODEL_UNICODE_TABLES_H
#define QVL_MODEL_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum qvl_unicode_class { QVL_UNICODE_OTHER = 0, QVL_UNICODE_LETTER, QVL_UNICODE_NUMBER, QVL_UNICODE_SPACE };

struct qvl_unicode_range {
    uint32_t first, last; /* code points, both included */
    uint32_t class;       /* enum qvl_unicode_class; 0 in the NFC table */
};

/* \p{L}, \p{N} of Unicode 16.0 and \s (White_Space), ascending and disjoint. */
extern const struct qvl_unicode_range qvl_unicode_classes[];
extern const size_t qvl_unicode_classes_count;

/* Code points that NFC with the data of Unicode 9.0 can change, reorder or compose, ascending and disjoint.
 * The others pass untouched and separate what stands around them. */
extern const struct qvl_unicode_range qvl_unicode_nfc_active[];
extern const size_t qvl_unicode_nfc_active_count;

/* The range of a sorted table that holds the code point, or NULL. */
static inline const struct qvl_unicode_range *qvl_unicode_find(const struct qvl_unicode_range *table,
                                                               size_t count, uint32_t point)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table[middle].last < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && table[low].first <= point ? &table[low] : NULL;
}

#endif
