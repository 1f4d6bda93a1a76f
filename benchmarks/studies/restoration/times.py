"""What restoring takes by size: CPU seconds, seconds by the clock and the most memory, each in a process of its own.

python -m benchmarks restore-times --images DIR
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from benchmarks import ROOT, rows
from deep_protection.evaluation.report.document import Table, block_markdown

RESULTS = Path("docs/results/restoration/times.jsonl")
SIZES = {"256²": (256, 256), "512²": (512, 512), "1024²": (1024, 1024), "12 MP": (4000, 3000)}
"""Of what is drawn."""
TASKS = ("non-local means", "denoise", "dejpeg", "inpaint", "upscale")
OF = "DIP/F16_GT.png"


def run(folder: Path, out: Path) -> None:
    for size in SIZES:
        for task in TASKS:
            key = {"task": task, "size": size}
            if any(key.items() <= row.items() for row in rows.read(out)):
                continue
            line = [sys.executable, "-m", __spec__.name, str(folder), task, size]
            done = subprocess.run(line, check=True, capture_output=True, text=True)  # noqa: S603
            rows.append(out, [{**key, **json.loads(done.stdout.splitlines()[-1])}])
            sys.stderr.write(f"timed: {task} {size}\n")


def _once(folder: Path, task: str, size: str) -> None:
    import torch

    import deep_protection as dp
    from benchmarks.studies.restoration.cases import FACTOR, SIGMA, Case, compressed, noisy
    from benchmarks.studies.restoration.methods import METHODS
    from deep_protection.images import as_image

    torch.set_num_threads(1)
    width, height = SIZES[size]
    image = Image.open(folder / OF).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    truth = as_image(image).pixels
    small = as_image(image.resize((width // FACTOR, height // FACTOR), Image.Resampling.LANCZOS)).pixels
    mask = as_image(folder / "DIP/kate_mask.png").pixels[0] < 0.5
    missing = mask.repeat(-(-height // 512), -(-width // 512))[:height, :width]
    begin, clock = time.process_time(), time.perf_counter()
    if task == "non-local means":
        METHODS["denoise"][task](Case("denoise", OF, truth, noisy(truth), SIGMA))
    elif task == "denoise":
        dp.denoise(noisy(truth))
    elif task == "dejpeg":
        dp.dejpeg(compressed(truth))
    elif task == "inpaint":
        dp.inpaint(truth * ~missing, missing)
    else:
        dp.upscale(small, FACTOR)
    told = {
        "cpu_seconds": round(time.process_time() - begin, 2),
        "seconds": round(time.perf_counter() - clock, 2),
        "mebibytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def table() -> str:
    """CPU seconds and memory of every task at every size."""
    found = {(row["task"], row["size"]): row for row in rows.read(ROOT / RESULTS)}
    lines = []
    for task in TASKS:
        cells = [found.get((task, size)) for size in SIZES]
        lines.append([task, *("" if each is None else f"{each['cpu_seconds']:.3g}" for each in cells)])
        lines[-1].append("" if cells[-1] is None else f"{cells[-1]['mebibytes']:,}")
    return block_markdown(Table(["CPU seconds", *SIZES, "MiB at 12 MP"], lines))


TABLES = {"restore_times": table}

if __name__ == "__main__":
    _once(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
