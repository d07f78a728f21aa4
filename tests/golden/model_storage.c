/* The ways of storing one model: every expert layout, config spelling and sharding gives the same logits to
 * the last bit; float16 comes closer to the original's float32 logits than bfloat16, as its three more bits
 * promise. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"
#include "tests/golden/support/compare.h"

static qvl_backend_open_fn *const backends[] = {qvl_ref_open, qvl_cpu_open};
static const char *const backend_names[] = {"ref", "cpu"};

/* Run a golden's prompt on the checkpoint of `spec`; the caller frees the run. */
static bool run_spec(const char *path, const char *spec, enum qvl_dtype storage, enum qvl_profile profile,
                     int backend_index, struct golden *golden, struct golden_run *run)
{
    struct qvl_backend *backend = NULL;
    struct qvl_model *model = NULL;
    struct qvl_error error = {.message = ""};
    *run = (struct golden_run){.logits = NULL};
    if (!golden_open(path, spec, golden))
        return false;
    golden->storage = storage;
    golden->profile = profile;
    enum qvl_status status = backends[backend_index](NULL, &backend, &error);
    if (status == QVL_OK)
        status = golden_load(golden, backend, &model, &error);
    if (status == QVL_OK)
        status = golden_run_model(golden, model, (struct golden_chunks){0, 0}, true, 0, run, &error);
    if (status != QVL_OK)
        printf("%s on %s: %s\n", golden->name, backend_names[backend_index], error.message);
    qvl_model_destroy(model);
    if (backend)
        backend->close(backend);
    return status == QVL_OK;
}

/* Largest difference of two runs' logits over the largest logit. */
static double relative_distance(const struct golden_run *first, const struct golden_run *second, int64_t rows)
{
    double largest = 0, distance = 0;
    for (int64_t index = 0; index < rows * first->vocabulary; index++) {
        const double difference = fabs((double)first->logits[index] - second->logits[index]);
        largest = fmax(largest, fabs(first->logits[index]));
        distance = isnan(difference) ? INFINITY : fmax(distance, difference);
    }
    return distance / largest;
}

/* The cpu backend may sum a layout stored input-first in another order. */
static int check_layouts(int backend)
{
    static const double tolerance[] = {0, 1e-5};
    static const char path[] = "tests/golden/model/moe.image.f32.safetensors";
    static const char *const specs[] = {"moe", "moe,experts=output-first,config=hf5", "moe,experts=separate",
                                        "moe,shard=300000"};
    struct golden golden;
    struct golden_run first = {.logits = NULL};
    int different = 0;
    for (int index = 0; index < 4; index++) {
        struct golden_run run;
        if (!run_spec(path, specs[index], QVL_F32, QVL_PROFILE_HF4, backend, &golden, &run)) {
            different++;
        } else if (index == 0) {
            first = run;
            run = (struct golden_run){.logits = NULL};
        } else if (!first.logits ||
                   !(relative_distance(&first, &run, golden.prompt.count) <= tolerance[backend])) {
            printf("%s on %s: other logits than the checkpoint in one file\n", specs[index],
                   backend_names[backend]);
            different++;
        }
        golden_run_free(&run);
        golden_close(&golden);
    }
    golden_run_free(&first);
    return different;
}

/* Largest distance of the logits from the original's float32 ones, or infinity. */
static double logit_distance(const char *spec, enum qvl_dtype storage, int backend)
{
    static const char path[] = "tests/golden/model/dense-untied-gqa3.image.f32.safetensors";
    static struct compare_stage stages[COMPARE_MOST_STAGES];
    struct golden golden;
    struct golden_run run;
    double distance = INFINITY;
    if (run_spec(path, spec, storage, QVL_PROFILE_HF4, backend, &golden, &run))
        for (int64_t index = compare_stages(&golden, stages) - 1; index >= 0; index--)
            if (strcmp(stages[index].name, "logits") == 0)
                distance = compare_stage_distance(&stages[index], &run, NULL).element;
    golden_run_free(&run);
    golden_close(&golden);
    return distance;
}

static int check_float16(int backend)
{
    const double bf16 = logit_distance("dense-untied-gqa3,dtype=bf16", QVL_BF16, backend);
    const double f16 = logit_distance("dense-untied-gqa3,dtype=f16", QVL_F16, backend);
    printf("%s: logits off by %.4f in bf16, %.4f in f16\n", backend_names[backend], bf16, f16);
    return isfinite(bf16) && f16 > 0 && f16 < bf16 / 3 ? 0 : 1;
}

/* Distance of the interpolated position table from a bfloat16 golden under one of the two rounding rules. */
static double table_distance(const char *path, enum qvl_profile profile)
{
    static struct compare_stage stages[COMPARE_MOST_STAGES];
    struct golden golden;
    struct golden_run run;
    double distance = INFINITY;
    if (run_spec(path, NULL, QVL_BF16, profile, 0, &golden, &run))
        for (int64_t index = compare_stages(&golden, stages) - 1; index >= 0; index--)
            if (strcmp(stages[index].name, "model.visual.pos_embed_interpolated") == 0)
                distance = compare_stage_distance(&stages[index], &run, NULL).projection;
    golden_run_free(&run);
    golden_close(&golden);
    return distance;
}

/* Each release's rounding of the position table is told from the other's. */
static int check_table_rounding(void)
{
    static const char *const paths[] = {"tests/golden/model/head128.image.bf16.safetensors",
                                        "tests/golden/model/head128.image.hf5-bf16.safetensors"};
    static const enum qvl_profile profiles[] = {QVL_PROFILE_HF4, QVL_PROFILE_HF5};
    int different = 0;
    for (int release = 0; release < 2; release++) {
        const double right = table_distance(paths[release], profiles[release]);
        const double wrong = table_distance(paths[release], profiles[1 - release]);
        printf("%s: position table off by %.4g, with the other release's rounding by %.4g\n", paths[release],
               right, wrong);
        different += !(right < wrong / 4);
    }
    return different;
}

int main(void)
{
    int different = check_table_rounding();
    for (int backend = 0; backend < 2; backend++)
        different += check_layouts(backend) + check_float16(backend);
    printf("%d differences\n", different);
    return different != 0;
}
