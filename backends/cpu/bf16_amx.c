/* bf16 products on AMX tiles (compiled for AMX-TILE and AMX-BF16, run only where CPU and kernel allow it). */
#include "bf16.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Layout that ldtilecfg reads: palette 1, eight tiles of 16 rows of 64 bytes. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

enum { TILE_ROWS = 16, TILE_DEPTH = 32 };

/* Two by two tiles of sums (32 rows by 32 outputs) through the whole depth. */
static void multiply_rows(const uint16_t *panel, const uint16_t *x, int64_t x_stride, int64_t depth, bool add,
                          float *sums)
{
    const int64_t x_bytes = 2 * x_stride, line = BF16_PANEL * 4;
    float *lower = sums + TILE_ROWS * BF16_PANEL;
    if (add) {
        _tile_loadd(0, sums, line);
        _tile_loadd(1, sums + 16, line);
        _tile_loadd(2, lower, line);
        _tile_loadd(3, lower + 16, line);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
        _tile_loadd(4, x + k, x_bytes);
        _tile_loadd(6, panel + k * BF16_PANEL, line);
        _tile_loadd(7, panel + k * BF16_PANEL + 32, line);
        _tile_loadd(5, x + TILE_ROWS * x_stride + k, x_bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, line);
    _tile_stored(1, sums + 16, line);
    _tile_stored(2, lower, line);
    _tile_stored(3, lower + 16, line);
}

static void multiply(const uint16_t *panel, const uint16_t *x, int64_t x_stride, int64_t rows, int64_t depth,
                     bool add, float *sums)
{
    struct tile_config config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = TILE_ROWS;
    }
    _tile_loadconfig(&config);
    for (int64_t i = 0; i < rows; i += BF16_ROWS)
        multiply_rows(panel, x + i * x_stride, x_stride, depth, add, sums + i * BF16_PANEL);
    _tile_release();
}

/* CPUID leaf 7: AMX-BF16 is bit 22, AMX-TILE bit 24 of EDX. Linux hands out the tile state on request. */
static bool machine_has_tiles(void)
{
    enum { REQUEST_STATE = 0x1023, TILE_DATA = 18 };
    const unsigned bits = 1U << 22 | 1U << 24;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bits) == bits &&
           syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) == 0;
}

const struct cpu_bf16 *qvl_cpu_bf16_amx(void)
{
    static const struct cpu_bf16 table = {multiply};
    return machine_has_tiles() ? &table : NULL;
}

#else

const struct cpu_bf16 *qvl_cpu_bf16_amx(void)
{
    return NULL;
}

#endif
