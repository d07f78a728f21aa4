#include "verify/checker_faults.h"

#include <math.h>
#include <stdlib.h>

#include "qvl/record.h"
#include "verify/checker_fast_math.h"
#include "verify/compare.h"

#define VALUES 4

/* ---- What a checker is made of, and the real one ---- */

/* The last key (counted from 1) that row `row` of `rows` queries may see among `keys`. */
typedef int64_t mask_fn(int64_t row, int64_t rows, int64_t keys);

struct checker {
    enum qvl_case_status (*compare)(const double *value, const double *bound, const double *got,
                                    int64_t count);
    enum qvl_status (*outcome)(const enum qvl_case_status *cases, int64_t count);
    bool (*accepts_mask)(mask_fn *candidate, int64_t rows, int64_t keys);
    bool (*has)(bool (*hard)(const struct qvl_case *of)); /* whether such a case is among those it runs */
};

static enum qvl_case_status real_compare(const double *value, const double *bound, const double *got,
                                         int64_t count)
{
    struct qvl_case_result result = {.status = QVL_CASE_NONE};
    struct qvl_comparison comparison = {.result = &result};
    const struct qvl_operand operand = {
        .name = "y", .judge = QVL_JUDGE_BOUND, .dtype = QVL_F32, .rank = 1, .shape = {count}};
    const struct qvl_expected expected = {.value = value, .bound = bound};
    qvl_compare(&comparison, &operand, got, &expected);
    qvl_compare_finish(&comparison);
    return result.status;
}

static enum qvl_status real_outcome(const enum qvl_case_status *cases, int64_t count)
{
    struct qvl_report report = {0};
    struct qvl_error ignored;
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < count && status == QVL_OK; i++)
        status = qvl_report_take(&report, qvl_record_create("op_case", "case", cases[i]), &ignored);
    if (status == QVL_OK)
        status = qvl_report_outcome(&report);
    qvl_report_clear(&report);
    return status;
}

/* The contract: the last query sees the last key. */
static int64_t bottom_right(int64_t row, int64_t rows, int64_t keys)
{
    return keys - rows + row + 1;
}

static bool real_accepts_mask(mask_fn *candidate, int64_t rows, int64_t keys)
{
    bool same = true;
    for (int64_t row = 0; row < rows; row++)
        same = same && candidate(row, rows, keys) == bottom_right(row, rows, keys);
    return same;
}

static bool list_has(bool (*hard)(const struct qvl_case *of), bool (*kept)(const struct qvl_case *of))
{
    struct qvl_case *cases = NULL;
    int64_t count = 0;
    struct qvl_error ignored;
    bool found = false;
    if (qvl_cases(NULL, &cases, &count, &ignored) != QVL_OK)
        return false;
    for (int64_t i = 0; i < count; i++)
        found = found || (hard(&cases[i]) && kept(&cases[i]));
    free(cases);
    return found;
}

static bool every_case(const struct qvl_case *of)
{
    (void)of;
    return true;
}

static bool real_has(bool (*hard)(const struct qvl_case *of))
{
    return list_has(hard, every_case);
}

static const struct checker real = {real_compare, real_outcome, real_accepts_mask, real_has};

/* ---- The truth table ---- */

static int64_t number(const struct qvl_case *of, const char *name)
{
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(of->check, i); i++)
        if (strcmp(qvl_verify_number(of->check, i), name) == 0)
            return of->numbers[i];
    return 0;
}

static bool is_power_of_two(int64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static bool is_check(const struct qvl_case *of, const char *name)
{
    return strcmp(qvl_verify_name(of->check), name) == 0;
}

static bool groups_oddly(const struct qvl_case *of)
{
    const int64_t kv = number(of, "kv");
    return is_check(of, "attention") && kv > 1 && !is_power_of_two(number(of, "heads") / kv);
}

static bool is_off_square(const struct qvl_case *of)
{
    return is_check(of, "pos_interp") && number(of, "h") > 1 && number(of, "h") != number(of, "w");
}

static bool has_tail(const struct qvl_case *of)
{
    return is_check(of, "linear") && number(of, "in") > 16 && number(of, "in") % 16 != 0;
}

static int64_t top_left(int64_t row, int64_t rows, int64_t keys)
{
    (void)rows;
    (void)keys;
    return row + 1;
}

enum table { COMPARE, OUTCOME, MASK, LIST };

struct row {
    const char *line;
    enum table table;
    /* COMPARE */
    double value[VALUES], bound[VALUES], got[VALUES];
    enum qvl_case_status verdict;
    /* OUTCOME */
    enum qvl_case_status cases[VALUES];
    int64_t count;
    enum qvl_status exits;
    /* MASK */
    mask_fn *mask;
    bool accepted;
    /* LIST */
    bool (*hard)(const struct qvl_case *of);
};

#define WITHIN                                                                                               \
    {                                                                                                        \
        0.01, 0.01, 0.01, 0.01                                                                               \
    }
#define COMPARISON(name, verdict_, ...)                                                                      \
    {                                                                                                        \
        .line = "comparator " name, .verdict = verdict_, __VA_ARGS__                                         \
    }

static const struct row rows[] = {
    COMPARISON("equal", QVL_CASE_PASSED, .value = {1, 2, 3, 4}, .bound = WITHIN, .got = {1, 2, 3, 4}),
    COMPARISON("inside the tolerance", QVL_CASE_PASSED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {1.009, 1.991, 3, 4}),
    COMPARISON("three tolerances off", QVL_CASE_FAILED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {1, 2, 3.03, 4}),
    COMPARISON("a NaN for a number", QVL_CASE_FAILED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {1, NAN, 3, 4}),
    COMPARISON("a number for a NaN", QVL_CASE_FAILED, .value = {1, NAN, 3, 4}, .bound = WITHIN,
               .got = {1, 2, 3, 4}),
    COMPARISON("a NaN for a NaN", QVL_CASE_PASSED, .value = {1, NAN, 3, 4}, .bound = WITHIN,
               .got = {1, NAN, 3, 4}),
    COMPARISON("a number for an infinity", QVL_CASE_FAILED, .value = {1, INFINITY, 3, 4}, .bound = WITHIN,
               .got = {1, 2, 3, 4}),
    COMPARISON("the other infinity", QVL_CASE_FAILED, .value = {1, INFINITY, 3, 4}, .bound = WITHIN,
               .got = {1, -INFINITY, 3, 4}),
    COMPARISON("an infinity for a number", QVL_CASE_FAILED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {1, INFINITY, 3, 4}),
    COMPARISON("two elements change places", QVL_CASE_FAILED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {1, 3, 2, 4}),
    COMPARISON("the same largest, other values", QVL_CASE_FAILED, .value = {1, 2, 3, 4}, .bound = WITHIN,
               .got = {0, 0, 0, 5}),
    COMPARISON("nothing but zeros expected", QVL_CASE_MISTRUSTED, .value = {0, 0, 0, 0}, .bound = WITHIN,
               .got = {0, 0, 0, 0}),
    COMPARISON("a tolerance as large as the values", QVL_CASE_MISTRUSTED, .value = {1, 2, 3, 4},
               .bound = {1, 2, 3, 4}, .got = {1, 2, 3, 4}),
    {.line = "outcome all passed",
     .table = OUTCOME,
     .count = 2,
     .cases = {QVL_CASE_PASSED, QVL_CASE_PASSED},
     .exits = QVL_OK},
    {.line = "outcome one of three failed",
     .table = OUTCOME,
     .count = 3,
     .cases = {QVL_CASE_PASSED, QVL_CASE_FAILED, QVL_CASE_PASSED},
     .exits = QVL_FAILED},
    {.line = "outcome nothing executed",
     .table = OUTCOME,
     .count = 2,
     .cases = {QVL_CASE_UNSUPPORTED, QVL_CASE_SKIPPED},
     .exits = QVL_FAILED},
    {.line = "outcome one crashed",
     .table = OUTCOME,
     .count = 2,
     .cases = {QVL_CASE_PASSED, QVL_CASE_CRASHED},
     .exits = QVL_FAILED},
    {.line = "mask bottom right", .table = MASK, .mask = bottom_right, .accepted = true},
    {.line = "mask top left", .table = MASK, .mask = top_left, .accepted = false},
    {.line = "list heads that are no power of two a key head", .table = LIST, .hard = groups_oddly},
    {.line = "list a grid that is not square", .table = LIST, .hard = is_off_square},
    {.line = "list sums that end inside a tile", .table = LIST, .hard = has_tail},
};

#define ROWS ((int64_t)(sizeof rows / sizeof *rows))

/* Whether a checker says of a row what is true of it. */
static bool is_right(const struct checker *checker, const struct row *row)
{
    switch (row->table) {
    case COMPARE: return checker->compare(row->value, row->bound, row->got, VALUES) == row->verdict;
    case OUTCOME: return checker->outcome(row->cases, row->count) == row->exits;
    case MASK: return checker->accepts_mask(row->mask, 2, 5) == row->accepted;
    default: return checker->has(row->hard);
    }
}

enum qvl_status qvl_checker_check(struct qvl_error *error)
{
    for (int64_t i = 0; i < ROWS; i++)
        if (rows[i].table != LIST && !is_right(&real, &rows[i]))
            return qvl_fail(
                error, QVL_FAILED,
                "the checker contradicts its truth table at \"%s\": do not trust this build (was it "
                "compiled with -ffast-math?)",
                rows[i].line);
    return QVL_OK;
}

/* ---- The faults ---- */

static enum qvl_case_status passed_if(bool good)
{
    return good ? QVL_CASE_PASSED : QVL_CASE_FAILED;
}

/* "fail if err > tol": false for a NaN. */
static enum qvl_case_status compare_nan_passes(const double *value, const double *bound, const double *got,
                                               int64_t count)
{
    bool failed = false;
    for (int64_t i = 0; i < count; i++)
        failed = failed || fabs(got[i] - value[i]) > bound[i];
    return passed_if(!failed);
}

static enum qvl_case_status compare_skips_nonfinite(const double *value, const double *bound,
                                                    const double *got, int64_t count)
{
    bool good = true;
    for (int64_t i = 0; i < count; i++)
        good = good && (!isfinite(value[i]) || fabs(got[i] - value[i]) <= bound[i]);
    return passed_if(good);
}

/* The kinds are compared, but one operand twice. */
static enum qvl_case_status compare_self(const double *value, const double *bound, const double *got,
                                         int64_t count)
{
    bool good = true;
    for (int64_t i = 0; i < count; i++)
        /* NOLINTNEXTLINE(misc-redundant-expression): the fault */
        good = good && ((isnan(value[i]) && isnan(value[i])) || got[i] == value[i] ||
                        fabs(got[i] - value[i]) <= bound[i]);
    return passed_if(good);
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static enum qvl_case_status compare_sorted(const double *value, const double *bound, const double *got,
                                           int64_t count)
{
    double a[VALUES], b[VALUES];
    memcpy(a, value, sizeof a);
    memcpy(b, got, sizeof b);
    qsort(a, (size_t)count, sizeof *a, ascending);
    qsort(b, (size_t)count, sizeof *b, ascending);
    return real_compare(a, bound, b, count);
}

/* The share that agrees is computed and printed; the verdict looks at whether there is any. */
static enum qvl_case_status compare_without_threshold(const double *value, const double *bound,
                                                      const double *got, int64_t count)
{
    int64_t agree = 0;
    for (int64_t i = 0; i < count; i++)
        agree += fabs(got[i] - value[i]) <= bound[i];
    return passed_if(agree > 0);
}

/* No rule for a case that cannot fail. */
static enum qvl_case_status compare_trusts_all(const double *value, const double *bound, const double *got,
                                               int64_t count)
{
    const enum qvl_case_status status = real_compare(value, bound, got, count);
    return status == QVL_CASE_MISTRUSTED ? QVL_CASE_PASSED : status;
}

/* The text reads well: the largest value stands where it should. */
static enum qvl_case_status compare_largest(const double *value, const double *bound, const double *got,
                                            int64_t count)
{
    int64_t wanted = 0, found = 0;
    (void)bound;
    for (int64_t i = 1; i < count; i++) {
        wanted = value[i] > value[wanted] ? i : wanted;
        found = got[i] > got[found] ? i : found;
    }
    return passed_if(wanted == found);
}

static enum qvl_case_status compare_fast_math(const double *value, const double *bound, const double *got,
                                              int64_t count)
{
    return passed_if(qvl_fast_math_accepts(count, value, bound, got));
}

static enum qvl_status outcome_without_failures(const enum qvl_case_status *cases, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (cases[i] == QVL_CASE_FAILED || cases[i] == QVL_CASE_CRASHED)
            return QVL_FAILED;
    return QVL_OK;
}

/* The exit code comes from the last case alone. */
static enum qvl_status outcome_of_last(const enum qvl_case_status *cases, int64_t count)
{
    return count > 0 && cases[count - 1] == QVL_CASE_PASSED ? QVL_OK : QVL_FAILED;
}

/* The expectation is made by the code under test. */
static bool accepts_own_mask(mask_fn *candidate, int64_t rows_, int64_t keys)
{
    bool same = true;
    for (int64_t row = 0; row < rows_; row++)
        /* NOLINTNEXTLINE(misc-redundant-expression): the fault */
        same = same && candidate(row, rows_, keys) == candidate(row, rows_, keys);
    return same;
}

static bool is_easy(const struct qvl_case *of)
{
    bool easy = true;
    for (int i = 0; i < QVL_CASE_NUMBERS && qvl_verify_number(of->check, i); i++)
        easy = easy && (of->numbers[i] <= 1 || is_power_of_two(of->numbers[i]));
    return easy && !is_off_square(of);
}

static bool easy_has(bool (*hard)(const struct qvl_case *of))
{
    return list_has(hard, is_easy);
}

static const struct checker faulty[] = {
    {.compare = compare_nan_passes},
    {.compare = compare_skips_nonfinite},
    {.compare = compare_self},
    {.compare = compare_fast_math},
    {.compare = compare_sorted},
    {.compare = compare_without_threshold},
    {.compare = compare_trusts_all},
    {.compare = compare_largest},
    {.outcome = outcome_without_failures},
    {.outcome = outcome_of_last},
    {.accepts_mask = accepts_own_mask},
    {.has = easy_has},
};

static bool checker_line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                         char line[QVL_CASE_LINE_BYTES])
{
    (void)context;
    (void)mutant;
    if (index >= ROWS)
        return false;
    snprintf(line, QVL_CASE_LINE_BYTES, "%s", rows[index].line);
    return true;
}

static enum qvl_status checker_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                   bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    const struct row *row = &rows[index];
    struct checker checker = faulty[mutant->number];
    (void)context;
    (void)error;
    const bool concerned = row->table == COMPARE   ? checker.compare != NULL
                           : row->table == OUTCOME ? checker.outcome != NULL
                           : row->table == MASK    ? checker.accepts_mask != NULL
                                                   : checker.has != NULL;
    if (honest)
        checker = real;
    if (!concerned)
        return QVL_OK;
    attempt->status = passed_if(is_right(&checker, row));
    if (attempt->status == QVL_CASE_FAILED)
        snprintf(attempt->message, sizeof attempt->message, "its verdict on \"%s\" is wrong", row->line);
    return QVL_OK;
}

static const struct qvl_selftest_kind kind = {.name = "checker", .line = checker_line, .run = checker_run};

#define FAULT(number_, name_, entry_, fault_)                                                                \
    {                                                                                                        \
        .name = name_, .section = 12, .fault = fault_, .entry = entry_, .kind = &kind, .number = number_     \
    }

static const struct qvl_selftest_mutant mutants[] = {
    FAULT(0, "chk.nan_passes", "comparator", "fails only where err > tol, which a NaN never is"),
    FAULT(1, "chk.nan_ref_skipped", "comparator", "skips elements whose reference is not finite"),
    FAULT(2, "chk.self_compare", "comparator", "tests the same operand twice, so that a NaN equals anything"),
    FAULT(3, "chk.fast_math", "comparator", "compiled with -ffast-math, which removes the NaN tests"),
    FAULT(4, "chk.multiset", "comparator", "compares sorted values, so that any layout passes"),
    FAULT(5, "chk.threshold_not_applied", "comparator", "prints the share that agrees and passes on any"),
    FAULT(6, "chk.value_rounds_to_zero", "comparator", "trusts a case whose values are all zero"),
    FAULT(7, "chk.smoke_text", "comparator", "looks at the most likely token only"),
    FAULT(8, "chk.empty_run", "verdict", "passes a run in which no check was executed"),
    FAULT(9, "chk.exit_of_last_case", "verdict", "takes the exit code from the last case instead of all"),
    FAULT(10, "chk.shared_mask", "reference", "the expected mask comes from the code under test"),
    FAULT(11, "chk.easy_shapes", "case list", "only powers of two and squares"),
};

const struct qvl_selftest_mutant *qvl_checker_mutant_at(int64_t index)
{
    return index >= 0 && index < (int64_t)(sizeof mutants / sizeof *mutants) ? &mutants[index] : NULL;
}
