/* How far the float32 rotary angles of the original stand from exact ones, by position. */
#ifndef QVL_VERIFY_ANGLES_H
#define QVL_VERIFY_ANGLES_H

#include "model/config.h"
#include "qvl/backend.h"

/* Neighbouring positions looked at: the rounding of one product says little, the largest of many does. */
#define QVL_ANGLE_WINDOW 1024

struct qvl_angle_error {
    int64_t position; /* the last of the window of positions */
    int64_t lane;     /* rotary pair with the largest difference */
    double radians;   /* largest difference of an angle over all lanes */
};

/* For each position p the largest difference, over the positions p - QVL_ANGLE_WINDOW + 1 .. p (from 0) and
 * all lanes, between the angles of QVL_ANGLE_F32, which the original uses, and of QVL_ANGLE_F64, read back
 * from the float32 tables of the backend (resolution 1.2e-7 rad). All three axes stand at the same position.
 */
enum qvl_status qvl_angle_curve(struct qvl_backend *backend, const struct qvl_text_config *text,
                                const int64_t *positions, int64_t count, struct qvl_angle_error *errors,
                                struct qvl_error *error);

#endif
