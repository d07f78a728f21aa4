/* qvl-audit preprocess: what the processor makes of images and videos, or of their sizes alone. */
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"
#include "cli/output.h"
#include "cli/preprocess_forms.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/tokens.h"
#include "cli/verbs.h"
#include "cli/visual_tensors.h"
#include "datasets/media.h"

enum kind { KIND_BY_CONTENT, KIND_IMAGE, KIND_VIDEO };

struct preprocess_options {
    struct qvl_session_options session;
    const char **files; /* room for all of argv */
    int64_t file_count;
    const char *sizes, *out, *png;
    enum kind kind;
    struct qvl_media_item limits;
    bool count_tokens; /* --tokens */
    struct qvl_tokens_options tokens;
};

enum {
    OPTION_SIZES = 0x2000,
    OPTION_OUT,
    OPTION_PNG,
    OPTION_KIND,
    OPTION_MIN_PIXELS,
    OPTION_MAX_PIXELS,
    OPTION_TOTAL_PIXELS,
    OPTION_FPS,
    OPTION_FRAMES,
    OPTION_TOKENS,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_SOURCE_FPS,
    OPTION_BUDGET,
    OPTION_FIT,
    OPTION_RESERVE
};

static const struct argp_option options_table[] = {
    {"sizes", OPTION_SIZES, "FILE.csv", 0,
     "Plan sizes instead of files: lines `h,w` of an image or `frames,h,w,fps` of a video; blank lines, # "
     "comments and a line of these names in front are passed over",
     3},
    {"kind", OPTION_KIND, "KIND", 0,
     "Take every file as image or as video. Default, by content: JPEG, WebP and what FFmpeg knows as a "
     "picture "
     "format are images (the first picture of an animated one), everything else is a video",
     3},
    {"min-pixels", OPTION_MIN_PIXELS, "N", 0,
     "In place of the checkpoint's; of an image, or of all frames of a video (qvu: of a frame)", 4},
    {"max-pixels", OPTION_MAX_PIXELS, "N", 0, "The same at the upper end", 4},
    {"total-pixels", OPTION_TOTAL_PIXELS, "N", 0, "Upper end of all frames of a video", 4},
    {"fps", OPTION_FPS, "F", 0, "Frames to take of a second of video", 4},
    {"num-frames", OPTION_FRAMES, "N", 0, "Frames to take of a video, in place of a rate", 4},
    {"out", OPTION_OUT, "FILE", 0,
     "Write pixel_values, image_grid_thw, pixel_values_videos, video_grid_thw and frames_indices.K of all "
     "files in order (safetensors)",
     5},
    {"png", OPTION_PNG, "DIR", 0,
     "Write the resized pixels: NAME.png of an image, NAME.frame000012.png of frame 12 of a video; "
     "2.NAME.png "
     "for the second file when two share a name",
     5},
    {NULL, 0, NULL, 0, "Tokens against resolution and duration, without media:", 6},
    {"tokens", OPTION_TOKENS, NULL, 0,
     "Tables of tokens, time stamps and position ids for sizes and durations (or those of --sizes), with the "
     "released settings unless --weights is given",
     6},
    {"size", OPTION_SIZE, "HxW,...", 0, "Default 360x640,720x1280,1080x1920,2160x3840", 6},
    {"duration", OPTION_DURATION, "T,...", 0, "Videos of 10s, 30m or 2h (default 10s,1m,10m,30m,2h)", 6},
    {"source-fps", OPTION_SOURCE_FPS, "F", 0, "Frame rate of those videos (default 30)", 6},
    {"budget", OPTION_BUDGET, "NAME,...", 0,
     "Limits as in hf4 (default: as --processor), hf5, qvu, report (the technical report's evaluations) or "
     "script (the "
     "repository's)",
     6},
    {"fit", OPTION_FIT, "N,...", 0,
     "The largest frames with which every frame at --fps (default 1) fits contexts of N tokens", 6},
    {"reserve", OPTION_RESERVE, "N", 0, "Tokens of such a context that stay for text (default 256)", 6},
    {0}};

static int64_t pixels_argument(struct argp_state *state, const char *name, const char *text)
{
    int64_t value = 0;
    if (!qvl_number_count(text, &value) || value < 1)
        argp_error(state, "--%s is a whole number above zero, not %s", name, text);
    return value;
}

static double rate_argument(struct argp_state *state, const char *name, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1e6))
        argp_error(state, "--%s is a number above zero, not %s", name, text);
    return value;
}

static enum kind kind_argument(struct argp_state *state, const char *text)
{
    if (strcmp(text, "image") != 0 && strcmp(text, "video") != 0)
        argp_error(state, "--kind is image or video, not %s", text);
    return strcmp(text, "video") == 0 ? KIND_VIDEO : KIND_IMAGE;
}

static error_t parse_tokens_option(int key, char *argument, struct argp_state *state)
{
    struct preprocess_options *options = state->input;
    struct qvl_tokens_options *tokens = &options->tokens;
    bool good = true;
    switch (key) {
    case OPTION_TOKENS: options->count_tokens = true; return 0;
    case OPTION_SIZE: good = qvl_tokens_sizes(argument, tokens); break;
    case OPTION_DURATION: good = qvl_tokens_durations(argument, tokens); break;
    case OPTION_SOURCE_FPS: tokens->source_fps = rate_argument(state, "source-fps", argument); break;
    case OPTION_BUDGET: good = qvl_tokens_budgets(argument, tokens); break;
    case OPTION_FIT:
        good = qvl_number_counts(argument, tokens->contexts, QVL_TOKENS_MAX_LIST, &tokens->context_count);
        for (int64_t i = 0; good && i < tokens->context_count; i++)
            good = tokens->contexts[i] > 0 && tokens->contexts[i] <= (int64_t)1 << 31;
        break;
    case OPTION_RESERVE: good = qvl_number_count(argument, &tokens->reserve); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    if (!good)
        argp_error(state,
                   "\"%s\" is no such list: --size 1080x1920,720x1280 --duration 10s,30m,2h --budget "
                   "hf4,hf5,qvu,report,script --fit 256K,1M --reserve 256",
                   argument);
    return 0;
}

static void check_tokens(const struct preprocess_options *options, struct argp_state *state)
{
    if (options->file_count || options->out || options->png || options->kind != KIND_BY_CONTENT)
        argp_error(state,
                   "--tokens takes no files and writes no pixels; give --size and --duration, or --sizes "
                   "FILE.csv");
    for (int64_t i = 0; i < options->tokens.context_count; i++)
        if (options->tokens.contexts[i] <= options->tokens.reserve)
            argp_error(state, "--fit: a context of %lld tokens has no room beside the reserve of %lld",
                       (long long)options->tokens.contexts[i], (long long)options->tokens.reserve);
}

static void check_options(const struct preprocess_options *options, struct argp_state *state)
{
    if (options->limits.fps > 0 && options->limits.num_frames > 0)
        argp_error(state, "--fps and --num-frames exclude each other");
    if (options->count_tokens) {
        check_tokens(options, state);
        return;
    }
    if (!options->session.weights)
        argp_error(state, "--weights DIR is needed");
    if (!options->sizes == !options->file_count)
        argp_error(state, "give either files or --sizes FILE.csv");
    if (options->sizes && (options->out || options->png || options->kind != KIND_BY_CONTENT))
        argp_error(state, "--out, --png and --kind need files; --sizes has no pixels");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct preprocess_options *options = state->input;
    struct qvl_media_item *limits = &options->limits;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = state->child_inputs[1] = &options->session; return 0;
    case ARGP_KEY_ARG: options->files[options->file_count++] = argument; return 0;
    case OPTION_SIZES: options->sizes = argument; return 0;
    case OPTION_OUT: options->out = argument; return 0;
    case OPTION_PNG: options->png = argument; return 0;
    case OPTION_KIND: options->kind = kind_argument(state, argument); return 0;
    case OPTION_MIN_PIXELS: limits->min_pixels = pixels_argument(state, "min-pixels", argument); return 0;
    case OPTION_MAX_PIXELS: limits->max_pixels = pixels_argument(state, "max-pixels", argument); return 0;
    case OPTION_TOTAL_PIXELS:
        limits->total_pixels = pixels_argument(state, "total-pixels", argument);
        return 0;
    case OPTION_FPS: limits->fps = rate_argument(state, "fps", argument); return 0;
    case OPTION_FRAMES: limits->num_frames = pixels_argument(state, "num-frames", argument); return 0;
    case ARGP_KEY_END: check_options(options, state); return 0;
    default: return parse_tokens_option(key, argument, state);
    }
}

static const struct argp_child children[] = {
    {&qvl_session_weights_argp, 0, NULL, 0}, {&qvl_session_processor_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = options_table,
    .parser = parse_option,
    .children = children,
    .args_doc = "FILE...\n--sizes FILE.csv\n--tokens",
    .doc = "Show what the model gets of images and videos: one JSON line each, with size and resized size "
           "[height,width], grid [t,h,w] in patches, tokens, selected frames, time stamps in seconds, and "
           "whether the pixels are exactly the original's. With an output option, records take the place of "
           "the lines. When one input is bad, nothing is printed or written.\v"
           "Example: what a clip costs, and the pictures that the model sees\n\n"
           "  qvl-audit preprocess --weights DIR clip.mp4 --png seen"};

static struct qvl_media_item item_of(const struct preprocess_options *options, const char *file, bool video)
{
    struct qvl_media_item item = options->limits;
    item.is_video = video;
    item.path = (char *)file; /* read only */
    return item;
}

static enum qvl_status find_kind(const struct preprocess_options *options, const char *file, bool *video,
                                 struct qvl_error *error)
{
    bool picture = options->kind == KIND_IMAGE;
    if (options->kind == KIND_BY_CONTENT)
        QVL_TRY(qvl_media_is_picture(file, &picture, error));
    *video = !picture;
    return QVL_OK;
}

static enum qvl_status read_file(const struct preprocess_options *options,
                                 const struct qvl_processor *processor, const char *file,
                                 struct qvl_preprocessed *seen, struct qvl_error *error)
{
    bool video;
    QVL_TRY(find_kind(options, file, &video, error));
    const struct qvl_media_item item = item_of(options, file, video);
    *seen = (struct qvl_preprocessed){.file = file};
    QVL_TRY(qvl_processor_visual(processor, &qvl_media_files, &item, &seen->visual, error));
    seen->tokens = qvl_processor_visual_tokens(processor, &seen->visual);
    if (!options->out) {
        free(seen->visual.rows);
        seen->visual.rows = NULL;
    }
    return QVL_OK;
}

static enum qvl_status plan_size(const struct preprocess_options *options,
                                 const struct qvl_processor *processor, const struct qvl_media_size *size,
                                 struct qvl_preprocessed *seen, struct qvl_error *error)
{
    *seen = (struct qvl_preprocessed){.size = size};
    const enum qvl_status status = qvl_processor_plan(processor, &options->limits, size->frames, size->height,
                                                      size->width, size->fps, &seen->visual, error);
    if (status != QVL_OK) {
        char where[400];
        snprintf(where, sizeof where, "%.340s: line %lld", options->sizes, (long long)size->line);
        return qvl_fail_in(error, status, where);
    }
    seen->tokens = qvl_processor_visual_tokens(processor, &seen->visual);
    return QVL_OK;
}

static enum qvl_status print_line(const struct qvl_preprocessed *seen, struct qvl_error *error)
{
    char *line;
    QVL_TRY(qvl_preprocessed_line(seen, &line, error));
    const enum qvl_status status = qvl_output_print(line, strlen(line), error);
    free(line);
    return status;
}

static enum qvl_status write_tensors(const struct preprocess_options *options,
                                     const struct qvl_processor *processor,
                                     const struct qvl_preprocessed *seen, struct qvl_error *error)
{
    const struct qvl_safetensors_metadata metadata = {"processor",
                                                      qvl_profile_name(options->session.processor.profile)};
    struct qvl_tensor_list list = {0};
    struct qvl_visual *visuals = malloc(sizeof *visuals * (size_t)options->file_count);
    if (!visuals)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld files", (long long)options->file_count);
    for (int64_t i = 0; i < options->file_count; i++)
        visuals[i] = seen[i].visual; /* borrowed */
    qvl_tensor_list_add_visuals(&list, visuals, options->file_count, qvl_processor_settings(processor));
    const enum qvl_status status = qvl_tensor_list_write(&list, options->out, &metadata, 1, error);
    qvl_tensor_list_free(&list);
    free(visuals);
    return status;
}

static enum qvl_status take_record(const struct preprocess_options *options,
                                   const struct qvl_preprocessed *seen, int64_t number,
                                   struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_record *record = qvl_preprocessed_record(seen, number);
    qvl_record_text(record, "processor", qvl_profile_name(options->session.processor.profile),
                    QVL_FROM_SETTING);
    return qvl_report_take(report, record, error);
}

/* Files: all are read before the first thing is written. */
static enum qvl_status run_files(const struct preprocess_options *options,
                                 const struct qvl_processor *processor, const struct qvl_output *output,
                                 struct qvl_preprocessed *seen, struct qvl_error *error)
{
    const int64_t count = options->file_count;
    struct qvl_report report = {0};
    struct qvl_progress progress;
    enum qvl_status status = QVL_OK;
    qvl_progress_begin(&progress, "preprocess", "file", count);
    for (int64_t i = 0; i < count && status == QVL_OK; i++) {
        status = read_file(options, processor, options->files[i], &seen[i], error);
        qvl_progress_update(&progress, i + 1);
    }
    qvl_progress_end(&progress);
    for (int64_t i = 0; qvl_output_wanted(output) && i < count && status == QVL_OK; i++)
        status = take_record(options, &seen[i], i + 1, &report, error);
    if (status == QVL_OK && options->png)
        status = qvl_preprocessed_png(seen, count, options->png, error);
    if (status == QVL_OK && options->out)
        status = write_tensors(options, processor, seen, error);
    if (status == QVL_OK && qvl_output_wanted(output))
        status = qvl_output_write(output, &report, error);
    for (int64_t i = 0; !qvl_output_wanted(output) && i < count && status == QVL_OK; i++)
        status = print_line(&seen[i], error);
    qvl_report_clear(&report);
    return status;
}

/* Sizes: planned twice, so that a bad line is found before the first line is printed and a long list needs no
 * memory for its frame indices. */
static enum qvl_status run_sizes(const struct preprocess_options *options,
                                 const struct qvl_processor *processor, const struct qvl_output *output,
                                 struct qvl_error *error)
{
    struct qvl_report report = {0};
    struct qvl_media_size *sizes = NULL;
    int64_t count = 0;
    const bool records = qvl_output_wanted(output);
    QVL_TRY(qvl_media_sizes_read(options->sizes, &sizes, &count, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < 2 * count && status == QVL_OK; i++) {
        struct qvl_preprocessed seen;
        const bool last_pass = i >= count;
        status = plan_size(options, processor, &sizes[i % count], &seen, error);
        if (status == QVL_OK && last_pass)
            status = records ? take_record(options, &seen, i, &report, error) : print_line(&seen, error);
        qvl_visual_free(&seen.visual);
    }
    if (status == QVL_OK && records)
        status = qvl_output_write(output, &report, error);
    qvl_report_clear(&report);
    free(sizes);
    return status;
}

static enum qvl_status run_tokens(struct preprocess_options *options, const struct qvl_output *output,
                                  struct qvl_error *error)
{
    struct qvl_tokens_options *tokens = &options->tokens;
    struct qvl_media_size *sizes = NULL;
    struct qvl_report report = {0};
    qvl_tokens_defaults(tokens, options->session.processor.profile);
    if (options->sizes)
        QVL_TRY(qvl_media_sizes_read(options->sizes, &sizes, &tokens->listed_count, error));
    tokens->listed = sizes;
    enum qvl_status status = qvl_tokens_report(tokens, &options->session, &options->limits, &report, error);
    if (status == QVL_OK)
        status = qvl_output_write(output, &report, error);
    qvl_report_clear(&report);
    free(sizes);
    return status;
}

static enum qvl_status run(struct preprocess_options *options, const struct qvl_output *output,
                           struct qvl_error *error)
{
    struct qvl_processor *processor = NULL;
    options->session.processor.keep_resized = options->png != NULL;
    QVL_TRY(qvl_session_load_processor(&options->session, &processor, error));
    struct qvl_preprocessed *seen = calloc((size_t)options->file_count + 1, sizeof *seen);
    enum qvl_status status;
    if (!seen)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld files", (long long)options->file_count);
    else if (options->sizes)
        status = run_sizes(options, processor, output, error);
    else
        status = run_files(options, processor, output, seen, error);
    for (int64_t i = 0; seen && i < options->file_count; i++)
        qvl_visual_free(&seen[i].visual);
    free(seen);
    qvl_processor_destroy(processor);
    return status;
}

enum qvl_status qvl_verb_preprocess(int argc, char **argv, struct qvl_error *error)
{
    struct preprocess_options options = {
        .limits = {.min_pixels = -1, .max_pixels = -1, .total_pixels = -1, .num_frames = -1, .fps = -1},
        .tokens = {.reserve = 256, .source_fps = 30}};
    struct qvl_output output = {0};
    qvl_session_defaults(&options.session);
    options.session.weights_optional = true; /* check_options knows when it is */
    options.files = malloc(sizeof *options.files * (size_t)(argc + 1));
    if (!options.files)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %d file names", argc);
    enum qvl_status status = qvl_output_parse(&parser, argc, argv, &options, &output, error);
    if (status == QVL_OK)
        status = options.count_tokens ? run_tokens(&options, &output, error) : run(&options, &output, error);
    free(options.files);
    return status;
}
