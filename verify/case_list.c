/* The built-in cases: those of the three sources, then the probes' own. */
#include "verify/case_list.h"

#include <stdlib.h>

#include "verify/probe.h"

static bool wanted(const struct qvl_case_filter *filter, const struct qvl_case *candidate)
{
    char line[QVL_CASE_LINE_BYTES];
    if (!filter)
        return true;
    if (filter->op && strcmp(filter->op, qvl_verify_name(candidate->check)) != 0 &&
        strcmp(filter->op, qvl_verify_name(qvl_verify_op(candidate->check))) != 0)
        return false;
    if (filter->has_dtype && filter->dtype != candidate->dtype)
        return false;
    qvl_case_print(candidate, line);
    return !filter->text || strstr(line, filter->text);
}

enum qvl_status qvl_case_list_line(struct qvl_case_list *list, const char *set, const char *line,
                                   struct qvl_error *error)
{
    struct qvl_case parsed;
    QVL_TRY(qvl_case_parse(line, &parsed, error));
    if (set)
        snprintf(parsed.set, sizeof parsed.set, "%s", set);
    if (list->filter && list->filter->has_seed)
        parsed.seed = list->filter->seed;
    if (!wanted(list->filter, &parsed))
        return QVL_OK;
    if (list->count == list->capacity) {
        const int64_t capacity = list->capacity > 0 ? 2 * list->capacity : 1024;
        struct qvl_case *grown = realloc(list->cases, (size_t)capacity * sizeof *grown);
        if (!grown)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld cases", (long long)capacity);
        list->cases = grown;
        list->capacity = capacity;
    }
    list->cases[list->count++] = parsed;
    return QVL_OK;
}

/* Replace the first list of values in the pattern by each of its members, and go on with the rest. */
static enum qvl_status expand(struct qvl_case_list *list, const char *set, const char *pattern,
                              struct qvl_error *error)
{
    const char *comma = strchr(pattern, ',');
    if (!comma)
        return qvl_case_list_line(list, set, pattern, error);
    const char *first = comma;
    while (first[-1] != '=')
        first--;
    const size_t span = strcspn(first, " ");
    for (const char *member = first; member < first + span;) {
        char line[QVL_PATTERN_BYTES];
        const size_t length = strcspn(member, ", ");
        snprintf(line, sizeof line, "%.*s%.*s%s", (int)(first - pattern), pattern, (int)length, member,
                 first + span);
        QVL_TRY(expand(list, set, line, error));
        member += length + 1;
    }
    return QVL_OK;
}

enum qvl_status qvl_case_list_pattern(struct qvl_case_list *list, const char *set, const char *pattern,
                                      struct qvl_error *error)
{
    char line[QVL_PATTERN_BYTES];
    snprintf(line, sizeof line, "%s%s", pattern, strstr(pattern, "dtype=") ? "" : " dtype=f32,bf16,f16");
    return expand(list, set, line, error);
}

static enum qvl_status add_probes(struct qvl_case_list *list, struct qvl_error *error)
{
    for (int check = qvl_verify_op_count(); check < qvl_verify_count(); check++)
        for (const char *const *pattern = qvl_probe_of(check)->patterns; *pattern; pattern++)
            QVL_TRY(qvl_case_list_pattern(list, NULL, *pattern, error));
    return QVL_OK;
}

struct named {
    char line[QVL_CASE_LINE_BYTES];
    int64_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const int order = strcmp(x->line, y->line);
    return order != 0 ? order : x->index < y->index ? -1 : 1;
}

/* A line is a case once, where it stands first: results are kept by line. */
static enum qvl_status drop_repeats(struct qvl_case_list *list, struct qvl_error *error)
{
    struct named *names = malloc(((size_t)list->count + 1) * sizeof *names);
    bool *repeated = calloc((size_t)list->count + 1, sizeof *repeated);
    int64_t kept = 0;
    for (int64_t i = 0; names && repeated && i < list->count; i++) {
        qvl_case_print(&list->cases[i], names[i].line);
        names[i].index = i;
    }
    if (names && repeated) {
        qsort(names, (size_t)list->count, sizeof *names, compare_named);
        for (int64_t i = 1; i < list->count; i++)
            repeated[names[i].index] = strcmp(names[i].line, names[i - 1].line) == 0;
        for (int64_t i = 0; i < list->count; i++)
            if (!repeated[i])
                list->cases[kept++] = list->cases[i];
    }
    const bool good = names && repeated;
    free(names);
    free(repeated);
    if (!good)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld cases", (long long)list->count);
    list->count = kept;
    return QVL_OK;
}

enum qvl_status qvl_cases(const struct qvl_case_filter *filter, struct qvl_case **cases, int64_t *count,
                          struct qvl_error *error)
{
    struct qvl_case_list list = {.filter = filter};
    enum qvl_status status = qvl_cases_museum(&list, error);
    if (status == QVL_OK)
        status = qvl_cases_faults(&list, error);
    if (status == QVL_OK)
        status = qvl_cases_models(&list, error);
    if (status == QVL_OK)
        status = qvl_cases_random(&list, error);
    if (status == QVL_OK)
        status = add_probes(&list, error);
    if (status == QVL_OK)
        status = drop_repeats(&list, error);
    if (status != QVL_OK) {
        free(list.cases);
        list = (struct qvl_case_list){.cases = NULL};
    }
    *cases = list.cases;
    *count = list.count;
    return status;
}
