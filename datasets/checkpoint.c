/* Writes a random checkpoint folder: small files, then the weights in one file or shards. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/safetensors.h"
#include "datasets/checkpoint_parts.h"

static enum qvl_status refuse(const struct qvl_checkpoint_spec *spec, struct qvl_error *error,
                              const char *what)
{
    return qvl_fail(error, QVL_USAGE, "checkpoint '%s': %s", spec->name ? spec->name : "?", what);
}

static enum qvl_status check_text(const struct qvl_checkpoint_spec *spec, struct qvl_error *error)
{
    const int64_t *section = spec->mrope_section;
    if (spec->hidden < 1 || spec->ffn < 1 || spec->layers < 1 || spec->heads < 1 || spec->kv_heads < 1 ||
        spec->rope_theta < 1 || spec->max_positions < 1)
        return refuse(spec, error, "every size of the language model must be positive");
    if (spec->heads % spec->kv_heads)
        return refuse(spec, error, "heads must be a multiple of kv_heads");
    if (spec->head_dim < 2 || spec->head_dim % 2 ||
        section[0] + section[1] + section[2] != spec->head_dim / 2)
        return refuse(spec, error, "mrope_section must sum to head_dim / 2, with an even head_dim");
    if (spec->yarn_factor != 0 && (!(spec->yarn_factor >= 1) || spec->yarn_original_positions < 1))
        return refuse(spec, error,
                      "yarn_factor must be 0 or at least 1, with yarn_original_positions positive");
    if (spec->experts < 0 || spec->dense_layer_count < 0 || spec->dense_layer_count > QVL_CHECKPOINT_LIST)
        return refuse(spec, error,
                      "experts and dense_layer_count must not be negative or above the list's room");
    if (spec->experts &&
        (spec->experts_per_token < 1 || spec->experts_per_token > spec->experts || spec->expert_ffn < 1))
        return refuse(spec, error, "experts_per_token must be within 1..experts and expert_ffn positive");
    if (spec->experts && spec->expert_layout != QVL_EXPERTS_SEPARATE &&
        (spec->hidden == 2 * spec->expert_ffn || spec->hidden == spec->expert_ffn))
        return refuse(spec, error,
                      "hidden equal to expert_ffn or twice it makes the expert layout ambiguous");
    return QVL_OK;
}

static enum qvl_status check_spec(const struct qvl_checkpoint_spec *spec, struct qvl_error *error)
{
    QVL_TRY(check_text(spec, error));
    if (spec->depth < 1 || spec->vision_hidden < 1 || spec->vision_heads < 1 || spec->vision_ffn < 1 ||
        spec->position_side < 1)
        return refuse(spec, error, "every size of the vision tower must be positive");
    if (spec->vision_hidden % (4 * spec->vision_heads))
        return refuse(spec, error, "vision_hidden must be a multiple of 4 vision_heads");
    if (spec->deepstack_count < 0 || spec->deepstack_count > QVL_CHECKPOINT_LIST)
        return refuse(spec, error, "deepstack_count is outside the list");
    for (int64_t index = 0; index < spec->deepstack_count; index++)
        if (spec->deepstack[index] < 0 || spec->deepstack[index] >= spec->depth)
            return refuse(spec, error, "a deepstack index is not a block of the tower");
    if (spec->image_min_pixels < 1 || spec->image_max_pixels < spec->image_min_pixels ||
        spec->video_min_pixels < 1 || spec->video_max_pixels < spec->video_min_pixels)
        return refuse(spec, error, "pixel limits must be positive and in order");
    if (!qvl_dtype_is_storage(spec->dtype))
        return refuse(spec, error, "dtype must be f32, bf16 or f16");
    if (spec->shard_bytes < 0)
        return refuse(spec, error, "shard_bytes must not be negative");
    return QVL_OK;
}

static int64_t tensor_bytes(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensor *tensor)
{
    return checkpoint_tensor_count(tensor) * (int64_t)qvl_dtype_bytes(spec->dtype);
}

enum qvl_status qvl_checkpoint_size(const struct qvl_checkpoint_spec *spec, int64_t *parameters,
                                    int64_t *bytes, struct qvl_error *error)
{
    struct checkpoint_tensors tensors;
    QVL_TRY(check_spec(spec, error));
    QVL_TRY(checkpoint_tensors_list(spec, &tensors, error));
    *parameters = 0;
    for (int64_t index = 0; index < tensors.count; index++)
        *parameters += checkpoint_tensor_count(&tensors.items[index]);
    *bytes = *parameters * (int64_t)qvl_dtype_bytes(spec->dtype);
    free(tensors.items);
    return QVL_OK;
}

struct fill_context {
    const struct qvl_checkpoint_spec *spec;
    const struct checkpoint_tensor *tensor;
};

static void fill_piece(const struct fill_context *fill, int64_t first, int64_t count, void *elements)
{
    float values[4096];
    for (int64_t done = 0; done < count;) {
        int64_t piece = count - done < 4096 ? count - done : 4096;
        checkpoint_tensor_values(fill->spec, fill->tensor, first + done, piece, values);
        if (fill->spec->dtype == QVL_F32) {
            memcpy((float *)elements + done, values, (size_t)piece * sizeof *values);
        } else {
            uint16_t *halves = (uint16_t *)elements + done;
            bool bf16 = fill->spec->dtype == QVL_BF16;
            for (int64_t index = 0; index < piece; index++)
                halves[index] = bf16 ? qvl_f32_to_bf16(values[index]) : qvl_f32_to_f16(values[index]);
        }
        done += piece;
    }
}

static enum qvl_status fill(void *context, int64_t first, int64_t count, void *elements,
                            struct qvl_error *error)
{
    const struct fill_context *fill = context;
    size_t bytes = qvl_dtype_bytes(fill->spec->dtype);
    int64_t piece = 32768;
    (void)error;
#pragma omp parallel for schedule(static) if (count > 8 * piece)
    for (int64_t start = 0; start < count; start += piece)
        fill_piece(fill, first + start, count - start < piece ? count - start : piece,
                   (char *)elements + (size_t)start * bytes);
    return QVL_OK;
}

static enum qvl_status write_text(const char *folder, const char *name, struct checkpoint_text *text,
                                  struct qvl_error *error)
{
    char *path = NULL;
    enum qvl_status status = text->failed ? qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", name)
                                          : qvl_path_join(folder, name, &path, error);
    if (status == QVL_OK)
        status = qvl_file_write(path, text->data, text->size, error);
    free(path);
    checkpoint_text_free(text);
    return status;
}

static enum qvl_status write_small_files(const struct qvl_checkpoint_spec *spec, const char *folder,
                                         const struct checkpoint_tokenizer *tokenizer,
                                         struct qvl_error *error)
{
    struct checkpoint_text text = {.data = NULL};
    int64_t first_added = tokenizer->base_count;
    if (first_added + CHECKPOINT_ADDED_TOKENS > spec->vocabulary)
        return qvl_fail(error, QVL_USAGE, "checkpoint '%s': vocabulary must be at least %lld", spec->name,
                        (long long)first_added + CHECKPOINT_ADDED_TOKENS);
    checkpoint_config_json(spec, first_added, &text);
    QVL_TRY(write_text(folder, "config.json", &text, error));
    checkpoint_generation_json(first_added, &text);
    QVL_TRY(write_text(folder, "generation_config.json", &text, error));
    checkpoint_preprocessor_json(spec, false, &text);
    QVL_TRY(write_text(folder, "preprocessor_config.json", &text, error));
    checkpoint_preprocessor_json(spec, true, &text);
    QVL_TRY(write_text(folder, "video_preprocessor_config.json", &text, error));
    checkpoint_template_json(&text);
    QVL_TRY(write_text(folder, "chat_template.json", &text, error));
    checkpoint_tokenizer_config(tokenizer, spec->max_positions, &text);
    QVL_TRY(write_text(folder, "tokenizer_config.json", &text, error));
    checkpoint_vocab_json(tokenizer, &text);
    QVL_TRY(write_text(folder, "vocab.json", &text, error));
    checkpoint_merges_text(tokenizer, &text);
    QVL_TRY(write_text(folder, "merges.txt", &text, error));
    checkpoint_tokenizer_json(tokenizer, &text);
    return write_text(folder, "tokenizer.json", &text, error);
}

/* Assign each tensor, in list order, to a shard; returns the number of shards. */
static int64_t plan_shards(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensors *tensors,
                           int64_t *shards)
{
    int64_t shard = 0, used = 0;
    for (int64_t index = 0; index < tensors->count; index++) {
        int64_t bytes = tensor_bytes(spec, &tensors->items[index]);
        if (spec->shard_bytes && used && used + bytes > spec->shard_bytes) {
            shard++;
            used = 0;
        }
        shards[index] = shard;
        used += bytes;
    }
    return shard + 1;
}

static void shard_name(int64_t shard, int64_t shard_count, char name[64])
{
    if (shard_count == 1)
        snprintf(name, 64, "model.safetensors");
    else
        snprintf(name, 64, "model-%05lld-of-%05lld.safetensors", (long long)shard + 1,
                 (long long)shard_count);
}

static enum qvl_status write_shard(const struct qvl_checkpoint_spec *spec,
                                   const struct checkpoint_tensors *tensors, const int64_t *shards,
                                   int64_t shard, const char *path, struct qvl_error *error)
{
    static const struct qvl_safetensors_metadata format = {"format", "pt"};
    struct qvl_safetensors_tensor *list = calloc((size_t)tensors->count, sizeof *list);
    struct fill_context *contexts = calloc((size_t)tensors->count, sizeof *contexts);
    enum qvl_status status = QVL_OK;
    int64_t count = 0;
    if (!list || !contexts)
        status = qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory listing its tensors", path);
    for (int64_t index = 0; status == QVL_OK && index < tensors->count; index++) {
        const struct checkpoint_tensor *tensor = &tensors->items[index];
        if (shards[index] != shard)
            continue;
        contexts[count] = (struct fill_context){spec, tensor};
        list[count] = (struct qvl_safetensors_tensor){.name = tensor->name,
                                                      .dtype = spec->dtype,
                                                      .rank = tensor->rank,
                                                      .fill = fill,
                                                      .context = &contexts[count]};
        memcpy(list[count].shape, tensor->shape, sizeof tensor->shape);
        count++;
    }
    if (status == QVL_OK)
        status = qvl_safetensors_write(path, list, count, &format, 1, QVL_SAFETENSORS_SORTED, error);
    free(list);
    free(contexts);
    return status;
}

static void put_index(const struct qvl_checkpoint_spec *spec, const struct checkpoint_tensors *tensors,
                      const int64_t *shards, int64_t shard_count, struct checkpoint_text *text)
{
    char name[64];
    int64_t parameters = 0;
    for (int64_t index = 0; index < tensors->count; index++)
        parameters += checkpoint_tensor_count(&tensors->items[index]);
    checkpoint_text_put(
        text, "{\n\"metadata\": {\"total_parameters\": %lld, \"total_size\": %lld},\n\"weight_map\": {",
        (long long)parameters, (long long)parameters * (long long)qvl_dtype_bytes(spec->dtype));
    for (int64_t index = 0; index < tensors->count; index++) {
        shard_name(shards[index], shard_count, name);
        checkpoint_text_put(text, "%s\n\"%s\": \"%s\"", index ? "," : "", tensors->items[index].name, name);
    }
    checkpoint_text_put(text, "\n}\n}\n");
}

/* Drop what an earlier write with another shard count left, so that the folder is unambiguous. */
static enum qvl_status remove_other_form(const char *folder, int64_t shard_count, struct qvl_error *error)
{
    char *path = NULL;
    enum qvl_status status = QVL_OK;
    QVL_TRY(qvl_path_join(folder, shard_count == 1 ? "model.safetensors.index.json" : "model.safetensors",
                          &path, error));
    if (remove(path) != 0 && errno != ENOENT)
        status = qvl_fail(error, QVL_IO, "%s: cannot remove the old file: %s", path, strerror(errno));
    free(path);
    return status;
}

static enum qvl_status write_weights(const struct qvl_checkpoint_spec *spec, const char *folder,
                                     const struct checkpoint_tensors *tensors, struct qvl_error *error)
{
    int64_t *shards = calloc((size_t)tensors->count, sizeof *shards);
    enum qvl_status status;
    if (!shards)
        return qvl_fail(error, QVL_NO_MEMORY, "checkpoint '%s': out of memory", spec->name);
    int64_t shard_count = plan_shards(spec, tensors, shards);
    status = remove_other_form(folder, shard_count, error);
    for (int64_t shard = 0; status == QVL_OK && shard < shard_count; shard++) {
        char name[64], *path = NULL;
        shard_name(shard, shard_count, name);
        status = qvl_path_join(folder, name, &path, error);
        if (status == QVL_OK)
            status = write_shard(spec, tensors, shards, shard, path, error);
        free(path);
    }
    if (status == QVL_OK && shard_count > 1) {
        struct checkpoint_text text = {.data = NULL};
        put_index(spec, tensors, shards, shard_count, &text);
        status = write_text(folder, "model.safetensors.index.json", &text, error);
    }
    free(shards);
    return status;
}

enum qvl_status qvl_checkpoint_write(const struct qvl_checkpoint_spec *spec, const char *folder,
                                     struct qvl_error *error)
{
    struct checkpoint_tokenizer tokenizer;
    struct checkpoint_tensors tensors;
    QVL_TRY(check_spec(spec, error));
    QVL_TRY(checkpoint_tensors_list(spec, &tensors, error));
    enum qvl_status status = checkpoint_tokenizer_build(&tokenizer, error);
    if (status == QVL_OK) {
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            status = qvl_fail(error, QVL_IO, "%s: cannot make the folder: %s", folder, strerror(errno));
        if (status == QVL_OK)
            status = write_small_files(spec, folder, &tokenizer, error);
        if (status == QVL_OK)
            status = write_weights(spec, folder, &tensors, error);
        checkpoint_tokenizer_free(&tokenizer);
    }
    free(tensors.items);
    return status;
}
