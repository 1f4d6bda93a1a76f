"""Put the measured numbers into README.md, from the committed results.

deep-protection demo --out docs/results/demo
python -m benchmarks.readme
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- demo:begin (python -m benchmarks.readme) -->\n", "<!-- demo:end -->"
NAMES = {"none": "clean, not attacked", "pgd": "PGD, Linf 4/255, 40 steps", "fgsm": "FGSM, Linf 8/255"}


def table(report: dict[str, Any]) -> str:
    """The demo's numbers as Markdown."""
    jpeg = next(key for key in report["results"][0] if key.startswith("jpeg"))
    lines = [
        f"`make demo`: {report['pictures']['recognised']} of {report['pictures']['taken']} ImageNet photographs that "
        f"`{report['classifier']}` gets right, preset `{report['preset']}`, stop `{report['stop']}`, attacked pictures "
        "only where the attack succeeded. Right answers, top-1 / top-5, with the 95 % interval of top-1:",
        "",
        f"| pictures | n | undefended | JPEG {jpeg.removeprefix('jpeg')} | restored | s, JPEG | s, restored |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["results"]:
        n = row["n"]
        cells = [cell(row[name]) for name in ("undefended", jpeg, "restored")]
        seconds = [f"{row[name]['seconds'] / n:.{digits}f}" for name, digits in ((jpeg, 3), ("restored", 1))]
        lines.append("| " + " | ".join([NAMES[row["attack"]], str(n), *cells, *seconds]) + " |")
    machine = f"Wall time on {report['cores']} CPU cores"
    return "\n".join(
        [
            *lines,
            "",
            f"{machine}, s is seconds a picture; rows in [docs/results/demo](docs/results/demo/results.json).",
            "",
        ]
    )


def cell(score: dict[str, Any]) -> str:
    low, high = score["top1_interval"]
    return f"{score['top1']:.0%} / {score['top5']:.0%} ({low:.0%}–{high:.0%})"


def filled(readme: str, report: dict[str, Any]) -> str:
    """The README with its table made anew."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table(report) + END + after


def main() -> None:
    report = json.loads((ROOT / "docs/results/demo/results.json").read_text())
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text(), report))


if __name__ == "__main__":
    main()
