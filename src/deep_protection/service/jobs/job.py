"""A job as it is kept, and the document that a client sees of it."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled", "expired"]
FINAL = frozenset({"done", "failed", "cancelled", "expired"})

THREAT_MODEL = (
    "This helps against perturbations made for the bare classifier. An attacker who knows of the restoration and "
    "attacks through it succeeds far more often; do not take it for robustness."
)


@dataclass(slots=True, kw_only=True)
class Job:
    """One piece of work. Times are seconds since 1970."""

    id: str
    kind: str
    client: str
    state: State
    options: dict[str, Any]
    inputs: dict[str, Any]
    """Name of an input file to its SHA-256."""
    created: float
    started: float | None = None
    ended: float | None = None
    deaths: int = 0
    """Workers that died of it."""
    answer: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    files: dict[str, str] = field(default_factory=dict)
    """Name of a result file to its SHA-256."""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def document(self, position: int | None = None, progress: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "created": stamp(self.created),
            "started": stamp(self.started),
            "ended": stamp(self.ended),
            "position": position if self.state == "queued" else None,
            "progress": progress if self.state == "running" else None,
            "error": self.error,
            "answer": self.answer,
            "files": {name: file_url(self.id, name) for name in self.files} if self.state == "done" else {},
            "threat_model": THREAT_MODEL,
        }


def file_url(job: str, name: str) -> str:
    return f"/v1/jobs/{job}/result" if name == "result" else f"/v1/jobs/{job}/files/{name}"


def stamp(seconds: float | None) -> str | None:
    """ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumped(value: Any) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False)
