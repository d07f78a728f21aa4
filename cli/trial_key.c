#include "cli/trial_key.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "reports/values.h"

/* A random name that the kernel gives each start of the machine; without /proc every boot is alike. */
static void add_boot(struct qvl_text *text)
{
    char *boot = NULL;
    size_t size;
    struct qvl_error ignored;
    if (qvl_file_read("/proc/sys/kernel/random/boot_id", 256, &boot, &size, &ignored) == QVL_OK)
        qvl_text_add(text, boot, size);
    free(boot);
}

/* Which file it is and when it was changed last: as long as the machine runs, nobody can change the content
 * and not the latter. Hashing 11 MB would be a quarter of a short run. */
static enum qvl_status add_file(struct qvl_text *text, const char *path, struct qvl_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: %s", path, strerror(errno));
    qvl_text_print(text, "%llu %llu %lld %lld.%09ld\n", (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino, (long long)info.st_size, (long long)info.st_ctim.tv_sec,
                   info.st_ctim.tv_nsec);
    return QVL_OK;
}

enum qvl_status qvl_trial_key(const char *plugin, const struct qvl_record *workload,
                              char key[QVL_SHA256_HEX_BYTES], struct qvl_error *error)
{
    struct qvl_text text = {0};
    char *all = NULL;
    size_t size;
    add_boot(&text);
    enum qvl_status status = add_file(&text, "/proc/self/exe", error);
    if (status == QVL_OK && plugin)
        status = add_file(&text, plugin, error);
    for (int64_t i = 0; i < workload->field_count; i++) {
        qvl_text_print(&text, "%s=", workload->fields[i].name);
        qvl_value_exact(&text, &workload->fields[i]);
        qvl_text_add(&text, "\n", 1);
    }
    if (status == QVL_OK)
        status = qvl_text_take(&text, &all, &size, error);
    if (status == QVL_OK)
        status = qvl_sha256_memory(all, size, key, error);
    qvl_text_free(&text);
    free(all);
    return status;
}
