# Sourced by the scripts of this folder: counting checks. `passed` and `failed` are what was counted.
passed=0
failed=0

# note STATUS TEXT...: one check, passed when STATUS is 0; TEXT says what failed.
note() {
    local status=$1
    shift
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $*"
        failed=$((failed + 1))
    fi
}

# check NAME COMMAND...: one check, passed when the command succeeds.
check() {
    local name=$1
    shift
    "$@"
    note $? "$name: $*"
}

# ends STATUS WORDS COMMAND...: one check, passed when the command exits so and WORDS (a fixed string) stands in what it prints.
ends() {
    local wanted=$1 words=$2 out status
    shift 2
    out=$("$@" 2>&1 </dev/null)
    status=$?
    [ "$status" -eq "$wanted" ] && grep -qF -- "$words" <<<"$out"
    note $? "$*: exit $status, $wanted wanted; \"$words\" wanted in: $(head -c 2000 <<<"$out")"
}

# summary LEAST: what was counted; fails when a check failed or fewer than LEAST ran.
summary() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -ge "$1" ]
}
