/* Memory that a process may still use. */
#ifndef QVL_BASE_MEMORY_H
#define QVL_BASE_MEMORY_H

#include <stdint.h>

/* Bytes available without swapping: the smaller of MemAvailable and what the control group (v2 or v1) of this
 * process still allows, page cache counted as free. -1 when the system does not say. */
int64_t qvl_memory_available(void);

#endif
