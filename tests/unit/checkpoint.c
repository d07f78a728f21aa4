/* Random checkpoints: sizes, values, layouts, shards, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/safetensors.h"
#include "base/sha256.h"
#include "datasets/checkpoint.h"

static char root[] = "/tmp/qvl-checkpoint-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : 1;
}

static int remove_root(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void path_of(char path[256], const char *folder, const char *file)
{
    snprintf(path, 256, "%s/%s%s%s", root, folder, file ? "/" : "", file ? file : "");
}

static void write_folder(const struct qvl_checkpoint_spec *spec, const char *folder)
{
    char path[256];
    struct qvl_error error = {.message = ""};
    path_of(path, folder, NULL);
    if (qvl_checkpoint_write(spec, path, &error) != QVL_OK)
        fail_msg("%s", error.message);
}

static struct qvl_safetensors *open_weights(const char *folder, const char *file)
{
    char path[256];
    struct qvl_error error = {.message = ""};
    struct qvl_safetensors *weights = NULL;
    path_of(path, folder, file);
    if (qvl_safetensors_open(path, &weights, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return weights;
}

static const void *tensor(const struct qvl_safetensors *weights, const char *name, int32_t rank,
                          const int64_t *shape)
{
    const struct qvl_array *array = qvl_safetensors_find(weights, name);
    if (!array) {
        fail_msg("no tensor %s", name);
        return NULL;
    }
    assert_int_equal(array->rank, rank);
    for (int32_t axis = 0; axis < rank; axis++)
        assert_int_equal(array->shape[axis], shape[axis]);
    return array->data;
}

static void test_released_size(void **state)
{
    int64_t parameters = 0, bytes = 0;
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_checkpoint_size(qvl_checkpoint_preset("2b"), &parameters, &bytes, &error), QVL_OK);
    assert_int_equal(parameters, 2127532032); /* computed from the released table of shapes */
    assert_int_equal(bytes, 2 * INT64_C(2127532032));
}

/* No two sizes of a small preset are equal, so that a swap of dimensions cannot pass. */
static void test_sizes_differ(void **state)
{
    const struct qvl_checkpoint_spec *spec;
    (void)state;
    for (int64_t index = 0; (spec = qvl_checkpoint_preset_at(index)) != NULL; index++) {
        int64_t sizes[] = {spec->hidden,       spec->ffn,        spec->layers,        spec->heads,
                           spec->kv_heads,     spec->head_dim,   spec->vocabulary,    spec->depth,
                           spec->vision_heads, spec->vision_ffn, spec->position_side, spec->deepstack_count,
                           spec->vision_hidden};
        int64_t count = (int64_t)(sizeof sizes / sizeof sizes[0]);
        assert_ptr_equal(qvl_checkpoint_preset(spec->name), spec);
        if (strcmp(spec->name, "2b") == 0)
            continue;
        for (int64_t first = 0; first < count; first++)
            for (int64_t second = 0; second < first; second++)
                if (sizes[first] == sizes[second])
                    fail_msg("%s: sizes %lld and %lld are both %lld", spec->name, (long long)second,
                             (long long)first, (long long)sizes[first]);
    }
    assert_null(qvl_checkpoint_preset("no such preset"));
}

static void test_same_bytes(void **state)
{
    struct qvl_checkpoint_spec spec = *qvl_checkpoint_preset("yarn");
    char path[256], first[QVL_SHA256_HEX_BYTES], second[QVL_SHA256_HEX_BYTES];
    struct qvl_error error;
    (void)state;
    write_folder(&spec, "same");
    path_of(path, "same", "model.safetensors");
    assert_int_equal(qvl_sha256_file(path, first, &error), QVL_OK);
    write_folder(&spec, "same");
    assert_int_equal(qvl_sha256_file(path, second, &error), QVL_OK);
    assert_string_equal(first, second);
    spec.seed++;
    write_folder(&spec, "same");
    assert_int_equal(qvl_sha256_file(path, second, &error), QVL_OK);
    assert_string_not_equal(first, second);
}

static void test_storage_types(void **state)
{
    static const char name[] = "model.language_model.layers.1.mlp.down_proj.weight";
    struct qvl_checkpoint_spec spec = *qvl_checkpoint_preset("yarn");
    const int64_t shape[2] = {spec.hidden, spec.ffn};
    (void)state;
    write_folder(&spec, "f32");
    spec.dtype = QVL_BF16;
    write_folder(&spec, "bf16");
    spec.dtype = QVL_F16;
    write_folder(&spec, "f16");
    struct qvl_safetensors *wide = open_weights("f32", "model.safetensors");
    struct qvl_safetensors *bf16 = open_weights("bf16", "model.safetensors");
    struct qvl_safetensors *f16 = open_weights("f16", "model.safetensors");
    const float *values = tensor(wide, name, 2, shape);
    const uint16_t *brains = tensor(bf16, name, 2, shape);
    const uint16_t *halves = tensor(f16, name, 2, shape);
    double sum = 0, squares = 0;
    for (int64_t index = 0; index < shape[0] * shape[1]; index++) {
        assert_int_equal(brains[index], qvl_f32_to_bf16(values[index]));
        assert_int_equal(halves[index], qvl_f32_to_f16(values[index]));
        sum += values[index];
        squares += (double)values[index] * values[index];
    }
    /* 96 x 208 values with variance 1/208: the mean is within 5 and the variance within 4 deviations. */
    assert_true(fabs(sum) / (96 * 208) < 5 / sqrt(96.0 * 208 * 208));
    assert_true(fabs(squares / 96 - 1) < 4 * sqrt(2.0 / (96 * 208)));
    qvl_safetensors_close(wide);
    qvl_safetensors_close(bf16);
    qvl_safetensors_close(f16);
}

static void test_expert_layouts(void **state)
{
    static const char stem[] = "model.language_model.layers.2.mlp.experts";
    struct qvl_checkpoint_spec spec = *qvl_checkpoint_preset("moe");
    const int64_t e = spec.experts, h = spec.hidden, f = spec.expert_ffn;
    struct qvl_safetensors *files[3];
    char name[128];
    (void)state;
    for (int layout = 0; layout < 3; layout++) {
        char folder[16];
        snprintf(folder, sizeof folder, "moe%d", layout);
        spec.expert_layout = (enum qvl_expert_layout)layout;
        write_folder(&spec, folder);
        files[layout] = open_weights(folder, "model.safetensors");
    }
    snprintf(name, sizeof name, "%s.gate_up_proj", stem);
    const float *input_first = tensor(files[0], name, 3, (const int64_t[]){e, h, 2 * f});
    const float *output_first = tensor(files[1], name, 3, (const int64_t[]){e, 2 * f, h});
    snprintf(name, sizeof name, "%s.down_proj", stem);
    const float *down_input_first = tensor(files[0], name, 3, (const int64_t[]){e, f, h});
    const float *down_output_first = tensor(files[1], name, 3, (const int64_t[]){e, h, f});
    for (int64_t expert = 0; expert < e; expert++) {
        snprintf(name, sizeof name, "%s.%lld.gate_proj.weight", stem, (long long)expert);
        const float *gate = tensor(files[2], name, 2, (const int64_t[]){f, h});
        snprintf(name, sizeof name, "%s.%lld.up_proj.weight", stem, (long long)expert);
        const float *up = tensor(files[2], name, 2, (const int64_t[]){f, h});
        snprintf(name, sizeof name, "%s.%lld.down_proj.weight", stem, (long long)expert);
        const float *down = tensor(files[2], name, 2, (const int64_t[]){h, f});
        for (int64_t out = 0; out < f; out++)
            for (int64_t in = 0; in < h; in++) {
                assert_true(input_first[(expert * h + in) * 2 * f + out] == gate[out * h + in]);
                assert_true(input_first[(expert * h + in) * 2 * f + f + out] == up[out * h + in]);
                assert_true(output_first[(expert * 2 * f + out) * h + in] == gate[out * h + in]);
                assert_true(output_first[(expert * 2 * f + f + out) * h + in] == up[out * h + in]);
                assert_true(down_input_first[(expert * f + out) * h + in] == down[in * f + out]);
                assert_true(down_output_first[(expert * h + in) * f + out] == down[in * f + out]);
            }
    }
    tensor(files[0], "model.language_model.layers.1.mlp.gate_proj.weight", 2, (const int64_t[]){spec.ffn, h});
    for (int layout = 0; layout < 3; layout++)
        qvl_safetensors_close(files[layout]);
}

static void test_shards(void **state)
{
    struct qvl_checkpoint_spec spec = *qvl_checkpoint_preset("head128");
    char path[256];
    struct qvl_error error;
    cJSON *index = NULL;
    const cJSON *entry;
    int64_t checked = 0;
    (void)state;
    write_folder(&spec, "shards");
    struct qvl_safetensors *whole = open_weights("shards", "model.safetensors");
    spec.shard_bytes = 1500000;
    write_folder(&spec, "shards");
    path_of(path, "shards", "model.safetensors");
    assert_int_equal(access(path, F_OK), -1);
    path_of(path, "shards", "model.safetensors.index.json");
    assert_int_equal(qvl_json_read(path, &index, &error), QVL_OK);
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(index, "weight_map"))
    {
        struct qvl_safetensors *shard = open_weights("shards", entry->valuestring);
        const struct qvl_array *part = qvl_safetensors_find(shard, entry->string);
        const struct qvl_array *same = qvl_safetensors_find(whole, entry->string);
        assert_non_null(part);
        assert_non_null(same);
        assert_memory_equal(part->data, same->data, (size_t)qvl_array_count(part) * sizeof(float));
        qvl_safetensors_close(shard);
        checked++;
    }
    assert_int_equal(checked, whole->count);
    cJSON_Delete(index);
    qvl_safetensors_close(whole);
}

static void refused(struct qvl_checkpoint_spec spec, const char *words)
{
    struct qvl_error error = {.message = ""};
    assert_int_equal(qvl_checkpoint_write(&spec, "/nonexistent/folder", &error), QVL_USAGE);
    if (!strstr(error.message, words))
        fail_msg("'%s' does not mention '%s'", error.message, words);
}

static void test_refusals(void **state)
{
    const struct qvl_checkpoint_spec *moe = qvl_checkpoint_preset("moe");
    struct qvl_error error = {.message = ""};
    struct qvl_checkpoint_spec spec;
    (void)state;
    spec = *moe, spec.kv_heads = 3, refused(spec, "kv_heads");
    spec = *moe, spec.mrope_section[1]++, refused(spec, "mrope_section");
    spec = *moe, spec.hidden = 2 * spec.expert_ffn, refused(spec, "ambiguous");
    spec = *moe, spec.experts_per_token = 14, refused(spec, "experts_per_token");
    spec = *moe, spec.deepstack[1] = spec.depth, refused(spec, "deepstack");
    spec = *moe, spec.vision_heads = 7, refused(spec, "vision_hidden");
    spec = *moe, spec.dtype = QVL_I32, refused(spec, "dtype");
    spec = *moe, spec.image_max_pixels = 1, refused(spec, "pixel limits");
    spec = *moe, spec.yarn_factor = 0.5, refused(spec, "yarn_factor");
    spec = *moe, spec.shard_bytes = -1, refused(spec, "shard_bytes");
    assert_int_equal(qvl_checkpoint_write(moe, "/nonexistent/folder", &error), QVL_IO);
    assert_non_null(strstr(error.message, "/nonexistent/folder"));
    spec = *moe, spec.vocabulary = 600;
    char path[256];
    path_of(path, "vocabulary", NULL);
    assert_int_equal(qvl_checkpoint_write(&spec, path, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "vocabulary"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_released_size),  cmocka_unit_test(test_sizes_differ),
        cmocka_unit_test(test_same_bytes),     cmocka_unit_test(test_storage_types),
        cmocka_unit_test(test_expert_layouts), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
