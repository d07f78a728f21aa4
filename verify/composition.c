#define _GNU_SOURCE /* nftw */

#include "verify/composition.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "datasets/checkpoint.h"
#include "verify/composition_parts.h"

/* ---- The cases ---- */

/* Cheapest first; those that most faults fail come early. */
static const char *const prompts[] = {"video", "image", "mixed", "pair"};

struct plan {
    const char *line;
    struct composition_medium medium;
    double rate;
};

static const struct plan plans[] = {
    {"plan frames=15 fps=30 num_frames=13",
     {.is_video = true, .height = 64, .width = 96, .frames = 15, .fps = 30, .num_frames = 13},
     0},
    {"plan frames=5 fps=10 rate=16",
     {.is_video = true, .height = 64, .width = 96, .frames = 5, .fps = 10},
     16},
    {"plan frames=301 fps=30 rate=2",
     {.is_video = true, .height = 64, .width = 96, .frames = 301, .fps = 30},
     2},
};

static const struct composition_script scripts[] = {
    {"alone text=image chunk=0", {IMAGE}, 0, ALONE},
    {"alone text=video chunk=5", {VIDEO}, 5, ALONE},
    {"alone text=image chunk=7", {IMAGE}, 7, ALONE},
    {"alone text=mixed chunk=0", {MIXED}, 0, ALONE},
    {"alone text=image chunk=1", {IMAGE}, 1, ALONE},
    {"truncated text=image chunk=0", {IMAGE}, 0, TRUNCATED},
    {"forked text=image chunk=0", {IMAGE, IMAGE_OTHERWISE}, 0, FORKED},
    {"batched texts=image,pair chunk=0", {IMAGE, PAIR}, 0, BATCHED},
    {"batched texts=image,video chunk=11", {IMAGE, VIDEO}, 11, BATCHED},
    {"interleaved texts=image,pair chunk=0", {IMAGE, PAIR}, 0, INTERLEAVED},
    {"in_a_row texts=image,text chunk=0", {IMAGE, TEXT}, 0, IN_A_ROW},
    {"in_a_row texts=image,other_image chunk=0", {IMAGE, OTHER_IMAGE}, 0, IN_A_ROW},
    {"alone text=image chunk=0 head=tied", {TIED_IMAGE}, 0, ALONE},
};

#define COUNT(array) ((int64_t)(sizeof array / sizeof *array))

static int64_t pixel_count(void)
{
    int64_t count = 0;
    while (composition_pixel_line(count))
        count++;
    return count;
}

const char *qvl_composition_line(int64_t index)
{
    static const char *const prompt_lines[] = {"prompt text=video", "prompt text=image", "prompt text=mixed",
                                               "prompt text=pair"};
    const int64_t pixels = pixel_count();
    if (index < 0)
        return NULL;
    if (index < pixels)
        return composition_pixel_line(index);
    index -= pixels;
    if (index < COUNT(plans))
        return plans[index].line;
    index -= COUNT(plans);
    if (index < COUNT(prompts))
        return prompt_lines[index];
    index -= COUNT(prompts);
    return index < COUNT(scripts) ? scripts[index].line : NULL;
}

static enum qvl_status run_plan(const struct qvl_composition *composition, const struct plan *plan,
                                const struct qvl_composition_path *path, struct qvl_selftest_attempt *attempt,
                                struct qvl_error *error)
{
    const struct qvl_composition_path honest = {.open = NULL};
    struct qvl_prompt wanted, got;
    QVL_TRY(composition_plan(composition, &plan->medium, plan->rate, &honest, &wanted, error));
    const enum qvl_status status =
        composition_plan(composition, &plan->medium, plan->rate, path, &got, error);
    if (status == QVL_OK) {
        composition_judge_prompt(&got, &wanted, attempt);
        qvl_prompt_free(&got);
    }
    qvl_prompt_free(&wanted);
    return status;
}

static enum qvl_status run_prompt(const struct qvl_composition *composition, const char *media,
                                  const struct qvl_composition_path *path,
                                  struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    const struct qvl_composition_path honest = {.open = NULL};
    struct qvl_prompt wanted, got;
    QVL_TRY(composition_prompt(composition, media, OWN_HEAD, &honest, &wanted, error));
    const enum qvl_status status = composition_prompt(composition, media, OWN_HEAD, path, &got, error);
    if (status == QVL_OK) {
        composition_judge_prompt(&got, &wanted, attempt);
        qvl_prompt_free(&got);
    }
    qvl_prompt_free(&wanted);
    return status;
}

enum qvl_status qvl_composition_run(const struct qvl_composition *composition, int64_t index,
                                    const struct qvl_composition_path *path,
                                    struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    const int64_t pixels = pixel_count();
    const bool shapes_prompt = path->fault && (path->fault->visuals || path->fault->text);
    const struct qvl_pixel_ops *honest = composition->options.pixels;
    attempt->status = QVL_CASE_SKIPPED;
    if (index < pixels)
        return path->pixels ? composition_pixel_run(index, honest, path->pixels, attempt, error) : QVL_OK;
    index -= pixels;
    if (index < COUNT(plans))
        return path->pixels || shapes_prompt ? run_plan(composition, &plans[index], path, attempt, error)
                                             : QVL_OK;
    index -= COUNT(plans);
    if (index < COUNT(prompts))
        return path->pixels || shapes_prompt ? run_prompt(composition, prompts[index], path, attempt, error)
                                             : QVL_OK;
    index -= COUNT(prompts);
    return composition_script_run(composition, &scripts[index], path, attempt, error);
}

/* ---- Making and unmaking ---- */

static const struct {
    const char *media;
    int continuation;
    enum composition_checkpoint checkpoint;
} texts[HISTORIES] = {
    [IMAGE] = {"image", 1, OWN_HEAD},
    [VIDEO] = {"video", 1, OWN_HEAD},
    [MIXED] = {"mixed", 1, OWN_HEAD},
    [PAIR] = {"pair", 1, OWN_HEAD},
    [IMAGE_OTHERWISE] = {"image", 2, OWN_HEAD},
    [OTHER_IMAGE] = {"other_image", 1, OWN_HEAD},
    [TEXT] = {"text", 1, OWN_HEAD},
    [TIED_IMAGE] = {"image", 1, TIED_HEAD},
};

static const char *const presets[CHECKPOINTS] = {
    [OWN_HEAD] = "dense-untied-gqa3", [TIED_HEAD] = "small-dense-tied"};

/* Decoded tokens are text: the placeholders and markers have the highest ids. */
#define TEXT_IDS 200

static enum qvl_status append_forced(struct composition_history *history, uint64_t seed,
                                     struct qvl_error *error)
{
    struct qvl_prompt *whole = &history->whole;
    int64_t *grown = realloc(whole->ids, sizeof(int64_t) * (size_t)(whole->count + COMPOSITION_FORCED));
    if (!grown)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a prompt");
    whole->ids = grown;
    for (int i = 0; i < COMPOSITION_FORCED; i++)
        whole->ids[whole->count++] =
            (int64_t)qvl_random_below(seed, (uint64_t)history->continuation, (uint64_t)i, TEXT_IDS);
    return QVL_OK;
}

static enum qvl_status make_histories(struct qvl_composition *composition, struct qvl_error *error)
{
    const struct qvl_composition_path honest = {.open = NULL};
    for (int i = 0; i < HISTORIES; i++) {
        struct composition_history *history = &composition->histories[i];
        history->media = texts[i].media;
        history->continuation = texts[i].continuation;
        history->checkpoint = texts[i].checkpoint;
        QVL_TRY(composition_prompt(composition, history->media, history->checkpoint, &honest, &history->whole,
                                   error));
        QVL_TRY(append_forced(history, composition->options.seed, error));
        QVL_TRY(composition_expect(composition, history, error));
    }
    return QVL_OK;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static void delete_folder(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The weights stay mapped by nobody: each model maps them again, so the folder lives as long as the checks.
 */
static enum qvl_status write_checkpoints(struct qvl_composition *composition, struct qvl_error *error)
{
    const char *place = getenv("TMPDIR");
    for (int i = 0; i < CHECKPOINTS; i++) {
        QVL_TRY(qvl_path_join(place && *place ? place : "/tmp", "qvl-selftest-XXXXXX",
                              &composition->folders[i], error));
        if (!mkdtemp(composition->folders[i])) {
            const enum qvl_status status =
                qvl_fail(error, QVL_IO, "cannot make a folder %s; set TMPDIR to a place that can be written",
                         composition->folders[i]);
            free(composition->folders[i]);
            composition->folders[i] = NULL;
            return status;
        }
        QVL_TRY(qvl_checkpoint_write(qvl_checkpoint_preset(presets[i]), composition->folders[i], error));
    }
    return qvl_tokenizer_load(composition->folders[OWN_HEAD], &composition->tokenizer, error);
}

enum qvl_status qvl_composition_create(const struct qvl_composition_options *options,
                                       struct qvl_composition **composition, struct qvl_error *error)
{
    struct qvl_composition *made = calloc(1, sizeof *made);
    *composition = NULL;
    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the composition checks");
    made->options = *options;
    enum qvl_status status = write_checkpoints(made, error);
    if (status == QVL_OK)
        status = make_histories(made, error);
    if (status != QVL_OK) {
        qvl_composition_destroy(made);
        return status;
    }
    *composition = made;
    return QVL_OK;
}

void qvl_composition_destroy(struct qvl_composition *composition)
{
    if (!composition)
        return;
    for (int i = 0; i < HISTORIES; i++) {
        qvl_prompt_free(&composition->histories[i].whole);
        qvl_tap_store_free(&composition->histories[i].expected);
        free(composition->histories[i].tolerance);
    }
    qvl_tokenizer_destroy(composition->tokenizer);
    for (int i = 0; i < CHECKPOINTS; i++) {
        if (composition->folders[i])
            delete_folder(composition->folders[i]);
        free(composition->folders[i]);
    }
    free(composition);
}
