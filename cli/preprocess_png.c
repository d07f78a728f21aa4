/* What the model sees, as PNG files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/preprocess_forms.h"
#include "datasets/image_writer.h"

#define CHANNELS 3

struct png_folder {
    const char *folder;
    bool made;     /* by us */
    bool numbered; /* two media share a name */
    char **written;
    int64_t count, capacity;
};

/* The name of a file without its folder and extension; not terminated. */
static const char *stem(const char *file, int *size)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    const char *dot = strrchr(name, '.');
    *size = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    return name;
}

static int compare_stems(const void *a, const void *b)
{
    int a_size;
    int b_size;
    const char *a_name = stem(*(const char *const *)a, &a_size);
    const char *b_name = stem(*(const char *const *)b, &b_size);
    const int order = memcmp(a_name, b_name, (size_t)(a_size < b_size ? a_size : b_size));
    return order ? order : a_size - b_size;
}

static enum qvl_status find_shared_names(struct png_folder *png, const struct qvl_preprocessed *seen,
                                         int64_t count, struct qvl_error *error)
{
    const char **files = malloc(sizeof *files * (size_t)count);
    if (!files)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld file names", (long long)count);
    for (int64_t i = 0; i < count; i++)
        files[i] = seen[i].file;
    qsort(files, (size_t)count, sizeof *files, compare_stems);
    for (int64_t i = 1; i < count; i++)
        png->numbered = png->numbered || compare_stems(&files[i - 1], &files[i]) == 0;
    free(files);
    return QVL_OK;
}

/* The path of frame `frame` (-1: an image), which is kept in `written`. */
static enum qvl_status make_path(struct png_folder *png, const struct qvl_preprocessed *seen, int64_t number,
                                 int64_t frame, char **path, struct qvl_error *error)
{
    int size;
    const char *name = stem(seen->file, &size);
    char position[24] = "";
    char suffix[40] = "";
    const size_t bytes = strlen(png->folder) + (size_t)size + 80;
    if (png->numbered)
        snprintf(position, sizeof position, "%lld.", (long long)number);
    if (frame >= 0)
        snprintf(suffix, sizeof suffix, ".frame%06lld", (long long)frame);
    *path = malloc(bytes);
    if (!*path ||
        !qvl_record_grow((void **)&png->written, png->count, &png->capacity, sizeof *png->written)) {
        free(*path);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the path of a PNG file");
    }
    snprintf(*path, bytes, "%s/%s%.*s%s.png", png->folder, position, size, name, suffix);
    png->written[png->count++] = *path;
    return QVL_OK;
}

static enum qvl_status write_one(struct png_folder *png, const struct qvl_preprocessed *seen, int64_t number,
                                 struct qvl_error *error)
{
    const struct qvl_visual *visual = &seen->visual;
    const int64_t frame_bytes = visual->resized_height * visual->resized_width * CHANNELS;
    for (int64_t k = 0; k < visual->frames; k++) {
        char *path;
        const struct qvl_picture picture = {visual->resized_height, visual->resized_width,
                                            visual->resized_rgb + k * frame_bytes};
        QVL_TRY(make_path(png, seen, number, visual->is_video ? visual->frame_indices[k] : -1, &path, error));
        enum qvl_status status = qvl_png_write(path, &picture, error);
        if (status != QVL_OK) {
            png->count--; /* a file that was there before stays */
            free(path);
            return status;
        }
    }
    return QVL_OK;
}

static enum qvl_status make_folder(struct png_folder *png, struct qvl_error *error)
{
    png->made = mkdir(png->folder, 0777) == 0;
    if (png->made || qvl_folder_exists(png->folder))
        return QVL_OK;
    return qvl_fail(error, QVL_IO, "%s: cannot make the folder: %s", png->folder, strerror(errno));
}

enum qvl_status qvl_preprocessed_png(const struct qvl_preprocessed *seen, int64_t count, const char *folder,
                                     struct qvl_error *error)
{
    struct png_folder png = {.folder = folder};
    QVL_TRY(find_shared_names(&png, seen, count, error));
    QVL_TRY(make_folder(&png, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < count && status == QVL_OK; i++)
        status = write_one(&png, &seen[i], i + 1, error);
    for (int64_t i = 0; i < png.count; i++) {
        if (status != QVL_OK)
            unlink(png.written[i]);
        free(png.written[i]);
    }
    free(png.written);
    if (status != QVL_OK && png.made)
        rmdir(folder);
    return status;
}
