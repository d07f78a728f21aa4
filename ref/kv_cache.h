/* The cache entries of the backend (contracts in qvl/backend.h). */
#ifndef QVL_REF_KV_CACHE_H
#define QVL_REF_KV_CACHE_H

#include "qvl/backend.h"

enum qvl_status qvl_ref_cache_create(struct qvl_backend *backend, const struct qvl_cache_desc *desc,
                                     struct qvl_cache **cache, struct qvl_error *error);
void qvl_ref_cache_destroy(struct qvl_backend *backend, struct qvl_cache *cache);
int64_t qvl_ref_cache_length(struct qvl_backend *backend, const struct qvl_cache *cache, int64_t layer);
enum qvl_status qvl_ref_cache_truncate(struct qvl_backend *backend, struct qvl_cache *cache, int64_t length,
                                       struct qvl_error *error);
enum qvl_status qvl_ref_cache_fork(struct qvl_backend *backend, const struct qvl_cache *cache,
                                   struct qvl_cache **copy, struct qvl_error *error);
enum qvl_status qvl_ref_cache_export(struct qvl_backend *backend, const struct qvl_cache *cache,
                                     int64_t layer, int64_t first, int64_t count, void *host_k, void *host_v,
                                     struct qvl_error *error);

#endif
