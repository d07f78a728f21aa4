#!/usr/bin/env bash
# qvl-audit preprocess --tokens through the installed binary. $1: the binary, $2: a scratch folder.
set -uo pipefail
audit=$(realpath "$1")
scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch" || exit 1
passed=0
failed=0

# ends STATUS WORDS ARGUMENTS...: the exit code of preprocess --tokens, and WORDS in what it says.
ends() {
    local status=$1 words=$2 got
    shift 2
    "$audit" preprocess --tokens "$@" >out.txt 2>&1
    got=$?
    if [ "$got" -eq "$status" ] && grep -qE -- "$words" out.txt; then
        passed=$((passed + 1))
    else
        echo "FAILED: preprocess --tokens $*: exit $got ($status wanted), \"$words\" wanted in:"
        cat out.txt
        failed=$((failed + 1))
    fi
}

"$audit" checkpoint --out small >/dev/null || exit 1
printf '720,1280\n250,720,1280,25\n' >sizes.csv
ends 0 'hf4 2160x3840 2h .* 768 '
ends 0 'largest position +30044$' --fit 256K --duration 30m --size 1080x1920
ends 0 'grid +\[10, 44, 80\]$' --sizes sizes.csv
ends 0 'qvu 720x1280$' --processor qvu --size 720x1280 --duration 1m
ends 0 "with the checkpoint's tokenizer" --weights small --size 720x1280 --duration 10s --budget hf4,report
ends 0 'frames +6$' --size 96x96 --duration 1m --num-frames 6
ends 0 '"kind":"fitted_video"' --fit 64K --duration 10m --jsonl
ends 0 'not even frames of one token fit' --fit 8K --duration 2h --jsonl
ends 2 'no such list' --size 1080
ends 2 'no such list' --budget hf6
ends 2 'has no room' --fit 100
ends 2 'takes no files' sizes.csv
ends 3 'nowhere' --weights nowhere
"$audit" preprocess --sizes sizes.csv >out.txt 2>&1
[ $? -eq 2 ] && grep -q 'weights DIR is needed' out.txt && passed=$((passed + 1)) || { cat out.txt; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
