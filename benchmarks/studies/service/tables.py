"""The tables of docs/service.md, one function each."""

from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import benchmarks
from benchmarks import rows
from benchmarks.rows import Row
from deep_protection.evaluation.report.document import Table, block_markdown

FOLDER = benchmarks.RESULTS / "service"


def _rows(name: str, what: str) -> list[Row]:
    return [row for row in rows.read(FOLDER / name) if row["what"] == what]


def load() -> str:
    """Service and bare engine side by side, all rounds together."""
    about = _rows("load.jsonl", "machine")[0]
    lines, pooled, middle, pace = [], [], [], []
    for what, title in (("bare", "engine alone, a batch"), ("service", "service")):
        found = _rows("load.jsonl", what)
        images, seconds, cpu = (sum(row[name] for row in found) for name in ("images", "seconds", "cpu_seconds"))
        wall = [row["images_a_second"] for row in found]
        spent = [row["cpu_seconds_an_image"] for row in found]
        pooled.append(cpu / images)
        middle.append(median(spent))
        pace.append((images / seconds, median(wall)))
        lines.append(
            [
                title,
                str(images),
                f"{images / seconds:.3f}",
                f"{median(wall):.3f} ({min(wall):.3f}–{max(wall):.3f})",
                f"{cpu / images:.2f}",
                f"{median(spent):.2f} ({min(spent):.2f}–{max(spent):.2f})",
            ]
        )
    head = [
        "",
        "images",
        "images a second, all rounds",
        "median of rounds (range)",
        "processor seconds an image, all rounds",
        "median of rounds (range)",
    ]
    answers: Counter[str] = Counter()
    for row in _rows("load.jsonl", "service"):
        answers.update(row["statuses"])
    told = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
    share = (
        f"Service's images a second by the engine's: {pace[1][0] / pace[0][0]:.0%} over all rounds, "
        f"{pace[1][1] / pace[0][1]:.0%} by the medians of rounds. Engine's processor seconds by the service's: "
        f"{pooled[0] / pooled[1]:.0%} over all rounds, {middle[0] / middle[1]:.0%} by the medians of rounds."
    )
    return (
        f"{about['clients']} clients, {about['minutes']:.0f} minutes of load on {about['cores']} cores "
        f"({about['processor']}), load average {about['load_average']:.0f} before it. "
        f"Answers by status: {told}. {share}\n\n" + block_markdown(Table(head, lines))
    )


def latency() -> str:
    found = _rows("load.jsonl", "latency")[0]
    names = ("p50", "p90", "p95", "most")
    return block_markdown(
        Table(["requests", *names], [[str(found["requests"]), *(f"{found[name]:.1f} s" for name in names)]])
    )


def memory() -> str:
    """Medians of the parts of the run, in MiB."""
    samples = _rows("load.jsonl", "memory")
    parts = 4
    size = max(1, len(samples) // parts)
    lines = []
    for number in range(parts):
        part = samples[number * size :] if number == parts - 1 else samples[number * size : (number + 1) * size]
        if part:
            when = f"{part[0]['at'] // 60}–{part[-1]['at'] // 60 + 1} min"
            most = median(max(row["workers_mib"], default=0.0) for row in part)
            lines.append([when, f"{median(row['server_mib'] for row in part):.0f}", f"{most:.0f}"])
    return block_markdown(Table(["time", "server, MiB", "largest worker, MiB"], lines))


def faults() -> str:
    """What became of the jobs of all kills."""
    kills, outcome = _rows("faults.jsonl", "kill"), _rows("faults.jsonl", "outcome")[0]
    victims = Counter(row["victim"] for row in kills)
    busy = sum(row["running"] > 0 for row in kills)
    lines = [
        ["server killed", str(victims["server"])],
        ["worker killed", str(victims["worker"])],
        ["kills while jobs ran", str(busy)],
        ["jobs accepted", str(outcome["accepted"])],
        ["ended once", str(outcome["ended_once"])],
        ["ended twice", str(outcome["ended_twice"])],
        ["lost", str(outcome["lost"])],
        ["done", str(outcome["done"])],
        ["failed, by code", _counts(outcome["failed"])],
        ["results compared with the library's", str(outcome["results_checked"])],
        ["of these equal bit for bit", str(outcome["results_equal_to_the_library"])],
    ]
    return block_markdown(Table(["", "count"], lines))


def breakdowns() -> str:
    """What became of the jobs of every trial, and what the service said of itself."""
    found = [row for row in rows.read(FOLDER / "breakdowns.jsonl") if "accepted" in row]
    head = ["what broke", "jobs accepted", "done", "of these equal to the library's", "lost", "put aside", "`/readyz`"]
    lines = [
        [
            row["trial"],
            *(str(row[name]) for name in ("accepted", "done", "equal", "lost")),
            str(row.get("put_aside", "")),
            ", ".join(row["readiness"]),
        ]
        for row in found
    ]
    return block_markdown(Table(head, lines))


def scans() -> str:
    """Peak memory of a stippled scan."""
    found = [row for row in rows.read(FOLDER / "breakdowns.jsonl") if "dots" in row]
    if not found:
        return "Not measured to its end yet.\n"
    head = ["", "pixels", "dots", "most memory, MiB", "files made", "minutes"]
    lines = [
        [
            row["trial"],
            f"{row['side']}×{row['side']}",
            str(row["dots"]),
            str(row["mib"]),
            str(row["files"]),
            f"{row['seconds'] / 60:.0f}",
        ]
        for row in found
    ]
    return block_markdown(Table(head, lines))


def fuzz() -> str:
    outcome = _rows("fuzz.jsonl", "outcome")[0]
    sizes = [row for row in rows.read(FOLDER / "fuzz.jsonl") if "server_mib" in row]
    lines = [
        ["requests", str(outcome["requests"])],
        ["of these by schemathesis", str(_rows("fuzz.jsonl", "schemathesis")[0]["requests"])],
        ["answers by status", _counts(outcome["statuses"])],
        ["server errors (5xx)", str(outcome["server_errors"])],
        ["workers that died", str(outcome["worker_deaths"])],
        ["traces in the log", str(outcome["tracebacks_in_the_log"])],
        ["what they and the service's warnings say", _counts(outcome["warnings_in_the_log"])],
        ["server's memory, MiB, from first to last", " → ".join(f"{row['server_mib']:.0f}" for row in sizes)],
        [
            "worker's memory, MiB, from first to last",
            " → ".join(f"{max(row['workers_mib'], default=0.0):.0f}" for row in sizes),
        ],
    ]
    return block_markdown(Table(["", ""], lines))


def estimates() -> str:
    """Of every kind three sizes, in the order in which they were asked for."""
    found = _rows("estimates.jsonl", "estimate")
    lines = [
        [
            row["kind"],
            f"{row['side']}²",
            f"{row['estimate']:.1f} s",
            f"{row['seconds']:.1f} s",
            f"{row['estimate'] / row['seconds']:.2f}",
        ]
        for row in found
    ]
    worst = max(max(row["estimate"] / row["seconds"], row["seconds"] / row["estimate"]) for row in found)
    return (
        block_markdown(Table(["kind", "image", "estimate before", "it ran", "ratio"], lines))
        + f"\nAt worst an estimate is off by a factor of {worst:.1f}.\n"
    )


def _counts(found: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in found.items()) or "none"


TABLES: dict[str, Callable[[], str]] = {
    "service_load": load,
    "service_latency": latency,
    "service_memory": memory,
    "service_faults": faults,
    "service_breakdowns": breakdowns,
    "service_scans": scans,
    "service_fuzz": fuzz,
    "service_estimates": estimates,
}
