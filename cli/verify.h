/* The parts of the verb `verify`. */
#ifndef QVL_CLI_VERIFY_H
#define QVL_CLI_VERIFY_H

#include "cli/session.h"
#include "qvl/record.h"

struct qvl_verify_options {
    struct qvl_session_options session;
    const char *op, *text;
    int64_t seed, draws, tokens;
    bool has_seed, list, all, timings, invariance;
    const char *plain_run; /* see qvl_verify_plain_run */
    double timeout;        /* seconds; see struct qvl_pool_options */
    int64_t jobs;
    const char *resume, *save;
    unsigned fail_on; /* see struct qvl_report */
    /* With a checkpoint. */
    const char *taps;       /* file or folder of stages that another engine took */
    const char *stages[64]; /* globs */
    int64_t stage_count;
    int64_t jitter; /* not 0: seed of the candidate's own randomised roundings (`ref` only) */
};

/* The entries of the backend's op table, case by case, into the report; with --list only print the cases.
 * *signal is what ended the run early (SIGINT, SIGTERM), else 0; the report then has the finished cases. */
QVL_MUST_USE enum qvl_status qvl_verb_verify_ops(const struct qvl_verify_options *options,
                                                 struct qvl_report *report, int *signal,
                                                 struct qvl_error *error);

/* The lines that repeat the cases that did not pass, ready to paste, on stdout. */
QVL_MUST_USE enum qvl_status qvl_verify_print_repros(const struct qvl_report *report,
                                                     struct qvl_error *error);

/* Options of the part with a checkpoint; the input is a struct qvl_verify_options. */
extern const struct argp qvl_verify_stages_argp;

/* Every stage of the checkpoint on a prompt, of the backend or of the files of --taps, into the report. */
QVL_MUST_USE enum qvl_status qvl_verb_verify_stages(const struct qvl_verify_options *options,
                                                    struct qvl_report *report, struct qvl_error *error);

/* The checkpoint's answers on a prompt under other chunk sizes, companions, threads, kernel libraries, cache
 * histories, image orders, and again, into the report. argc and argv are the verb's: some settings need this
 * command in a process of its own. */
QVL_MUST_USE enum qvl_status qvl_verb_verify_invariance(const struct qvl_verify_options *options, int argc,
                                                        char **argv, struct qvl_report *report,
                                                        struct qvl_error *error);

/* What such a process does: replace the token ids in the file options->plain_run by the logits of the prompt
 * and those tokens, as float32. */
QVL_MUST_USE enum qvl_status qvl_verify_plain_run(const struct qvl_verify_options *options,
                                                  struct qvl_error *error);

#endif
