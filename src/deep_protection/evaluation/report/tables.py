"""The tables of a report, one function each."""

from collections.abc import Collection
from statistics import median

from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.experiment.judging import BEST
from deep_protection.evaluation.report.document import Table
from deep_protection.evaluation.report.rows import CLEAN, Defence, Row, Rows, Score, attack_title, score
from deep_protection.evaluation.report.stops import best_count, courses, faults, oracle_stops


def share(value: float) -> str:
    return f"{100 * value:.0f}"


def _cell(found: Score) -> str:
    low, high = found.interval
    return f"{share(found.top1)} / {share(found.top5)} ({share(low)}–{share(high)})"


def seconds(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def recovery(rows: Rows, stops: Collection[str] | None = None) -> Table:
    """Defence × attack; of fits ended by ``stops`` only, where they are named."""
    heading = [
        "defence",
        *(attack_title(attack) for attack in (CLEAN, *rows.attacks)),
        "mean attack",
        "worst attack",
        "right under all",
        "n",
        "CPU s",
    ]
    lines = []
    for defence, by_attack in rows.groups.items():
        if stops is not None and defence.stop not in stops:
            continue
        scores = {attack: score(found) for attack, found in by_attack.items()}
        hurt = [scores[attack] for attack in rows.attacks if attack in scores]
        whole = len(hurt) == len(rows.attacks) > 0
        mean, worst = "–", "–"
        if whole:
            mean = f"{share(sum(s.top1 for s in hurt) / len(hurt))} / {share(sum(s.top5 for s in hurt) / len(hurt))}"
            worst = f"{share(min(s.top1 for s in hurt))} / {share(min(s.top5 for s in hurt))}"
        counts = {s.n for s in scores.values()}
        total_seconds = sum(s.cpu_seconds * s.n for s in scores.values()) / sum(s.n for s in scores.values())
        lines.append(
            [
                defence.title,
                *(_cell(scores[attack]) if attack in scores else "–" for attack in (CLEAN, *rows.attacks)),
                mean,
                worst,
                share(right_under_all(rows, by_attack)) if whole else "–",
                str(counts.pop()) if len(counts) == 1 else f"{min(counts)}–{max(counts)}",
                seconds(total_seconds),
            ]
        )
    return Table(heading, lines)


def right_under_all(rows: Rows, by_attack: dict[str, list[Row]]) -> float:
    """The share of images whose first answer is right whichever of the attacks is made on them.

    Of those that all attacks have been made on.
    """
    images = set.intersection(*({row["image"] for row in by_attack[attack]} for attack in rows.attacks))
    wrong = {row["image"] for attack in rows.attacks for row in by_attack[attack] if not row["top1_correct"]}
    return len(images - wrong) / len(images) if images else 0.0


def unfiltered(rows: Rows) -> Table:
    """Accuracy on all images, those included that the classifier gets wrong when nobody has tampered with them."""
    groups: dict[Defence, list[Row]] = {}
    clean: dict[Defence, list[Row]] = {}
    for row in rows.all:
        into = clean if row["attack"] == CLEAN else groups
        into.setdefault(Defence(row["defence"], row["stop"]), []).append(row)
    lines = []
    for defence in rows.groups:
        cells = [_cell(score(part[defence])) if defence in part else "–" for part in (clean, groups)]
        lines.append([defence.title, *cells, str(len({row["image"] for row in clean.get(defence, [])}))])
    return Table(["defence", "clean", "all attacks together", "images"], lines)


def attacks(rows: Rows) -> Table:
    """What each attack does before any defence."""
    lines = []
    for attack in rows.attacks:
        found = {row["image"]: row for row in rows.results if row["attack"] == attack}.values()
        failed = [row for row in found if row["error"]]
        lines.append(
            [
                attack_title(attack),
                str(len(found)),
                share(sum(row["attack_success"] for row in found) / len(found)),
                share(sum(row["attack_success_8bit"] for row in found) / len(found)),
                f"{median(row['linf'] for row in found) * 255:.1f}/255",
                f"{median(row['l2'] for row in found):.2f}",
                str(len(failed)),
                seconds(sum(row["attack_seconds"] for row in found) / len(found)),
            ]
        )
    heading = ["attack", "n", "fools, %", "after 8-bit rounding, %", "median Linf", "median L2", "broke off", "s"]
    return Table(heading, lines)


def suggested(rows: Rows) -> Table:
    """For what is fitted: the oracle's stops and the fixed counts that the fits suggest."""
    lines = []
    for defence in rows.trajectories:
        hurt = [points for (_, attack, _), points in rows.trajectories[defence].items() if attack != CLEAN]
        for k in (5, 1):
            stops = oracle_stops(hurt, k)
            reached = [stop for stop in stops if stop is not None]
            count, share = best_count(courses(rows, defence), k)
            lines.append(
                [
                    defence,
                    f"top-{k}",
                    f"{100 * len(reached) / len(stops):.1f}" if stops else "–",
                    f"{median(reached):.0f}" if reached else "–",
                    f"fixed:{count}",
                    f"{100 * share:.1f}",
                    str(len(stops)),
                ]
            )
    heading = ["defence", "right is", "oracle, %", "median oracle stop", "best fixed count", "right there, %", "n"]
    return Table(heading, lines)


def fixed_faults(rows: Rows, k: int = 5) -> Table:
    """Where a fixed count goes wrong, and in which direction."""
    lines = []
    for defence in rows.trajectories:
        for ended in rows.groups:
            if ended.name != defence or not ended.stop.startswith("fixed:"):
                continue
            count = int(ended.stop.partition(":")[2])
            for attack, found in sorted(faults(rows, defence, count, k).items()):
                total = sum(1 for key in rows.trajectories[defence] if key[1] == attack)
                kinds = [str(found[kind]) for kind in ("overfit", "underfit", "never right")]
                lines.append([ended.title, attack_title(attack), str(total), str(sum(found.values())), *kinds])
    return Table(["defence", "attack", "n", f"wrong (top-{k})", "overfit", "underfit", "never right"], lines)


def beside_the_poster(rows: Rows) -> Table:
    """Its two figures and ours: all attacks together, true class among the first five."""
    lines = [["poster (ResNet18, 100 images × 8 attacks)", "97.4", "84.4", "–", "–", "–", "–", "800"]]
    for defence in rows.trajectories:
        hurt = [row for row in rows.results if row["defence"] == defence and row["attack"] != CLEAN]
        oracle = [row for row in hurt if row["stop"] in ("oracle", "oracle:top5")]
        counts = sorted({row["stop"] for row in hurt if row["stop"].startswith("fixed:")})
        fixed = max(([row for row in hurt if row["stop"] == stop] for stop in counts), default=[], key=_top5)
        own = [row for row in hurt if row["stop"] == "auto"]
        if oracle and fixed:
            found = [score(part) if part else None for part in (oracle, fixed, own)]
            figures = [f"{100 * each.top5:.1f}" if each else "–" for each in found]
            figures += [f"{100 * each.top1:.1f}" if each else "–" for each in found]
            lines.append([f"ours, {fixed[0]['stop']} ({defence})", *figures, str(len(fixed))])
    kinds = ("oracle", "fixed", "auto")
    return Table(["", *(f"{kind}, top-{k}" for k in (5, 1) for kind in kinds), "inputs"], lines)


def fidelity(rows: Rows) -> Table:
    """Defence; how close what it gives is to the image that nobody has tampered with, clean and over the attacks."""
    lines = []
    for defence, by_attack in rows.groups.items():
        hurt = [row for attack in rows.attacks for row in by_attack.get(attack, [])]
        cells = [cell for part in (by_attack.get(CLEAN, []), hurt) for cell in _fidelity(part)]
        lines.append([defence.title, *cells])
    kinds = ("PSNR, dB", "SSIM", "small structure kept")
    return Table(["defence", *(f"{of}: {kind}" for of in ("clean", "attacked") for kind in kinds)], lines)


def _fidelity(part: list[Row]) -> list[str]:
    """Medians: an image given back as it came has a PSNR without bound, which no mean should see."""
    known = [row for row in part if row.get("detail_kept") is not None]
    if not known:
        return ["–"] * 3
    closest = median(row["psnr_clean"] for row in known)
    return [
        f"{closest:.1f}" if closest < BEST else "∞",
        f"{median(row['ssim_clean'] for row in known):.3f}",
        f"{median(row['detail_kept'] for row in known):.2f}",
    ]


def _top5(rows: list[Row]) -> float:
    return score(rows).top5


def best_baseline(rows: Rows) -> tuple[str, float, float] | None:
    """The baseline with the highest mean top-1 over the attacks: title, mean, worst."""
    found = []
    for defence, by_attack in rows.groups.items():
        if defence.name in BASELINES and all(attack in by_attack for attack in rows.attacks) and rows.attacks:
            hurt = [score(by_attack[attack]).top1 for attack in rows.attacks]
            found.append((sum(hurt) / len(hurt), min(hurt), defence.title))
    if not found:
        return None
    mean, worst, title = max(found)
    return title, mean, worst
