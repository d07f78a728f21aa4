/* What was built, from what, with what. Fixed when CMake configures. */
#ifndef QVL_REPORTS_VERSION_H
#define QVL_REPORTS_VERSION_H

extern const char qvl_version[];    /* "0.1.0" */
extern const char qvl_git_commit[]; /* 40 hexadecimal digits, "-dirty" behind them when the tree differed; or
                                       "unknown" outside a git checkout */
extern const char qvl_compiler[];   /* "GNU 12.2.0" */
extern const char qvl_compiler_flags[]; /* of this build type */
extern const char qvl_build_type[];     /* "Release", ... and the sanitizers, if any */

#endif
