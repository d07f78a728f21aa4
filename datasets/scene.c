#include "datasets/scene.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum {
    SHAPES = 6,
    BACKGROUNDS = 4,
    BACKGROUND_MS = 10000,
    RUNNING_GLYPHS = 64,
    GLYPH_ROWS = 7,
    GLYPH_COLUMNS = 5
};

/* Streams of the seed's random numbers. */
enum { STREAM_SHAPE = 1, STREAM_BACKGROUND, STREAM_GLYPH };

enum shape_kind { DISC, SQUARE, TRIANGLE, RING, KINDS };

struct shape {
    enum shape_kind kind;
    uint8_t colour[3];
    int64_t radius;           /* pixels */
    int64_t phase_x, phase_y; /* pixels */
    int64_t speed_x, speed_y; /* pixels a second */
};

struct qvl_scene {
    int64_t width, height, fps_num, fps_den;
    struct shape shapes[SHAPES];
    uint8_t glyphs[RUNNING_GLYPHS][GLYPH_ROWS]; /* a bit a pixel, the leftmost highest of five */
    uint8_t *backgrounds;                       /* [BACKGROUNDS][height][width][3] */
};

/* 0..9, colon, point */
static const uint8_t digit_glyphs[12][GLYPH_ROWS] = {
    {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},   {14, 17, 1, 2, 4, 8, 31},
    {31, 2, 4, 2, 1, 17, 14},     {2, 6, 10, 18, 31, 2, 2},  {31, 16, 30, 1, 1, 17, 14},
    {6, 8, 16, 30, 17, 17, 14},   {31, 1, 2, 4, 8, 8, 8},    {14, 17, 17, 14, 17, 17, 14},
    {14, 17, 17, 15, 1, 2, 12},   {0, 12, 12, 0, 12, 12, 0}, {0, 0, 0, 0, 0, 12, 12},
};

/* Red, green, blue, yellow, magenta, cyan; each moved a little by the seed. */
static const uint8_t hues[SHAPES][3] = {{210, 20, 20},  {20, 180, 40},  {30, 50, 210},
                                        {210, 200, 10}, {200, 20, 190}, {10, 190, 200}};

static void make_shapes(struct qvl_scene *scene, uint64_t seed)
{
    const int64_t side = scene->width < scene->height ? scene->width : scene->height;
    for (int i = 0; i < SHAPES; i++) {
        struct shape *shape = &scene->shapes[i];
        const uint64_t stream = STREAM_SHAPE + ((uint64_t)i << 8);
        shape->kind = (enum shape_kind)(i % KINDS);
        for (int c = 0; c < 3; c++)
            shape->colour[c] = (uint8_t)(hues[i][c] + qvl_random_below(seed, stream, (uint64_t)c, 40));
        shape->radius = side / 14 + (int64_t)qvl_random_below(seed, stream, 3, (uint64_t)(side / 12 + 1));
        shape->phase_x = (int64_t)qvl_random_below(seed, stream, 4, (uint64_t)scene->width * 2);
        shape->phase_y = (int64_t)qvl_random_below(seed, stream, 5, (uint64_t)scene->height * 2);
        shape->speed_x =
            scene->width / 12 + (int64_t)qvl_random_below(seed, stream, 6, (uint64_t)scene->width / 4);
        shape->speed_y =
            scene->height / 12 + (int64_t)qvl_random_below(seed, stream, 7, (uint64_t)scene->height / 4);
    }
}

/* A slope of colour with a grid of darker lines. */
static void make_backgrounds(struct qvl_scene *scene, uint64_t seed)
{
    uint8_t *out = scene->backgrounds;
    for (uint64_t b = 0; b < BACKGROUNDS; b++) {
        int64_t corner[3], right[3], down[3];
        const int64_t cell = 24 + (int64_t)qvl_random_below(seed, STREAM_BACKGROUND, b * 16 + 9, 24);
        for (uint64_t c = 0; c < 3; c++) {
            corner[c] = 60 + (int64_t)qvl_random_below(seed, STREAM_BACKGROUND, b * 16 + c, 120);
            right[c] = (int64_t)qvl_random_below(seed, STREAM_BACKGROUND, b * 16 + c + 3, 70);
            down[c] = (int64_t)qvl_random_below(seed, STREAM_BACKGROUND, b * 16 + c + 6, 60) - 60;
        }
        for (int64_t y = 0; y < scene->height; y++)
            for (int64_t x = 0; x < scene->width; x++)
                for (int c = 0; c < 3; c++) {
                    int64_t value = corner[c] + right[c] * x / scene->width + down[c] * y / scene->height;
                    *out++ = (uint8_t)(x % cell == 0 || y % cell == 0 ? value * 3 / 4 : value);
                }
    }
}

enum qvl_status qvl_scene_create(uint64_t seed, int64_t width, int64_t height, int64_t fps_num,
                                 int64_t fps_den, struct qvl_scene **scene, struct qvl_error *error)
{
    *scene = NULL;
    if (width < 16 || width > 16384 || height < 16 || height > 16384)
        return qvl_fail(error, QVL_USAGE, "scene: sides of %lld x %lld; give 16 to 16384", (long long)width,
                        (long long)height);
    if (fps_num < 1 || fps_num > INT32_MAX || fps_den < 1 || fps_den > INT32_MAX)
        return qvl_fail(error, QVL_USAGE,
                        "scene: %lld/%lld frames per second; give two positive numbers below 2^31",
                        (long long)fps_num, (long long)fps_den);
    struct qvl_scene *made = calloc(1, sizeof *made);
    uint8_t *backgrounds = malloc((size_t)(width * height * 3 * BACKGROUNDS));
    if (!made || !backgrounds) {
        free(made);
        free(backgrounds);
        return qvl_fail(error, QVL_NO_MEMORY, "scene: no memory for %lld x %lld pixels", (long long)width,
                        (long long)height);
    }
    *made = (struct qvl_scene){
        .width = width, .height = height, .fps_num = fps_num, .fps_den = fps_den, .backgrounds = backgrounds};
    make_shapes(made, seed);
    make_backgrounds(made, seed);
    for (uint64_t g = 0; g < RUNNING_GLYPHS; g++)
        for (uint64_t row = 0; row < GLYPH_ROWS && g % 6 != 5; row++) /* every sixth is a space */
            made->glyphs[g][row] = (uint8_t)qvl_random_below(seed, STREAM_GLYPH, g * GLYPH_ROWS + row, 32);
    *scene = made;
    return QVL_OK;
}

void qvl_scene_destroy(struct qvl_scene *scene)
{
    if (!scene)
        return;
    free(scene->backgrounds);
    free(scene);
}

/* Back and forth over 0..range. */
static int64_t bounce(int64_t distance, int64_t range)
{
    if (range <= 0)
        return 0;
    distance %= 2 * range;
    return distance < range ? distance : 2 * range - distance;
}

static bool covers(const struct shape *shape, int64_t dx, int64_t dy)
{
    const int64_t r = shape->radius, squared = dx * dx + dy * dy;
    switch (shape->kind) {
    case DISC: return squared <= r * r;
    case RING: return squared <= r * r && squared * 4 >= r * r;
    case TRIANGLE: return 2 * (dx < 0 ? -dx : dx) <= dy + r;
    default: return true;
    }
}

static void draw_shape(const struct qvl_scene *scene, const struct shape *shape, int64_t ms, uint8_t *rgb)
{
    const int64_t r = shape->radius;
    const int64_t cx = r + bounce(shape->phase_x + shape->speed_x * ms / 1000, scene->width - 1 - 2 * r);
    const int64_t cy = r + bounce(shape->phase_y + shape->speed_y * ms / 1000, scene->height - 1 - 2 * r);
    for (int64_t y = cy - r; y <= cy + r; y++)
        for (int64_t x = cx - r; x <= cx + r; x++)
            if (y >= 0 && y < scene->height && x >= 0 && x < scene->width && covers(shape, x - cx, y - cy))
                memcpy(rgb + (y * scene->width + x) * 3, shape->colour, 3);
}

/* A glyph of 6 x 8 cells of `scale` pixels, its cell filled with the paper colour. */
static void draw_glyph(const struct qvl_scene *scene, const uint8_t glyph[GLYPH_ROWS], int64_t left,
                       int64_t top, int64_t scale, uint8_t ink, uint8_t paper, uint8_t *rgb)
{
    for (int64_t y = 0; y < (GLYPH_ROWS + 1) * scale; y++)
        for (int64_t x = 0; x < (GLYPH_COLUMNS + 1) * scale; x++) {
            const int64_t row = y / scale, column = x / scale;
            const bool on = row < GLYPH_ROWS && column < GLYPH_COLUMNS && (glyph[row] >> (4 - column) & 1);
            if (top + y >= 0 && top + y < scene->height && left + x >= 0 && left + x < scene->width)
                memset(rgb + ((top + y) * scene->width + left + x) * 3, on ? ink : paper, 3);
        }
}

static void draw_number(const struct qvl_scene *scene, const char *text, int64_t top, int64_t scale,
                        uint8_t *rgb)
{
    int64_t left = scale * 2;
    for (; *text; text++, left += (GLYPH_COLUMNS + 1) * scale) {
        const int glyph = *text == ':' ? 10 : *text == '.' ? 11 : *text - '0';
        draw_glyph(scene, digit_glyphs[glyph], left, top, scale, 250, 12, rgb);
    }
}

void qvl_scene_frame(const struct qvl_scene *scene, int64_t index, uint8_t *rgb)
{
    char text[48];
    const int64_t ms = index * 1000 / scene->fps_num * scene->fps_den +
                       index * 1000 % scene->fps_num * scene->fps_den / scene->fps_num;
    const int64_t bytes = scene->width * scene->height * 3;
    const int64_t scale = 1 + (scene->height < scene->width ? scene->height : scene->width) / 120;
    memcpy(rgb, scene->backgrounds + ms / BACKGROUND_MS % BACKGROUNDS * bytes, (size_t)bytes);
    for (int i = 0; i < SHAPES; i++)
        draw_shape(scene, &scene->shapes[i], ms, rgb);
    snprintf(text, sizeof text, "%lld:%02lld.%lld", (long long)(ms / 60000), (long long)(ms / 1000 % 60),
             (long long)(ms / 100 % 10));
    draw_number(scene, text, scale * 2, scale, rgb);
    snprintf(text, sizeof text, "%lld", (long long)index);
    draw_number(scene, text, scale * (GLYPH_ROWS + 4), scale, rgb);
    /* the running line moves left by one glyph in half a second */
    const int64_t advance = (GLYPH_COLUMNS + 1) * scale, moved = ms * advance / 500;
    for (int64_t i = 0; i * advance < scene->width + advance; i++)
        draw_glyph(scene, scene->glyphs[(moved / advance + i) % RUNNING_GLYPHS],
                   i * advance - moved % advance, scene->height - (GLYPH_ROWS + 2) * scale, scale, 240, 30,
                   rgb);
}
