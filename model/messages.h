/* A chat: messages in the style of the original framework, read from JSON, and their rendering by the chat
 * template. */
#ifndef QVL_MODEL_MESSAGES_H
#define QVL_MODEL_MESSAGES_H

#include "qvl/tensor.h"

/* An image or video that a message names. Limits below zero mean "not given". */
struct qvl_media_item {
    bool is_video;
    char *path; /* resolved path, owned; NULL when `bytes` is used; one path per frame in `frame_paths` for a
                   list */
    uint8_t *bytes; /* contents of a data: URL, owned */
    size_t size;
    char **frame_paths; /* a video given as a list of images, owned; NULL otherwise */
    int64_t frame_count;
    int64_t min_pixels, max_pixels, total_pixels;
    int64_t num_frames;
    double fps;
};

struct qvl_messages; /* parsed chat; owns its JSON and media items */

/* Parse a message file (a JSON array) or text; paths in it are relative to the file's folder or
 * `base_folder`. Tools are a JSON array of tool definitions, or NULL. QVL_BAD_INPUT names the message, part
 * and key.
 *
 * Roles are system, user, assistant, tool. `content` is a string or a list of parts:
 *   text   {"type": "text", "text": ...}
 *   image  type "image" or a key image or image_url; the source is under image, image_url, url or path
 *   video  type "video" or a key video; the source is under video, video_url, url or path; a list of paths
 * gives the frames A source is a path, a file: URL or a base64 data: URL, or {"url": source}; files must
 * exist. A part may carry min_pixels, max_pixels, total_pixels, num_frames, fps. Other types, such as
 * {"type": "audio", "audio": ...}, are dropped, as the templates do. An assistant message may have
 * tool_calls, and then no content. */
enum qvl_status qvl_messages_read(const char *file, const char *tools_file, struct qvl_messages **messages,
                                  struct qvl_error *error);
enum qvl_status qvl_messages_parse(const char *json, const char *base_folder, const char *tools_json,
                                   struct qvl_messages **messages, struct qvl_error *error);
void qvl_messages_destroy(struct qvl_messages *messages); /* NULL is accepted */

enum qvl_template {
    QVL_TEMPLATE_QWEN3_INSTRUCT, /* facts 5.3 */
    QVL_TEMPLATE_QWEN3_THINKING,
    QVL_TEMPLATE_QWEN2 /* Qwen2-VL, Qwen2.5-VL: default system message */
};

struct qvl_render_options {
    enum qvl_template template;
    bool add_generation_prompt;
    bool add_vision_id; /* "Picture 1: " labels */
};

/* The template that a checkpoint folder carries (chat_template.jinja, chat_template.json or
 * tokenizer_config.json, in this order): THINKING if its generation prompt opens <think>, QWEN2 if it has a
 * default system message, else INSTRUCT, also when the folder has none. */
enum qvl_status qvl_template_detect(const char *folder, enum qvl_template *template, struct qvl_error *error);

/* Render to the prompt text before expansion: each medium is one <|vision_start|><|image_pad|><|vision_end|>
 * (or video_pad) triple. `*text` malloc'd. `*items` points into `messages` (borrowed): the media
 * that the text shows, in order of appearance; the Instruct template shows none of system and assistant
 * messages. */
enum qvl_status qvl_messages_render(const struct qvl_messages *messages,
                                    const struct qvl_render_options *options, char **text, size_t *size,
                                    const struct qvl_media_item **items, int64_t *item_count,
                                    struct qvl_error *error);

#endif
