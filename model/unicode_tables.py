#!/usr/bin/env python3
"""Writes model/unicode_tables.c by asking the `tokenizers` package about every code point.

The tables are what that package does, not what a Unicode release says: its regular expressions know the
categories of Unicode 16.0, its NFC the data of Unicode 9.0. Takes half a minute. Run with tokenizers 0.22.2:
    /opt/goldens/hf4/bin/python model/unicode_tables.py > model/unicode_tables.c
"""
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
nfd = normalizers.NFD().normalize_str


def matching(pattern):
    """Code points that match a one-character pattern."""
    split = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str
    return {c for c in POINTS if len(split(f"\x01{chr(c)}\x01")) == 2}


def check_contractions():
    """Only ASCII letters in either case and U+017F for s may follow the apostrophe."""
    split = pre_tokenizers.Split(Regex(CONTRACTIONS), "removed").pre_tokenize_str
    forms = {"{}": "sStTmMdD\u017f", "r{}": "eE", "v{}": "eE", "l{}": "lL", "{}e": "rRvV", "{}l": "lL"}
    for form, expected in forms.items():
        found = {chr(c) for c in POINTS if not split("'" + form.format(chr(c)))}
        found -= set("sStTmMdD\u017f") if form != "{}" else set()
        assert found == set(expected), (form, found)


def reorders(c):
    """Whether canonical ordering moves c: it has a combining class other than 0."""
    c = chr(c)
    return nfd("a" + c + "\u0334") != "a" + c + "\u0334" or nfd("a\u0345" + c) != "a\u0345" + c


def active():
    """Code points that NFC can change, move or compose. All others pass untouched and separate what is
    around them: a composite has a decomposition, so both its halves are found in one."""
    decompositions = {c: nfd(chr(c)) for c in POINTS if nfd(chr(c)) != chr(c)}
    found = set(decompositions) | {c for c in POINTS if c not in decompositions and reorders(c)}
    for parts in decompositions.values():
        if len(parts) > 1:
            found |= {ord(part) for part in parts}
    return found


def ranges(points):
    points = sorted(points)
    result = []
    for c in points:
        if result and result[-1][1] == c - 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def write(name, comment, rows, per_line):
    print(f"\n/* {comment} */")
    print(f"const struct qvl_unicode_range {name}[] = {{")
    for start in range(0, len(rows), per_line):
        print("    " + " ".join(f"{{0x{a:x}, 0x{b:x}, {kind}}}," for a, b, kind in rows[start : start + per_line]))
    print("};")
    print(f"const size_t {name}_count = sizeof {name} / sizeof {name}[0];")


def main():
    check_contractions()
    letters, numbers, spaces = matching(r"\p{L}"), matching(r"\p{N}"), matching(r"\s")
    assert not letters & numbers and not letters & spaces and not numbers & spaces
    classes = [[a, b, "L"] for a, b in ranges(letters)]
    classes += [[a, b, "N"] for a, b in ranges(numbers)] + [[a, b, "S"] for a, b in ranges(spaces)]
    print(f"/* Made by model/unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit. */")
    print('#include "model/unicode_tables.h"\n')
    print("// clang-format off")
    print("#define L QVL_UNICODE_LETTER\n#define N QVL_UNICODE_NUMBER\n#define S QVL_UNICODE_SPACE")
    write("qvl_unicode_classes", f"{len(letters)} letters, {len(numbers)} numbers, {len(spaces)} spaces",
          sorted(classes), 4)
    found = active()
    write("qvl_unicode_nfc_active", f"{len(found)} code points that NFC can change, move or compose",
          [[a, b, 0] for a, b in ranges(found)], 5)
    print("// clang-format on")
    print(f"{len(classes)} class ranges, {len(ranges(found))} active ranges", file=sys.stderr)


if __name__ == "__main__":
    main()
