#include "reports/environment.h"

#include <cjson/cJSON.h>
#include <hwloc.h>
#include <libavutil/avutil.h>
#include <sched.h>
#include <sodium.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/memory.h"
#include "reports/text.h"
#include "reports/version.h"

/* Room for a line of /proc/cpuinfo; the flags line of current CPUs has about 2,000 bytes. */
#define LINE_BYTES 8192

/* The value of the first "KEY<blanks><separator> value" line of a file into `value`; false when there is
 * none. */
static bool first_value(const char *path, const char *key, char separator, char *value, size_t bytes)
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t length = strlen(key);
        char *rest = line + length;
        if (strncmp(line, key, length) != 0)
            continue;
        rest += strspn(rest, " \t");
        if (*rest != separator)
            continue;
        rest++;
        rest += strspn(rest, " \t\"");
        rest[strcspn(rest, "\"\n")] = '\0';
        snprintf(value, bytes, "%s", rest);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

static void put_line_of(struct qvl_record *record, const char *name, const char *path, const char *key,
                        char separator)
{
    char value[256];
    char reason[128];
    snprintf(reason, sizeof reason, "%s does not say", path);
    if (first_value(path, key, separator, value, sizeof value) && *value)
        qvl_record_text(record, name, value, QVL_FROM_MEASURED);
    else
        qvl_record_missing(record, name, reason);
}

/* The instruction sets that matter to kernels: vector, matrix, half precision. */
static bool is_kernel_flag(const char *flag)
{
    static const char *const prefixes[] = {"sse4", "avx", "fma",  "f16c", "amx",  "asimd",
                                           "sve",  "sme", "bf16", "i8mm", "fphp", NULL};
    for (size_t i = 0; prefixes[i]; i++)
        if (strncmp(flag, prefixes[i], strlen(prefixes[i])) == 0)
            return strcmp(flag, "smep") != 0; /* a protection of x86, no matrix extension */
    return false;
}

static void put_instruction_sets(struct qvl_record *record)
{
    char flags[LINE_BYTES];
    struct qvl_text kept = {0};
    char *position = NULL;
    if (!first_value("/proc/cpuinfo", "flags", ':', flags, sizeof flags) &&
        !first_value("/proc/cpuinfo", "Features", ':', flags, sizeof flags)) {
        qvl_record_missing(record, "instruction_sets", "/proc/cpuinfo does not say");
        return;
    }
    bool virtual = strstr(flags, " hypervisor") != NULL;
    for (char *flag = strtok_r(flags, " ", &position); flag; flag = strtok_r(NULL, " ", &position))
        if (is_kernel_flag(flag))
            qvl_text_print(&kept, "%s%s", kept.size ? " " : "", flag);
    if (kept.failed && record)
        record->fault = QVL_RECORD_NO_MEMORY;
    qvl_record_text(record, "instruction_sets", kept.data ? kept.data : "none of interest",
                    QVL_FROM_MEASURED);
    qvl_record_flag(record, "virtual_machine", virtual, QVL_FROM_MEASURED);
    qvl_text_free(&kept);
}

static void put_cache(struct qvl_record *record, hwloc_topology_t topology, const char *name,
                      hwloc_obj_type_t type)
{
    hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);
    int instances = hwloc_get_nbobjs_by_type(topology, type);
    if (!cache || cache->attr->cache.size == 0) {
        qvl_record_missing(record, name, "hwloc sees no such cache");
        return;
    }
    char summary[96];
    qvl_record_int(record, name, (int64_t)cache->attr->cache.size, "B", QVL_FROM_MEASURED);
    snprintf(summary, sizeof summary, "%s_instances", name);
    qvl_record_int(record, summary, instances, NULL, QVL_FROM_MEASURED);
}

static void put_topology(struct qvl_record *record)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        qvl_record_missing(record, "topology", "hwloc_topology_init failed");
        return;
    }
    if (hwloc_topology_load(topology) != 0) {
        qvl_record_missing(record, "topology", "hwloc_topology_load failed");
    } else {
        static const struct {
            const char *name;
            hwloc_obj_type_t type;
        } counts[] = {{"packages", HWLOC_OBJ_PACKAGE},
                      {"numa_nodes", HWLOC_OBJ_NUMANODE},
                      {"cores", HWLOC_OBJ_CORE},
                      {"hardware_threads", HWLOC_OBJ_PU}};
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            qvl_record_int(record, counts[i].name, hwloc_get_nbobjs_by_type(topology, counts[i].type), NULL,
                           QVL_FROM_MEASURED);
        put_cache(record, topology, "l1d_cache", HWLOC_OBJ_L1CACHE);
        put_cache(record, topology, "l2_cache", HWLOC_OBJ_L2CACHE);
        put_cache(record, topology, "l3_cache", HWLOC_OBJ_L3CACHE);
    }
    hwloc_topology_destroy(topology);
}

/* CPU time a control group (v2) allows, in cores: "MICROSECONDS PERIOD" or "max PERIOD". */
static void put_quota(struct qvl_record *record)
{
    double quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!file) {
        qvl_record_missing(record, "cpu_quota", "no /sys/fs/cgroup/cpu.max");
        return;
    }
    if (fscanf(file, "%lf %lf", &quota, &period) == 2 && period > 0)
        qvl_record_real(record, "cpu_quota", quota / period, "core", QVL_FROM_MEASURED);
    else
        qvl_record_text(record, "cpu_quota", "none", QVL_FROM_MEASURED);
    fclose(file);
}

static void put_processor(struct qvl_record *record)
{
    cpu_set_t allowed;
    put_line_of(record, "cpu", "/proc/cpuinfo", "model name", ':');
    put_topology(record);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        qvl_record_int(record, "usable_threads", CPU_COUNT(&allowed), NULL, QVL_FROM_MEASURED);
    else
        qvl_record_missing(record, "usable_threads", "sched_getaffinity failed");
    put_quota(record);
    put_instruction_sets(record);
    qvl_record_int(record, "memory", (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "B",
                   QVL_FROM_MEASURED);
    int64_t available = qvl_memory_available();
    if (available >= 0)
        qvl_record_int(record, "memory_available", available, "B", QVL_FROM_MEASURED);
    else
        qvl_record_missing(record, "memory_available", "the system does not say");
}

static void put_system(struct qvl_record *record)
{
    struct utsname name;
    put_line_of(record, "os", "/etc/os-release", "PRETTY_NAME", '=');
    if (uname(&name) == 0) {
        char kernel[sizeof name.sysname + sizeof name.release + sizeof name.machine + 3];
        snprintf(kernel, sizeof kernel, "%s %s %s", name.sysname, name.release, name.machine);
        qvl_record_text(record, "kernel", kernel, QVL_FROM_MEASURED);
    } else {
        qvl_record_missing(record, "kernel", "uname failed");
    }
    qvl_record_text(record, "compiler", qvl_compiler, QVL_FROM_MEASURED);
    qvl_record_text(record, "compiler_flags", qvl_compiler_flags, QVL_FROM_MEASURED);
    qvl_record_text(record, "build", qvl_build_type, QVL_FROM_MEASURED);
}

static void put_libraries(struct qvl_record *record)
{
    char hwloc[32];
    unsigned version = hwloc_get_api_version();
    snprintf(hwloc, sizeof hwloc, "%u.%u.%u", version >> 16, (version >> 8) & 0xff, version & 0xff);
    qvl_record_text(record, "ffmpeg", av_version_info(), QVL_FROM_MEASURED);
    qvl_record_text(record, "cjson", cJSON_Version(), QVL_FROM_MEASURED);
    qvl_record_text(record, "libsodium", sodium_version_string(), QVL_FROM_MEASURED);
    qvl_record_text(record, "hwloc_api", hwloc, QVL_FROM_MEASURED);
}

/* Variables that select kernels or thread counts; they change speed and, for some, results. */
static void put_variables(struct qvl_record *record)
{
    static const char *const names[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE",  "OPENBLAS_NUM_THREADS",
                                        "OMP_NUM_THREADS",   "OMP_PROC_BIND",     "OMP_PLACES",
                                        "OMP_WAIT_POLICY",   "GOMP_CPU_AFFINITY", NULL};
    for (size_t i = 0; names[i]; i++) {
        const char *value = getenv(names[i]);
        qvl_record_text(record, names[i], value ? value : "(unset)", QVL_FROM_MEASURED);
    }
}

enum qvl_status qvl_environment_collect(struct qvl_record **record, struct qvl_error *error)
{
    struct qvl_record *environment = qvl_record_create("environment", "this machine", QVL_CASE_NONE);
    put_processor(environment);
    put_system(environment);
    put_libraries(environment);
    put_variables(environment);
    enum qvl_status status = qvl_record_check(environment, error);
    if (status != QVL_OK) {
        qvl_record_destroy(environment);
        return status;
    }
    *record = environment;
    return QVL_OK;
}
