/* Cases as lines of text: they round-trip, the list has every entry, and impossible ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ref/ref.h"
#include "verify/verify.h"

static struct qvl_backend *good;
static struct qvl_case_context context;

static int open_backend(void **state)
{
    struct qvl_error error;
    (void)state;
    if (qvl_ref_open(NULL, &good, &error) != QVL_OK)
        return -1;
    context.reference = context.candidate = good;
    return 0;
}

static int close_backend(void **state)
{
    (void)state;
    good->close(good);
    return 0;
}

/* Lines round-trip; wrong ones are refused by key; a filter keeps what it says; the list has every op. */
static void reads_and_lists_cases(void **state)
{
    (void)state;
    struct qvl_error error = {.message = ""};
    struct qvl_case *cases, parsed;
    int64_t count;
    char line[QVL_CASE_LINE_BYTES], again[QVL_CASE_LINE_BYTES];
    int *seen = calloc((size_t)qvl_verify_count(), sizeof *seen);
    assert_non_null(seen);
    assert_int_equal(qvl_cases(NULL, &cases, &count, &error), QVL_OK);
    assert_true(count >= 10000);
    for (int64_t i = 0; i < count; i++) {
        qvl_case_print(&cases[i], line);
        assert_int_equal(qvl_case_parse(line, &parsed, &error), QVL_OK);
        qvl_case_print(&parsed, again);
        assert_string_equal(line, again);
        seen[cases[i].check]++;
    }
    free(cases);
    for (int check = 0; check < qvl_verify_count(); check++)
        assert_true(seen[check] > 0);
    free(seen);

    const struct qvl_case_filter filter = {.op = "gelu",
                                           .text = "dist=huge seed=77 set=museum",
                                           .has_dtype = true,
                                           .dtype = QVL_F16,
                                           .has_seed = true,
                                           .seed = 77};
    assert_int_equal(qvl_cases(&filter, &cases, &count, &error), QVL_OK);
    assert_int_equal(count, 2);
    for (int64_t i = 0; i < count; i++)
        assert_true(cases[i].dtype == QVL_F16 && cases[i].seed == 77 &&
                    cases[i].distribution == QVL_DIST_HUGE);
    free(cases);

    const char *const wrong[][2] = {
        {"", "'' is no op"},
        {"gelo rows=1", "'gelo' is no op"},
        {"add rows=1 dim=2 pad=0", "add: inplace is missing"},
        {"add rows=1 dim=2 pad=0 inplace=0 heads=3", "heads: op add has no such number"},
        {"add rows=-1 dim=2 pad=0 inplace=0", "rows=-1"},
        {"add rows=1 dim=2 pad=0 inplace=0 dtype=f64", "dtype=f64"},
        {"add rows=1 dim=2 pad=0 inplace=0 dist=odd", "dist=odd"},
        {"add rows", "'rows': expected key=value"},
        {"add rows=99999999999 dim=2 pad=0 inplace=0", "rows=99999999999"},
        {"add rows=1 dim=2 pad=0 inplace=0 set=My_Set", "set=My_Set"},
        {"add rows=1 dim=2 pad=0 inplace=0 set=", "set="},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(qvl_case_parse(wrong[i][0], &parsed, &error), QVL_USAGE);
        if (!strstr(error.message, wrong[i][1]))
            fail_msg("'%s' does not contain '%s'", error.message, wrong[i][1]);
    }
}

/* Numbers that contradict each other or ask for too much end in a message, not in a crash. */
static void refuses_impossible_cases(void **state)
{
    (void)state;
    const char *const lines[] = {
        "attention heads=5 kv=2 d=8 past=0 rows=1 seqs=1 drop=0 pad=0",
        "attention heads=4 kv=2 d=8 past=0 rows=1 seqs=9 drop=0 pad=0",
        "add_rows rows=2 src=3 dim=4",
        "linear rows=16777216 in=16777216 out=1 bias=0 pad=0",
        "pos_interp side=2 dim=3 t=1 h=3 w=4 merge=2 once=0",
        "moe_route rows=1 experts=2 k=3",
        "sample vocab=0 prompt=0 output=0 greedy=1 rep=100 pres=0 temp=100 k=0 p=100",
        "gelu rows=1 dim=0 erf=0 pad=0 inplace=0",
        "embed rows=3 vocab=0 dim=4",
        "merger tokens=2 group=0 dim=3 out=4 norm=1",
        "cache_append kv=2 d=4 past=0 rows=1 seqs=0 pad=0",
        "rope rows=2 heads=1 d=7 once=0 pad=0 inplace=0",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct qvl_error error = {.message = ""};
        struct qvl_case parsed;
        struct qvl_case_result result;
        assert_int_equal(qvl_case_parse(lines[i], &parsed, &error), QVL_OK);
        const enum qvl_status status = qvl_case_run(&parsed, &context, &result, &error);
        assert_true(status == QVL_USAGE || status == QVL_NO_MEMORY);
        assert_non_null(strstr(error.message, qvl_verify_name(parsed.check)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_lists_cases),
        cmocka_unit_test(refuses_impossible_cases),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
