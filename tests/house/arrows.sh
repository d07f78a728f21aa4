#!/usr/bin/env bash
# Asserts which folder may include which (DESIGN: cli -> {verify, bench, evals, reports} -> {model, datasets} -> base
# -> include <- {ref, backends}), from the #include lines of every source file.
set -euo pipefail

# A folder that is not there yet makes grep fail; the count below tells whether anything was checked.
{ grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.c' --include='*.h' --include='*.inc' --include='*.cc' \
    include base ref model datasets reports verify bench evals backends cli 2>/dev/null || true; } |
    awk -F: '
    BEGIN {
        allowed["include"] = "include"
        allowed["base"] = "include base"
        allowed["ref"] = "include ref"
        allowed["model"] = "include base model"
        allowed["datasets"] = "include base datasets"
        allowed["reports"] = "include base reports"
        allowed["verify"] = "include base model datasets verify"
        allowed["bench"] = "include base model datasets bench"
        allowed["evals"] = "include base model datasets evals"
        allowed["cli"] = "include base model datasets verify bench evals reports ref backends cli"
        allowed["backends"] = "include" # and its own folder: one backend never sees another
    }
    {
        checked++
        path = $3
        sub(/.*#[ \t]*include[ \t]*"/, "", path)
        sub(/".*/, "", path)
        parts = split($1, from, "/")
        split(path, to, "/")
        if (path !~ /\//) next # a file of the same folder
        target = to[1] == "qvl" ? "include" : to[1]
        if (index(" " allowed[from[1]] " ", " " target " ")) next
        if (from[1] == "backends" && target == "backends" && from[2] == to[2]) next
        printf "%s:%s: %s may not include %s\n", $1, $2, from[1], path
        violations++
    }
    END {
        printf "%d includes checked, %d against the arrows\n", checked, violations
        exit !(checked > 0 && violations == 0)
    }'
