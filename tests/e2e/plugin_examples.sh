#!/usr/bin/env bash
# The plugins of examples/plugins, built from the installed headers alone, each by its own Makefile, then verified by the
# installed binary. $1: the binary in its build folder, $2: a scratch folder. 77: oneDNN is missing (the toy has passed).
set -uo pipefail
build=$(cd "$(dirname "$1")" && pwd)
scratch=$2
root=$PWD
rm -rf "$scratch" && mkdir -p "$scratch" && scratch=$(cd "$scratch" && pwd)
failed=0

fail() {
    echo "FAILED: $*"
    [ -f "$scratch/out" ] && tail -25 "$scratch/out" | cut -c1-250
    failed=1
}

# A compiler of the build: C or CXX.
compiler() { sed -n "s/^CMAKE_$1_COMPILER:[A-Z]*=//p" "$build/CMakeCache.txt" | head -1; }

cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/out" 2>&1 || { fail "cmake --install"; exit 1; }
export PKG_CONFIG_PATH=$scratch/prefix/share/pkgconfig OMP_WAIT_POLICY=passive
audit=$scratch/prefix/bin/qvl-audit
CC=$(compiler C) CXX=$(compiler CXX)
export CC CXX
strict="-O1 -Wall -Wextra -Werror"

# Every header stands alone; what a plugin includes does so in C++ as well.
for header in "$scratch"/prefix/include/qvl/*.h; do
    echo "#include \"qvl/$(basename "$header")\"" >"$scratch/header.c"
    "$CC" -std=gnu11 $strict -fsyntax-only -I"$scratch/prefix/include" "$scratch/header.c" >"$scratch/out" 2>&1 ||
        fail "$header in C"
done
echo '#include "qvl/plugin.h"' >"$scratch/header.cc"
"$CXX" -std=c++17 $strict -fsyntax-only -I"$scratch/prefix/include" "$scratch/header.cc" >"$scratch/out" 2>&1 ||
    fail "qvl/plugin.h in C++"

# make_plugin NAME TARGET...: in a copy of the example, so that nothing of the source tree is in reach.
make_plugin() {
    local name=$1
    shift
    mkdir -p "$scratch/$name" && cp "$root/examples/plugins/$name"/* "$scratch/$name/"
    make -C "$scratch/$name" CFLAGS="$strict" CXXFLAGS="$strict" "$@" >"$scratch/out" 2>&1 ||
        { fail "make $* of $name"; exit 1; }
}

# verifies STATUS PLUGIN [OPTION...]: the exit code; op counts go to $scratch/cases.csv.
verifies() {
    local wanted=$1 plugin=$2 status
    shift 2
    "$audit" verify --backend "$plugin" --threads 2 --csv "$scratch/cases.csv" "$@" >"$scratch/out" 2>&1 </dev/null
    status=$?
    [ "$status" -eq "$wanted" ] || fail "verify --backend $plugin $*: exit $status, expected $wanted"
}

# count OP COLUMN: a number of the summary of an op in the last run.
count() {
    awk -F, -v op="$1" -v column="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) { sub(/ .*/, "", $i); at[$i] = i } }
        $at["kind"] == "op" && $at["name"] == op { print $at[column] }' "$scratch/cases.csv"
}

is() { [ "$(count "$1" "$2")" "$3" "$4" ] || fail "$1: $2 is $(count "$1" "$2"), expected $3 $4"; }

make_plugin toy
verifies 0 "$scratch/toy/toy.so" --op add
is add passed -ge 10
is add failed -eq 0
is add unsupported -ge 10
grep -q "written for f32 only" "$scratch/cases.csv" || fail "no word of the plugin about bf16"
for op in linear attention; do
    verifies 1 "$scratch/toy/toy.so" --op "$op"
    is "$op" passed -eq 0
    grep -q "the table has no entry $op" "$scratch/cases.csv" || fail "no word of the missing entry $op"
done
"$audit" checkpoint --out "$scratch/small" >"$scratch/out" 2>&1 || fail "checkpoint"
"$audit" verify --backend "$scratch/toy/toy.so" --weights "$scratch/small" >"$scratch/out" 2>&1
[ $? -eq 4 ] || fail "verify --weights on the toy: exit code"
grep -q "lacks what this model needs: patch_embed, .*, linear, .*, attention" "$scratch/out" ||
    fail "verify --weights on the toy does not say what is missing"

if ! echo '#include <oneapi/dnnl/dnnl.hpp>' | "$CXX" -std=c++17 -x c++ -fsyntax-only - 2>/dev/null; then
    [ "$failed" -eq 0 ] || exit 1
    echo "SKIPPED: oneDNN is missing (apt-get install libdnnl-dev); the toy plugin has passed"
    exit 77
fi

make_plugin onednn libonednn.so
verifies 0 "$scratch/onednn/libonednn.so"
for op in linear patch_embed output_head layer_norm gelu softmax merger; do
    is "$op" passed -ge 5
    is "$op" failed -eq 0
done
is attention passed -eq 0

# What docs/PLUGINS.md says of oneDNN 2 itself, by the checker and by a program that shares nothing with it.
version=$(printf '#include <oneapi/dnnl/dnnl_version.h>\nDNNL_VERSION_MAJOR\n' | "$CXX" -E -x c++ - | tail -1)
if [ "$version" = 2 ]; then
    make_plugin onednn as-is alone
    for op in layer_norm softmax; do
        verifies 1 "$scratch/onednn/libonednn_as_is.so" --op "$op"
        is "$op" failed -ge 1
    done
    verifies 0 "$scratch/onednn/libonednn_as_is.so" --op linear
    "$scratch/onednn/alone" >"$scratch/out" 2>&1 || fail "alone"
    [ "$(wc -l <"$scratch/out")" -ge 9 ] || fail "alone: too few findings"
fi

[ "$failed" -eq 0 ] && echo "both plugins built from $scratch/prefix and verified"
exit "$failed"
