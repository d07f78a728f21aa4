/* What the files of the composition checks share. Internal to verify/. */
#ifndef QVL_VERIFY_COMPOSITION_PARTS_H
#define QVL_VERIFY_COMPOSITION_PARTS_H

#include "model/processor.h"
#include "model/tap_store.h"
#include "model/tokenizer.h"
#include "verify/composition.h"

#define COMPOSITION_FORCED 3 /* tokens decoded after a prompt, given in advance */
#define COMPOSITION_LANES 2
#define COMPOSITION_MEDIA 2

enum composition_checkpoint { OWN_HEAD, TIED_HEAD, CHECKPOINTS };

/* A picture or clip made by datasets/scene. */
struct composition_medium {
    bool is_video;
    int seed;
    int64_t height, width;
    int64_t frames, fps; /* of the source */
    int64_t num_frames;  /* asked for */
};

struct composition_media {
    const char *name;
    struct composition_medium media[COMPOSITION_MEDIA];
    int count;
};

/* A text with its media and the tokens that follow, and what the reference makes of it. */
struct composition_history {
    const char *media; /* name of a composition_media */
    int continuation;  /* other ones give other tokens */
    enum composition_checkpoint checkpoint;
    struct qvl_prompt whole;       /* the prompt and COMPOSITION_FORCED tokens */
    struct qvl_tap_store expected; /* every stage and "logits", row k for token k */
    double *tolerance;             /* of each stage */
};

enum composition_text {
    IMAGE,
    VIDEO,
    MIXED,
    PAIR,
    IMAGE_OTHERWISE, /* IMAGE with another continuation */
    OTHER_IMAGE,     /* the token ids of IMAGE, another picture */
    TEXT,
    TIED_IMAGE,
    HISTORIES
};

struct qvl_composition {
    struct qvl_composition_options options;
    char *folders[CHECKPOINTS];
    struct qvl_tokenizer *tokenizer;
    struct composition_history histories[HISTORIES];
};

/* ---- composition_media.c ---- */

const struct composition_media *composition_media_named(const char *name);

/* The prompt as the path makes it. */
enum qvl_status composition_prompt(const struct qvl_composition *composition, const char *media,
                                   enum composition_checkpoint checkpoint,
                                   const struct qvl_composition_path *path, struct qvl_prompt *prompt,
                                   struct qvl_error *error);

/* Sizes and frames of one video, without pixels, as the path plans them. */
enum qvl_status composition_plan(const struct qvl_composition *composition,
                                 const struct composition_medium *medium, double rate,
                                 const struct qvl_composition_path *path, struct qvl_prompt *prompt,
                                 struct qvl_error *error);

/* Judge a prompt by the honest one: ids, grids, frames, times and pixels must be equal. */
void composition_judge_prompt(const struct qvl_prompt *got, const struct qvl_prompt *wanted,
                              struct qvl_selftest_attempt *attempt);

/* ---- composition_pixels.c ---- */

const char *composition_pixel_line(int64_t index); /* NULL beyond the last */
enum qvl_status composition_pixel_run(int64_t index, const struct qvl_pixel_ops *wanted,
                                      const struct qvl_pixel_ops *tried, struct qvl_selftest_attempt *attempt,
                                      struct qvl_error *error);

/* ---- composition_script.c ---- */

/* What a path does with one or two texts. */
struct composition_script {
    const char *line;
    enum composition_text texts[COMPOSITION_LANES];
    int64_t chunk; /* 0: the whole prompt */
    enum composition_course {
        ALONE,       /* prefill, then decode */
        FORKED,      /* both continuations from one prefill */
        TRUNCATED,   /* the last token of prompt and decode is dropped and processed again */
        BATCHED,     /* two texts in one ragged batch, from prefill to decode */
        INTERLEAVED, /* both are prefilled, then decode in turns */
        IN_A_ROW     /* one conversation after the other */
    } course;
};

enum qvl_status composition_expect(const struct qvl_composition *composition,
                                   struct composition_history *history, struct qvl_error *error);
enum qvl_status composition_script_run(const struct qvl_composition *composition,
                                       const struct composition_script *script,
                                       const struct qvl_composition_path *path,
                                       struct qvl_selftest_attempt *attempt, struct qvl_error *error);

#endif
