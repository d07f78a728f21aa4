/* Configurations that several tests count with. Included after cmocka.h. */
#ifndef QVL_UNIT_CONFIGS_H
#define QVL_UNIT_CONFIGS_H

#include "datasets/model_tables.h"
#include "model/config.h"

/* One of the compiled-in tables: "qwen3-vl-8b". */
static inline struct qvl_model_config config_of(const char *name)
{
    const struct qvl_model_table *table = qvl_model_table_find(name);
    struct qvl_model_config config;
    struct qvl_error error = {.message = ""};
    assert_non_null(table);
    if (qvl_model_config_parse(table->json, table->size, name, &config, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return config;
}

/* Text 3 layers, 10 wide, 4 heads and 2 KV heads of 6; vision 2 blocks, 8 wide, 2 heads. */
static inline struct qvl_model_config tiny(void)
{
    return (struct qvl_model_config){
        .architecture = QVL_ARCH_QWEN3_VL,
        .text = {.layers = 3,
                 .hidden = 10,
                 .heads = 4,
                 .kv_heads = 2,
                 .head_dim = 6,
                 .vocab = 50,
                 .intermediate = 14,
                 .qk_norm = true},
        .vision = {.depth = 2,
                   .hidden = 8,
                   .heads = 2,
                   .head_dim = 4,
                   .intermediate = 18,
                   .out_hidden = 10,
                   .channels = 3,
                   .patch = 4,
                   .temporal_patch = 2,
                   .merge = 2,
                   .position_side = 7,
                   .deepstack_count = 1,
                   .patch_bias = true},
    };
}

#endif
