/* The checkpoints that the goldens were made from come out byte for byte: each folder of
 * tests/golden/checkpoints/manifest.json is written again and hashed.
 *
 * `golden_checkpoint write SPEC FOLDER` writes one folder for the script that makes the goldens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "tests/golden/support/checkpoint_spec.h"

static const char manifest[] = "tests/golden/checkpoints/manifest.json";

static int write_one(const char *text, const char *folder)
{
    struct qvl_checkpoint_spec spec;
    struct qvl_error error;
    if (!checkpoint_spec_parse(text, &spec)) {
        fprintf(stderr, "not a checkpoint spec: %s\n", text);
        return 2;
    }
    enum qvl_status status = qvl_checkpoint_write(&spec, folder, &error);
    if (status != QVL_OK)
        fprintf(stderr, "%s\n", error.message);
    return qvl_status_exit_code(status);
}

/* Number of files of one folder that differ from the manifest. */
static int check_folder(const cJSON *files)
{
    int different = 0;
    const char *folder = checkpoint_spec_write(files->string);
    const cJSON *file;
    if (!folder)
        return 1;
    cJSON_ArrayForEach(file, files)
    {
        char path[768], hex[QVL_SHA256_HEX_BYTES] = "";
        struct qvl_error error = {.message = ""};
        snprintf(path, sizeof path, "%s/%s", folder, file->string);
        if (qvl_sha256_file(path, hex, &error) != QVL_OK || strcmp(hex, file->valuestring) != 0) {
            printf("%s: sha256 %s, the goldens were made with %s %s\n", path, hex, file->valuestring,
                   error.message);
            different++;
        }
    }
    return different;
}

int main(int argc, char **argv)
{
    cJSON *root = NULL;
    struct qvl_error error;
    const cJSON *files;
    int different = 0, folders = 0;
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_one(argv[2], argv[3]);
    if (qvl_json_read(manifest, &root, &error) != QVL_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    cJSON_ArrayForEach(files, root)
    {
        different += check_folder(files);
        folders++;
    }
    cJSON_Delete(root);
    printf("%d folders, %d files differ\n", folders, different);
    return different == 0 && folders > 0 ? 0 : 1;
}
