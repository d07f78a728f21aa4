#include <stdlib.h>

#include "base/file.h"
#include "model/config_parts.h"

static enum qvl_status read_values(const struct qvl_json *at, struct qvl_generation_config *generation,
                                   struct qvl_error *error)
{
    if (qvl_json_has(at, "eos_token_id"))
        QVL_TRY(qvl_config_tokens(at, "eos_token_id", generation->eos, &generation->eos_count, error));
    QVL_TRY(qvl_json_bool_or(at, "do_sample", false, &generation->do_sample, error));
    if (qvl_json_has(at, "temperature")) {
        QVL_TRY(qvl_json_double(at, "temperature", &generation->temperature, error));
        if (generation->temperature < 0 || (generation->do_sample && generation->temperature == 0))
            return qvl_json_fail(at, "temperature", error,
                                 "%g is out of range, expected above 0 (for greedy set do_sample to false)",
                                 generation->temperature);
    }
    if (qvl_json_has(at, "top_p")) {
        QVL_TRY(qvl_config_positive(at, "top_p", &generation->top_p, error));
        if (generation->top_p > 1)
            return qvl_json_fail(at, "top_p", error, "%g is out of range, expected above 0 and at most 1",
                                 generation->top_p);
    }
    /* absent means 50 to the original, null means off */
    int64_t absent = cJSON_HasObjectItem(at->node, "top_k") ? 0 : 50;
    QVL_TRY(qvl_config_size_or(at, "top_k", absent, 0, INT32_MAX, &generation->top_k, error));
    if (qvl_json_has(at, "repetition_penalty"))
        QVL_TRY(qvl_config_positive(at, "repetition_penalty", &generation->repetition_penalty, error));
    return QVL_OK;
}

static enum qvl_status read_file(const char *path, struct qvl_generation_config *generation,
                                 struct qvl_error *error)
{
    cJSON *tree;
    if (!qvl_file_exists(path))
        return QVL_OK;
    QVL_TRY(qvl_json_read(path, &tree, error));
    struct qvl_json root = qvl_json_at_root(tree, path);
    enum qvl_status status;
    if (cJSON_IsObject(tree))
        status = read_values(&root, generation, error);
    else
        status = qvl_json_fail(&root, NULL, error, "a JSON object is needed");
    cJSON_Delete(tree);
    return status;
}

enum qvl_status qvl_generation_config_read(const char *folder, const struct qvl_model_config *config,
                                           struct qvl_generation_config *generation, struct qvl_error *error)
{
    char *path;
    *generation = (struct qvl_generation_config){
        .eos_count = config->eos_count, .temperature = 1, .top_p = 1, .repetition_penalty = 1, .top_k = 50};
    memcpy(generation->eos, config->eos, sizeof generation->eos);
    QVL_TRY(qvl_path_join(folder, "generation_config.json", &path, error));
    enum qvl_status status = read_file(path, generation, error);
    free(path);
    return status;
}
