#include "tests/golden/support/golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "model/generate.h"
#include "ref/pixels.h"
#include "tests/golden/support/checkpoint_spec.h"
#include "tests/golden/support/pictures.h"

#define PROJECTION_SEED 7

static bool describe(const struct golden *golden, const char *key, const char **value)
{
    *value = qvl_safetensors_metadata_find(golden->file, key);
    if (!*value)
        printf("%s: no metadata '%s'\n", golden->name, key);
    return *value != NULL;
}

/* Messages must name files that exist: give each synthetic medium an empty one in `folder`. */
static enum qvl_status place_media(const cJSON *node, const char *folder, struct qvl_error *error)
{
    static const char *const keys[] = {"image", "video"};
    const cJSON *child;
    for (int key = 0; key < 2; key++) {
        const cJSON *medium = cJSON_GetObjectItem(node, keys[key]);
        char *path = NULL;
        if (!cJSON_IsString(medium))
            continue;
        QVL_TRY(qvl_path_join(folder, medium->valuestring, &path, error));
        enum qvl_status status = qvl_file_write(path, "", 0, error);
        free(path);
        QVL_TRY(status);
    }
    cJSON_ArrayForEach(child, node)
    {
        QVL_TRY(place_media(child, folder, error));
    }
    return QVL_OK;
}

static enum qvl_status parse_messages(const char *json, struct qvl_messages **messages,
                                      struct qvl_error *error)
{
    const char *folder = scratch_folder("golden-media");
    cJSON *root = NULL;
    if (!folder)
        return qvl_fail(error, QVL_IO, "no folder for synthetic media");
    QVL_TRY(qvl_json_parse(json, strlen(json), "messages", &root, error));
    enum qvl_status status = place_media(root, folder, error);
    cJSON_Delete(root);
    return status == QVL_OK ? qvl_messages_parse(json, folder, NULL, messages, error) : status;
}

static enum qvl_status make_prompt(struct golden *golden, const char *messages_json, struct qvl_error *error)
{
    const struct qvl_processor_options options = {.profile = golden->profile};
    const struct qvl_render_options render = {.add_generation_prompt = true};
    struct qvl_tokenizer *tokenizer = NULL;
    struct qvl_processor *processor = NULL;
    struct qvl_messages *messages = NULL;
    enum qvl_status status = qvl_tokenizer_load(golden->checkpoint, &tokenizer, error);
    if (status == QVL_OK)
        status = qvl_processor_load(golden->checkpoint, &qvl_ref_pixel_ops, &options, &processor, error);
    if (status == QVL_OK)
        status = parse_messages(messages_json, &messages, error);
    if (status == QVL_OK)
        status = qvl_processor_prompt(processor, tokenizer, &picture_reader, messages, &render,
                                      &golden->prompt, NULL, NULL, error);
    qvl_messages_destroy(messages);
    qvl_processor_destroy(processor);
    qvl_tokenizer_destroy(tokenizer);
    return status;
}

bool golden_open(const char *path, const char *spec, struct golden *golden)
{
    const char *own_spec, *dtype, *profile, *messages;
    const char *slash = strrchr(path, '/');
    struct qvl_error error = {.message = ""};
    *golden = (struct golden){.file = NULL};
    snprintf(golden->name, sizeof golden->name, "%.*s", (int)(strlen(slash + 1) - strlen(".safetensors")),
             slash + 1);
    if (qvl_safetensors_open(path, &golden->file, &error) != QVL_OK) {
        printf("%s\n", error.message);
        return false;
    }
    if (!describe(golden, "checkpoint", &own_spec) || !describe(golden, "dtype", &dtype) ||
        !describe(golden, "profile", &profile) || !describe(golden, "messages", &messages))
        return false;
    golden->storage = strcmp(dtype, "bfloat16") == 0 ? QVL_BF16 : QVL_F32;
    golden->profile = strcmp(profile, "hf5") == 0 ? QVL_PROFILE_HF5 : QVL_PROFILE_HF4;
    const char *folder = checkpoint_spec_write(spec ? spec : own_spec);
    if (!folder)
        return false;
    snprintf(golden->checkpoint, sizeof golden->checkpoint, "%s", folder);
    if (make_prompt(golden, messages, &error) == QVL_OK)
        return true;
    printf("%s: %s\n", golden->name, error.message);
    return false;
}

void golden_close(struct golden *golden)
{
    qvl_prompt_free(&golden->prompt);
    qvl_safetensors_close(golden->file);
}

const struct qvl_array *golden_find(const struct golden *golden, const char *name, const char *suffix)
{
    char full[192];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    return qvl_safetensors_find(golden->file, full);
}

double golden_value(const struct qvl_array *array, int64_t index)
{
    switch (array->dtype) {
    case QVL_F32: return ((const float *)array->data)[index];
    case QVL_F64: return ((const double *)array->data)[index];
    case QVL_BF16: return qvl_bf16_to_f32(((const uint16_t *)array->data)[index]);
    case QVL_F16: return qvl_f16_to_f32(((const uint16_t *)array->data)[index]);
    default: return NAN;
    }
}

int64_t golden_integer(const struct qvl_array *array, int64_t index)
{
    return array->dtype == QVL_I64 ? ((const int64_t *)array->data)[index] : INT64_MIN;
}

double golden_projection(const float *row, int64_t width)
{
    double sum = 0;
    for (int64_t column = 0; column < width; column++) {
        bool minus = qvl_random_bits(PROJECTION_SEED, (uint64_t)width, (uint64_t)column) >> 63;
        sum += minus ? -(double)row[column] : (double)row[column];
    }
    return sum;
}

static enum qvl_status forward_all(const struct golden *golden, struct qvl_model *model,
                                   struct qvl_sequence *sequence, struct golden_chunks chunks,
                                   const struct qvl_taps *taps, struct golden_run *run,
                                   struct qvl_error *error)
{
    int64_t *rows = malloc(sizeof *rows * (size_t)golden->prompt.count);
    enum qvl_status status = QVL_OK;
    if (!rows)
        return qvl_fail(error, QVL_NO_MEMORY, "golden run: out of memory");
    for (int64_t row = 0; row < golden->prompt.count; row++)
        rows[row] = row;
    for (int64_t done = 0; status == QVL_OK && done < golden->prompt.count;) {
        int64_t left = golden->prompt.count - done;
        int64_t wanted = done == 0 && chunks.first ? chunks.first : chunks.chunk;
        int64_t count = wanted && wanted < left ? wanted : left;
        const struct qvl_step step = {
            .sequence = sequence, .count = count, .logit_rows = rows, .logit_count = count};
        status = qvl_model_forward(model, &step, 1, run->logits + done * run->vocabulary, taps, error);
        done += count;
    }
    free(rows);
    return status;
}

static enum qvl_status keep_positions(const struct golden *golden, const struct qvl_sequence *sequence,
                                      struct golden_run *run, struct qvl_error *error)
{
    const struct qvl_positions *positions = qvl_sequence_positions(sequence);
    size_t bytes = 3 * (size_t)golden->prompt.count * sizeof(int64_t);
    if (positions->count != golden->prompt.count)
        return qvl_fail(error, QVL_FAILED, "%s: position ids of another length than the prompt",
                        golden->name);
    run->position_ids = malloc(bytes);
    if (!run->position_ids)
        return qvl_fail(error, QVL_NO_MEMORY, "golden run: out of memory");
    memcpy(run->position_ids, positions->ids, bytes);
    run->delta = positions->delta;
    return QVL_OK;
}

enum qvl_status golden_run_model(const struct golden *golden, struct qvl_model *model,
                                 struct golden_chunks chunks, bool taps, int64_t spare,
                                 struct golden_run *run, struct qvl_error *error)
{
    *run = (struct golden_run){.vocabulary = qvl_model_get_config(model)->text.vocab};
    const struct qvl_taps watch = qvl_tap_store_taps(&run->taps);
    run->logits = malloc(sizeof(float) * (size_t)(golden->prompt.count * run->vocabulary));
    if (!run->logits)
        return qvl_fail(error, QVL_NO_MEMORY, "golden run: out of memory");
    enum qvl_status status = qvl_sequence_create(model, golden->prompt.count + spare, &run->sequence, error);
    if (status == QVL_OK)
        status = qvl_sequence_prompt(run->sequence, &golden->prompt, taps ? &watch : NULL, error);
    if (status == QVL_OK)
        status = keep_positions(golden, run->sequence, run, error);
    if (status == QVL_OK)
        status = forward_all(golden, model, run->sequence, chunks, taps ? &watch : NULL, run, error);
    if (spare == 0) {
        qvl_sequence_destroy(run->sequence);
        run->sequence = NULL;
    }
    return status;
}

void golden_run_free(struct golden_run *run)
{
    qvl_sequence_destroy(run->sequence);
    qvl_tap_store_free(&run->taps);
    free(run->logits);
    free(run->position_ids);
}

enum qvl_status golden_load(const struct golden *golden, struct qvl_backend *backend,
                            struct qvl_model **model, struct qvl_error *error)
{
    const struct qvl_model_options options = {
        .storage = golden->storage,
        .pos_rounding = golden->profile == QVL_PROFILE_HF5 ? QVL_POS_ROUND_ONCE : QVL_POS_ROUND_EACH};
    return qvl_model_load(golden->checkpoint, backend, &options, model, error);
}

enum qvl_status golden_greedy(const struct golden_run *run, struct qvl_model *model, int64_t count,
                              int64_t *tokens, struct qvl_error *error)
{
    struct qvl_generate_options options;
    struct qvl_generation generation = {.tokens = NULL};
    qvl_generate_defaults(qvl_model_get_generation(model), &options);
    options.max_tokens = count;
    options.greedy = true;
    options.ignore_eos = true;
    QVL_TRY(qvl_sequence_truncate(run->sequence, qvl_sequence_length(run->sequence) - 1, error));
    enum qvl_status status = qvl_generate(model, run->sequence, &options, &generation, error);
    if (status == QVL_OK && generation.count != count)
        status = qvl_fail(error, QVL_FAILED, "%lld greedy tokens instead of %lld",
                          (long long)generation.count, (long long)count);
    if (status == QVL_OK)
        memcpy(tokens, generation.tokens, sizeof *tokens * (size_t)count);
    qvl_generation_free(&generation);
    return status;
}
