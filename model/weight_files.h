/* The tensors of a checkpoint folder by name, whichever of its files they are in. */
#ifndef QVL_MODEL_WEIGHT_FILES_H
#define QVL_MODEL_WEIGHT_FILES_H

#include "base/safetensors.h"

struct qvl_weight_entry {
    const char *name;       /* borrowed from its file */
    struct qvl_array array; /* view of its file */
    int64_t file;
    bool used; /* set by qvl_weight_files_take */
};

struct qvl_weight_files {
    struct qvl_safetensors **files; /* [file_count] */
    int64_t file_count;
    struct qvl_weight_entry *entries; /* sorted by name, names unique */
    int64_t count;
};

/* FOLDER/model.safetensors when it exists, else the files named by FOLDER/model.safetensors.index.json. The
 * index and its files must agree on every tensor. QVL_BAD_INPUT names the file and tensor. */
QVL_MUST_USE enum qvl_status qvl_weight_files_open(const char *folder, struct qvl_weight_files *files,
                                                   struct qvl_error *error);
void qvl_weight_files_close(struct qvl_weight_files *files); /* a zeroed struct is accepted */

/* The tensor of that name, or NULL; `take` marks it as used. */
const struct qvl_array *qvl_weight_files_find(const struct qvl_weight_files *files, const char *name);
const struct qvl_array *qvl_weight_files_take(struct qvl_weight_files *files, const char *name);

#endif
