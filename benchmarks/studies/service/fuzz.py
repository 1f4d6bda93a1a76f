"""Requests that nobody sane would send: by schemathesis from the OpenAPI description, and images with damage.

python -m benchmarks service-fuzz
"""

import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from served import Served, resident

from benchmarks import rows
from benchmarks.machine import describe
from deep_protection.evaluation import imagenet_samples

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
OPTIONS = (
    "--workers",
    "1",
    "--budget",
    "2",
    "--retention",
    "120",
    "--max-pixels",
    "10000",
    "--queue",
    "64",
    "--no-attacks",
)
"""Attacks are left out: each takes the time of hundreds of other requests."""
CLIENTS = 4
SCHEMATHESIS = Path(sys.executable).with_name("st")
PART = 500
"""Images between two looks at the memory."""


def run(out: Path, requests: int, seconds: int, minutes: float, seed: int) -> None:
    """Schemathesis for so many seconds, then damaged images up to so many requests, or until the minutes are over."""
    if not SCHEMATHESIS.exists():
        raise SystemExit("schemathesis is not installed; run: pip install -c constraints.txt -e '.[bench]'")
    end = time.monotonic() + 60 * minutes
    out.unlink(missing_ok=True)
    rows.append(out, [{"what": "machine", **describe(), "seed": seed, "options": " ".join(OPTIONS)}])
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder) / "data", *OPTIONS) as served:
        before = _memory(served)
        rows.append(out, [{"what": "memory", "when": "before", **before}])
        every_kind_once(served)
        rows.append(out, [{"what": "memory", "when": "every kind of job done once", **_memory(served)}])
        rows.append(out, [{"what": "schemathesis", **schemathesis(served, seconds, seed), **_memory(served)}])
        print(rows.read(out)[-1], flush=True)
        part = 0
        while (left := requests - sum(counted(served).values())) > 0 and time.monotonic() < end:
            sent = images(served, min(left, PART), seed + part, end)
            rows.append(out, [{"what": "images", "part": part, "answers": dict(sent), **_memory(served)}])
            print(rows.read(out)[-1], flush=True)
            part += 1
        with served.http() as http:
            metrics = http.get("/metrics").text
            alive = http.get("/readyz").status_code == 200
        statuses = counted(served)
        rows.append(
            out,
            [
                {
                    "what": "outcome",
                    "requests": sum(statuses.values()),
                    "statuses": dict(sorted(statuses.items())),
                    "server_errors": sum(count for status, count in statuses.items() if status.startswith("5")),
                    "worker_deaths": _number(metrics, "deep_protection_worker_deaths_total"),
                    "ready_at_the_end": alive,
                    "tracebacks_in_the_log": served.log().count("Traceback"),
                    "warnings_in_the_log": dict(Counter(_warnings(served.log()))),
                }
            ],
        )
        print(rows.read(out)[-1], flush=True)


def every_kind_once(served: Served) -> None:
    """So that what a kind loads when it is first asked for, as the models that read text, is not taken for growth."""
    first = _originals()[0]
    with served.client() as client:
        for kind in client.about()["kinds"]:
            client.run(kind, image=first, mask=first if kind == "inpaint" else None)


def schemathesis(served: Served, seconds: int, seed: int) -> dict[str, Any]:
    """The command of that name against every route; what it sent, by status, and whether it found a server error."""
    command = [str(SCHEMATHESIS), "run", f"{served.url}/openapi.json"]
    checks = [
        "--checks",
        "not_a_server_error",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--continue-on-failure",
    ]
    # Streams of events go on for as long as their job; a job that is made up has none.
    limits = ["--max-time", str(seconds), "--request-timeout", "120", "--seed", str(seed), "--max-examples", "400"]
    more = ["--suppress-health-check", "all", "--no-color"]
    with tempfile.TemporaryDirectory() as folder:  # it leaves its database where it runs
        result = subprocess.run(  # noqa: S603
            [*command, *checks, *limits, *more], capture_output=True, text=True, check=False, cwd=folder
        )
    statuses = counted(served)
    return {
        "exit_code": result.returncode,
        "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())),
        "says": result.stdout.strip().splitlines()[-1:],
    }


def images(served: Served, count: int, seed: int, end: float) -> Counter[str]:
    """Real images with bytes changed, cut, moved or put in, waited for; answers by status and code."""
    chance = random.Random(seed)  # noqa: S311  (damage, no secret)
    originals = _originals()
    answers: Counter[str] = Counter()
    lock = threading.Lock()

    def send(number: int) -> None:
        with served.http(timeout=120.0) as http:
            for _ in range(number):
                if time.monotonic() >= end:
                    return
                with lock:
                    content = damaged(chance.choice(originals), chance)
                    route = chance.choice(("classify", "classify", "detect", "protect"))
                query = {"classify": "", "detect": "&quick=true", "protect": "&stop=fixed:1"}[route]
                try:
                    answer = http.post(
                        f"/v1/{route}?wait=true{query}", content=content, headers={"Content-Type": "image/png"}
                    )
                    code = "" if answer.status_code == 200 else answer.json()["error"]["code"]
                    said = f"{answer.status_code} {code}".strip()
                except httpx2.TransportError as error:
                    said = type(error).__name__
                with lock:
                    answers[said] += 1

    threads = [threading.Thread(target=send, args=(count // CLIENTS + 1,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with one kind of damage, or a few."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(content) or 1)
        # Most of what decides how a file is read stands at its beginning.
        near = min(place, chance.randrange(64)) if chance.random() < 0.5 else place
        match chance.randrange(6):
            case 0:
                content[near : near + 1] = bytes([chance.randrange(256)])
            case 1:
                del content[place:]
            case 2:
                content[near:near] = chance.randbytes(chance.randint(1, 64))
            case 3:
                content[near : near + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff")
                )
            case 4:
                del content[near : near + chance.randint(1, 32)]
            case _:
                content += content[place : place + 1000]
    return bytes(content)


def _originals() -> list[bytes]:
    image = imagenet_samples()[0][0].resize((48, 40))
    made = []
    for name in FORMATS:
        for mode in ("RGB", "L", "P", "RGBA", "CMYK", "I;16", "1"):
            try:
                image.convert("RGB").convert(mode).save(buffer := BytesIO(), name)
                made.append(buffer.getvalue())
            except (OSError, ValueError, KeyError):
                continue  # not every format holds every mode
    frames = [image.rotate(angle) for angle in (0, 90, 180)]
    frames[0].save(buffer := BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[274] = 6
    image.save(oriented := BytesIO(), "JPEG", exif=exif)
    return [*made, buffer.getvalue(), oriented.getvalue()]


def counted(served: Served) -> Counter[str]:
    """Requests by status, as the service itself counts them."""
    with served.http() as http:
        text = http.get("/metrics").text
    found: Counter[str] = Counter()
    pattern = r'deep_protection_requests_total\{.*?route="(.*?)",status="(\d+)"\} ([\d.e+]+)'
    for route, status, count in re.findall(pattern, text):
        if route != "/readyz":  # which was asked again and again while the service started
            found[status] += int(float(count))
    return found


def _warnings(log: str) -> list[str]:
    """What the service said of itself in its log, and the last line of every trace."""
    traces = re.findall(r"^Traceback.*?\n(?=\S)([^\n]*)", log, re.MULTILINE | re.DOTALL)
    return [*re.findall(r"worker \d+ .*", log), *traces]


def _number(metrics: str, name: str) -> int:
    found = re.search(rf"^{name} ([\d.e+]+)$", metrics, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _memory(served: Served) -> dict[str, Any]:
    assert served.process is not None  # noqa: S101
    return {
        "server_mib": round(resident(served.process.pid) / 2**20, 1),
        "workers_mib": [round(resident(each) / 2**20, 1) for each in served.workers()],
    }
