"""Text lines that are hard for a tokenizer, the same for the same seed."""
import random

SCRIPTS = [
    "The quick brown fox jumps over the lazy dog; it didn't stop, they're sure, I've seen it and we'll see.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich — straßenbahn, Übermaß, weiß.",
    "Portez ce vieux whisky au juge blond qui fume; l'été déjà passé, où êtes-vous allés aujourd'hui ?",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; ¿cuántos años añoraba?",
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń. Árvíztűrő tükörfúrógép.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Їжак ґанок щодня.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· ἄνθρωπος ὢν ἐφόβει τοὺς πολεμίους.",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם עֲלֵיכֶם.",
    "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت. نص حكيم له سر قاطع وذو شأن عظيم ٠١٢٣٤٥٦٧٨٩",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश। १२३ क़लम ज़रूर",
    "আমি বাংলায় গান গাই। তোমার নাম কী? ৪৫৬ য়া ড়া",
    "ਊੜਾ ਐੜਾ ਗ਼ਲਤ ਜ਼ਮੀਨ; મને ગુજરાતી ગમે છે; ଓଡ଼ିଆ ଭାଷା; தமிழ் மொழி கொள்; తెలుగు భాష; ಕನ್ನಡ ಭಾಷೆ ಕೊ; മലയാളം ഭാഷ കൊ",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ๑๒๓; ພາສາລາວ; ភាសាខ្មែរ ១២៣; မြန်မာဘာသာ ဥ; བོད་སྐད་ཡིག གྷ ཱི",
    "視野無限廣，窗外有藍天。天地玄黃，宇宙洪荒；日月盈昃，辰宿列張。我能吞下玻璃而不傷身體。１２３",
    "いろはにほへと ちりぬるを ガギグゲゴ ｶﾞｷﾞ パピプペポ か゛ が、これは3つの例です。",
    "다람쥐 헌 쳇바퀴에 타고파. 키스의 고유조건은 입술끼리 만나야 하고. 한글 각",
    "ბგერა ქართული ენა; հայերեն լեզու; ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ; ᐃᓄᒃᑎᑐᑦ; ኢትዮጵያ አማርኛ ፩፪; ⵜⴰⵎⴰⵣⵉⵖⵜ; ߒߞߏ",
    "Tiếng Việt có dấu: phở, nghiêng, người, Đặng; Yorùbá ẹ̀kọ́; İstanbul'da ısı; ŉ Ǆ ﬁ ﬀ ſt ſs",
    "x² + y³ = z₄, ½ ¾ Ⅷ ⅷ ① ⑳ 〇 ㊿ ⁵ 𝟘𝟙𝟚 𝒜𝓑 ∑∫√∞ ≠ ≮ ⊄ ∄ Å Ω K ℵ",
    "def f(x, *, y=1):\n    return {'a': [x**2, y//3], \"b\": f'{x!r:>10}'}  # it's 100%\n",
    "for (int i = 0; i < n; ++i) {\n\t\tsum += a[i] * b[i];\r\n}\n/* don't */ #include <stdio.h>\n",
    "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Zürich\", \"days\": 3, \"ok\": true, \"t\": 1.5e-3}}",
    "https://example.org/a/b?c=d&e=%20f#g user.name+tag@mail.example.co.uk C:\\Users\\me\\x.txt /usr/lib64/",
    "<0.3 seconds><|vision_start|><|video_pad|><|vision_end|><1.5 seconds><|vision_start|><|image_pad|>",
    "| a | b |\n|---|:--|\n| 1 | 2 |\n\n- **bold** _it_ `code`\n1. one\n2. two\n\n> quote\n\n\n---\n",
    "😀😃 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ ❤️‍🔥 👨🏿‍🚀 ☺︎ ☺️ 🫠 🪿 🫩 ¯\\_(ツ)_/¯ ʕ•ᴥ•ʔ",
]
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
                           0x202F, 0x205F, 0x3000)]
NEAR_SPACES = [chr(c) for c in (0x1C, 0x1D, 0x1E, 0x1F, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0, 1, 0x7F)]
CONTRACTIONS = ["'s", "'S", "'\u017f", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'Ve", "'m", "'M", "'ll", "'lL",
                "'d", "'D", "'x", "'r", "'v", "'l", "'", "''", "\u2019s", "'\u212a", "'st", "'s's", "'re've",
                "'\u00e9", "'l\u0301l", "'s\u0323"]
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
         "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
         "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>",
         "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
         "<tool_response>", "</tool_response>", "<think>", "</think>"]
NEAR_ADDED = ["<|im_start", "|im_end|>", "<|IM_END|>", "< think>", "<think", "<<think>>", "<|<|im_end|>|>",
              "<|image_pad|", "<|extra_0|>", "<tool_call >", "</think></think", "<|endoftext|", "<|", "|>"]
MARKS = [chr(c) for c in (*range(0x300, 0x30A), 0x30C, 0x313, 0x314, 0x323, 0x325, 0x327, 0x328, 0x32D, 0x330,
                          0x331, 0x334, 0x338, 0x340, 0x341, 0x342, 0x343, 0x344, 0x345, 0x35C, 0x360, 0x361,
                          0x5B0, 0x5B8, 0x5BC, 0x5C1, 0x5C2, 0x64B, 0x651, 0x653, 0x654, 0x655, 0x670, 0x93C,
                          0x9BC, 0x9BE, 0x9D7, 0xB3E, 0xB56, 0xB57, 0xBBE, 0xBD7, 0xC56, 0xCC2, 0xCD5, 0xCD6,
                          0xD3E, 0xD57, 0xDCA, 0xDCF, 0xDDF, 0xE38, 0xF71, 0xF72, 0xF73, 0xF74, 0xF75, 0xF80,
                          0xF81, 0x102E, 0x1B35, 0x1DCE, 0x1DF6, 0x1DFB, 0x20D2, 0x302A, 0x302E, 0x3099, 0x309A,
                          0xFB1E, 0xFE0F, 0x110BA, 0x11127, 0x1133E, 0x11357, 0x114B0, 0x114BA, 0x114BD, 0x115AF,
                          0x1D165, 0x1D16E, 0x1D172, 0x11930, 0x11935, 0x10D24, 0x10EAB, 0x16FF0, 0x1E2EC, 0x1ACF)]
BASES = list("aAeEiIoOuUyYnNsScCkKqQ<>=;`~") + [chr(c) for c in (
    0xA8, 0xC6, 0xD8, 0xE6, 0xF8, 0x17F, 0x1B7, 0x226, 0x391, 0x399, 0x3B1, 0x3B9, 0x3C9, 0x413, 0x418, 0x438,
    0x5D0, 0x5E9, 0x627, 0x648, 0x64A, 0x6C1, 0x928, 0x930, 0x933, 0x9C7, 0xB47, 0xB92, 0xBC6, 0xBC7, 0xC46, 0xCC6,
    0xCCA, 0xD46, 0xDD9, 0xDDC, 0xF40, 0xF42, 0xFB2, 0x1025, 0x1B05, 0x1E37, 0x1EA0, 0x1F00, 0x1F08, 0x1F70, 0x2190,
    0x2203, 0x2208, 0x2223, 0x223C, 0x2282, 0x3046, 0x304B, 0x306F, 0x30AB, 0x30CF, 0x30A6, 0x11099, 0x11131,
    0x11347, 0x114B9, 0x115B8, 0x1D158, 0x1D1B9, 0x340, 0x374, 0x37E, 0x387, 0x1FEF, 0x2126, 0x212A, 0x212B,
    0x2329, 0xF900, 0xFA0E, 0xFB1D, 0xFB2C, 0x2F800, 0x2F9CF, 0x0958, 0x11938, 0x16D68, 0x105D2)]
JAMO = [chr(c) for c in (0x1100, 0x1105, 0x1112, 0x1113, 0x1161, 0x1175, 0x1176, 0x11A7, 0x11A8, 0x11C2, 0x11C3,
                         0xAC00, 0xAC01, 0xAC1C, 0xD788, 0xD7A3, 0xA960, 0xD7B0, 0xD7CB, 0x3131, 0xFFA1)]
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def random_point(rng):
    top = rng.choice([0x80, 0x250, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
    while True:
        c = rng.randrange(top)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def words(rng, count=400):
    """A Zipf-distributed lexicon over the scripts above and made-up syllables."""
    lexicon = [w for line in SCRIPTS for w in line.split() if "<|" not in w]
    syllables = ["ba", "co", "di", "fu", "ge", "ha", "in", "on", "er", "st", "th", "tion", "re", "qu", "ly", "ка",
                 "но", "пр", "λο", "τη", "är", "ção", "é", "の", "は", "中", "国", "한", "글", "م", "ال", "נ", "क", "ि"]
    for _ in range(count):
        lexicon.append("".join(rng.choice(syllables) for _ in range(rng.randint(1, 5))))
    return lexicon


def sentence(rng, lexicon, length):
    out = []
    for _ in range(length):
        word = lexicon[min(int(rng.paretovariate(0.7)) - 1, len(lexicon) - 1)]
        roll = rng.random()
        if roll < 0.05:
            word = str(rng.randrange(10 ** rng.randint(1, 6)))
        elif roll < 0.1:
            word += rng.choice(CONTRACTIONS[:16])
        elif roll < 0.15:
            word = word.upper()
        out.append(word + rng.choice(["", "", "", ",", ".", "!", "?", ":", ")"]))
    return rng.choice([" ", " ", " ", "  ", "\n"]).join(out)


def corpus(seed=3407):
    rng = random.Random(seed)
    lexicon = words(rng)
    rng.shuffle(lexicon)
    yield from SCRIPTS * 3
    for _ in range(6000):
        yield sentence(rng, lexicon, rng.randint(3, 30))


def blocks(rng):
    """Every block of 64 code points that is not empty of letters, digits or marks at Unicode 16 or private."""
    for start in range(0, 0x30000, 64):
        points = [c for c in range(start, start + 64) if not 0xD800 <= c < 0xE000]
        sparse = 0x3400 <= start < 0xA000 or 0xAC00 <= start < 0xD7A4 or 0xE000 <= start < 0xF900 or start > 0x13000
        if not points or (sparse and start % 1024 and not 0x16800 <= start < 0x1FC00):
            continue
        line = "".join(chr(rng.choice(points)) + rng.choice(["", "", "", " ", "1", "'s"]) for _ in range(12))
        yield line
        if not sparse:
            yield "".join(chr(c) for c in points[rng.randrange(8) :: 4])


def mixed(rng, lexicon):
    pools = [SPACES, SPACES, [" "], ["\n"], NEAR_SPACES, CONTRACTIONS, ADDED, NEAR_ADDED, MARKS, BASES, JAMO,
             list("0123456789٣५௪Ⅳ²"), list(".,;:!?-_()[]{}<>/\\|@#$%^&*+=~`\"'"), lexicon, lexicon]
    weights = [rng.random() ** 2 for _ in pools]
    out = []
    for _ in range(rng.randint(1, 14)):
        pool = rng.choices(pools, weights)[0]
        out.append(rng.choice(pool) if rng.random() < 0.95 else random_point(rng))
    return "".join(out)


def normal(rng):
    """Bases with heaps of marks, in and out of canonical order, and jamo in all combinations."""
    out = []
    for _ in range(rng.randint(1, 5)):
        roll = rng.random()
        out.append(random_point(rng) if roll < 0.1 else rng.choice(JAMO if roll < 0.3 else BASES))
        out += [rng.choice(MARKS if rng.random() < 0.8 else JAMO) for _ in range(rng.randint(0, 4))]
    return "".join(out)


def fixed():
    yield from ["", "\0", "a\0b", "\ufffd", " ", "  ", "\n", " \n ", "Hello world\n  12345 it's"]
    yield from SCRIPTS + CONTRACTIONS + ADDED + NEAR_ADDED
    for added in ADDED:
        yield f"a{added}\u0338b"
        yield f"x  {added}  y"
        yield f"e{added}\u0301 {added}{added}\n"
    for space in SPACES + NEAR_SPACES:
        for form in ("{}", "a{}b", "a{}{}b", "a {}b", "{} a", "a{}\n{}b", "1{}2", "!{}?", "a{} ", "{}\n\n{}a", "{}'s", "a{}'"):
            yield form.replace("{}", space)
    for piece in ["a", " ", "\n", "\t", " \n", "ab", "0", "!", "'s", "é", "e\u0301", "中", "한", "\u1100\u1161", "😀",
                  "\u0301", "\u0345\u0334", "a ", "<", "<|im_end|>", "<|im_end", "\u3000", "\0", "\U0010ffff", "the "]:
        for count in (7, 31, 32, 33, 600):
            yield piece * count
            yield "x" + piece * count + "y"


def lines(count, seed=20):
    rng = random.Random(seed)
    lexicon = words(rng)
    result = list(fixed()) + list(blocks(rng))
    while len(result) < count:
        roll = rng.random()
        if roll < 0.6:
            result.append(mixed(rng, lexicon))
        elif roll < 0.8:
            result.append(normal(rng))
        elif roll < 0.9:
            result.append(sentence(rng, lexicon, rng.randint(1, 12)))
        else:
            result.append("".join(random_point(rng) for _ in range(rng.randint(1, 10))))
    return result


def invalid(count, seed=7):
    """Byte strings most of which are no UTF-8."""
    rng = random.Random(seed)
    parts = [b"\x80", b"\xbf", b"\xc0", b"\xc1\x81", b"\xc3", b"\xe2\x82", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
             b"\xed\xbf\xbf", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
             b"\xf5\x80", b"\xfe", b"\xff", b"\xe4\xb8", b"\xc3\xa9", b"\xe4\xb8\xad", b"\xf0\x9f\x98\x80", b"a", b" ", b"\n",
             b"'s", b"12", b"<|im_end|>", b"e\xcc\x81", b"\xcc\x81", b"\xc2", b"\xf4", b"\xee\x80", b"\xf1\x80\x80"]
    result = list(parts)
    while len(result) < count:
        if rng.random() < 0.7:
            result.append(b"".join(rng.choice(parts) for _ in range(rng.randint(1, 9))))
        else:
            result.append(bytes(rng.randrange(256) for _ in range(rng.randint(1, 24))))
    return result
