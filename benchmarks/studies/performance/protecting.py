"""What the protection costs for images that nobody attacked, beside an earlier commit, in one interleaved run.

    python -m benchmarks protect-costs --images DIR --against COMMIT

On one thread, image by image; with this processor's own arithmetic, and with what one without AVX-512 and bfloat16 has.
"""

import json
import sys
from pathlib import Path
from statistics import mean, median

import benchmarks
from benchmarks import ROOT, rows
from benchmarks.commits import call, checked_out
from benchmarks.machine import describe
from deep_protection.evaluation.report.document import Table, block_markdown

RESULTS = benchmarks.RESULTS / "speed/protect.jsonl"
PROCESSORS = {
    "as it is": {},
    "without AVX-512 and bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "NO_BFLOAT16": "1"},
}
# Only what both commits have: it runs in either's code.
MEASURE = """
import json, os, sys, time
import torch
torch.set_num_threads(1)
import deep_protection as dp
from PIL import Image
import deep_protection.fitting.devices as devices
if os.environ.get("NO_BFLOAT16"):
    devices.cpu_has_bfloat16 = lambda: False
model = dp.load_classifier("lite0")
ways = {"bare": None, "quick": dp.protect(model, quick=True), "protected": dp.protect(model)}
pixels = [model.preprocess(Image.open(path).convert("RGB")).clamp(0, 1)[None] for path in json.load(sys.stdin)]
with torch.no_grad():
    for number, each in enumerate([pixels[0], *pixels]):  # the first only warms up
        for way, guard in ways.items():
            begin = time.process_time()
            found = model(each) if guard is None else guard.explain(each)[0]
            spent = time.process_time() - begin
            flagged = guard is not None and found.is_suspicious
            fitted = way == "protected" and "first look" not in found.reason
            if number:
                print(json.dumps({"image": number, "way": way, "cpu_seconds": round(spent, 4), "flagged": flagged,
                                  "fitted": fitted}))
"""


def run(images: Path, against: str, limit: int, rounds: int, out: Path = RESULTS) -> None:
    """Round by round, commit by commit; nothing is written before all of it is measured."""
    files = sorted(
        str(path.resolve()) for path in images.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    chosen = files[:: max(1, len(files) // limit)][:limit]
    now = call(["git", "describe", "--always", "--dirty"]).strip()
    measured: list[rows.Row] = [{"machine": describe(), "against": against, "now": now, "rounds": rounds}]
    with checked_out(against) as before:
        for turn in range(rounds):
            for processor, environment in PROCESSORS.items():
                for commit, tree in (("before", before), ("now", ROOT)):
                    given = {**environment, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
                    said = call([sys.executable, "-c", MEASURE], tree, json.dumps(chosen), **given)
                    about = {"processor": processor, "commit": commit, "round": turn}
                    measured += [{**about, **json.loads(line)} for line in said.splitlines()]
    out.unlink(missing_ok=True)  # only now: what was measured before stays where this one fails
    rows.append(out, measured)


def costs() -> str:
    """Median CPU seconds an image that is not flagged, before and now."""
    if not RESULTS.exists():
        return "Not measured yet.\n"
    head, *found = rows.read(RESULTS)
    lines = []
    for processor in PROCESSORS:
        for way, title in (("bare", "`lite0` alone"), ("quick", "`quick=True`"), ("protected", "**protected**")):
            own = [row for row in found if (row["processor"], row["way"]) == (processor, way) and not row["flagged"]]
            before, now = ([row for row in own if row["commit"] == each] for each in ("before", "now"))
            middle = [median(row["cpu_seconds"] for row in each) for each in (before, now)]
            means = [mean(row["cpu_seconds"] for row in each) for each in (before, now)]
            fitted = f"{100 * mean(row['fitted'] for row in now):.0f} %" if way == "protected" else ""
            lines.append(
                [
                    title,
                    processor,
                    *(f"{a:.3f} / {b:.3f}" for a, b in zip(middle, means, strict=True)),
                    f"{middle[0] / middle[1]:.1f}×",
                    fitted,
                ]
            )
    heading = (
        "",
        "processor",
        f"{head['against'][:7]}: median / mean",
        f"{head['now']}: median / mean",
        "less",
        "fitted",
    )
    count = len({row["image"] for row in found})
    note = f"{head['machine']['processor']}; {count} photographs, {head['rounds']} rounds, one thread."
    return f"{note}\n\n{block_markdown(Table(heading, lines))}"
