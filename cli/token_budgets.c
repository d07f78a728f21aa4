/* The budgets of preprocess --tokens, and its lists. */
#include <math.h>
#include <stdlib.h>

#include "cli/numbers.h"
#include "cli/tokens.h"

#define UNSET .min_pixels = -1, .max_pixels = -1, .total_pixels = -1, .num_frames = -1, .fps = -1
#define FACTOR2 (32 * 32) /* pixels of a token in one frame */

/* Sources: facts 1.1, 2.3 and 2.4 (the first three); technical report 5.9 (2 fps, 2,048 frames, 224K tokens a
 * video, 640 a frame); evaluation/VideoMME of the repository (2 fps, 512 frames, its shell script's pixels).
 */
static const struct qvl_token_budget budgets[] = {
    {"hf4", "transformers 4.57.6, released processor", QVL_PROFILE_HF4, 0, 0, {UNSET}},
    {"hf5", "transformers 5.23.0, released processor", QVL_PROFILE_HF5, 0, 0, {UNSET}},
    {"qvu", "qwen-vl-utils 0.0.14, its defaults", QVL_PROFILE_QVU, 0, 0, {UNSET}},
    {"report",
     "technical report 5.9: 2 fps, 2048 frames, 224K tokens, 640 a frame",
     QVL_PROFILE_QVU,
     2,
     2048,
     {.min_pixels = -1,
      .max_pixels = 640 * FACTOR2,
      .total_pixels = 224 * 1024 * FACTOR2,
      .num_frames = -1,
      .fps = -1}},
    {"script",
     "VideoMME script: 2 fps, 512 frames, 3584 to 401408 pixels a frame, 19267584 in all",
     QVL_PROFILE_QVU,
     2,
     512,
     {.min_pixels = 3584, .max_pixels = 401408, .total_pixels = 19267584, .num_frames = -1, .fps = -1}},
};

const struct qvl_token_budget *qvl_token_budget_at(int64_t index)
{
    return index >= 0 && index < (int64_t)(sizeof budgets / sizeof *budgets) ? &budgets[index] : NULL;
}

/* Hand the parts between commas to `take`; false when one is refused or there are too many. */
static bool each(const char *text, bool (*take)(const char *part, struct qvl_tokens_options *options),
                 struct qvl_tokens_options *options)
{
    char *copy = strdup(text);
    bool good = copy != NULL && *text;
    for (char *rest = copy; good && rest;)
        good = take(strsep(&rest, ","), options);
    free(copy);
    return good;
}

static bool take_size(const char *part, struct qvl_tokens_options *options)
{
    return options->size_count < QVL_TOKENS_MAX_LIST &&
           qvl_number_sizes(part, options->sizes[options->size_count++], 2);
}

static bool take_duration(const char *part, struct qvl_tokens_options *options)
{
    char *end;
    const double number = strtod(part, &end);
    const double unit = strcmp(end, "h") == 0 ? 3600 : strcmp(end, "m") == 0 ? 60 : 1;
    if (end == part || (unit == 1 && *end && strcmp(end, "s") != 0) ||
        !(number > 0 && number * unit <= 1e6) || options->duration_count == QVL_TOKENS_MAX_LIST)
        return false;
    options->durations[options->duration_count++] = number * unit;
    return true;
}

static bool take_budget(const char *part, struct qvl_tokens_options *options)
{
    for (int64_t i = 0; qvl_token_budget_at(i); i++)
        if (strcmp(part, qvl_token_budget_at(i)->name) == 0 && options->budget_count < QVL_TOKENS_MAX_LIST) {
            options->budgets[options->budget_count++] = qvl_token_budget_at(i);
            return true;
        }
    return false;
}

bool qvl_tokens_sizes(const char *text, struct qvl_tokens_options *options)
{
    options->size_count = 0;
    return each(text, take_size, options);
}

bool qvl_tokens_durations(const char *text, struct qvl_tokens_options *options)
{
    options->duration_count = 0;
    return each(text, take_duration, options);
}

bool qvl_tokens_budgets(const char *text, struct qvl_tokens_options *options)
{
    options->budget_count = 0;
    return each(text, take_budget, options);
}

void qvl_tokens_defaults(struct qvl_tokens_options *options, enum qvl_profile profile)
{
    if (options->size_count == 0)
        (void)qvl_tokens_sizes("360x640,720x1280,1080x1920,2160x3840", options);
    if (options->duration_count == 0)
        (void)qvl_tokens_durations("10s,1m,10m,30m,2h", options);
    if (options->budget_count == 0)
        (void)qvl_tokens_budgets(qvl_profile_name(profile), options);
}
