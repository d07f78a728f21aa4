#!/usr/bin/env bash
# Asserts which folder may include which (DESIGN: cli -> {verify, bench, evals, reports} -> {model, datasets} -> base
# -> include <- {ref, backends}), from the #include lines of every source file.
set -euo pipefail

declare -A allowed=(
    [include]="include"
    [base]="include base"
    [ref]="include ref"
    [backends]="include" # and the backend's own folder, checked below
    [model]="include base model"
    [datasets]="include base datasets"
    [reports]="include base reports"
    [verify]="include base model datasets verify"
    [bench]="include base model datasets bench"
    [evals]="include base model datasets evals"
    [cli]="include base model datasets verify bench evals reports ref backends cli"
)

violations=0
checked=0
while IFS=: read -r file line text; do
    path=$(sed -E 's/.*#include "([^"]*)".*/\1/' <<<"$text")
    from=${file%%/*}
    case "$path" in
    qvl/*) to=include ;;
    */*) to=${path%%/*} ;;
    *) to=$from ;; # a file of the same folder, or one that the build generates
    esac
    checked=$((checked + 1))
    ok=no
    for folder in ${allowed[$from]}; do [ "$to" = "$folder" ] && ok=yes; done
    if [ "$from" = backends ] && [ "$to" = backends ]; then
        [ "$(cut -d/ -f1-2 <<<"$file")" = "$(cut -d/ -f1-2 <<<"$path")" ] && ok=yes
    fi
    if [ "$ok" = no ]; then
        echo "$file:$line: $from may not include $path"
        violations=$((violations + 1))
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.c' --include='*.h' --include='*.cc' \
    include base ref model datasets reports verify bench evals backends cli 2>/dev/null)

echo "$checked includes checked, $violations against the arrows"
[ "$checked" -gt 0 ] && [ "$violations" -eq 0 ]
