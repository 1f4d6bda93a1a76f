"""What the protection does beyond the eight attacks: others, other classifiers, corruptions that nobody means."""

from collections import defaultdict
from statistics import mean, median

from benchmarks import RESULTS
from benchmarks.documents.experiments import experiment, measured
from deep_protection.attacks import POSTER
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN, Row, Rows, attack_title, score

PROTECTED, QUICK, NOTHING = "protected", "protected-quick", "none"
OTHER_CLASSIFIERS = ("lite1", "lite2")


def by_attack_and_defence(rows: Rows) -> dict[str, dict[str, list[Row]]]:
    """Attack, defence, rows; transferred attacks too."""
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in (*rows.results, *rows.knowing):
        found[row["attack"]][row["defence"]].append(row)
    order = [CLEAN, *POSTER]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def right(rows: list[Row]) -> float:
    """Percent of right first answers."""
    return 100 * score(rows).top1


def _percent(rows: list[Row]) -> str:
    return f"{right(rows):.0f}" if rows else "–"


def _flagged(rows: list[Row]) -> str:
    return f"{100 * mean(float(row['is_suspicious']) for row in rows):.0f}"


def _with_interval(rows: list[Row]) -> str:
    low, high = score(rows).interval
    return f"{right(rows):.0f} ({100 * low:.0f}–{100 * high:.0f})"


def by_attack() -> str:
    """Every attack of the protection's experiment: how the shifts agree, who is flagged, what is right."""
    lines = []
    for attack, found in by_attack_and_defence(experiment("protection")).items():
        own = found[PROTECTED]
        filters = [name for name in found if name in BASELINES and name != NOTHING]
        best = max(filters, key=lambda name: right(found[name]))
        lines.append(
            [
                attack_title(attack),
                f"{median(row['agreement'] for row in own):.2f}",
                _flagged(own),
                _percent(found[NOTHING]),
                f"{_percent(found[best])} ({BASELINES[best].title})",
                _percent(found["jpeg25"]),
                _percent(found[QUICK]),
                f"**{_with_interval(own)}**",
                str(len(own)),
            ]
        )
    heading = ("", "S", "flagged", "nothing", "best filter", "JPEG 25", "`quick`", "protected", "n")
    return block_markdown(Table(heading, lines))


def other_classifiers() -> str:
    """The same settings in front of other classifiers."""
    lines = []
    for name in OTHER_CLASSIFIERS:
        folder = f"protection-{name}"
        if not (RESULTS / folder).exists():
            continue
        found = by_attack_and_defence(experiment(folder))
        eight = measured(RESULTS / folder)
        assert set(eight) == set(POSTER)  # noqa: S101  (the table says "of the eight")
        for attack, rows in found.items():
            cells = [_percent(rows[each]) for each in (NOTHING, "jpeg25", "median3", QUICK)]
            own = rows[PROTECTED]
            lines.append(
                [name, attack_title(attack), _flagged(own), *cells, f"**{_with_interval(own)}**", str(len(own))]
            )
        for what, of_all in (("mean of the eight", mean), ("worst of the eight", min)):
            cells = [
                f"{of_all([right(found[attack][each]) for attack in eight]):.1f}"
                for each in (NOTHING, "jpeg25", "median3", QUICK, PROTECTED)
            ]
            lines.append([name, what, "", *cells[:-1], f"**{cells[-1]}**", ""])
    heading = ("classifier", "", "flagged", "nothing", "JPEG 25", "median 3×3", "`quick`", "protected", "n")
    return block_markdown(Table(heading, lines))


def mean_behind(name: str) -> float:
    """Percent right in front of another classifier, mean of the eight attacks."""
    found = by_attack_and_defence(experiment(f"protection-{name}"))
    return mean(right(found[attack][PROTECTED]) for attack in POSTER)


def harm() -> float:
    """Points by which the protection changes right answers to corrupted images."""
    rows = [row for row in experiment("protection").everything if row["attack"] in CORRUPTIONS]
    own, bare = ([row for row in rows if row["defence"] == name] for name in (PROTECTED, NOTHING))
    return right(own) - right(bare)


def corruptions() -> str:
    """Corruptions that nobody means, kind by kind over their strengths, on all images: what the protection changes."""
    rows = [row for row in experiment("protection").everything if row["attack"] in CORRUPTIONS]
    kinds: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kinds[row["attack"].rpartition("-")[0]][row["defence"]].append(row)
        kinds["all of them"][row["defence"]].append(row)
    whole = kinds.pop("all of them")
    lines = []
    for kind, found in (*kinds.items(), ("**all of them**", whole)):
        bare, own = found[NOTHING], found[PROTECTED]
        lines.append(
            [
                kind,
                f"{right(bare):.1f}",
                f"{right(own):.1f}",
                f"{right(own) - right(bare):+.1f}",
                f"{right(found['jpeg25']):.1f}",
                _flagged(own),
                str(len(own)),
            ]
        )
    heading = ("corruption, three strengths", "nothing", "protected", "difference", "JPEG 25", "flagged", "n")
    return block_markdown(Table(heading, lines))


TABLES = {"by_attack": by_attack, "other_classifiers": other_classifiers, "corruptions": corruptions}
