#!/usr/bin/env bash
# qvl-audit tokenize through the installed binary. $1: the binary, $2: a scratch folder.
set -uo pipefail
audit=$1
scratch=$2
good=$scratch/good
image=$PWD/tests/golden/media/jpeg_420.jpg
rm -rf "$scratch" && mkdir -p "$scratch"
passed=0
failed=0

# same NAME WANTED GOT
same() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        printf 'FAILED: %s\n  wanted: %s\n  got:    %s\n' "$1" "$2" "$3"
        failed=$((failed + 1))
    fi
}

# ends STATUS WORDS COMMAND...: the exit code, WORDS in the message, nothing on stdout.
ends() {
    local status=$1 words=$2 got printed
    shift 2
    printed=$("$@" 2>"$scratch/message")
    got=$?
    if [ "$got" -eq "$status" ] && grep -qF -- "$words" "$scratch/message" && [ -z "$printed" ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $*: exit $got ($status wanted), \"$words\" wanted in: $(cat "$scratch/message"); printed: $printed"
        failed=$((failed + 1))
    fi
}

tok() { "$audit" tokenize --weights "$good" "$@"; }

"$audit" checkpoint --out "$good" >/dev/null || { echo "no checkpoint"; exit 1; }

# Text to ids and back. The checkpoint's base tokens of "!".."~" have the ids 0..93 as in the released vocabulary.
same "one token" '[64]' "$(tok --text a)"
same "letters of no merge" '[3,4]' "$(tok --text '$%')"
same "empty text" '[]' "$(tok --text '')"
for text in 'Hello wörld <|im_end|> 123' '日本語 and 🙂' "it's  two   spaces"; do
    same "round trip of $text" "$text" "$(tok --decode "$(tok --text "$text")")"
done
same "ids without brackets" 'ab' "$(tok --decode 64,65)"
same "ids with spaces" 'ab' "$(tok --decode '64 65')"
bad=$(printf 'a\377b')
same "bad UTF-8 becomes U+FFFD" $'a\xef\xbf\xbdb' "$(tok --decode "$(tok --text "$bad" 2>/dev/null)")"
same "and is counted" 1 "$(tok --text "$bad" 2>&1 >/dev/null | grep -c '1 ill-formed part')"
same "good UTF-8 is not" '' "$(tok --text 'ä' 2>&1 >/dev/null)"
tok --text a --json "$scratch/report.json" --csv "$scratch/report.csv" >/dev/null
"$audit" validate "$scratch/report.json" >/dev/null
same "the report validates" 0 $?
same "the record has the ids" 1 "$(grep -c '"ids":' "$scratch/report.json")"

# Lines.
{
    echo '{"id": 7, "text": "a"}'
    echo '{"text": "$%", "id": "x\"y", "more": [1]}'
    echo
    echo '{"id": 1.50, "text": "b\u0000"}'
    printf '{"id": -3e5, "text": ""}'
} >"$scratch/in.jsonl"
wanted=$'{"id":7,"ids":[64]}\n{"id":"x\\"y","ids":[3,4]}\n{"id":1.50,"ids":[65,188]}\n{"id":-3e5,"ids":[]}'
same "lines of a file" "$wanted" "$(tok --jsonl "$scratch/in.jsonl")"
same "lines of a pipe" "$wanted" "$(cat "$scratch/in.jsonl" | tok --jsonl -)"
same "lines of a redirection" "$wanted" "$(tok --jsonl - <"$scratch/in.jsonl")"
: >"$scratch/empty.jsonl"
same "no lines" '' "$(tok --jsonl "$scratch/empty.jsonl")"
while IFS='|' read -r words line; do
    { echo '{"id":1,"text":"a"}' && echo && echo "$line"; } >"$scratch/bad.jsonl"
    ends 3 "bad.jsonl: line 3: $words" tok --jsonl "$scratch/bad.jsonl"
done <<'LINES'
column 15|{"id": 1, "tex
"id"|{"text": "a"}
"id"|{"id": null, "text": "a"}
"id"|{"id": [1], "text": "a"}
"text"|{"id": 1}
"text"|{"id": 1, "text": 5}
must be an object|[1]
column|{"id":1,"text":"a"} {"id":2,"text":"b"}
LINES
printf '{"id":1,"text":"\377"}\n' >"$scratch/utf8.jsonl"
ends 3 "utf8.jsonl: line 1" tok --jsonl "$scratch/utf8.jsonl"
ends 3 "gone.jsonl" tok --jsonl "$scratch/gone.jsonl"
ends 3 "folder" tok --jsonl "$scratch"
printf '{"id":1,"text":"a"}\nno\n' | tok --jsonl - >"$scratch/piped" 2>"$scratch/message"
same "exit code of a bad pipe" "3" "${PIPESTATUS[1]}"
same "what a bad pipe printed" '{"id":1,"ids":[64]}' "$(cat "$scratch/piped")"
same "message of a bad pipe" 1 "$(grep -c 'standard input: line 2' "$scratch/message")"

# A chat.
chat=$scratch/chat.json
say() { printf '%s' "$1" >"$chat"; }
say '[{"role": "user", "content": "a"}]'
prompt=$'<|im_start|>user\na<|im_end|>\n<|im_start|>assistant'
same "the prompt" "$prompt" "$(tok --messages "$chat")"
same "prompt and ids" "$prompt"$'\n'"$(tok --text "$prompt"$'\n')" "$(tok --messages "$chat" --ids)"
say '[{"role": "user", "content": [{"type": "image", "image": "'"$image"'"}]}]'
same "the ids have the image expanded" 6 "$(tok --decode "$(tok --messages "$chat" --ids | tail -1)" | grep -o '<|image_pad|>' | wc -l)"
same "the prompt has not" 1 "$(tok --messages "$chat" | grep -o '<|image_pad|>' | wc -l)"
same "labels" 1 "$(tok --messages "$chat" --add-vision-id | grep -c 'Picture 1: ')"
echo '[{"type": "function", "function": {"name": "look_up"}}]' >"$scratch/tools.json"
same "tools" 1 "$(tok --messages "$chat" --tools "$scratch/tools.json" | grep -c '"name": "look_up"')"
echo "no picture" >"$scratch/text.jpg"
say '[{"role": "user", "content": [{"type": "image", "image": "text.jpg"}]}]'
same "the render alone decodes nothing" 1 "$(tok --messages "$chat" | grep -c image_pad)"
ends 3 text.jpg tok --messages "$chat" --ids
say '[{"role": "user", "content": [{"type": "image", "image": "nowhere.jpg"}]}]'
ends 3 nowhere.jpg tok --messages "$chat"
say '[{"role": "wizard", "content": "a"}]'
ends 3 wizard tok --messages "$chat"
ends 3 gone.json tok --messages "$scratch/gone.json"

# Wrong usage and wrong checkpoints.
ends 2 "--weights" "$audit" tokenize --text a
ends 2 "give one of" tok
ends 2 "give one of" tok --text a --decode 1
ends 2 "--messages" tok --text a --ids
ends 2 "99999999" tok --decode 1,99999999
ends 2 "x" tok --decode 1,x
ends 2 "--decode" tok --decode -1
ends 2 "no id" tok --decode ''
ends 2 "no other form" tok --jsonl "$scratch/in.jsonl" --csv "$scratch/out.csv"
ends 3 "tokenizer" "$audit" tokenize --weights "$scratch" --text a
ends 3 "nowhere" "$audit" tokenize --weights "$scratch/nowhere" --text a

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 50 ]
