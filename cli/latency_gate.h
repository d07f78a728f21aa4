/* Measured latencies against the limits of the host they were measured on. */
#ifndef QVL_CLI_LATENCY_GATE_H
#define QVL_CLI_LATENCY_GATE_H

#include "bench/physics.h"
#include "model/config.h"

/* Add to a record "latency" or "latency_vision" of a model what fraction of the limits its rates are: prefill
 * and encoding of the peak of multiply-adds, decode of the read bandwidth. One that beats the roofline
 * becomes INVALID. Other records are left alone. */
void qvl_latency_gate(const struct qvl_model_config *config, enum qvl_dtype storage,
                      const struct qvl_roofline *roofline, struct qvl_record *record);

#endif
