#include "verify/divergence.h"

#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The number behind one of these paths, -1 when the name has none of them. */
static int64_t layer_of(const char *stage)
{
    static const char *const paths[] = {"model.visual.blocks.", "model.visual.deepstack_merger_list.",
                                        "model.language_model.layers."};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (begins(stage, paths[i]))
            return strtoll(stage + strlen(paths[i]), NULL, 10);
    return -1;
}

static bool ends(const char *text, const char *with)
{
    const size_t length = strlen(text);
    return length >= strlen(with) && strcmp(text + length - strlen(with), with) == 0;
}

/* Patch rows come in merge-block order: the merge x merge patches of a cell follow each other. */
static void locate_patch(int64_t row, const struct qvl_prompt *prompt, int64_t merge,
                         struct qvl_stage_place *place)
{
    place->patch = row;
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_grid *grid = &prompt->visuals[v].grid;
        const int64_t count = grid->t * grid->h * grid->w;
        if (row >= count) {
            row -= count;
            continue;
        }
        const int64_t group = merge * merge;
        const int64_t cell = row % (grid->h * grid->w) / group;
        place->visual = v;
        place->t = row / (grid->h * grid->w);
        place->h = cell / (grid->w / merge) * merge + row % group / merge;
        place->w = cell % (grid->w / merge) * merge + row % merge;
        return;
    }
}

/* The `row`-th visual token of the prompt. */
static void locate_cell(int64_t row, const struct qvl_prompt *prompt, int64_t merge,
                        struct qvl_stage_place *place)
{
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_grid *grid = &prompt->visuals[v].grid;
        const int64_t height = grid->h / merge;
        const int64_t width = grid->w / merge;
        if (row >= grid->t * height * width) {
            row -= grid->t * height * width;
            continue;
        }
        place->visual = v;
        place->t = row / (height * width);
        place->h = row / width % height;
        place->w = row % width;
        return;
    }
}

static bool is_visual(const struct qvl_model_config *config, int64_t id)
{
    return id == config->image_token || id == config->video_token;
}

static void locate_token(int64_t token, const struct qvl_prompt *prompt,
                         const struct qvl_model_config *config, struct qvl_stage_place *place)
{
    int64_t before = 0;
    place->token = token;
    if (token < 0 || token >= prompt->count || !is_visual(config, prompt->ids[token]))
        return;
    for (int64_t i = 0; i < token; i++)
        before += is_visual(config, prompt->ids[i]);
    locate_cell(before, prompt, config->vision.merge, place);
}

/* The token of the `row`-th visual placeholder. */
static int64_t visual_token(int64_t row, const struct qvl_prompt *prompt,
                            const struct qvl_model_config *config)
{
    for (int64_t i = 0; i < prompt->count; i++)
        if (is_visual(config, prompt->ids[i]) && row-- == 0)
            return i;
    return -1;
}

static void locate_head(const char *stage, int64_t column, const struct qvl_model_config *config,
                        struct qvl_stage_place *place)
{
    static const char *const thirds[] = {"q", "k", "v"};
    int64_t head_dim = 0;
    if (ends(stage, ".attn.qkv")) {
        head_dim = config->vision.head_dim;
        place->third = thirds[column / config->vision.hidden % 3];
        column %= config->vision.hidden;
    } else if (ends(stage, ".v_proj") || ends(stage, ".q_norm") || ends(stage, ".k_norm")) {
        head_dim = config->text.head_dim;
    }
    if (head_dim > 0) {
        place->head = column / head_dim;
        place->lane = column % head_dim;
    }
}

void qvl_stage_locate(const char *stage, int64_t row, int64_t column, const struct qvl_prompt *prompt,
                      const struct qvl_model_config *config, struct qvl_stage_place *place)
{
    *place = (struct qvl_stage_place){.layer = layer_of(stage),
                                      .patch = -1,
                                      .token = -1,
                                      .visual = -1,
                                      .t = -1,
                                      .h = -1,
                                      .w = -1,
                                      .channel = column,
                                      .head = -1,
                                      .lane = -1};
    if (!begins(stage, "model.visual."))
        locate_token(row, prompt, config, place);
    else if (strstr(stage, "merger"))
        locate_token(visual_token(row, prompt, config), prompt, config, place);
    else
        locate_patch(row, prompt, config->vision.merge, place);
    locate_head(stage, column, config, place);
}

void qvl_stage_place_text(const struct qvl_stage_place *place, char *text, size_t size)
{
    const bool patch = place->patch >= 0;
    size_t used = (size_t)snprintf(text, size, "%s %lld", patch ? "patch row" : "token",
                                   (long long)(patch ? place->patch : place->token));
    if (place->visual >= 0 && used < size)
        used += (size_t)snprintf(text + used, size - used, " (visual %lld, %s t %lld h %lld w %lld)",
                                 (long long)place->visual, patch ? "patch" : "cell", (long long)place->t,
                                 (long long)place->h, (long long)place->w);
    if (used < size)
        used += (size_t)snprintf(text + used, size - used, ", channel %lld", (long long)place->channel);
    if (place->head >= 0 && used < size)
        snprintf(text + used, size - used, " (%s%shead %lld lane %lld)", place->third ? place->third : "",
                 place->third ? " " : "", (long long)place->head, (long long)place->lane);
}

/* "3 of 7 rows", "all 7 rows". */
static void share(int64_t part, int64_t whole, const char *unit, char text[48])
{
    if (part == whole)
        snprintf(text, 48, "all %lld %s", (long long)whole, unit);
    else
        snprintf(text, 48, "%lld of %lld %s", (long long)part, (long long)whole, unit);
}

void qvl_stage_result_text(const struct qvl_stage_result *result, const struct qvl_prompt *prompt,
                           const struct qvl_model_config *config, char *text, size_t size)
{
    struct qvl_stage_place place;
    char where[160], rows[48], columns[48];
    if (result->failures == 0 && result->status == QVL_CASE_FAILED) {
        snprintf(text, size, "%s: missing or of another shape than %lld x %lld", result->name,
                 (long long)result->rows, (long long)result->width);
        return;
    }
    qvl_stage_locate(result->name, result->first_token + result->row, result->column, prompt, config, &place);
    qvl_stage_place_text(&place, where, sizeof where);
    share(result->failed_rows, result->rows, "rows", rows);
    share(result->failed_columns, result->width, "channels", columns);
    snprintf(text, size, "%s, %s: expected %.6g, got %.6g, bound %.2g (%.3g times); beyond it: %s, %s",
             result->name, where, result->expected, result->got, result->tolerance, result->margin, rows,
             columns);
}

static const struct qvl_stage_result *first_of(const struct qvl_stage_run *run)
{
    return run->first >= 0 && run->count > 0 ? &run->results[run->first] : NULL;
}

void qvl_divergence_verdict(const struct qvl_stage_report *report, const struct qvl_prompt *prompt,
                            const struct qvl_model_config *config, char verdict[QVL_VERDICT_BYTES])
{
    const struct qvl_stage_result *shows = first_of(&report->free);
    const struct qvl_stage_result *arises = first_of(&report->forced);
    char where[320];
    char more[96] = "";
    if (arises && report->forced.failed > 1)
        snprintf(more, sizeof more, "; %lld stages in all err on right inputs",
                 (long long)report->forced.failed);
    if (!shows && !arises) {
        snprintf(verdict, QVL_VERDICT_BYTES, "no divergence: %lld stages within their bounds%s",
                 (long long)report->free.compared,
                 report->forced.count ? ", free-running and on the other engine's inputs" : "");
        return;
    }
    qvl_stage_result_text(shows ? shows : arises, prompt, config, where, sizeof where);
    if (shows && arises && strcmp(shows->name, arises->name) == 0) {
        snprintf(verdict, QVL_VERDICT_BYTES,
                 "first divergence: %s; forced: it arises there, its inputs were right%s", where, more);
    } else if (shows && arises) {
        char source[320];
        qvl_stage_result_text(arises, prompt, config, source, sizeof source);
        snprintf(verdict, QVL_VERDICT_BYTES,
                 "first divergence: %s; forced: the first that errs on right inputs is %s%s", where, source,
                 more);
    } else if (shows) {
        snprintf(verdict, QVL_VERDICT_BYTES, "first divergence: %s%s", where,
                 report->forced.count ? "; forced: no stage errs on right inputs, small errors add up" : "");
    } else {
        snprintf(verdict, QVL_VERDICT_BYTES,
                 "no divergence free-running; forced: the first that errs on right inputs is %s%s", where,
                 more);
    }
}
