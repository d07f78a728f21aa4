/* The figures of a comparison: what was computed, published or set, and must be the same again. */
#ifndef QVL_REPORTS_COMPARE_FIGURES_H
#define QVL_REPORTS_COMPARE_FIGURES_H

#include "reports/compare.h"

struct qvl_figure_counts {
    int64_t figures, changed, vanished, added; /* figures: fields that both have */
};

/* Whether a record is of figures: a statement without a status in which nothing was measured or rests on a
 * timing (kinds latency..., calibration and prediction do), and not the checkpoint, which is a condition. */
bool qvl_record_is_figures(const struct qvl_record *record);

/* Compare the fields of a record, base[i] and other[i] of run i; append a record "figure" for each that
 * differs from the first base: whole numbers and texts at all, reals by more than 1e-9 of their size. */
QVL_MUST_USE enum qvl_status qvl_figures_add(const struct qvl_record *const *base,
                                             const struct qvl_record *const *other, int64_t runs,
                                             const char *label, const struct qvl_compare_options *options,
                                             struct qvl_figure_counts *counts, struct qvl_report *out,
                                             struct qvl_error *error);

/* Append a record "figure" for a record that one side lacks: of the base (vanished) or, with `added`, of the
 * other. */
QVL_MUST_USE enum qvl_status qvl_figures_add_lone(const struct qvl_record *record, bool added,
                                                  const char *label,
                                                  const struct qvl_compare_options *options,
                                                  struct qvl_figure_counts *counts, struct qvl_report *out,
                                                  struct qvl_error *error);

#endif
