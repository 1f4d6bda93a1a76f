"""``python -m benchmarks``: one command a question."""

import argparse
from pathlib import Path

RESULTS = Path("docs/results/speed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("long", help="fits of a slow peer to its published end, resumable")
    long.add_argument("--images", type=Path, required=True)
    long.add_argument("--method", default="published")
    long.add_argument("--attacks", default="pgd")
    long.add_argument("--pictures", type=int, default=4)
    long.add_argument("--every", type=int, default=25)
    long.add_argument("--out", type=Path, default=RESULTS / "long.jsonl")
    options = parser.parse_args()
    from benchmarks import long_fits

    long_fits.run(
        options.images, options.out, options.method, options.attacks.split(","), options.pictures, options.every
    )
