#include "tests/golden/support/checkpoint_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int choice_of(const char *value, const char *const *names, int count)
{
    for (int index = 0; index < count; index++)
        if (strcmp(value, names[index]) == 0)
            return index;
    return -1;
}

static bool set_option(struct qvl_checkpoint_spec *spec, const char *key, const char *value)
{
    static const char *const dtypes[] = {"f32", "bf16", "f16"};
    static const char *const layouts[] = {"input-first", "output-first", "separate"};
    static const char *const spellings[] = {"hf4", "hf5"};
    int choice = 0;
    if (strcmp(key, "seed") == 0)
        spec->seed = strtoull(value, NULL, 10);
    else if (strcmp(key, "shard") == 0)
        spec->shard_bytes = strtoll(value, NULL, 10);
    else if (strcmp(key, "dtype") == 0)
        spec->dtype = (enum qvl_dtype)(choice = choice_of(value, dtypes, 3));
    else if (strcmp(key, "experts") == 0)
        spec->expert_layout = (enum qvl_expert_layout)(choice = choice_of(value, layouts, 3));
    else if (strcmp(key, "config") == 0)
        spec->spelling = (enum qvl_config_spelling)(choice = choice_of(value, spellings, 2));
    else
        return false;
    return choice >= 0;
}

bool checkpoint_spec_parse(const char *text, struct qvl_checkpoint_spec *spec)
{
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    const char *name = strtok_r(copy, ",", &rest);
    const struct qvl_checkpoint_spec *preset = name ? qvl_checkpoint_preset(name) : NULL;
    if (!preset)
        return false;
    *spec = *preset;
    for (char *option = strtok_r(NULL, ",", &rest); option; option = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(option, '=');
        if (!equals)
            return false;
        *equals = '\0';
        if (!set_option(spec, option, equals + 1))
            return false;
    }
    return true;
}

const char *scratch_folder(const char *name)
{
    static char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", QVL_TEST_SCRATCH, name);
    if (mkdir(folder, 0777) == 0 || errno == EEXIST)
        return folder;
    printf("%s: %s\n", folder, strerror(errno));
    return NULL;
}

const char *checkpoint_spec_write(const char *text)
{
    static char folder[768];
    struct qvl_checkpoint_spec spec;
    struct qvl_error error = {.message = ""};
    const char *parent = scratch_folder("golden-checkpoints");
    if (!checkpoint_spec_parse(text, &spec)) {
        printf("not a checkpoint spec: %s\n", text);
        return NULL;
    }
    if (!parent)
        return NULL;
    snprintf(folder, sizeof folder, "%s/%s", parent, text);
    if (qvl_checkpoint_write(&spec, folder, &error) != QVL_OK) {
        printf("%s\n", error.message);
        return NULL;
    }
    return folder;
}
