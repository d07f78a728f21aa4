/* The whole way from a file to patch rows: committed pictures and clips against the original processors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasets/media.h"
#include "tests/support/golden_rows.h"

static void committed_files(void **state)
{
    (void)state;
    assert_true(
        check_all_rows("tests/golden/pixels/files.json", "committed", "tests/golden", &qvl_media_files) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(committed_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
