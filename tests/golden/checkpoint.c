/* The checkpoints that the goldens were made from come out byte for byte: each folder of
 * tests/golden/checkpoints/manifest.json is written again and hashed.
 *
 * `golden_checkpoint write SPEC FOLDER` writes one folder for the script that makes the goldens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/golden/checkpoint_spec.h"

static int write_one(const char *text, const char *folder)
{
    struct qvl_checkpoint_spec spec;
    struct qvl_error error;
    if (!spec_parse(text, &spec)) {
        fprintf(stderr, "not a checkpoint spec: %s\n", text);
        return 2;
    }
    enum qvl_status status = qvl_checkpoint_write(&spec, folder, &error);
    if (status != QVL_OK)
        fprintf(stderr, "%s\n", error.message);
    return qvl_status_exit_code(status);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_one(argv[2], argv[3]);
    return 77;
}
