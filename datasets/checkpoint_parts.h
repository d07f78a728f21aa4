/* Shared by the files that make a random checkpoint; not part of the public interface. */
#ifndef QVL_DATASETS_CHECKPOINT_PARTS_H
#define QVL_DATASETS_CHECKPOINT_PARTS_H

#include "datasets/checkpoint.h"

/* Text that grows; after an allocation failure further calls do nothing and `failed` stays set. */
struct checkpoint_text {
    char *data; /* owned, zero-terminated when size > 0 */
    size_t size, capacity;
    bool failed;
};

void checkpoint_text_put(struct checkpoint_text *text, const char *format, ...) QVL_PRINTF(2, 3);
void checkpoint_text_quote(struct checkpoint_text *text, const char *utf8); /* as a JSON string */
void checkpoint_text_free(struct checkpoint_text *text);

/* The tokenizer: 256 byte tokens, merged tokens, added tokens, in id order. */
struct checkpoint_tokenizer {
    char **tokens; /* [base_count] in the byte-to-unicode spelling */
    char **merges; /* [merge_count] "left right" */
    int64_t base_count, merge_count;
};

/* The added tokens of the family in id order; the first has id `base_count`. */
#define CHECKPOINT_ADDED_TOKENS 26
#define CHECKPOINT_SPECIAL_TOKENS 14 /* the first ones are `special` */
extern const char *const checkpoint_added_tokens[CHECKPOINT_ADDED_TOKENS];

enum checkpoint_added {
    CHECKPOINT_ENDOFTEXT = 0,
    CHECKPOINT_IM_END = 2,
    CHECKPOINT_VISION_START = 9,
    CHECKPOINT_VISION_END = 10,
    CHECKPOINT_IMAGE_PAD = 12,
    CHECKPOINT_VIDEO_PAD = 13
};

enum qvl_status checkpoint_tokenizer_build(struct checkpoint_tokenizer *tokenizer, struct qvl_error *error);
void checkpoint_tokenizer_free(struct checkpoint_tokenizer *tokenizer);
void checkpoint_tokenizer_json(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text);
void checkpoint_tokenizer_config(const struct checkpoint_tokenizer *tokenizer, int64_t max_positions,
                                 struct checkpoint_text *text);
void checkpoint_vocab_json(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text);
void checkpoint_merges_text(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text);

/* The other small files. `first_added` is the id of <|endoftext|>. */
void checkpoint_config_json(const struct qvl_checkpoint_spec *spec, int64_t first_added,
                            struct checkpoint_text *text);
void checkpoint_generation_json(int64_t first_added, struct checkpoint_text *text);
void checkpoint_preprocessor_json(const struct qvl_checkpoint_spec *spec, bool video,
                                  struct checkpoint_text *text);
void checkpoint_template_json(struct checkpoint_text *text);

/* How the values of a tensor are drawn. */
enum checkpoint_draw {
    CHECKPOINT_NORMAL,     /* offset + scale * normal(seed, stream of the name, index) */
    CHECKPOINT_GATE_UP,    /* stacked experts, from the per-expert gate and up matrices */
    CHECKPOINT_EXPERT_DOWN /* stacked experts, from the per-expert down matrices */
};

struct checkpoint_tensor {
    char name[160];
    int32_t rank;
    int64_t shape[QVL_MAX_RANK];
    enum checkpoint_draw draw;
    float scale, offset;
};

struct checkpoint_tensors {
    struct checkpoint_tensor *items; /* [count], owned */
    int64_t count, capacity;
    bool failed;
};

enum qvl_status checkpoint_tensors_list(const struct qvl_checkpoint_spec *spec,
                                        struct checkpoint_tensors *tensors, struct qvl_error *error);
int64_t checkpoint_tensor_count(const struct checkpoint_tensor *tensor);

/* Values first .. first+count-1 of a tensor in row-major order. */
void checkpoint_tensor_values(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensor *tensor,
                              int64_t first, int64_t count, float *values);

#endif
