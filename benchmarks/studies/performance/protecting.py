"""What the protection costs for images that nobody attacked, beside an earlier commit, in one interleaved run.

    python -m benchmarks protect-costs --images DIR --against COMMIT

On one thread, image by image; with this processor's own arithmetic, and with what one without AVX-512 and bfloat16 has.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median

import benchmarks
from benchmarks import ROOT, rows
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
    """Round by round, commit by commit."""
    files = sorted(
        str(path.resolve()) for path in images.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    chosen = files[:: max(1, len(files) // limit)][:limit]
    out.unlink(missing_ok=True)
    rows.append(out, [{"machine": describe(), "against": against, "rounds": rounds}])
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        _call(["git", "worktree", "add", "--detach", str(before), against])
        try:
            for turn in range(rounds):
                for processor, environment in PROCESSORS.items():
                    for commit, tree in (("before", before), ("now", ROOT)):
                        given = {**os.environ, **environment, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
                        said = _call([sys.executable, "-c", MEASURE], tree, given, json.dumps(chosen))
                        about = {"processor": processor, "commit": commit, "round": turn}
                        rows.append(out, [{**about, **json.loads(line)} for line in said.splitlines()])
        finally:
            _call(["git", "worktree", "remove", "--force", str(before)])


def _call(command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None, given: str = "") -> str:
    done = subprocess.run(command, cwd=cwd, env=env, input=given, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed: {done.stderr.strip()}")
    return done.stdout


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
            least = [mean(row["cpu_seconds"] for row in each) for each in (before, now)]
            fitted = f"{100 * mean(row['fitted'] for row in now):.0f} %" if way == "protected" else ""
            lines.append(
                [
                    title,
                    processor,
                    *(f"{a:.3f} / {b:.3f}" for a, b in zip(middle, least, strict=True)),
                    f"{middle[0] / middle[1]:.1f}×",
                    fitted,
                ]
            )
    heading = ("", "processor", f"{head['against'][:7]}: median / mean", "now: median / mean", "less", "fitted")
    count = len({row["image"] for row in found})
    note = f"{head['machine']['processor']}; {count} photographs, {head['rounds']} rounds, one thread."
    return f"{note}\n\n{block_markdown(Table(heading, lines))}"
