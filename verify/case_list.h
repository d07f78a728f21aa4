/* The list of built-in cases while it is made. Internal to verify/. */
#ifndef QVL_VERIFY_CASE_LIST_H
#define QVL_VERIFY_CASE_LIST_H

#include "verify/verify.h"

#define QVL_PATTERN_BYTES 320

struct qvl_case_list {
    struct qvl_case *cases; /* malloc'd */
    int64_t count, capacity;
    const struct qvl_case_filter *filter; /* NULL: keep all */
};

/* Add the case of a line, unless the filter drops it. `set` (may be NULL) goes into the case. */
enum qvl_status qvl_case_list_line(struct qvl_case_list *list, const char *set, const char *line,
                                   struct qvl_error *error);

/* Add the cases of a pattern: a comma stands for several values of a key, and a pattern without dtype= for
 * all three storage types. */
enum qvl_status qvl_case_list_pattern(struct qvl_case_list *list, const char *set, const char *pattern,
                                      struct qvl_error *error);

/* The three sources of op cases: the list that known bugs call for (set museum, in two parts), the shapes of
 * the released models (one set a model, by its name), and random draws (set random). */
enum qvl_status qvl_cases_museum(struct qvl_case_list *list, struct qvl_error *error);
enum qvl_status qvl_cases_faults(struct qvl_case_list *list, struct qvl_error *error);
enum qvl_status qvl_cases_models(struct qvl_case_list *list, struct qvl_error *error);
enum qvl_status qvl_cases_random(struct qvl_case_list *list, struct qvl_error *error);

#endif
