#!/usr/bin/env bash
# Backend plugins: a good one is verified like a built-in backend, a wrong one is refused with exit code 4 and a reason.
# $1: the binary, beside whose folder `plugins` the modules of tests/plugins lie, $2: a scratch folder.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
plugins=$(dirname "$audit")/plugins
rm -rf "$scratch" && mkdir -p "$scratch"

ends 0 add "$audit" verify --backend "$plugins/good.so" --op add
ends 4 "ABI 2" "$audit" verify --backend "$plugins/abi.so" --op add
ends 4 "rebuild it" "$audit" verify --backend "$plugins/size.so" --op add
ends 4 "no device found" "$audit" verify --backend "$plugins/refuses.so" --op add
ends 4 "refuses.so" "$audit" verify --backend "$plugins/refuses.so" --op add
ends 4 "no qvl_backend_open" "$audit" verify --backend "$plugins/silent.so" --op add
ends 4 "leaves upload NULL" "$audit" verify --backend "$plugins/lacks.so" --op add
ends 4 "does not load" "$audit" verify --backend ./nowhere.so --op add
ends 4 "ref, cpu" "$audit" verify --backend gpu --op add
cp "$plugins/good.so" "$scratch/" && cd "$scratch" || exit 1
ends 0 add "$audit" verify --backend good.so --op add

summary 10
