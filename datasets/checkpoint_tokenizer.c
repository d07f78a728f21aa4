/* A small byte-level BPE tokenizer made from a word list, with the added tokens of the family. */
#include <stdlib.h>

#include "datasets/checkpoint_parts.h"

#define BYTE_TOKENS 256
#define LONGEST_WORD 32 /* bytes */

const char *const checkpoint_added_tokens[CHECKPOINT_ADDED_TOKENS] = {
    "<|endoftext|>",  "<|im_start|>",   "<|im_end|>",      "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>",  "<|box_end|>",    "<|quad_start|>",  "<|quad_end|>",         "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",   "<|video_pad|>",        "<tool_call>",
    "</tool_call>",   "<|fim_prefix|>", "<|fim_middle|>",  "<|fim_suffix|>",       "<|fim_pad|>",
    "<|repo_name|>",  "<|file_sep|>",   "<tool_response>", "</tool_response>",     "<think>",
    "</think>"};

/* Chat words, timestamps, plain English, a few other scripts and digraphs. Order decides merge ranks. */
static const char *const words[] = {" the",
                                    " of",
                                    " and",
                                    " to",
                                    " in",
                                    " is",
                                    "ing",
                                    " that",
                                    " it",
                                    " for",
                                    " was",
                                    " on",
                                    " with",
                                    " as",
                                    " are",
                                    " at",
                                    " be",
                                    " this",
                                    " from",
                                    " have",
                                    " or",
                                    " by",
                                    " one",
                                    " not",
                                    " but",
                                    " what",
                                    " all",
                                    " were",
                                    " when",
                                    " we",
                                    " there",
                                    " can",
                                    " an",
                                    " your",
                                    " which",
                                    " their",
                                    " said",
                                    " if",
                                    " will",
                                    " each",
                                    " about",
                                    " how",
                                    " up",
                                    " out",
                                    " them",
                                    "user",
                                    "system",
                                    "assistant",
                                    " seconds",
                                    " picture",
                                    " image",
                                    " video",
                                    " frame",
                                    " second",
                                    " describe",
                                    " between",
                                    " colour",
                                    " left",
                                    " right",
                                    " above",
                                    " below",
                                    " count",
                                    " first",
                                    " last",
                                    " before",
                                    " after",
                                    " while",
                                    " moving",
                                    " person",
                                    " object",
                                    " table",
                                    " chart",
                                    " street",
                                    " number",
                                    " answer",
                                    " question",
                                    " because",
                                    " where",
                                    " light",
                                    " dark",
                                    " red",
                                    " green",
                                    " blue",
                                    " white",
                                    " black",
                                    " small",
                                    " large",
                                    " round",
                                    " square",
                                    "tion",
                                    "ment",
                                    "ness",
                                    "able",
                                    "The",
                                    "What",
                                    "How",
                                    "You",
                                    "Is",
                                    "'s",
                                    "'t",
                                    "'re",
                                    "\n\n",
                                    "  ",
                                    "    ",
                                    " =",
                                    " {",
                                    "();",
                                    "://",
                                    "...",
                                    ", ",
                                    "\xc3\xa9",
                                    "\xc3\xbc",
                                    "\xc3\xb1",
                                    "\xd0\xbe",
                                    "\xd0\xb0",
                                    " \xd0\xb8",
                                    "\xce\xb1",
                                    "\xe4\xb8\xad",
                                    "\xe6\x96\x87",
                                    "\xe3\x81\xae",
                                    "\xe3\x81\xab",
                                    "\xed\x95\x9c",
                                    "\xd8\xa7\xd9\x84",
                                    "\xe2\x80\x99",
                                    "\xf0\x9f\x98\x80",
                                    "\xe2\x82\xac"};

/* Code point that stands for a byte in token texts: itself when printable Latin-1, else 256, 257, ... in byte
 * order (GPT-2's table). */
static unsigned byte_symbol(unsigned byte)
{
    unsigned skipped = 0;
    for (unsigned value = 0; value <= byte; value++) {
        bool printable = (value >= 33 && value <= 126) || (value >= 161 && value <= 172) || value >= 174;
        if (value == byte)
            return printable ? byte : BYTE_TOKENS + skipped;
        skipped += printable ? 0 : 1;
    }
    return 0;
}

/* Append the UTF-8 form of a code point below 0x800; returns the new length. */
static size_t put_symbol(char *text, size_t length, unsigned symbol)
{
    if (symbol < 0x80) {
        text[length++] = (char)symbol;
    } else {
        text[length++] = (char)(0xc0 | (symbol >> 6));
        text[length++] = (char)(0x80 | (symbol & 0x3f));
    }
    text[length] = '\0';
    return length;
}

static int64_t find_token(const struct checkpoint_tokenizer *tokenizer, const char *token)
{
    for (int64_t id = 0; id < tokenizer->base_count; id++)
        if (strcmp(tokenizer->tokens[id], token) == 0)
            return id;
    return -1;
}

static int64_t find_merge(const struct checkpoint_tokenizer *tokenizer, const char *left, const char *right)
{
    char merge[4 * LONGEST_WORD + 2];
    snprintf(merge, sizeof merge, "%s %s", left, right);
    for (int64_t rank = 0; rank < tokenizer->merge_count; rank++)
        if (strcmp(tokenizer->merges[rank], merge) == 0)
            return rank;
    return -1;
}

struct parts {
    char text[LONGEST_WORD][2 * LONGEST_WORD + 1];
    int count;
};

static void join_parts(struct parts *parts, int at)
{
    size_t length = strlen(parts->text[at]);
    memcpy(parts->text[at] + length, parts->text[at + 1], strlen(parts->text[at + 1]) + 1);
    for (int next = at + 1; next + 1 < parts->count; next++)
        memcpy(parts->text[next], parts->text[next + 1], sizeof parts->text[next]);
    parts->count--;
}

/* Apply the merges made so far, lowest rank first. */
static void apply_merges(const struct checkpoint_tokenizer *tokenizer, struct parts *parts)
{
    for (;;) {
        int64_t best = -1;
        int best_at = -1;
        for (int at = 0; at + 1 < parts->count; at++) {
            int64_t rank = find_merge(tokenizer, parts->text[at], parts->text[at + 1]);
            if (rank >= 0 && (best < 0 || rank < best)) {
                best = rank;
                best_at = at;
            }
        }
        if (best < 0)
            return;
        join_parts(parts, best_at);
    }
}

/* Make new merges, left to right, until the word is one token. A concatenation that already is a token (split
 * otherwise by earlier merges) ends the word, so that every merge makes a new token. */
static bool learn_word(struct checkpoint_tokenizer *tokenizer, const char *word)
{
    struct parts parts = {.count = 0};
    for (const char *byte = word; *byte; byte++)
        put_symbol(parts.text[parts.count++], 0, byte_symbol((unsigned char)*byte));
    apply_merges(tokenizer, &parts);
    while (parts.count > 1) {
        char joined[4 * LONGEST_WORD + 2];
        snprintf(joined, sizeof joined, "%s%s", parts.text[0], parts.text[1]);
        if (find_token(tokenizer, joined) >= 0)
            return true;
        char *token = strdup(joined);
        snprintf(joined, sizeof joined, "%s %s", parts.text[0], parts.text[1]);
        char *merge = strdup(joined);
        if (!token || !merge) {
            free(token);
            free(merge);
            return false;
        }
        tokenizer->tokens[tokenizer->base_count++] = token;
        tokenizer->merges[tokenizer->merge_count++] = merge;
        join_parts(&parts, 0);
    }
    return true;
}

enum qvl_status checkpoint_tokenizer_build(struct checkpoint_tokenizer *tokenizer, struct qvl_error *error)
{
    size_t word_count = sizeof words / sizeof words[0];
    size_t most = word_count * LONGEST_WORD;
    *tokenizer = (struct checkpoint_tokenizer){.tokens = calloc(BYTE_TOKENS + most, sizeof(char *)),
                                               .merges = calloc(most, sizeof(char *))};
    bool good = tokenizer->tokens && tokenizer->merges;
    for (unsigned pass = 0; good && pass < 2; pass++)
        for (unsigned byte = 0; good && byte < BYTE_TOKENS; byte++) {
            char text[4];
            if ((byte_symbol(byte) >= BYTE_TOKENS) != (pass == 1))
                continue;
            put_symbol(text, 0, byte_symbol(byte));
            good = (tokenizer->tokens[tokenizer->base_count++] = strdup(text)) != NULL;
        }
    for (size_t word = 0; good && word < word_count; word++)
        good = learn_word(tokenizer, words[word]);
    if (!good) {
        checkpoint_tokenizer_free(tokenizer);
        return qvl_fail(error, QVL_NO_MEMORY, "checkpoint tokenizer: out of memory");
    }
    return QVL_OK;
}

void checkpoint_tokenizer_free(struct checkpoint_tokenizer *tokenizer)
{
    for (int64_t id = 0; tokenizer->tokens && id < tokenizer->base_count; id++)
        free(tokenizer->tokens[id]);
    for (int64_t rank = 0; tokenizer->merges && rank < tokenizer->merge_count; rank++)
        free(tokenizer->merges[rank]);
    free(tokenizer->tokens);
    free(tokenizer->merges);
    *tokenizer = (struct checkpoint_tokenizer){.tokens = NULL};
}

static void put_vocab(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text)
{
    checkpoint_text_put(text, "{");
    for (int64_t id = 0; id < tokenizer->base_count; id++) {
        checkpoint_text_put(text, id ? ",\n" : "\n");
        checkpoint_text_quote(text, tokenizer->tokens[id]);
        checkpoint_text_put(text, ": %lld", (long long)id);
    }
    checkpoint_text_put(text, "\n}");
}

void checkpoint_vocab_json(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text)
{
    put_vocab(tokenizer, text);
    checkpoint_text_put(text, "\n");
}

void checkpoint_merges_text(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text)
{
    checkpoint_text_put(text, "#version: 0.2\n");
    for (int64_t rank = 0; rank < tokenizer->merge_count; rank++)
        checkpoint_text_put(text, "%s\n", tokenizer->merges[rank]);
}

/* One entry of an added-token list, without its braces. */
static void put_added(struct checkpoint_text *text, int index)
{
    checkpoint_text_put(text, "\"content\": ");
    checkpoint_text_quote(text, checkpoint_added_tokens[index]);
    checkpoint_text_put(
        text,
        ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
        "\"special\": %s",
        index < CHECKPOINT_SPECIAL_TOKENS ? "true" : "false");
}

void checkpoint_tokenizer_json(const struct checkpoint_tokenizer *tokenizer, struct checkpoint_text *text)
{
    /* The Qwen2 split: contractions, letters, single digits, punctuation, line ends, spaces. */
    static const char pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
                                  "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    static const char byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                                     "\"trim_offsets\": false, \"use_regex\": false}";

    checkpoint_text_put(text, "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n"
                              "\"added_tokens\": [");
    for (int index = 0; index < CHECKPOINT_ADDED_TOKENS; index++) {
        checkpoint_text_put(text, "%s\n{\"id\": %lld, ", index ? "," : "",
                            (long long)tokenizer->base_count + index);
        put_added(text, index);
        checkpoint_text_put(text, "}");
    }
    checkpoint_text_put(
        text, "\n],\n\"normalizer\": {\"type\": \"NFC\"},\n\"pre_tokenizer\": {\"type\": \"Sequence\", "
              "\"pretokenizers\": [\n{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    checkpoint_text_quote(text, pattern);
    checkpoint_text_put(text, "}, \"behavior\": \"Isolated\", \"invert\": false},\n%s\n]},\n", byte_level);
    checkpoint_text_put(text, "\"post_processor\": %s,\n\"decoder\": %s,\n", byte_level, byte_level);
    checkpoint_text_put(
        text, "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
              "\"continuing_subword_prefix\": \"\", \"end_of_word_suffix\": \"\", "
              "\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,\n\"vocab\": ");
    put_vocab(tokenizer, text);
    checkpoint_text_put(text, ",\n\"merges\": [");
    for (int64_t rank = 0; rank < tokenizer->merge_count; rank++) {
        checkpoint_text_put(text, rank ? ",\n" : "\n");
        checkpoint_text_quote(text, tokenizer->merges[rank]);
    }
    checkpoint_text_put(text, "\n]}\n}\n");
}

void checkpoint_tokenizer_config(const struct checkpoint_tokenizer *tokenizer, int64_t max_positions,
                                 struct checkpoint_text *text)
{
    checkpoint_text_put(
        text, "{\n\"add_bos_token\": false,\n\"add_prefix_space\": false,\n\"added_tokens_decoder\": {");
    for (int index = 0; index < CHECKPOINT_ADDED_TOKENS; index++) {
        checkpoint_text_put(text, "%s\n\"%lld\": {", index ? "," : "",
                            (long long)tokenizer->base_count + index);
        put_added(text, index);
        checkpoint_text_put(text, "}");
    }
    checkpoint_text_put(text, "\n},\n\"additional_special_tokens\": [");
    for (int index = 1; index < CHECKPOINT_SPECIAL_TOKENS; index++) {
        checkpoint_text_put(text, index > 1 ? ", " : "");
        checkpoint_text_quote(text, checkpoint_added_tokens[index]);
    }
    checkpoint_text_put(text,
                        "],\n\"bos_token\": null,\n\"clean_up_tokenization_spaces\": false,\n"
                        "\"eos_token\": \"%s\",\n\"errors\": \"replace\",\n\"model_max_length\": %lld,\n"
                        "\"pad_token\": \"%s\",\n\"split_special_tokens\": false,\n"
                        "\"tokenizer_class\": \"Qwen2Tokenizer\",\n\"unk_token\": null\n}\n",
                        checkpoint_added_tokens[CHECKPOINT_IM_END], (long long)max_positions,
                        checkpoint_added_tokens[CHECKPOINT_ENDOFTEXT]);
}
