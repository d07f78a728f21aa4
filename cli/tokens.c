/* preprocess --tokens: plans sizes and durations with the processor's own code and counts their tokens. */
#include "cli/tokens.h"

#include <math.h>

#include "model/visual_tokens.h"
#include "ref/pixels.h"

struct tokens {
    const struct qvl_tokens_options *options;
    const struct qvl_media_item *limits;
    const struct qvl_token_budget *budget; /* the one whose rows are made */
    struct qvl_processor *processor;       /* under its profile */
    struct qvl_tokenizer *tokenizer;       /* NULL: the released vocabulary's rule */
    struct qvl_report *report;
};

/* A planned image (frames 0) or video, counted. */
struct counted {
    int64_t frames, height, width;
    double fps, seconds;
    struct qvl_visual visual; /* owned */
    struct qvl_visual_tokens tokens;
};

static int64_t first_set(int64_t given, int64_t otherwise)
{
    return given >= 0 ? given : otherwise;
}

/* The limits of the budget where the command line has none. */
static struct qvl_media_item limits_of(const struct tokens *tokens, double seconds)
{
    const struct qvl_token_budget *budget = tokens->budget;
    struct qvl_media_item limits = *tokens->limits;
    limits.min_pixels = first_set(limits.min_pixels, budget->limits.min_pixels);
    limits.max_pixels = first_set(limits.max_pixels, budget->limits.max_pixels);
    limits.total_pixels = first_set(limits.total_pixels, budget->limits.total_pixels);
    if (budget->fps > 0 && limits.num_frames < 0) {
        const double rate = limits.fps > 0 ? limits.fps : budget->fps;
        limits.num_frames = (int64_t)fmin(fmax(trunc(seconds * rate), 4), (double)budget->max_frames);
        limits.fps = -1;
    }
    return limits;
}

static enum qvl_status plan(const struct tokens *tokens, const struct qvl_media_item *limits,
                            struct counted *counted, struct qvl_error *error)
{
    QVL_TRY(qvl_processor_plan(tokens->processor, limits, counted->frames, counted->height, counted->width,
                               counted->fps, &counted->visual, error));
    const enum qvl_status status = qvl_visual_count_tokens(tokens->processor, tokens->tokenizer,
                                                           &counted->visual, &counted->tokens, error);
    if (status != QVL_OK)
        qvl_visual_free(&counted->visual);
    return status;
}

/* ---- Records ---- */

static void put(struct qvl_record *record, const char *name, int64_t value, const char *unit)
{
    qvl_record_int(record, name, value, unit, QVL_FROM_MODELLED);
}

static void duration_text(double seconds, char text[24])
{
    const double minutes = seconds / 60, hours = seconds / 3600;
    if (hours >= 1 && hours == trunc(hours))
        snprintf(text, 24, "%gh", hours);
    else if (minutes >= 1 && minutes == trunc(minutes))
        snprintf(text, 24, "%gm", minutes);
    else
        snprintf(text, 24, "%gs", seconds);
}

static struct qvl_record *begin(const char *kind, const struct tokens *tokens, const struct counted *counted,
                                const char *detail)
{
    char name[160], duration[24] = "";
    if (counted->frames > 0)
        duration_text(counted->seconds, duration);
    snprintf(name, sizeof name, "%s %lldx%lld%s%s%s", tokens->budget->name, (long long)counted->height,
             (long long)counted->width, *duration ? " " : "", duration, detail);
    return qvl_record_create(kind, name, QVL_CASE_NONE);
}

/* What both kinds of media have; the resized size and the grid stand in full in the files. */
static void put_visual(struct qvl_record *record, const struct counted *counted)
{
    const struct qvl_visual *visual = &counted->visual;
    const struct qvl_visual_tokens *tokens = &counted->tokens;
    if (visual->is_video)
        put(record, "frames", visual->frames, NULL);
    qvl_record_ints(record, "resized", (int64_t[]){visual->resized_height, visual->resized_width}, 2, NULL,
                    QVL_FROM_MODELLED);
    qvl_record_ints(record, "grid", (int64_t[]){visual->grid.t, visual->grid.h, visual->grid.w}, 3, NULL,
                    QVL_FROM_MODELLED);
    put(record, "visual", tokens->visual, "token");
    if (visual->is_video)
        put(record, "stamps", tokens->stamps, "token");
    put(record, "markers", tokens->markers, "token");
    put(record, "total", tokens->total, "token");
    if (visual->is_video)
        put(record, "most_of_a_pair", tokens->patch, "token");
    put(record, "largest_position", tokens->largest_position, NULL);
}

static enum qvl_status take(struct tokens *tokens, struct counted *counted, const char *detail,
                            struct qvl_error *error)
{
    struct qvl_record *record =
        begin(counted->frames > 0 ? "video_tokens" : "image_tokens", tokens, counted, detail);
    put_visual(record, counted);
    qvl_visual_free(&counted->visual);
    return qvl_report_take(tokens->report, record, error);
}

/* ---- Fitting a context ---- */

/* Plan with `total_pixels`; true when video and reserve fit. The plan is kept when they do. */
static enum qvl_status try_pixels(const struct tokens *tokens, struct qvl_media_item *limits, int64_t pixels,
                                  int64_t room, struct counted *counted, bool *fits, struct qvl_error *error)
{
    limits->total_pixels = pixels;
    QVL_TRY(plan(tokens, limits, counted, error));
    *fits = counted->tokens.total <= room;
    if (!*fits)
        qvl_visual_free(&counted->visual);
    return QVL_OK;
}

/* The largest budget of pixels, within 2 to the power of `BITS`, that fits; -1: not even the smallest frames
 * do. */
#define BITS 46
static enum qvl_status largest_fit(const struct tokens *tokens, struct qvl_media_item *limits, int64_t room,
                                   struct counted *counted, int64_t *best, struct qvl_error *error)
{
    *best = -1;
    for (int bit = BITS; bit >= 0; bit--) {
        const int64_t pixels = (*best > 0 ? *best : 0) + ((int64_t)1 << bit);
        bool fits;
        QVL_TRY(try_pixels(tokens, limits, pixels, room, counted, &fits, error));
        if (!fits)
            continue;
        *best = pixels;
        qvl_visual_free(&counted->visual);
    }
    bool fits = false;
    return *best > 0 ? try_pixels(tokens, limits, *best, room, counted, &fits, error) : QVL_OK;
}

/* All frames at the wanted rate, in the largest size that leaves the reserve of the context. */
static enum qvl_status fit(struct tokens *tokens, struct counted *counted, int64_t context,
                           struct qvl_error *error)
{
    struct qvl_media_item limits = *tokens->limits;
    const double rate = limits.fps > 0 ? limits.fps : 1;
    char detail[32];
    int64_t pixels;
    if (limits.num_frames < 0)
        limits.num_frames = (int64_t)fmax(trunc(counted->seconds * rate), 2);
    limits.fps = -1;
    limits.max_pixels = -1;
    limits.min_pixels = first_set(limits.min_pixels, 1);
    QVL_TRY(largest_fit(tokens, &limits, context - tokens->options->reserve, counted, &pixels, error));
    snprintf(detail, sizeof detail, " in %lld", (long long)context);
    struct qvl_record *record = begin("fitted_video", tokens, counted, detail);
    const int64_t pairs = (limits.num_frames + 1) / 2;
    put(record, "room_of_a_pair", context / pairs, "token");
    if (pixels > 0) {
        put_visual(record, counted);
        put(record, "left", context - counted->tokens.total, "token");
        put(record, "total_pixels", pixels, NULL);
        qvl_record_detail(record);
        qvl_visual_free(&counted->visual);
    } else {
        qvl_record_missing(record, "resized", "not even frames of one token fit");
    }
    return qvl_report_take(tokens->report, record, error);
}

/* ---- Lists ---- */

static enum qvl_status tell_video(struct tokens *tokens, struct counted *counted, const char *detail,
                                  struct qvl_error *error)
{
    for (int64_t i = 0; i < tokens->options->context_count; i++)
        QVL_TRY(fit(tokens, counted, tokens->options->contexts[i], error));
    if (tokens->options->context_count > 0)
        return QVL_OK;
    const struct qvl_media_item limits = limits_of(tokens, counted->seconds);
    QVL_TRY(plan(tokens, &limits, counted, error));
    return take(tokens, counted, detail, error);
}

static enum qvl_status tell_image(struct tokens *tokens, struct counted *counted, const char *detail,
                                  struct qvl_error *error)
{
    if (tokens->options->context_count > 0)
        return QVL_OK;
    /* A budget's limits are those of videos. */
    QVL_TRY(plan(tokens, tokens->limits, counted, error));
    return take(tokens, counted, detail, error);
}

static enum qvl_status tell_listed(struct tokens *tokens, struct qvl_error *error)
{
    for (int64_t i = 0; i < tokens->options->listed_count; i++) {
        const struct qvl_media_size *size = &tokens->options->listed[i];
        struct counted counted = {.frames = size->frames,
                                  .height = size->height,
                                  .width = size->width,
                                  .fps = size->fps,
                                  .seconds = size->frames > 0 ? (double)size->frames / size->fps : 0};
        char detail[48];
        snprintf(detail, sizeof detail, ", line %lld", (long long)size->line);
        QVL_TRY(size->frames > 0 ? tell_video(tokens, &counted, detail, error)
                                 : tell_image(tokens, &counted, detail, error));
    }
    return QVL_OK;
}

static enum qvl_status tell_lists(struct tokens *tokens, struct qvl_error *error)
{
    const struct qvl_tokens_options *options = tokens->options;
    for (int64_t s = 0; s < options->size_count; s++) {
        struct counted image = {.height = options->sizes[s][0], .width = options->sizes[s][1]};
        QVL_TRY(tell_image(tokens, &image, "", error));
    }
    for (int64_t d = 0; d < options->duration_count; d++) {
        for (int64_t s = 0; s < options->size_count; s++) {
            const double seconds = options->durations[d];
            struct counted video = {.frames = (int64_t)fmax(rint(seconds * options->source_fps), 1),
                                    .height = options->sizes[s][0],
                                    .width = options->sizes[s][1],
                                    .fps = options->source_fps,
                                    .seconds = seconds};
            QVL_TRY(tell_video(tokens, &video, "", error));
        }
    }
    return QVL_OK;
}

static enum qvl_status tell_budget(struct tokens *tokens, const struct qvl_session_options *session,
                                   struct qvl_error *error)
{
    struct qvl_processor_options processor = session->processor;
    char note[256];
    processor.profile = tokens->budget->profile;
    processor.sizes_only = true;
    QVL_TRY(qvl_processor_load(session->weights, &qvl_ref_pixel_ops, &processor, &tokens->processor, error));
    enum qvl_status status = tokens->options->listed ? tell_listed(tokens, error) : tell_lists(tokens, error);
    qvl_processor_destroy(tokens->processor);
    snprintf(note, sizeof note, "%s: %s.", tokens->budget->name, tokens->budget->about);
    return status == QVL_OK ? qvl_report_note(tokens->report, note, error) : status;
}

static enum qvl_status describe(const struct tokens *tokens, const struct qvl_session_options *session,
                                struct qvl_error *error)
{
    const struct qvl_tokens_options *options = tokens->options;
    struct qvl_record *record = qvl_record_create("workload", "tokens", QVL_CASE_NONE);
    tokens->report->workload = record;
    qvl_record_text(record, "weights", session->weights ? session->weights : "released settings",
                    QVL_FROM_SETTING);
    if (!options->listed)
        qvl_record_real(record, "source_fps", options->source_fps, "Hz", QVL_FROM_SETTING);
    if (options->context_count > 0) {
        qvl_record_ints(record, "contexts", options->contexts, options->context_count, "token",
                        QVL_FROM_SETTING);
        qvl_record_int(record, "reserve", options->reserve, "token", QVL_FROM_SETTING);
    }
    QVL_TRY(qvl_record_check(record, error));
    QVL_TRY(qvl_report_note(
        tokens->report,
        "total: visual tokens with their stamps and markers; the chat's own tokens come on top. "
        "largest_position counts from the medium's first token; most_of_a_pair is the most tokens of one "
        "temporal patch (two frames).",
        error));
    return qvl_report_note(tokens->report,
                           tokens->tokenizer
                               ? "Stamps are encoded with the checkpoint's tokenizer."
                               : "Stamps by the released vocabulary: \"<\", each digit, \".\", \" seconds\" "
                                 "and \">\" are a token each.",
                           error);
}

enum qvl_status qvl_tokens_report(const struct qvl_tokens_options *options,
                                  const struct qvl_session_options *session,
                                  const struct qvl_media_item *limits, struct qvl_report *report,
                                  struct qvl_error *error)
{
    struct tokens tokens = {.options = options, .limits = limits, .report = report};
    if (session->weights)
        QVL_TRY(qvl_tokenizer_load(session->weights, &tokens.tokenizer, error));
    enum qvl_status status = describe(&tokens, session, error);
    for (int64_t i = 0; i < options->budget_count && status == QVL_OK; i++) {
        tokens.budget = options->budgets[i];
        status = tell_budget(&tokens, session, error);
    }
    qvl_tokenizer_destroy(tokens.tokenizer);
    return status;
}
