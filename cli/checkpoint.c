/* qvl-audit checkpoint: a random checkpoint in the folder format of released models. */
#include <string.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "datasets/checkpoint.h"

struct checkpoint_options {
    const char *preset, *out;
    bool has_dtype, has_seed, has_layout, has_shards;
    enum qvl_dtype dtype;
    int64_t seed, shard_bytes;
    enum qvl_expert_layout layout;
    enum qvl_config_spelling spelling;
};

enum {
    OPTION_PRESET = 0x2000,
    OPTION_OUT,
    OPTION_DTYPE,
    OPTION_SEED,
    OPTION_LAYOUT,
    OPTION_SPELLING,
    OPTION_SHARD
};

static const struct argp_option options_table[] = {
    {"preset", OPTION_PRESET, "NAME", 0,
     "Shapes and vocabulary (`qvl-audit list` names them; default small-dense-tied)", 1},
    {"out", OPTION_OUT, "DIR", 0, "The folder to write", 1},
    {"dtype", OPTION_DTYPE, "TYPE", 0, "f32, bf16 or f16 in place of the preset's", 1},
    {"seed", OPTION_SEED, "S", 0, "In place of the preset's", 1},
    {"experts", OPTION_LAYOUT, "LAYOUT", 0,
     "input-first (published files), output-first (5.x files) or separate", 1},
    {"config", OPTION_SPELLING, "RELEASE", 0, "Spelling of config.json: hf4 (default) or hf5", 1},
    {"shard-bytes", OPTION_SHARD, "N", 0, "Split the weights into files of at most N bytes", 1},
    {0}};

/* The index of a word in a list, or -1. */
static int find_word(const char *word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    static const char *const dtypes[] = {"f32", "bf16", "f16"};
    static const char *const layouts[] = {"input-first", "output-first", "separate"};
    static const char *const spellings[] = {"hf4", "hf5"};
    struct checkpoint_options *options = state->input;
    int word;
    switch (key) {
    case OPTION_PRESET: options->preset = argument; return 0;
    case OPTION_OUT: options->out = argument; return 0;
    case OPTION_DTYPE:
        if ((word = find_word(argument, dtypes, 3)) < 0)
            argp_error(state, "--dtype is f32, bf16 or f16, not %s", argument);
        options->has_dtype = true;
        options->dtype = (enum qvl_dtype)word;
        return 0;
    case OPTION_SEED:
        if (!qvl_number_count(argument, &options->seed))
            argp_error(state, "--seed is a number, not %s", argument);
        options->has_seed = true;
        return 0;
    case OPTION_LAYOUT:
        if ((word = find_word(argument, layouts, 3)) < 0)
            argp_error(state, "--experts is input-first, output-first or separate, not %s", argument);
        options->has_layout = true;
        options->layout = (enum qvl_expert_layout)word;
        return 0;
    case OPTION_SPELLING:
        if ((word = find_word(argument, spellings, 2)) < 0)
            argp_error(state, "--config is hf4 or hf5, not %s", argument);
        options->spelling = (enum qvl_config_spelling)word;
        return 0;
    case OPTION_SHARD:
        if (!qvl_number_count(argument, &options->shard_bytes) || options->shard_bytes < 1)
            argp_error(state, "--shard-bytes is a positive number, not %s", argument);
        options->has_shards = true;
        return 0;
    case ARGP_KEY_END:
        if (!options->out)
            argp_error(state, "--out DIR is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {.options = options_table,
                                   .parser = parse_option,
                                   .doc = "Write a random checkpoint: config, preprocessor configs, "
                                          "tokenizer, chat template and weights, complete enough for the "
                                          "original framework to load. The same options give the same bytes "
                                          "on every machine; nothing in it was trained.\v"
                                          "Example: a small checkpoint to try the other verbs on\n\n"
                                          "  qvl-audit checkpoint --out ./small"};

static enum qvl_status make_spec(const struct checkpoint_options *options, struct qvl_checkpoint_spec *spec,
                                 struct qvl_error *error)
{
    const struct qvl_checkpoint_spec *preset = qvl_checkpoint_preset(options->preset);
    if (!preset)
        return qvl_fail(error, QVL_USAGE, "there is no preset %s; `qvl-audit list` names them",
                        options->preset);
    *spec = *preset;
    if (options->has_dtype)
        spec->dtype = options->dtype;
    if (options->has_seed)
        spec->seed = (uint64_t)options->seed;
    if (options->has_layout)
        spec->expert_layout = options->layout;
    if (options->has_shards)
        spec->shard_bytes = options->shard_bytes;
    spec->spelling = options->spelling;
    return QVL_OK;
}

enum qvl_status qvl_verb_checkpoint(int argc, char **argv, struct qvl_error *error)
{
    struct checkpoint_options options = {.preset = "small-dense-tied"};
    struct qvl_checkpoint_spec spec;
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    int64_t parameters;
    int64_t bytes;
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    QVL_TRY(make_spec(&options, &spec, error));
    QVL_TRY(qvl_checkpoint_size(&spec, &parameters, &bytes, error));
    QVL_TRY(qvl_checkpoint_write(&spec, options.out, error));
    struct qvl_record *record = qvl_record_create("checkpoint", options.out, QVL_CASE_NONE);
    qvl_record_text(record, "preset", spec.name, QVL_FROM_SETTING);
    qvl_record_int(record, "seed", (int64_t)spec.seed, NULL, QVL_FROM_SETTING);
    qvl_record_text(record, "dtype", qvl_dtype_name(spec.dtype), QVL_FROM_SETTING);
    qvl_record_int(record, "parameters", parameters, NULL, QVL_FROM_MODELLED);
    qvl_record_int(record, "weight_bytes", bytes, "B", QVL_FROM_MODELLED);
    enum qvl_status status = qvl_report_take(&report, record, error);
    if (status == QVL_OK)
        status = qvl_output_write(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
