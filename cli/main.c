/* qvl-audit VERB [options]: finds the verb, prints its error, returns its exit code. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"
#include "reports/version.h"

/* In the order of the overview. */
static const struct qvl_verb verbs[] = {
    {"run", "the whole audit, into one report folder", qvl_verb_run},
    {"verify", "a backend against the reference: ops, or every stage of a checkpoint", qvl_verb_verify},
    {"selftest", "the checker against faults planted on purpose", qvl_verb_selftest},
    {"flops", "FLOPs and bytes per token and per stage, from config.json alone", qvl_verb_flops},
    {"latency", "prefill and decode of a checkpoint at growing context", qvl_verb_latency},
    {"procure", "which device runs which model: fit, latency, control rates, energy, price",
     qvl_verb_procure},
    {"logits", "logits, inputs and stages of a prompt as safetensors", qvl_verb_logits},
    {"generate", "the answer of a checkpoint to a chat", qvl_verb_generate},
    {"tokenize", "ids of a text, of lines or of a chat, and the rendered prompt", qvl_verb_tokenize},
    {"preprocess", "sizes, grids, frames, timestamps and patch rows of media", qvl_verb_preprocess},
    {"checkpoint", "write a small random checkpoint to try things on", qvl_verb_checkpoint},
    {"compare", "two or more reports: what regressed, improved or stayed the same", qvl_verb_compare},
    {"validate", "check a report against its schema and its own hashes", qvl_verb_validate},
    {"list", "backends, ops, models, checkpoint presets, mutants and hardware", qvl_verb_list},
    {"env", "the environment record of this machine", qvl_verb_env},
};

/* Left out of the overview. */
static const struct qvl_verb worker = {"worker", "runs cases for another process", qvl_verb_worker};
static const struct qvl_verb stage_worker = {"stage-worker", "runs a prompt for another process",
                                             qvl_verb_stage_worker};

#define VERB_COUNT (sizeof verbs / sizeof *verbs)

static void print_overview(FILE *stream)
{
    fprintf(stream, "Usage: qvl-audit VERB [OPTION...]\n\n"
                    "Is an implementation of a Qwen3-VL-class model right, and what does it cost?\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(stream, "  %-11s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(stream, "\n`qvl-audit VERB --help` explains a verb; `qvl-audit --version` prints the version.\n"
                    "Exit codes: 0 all good; 1 a check failed; 2 wrong usage; 3 bad input;\n"
                    "4 backend, device or environment unavailable; 5 invalid or incomparable measurement.\n");
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "qvl-audit %s (commit %s, %s, %s)\n", qvl_version, qvl_git_commit, qvl_build_type,
            qvl_compiler);
}

static int run_verb(const struct qvl_verb *verb, int argc, char **argv)
{
    char title[64];
    struct qvl_error error = {QVL_OK, ""};
    snprintf(title, sizeof title, "qvl-audit %s", verb->name);
    argv[0] = title;
    enum qvl_status status = verb->run(argc, argv, &error);
    if (status != QVL_OK && error.message[0])
        fprintf(stderr, "%s: %s\n", title, error.message);
    return qvl_status_exit_code(status);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    setenv("HWLOC_HIDE_ERRORS", "2", 0); /* where /sys is missing, the record says so instead */
    argp_program_version_hook = print_version;
    if (argc < 2) {
        print_overview(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        print_version(stdout, NULL);
        return 0;
    }
    if (strcmp(argv[1], worker.name) == 0)
        return run_verb(&worker, argc - 1, argv + 1);
    if (strcmp(argv[1], stage_worker.name) == 0)
        return run_verb(&stage_worker, argc - 1, argv + 1);
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return run_verb(&verbs[i], argc - 1, argv + 1);
    fprintf(stderr, "qvl-audit: there is no verb \"%s\".\n\n", argv[1]);
    print_overview(stderr);
    return 2;
}
