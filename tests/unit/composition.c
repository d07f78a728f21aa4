/* Checks of the whole path: honest backends pass every one of them, faults of each kind are located at the
 * stage where they sit, nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "backends/mutants/composition.h"
#include "backends/mutants/pixels.h"
#include "ref/pixels.h"
#include "ref/ref.h"
#include "verify/composition.h"

#define SCRATCH "build/test-composition"

static struct qvl_composition *composition;

static enum qvl_status open_honest(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_honest_open(QVL_SUM_PAIRWISE, options, backend, error);
}

static int set_up(void **state)
{
    const struct qvl_composition_options options = {
        .reference = qvl_ref_open, .honest = open_honest, .pixels = &qvl_ref_pixel_ops, .seed = 9};
    struct qvl_error error;
    (void)state;
    mkdir(SCRATCH, 0777);
    setenv("TMPDIR", SCRATCH, 1);
    if (qvl_composition_create(&options, &composition, &error) == QVL_OK)
        return 0;
    fprintf(stderr, "%s\n", error.message);
    return -1;
}

static int tear_down(void **state)
{
    (void)state;
    qvl_composition_destroy(composition);
    return remove(SCRATCH); /* fails when a checkpoint is left in it */
}

static struct qvl_selftest_attempt run(int64_t index, const struct qvl_composition_path *path)
{
    struct qvl_selftest_attempt attempt = {.status = QVL_CASE_NONE};
    struct qvl_error error = {.message = ""};
    if (qvl_composition_run(composition, index, path, &attempt, &error) != QVL_OK)
        fail_msg("%s: %s", qvl_composition_line(index), error.message);
    return attempt;
}

/* How many cases a path passes; any other result but SKIPPED is a failure. */
static int passed(const struct qvl_composition_path *path)
{
    int count = 0;
    for (int64_t i = 0; qvl_composition_line(i); i++) {
        const struct qvl_selftest_attempt attempt = run(i, path);
        if (attempt.status != QVL_CASE_PASSED && attempt.status != QVL_CASE_SKIPPED)
            fail_msg("%s: %s", qvl_composition_line(i), attempt.message);
        count += attempt.status == QVL_CASE_PASSED;
    }
    return count;
}

static enum qvl_status open_cpu(void *context, const struct qvl_backend_options *options,
                                struct qvl_backend **backend, struct qvl_error *error)
{
    (void)context;
    return qvl_cpu_open(options, backend, error);
}

static void honest_paths_pass(void **state)
{
    const struct qvl_composition_path honest = {.open = NULL};
    const struct qvl_composition_path pixels = {.pixels = &qvl_ref_pixel_ops};
    const struct qvl_composition_path cpu = {.open = open_cpu};
    (void)state;
    assert_int_equal(passed(&honest), 13);
    assert_int_equal(passed(&cpu), 13);
    assert_int_equal(passed(&pixels), 29); /* and calls, plans and prompts */
}

static enum qvl_status open_composed(void *context, const struct qvl_backend_options *options,
                                     struct qvl_backend **backend, struct qvl_error *error)
{
    return qvl_composition_open(context, open_honest, options, backend, error);
}

/* The first case that a path fails. */
static void first_failure(const struct qvl_composition_path *path, const char *line, const char *where)
{
    for (int64_t i = 0; qvl_composition_line(i); i++) {
        const struct qvl_selftest_attempt attempt = run(i, path);
        if (attempt.status != QVL_CASE_FAILED)
            continue;
        assert_string_equal(qvl_composition_line(i), line);
        assert_string_equal(attempt.where, where);
        return;
    }
    fail_msg("no case failed; \"%s\" should have", line);
}

static void composed_fault_is_located(const char *name, const char *line, const char *where)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", name);
    const struct qvl_composition_path path = {.open = open_composed, .context = copy};
    first_failure(&path, line, where);
}

static void path_fault_is_located(const char *name, const char *line, const char *where)
{
    struct qvl_composition_path path = {.fault = NULL};
    for (int64_t i = 0; qvl_path_fault_at(i); i++)
        if (strcmp(qvl_path_fault_at(i)->name, name) == 0)
            path.fault = qvl_path_fault_at(i);
    assert_non_null(path.fault);
    first_failure(&path, line, where);
}

static void faults_are_located(void **state)
{
    const struct qvl_composition_path bgr = {
        .pixels = qvl_pixel_mutant_table("pre.channel_order_bgr", &qvl_ref_pixel_ops)};
    (void)state;
    composed_fault_is_located("ds.layer_index_base", "alone text=image chunk=0",
                              "model.visual.deepstack_merger_list.0");
    composed_fault_is_located("ds.add_before_layer", "alone text=image chunk=0",
                              "model.language_model.inputs_embeds");
    composed_fault_is_located("ds.chunk_window", "alone text=video chunk=5",
                              "model.language_model.layers.0.deepstack_added");
    composed_fault_is_located("vit.frames_share_attention", "alone text=video chunk=5",
                              "model.visual.blocks.0.attn");
    composed_fault_is_located("head.norm_skipped", "alone text=image chunk=0", "logits");
    composed_fault_is_located("head.never_tied", "alone text=image chunk=0 head=tied", "logits");
    composed_fault_is_located("cache.fork_aliases", "forked text=image chunk=0",
                              ""); /* refused: the cache is full */
    path_fault_is_located("pos.delta_not_handed_over", "forked text=image chunk=0", "logits");
    path_fault_is_located("pre.no_stamps", "prompt text=video", "input_ids[3]");
    path_fault_is_located("cache.image_hash", "in_a_row texts=image,other_image chunk=0",
                          "model.language_model.inputs_embeds");
    first_failure(&bgr, "pixels patch_rows frames=1 depth=2 height=64 width=96", "pixel values");
}

static void wrong_names_are_refused(void **state)
{
    struct qvl_backend *backend;
    struct qvl_error error = {.message = ""};
    (void)state;
    assert_int_equal(qvl_composition_open("no.such", open_honest, NULL, &backend, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "no.such"));
    assert_null(qvl_pixel_mutant_table("no.such", &qvl_ref_pixel_ops));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_paths_pass),
        cmocka_unit_test(faults_are_located),
        cmocka_unit_test(wrong_names_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
