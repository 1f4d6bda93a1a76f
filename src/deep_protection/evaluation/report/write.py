"""Putting a report together and writing it."""

from pathlib import Path

from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.report import tables
from deep_protection.evaluation.report.document import Block, Figure, Heading, Text, html, markdown
from deep_protection.evaluation.report.examples import examples
from deep_protection.evaluation.report.figures import accuracy_along, stop_histogram
from deep_protection.evaluation.report.rows import Rows, score
from deep_protection.evaluation.report.tiers import corruptions, efforts, tiers
from deep_protection.images import write_atomically

POSTER = (
    "The poster reports, for 100 ImageNet images of 25 classes × 8 foolbox attacks, ResNet18, top-5: 97.4 % when the "
    "oracle ends every fit, 84.4 % at a fixed 1,750 iterations. It does not name its attacks, and what it counts is "
    "the true class among the first five. Minimal-norm attacks leave the true class there without any defence (see the "
    'row "nothing"), so top-5 flatters; top-1 stands beside it everywhere.'
)


PREDICTED = (
    'Nobody has labelled these images: "right" and "true class" mean the classifier\'s own first answer on the '
    "image before anybody tampered with it. Whether that answer is true, nothing here tells."
)


def write_report(folder: Path, shown: int = 0, inputs: Path | None = None) -> list[Path]:
    """``report.md``, ``report.html`` and figures from the tables in ``folder``.

    With ``shown`` so many overfit and underfit images are shown, which copies them into the report; their attacked
    versions are looked for in ``inputs``.
    """
    rows = Rows(folder)
    title = f"Experiment: {folder.resolve().name}"
    blocks = compose(rows, shown, inputs)
    files = {"report.md": markdown(title, blocks).encode(), "report.html": html(title, blocks).encode()}
    files |= {block.name: block.png for block in blocks if isinstance(block, Figure)}
    for name, content in files.items():
        write_atomically(content, folder / name)
    return [folder / name for name in files]


def _against_the_best_filter(rows: Rows) -> list[Block]:
    """The claim of the project, mean and worst attack, beside the best single filter, in words."""
    best = tables.best_baseline(rows)
    if best is None:
        return []
    title, mean, worst = best
    told = [f"Best single baseline by mean top-1 over the attacks: {title}, mean {mean:.1%}, worst attack {worst:.1%}."]
    for defence, by_attack in rows.groups.items():
        if defence.name in BASELINES or defence.is_oracle or not all(attack in by_attack for attack in rows.attacks):
            continue
        own = [score(by_attack[attack]).top1 for attack in rows.attacks]
        average, least = sum(own) / len(own), min(own)
        told.append(
            f"{defence.title}: mean {average:.1%} ({100 * (average - mean):+.1f} points), "
            f"worst {least:.1%} ({100 * (least - worst):+.1f} points)."
        )
    return [Text(" ".join(told))]


def compose(rows: Rows, shown: int = 0, inputs: Path | None = None) -> list[Block]:
    """The report's blocks in order."""
    first = rows.results[0]
    images = {row["image"] for row in rows.results}
    everything = {row["image"] for row in rows.all}
    predicted = first.get("labels") == "predicted"
    blocks: list[Block] = [
        Text(
            f"Classifier {first['classifier']}; {len(images)} images that it gets right untouched, of "
            f"{len(everything)}. Made with {first['versions']}; commit {first['commit']}."
        ),
        *([Text(PREDICTED)] if predicted else []),
        Heading("Attacker who does not know of the defence"),
        Text(
            "Percent right, top-1 / top-5, with the 95 % interval of top-1 (Wilson). Attacks are made for the bare "
            'classifier (oblivious). Mean and worst are over the attacks, the clean column aside; "right under all" is '
            'the share of images whose first answer is right whichever attack is made. "Oracle" looks at the true '
            "class to end a fit: it measures, it does not protect. Images on which an attack failed count too."
            + (" Answers are averaged over views of the image, for every defence." if first["views"] else "")
        ),
        tables.recovery(rows),
        *_against_the_best_filter(rows),
    ]
    if rows.knowing:
        cost = efforts(rows)
        blocks += [
            Heading("Attackers who know more"),
            Text(
                "Transfer: made on another model. Black-box: by questions to the defended classifier, a limited number "
                "of them, each answered with fresh randomness. Adaptive: made through the defence itself, with fresh "
                "randomness at every step (BPDA, EOT); each image is then judged by seeds that the attacker has "
                "not seen: the mean over them, and the share of images right for every seed. Percent, top-1 / top-5."
            ),
            tiers(rows),
        ]
        if cost.lines:
            blocks += [Text("What such an attack costs the attacker, an image."), cost]
    if rows.corrupted:
        blocks += [
            Heading("Nobody attacks"),
            Text(
                'Common corruptions, each from mild to strong. Percent right, top-1; the row "nothing" is what the '
                "corruption alone leaves. Images that the classifier gets right before they are corrupted."
            ),
            corruptions(rows),
        ]
    if rows.attacks:
        blocks += [Heading("The attacks before any defence"), tables.attacks(rows)]
    if rows.trajectories:
        blocks += [Heading("When to stop"), tables.suggested(rows)]
        for defence in rows.trajectories:
            blocks += [stop_histogram(rows, defence), accuracy_along(rows, defence)]
        blocks += [
            Heading("What goes wrong at a fixed count"),
            Text(
                "Overfit: the true class was among the first five at an earlier checkpoint; underfit: at a later one."
            ),
            tables.fixed_faults(rows),
            *(figure for name in rows.trajectories if shown for figure in examples(rows, name, shown, inputs)),
        ]
        if not predicted:
            blocks += [Heading("Beside the poster"), tables.beside_the_poster(rows), Text(POSTER)]
    if any(row.get("detail_kept") is not None for row in rows.results):
        blocks += [
            Heading("How close to the image that nobody has tampered with"),
            Text(
                "Medians. Small structure is what a mean over 5×5 pixels takes away; kept is the share of it that is "
                "still there. Percent right does not tell what was lost of an image: this does."
            ),
            tables.fidelity(rows),
        ]
    if not predicted:
        blocks += [
            Heading("All images"),
            Text("Those included that the classifier gets wrong untouched."),
            tables.unfiltered(rows),
        ]
    return blocks
