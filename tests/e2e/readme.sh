#!/usr/bin/env bash
# Runs every command of the README's shell blocks that starts with the binary, as written, in a scratch folder. The two ./dev
# commands are run by `./dev fresh`. $1: the binary, $2: a scratch folder.
set -euo pipefail
audit=$(realpath "$1")
scratch=$2
root=$PWD
rm -rf "$scratch" && mkdir -p "$scratch/build/release"
ln -s "$audit" "$scratch/build/release/qvl-audit"
ln -s "$root/tests" "$scratch/tests"
cd "$scratch"
count=0
while IFS= read -r command; do
    echo "\$ $command"
    bash -c "$command" >out.txt 2>&1 || { cat out.txt; exit 1; }
    [ -s out.txt ] || { echo "printed nothing"; exit 1; }
    count=$((count + 1))
done <<<"$(awk '/^```sh/ {inside = 1; next} /^```/ {inside = 0} inside && /^build\/release\/qvl-audit/' "$root/README.md")"
[ -s hello.safetensors ]
# Every file the README points to is there.
while IFS= read -r target; do
    [ -e "$root/$target" ] || { echo "README names $target, which is not there"; exit 1; }
done <<<"$(grep -oE '\]\([^)h][^)]*\)' "$root/README.md" | tr -d '])(')"
echo "$count commands run"
[ "$count" -ge 8 ]
