"""``deep-protection serve``: the service and its page."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from deep_protection.classifiers import load_classifier
from deep_protection.cli import options
from deep_protection.optional import needing


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's want a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    data: Annotated[Path, typer.Option(help="Folder of jobs and images.")] = Path("deep-protection-data"),
    token: Annotated[
        str | None,
        typer.Option(envvar="DEEP_PROTECTION_TOKEN", help="Asked of every request. Better in the variable than here."),
    ] = None,
    classifier: options.ClassifierName = "lite0",
    calibration: options.CalibrationFile = None,
    device: options.Device = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that fit. Default: one a core or GPU.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a worker takes at once. Default: 1, on a GPU 64.")] = None,
    queue: Annotated[int, typer.Option(help="Jobs that may wait.")] = 256,
    client_header: Annotated[
        str | None, typer.Option(help="Header in which a trusted proxy names the client, for taking turns.")
    ] = None,
    max_bytes: Annotated[int, typer.Option(help="Of an image's file.")] = 32_000_000,
    max_pixels: Annotated[int, typer.Option(help="Of an image.")] = 16_000_000,
    budget: Annotated[float, typer.Option(help="Seconds that a job may be fitted.")] = 600.0,
    retention: Annotated[float, typer.Option("--retention", "--keep", help="Seconds that results are kept.")] = (
        24 * 3600.0
    ),
    body_seconds: Annotated[float, typer.Option(help="Seconds in which a body has to arrive.")] = 60.0,
    header_seconds: Annotated[float, typer.Option(help="Seconds in which headers have to arrive.")] = 10.0,
    attacks: Annotated[
        bool | None,
        typer.Option("--attacks/--no-attacks", help="Offer attacks on the classifier. Default: only to this machine."),
    ] = None,
) -> int:
    """Serve restorations over HTTP, with a page at /. Jobs survive a crash: start it again and it goes on."""
    with needing("the service", "service"):
        from deep_protection.service.api.server import build_server, listen
        from deep_protection.service.settings import Settings
    settings = Settings(
        data=data,
        host=host,
        port=port,
        token=token or None,
        classifier=classifier,
        calibration=calibration,
        device=device,
        workers=workers,
        batch=batch,
        queue=queue,
        client_header=client_header,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        budget=budget,
        retention=retention,
        body_seconds=body_seconds,
        header_seconds=header_seconds,
        attacks=attacks,
    )
    load_classifier(classifier)  # better said here than by every worker in turn
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with listen(settings) as connections:
        host, port = connections.getsockname()[:2]
        server = build_server(settings)
        sys.stderr.write(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}\n")
        server.run(sockets=[connections])
    return 0
