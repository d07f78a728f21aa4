#!/usr/bin/env bash
# ./dev goldens [KIND...]: makes committed goldens again with the pinned original framework. KIND is model, ops, pixels,
# media, tokenizer, taps, or one of the steps that are not committed: tokenizer-real (the released vocabulary), messages (needs
# QVL_TEMPLATES, a folder with the template texts). Default: model ops pixels tokenizer taps. Nothing here is needed to
# build or test.
#
# QVL_PYTHON_HF4 and QVL_PYTHON_HF5 name interpreters that have the packages already; otherwise two environments are made
# under build/goldens (about 6 GB; Python 3.11).
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/golden
work=build/goldens
writer=build/${QVL_PRESET:-release}/tests/golden_checkpoint
export OMP_NUM_THREADS=1

# environment NAME REQUIREMENTS: prints the interpreter of an environment with the pinned packages.
environment() {
    local folder=$work/$1
    if [ ! -e "$folder/.made" ]; then
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install -q -r "$2" >&2
        touch "$folder/.made"
    fi
    echo "$folder/bin/python"
}

mkdir -p "$work"
hf4=${QVL_PYTHON_HF4:-$(environment hf4 $here/requirements.txt)}
hf5=${QVL_PYTHON_HF5:-$(environment hf5 $here/requirements-hf5.txt)}

make_model() {
    local arguments=(--writer "$writer" --work "$work/checkpoints")
    "$hf4" $here/model.py make "${arguments[@]}"
    "$hf5" $here/model.py make "${arguments[@]}"
    "$hf5" $here/model.py compare "${arguments[@]}"
}

make_pixels() {
    [ -e $work/pillow12 ] || "$hf4" -m pip install -q --no-deps --target $work/pillow12 pillow==12.3.0
    [ -e $work/qvu ] || "$hf4" -m pip install -q --no-deps --target $work/qvu qwen-vl-utils==0.0.14
    "$hf4" $here/pixels.py --hf5 "$hf5" --pillow12 $work/pillow12 --qvu $work/qvu
}

# Stages of the original, right and with two planted faults (tests/e2e/stages.sh, docs/TAPS.md).
make_taps() {
    local checkpoint=$work/checkpoints/taps language=model.language_model
    "$writer" write small-dense-tied "$checkpoint"
    taps() { "$hf4" $here/taps.py "$checkpoint" $here/taps/chat.json "$here/taps/$1.safetensors" "${@:2}"; }
    taps honest --dtype bfloat16 --keep input_ids position_ids image_grid_thw logits \
        model.visual.{blocks.[04],merger,deepstack_merger_list.?} $language.{inputs_embeds,norm} \
        $language.layers.{?,?.self_attn,?.deepstack_added}
    taps attention_scale --dtype float32 --fault attention_scale --keep input_ids \
        $language.{inputs_embeds,layers.0,layers.0.deepstack_added,layers.1.self_attn,layers.1}
    taps channel_zeroed --dtype bfloat16 --fault channel_zeroed --keep input_ids $language.layers.{?,?.mlp,?.deepstack_added}
}

for kind in "${@:-model ops pixels tokenizer taps}"; do
    for step in $kind; do
        case $step in
        model) make_model ;;
        ops) "$hf4" $here/ops.py ;;
        taps) make_taps ;;
        pixels) make_pixels ;;
        media) "$hf4" $here/media.py ;;
        tokenizer) "$hf4" $here/tokenizer.py small ;;
        tokenizer-real) "$hf4" $here/tokenizer.py real $work/tokenizer "build/${QVL_PRESET:-release}/tests/golden_tokenizer" ;;
        messages) "$hf4" $here/messages.py "${QVL_TEMPLATES:?a folder with instruct.jinja, thinking.jinja, qwen2.jinja}" ;;
        *)
            echo "unknown kind of golden: $step" >&2
            exit 2
            ;;
        esac
    done
done
