#!/usr/bin/env bash
# qvl-audit preprocess through the installed binary. $1: the binary, $2: a scratch folder.
set -uo pipefail
audit=$1
scratch=$2
good=$scratch/good
media=tests/golden/media
rm -rf "$scratch" && mkdir -p "$scratch/out"
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

# ends STATUS WORDS COMMAND...: the exit code, WORDS in the message, nothing printed and nothing in the output folder.
ends() {
    local status=$1 words=$2 got printed
    shift 2
    printed=$("$@" 2>"$scratch/message")
    got=$?
    if [ "$got" -eq "$status" ] && grep -qF -- "$words" "$scratch/message" && [ -z "$printed$(ls -A "$scratch/out")" ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $*: exit $got ($status wanted), \"$words\" wanted in: $(cat "$scratch/message")"
        echo "  printed: $printed; left: $(ls -A "$scratch/out")"
        failed=$((failed + 1))
    fi
    rm -rf "$scratch/out" && mkdir -p "$scratch/out"
}

pre() { "$audit" preprocess --weights "$good" "$@"; }

# field NAME: its value in each JSON line on stdin.
field() { grep -oE "\"$1\":(\[[^]]*\]|\"[^\"]*\"|[^,}]*)" | cut -d: -f2-; }

# resized LINES: the resized sizes of a size list under the released limits.
resized() {
    printf '%s\n' "$@" >"$scratch/sizes.csv"
    "$audit" preprocess --weights "$scratch/released" --sizes "$scratch/sizes.csv" | field resized | tr '\n' ' '
}

# png_size FILE: width and height from the header of a PNG, in hex; "no PNG" otherwise.
png_size() {
    local header
    header=$(od -An -v -tx1 -N24 "$1" | tr -d ' \n')
    case $header in
    89504e470d0a1a0a0000000d49484452*) echo "${header:32:8} ${header:40:8}" ;;
    *) echo "no PNG" ;;
    esac
}

"$audit" checkpoint --out "$good" >/dev/null || { echo "no checkpoint"; exit 1; }
cp -r "$good" "$scratch/released"
limits() { sed -i "s/\"longest_edge\": [0-9]*, \"shortest_edge\": [0-9]*/\"longest_edge\": $2, \"shortest_edge\": $3/" "$scratch/released/$1"; }
limits preprocessor_config.json 16777216 65536
limits video_preprocessor_config.json 25165824 4096

# Sizes under the released limits.
same "images" '[704,1280] [1088,1920] [256,256] [224,352] ' "$(resized 720,1280 1080,1920 100,100 48,80)"
same "20 frames" '[704,1280] ' "$(resized 20,720,1280,2)"
same "768 frames" '[128,224] ' "$(resized 768,720,1280,2)"
# Under the small limits of the checkpoint: 262144 pixels of an image, 4096 the least.
printf 'frames, height, width, fps\n# a comment\n\n 720 , 1280 # behind\r\n20,720,1280,24\n' >"$scratch/sizes.csv"
lines=$(pre --sizes "$scratch/sizes.csv")
same "small limits" '[384,672] [704,1280]' "$(field resized <<<"$lines" | xargs)"
same "lines" '4 5' "$(field line <<<"$lines" | xargs)"
same "input" '[720,1280] [20,720,1280,24]' "$(field input <<<"$lines" | xargs)"
same "grid" '[1,24,42] [2,44,80]' "$(field grid <<<"$lines" | xargs)"
same "tokens" '252 1760' "$(field tokens <<<"$lines" | xargs)"
same "frame indices" 'null [0,6,13,19]' "$(field frame_indices <<<"$lines" | xargs)"
same "exact is unknown without pixels" 'null null' "$(field exact <<<"$lines" | xargs)"
same "limits of the command line" '[96,160]' "$(pre --max-pixels 16384 --sizes <(echo 720,1280) | field resized)"
same "frames of the command line" '[0,19]' "$(pre --num-frames 2 --sizes <(echo 20,720,1280,24) | field frame_indices)"
same "rate of the command line" '8' "$(pre --fps 4 --sizes <(echo 48,64,96,24) | field frames)"
# qvu: no limit of the checkpoint; 4 frames of at most 768 tokens: floor(720 / sqrt(921600 / 786432) / 32) * 32 = 640.
same "another profile" '[128,224] [640,1152]' "$(pre --processor qvu --sizes <(printf '128,224\n16,720,1280,8\n') | field resized | xargs)"
while IFS='|' read -r words line; do
    printf '720,1280\n\n%s\n' "$line" >"$scratch/bad.csv"
    ends 3 "bad.csv: line 3: $words" pre --sizes "$scratch/bad.csv"
done <<'LINES'
aspect ratio|1,201
aspect ratio|20,32,6432,24
a line is|720
a line is|1,2,3
a line is|1,2,3,4,5
height and width|720,wide
height and width|0,5
height and width|-3,5
height and width|720,99999999999999999999
frames|1.5,720,1280,24
fps|20,720,1280,0
fps|20,720,1280,nan
fps|20,720,1280,
height and width|h,w
LINES
: >"$scratch/empty.csv"
ends 3 "empty.csv: no sizes" pre --sizes "$scratch/empty.csv"
printf 'w,h\n720,1280\n' >"$scratch/swapped.csv"
ends 3 "swapped.csv: line 1" pre --sizes "$scratch/swapped.csv"

# Files.
lines=$(pre "$media/jpeg_420.jpg" "$media/h264_bframes.mp4" "$media/gif_animated.gif" "$media/h264_10bit.mp4")
same "kinds by content" 'image video image video' "$(field kind <<<"$lines" | xargs)"
same "sizes" '[19,29] [48,64] [19,29] [48,64]' "$(field size <<<"$lines" | xargs)"
same "exact" 'true true true false' "$(field exact <<<"$lines" | xargs)"
same "a reason where inexact" 3 "$(field inexact_reason <<<"$lines" | grep -c null)"
cp "$media/hevc.mp4" "$scratch/movie.jpg"
same "an extension does not matter" '"video"' "$(pre "$scratch/movie.jpg" | field kind)"
ends 3 "movie.jpg" pre --kind image "$scratch/movie.jpg"
same "kind given" '"video"' "$(pre --kind video "$media/h264_bframes.mp4" | field kind)"
same "records" 2 "$(pre "$media/jpeg_420.jpg" "$media/jpeg_420.jpg" --csv | grep -c jpeg_420)"
pre "$media/jpeg_420.jpg" "$media/hevc.mp4" --json "$scratch/report.json" >/dev/null && "$audit" validate "$scratch/report.json" >/dev/null
same "the report validates" 0 $?

# Files to write: the image is resized to 64 x 96, the video has 4 frames of 64 x 64.
lines=$(pre "$media/jpeg_420.jpg" "$media/hevc.mp4" --out "$scratch/out/v.safetensors" --png "$scratch/out/png")
same "resized" '[64,96] [64,64]' "$(field resized <<<"$lines" | xargs)"
same "frames" '[0,3,6,9]' "$(field frame_indices <<<"$lines" | tail -1)"
same "PNG names" 'hevc.frame000000.png hevc.frame000003.png hevc.frame000006.png hevc.frame000009.png jpeg_420.png' \
    "$(cd "$scratch/out/png" && ls | LC_ALL=C sort | xargs)"
same "size of the image" '00000060 00000040' "$(png_size "$scratch/out/png/jpeg_420.png")"
for frame in 0 3 6 9; do
    same "size of frame $frame" '00000040 00000040' "$(png_size "$scratch/out/png/hevc.frame00000$frame.png")"
done
header=$(head -c 2000 "$scratch/out/v.safetensors" | tr -d '\0')
for tensor in '"pixel_values":{"dtype":"F32","shape":[24,1536]' '"pixel_values_videos":{"dtype":"F32","shape":[32,1536]' \
    '"image_grid_thw":{"dtype":"I64","shape":[1,3]' '"video_grid_thw":{"dtype":"I64","shape":[1,3]' \
    '"frames_indices.0":{"dtype":"I64","shape":[4]'; do
    same "$tensor" 1 "$(grep -acF "$tensor" <<<"$header")"
done
# What is written is seen unchanged: 64 x 96 pixels are within the limits.
pre "$media/jpeg_420.jpg" --out "$scratch/a.safetensors" >/dev/null
pre "$scratch/out/png/jpeg_420.png" --out "$scratch/b.safetensors" >/dev/null
cmp "$scratch/a.safetensors" "$scratch/b.safetensors"
same "rows of the PNG equal those of the JPEG" 0 $?
rm -rf "$scratch/out" && mkdir -p "$scratch/out" "$scratch/other"
cp "$media/jpeg_444.jpg" "$scratch/other/jpeg_420.jpg"
pre "$media/jpeg_420.jpg" "$scratch/other/jpeg_420.jpg" --png "$scratch/out" >/dev/null
same "a name used twice" '1.jpeg_420.png 2.jpeg_420.png' "$(cd "$scratch/out" && ls | xargs)"
rm -rf "$scratch/out" && mkdir -p "$scratch/out"

# Bad files: nothing is printed or written, however good the others are.
both() { pre --out "$scratch/out/v.safetensors" --png "$scratch/out/png" "$media/jpeg_420.jpg" "$@"; }
head -c 300 "$media/jpeg_420.jpg" >"$scratch/cut.jpg"
head -c 700 "$media/h264_bframes.mp4" >"$scratch/cut.mp4"
{ printf 'P5\n1 201\n255\n' && head -c 201 /dev/zero; } >"$scratch/thin.pgm"
: >"$scratch/empty.png"
for file in "$scratch/cut.jpg" "$scratch/cut.mp4" "$scratch/thin.pgm" "$scratch/empty.png" "$scratch/gone.jpg" \
    "$media/bad_audio_only.mp4" "$media/bad_middle.mp4" "$media/h264_one_frame.mp4" "$media/expected.json" "$scratch"; do
    ends 3 "$(basename "$file")" both "$file"
done
same "damage accepted" 'false damaged frames' \
    "$(pre --accept-damaged "$media/bad_middle.mp4" >"$scratch/line" && echo "$(field exact <"$scratch/line") $(field inexact_reason <"$scratch/line" | tr -d '"')")"
ends 3 "nowhere" pre "$media/jpeg_420.jpg" --out "$scratch/nowhere/v.safetensors"
ends 3 "nowhere" pre "$media/jpeg_420.jpg" --png "$scratch/nowhere/png"
echo '{"size": 3}' >"$scratch/released/preprocessor_config.json"
ends 3 preprocessor_config.json "$audit" preprocess --weights "$scratch/released" "$media/jpeg_420.jpg"

# Wrong usage.
ends 2 "--weights" "$audit" preprocess "$media/jpeg_420.jpg"
ends 2 "either" pre
ends 2 "either" pre "$media/jpeg_420.jpg" --sizes "$scratch/sizes.csv"
ends 2 "--png" pre --sizes "$scratch/sizes.csv" --png "$scratch/out/png"
ends 2 "--kind" pre --kind sound "$media/jpeg_420.jpg"
ends 2 "--fps" pre --fps 0 "$media/hevc.mp4"
ends 2 "exclude" pre --fps 1 --num-frames 2 "$media/hevc.mp4"
ends 2 "--max-pixels" pre --max-pixels -1 "$media/jpeg_420.jpg"
ends 2 "--processor" pre --processor hf3 "$media/jpeg_420.jpg"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 70 ]
