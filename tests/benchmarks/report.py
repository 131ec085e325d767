"""What came of the benchmarks: JSON, its history, and the tables that spec/speed.md shows."""

import json
import re
import statistics
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench import all_benchmarks

HERE = Path(__file__).parent
RESULTS, HISTORY = HERE / "results.json", HERE / "history.jsonl"
PAGES = ("spec/speed.md",)
MARKS = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def summary(benchmark, found):
    """Return the medians, the ratio, and whether the bound holds.

    The ratio is of the medians; beside it stand the least and the greatest of the pairs, which tell
    how much the machine's other work moved it.
    """
    ours, theirs = found["ours"], found["theirs"]
    one = {
        "name": benchmark.name,
        "what": benchmark.what,
        "work": benchmark.work,
        "peer": benchmark.peer,
        "unit": benchmark.unit,
        "floor": benchmark.floor,
        "ceiling": benchmark.ceiling,
        "ours": statistics.median(ours),
        "pairs": len(ours),
        "facts": found["facts"],
    }
    if theirs:
        of_pairs = [b / a for a, b in zip(ours, theirs, strict=True)]
        one |= {
            "theirs": statistics.median(theirs),
            "ratio": statistics.median(theirs) / statistics.median(ours),
            "least": min(of_pairs),
            "most": max(of_pairs),
        }
    one["holds"] = holds(one)
    return one


def holds(one):
    """Tell whether a result keeps its bound."""
    return (one["floor"] is None or one["ratio"] >= one["floor"]) and (
        one["ceiling"] is None or one["ours"] <= one["ceiling"]
    )


def line(one):
    """Return a result as a line for the terminal."""
    mark = "ok  " if one["holds"] else "LESS"
    if "ratio" not in one:
        return f"{mark} {one['name']}: {figure(one['ours'], one['unit'])}{_bound(one, ', ')}"
    return (
        f"{mark} {one['name']}: {figure(one['ours'], one['unit'])} against "
        f"{figure(one['theirs'], one['unit'])}: {one['ratio']:.2f} times "
        f"({one['least']:.2f} to {one['most']:.2f}){_bound(one, ', ')}"
    )


def _bound(one, before):
    if one["floor"] is not None:
        return f"{before}at least {one['floor']:g}"
    return "" if one["ceiling"] is None else f"{before}at most {one['ceiling']:g} {one['unit']}"


def figure(value, unit):
    """Write a figure with three digits and a unit that suits it."""
    if unit == "s" and value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    if unit == "s" and value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def table(results):
    """Return the table of ratios in Markdown."""
    lines = [
        "| `tox -e bench --` | what | on | mlmref | against | ratio | floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results.values():
        if "ratio" in one:
            against = f"{figure(one['theirs'], one['unit'])}, {one['peer']}"
            ratio = f"**{one['ratio']:,.0f}**" if one["ratio"] >= 100 else f"**{one['ratio']:.3g}**"
        else:
            against, ratio = "", ""
        cells = (
            f"`{one['name']}`",
            one["what"],
            one["work"] + ("; measured once" if one["pairs"] == 1 else ""),
            figure(one["ours"], one["unit"]),
            against,
            ratio,
            _bound(one, "").removeprefix("at least ") + ("" if holds(one) else ", missed"),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shown(text, kept):
    """Put what the results say between the marks of a page."""
    results = kept["results"]
    parts = {
        "table": table(results),
        "machine": told(kept),
        "share": shares(results),
        "growth": growth(results),
    }
    return MARKS.sub(lambda found: found[1] + parts[found[2]] + found[3], text)


def shares(results):
    """Return how much of what the machine can do each of some benchmarks reaches."""
    lines = ["| | asks for | of the machine's | share |", "|---|---|---|---|"]
    for name, one in results.items():
        facts = one["facts"]
        if "share_of_machine" in facts:
            work = f"{facts['gigaflop']:.0f} GFLOP in matrix products"
            rate = f"{facts['machine_gigaflop_per_s']:.0f} GFLOP/s"
            lines.append(f"| `{name}` | {work} | {rate} | {facts['share_of_machine']:.0%} |")
        elif "share_of_bandwidth" in facts:
            work = f"{facts['least_megabyte']:.3g} MB read and written"
            lines.append(
                f"| `{name}` | {work} | bandwidth of memory | {facts['share_of_bandwidth']:.0%} |"
            )
    return "\n".join(lines) + "\n"


def growth(results):
    """Return how time and memory grow with the corpus."""
    columns = ("text", "cold cache", "rate", "peak memory", "without mapped files")
    columns += ("index", "warm cache", "training, without them")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    cold, warm, train = (
        results.get(name, {"facts": {}})["facts"]
        for name in ("prepare-memory", "warm", "train-memory")
    )
    for size, one in cold.items():
        cells = (
            f"{int(size):,} MB",
            figure(one["seconds"], "s"),
            f"{one['megabyte_per_s']:.0f} MB/s",
            f"{one['peak']:,.0f} MB",
            f"{one['own']:,.0f} MB",
            f"{one['index']:.1f} MB",
            figure(warm[size], "s"),
            f"{train[size]['own']:,.0f} MB",
        )
        lines.append("| " + " | ".join(cells) + " |")
    if cold:
        largest = max(cold, key=int)
        one = cold[largest]
        lines += [
            "",
            f"1 TB at the last row's rate: {1e6 / one['megabyte_per_s'] / 3600:.0f} hours, with an "
            f"index of {one['index'] / int(largest) * 1e3:.0f} GB.",
        ]
    return "\n".join(lines) + "\n"


def told(kept):
    """Say in a sentence on what machine and when the figures were taken."""
    about = kept["machine"]
    return (
        "Medians of five pairs or more, both sides in turn, on "
        f"{about['cores']} cores of a {about['processor']} "
        f"({about['matrix_products_gigaflop_per_s']:.0f} GFLOP/s in float32 matrix products, "
        f"{about['memory_gigabyte_per_s']:.0f} GB/s of copying) on {kept['date']}, with torch "
        f"{about['torch']}, transformers {about['transformers']}, datasets {about['datasets']}. "
        "Not run on a GPU.\n"
    )


def write(root, machine, results, *, whole):
    """Write results, a line of history, and the pages.

    Rows keep the date and the machine that they were measured on.
    """
    today, known = datetime.now(UTC).date().isoformat(), load()
    fresh = {name: one | {"date": today} for name, one in results.items()}
    measured = fresh if whole else known["results"] | fresh
    rows = {name: measured[name] for name in all_benchmarks() if name in measured}
    kept = {"date": today, "machine": machine, "results": rows}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    figures = {name: round(one.get("ratio", one["ours"]), 3) for name, one in fresh.items()}
    past = {"date": today, "machine": machine["processor"], "figures": figures}
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(past) + "\n")
    for page in PAGES:
        path = root / page
        path.write_text(shown(path.read_text("utf-8"), kept), "utf-8")


def load():
    """Return what was written last."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"results": {}}
