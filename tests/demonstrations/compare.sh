#!/usr/bin/env bash
# How often `compare` cries wolf, and how often it sees decode steps become 5 % slower by a slowdown planted in one kernel
# (tests/plugins/slow.c: in linear), on this machine as loaded as it is. Not a test: timings are no assertions. The output of a run
# is in docs/REPORT.md. $1: the build folder, $2: comparisons of each kind (50), $3: pairs of runs in each (80).
set -euo pipefail
build=$(cd "$1" && pwd)
comparisons=${2:-50}
pairs=${3:-80}
audit=$build/qvl-audit
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_WAIT_POLICY=passive TMPDIR=$scratch
"$audit" checkpoint --out "$scratch/small" >/dev/null
latency="$audit latency --weights $scratch/small --context 8 --frame none --decode-steps 100 --repeats 1 --threads 1 --backend $build/plugins/slow.so"

# compare_slowed PAIRS PERCENT: the honest kernel against one that takes PERCENT longer.
compare_slowed() {
    rm -rf "$scratch/keep"
    "$audit" compare --interleave "$1" --keep "$scratch/keep" --base "QVL_SLOW_PERCENT=0 $latency" \
        --other "QVL_SLOW_PERCENT=$2 $latency" --json "$scratch/report.json" >/dev/null || true
}

# row FORMAT: of the row of decode steps in the report.
row() {
    python3 - "$scratch/report.json" "$1" <<'PYTHON'
import json, sys
row, = [r for r in json.load(open(sys.argv[1]))["records"] if r["kind"] == "timing" and r["name"].endswith("decode")]
print(sys.argv[2].format(low=row["measured"].get("low", 0), high=row["measured"].get("high", 0),
                         **{k: row["measured"][k] for k in ("verdict", "ratio", "standard_error")}))
PYTHON
}

load() { cut -d' ' -f1-3 /proc/loadavg; }

echo "$(date -u +%FT%TZ), $(nproc) CPUs, load $(load); $comparisons comparisons of each kind, $pairs pairs of runs in each"
compare_slowed 80 30
percent=$(python3 -c "print(round(30 * 0.05 / ($(row '{ratio}') - 1), 1))")
echo "linear 30 % slower: decode steps x$(row '{ratio:.3f} +- {standard_error:.3f}'); planted from here on: +$percent % in linear"
for i in $(seq "$comparisons"); do
    for planted in 0 "$percent"; do
        kind=$([ "$planted" = 0 ] && echo "A/A " || echo "slow")
        compare_slowed "$pairs" "$planted"
        printf '%s #%-2s %s\n' "$kind" "$i" "$(row '{verdict:12} ratio {ratio:.4f}  interval {low:.4f} .. {high:.4f}')" |
            tee -a "$scratch/turns"
        # The same question to two single runs out of the many.
        "$audit" compare "$scratch"/keep/0001-{base,other}.json --json "$scratch/report.json" >/dev/null || true
        printf '%s #%-2s %s\n' "$kind" "$i" "$(row '{verdict}')" >>"$scratch/single"
    done
done
for how in turns single; do
    for kind in "A/A " slow; do
        printf '%s, %s:' "$how" "$kind"
        for word in regressed improved same inconclusive; do
            printf ' %s %s' "$(grep -c "^$kind .*$word" "$scratch/$how" || true)" "$word"
        done
        echo
    done
done
echo "$(date -u +%FT%TZ), load $(load)"
