"""The tables of docs/performance.md, one function each."""

from collections.abc import Callable

from benchmarks import ROOT, rows
from benchmarks.rows import RESULTS
from benchmarks.studies.performance import protecting
from benchmarks.studies.performance.ideas import IDEAS
from benchmarks.studies.performance.summary import (
    ATTACKS,
    LENGTHS,
    TITLES,
    Point,
    ever_right,
    images_of,
    length,
    recovery,
)
from deep_protection.evaluation import BASELINES
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.report.document import Table, block_markdown

FOLDER = ROOT / RESULTS
LEAST = 8
"""What was run on fewer images stands in the table of the same images only."""


def machine(name: str) -> str:
    """What a results file says of the machine it was made on, and how often everything was measured."""
    head = rows.read(FOLDER / name)[0]
    about, rounds = head["machine"], head["rounds"]
    has = "with" if about["bfloat16"] else "without"
    often = f"medians of {rounds} rounds" if rounds > 1 else "one round"
    return f"{about['processor']}, {about['cores']} cores, {has} bfloat16 instructions; torch {about['torch']}; {often}"


def speed() -> str:
    """Seconds an iteration, and how that compares with the published recipe on as many threads."""
    found = [row for row in rows.read(FOLDER / "speed.jsonl") if "method" in row]
    peer = {row["threads"]: row for row in found if row["method"] == "published"}
    lines = [
        (
            row["method"],
            str(row["threads"]),
            f"{1000 * row['seconds']:.1f}",
            f"{1000 * row['cpu_seconds']:.1f}",
            f"{peer[row['threads']]['cpu_seconds'] / row['cpu_seconds']:.2f}×",
            f"{peer[row['threads']]['seconds'] / row['seconds']:.2f}×",
        )
        for row in found
    ]
    heading = ("method", "threads", "wall, ms", "CPU, ms", "less CPU than published", "less wall")
    ours = next(row for row in found if (row["method"], row["threads"]) == ("fast, bfloat16", 1))
    whole, fitted = (
        cpu * length(name) for name, cpu in (("published", peer[1]["cpu_seconds"]), ("fast", ours["cpu_seconds"]))
    )
    told = (
        f"One iteration of one 224×224 image. To its own end the published recipe takes {length('published'):,} of "
        f"them, {whole:,.0f} CPU s on one thread; `fast` takes {length('fast')}, {fitted:.2f} CPU s: "
        f"{whole / fitted:,.0f}× less"
    )
    return f"{machine('speed.jsonl')}. {told}.\n\n{block_markdown(Table(heading, lines))}"


def _cell(point: Point | None) -> str:
    if point is None:
        return "–"
    return f"{point.top1:.0%} / {point.top5:.0%} ({point.interval[0]:.0%}–{point.interval[1]:.0%})"


def _recovery(points: dict[tuple[str, str, int], Point]) -> str:
    methods = [method for method in TITLES if any(method == name for name, _, _ in points)]
    lines = []
    for method in methods:
        at = {attack: points.get((method, attack, length(method))) for attack in ATTACKS}
        there = [point for point in at.values() if point is not None]
        if not there:
            continue
        seconds = sum(point.cpu_seconds * point.n for point in there) / sum(point.n for point in there)
        shown = f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"
        counts = "/".join(str(point.n) if point else "–" for point in at.values())
        hurt = [point.top1 for attack, point in at.items() if point and attack != "none"]
        mean, worst = ("–", "–")
        if len(hurt) == len(ATTACKS) - 1:
            mean, worst = f"{sum(hurt) / len(hurt):.0%}", f"{min(hurt):.0%}"
        lines.append((TITLES[method], *(_cell(point) for point in at.values()), mean, worst, counts, shown))
    heading = ("defence", *ATTACKS.values(), "mean attack", "worst attack", "n", "CPU s an image")
    return block_markdown(Table(heading, lines))


def all_images() -> str:
    """Every method on all images it has been run on."""
    points = recovery(FOLDER)
    return _recovery({key: point for key, point in points.items() if key[0] in BASELINES or point.n >= LEAST})


def same_images() -> str:
    """Every method on exactly those images on which the published recipe has ended, under PGD 4/255."""
    chosen = images_of("published", "pgd", FOLDER)
    points = {key: point for key, point in recovery(FOLDER, chosen).items() if key[1] == "pgd"}
    lines = []
    for method in TITLES:
        point = points.get((method, "pgd", length(method)))
        if point is None or point.n < len(chosen):
            continue
        lines.append(
            (
                TITLES[method],
                _cell(point),
                f"{ever_right(method, 'pgd', chosen, FOLDER):.0%}" if method not in BASELINES else "",
                f"{point.cpu_seconds:.4g}",
                f"{points['published', 'pgd', LENGTHS['published']].cpu_seconds / point.cpu_seconds:,.0f}×",
            )
        )
    heading = (
        "defence",
        f"PGD 4/255, n = {len(chosen)}",
        "oracle stop an image, top-1",
        "CPU s an image",
        "less CPU",
    )
    return block_markdown(Table(heading, lines))


def ideas() -> str:
    """Each idea with what was expected, its figures at the best checkpoint, and what was decided."""
    found = read_table(FOLDER / "ideas.parquet")
    attacks = {row["attack"] for row in found}
    lines = []
    for idea in IDEAS:
        own = [row for row in found if (row["idea"], row["of"]) == (idea.name, idea.settings)]
        if {row["attack"] for row in own} != attacks:
            continue  # not all measured: its means would be of something else
        means: dict[int, list[float]] = {}
        for row in own:
            means.setdefault(row["iteration"], []).append(row["probability_true"])
        score = {iteration: sum(values) / len(values) for iteration, values in means.items()}
        best = max(score, key=lambda iteration: score[iteration])
        # The first checkpoint that is as good as the best, as far as so few images can tell.
        soon = min(iteration for iteration in score if score[iteration] >= score[best] - 0.01)
        top1 = [row["top1_correct"] for row in own if row["iteration"] == soon]
        cost = sum(row["cpu_ms_an_iteration"] for row in own) / len(own)
        lines.append(
            (
                idea.name,
                idea.expected or "–",
                f"{cost:.1f}",
                str(soon),
                f"{cost * soon / 1000:.2f}",
                f"{score[soon]:.2f}",
                f"{sum(top1) / len(top1):.0%}",
                idea.verdict,
            )
        )
    n = found[0]["n"] if found else 0
    titles = ", ".join(title for name, title in ATTACKS.items() if name in attacks)
    heading = ("change", "expected", "CPU ms/it", "iterations", "CPU s", "p(true)", "top-1", "verdict")
    return f"{n} images × {titles}.\n\n{block_markdown(Table(heading, lines))}"


def scale() -> str:
    """Cost an image against number, size and cores."""
    found = [row for row in rows.read(FOLDER / "scale.jsonl") if "what" in row]
    lines = [
        (
            str(row["count"] * row.get("processes", 1)),
            f"{row['size']}²",
            f"{row['processes']} programs" if "processes" in row else str(row["workers"] or "all"),
            f"{row['seconds_an_image']:.2f}",
            f"{row['cpu_seconds_an_image']:.2f}",
            f"{1e6 * row['cpu_seconds_an_image'] / row['size'] ** 2:.1f}",
            f"{row['images_a_second']:.2f}",
            f"{row['peak_mib']:.0f}",
        )
        for row in found
    ]
    heading = ("images", "size", "workers", "wall s an image", "CPU s an image", "CPU µs a pixel",
               "images/s", "peak MiB")  # fmt: skip
    return f"{machine('scale.jsonl')}. Preset `fast`, {found[0]['peak_mib_before']:.0f} MiB of the peak are " \
           f"Python and PyTorch.\n\n{block_markdown(Table(heading, lines))}"  # fmt: skip


def gpu() -> str:
    """Images a second of fits and of the protection, in batches on a GPU."""
    head, *found = rows.read(FOLDER / "gpu.jsonl")
    measured = [row for row in found if "batch" in row]
    batches = sorted({row["batch"] for row in measured})
    lines = []
    for what in dict.fromkeys(row["what"] for row in measured):
        by_batch = {row["batch"]: row for row in measured if row["what"] == what}
        cells = [f"{by_batch[batch]['images_a_second']:.1f}" if batch in by_batch else "–" for batch in batches]
        lines.append((what, *cells, f"{max(row['peak_mib'] for row in by_batch.values()):.0f}"))
    fits, answers = found[0], found[1]
    note = (
        f"{head['machine']['gpu']}, torch {head['machine']['torch']}; images a second of 224², by batch. Beside the "
        f"CPU, on {fits['images']} photographs: restorations of 30 iterations are alike to {fits['psnr_least']:.0f} "
        f"dB or more; {answers['same_class']} of {answers['images']} protected answers are the same class, "
        f"{answers['same_kind_of_answer']} are answers of the same kind, and agreements differ by "
        f"{answers['agreement_furthest']} at most."
    )
    heading = ("", *(str(batch) for batch in batches), "peak MiB")
    return f"{note}\n\n{block_markdown(Table(heading, lines))}"


def profile() -> str:
    """The operations that take most of an iteration of `fast`."""
    head, *found = rows.read(FOLDER / "profile-fast.jsonl")
    lines = [
        (f"`{row['operation']}`", f"{row['share']:.0%}", f"{row['ms_an_iteration']:.2f}",
         f"{row['calls_an_iteration']:.0f}")
        for row in found
    ]  # fmt: skip
    heading = ("operation", "share", "ms an iteration", "calls")
    note = f"PyTorch's profiler over {head['iterations']} iterations on one thread; the profiler itself costs some."
    return f"{note}\n\n{block_markdown(Table(heading, lines))}"


TABLES: dict[str, Callable[[], str]] = {
    "speed": speed,
    "recovery": all_images,
    "peers": same_images,
    "profile": profile,
    "ideas": ideas,
    "scale": scale,
    "gpu": gpu,
    "protect_costs": protecting.costs,
}
