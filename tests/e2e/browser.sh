#!/usr/bin/env bash
# The page of `procure --html` in a real browser: nothing on the console, no request by the page, nothing wider than the window,
# no text of a plot outside its drawing or over another text; at desktop and phone width, light and dark. Screenshots stay in the
# scratch folder, to be looked at. Skipped where there is no Chromium (`./dev browser` installs it). $1: the binary, $2: scratch.
set -uo pipefail
. "$(dirname "$0")/checks.bash"
audit=$1
scratch=$2
browser=
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && browser=$name && break
done
[ -n "$browser" ] || { echo "SKIPPED: no Chromium here; ./dev browser installs it"; exit 77; }
rm -rf "$scratch" && mkdir -p "$scratch"
scratch=$(realpath "$scratch")
# visit PAGE NAME OPTION...: what it logs is in NAME.log, its requests in NAME.net. Names are not resolved: nothing gets out.
visit() {
    local page=$1 name=$2
    shift 2
    timeout 240 "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
        --user-data-dir="$scratch/profile" --host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --v=0 \
        --log-net-log="$scratch/$name.net" --virtual-time-budget=2000 "$@" "file://$scratch/$page" \
        >"$scratch/$name.out" 2>"$scratch/$name.log"
}
quiet() { ! grep CONSOLE "$scratch/$1.log"; }
# A request of a page has an initiator; the browser's own have none.
offline() { ! grep -o '"initiator":"[^"]*"' "$scratch/$1.net" | grep -v 'not an origin'; }
drawn() { [ "$(head -c 8 "$scratch/$1.png" | od -An -c | tr -d ' ')" = '211PNG\r\n032\n' ] && [ "$(wc -c <"$scratch/$1.png")" -gt 50000 ]; }

# The checks see what they are for.
echo '<link rel="icon" href="data:,"><img src="http://127.0.0.1:9/x.png"><script>missing()</script>' >"$scratch/bad.html"
visit bad.html bad --screenshot="$scratch/bad.png"
if ! grep -q CONSOLE "$scratch/bad.log"; then
    grep -v dbus "$scratch/bad.log" | head
    echo "SKIPPED: $browser does not run here"
    exit 77
fi
if offline bad >/dev/null; then
    echo "FAILED: a request goes unseen"
    exit 1
fi

cat >"$scratch/probe.js" <<'JS'
const faults = [];
const box = e => e.getBoundingClientRect();
if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is wider than the window');
const plots = [...document.querySelectorAll('svg.plot')];
for (const plot of plots) {
    const frame = box(plot), texts = [...plot.querySelectorAll('text')];
    texts.forEach((text, i) => {
        const a = box(text);
        if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
            faults.push('outside: ' + text.textContent);
        for (const other of texts.slice(i + 1)) {
            const b = box(other), across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            /* boxes are as high as the font's line: letters touch only deeper in */
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 1 && down > 0.35 * Math.min(a.height, b.height)) faults.push('over another: ' + text.textContent + ' / ' + other.textContent);
        }
    });
}
document.body.dataset.layout = plots.length + ' plots, ' + faults.length + ' faults ' + faults.slice(0, 5).join('; ');
JS
# layout NAME: the page without its policy, with the probe, must have plots and no faults.
layout() { grep -oE 'data-layout="[^"]*"' "$scratch/$1.out" | tee "$scratch/$1.layout" | grep -qE '"[1-9][0-9]* plots, 0 faults' || { cat "$scratch/$1.layout"; return 1; }; }

"$audit" checkpoint --out "$scratch/small" >/dev/null 2>&1
"$audit" latency --weights "$scratch/small" --context 64,128,256 --repeats 1 --decode-steps 4 --json "$scratch/latency.json" >/dev/null
"$audit" procure --price h100-sxm=2.5/h --html "$scratch/all.html" >/dev/null || failed=1
"$audit" procure "$scratch/latency.json" --model 2B,235B-A22B --device h100-sxm,l40s,agx-orin-64 --html "$scratch/few.html" \
    >/dev/null || failed=1
for page in all few; do
    { grep -v Content-Security-Policy "$scratch/$page.html"; echo '<script>'; cat "$scratch/probe.js"; echo '</script>'; } \
        >"$scratch/$page-probe.html"
    for width in 1280 390; do
        for scheme in 0 1; do # 0: dark
            name=$page-$width-$([ $scheme = 0 ] && echo dark || echo light)
            visit "$page.html" "$name" --blink-settings=preferredColorScheme=$scheme --window-size=$width,3000 \
                --screenshot="$scratch/$name.png"
            check "$name is drawn" drawn "$name"
            check "$name has a quiet console" quiet "$name"
            check "$name asks for nothing" offline "$name"
        done
        visit "$page-probe.html" "$page-$width" --window-size=$width,3000 --dump-dom
        check "$page at $width has its layout" layout "$page-$width"
    done
done
check "light and dark differ" bash -c "! cmp -s '$scratch/all-1280-dark.png' '$scratch/all-1280-light.png'"
check "no script in the page" bash -c "! grep -qi '<script' '$scratch/all.html'"
echo "screenshots in $scratch"
summary 28
