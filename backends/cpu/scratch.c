/* Scratch memory: a stack of blocks that grows to the largest need of a call and is then kept. */
#include <stdlib.h>
#include <unistd.h>

#include "cpu_state.h"

#define SMALLEST_BLOCK ((size_t)1 << 20)

int64_t qvl_cpu_machine_bytes(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
}

void *qvl_cpu_memory(int64_t bytes)
{
    int64_t rounded;
    if (bytes < 0 || bytes > qvl_cpu_machine_bytes())
        return NULL;
    rounded = (bytes + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
    return aligned_alloc(CPU_ALIGNMENT, (size_t)(rounded ? rounded : CPU_ALIGNMENT));
}

struct cpu_state *qvl_cpu_enter(struct qvl_backend *backend)
{
    struct cpu_state *state = backend->state;
    struct cpu_scratch *scratch = &state->scratch;
    qvl_cpu_scratch_release(state, (struct cpu_mark){0});
    if (scratch->count > 1) { /* the last call outgrew its first block: make one that holds all of it */
        size_t total = 0;
        for (int i = 0; i < scratch->count; i++)
            total += scratch->block[i].bytes;
        qvl_cpu_scratch_free(state);
        scratch->wish = total;
    }
    return state;
}

/* Make block[current] hold at least `bytes` free bytes. */
static bool find_room(struct cpu_scratch *scratch, size_t bytes)
{
    for (; scratch->current < scratch->count; scratch->current++)
        if (scratch->block[scratch->current].bytes - scratch->block[scratch->current].used >= bytes)
            return true;
    if (scratch->count == CPU_SCRATCH_BLOCKS)
        return false;
    bytes = bytes > scratch->wish ? bytes : scratch->wish;
    bytes = bytes > SMALLEST_BLOCK ? bytes : SMALLEST_BLOCK;
    scratch->wish = 0;
    scratch->block[scratch->count] = (struct cpu_scratch_block){.data = qvl_cpu_memory((int64_t)bytes)};
    if (!scratch->block[scratch->count].data)
        return false;
    scratch->block[scratch->count++].bytes = bytes;
    return true;
}

void *qvl_cpu_scratch(struct cpu_state *state, int64_t bytes, struct qvl_error *error)
{
    struct cpu_scratch *scratch = &state->scratch;
    struct cpu_scratch_block *block;
    size_t rounded = (size_t)(bytes + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
    char *data;
    if (bytes < 0 || !find_room(scratch, rounded)) {
        (void)qvl_fail(error, QVL_NO_MEMORY,
                       "cpu: needs %lld bytes of working memory, the machine has %lld; use shorter chunks",
                       (long long)bytes, (long long)qvl_cpu_machine_bytes());
        return NULL;
    }
    block = &scratch->block[scratch->current];
    data = block->data + block->used;
    block->used += rounded;
    return data;
}

struct cpu_mark qvl_cpu_scratch_mark(const struct cpu_state *state)
{
    const struct cpu_scratch *scratch = &state->scratch;
    return (struct cpu_mark){.block = scratch->current,
                             .used = scratch->count > scratch->current ? scratch->block[scratch->current].used
                                                                       : 0};
}

void qvl_cpu_scratch_release(struct cpu_state *state, struct cpu_mark mark)
{
    struct cpu_scratch *scratch = &state->scratch;
    for (int i = mark.block; i < scratch->count; i++)
        scratch->block[i].used = i == mark.block ? mark.used : 0;
    scratch->current = mark.block;
}

void qvl_cpu_scratch_free(struct cpu_state *state)
{
    for (int i = 0; i < state->scratch.count; i++)
        free(state->scratch.block[i].data);
    state->scratch = (struct cpu_scratch){0};
}
