#!/usr/bin/env bash
# Backend plugins: a good one is verified like a built-in backend, a wrong one is refused with exit code 4 and a reason.
# $1: the binary, beside whose folder `plugins` the modules of tests/plugins lie, $2: a scratch folder.
set -uo pipefail
audit=$1
scratch=$2
plugins=$(dirname "$audit")/plugins
rm -rf "$scratch" && mkdir -p "$scratch"
passed=0
failed=0

# exits STATUS WORDS COMMAND...: the exit code, and WORDS somewhere in what it prints.
exits() {
    local wanted=$1 words=$2 status
    shift 2
    "$@" >"$scratch/out" 2>&1 </dev/null
    status=$?
    if [ "$status" -eq "$wanted" ] && grep -qF -- "$words" "$scratch/out"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $*: exit $status, $wanted wanted; \"$words\" wanted in:"
        cat "$scratch/out"
        failed=$((failed + 1))
    fi
}

exits 0 add "$audit" verify --backend "$plugins/good.so" --op add
exits 4 "ABI 2" "$audit" verify --backend "$plugins/abi.so" --op add
exits 4 "rebuild it" "$audit" verify --backend "$plugins/size.so" --op add
exits 4 "no device found" "$audit" verify --backend "$plugins/refuses.so" --op add
exits 4 "refuses.so" "$audit" verify --backend "$plugins/refuses.so" --op add
exits 4 "no qvl_backend_open" "$audit" verify --backend "$plugins/silent.so" --op add
exits 4 "leaves upload NULL" "$audit" verify --backend "$plugins/lacks.so" --op add
exits 4 "does not load" "$audit" verify --backend ./nowhere.so --op add
exits 4 "ref, cpu" "$audit" verify --backend gpu --op add
cp "$plugins/good.so" "$scratch/" && cd "$scratch" || exit 1
exits 0 add "$audit" verify --backend good.so --op add

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq 10 ]
