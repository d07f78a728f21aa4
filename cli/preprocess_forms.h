/* One image or video of `preprocess` as a JSON line, as a record and as PNG files. */
#ifndef QVL_CLI_PREPROCESS_FORMS_H
#define QVL_CLI_PREPROCESS_FORMS_H

#include "cli/preprocess_sizes.h"
#include "model/prompt.h"
#include "qvl/record.h"

struct qvl_preprocessed {
    const char *file;                  /* of the medium, or NULL: planned from `size`; borrowed */
    const struct qvl_media_size *size; /* borrowed */
    struct qvl_visual visual;          /* owned */
    int64_t tokens;                    /* the visual's, without time stamps and markers */
};

/* {"file":..,"kind":..,"size":[h,w],...} and a newline; with "line" and "input" in place of "file" when there
 * is no medium. What an image has not (rate, indices, stamps), and whether the pixels are exact where none
 * was read, is null. *line is owned (free). */
QVL_MUST_USE enum qvl_status qvl_preprocessed_line(const struct qvl_preprocessed *seen, char **line,
                                                   struct qvl_error *error);

/* A record of kind "visual"; `number` (from 1) makes its name unique. Owned; see qvl_report_take. */
struct qvl_record *qvl_preprocessed_record(const struct qvl_preprocessed *seen, int64_t number);

/* Write what the model sees of `count` media with resized_rgb into `folder`, which is made if need be:
 * NAME.png of an image, NAME.frame000012.png of frame 12 of a video, NAME the file's without folder and
 * extension; when two media share a NAME, the position of each stands in front: 2.NAME.png. On failure the
 * files written so far are removed. */
QVL_MUST_USE enum qvl_status qvl_preprocessed_png(const struct qvl_preprocessed *seen, int64_t count,
                                                  const char *folder, struct qvl_error *error);

#endif
