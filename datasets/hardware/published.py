#!/usr/bin/env python3
"""Makes datasets/hardware/published/ from the wheel of aiconfigurator-core 0.12.0: kernel timings that others measured and published.

    published.py WHEEL OUTPUT_FOLDER

Needs pyarrow, numpy and scipy; only `./dev published` runs it. It keeps, for each device, the rows that Qwen3-VL's shapes
need, and fits a roofline with a few constants to all rows of an operation, on a random half; the other half gives the stated
error. Formulas: docs/PUBLISHED.md; bench/roofline.c evaluates the same ones.
"""
import collections
import csv
import hashlib
import io
import json
import pathlib
import re
import sys
import zipfile

import numpy as np
import pyarrow.parquet as parquet
from scipy.optimize import minimize

PACKAGE = "aiconfigurator-core 0.12.0"
SHA256 = "aadc4aad0a00bf8a61c477c62bef43de479849c3aa0b1c3078068e08309eccc4"
SYSTEMS = "aiconfigurator_core/systems/"
SEED = 1
HERE = pathlib.Path(__file__).resolve().parent

# Streaming multiprocessors (Xe cores for b60) and bytes of the last cache; the peaks come from systems/DEVICE.yaml.
DEVICES = {
    "a100_sxm": dict(sm=108, l2=40e6),
    "h100_sxm": dict(sm=132, l2=50e6),
    "h200_sxm": dict(sm=132, l2=50e6),
    "b200_sxm": dict(sm=148, l2=126e6),
    "b300_sxm": dict(sm=148, l2=126e6),
    "gb200": dict(sm=148, l2=126e6),
    "gb300": dict(sm=148, l2=126e6),
    "l40s": dict(sm=142, l2=96e6),
    "rtx_pro_6000_server": dict(sm=188, l2=128e6),
    "b60": dict(sm=20, l2=18e6),
}
DATA_CENTRE = ["a100_sxm", "h100_sxm", "h200_sxm", "b200_sxm", "b300_sxm", "gb200", "gb300"]
TYPES = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8_block"}
BYTES = {"bfloat16": 2, "fp8": 1, "fp8_block": 1}


# ---- reading the wheel ----

class Wheel:
    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256:
            sys.exit(f"{path}: sha256 {found}, expected {SHA256} ({PACKAGE})")
        self.archive = zipfile.ZipFile(io.BytesIO(data))
        self.names = self.archive.namelist()

    def text(self, name):
        return self.archive.read(SYSTEMS + name).decode()

    def constants(self, device):
        """The numbers of systems/DEVICE.yaml; its structure is flat enough for a line-by-line reading."""
        return {k: float(v) for k, v in re.findall(r"^\s+(\w+):\s*([0-9.]+)", self.text(device + ".yaml"), re.M)}

    def table(self, device, family, name, framework="vllm"):
        """Columns of the newest version of a table as numpy arrays, and the version; None when there is none."""
        pattern = re.compile(re.escape(f"{SYSTEMS}data/{device}/{family}/{framework}/") + r"([^/]+)/" + name + r"\.parquet$")
        found = [(version_key(m.group(1)), m.group(1), n) for n in self.names if (m := pattern.match(n))]
        if not found:
            return None, None
        _, version, path = max(found)
        table = parquet.read_table(io.BytesIO(self.archive.read(path)))
        return {c: np.array(table[c].to_pylist()) for c in table.column_names}, f"{framework} {version}"


def version_key(version):
    return [int(x) if x.isdigit() else 0 for x in re.split(r"[.\-a-z]+", version) if x]


# ---- the fitted formulas: seconds from shape, device and constants (units in docs/PUBLISHED.md) ----

def quantisation(blocks, sm):
    """How much longer the busiest processor works than the average one."""
    waves = blocks / sm
    return np.where(waves < 1, 1 / waves, np.ceil(waves) / waves)


def p_norm(a, b, p):
    larger, smaller = np.maximum(a, b), np.minimum(a, b)
    return larger * (1 + (smaller / larger) ** p) ** (1 / p)


def gemm_time(c, d, m, n, k, size):
    tile = np.where(m <= 64, 64.0, 128.0)
    rows = np.ceil(m / tile) * tile
    blocks = rows / tile * np.ceil(n / 128)
    compute = 2 * rows * n * (k + c["fill"]) / (c["flops"] * d["flops"]) * quantisation(blocks, d["sm"]) ** c["waves"]
    moved = size * (m * k + k * n) + 2 * m * n
    cache = 1 + (c["cache"] - 1) * np.exp(-moved / d["l2"])
    return (c["fixed"] + c["depth"] * k / 1e4) * 1e-6 + p_norm(compute, moved / (c["bandwidth"] * d["bandwidth"]) * cache, c["norm"])


def prefill_time(c, d, batch, heads, kv, s, dim, causal):
    flops = (2 * s * (s + 1) if causal else 4 * s * s) * batch * heads * dim
    moved = 4 * batch * s * dim * (heads + kv)
    blocks = batch * heads * np.ceil(s / 128)
    compute = flops / (c["flops"] * d["flops"]) * (1 + c["fill"] / s) * quantisation(blocks, d["sm"]) ** c["waves"]
    return ((c["fixed"] + c["depth"] * s / 1e3) * 1e-6 + p_norm(compute, moved / (c["bandwidth"] * d["bandwidth"]), c["norm"])
            + c["block"] * 1e-7 * blocks / d["sm"])


def decode_time(c, d, batch, heads, kv, keys, dim, size):
    moved = 2 * size * batch * kv * keys * dim + 4 * batch * heads * dim
    return ((c["fixed"] + c["depth"] * np.log2(1 + keys) + c["block"] * 1e-3 * batch * heads) * 1e-6
            + p_norm(moved / (c["bandwidth"] * d["bandwidth"]), c["key"] * 1e-11 * keys, c["norm"]))


def moe_time(c, d, tokens, hidden, inter, chosen, experts, ep, skewed, size):
    rows = tokens * chosen / ep
    touched = experts / ep * (1 - (1 - chosen / experts) ** tokens)
    weights = size * touched * 3 * hidden * inter
    moved = weights + 2 * rows * (2 * hidden + 3 * inter)
    flops = 6 * (rows + touched * c["fill"]) * hidden * inter
    skew = 1 + skewed * c["skew"] * np.log2(1 + ep)
    return ((c["fixed"] + c["depth"] * np.log2(1 + tokens)) * 1e-6
            + p_norm(flops / (c["flops"] * d["flops"]) * skew, moved / (c["bandwidth"] * d["bandwidth"]), c["norm"])
            + c["shuffle"] * 2 * tokens * chosen * hidden / d["bandwidth"])


START = {
    "gemm": dict(flops=.8, bandwidth=.8, fixed=3, norm=4, fill=100, waves=.5, depth=1, cache=1),
    "prefill": dict(flops=.55, bandwidth=.3, fixed=10, norm=3, fill=100, waves=.5, depth=.1, block=1),
    "vision": dict(flops=.46, bandwidth=.3, fixed=10, norm=3, fill=100, waves=.5, depth=.1, block=1),
    "decode": dict(bandwidth=.8, fixed=10, norm=3, depth=.1, block=.1, key=1),
    "moe": dict(flops=.5, bandwidth=.8, fixed=20, norm=2, fill=10, depth=2, skew=.1, shuffle=1),
}


def predict(op, constants, device, rows, size):
    r = rows
    if op == "gemm":
        return gemm_time(constants, device, r["m"], r["n"], r["k"], size)
    if op in ("prefill", "vision"):
        return prefill_time(constants, device, r["batch"], r["heads"], r["kv"], r["s"], r["dim"], op == "prefill")
    if op == "decode":
        return decode_time(constants, device, r["batch"], r["heads"], r["kv"], r["keys"], r["dim"], size)
    return moe_time(constants, device, r["tokens"], r["hidden"], r["inter"], r["chosen"], r["experts"], r["ep"], r["skewed"], size)


def compulsory(op, rows, size):
    """FLOPs and bytes of the plain datasheet roofline (published-gpu facts, section 4)."""
    r = rows
    if op == "gemm":
        return 2 * r["m"] * r["n"] * r["k"], size * (r["m"] * r["k"] + r["k"] * r["n"]) + 2 * r["m"] * r["n"]
    if op in ("prefill", "vision"):
        flops = (2 * r["s"] * (r["s"] + 1) if op == "prefill" else 4 * r["s"] ** 2) * r["batch"] * r["heads"] * r["dim"]
        return flops, 4 * r["batch"] * r["s"] * r["dim"] * (r["heads"] + r["kv"])
    if op == "decode":
        return (4 * r["batch"] * r["heads"] * r["keys"] * r["dim"],
                2 * size * r["batch"] * r["kv"] * r["keys"] * r["dim"] + 4 * r["batch"] * r["heads"] * r["dim"])
    touched = r["experts"] / r["ep"] * (1 - (1 - r["chosen"] / r["experts"]) ** r["tokens"])
    n = r["tokens"] * r["chosen"] / r["ep"]
    return 6 * n * r["hidden"] * r["inter"], size * touched * 3 * r["hidden"] * r["inter"] + 4 * n * r["hidden"]


def fit(op, device, rows, size, seconds):
    """Constants with the least mean |log ratio|, by Nelder-Mead from START, restarted."""
    names = list(START[op])

    def loss(logs):
        with np.errstate(over="ignore"):
            constants = dict(zip(names, np.exp(np.minimum(logs, 30))))
        return np.mean(np.abs(np.log(predict(op, constants, device, rows, size) / seconds)))

    at = np.log(np.array(list(START[op].values()), float))
    for _ in range(4):
        at = minimize(loss, at, method="Nelder-Mead",
                      options=dict(maxiter=4000, maxfev=4000, xatol=1e-3, fatol=1e-5, adaptive=True)).x
    return {k: float(f"{np.exp(min(v, 30)):.5g}") if v > -14 else 0.0 for k, v in zip(names, at)}


# ---- the rows of each operation ----

def floats(table, keep, **names):
    return {new: table[old][keep].astype(float) for new, old in names.items()}


def rows_gemm(wheel, device, dtype, framework):
    table, version = wheel.table(device, "gemm", "gemm_perf", framework)
    if table is None:
        return None, None
    keep = table["gemm_dtype"] == dtype
    return floats(table, keep, m="m", n="n", k="k", ms="latency"), version


def full_window(table):
    """Rows without a sliding window; old tables have no such column."""
    return table["window_size"] == 0 if "window_size" in table else np.ones(len(table["latency"]), bool)


def rows_prefill(wheel, device, dtype, framework):
    table, version = wheel.table(device, "attention", "context_attention_perf", framework)
    if table is None:
        return None, None
    keep = (table["head_dim"] == 128) & full_window(table) & (table["kv_cache_dtype"] == dtype) & (table["isl"] > 1)
    return floats(table, keep, batch="batch_size", heads="num_heads", kv="num_key_value_heads", s="isl", dim="head_dim",
                  ms="latency"), version


def rows_vision(wheel, device, dtype, framework):
    table, version = wheel.table(device, "encoder_attention", "encoder_attention_perf", framework)
    if table is None or dtype != "bfloat16":
        return None, None
    keep = table["head_dim"] <= 72
    rows = floats(table, keep, batch="batch_size", heads="num_heads", s="isl", dim="head_dim", ms="latency")
    rows["kv"] = rows["heads"]
    return rows, version


def rows_decode(wheel, device, dtype, framework):
    table, version = wheel.table(device, "attention", "generation_attention_perf", framework)
    if table is None:
        return None, None
    keep = (table["head_dim"] == 128) & full_window(table) & (table["kv_cache_dtype"] == dtype)
    rows = floats(table, keep, batch="batch_size", heads="num_heads", kv="num_key_value_heads", keys="step", dim="head_dim",
                  ms="latency")
    rows["keys"] += 1
    return rows, version


def rows_moe(wheel, device, dtype, framework):
    table, version = wheel.table(device, "moe", "moe_perf", framework)
    if table is None:
        return None, None
    small = (table["hidden_size"] == 2048) & (table["inter_size"] == 768)
    large = (table["hidden_size"] == 4096) & (table["inter_size"] == 1536)
    keep = (small | large) & (table["topk"] == 8) & (table["num_experts"] == 128) & (table["moe_dtype"] == dtype)
    rows = floats(table, keep, tokens="num_tokens", hidden="hidden_size", chosen="topk", experts="num_experts",
                  tp="moe_tp_size", ep="moe_ep_size", inter="inter_size", ms="latency")
    rows["skewed"] = (table["distribution"][keep] != "balanced").astype(float)
    rows["alpha"] = np.array([float(x.split("_")[-1]) if x != "balanced" else 0.0 for x in table["distribution"][keep]])
    rows["inter"] = rows["inter"] / rows["tp"]
    return rows, version


FRAMEWORKS = ["vllm", "sglang", "trtllm"]


def choose(op, reader, wheel, device, dtype):
    """The rows of vllm; for products of another framework where it is more than 1.25 times as fast on the shapes of both (the
    timings of vllm then hold host overhead that an engine with captured graphs does not pay, as for fp8_block on Hopper)."""
    found = [(f, *reader(wheel, device, dtype, f)) for f in (FRAMEWORKS if op == "gemm" else FRAMEWORKS[:1])]
    found = [(f, rows, version) for f, rows, version in found if rows is not None and len(rows["ms"]) >= 200]
    if not found:
        return None, None
    best = found[0]
    for other in found[1:]:
        a, b = (dict(zip(zip(r["m"], r["n"], r["k"]), r["ms"])) for r in (best[1], other[1]))
        common = a.keys() & b.keys()
        if len(common) >= 100 and np.exp(np.mean([np.log(a[k] / b[k]) for k in common])) > 1.25:
            best = other
    return best[1], best[2]


OPS = {"gemm": rows_gemm, "prefill": rows_prefill, "vision": rows_vision, "decode": rows_decode, "moe": rows_moe}


# ---- the shapes that Qwen3-VL needs ----

def enclosing(value, grid):
    """The grid values around it (one when it is on the grid or beyond an end)."""
    low = [g for g in grid if g <= value]
    high = [g for g in grid if g >= value]
    return {g for g in ([low[-1]] if low else []) + ([high[0]] if high else [])}


def model_shapes():
    """(n, k) of every matrix product of the six sizes at 1, 2, 4 and 8 ways, and (heads, kv), (heads, dim)."""
    products, text, vision = set(), set(), set()
    for path in sorted((HERE.parent / "models").glob("qwen3-vl-*.json")):
        config = json.loads(path.read_text())["config"]
        t, v = config["text_config"], config["vision_config"]
        hidden, heads, kv, dim = t["hidden_size"], t["num_attention_heads"], t["num_key_value_heads"], t["head_dim"]
        width, inner, group = v["hidden_size"], v["intermediate_size"], v["spatial_merge_size"] ** 2
        for ways in (1, 2, 4, 8):
            q, shared = heads // ways * dim, max(1, kv // ways)
            text.add((heads // ways, shared))
            products |= {(q + 2 * shared * dim, hidden), (hidden, q), (t["vocab_size"] // ways, hidden)}
            if t.get("num_experts"):
                products.add((t["num_experts"], hidden))
            else:
                products |= {(2 * t["intermediate_size"] // ways, hidden), (hidden, t["intermediate_size"] // ways)}
            vision.add((v["num_heads"] // ways, width // v["num_heads"]))
            products |= {(3 * width // ways, width), (width, width // ways), (inner // ways, width), (width, inner // ways),
                         (group * width // ways, group * width), (hidden, group * width // ways)}
        patch = 3 * v["temporal_patch_size"] * v["patch_size"] ** 2
        products.add((width, patch))
    return products, text, vision


def number(seconds, hot):
    return f"{seconds * 1e6:.4g}" + ("h" if hot else "")


def write_lines(op, rows, hot, shapes):
    """Lines of a device file for one operation and type: an axis, then a row for each other shape with microseconds along
    the axis, "-" where nothing was measured and "h" behind a hot-cache value."""
    products, text, vision = shapes
    out = []
    seconds = rows["ms"] * 1e-3
    groups = collections.defaultdict(dict)
    if op == "gemm":
        ns, ks = sorted(set(rows["n"])), sorted(set(rows["k"]))
        cells = {(a, b) for n, k in products for a in enclosing(n, ns) for b in enclosing(k, ks)}
        keys, along = zip(rows["n"], rows["k"]), rows["m"]
        wanted = lambda key: key in cells
    elif op == "prefill":
        keys, along = zip(rows["heads"], rows["kv"], rows["batch"]), rows["s"]
        wanted = lambda key: key[:2] in text
    elif op == "decode":
        keys, along = zip(rows["heads"], rows["kv"], rows["batch"]), rows["keys"]
        wanted = lambda key: key[:2] in text
    elif op == "vision":
        keys, along = zip(rows["heads"], rows["dim"], rows["batch"]), rows["s"]
        wanted = lambda key: key[:2] in vision
    else:
        keys, along = zip(rows["hidden"], rows["inter"], rows["ep"], rows["alpha"]), rows["tokens"]
        wanted = lambda key: key[3] in (0.0, 1.2)
    kept = 0
    for key, a, s, h in zip(keys, along, seconds, hot):
        if wanted(key):
            groups[key].setdefault(a, []).append((s, h))
            kept += 1
    axis = sorted({a for g in groups.values() for a in g})
    out.append("axis " + " ".join(f"{a:g}" for a in axis))
    for key in sorted(groups):
        values = {a: number(float(np.median([s for s, _ in v])), all(h for _, h in v)) for a, v in groups[key].items()}
        out.append("row " + " ".join(f"{x:g}" for x in key) + " : " + " ".join(values.get(a, "-") for a in axis))
    return out, kept


def collectives(wheel, device):
    """All-reduce microseconds by ranks and elements (bf16), the newest NCCL table."""
    pattern = re.compile(re.escape(f"{SYSTEMS}data/{device}/comm/") + r"(nccl|oneccl)/([^/]+)/(\w+)_perf\.parquet$")
    found = [(version_key(m.group(2)), m.group(1) + " " + m.group(2), n) for n in wheel.names if (m := pattern.match(n))]
    if not found:
        return [], None
    _, version, path = max(found)
    table = parquet.read_table(io.BytesIO(wheel.archive.read(path)))
    columns = {c: np.array(table[c].to_pylist()) for c in table.column_names}
    keep = (columns["op_name"] == "all_reduce") & (columns["nccl_dtype"] == "half")
    groups = collections.defaultdict(dict)
    for r, size, ms in zip(columns["num_gpus"][keep], columns["message_size"][keep], columns["latency"][keep]):
        groups[int(r)].setdefault(int(size), []).append(float(ms))
    axis = sorted({s for g in groups.values() for s in g})
    lines = ["axis " + " ".join(map(str, axis))]
    for r in sorted(groups):
        lines.append(f"row {r} : " + " ".join(f"{1e3 * np.median(groups[r][s]):.4g}" if s in groups[r] else "-" for s in axis))
    return lines, version


# ---- everything ----

def errors(op, constants, device, rows, size, seconds):
    relative = np.abs(predict(op, constants, device, rows, size) / seconds - 1)
    return float(np.median(relative)), float(np.quantile(relative, 0.9))


def datasheet_error(op, device, rows, size, seconds):
    flops, moved = compulsory(op, rows, size)
    relative = np.abs(np.maximum(flops / device["flops"], moved / device["bandwidth"]) / seconds - 1)
    return float(np.median(relative))


def select(rows, keep):
    return {k: v[keep] for k, v in rows.items()}


def study(op, device, rows, size):
    """Fit on a random half of the rows that respect the memory roofline; errors on the other half."""
    seconds = rows["ms"] * 1e-3
    flops, moved = compulsory(op, rows, size)
    hot = moved / device["bandwidth"] > seconds
    generator = np.random.default_rng(SEED)
    train = (generator.random(len(seconds)) < 0.5) & ~hot
    test = ~train & ~hot
    picked = np.flatnonzero(train)
    if len(picked) > 8000:
        picked = np.sort(generator.choice(picked, 8000, replace=False))
    constants = fit(op, device, select(rows, picked), size, seconds[picked])
    median, p90 = errors(op, constants, device, select(rows, test), size, seconds[test])
    result = dict(constants=constants, rows=len(seconds), hot_rows=int(hot.sum()), tested=int(test.sum()),
                  median_error=round(median, 4), p90_error=round(p90, 4),
                  datasheet_error=round(datasheet_error(op, device, select(rows, test), size, seconds[test]), 4),
                  best_flops=round(float(np.max((flops / seconds)[~hot]) / device["flops"]), 4),
                  best_bandwidth=round(float(np.max((moved / seconds)[~hot]) / device["bandwidth"]), 4))
    return result, hot, select(rows, test), seconds[test]


def left_out(op, device, studies, tests, sizes):
    """The device from its datasheet and the middle of the other data-centre devices' constants."""
    for dtype in TYPES:
        others = [studies[d][op][dtype]["constants"] for d in DATA_CENTRE if d != device and dtype in studies[d].get(op, {})]
        if (device, op, dtype) not in tests or len(others) < 2:
            continue
        middle = {k: float(np.median([o[k] for o in others])) for k in others[0]}
        peaks, rows, seconds = tests[device, op, dtype]
        median, _ = errors(op, middle, peaks, rows, sizes[dtype], seconds)
        studies[device][op][dtype]["left_out_error"] = round(median, 4)


def peaks_of(wheel, name, dtype):
    constants = wheel.constants(name)
    peak = constants["bfloat16_tc_flops"] if dtype == "bfloat16" else constants.get("fp8_tc_flops", 0)
    return dict(DEVICES[name], flops=peak, bandwidth=constants["mem_bw"])


def device_file(wheel, name, shapes, studies, tests):
    lines = [f"# {name}: published kernel timings, microseconds. {PACKAGE}; see NOTICE."]
    for op, reader in OPS.items():
        for dtype, short in TYPES.items():
            rows, version = choose(op, reader, wheel, name, dtype)
            if rows is None:
                continue
            # attention multiplies in bf16 whatever the cache holds
            device = peaks_of(wheel, name, "bfloat16" if op in ("prefill", "vision", "decode") else dtype)
            result, hot, held, seconds = study(op, device, rows, BYTES[dtype])
            result["source"] = version
            studies[name].setdefault(op, {})[dtype] = result
            tests[name, op, dtype] = (device, held, seconds)
            body, kept = write_lines(op, rows, hot, shapes)
            lines += [f"table {op} {short} {version.replace(' ', '-')}"] + body
            print(f"{name} {op} {short}: {result['median_error']:.1%} (p90 {result['p90_error']:.0%}), datasheet "
                  f"{result['datasheet_error']:.0%}, hot {result['hot_rows']}/{result['rows']}, kept {kept}", flush=True)
    body, version = collectives(wheel, name)
    if version:
        lines += [f"table all_reduce bf16 {version.replace(' ', '-')}"] + body
    return "\n".join(lines) + "\n"


RUN_COLUMNS = ["model_path", "system", "backend", "precision", "gemm_quant_mode", "moe_quant_mode", "isl", "osl", "batch_size",
               "tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size", "silicon_ttft_ms", "silicon_tpot_ms"]


def end_to_end(wheel):
    """The measured runs of the two text models that Qwen3-VL-32B and 235B-A22B contain."""
    rows = [r for r in csv.DictReader(io.StringIO(wheel.text("silicon_sample.csv")))
            if r["mode"] == "agg" and r["model_path"] in ("Qwen/Qwen3-32B", "Qwen/Qwen3-235B-A22B-FP8") and r["silicon_tpot_ms"]]
    lines = ["\t".join(RUN_COLUMNS)]
    for r in rows:
        r = dict(r, silicon_ttft_ms=f"{float(r['silicon_ttft_ms']):.5g}", silicon_tpot_ms=f"{float(r['silicon_tpot_ms']):.5g}")
        lines.append("\t".join(r[c] or "-" for c in RUN_COLUMNS))
    return "\n".join(lines) + "\n"


SHAPE = {"gemm": ("m", "n", "k"), "prefill": ("batch", "heads", "kv", "s", None, "dim"), "vision": ("batch", "heads", "dim", "s"),
         "decode": ("batch", "heads", "kv", "keys", "dim"), "moe": ("tokens", "hidden", "inter", "chosen", "experts", "ep")}


def checks(studies, tests):
    """Shapes and seconds by the fitted formulas, for the test of their C version: the first held-out rows of each table. Rows
    of even routing are left out, since bench/kernel_time.c always takes uneven routing."""
    lines = []
    for (name, op, dtype), (device, rows, _) in tests.items():
        seconds = predict(op, studies[name][op][dtype]["constants"], device, rows, BYTES[dtype])
        picked = [i for i in range(len(seconds)) if op != "moe" or rows["skewed"][i] > 0][:4]
        for i in picked:
            shape = " ".join(f"{rows[c][i]:.17g}" if c else "0" for c in SHAPE[op])
            lines.append(f"{name} {op} {TYPES[dtype]} {seconds[i]:.12g} {shape}")
    (HERE.parent.parent / "tests" / "golden" / "published_fits.txt").write_text("\n".join(lines) + "\n")


def document(studies):
    """The table of docs/PUBLISHED.md."""
    lines = ["| device | operation | type | source | rows | hot | median | p90 | datasheet | left out |", "|" + "---|" * 10]
    for name, ops in studies.items():
        for op, types in ops.items():
            for dtype, r in types.items():
                other = f"{r['left_out_error']:.1%}" if "left_out_error" in r else ""
                lines.append(f"| {name} | {op} | {TYPES[dtype]} | {r['source']} | {r['rows']:,} | {r['hot_rows']:,} | "
                             f"{r['median_error']:.1%} | {r['p90_error']:.0%} | {r['datasheet_error']:.0%} | {other} |")
    page = HERE.parent.parent / "docs" / "PUBLISHED.md"
    text = page.read_text()
    before, after = text.split("<!-- table -->")[0], text.split("<!-- end -->")[1]
    page.write_text(before + "<!-- table -->\n" + "\n".join(lines) + "\n<!-- end -->" + after)


NOTICE = f"""These tables are derived from {PACKAGE} (wheel sha256 {SHA256}),
Copyright (c) 2025-2026 NVIDIA CORPORATION & AFFILIATES, Apache License 2.0, by datasets/hardware/published.py.
Changed: rows selected, rounded to four digits, milliseconds turned into microseconds, constants fitted (fits.json).
They are measurements published by others; nobody in this project made or repeated them.
"""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    wheel, folder = Wheel(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    shapes, studies, tests = model_shapes(), {d: {} for d in DEVICES}, {}
    for name in DEVICES:
        (folder / f"{name}.txt").write_text(device_file(wheel, name, shapes, studies, tests))
    for name in DATA_CENTRE:
        for op in OPS:
            left_out(op, name, studies, tests, BYTES)
    devices = {name: dict(peaks_of(wheel, name, "bfloat16"), fp8=wheel.constants(name).get("fp8_tc_flops", 0),
                          tables={op: {TYPES[t]: r for t, r in by.items()} for op, by in studies[name].items()})
               for name in DEVICES}
    (folder / "fits.json").write_text(json.dumps(dict(package=PACKAGE, sha256=SHA256, seed=SEED, devices=devices), indent=1) + "\n")
    (folder / "runs.txt").write_text(end_to_end(wheel))
    (folder / "NOTICE").write_text(NOTICE)
    document(studies)
    checks(studies, tests)


if __name__ == "__main__":
    main()
