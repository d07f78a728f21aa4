#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "KEY: N kB" or "KEY N" of a list file, scaled; -1 when absent. */
static int64_t read_field(const char *path, const char *key, int64_t scale)
{
    char line[256];
    int64_t value = -1;
    size_t length = strlen(key);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while (value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 && (line[length] == ':' || line[length] == ' ') &&
            sscanf(line + length + 1, "%" SCNd64, &value) == 1)
            value *= scale;
    fclose(file);
    return value;
}

/* A file with one number; -1 when absent or "max". */
static int64_t read_number(const char *path)
{
    int64_t value = -1;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    if (fscanf(file, "%" SCNd64, &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

/* What a control group still allows; its page cache can be reclaimed. -1: no limit. */
static int64_t group_available(const char *limit_file, const char *used_file, const char *stat_file,
                               const char *cache_key)
{
    int64_t limit = read_number(limit_file);
    int64_t used = read_number(used_file);
    if (limit < 0 || used < 0)
        return -1;
    int64_t cache = read_field(stat_file, cache_key, 1);
    int64_t available = limit - used + (cache > 0 ? cache : 0);
    return available > 0 ? available : 0;
}

int64_t qvl_memory_available(void)
{
    int64_t candidates[3] = {
        read_field("/proc/meminfo", "MemAvailable", 1024),
        group_available("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                        "/sys/fs/cgroup/memory.stat", "inactive_file"),
        group_available("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
                        "total_inactive_file"),
    };
    int64_t available = -1;
    for (int i = 0; i < 3; i++)
        if (candidates[i] >= 0 && (available < 0 || candidates[i] < available))
            available = candidates[i];
    return available;
}
