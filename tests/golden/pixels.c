/* Preprocessing against the original framework (tests/golden/pixels.py): the inputs are made again here, the
 * outputs compared with committed hashes, a few with complete bytes. */
#include "model/frame_sampling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/golden_rows.h"
#include "tests/support/noise_media.h"

#define FOLDER "tests/golden/pixels/"
#define SHORT_HASH 16

static int64_t whole(const struct qvl_json *at, const char *key)
{
    int64_t value;
    MUST(qvl_json_int64(at, key, &value, &error));
    return value;
}

/* Text that grows; hashed in blocks. */
struct text {
    char *data;
    size_t size, capacity;
};

static void add_text(struct text *text, const char *piece)
{
    size_t length = strlen(piece);
    if (text->capacity - text->size <= length) {
        text->capacity = 2 * text->capacity + length + 4096;
        text->data = realloc(text->data, text->capacity);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->size, piece, length + 1);
    text->size += length;
}

static void add_number(struct text *text, int64_t number, const char *behind)
{
    char piece[32];
    snprintf(piece, sizeof piece, "%lld%s", (long long)number, behind);
    add_text(text, piece);
}

/* ---- resize ---- */

static enum qvl_resize_method method_of(const char *name)
{
    static const char *const names[] = {"torchvision_u8", "pillow", "pillow13", "torchvision_f32"};
    for (int m = 0; m < 4; m++)
        if (strcmp(names[m], name) == 0)
            return (enum qvl_resize_method)m;
    fail_msg("unknown method %s", name);
    return QVL_RESIZE_PILLOW;
}

static uint8_t *resized_noise(enum qvl_resize_method method, int64_t seed, int64_t stream,
                              const int64_t size[4])
{
    uint8_t *src = malloc((size_t)(size[0] * size[1] * 3));
    uint8_t *dst = malloc((size_t)(size[2] * size[3] * 3));
    struct qvl_resize_args args = {method, src, size[0], size[1], dst, size[2], size[3]};
    noise_fill((uint64_t)seed, (uint64_t)stream, src, size[0] * size[1] * 3);
    MUST(qvl_ref_pixel_ops.resize(&args, &error));
    free(src);
    return dst;
}

static void numbers_of(const cJSON *row, int first, int64_t *values, int count)
{
    for (int k = 0; k < count; k++)
        values[k] = (int64_t)cJSON_GetArrayItem(row, first + k)->valuedouble;
}

static int check_resize_set(const struct qvl_json *set, int64_t seed, int64_t full_stream)
{
    enum qvl_resize_method method = method_of(text_of(set, "method"));
    struct qvl_json cases = member(set, "cases");
    struct qvl_json full = member(set, "full");
    const cJSON *row;
    int checked = 0;

    cJSON_ArrayForEach(row, cases.node)
    {
        int64_t v[5];
        numbers_of(row, 0, v, 5);
        uint8_t *dst = resized_noise(method, seed, v[0], v + 1);
        if (!same_hash(dst, (size_t)(v[3] * v[4] * 3), cJSON_GetArrayItem(row, 5)->valuestring, SHORT_HASH))
            fail_msg("%s: case %lld, %lldx%lld to %lldx%lld differs", text_of(set, "method"), (long long)v[0],
                     (long long)v[1], (long long)v[2], (long long)v[3], (long long)v[4]);
        free(dst);
        checked++;
    }
    cJSON_ArrayForEach(row, full.node)
    {
        int64_t v[4];
        numbers_of(row, 0, v, 4);
        const char *hex = cJSON_GetArrayItem(row, 4)->valuestring;
        uint8_t *dst = resized_noise(method, seed, full_stream, v);
        assert_int_equal(strlen(hex), v[2] * v[3] * 6);
        for (int64_t i = 0; i < v[2] * v[3] * 3; i++) {
            char digits[3];
            snprintf(digits, sizeof digits, "%02x", dst[i]);
            assert_memory_equal(digits, hex + 2 * i, 2);
        }
        free(dst);
    }
    return checked;
}

/* Every method on at least 200 size pairs: up, down, mixed, odd, one row or column, equal axes. */
static void resize(void **state)
{
    (void)state;
    cJSON *root;
    MUST(qvl_json_read(FOLDER "resize.json", &root, &error));
    struct qvl_json at = qvl_json_at_root(root, FOLDER "resize.json");
    struct qvl_json sets = member(&at, "sets");
    assert_int_equal(cJSON_GetArraySize(sets.node), 4);
    for (int64_t s = 0; s < 4; s++) {
        struct qvl_json set = qvl_json_item(&sets, s);
        assert_true(check_resize_set(&set, whole(&at, "seed"), whole(&at, "full_stream")) >= 200);
    }
    cJSON_Delete(root);
}

/* ---- sizes ---- */

static int64_t draw(uint64_t seed, uint64_t stream, uint64_t index, int64_t bound)
{
    return (int64_t)qvl_random_below(seed, stream, index, (uint64_t)bound);
}

/* The size that size_case() of the script draws; the budget is fractional for QVU only. */
static struct qvl_smart_resize_args size_case(uint64_t seed, uint64_t i, bool video, enum qvl_size_rule rule)
{
    struct qvl_smart_resize_args args = {.rule = rule, .temporal_patch = 2, .factor = 32};
    double eighths;
    args.height = 1 + draw(seed, i, 0, (int64_t)1 << (2 + draw(seed, i, 1, 11)));
    args.width = 1 + draw(seed, i, 2, (int64_t)1 << (2 + draw(seed, i, 3, 11)));
    args.frames = video ? 1 + draw(seed, i, 4, (int64_t)1 << (1 + draw(seed, i, 5, 10))) : 0;
    switch (draw(seed, i, 6, 4)) {
    case 0:
        args.min_pixels = video ? 4096 : 65536;
        eighths = video ? 25165824.0 * 8 : 16777216.0 * 8;
        break;
    case 1:
        args.min_pixels = video ? 131072 : 3136;
        eighths = video ? 786432.0 * 8 : 1003520.0 * 8;
        break;
    default:
        args.min_pixels = (double)draw(seed, i, 7, 20000);
        eighths = (double)(8 * (1 + draw(seed, i, 8, (int64_t)1 << (8 + draw(seed, i, 9, 17)))) +
                           draw(seed, i, 10, 8));
    }
    args.max_pixels = rule == QVL_SIZE_QVU ? eighths / 8 : floor(eighths / 8);
    return args;
}

static void check_sizes(const struct qvl_json *set, uint64_t seed, int64_t *errors)
{
    const char *name = text_of(set, "rule");
    enum qvl_profile profile;
    struct qvl_json hashes = member(set, "hashes");
    int64_t block = whole(set, "block");
    struct text text = {0};
    const cJSON *hash;
    uint64_t i = 0;
    bool video;

    MUST(qvl_json_bool(set, "video", &video, &error));
    assert_true(qvl_profile_parse(name, &profile));
    cJSON_ArrayForEach(hash, hashes.node)
    {
        text.size = 0;
        for (int64_t k = 0; k < block; k++, i++) {
            int64_t height;
            int64_t width;
            struct qvl_smart_resize_args args = size_case(seed, i, video, (enum qvl_size_rule)profile);
            args.out_height = &height;
            args.out_width = &width;
            if (qvl_ref_pixel_ops.smart_resize(&args, &error) == QVL_OK) {
                add_number(&text, height, " ");
                add_number(&text, width, "\n");
            } else {
                add_text(&text, "error\n");
                ++*errors;
            }
        }
        if (!same_hash(text.data, text.size, hash->valuestring, SHORT_HASH))
            fail_msg("%s %s: cases %llu to %llu differ", name, video ? "video" : "image",
                     (unsigned long long)i - (unsigned long long)block, (unsigned long long)i - 1);
    }
    assert_true(i >= 20000);
    free(text.data);
}

static void sizes(void **state)
{
    (void)state;
    cJSON *root;
    int64_t errors = 0;
    MUST(qvl_json_read(FOLDER "sizes.json", &root, &error));
    struct qvl_json at = qvl_json_at_root(root, FOLDER "sizes.json");
    struct qvl_json sets = member(&at, "sets");
    assert_int_equal(cJSON_GetArraySize(sets.node), 5);
    for (int64_t s = 0; s < 5; s++) {
        struct qvl_json set = qvl_json_item(&sets, s);
        check_sizes(&set, (uint64_t)whole(&at, "seed"), &errors);
    }
    assert_true(errors > 100);
    cJSON_Delete(root);
}

/* ---- frame selection and stamps ---- */

static void describe_selection(struct text *text, enum qvl_profile profile,
                               const struct qvl_sampling *sampling, int64_t total, double source_fps)
{
    int64_t *indices = NULL;
    int64_t count;
    double *stamps = NULL;
    int64_t stamp_count;
    enum qvl_status status =
        profile == QVL_PROFILE_QVU
            ? qvl_sample_frames_qvu(sampling, total, source_fps, &indices, &count, &error)
            : qvl_sample_frames_hf(sampling, total, source_fps, &indices, &count, &error);
    if (status != QVL_OK) {
        add_text(text, "error\n");
        return;
    }
    MUST(qvl_timestamps(indices, count, 2, source_fps, &stamps, &stamp_count, &error));
    for (int64_t i = 0; i < count; i++)
        add_number(text, indices[i], i + 1 < count ? "," : "|");
    for (int64_t j = 0; j < stamp_count; j++) {
        char stamp[QVL_TIMESTAMP_BYTES];
        qvl_timestamp_text(stamps[j], stamp);
        add_text(text, stamp);
    }
    add_text(text, "\n");
    free(stamps);
    free(indices);
}

static double pick(const struct qvl_json *list, uint64_t seed, uint64_t stream, uint64_t index)
{
    int count = cJSON_GetArraySize(list->node);
    return cJSON_GetArrayItem(list->node, (int)draw(seed, stream, index, count))->valuedouble;
}

static void check_sampling(const struct qvl_json *at, const struct qvl_json *set, uint64_t seed)
{
    const char *name = text_of(set, "profile");
    struct qvl_json source_list = member(at, "source_fps");
    struct qvl_json target_list = member(at, "target_fps");
    struct qvl_json hashes = member(set, "hashes");
    int64_t block = whole(set, "block");
    enum qvl_profile profile;
    struct text text = {0};
    const cJSON *hash;
    uint64_t i = 500000;

    assert_true(qvl_profile_parse(name, &profile));
    cJSON_ArrayForEach(hash, hashes.node)
    {
        text.size = 0;
        for (int64_t k = 0; k < block; k++, i++) {
            struct qvl_sampling sampling = {.min_frames = 4, .max_frames = 768};
            int64_t total = 1 + draw(seed, i, 0, (int64_t)1 << (1 + draw(seed, i, 1, 14)));
            double source_fps = pick(&source_list, seed, i, 2);
            if (draw(seed, i, 3, 4) == 3)
                sampling.num_frames = 1 + draw(seed, i, 5, 200);
            else
                sampling.fps = pick(&target_list, seed, i, 4);
            describe_selection(&text, profile, &sampling, total, source_fps);
        }
        if (!same_hash(text.data, text.size, hash->valuestring, SHORT_HASH))
            fail_msg("%s: one of the %lld selections before stream %llu differs", name, (long long)block,
                     (unsigned long long)i);
    }
    assert_true(i >= 504000);
    free(text.data);
}

static void sampling(void **state)
{
    (void)state;
    cJSON *root;
    MUST(qvl_json_read(FOLDER "sampling.json", &root, &error));
    struct qvl_json at = qvl_json_at_root(root, FOLDER "sampling.json");
    struct qvl_json sets = member(&at, "sets");
    assert_int_equal(cJSON_GetArraySize(sets.node), QVL_PROFILE_COUNT);
    for (int64_t s = 0; s < QVL_PROFILE_COUNT; s++) {
        struct qvl_json set = qvl_json_item(&sets, s);
        check_sampling(&at, &set, (uint64_t)whole(&at, "seed"));
    }
    cJSON_Delete(root);
}

/* ---- patch rows ---- */

/* The whole way from pixels to rows under each profile: images, the slow class, clips with odd frame counts
 * and limits, lists of images. */
static void rows(void **state)
{
    (void)state;
    assert_true(check_all_rows(FOLDER "rows.json", "rows", NULL, &noise_reader) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize),
        cmocka_unit_test(sizes),
        cmocka_unit_test(sampling),
        cmocka_unit_test(rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
