/* preprocess --tokens: what images and videos of given sizes and durations take of a context. */
#ifndef QVL_CLI_TOKENS_H
#define QVL_CLI_TOKENS_H

#include "cli/preprocess_sizes.h"
#include "cli/session.h"
#include "qvl/record.h"

#define QVL_TOKENS_MAX_LIST 64

/* A way to limit frames and pixels that somebody uses. */
struct qvl_token_budget {
    const char *name, *about;
    enum qvl_profile profile;
    double fps;         /* 0: the profile's own selection */
    int64_t max_frames; /* with fps */
    struct qvl_media_item limits;
};

/* Budget `index` from 0; NULL beyond the last. */
const struct qvl_token_budget *qvl_token_budget_at(int64_t index);

struct qvl_tokens_options {
    int64_t sizes[QVL_TOKENS_MAX_LIST][2]; /* height, width */
    int64_t size_count;
    double durations[QVL_TOKENS_MAX_LIST]; /* s */
    int64_t duration_count;
    const struct qvl_token_budget *budgets[QVL_TOKENS_MAX_LIST];
    int64_t budget_count;
    int64_t contexts[QVL_TOKENS_MAX_LIST]; /* --fit; none: the budgets' own limits */
    int64_t context_count;
    int64_t reserve;                     /* of such a context, for text */
    double source_fps;                   /* of the videos */
    const struct qvl_media_size *listed; /* sizes of a file in place of the lists; borrowed */
    int64_t listed_count;
};

/* "1080x1920,2160x3840"; "10s,30m,2h" or plain seconds; "hf4,qvu". False: not such a list. */
bool qvl_tokens_sizes(const char *text, struct qvl_tokens_options *options);
bool qvl_tokens_durations(const char *text, struct qvl_tokens_options *options);
bool qvl_tokens_budgets(const char *text, struct qvl_tokens_options *options);

/* Lists that were left out get their defaults; the budget that of the profile. */
void qvl_tokens_defaults(struct qvl_tokens_options *options, enum qvl_profile profile);

/* Records "image_tokens" and "video_tokens" for every budget, size and duration; with contexts "fitted_video"
 * instead: all frames at the wanted rate, the largest frames whose video leaves the reserve. `limits` are
 * those of the command line, which win over a budget's. Settings and tokenizer are those of session->weights,
 * or the released ones. */
QVL_MUST_USE enum qvl_status qvl_tokens_report(const struct qvl_tokens_options *options,
                                               const struct qvl_session_options *session,
                                               const struct qvl_media_item *limits, struct qvl_report *report,
                                               struct qvl_error *error);

#endif
