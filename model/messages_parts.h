/* A parsed chat as messages.c builds it and chat_template.c renders it. Texts point into the JSON trees. */
#ifndef QVL_MODEL_MESSAGES_PARTS_H
#define QVL_MODEL_MESSAGES_PARTS_H

#include "model/json_tree.h"
#include "model/messages.h"

#define TEMPLATE_COUNT 3 /* of enum qvl_template */

enum message_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_COUNT };

extern const char *const message_role_names[ROLE_COUNT];

struct span {
    const char *text; /* NULL: not given */
    size_t size;
};

/* One part of a content list, or a whole content string. */
struct message_part {
    struct span text;   /* the `text` key; some roles use it even beside an image */
    int64_t media_item; /* index into media_items; -1: the part is text, or nothing the template knows */
};

struct tool_call {
    struct span name;
    const struct qvl_json_node *arguments; /* a string is copied as it is, other values as JSON */
};

struct message {
    enum message_role role;
    struct message_part *parts; /* [part_count], owned */
    int64_t part_count;
    bool has_content;        /* a non-empty string or a non-empty list */
    struct span reasoning;   /* `reasoning_content`, if it is a string */
    struct tool_call *calls; /* [call_count], owned */
    int64_t call_count;
};

struct qvl_messages {
    struct qvl_json_tree *json, *tools_json;
    const struct qvl_json_node *tools; /* an array that is not empty, or NULL */
    struct message *messages;          /* [count], owned */
    int64_t count;
    struct qvl_media_item *media_items; /* [media_count], owned, in the order of the JSON */
    int64_t media_count;
    size_t media_capacity;
    struct qvl_media_item
        *shown[TEMPLATE_COUNT]; /* shallow copies of what each template renders, in its order */
    int64_t shown_count[TEMPLATE_COUNT];
};

/* Where a value stands, for messages: FILE: messages[2].content[0] */
struct message_place {
    const char *name; /* of the file */
    char path[96];
};

enum qvl_status message_fail(const struct message_place *place, const char *key, struct qvl_error *error,
                             const char *format, ...) QVL_PRINTF(4, 5);

/* Read the image or video of a content part: its source from `key`, its limits from the part. `folder` is
 * what relative paths start from. On success *item is owned by the caller (message_media_free). */
QVL_MUST_USE enum qvl_status message_media_read(const struct qvl_json_node *part, bool is_video,
                                                const char *folder, const struct message_place *place,
                                                struct qvl_media_item *item, struct qvl_error *error);
void message_media_free(struct qvl_media_item *item);

/* Render one template; the indices of the media that stand in the text are appended to `shown` (room for
 * media_count). */
QVL_MUST_USE enum qvl_status chat_template_render(const struct qvl_messages *messages,
                                                  const struct qvl_render_options *options,
                                                  struct qvl_bytes *out, int64_t *shown, int64_t *shown_count,
                                                  struct qvl_error *error);

#endif
