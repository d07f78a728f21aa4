/* Checkpoints of the goldens by a short text: "PRESET[,seed=N][,dtype=f32|bf16|f16]
 * [,experts=input-first|output-first|separate][,config=hf4|hf5][,shard=BYTES]". */
#ifndef QVL_TESTS_GOLDEN_CHECKPOINT_SPEC_H
#define QVL_TESTS_GOLDEN_CHECKPOINT_SPEC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/checkpoint.h"

static inline int spec_choice(const char *value, const char *const *names, int count)
{
    for (int index = 0; index < count; index++)
        if (strcmp(value, names[index]) == 0)
            return index;
    return -1;
}

/* One "key=value"; false when it is not understood. */
static inline bool spec_option(struct qvl_checkpoint_spec *spec, const char *key, const char *value)
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
        spec->dtype = (enum qvl_dtype)(choice = spec_choice(value, dtypes, 3));
    else if (strcmp(key, "experts") == 0)
        spec->expert_layout = (enum qvl_expert_layout)(choice = spec_choice(value, layouts, 3));
    else if (strcmp(key, "config") == 0)
        spec->spelling = (enum qvl_config_spelling)(choice = spec_choice(value, spellings, 2));
    else
        return false;
    return choice >= 0;
}

static inline bool spec_parse(const char *text, struct qvl_checkpoint_spec *spec)
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
        if (!spec_option(spec, option, equals + 1))
            return false;
    }
    return true;
}

#endif
