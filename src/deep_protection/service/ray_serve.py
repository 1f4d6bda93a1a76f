"""The same protection on many machines: a Ray Serve application. A request is answered when done; nothing is kept.

``serve run deep_protection.service.ray_serve:build max_replicas=8``, or from Python
``serve.run(build(Arguments(max_replicas=8)))``. A front takes requests in, checks them as the service does, and hands
them to replicas, whose number follows the load.
"""

import asyncio
import os
import secrets
import tempfile
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field, model_validator
from starlette.responses import JSONResponse, Response

from deep_protection.errors import OptionError
from deep_protection.optional import import_optional
from deep_protection.service.api.routes import add_job_routes, new_app
from deep_protection.service.api.security import SecurityMiddleware
from deep_protection.service.api.submission import asks_for_image, client_of, image, read_request, status_of
from deep_protection.service.api.uploads import upload_folder
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.admission import upload_limit
from deep_protection.service.jobs.dispatch import MAX_WORKER_DEATHS
from deep_protection.service.jobs.job import Job
from deep_protection.service.jobs.job_types import JOB_TYPES, JobType, offered
from deep_protection.service.jobs.worker_process import TOKEN_VARIABLE
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings
from deep_protection.service.workers.replica import Ended, Replica

OFFERED = ("protect", "detect", "classify")
RETRY_SECONDS = 5
"""After which a client that was refused is told to come again."""

Fit = Callable[[str, dict[str, Any], dict[str, bytes]], Awaitable[Ended]]
"""Kind, options and images to what came of them. Raises :class:`Problem`."""


class Arguments(BaseModel):
    """All that the application can be started with, but for the token: command lines and configurations are read."""

    classifier: str = "lite0"
    calibration: str | None = Field(default=None, description="The detector's; a file that every machine has.")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="A core or a GPU for every replica.")
    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=4, ge=1)
    target_ongoing_requests: float | None = Field(
        default=None,
        gt=0,
        description="Requests a replica, waiting ones counted, to which their number is fitted; 2 × batch.",
    )
    upscale_delay_s: float = Field(
        default=30.0, ge=0, description="For how long the load has to ask for more replicas."
    )
    downscale_delay_s: float = Field(default=600.0, ge=0, description="And for fewer.")
    batch: int | None = Field(default=None, ge=1, description="Images fitted together; 1 on a core, 64 on a GPU.")
    queue: int = Field(default=64, ge=1, description="Requests that may wait at a front, in memory; more are refused.")
    fronts: int = Field(default=1, ge=1, description="Processes that take requests in.")
    max_bytes: int = Field(default=32_000_000, ge=1)
    max_pixels: int = Field(default=16_000_000, ge=1)
    body_seconds: float = Field(default=60.0, gt=0)
    budget: float = Field(default=600.0, gt=0, description="Seconds that an image may be fitted.")
    without_token: bool = Field(
        default=False, description="Answer without a token, and then to localhost by name only."
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(given) - set(cls.model_fields)):
            raise OptionError(f"unknown argument {', '.join(unknown)}; there are: {', '.join(cls.model_fields)}")
        return given

    @property
    def images_at_once(self) -> int:
        return self.batch or (1 if self.device == "cpu" else 64)

    def settings(self, token: str | None) -> Settings:
        """As the service has them."""
        if token is None and not self.without_token:
            raise OptionError(
                f"{TOKEN_VARIABLE} is not set, and an application cannot know who reaches Ray's proxies; set it where "
                "the application is built, or give without_token=true"
            )
        return Settings(
            data=Path(os.devnull),  # there is no job table
            token=token,
            classifier=self.classifier,
            calibration=self.calibration,
            device=self.device,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            body_seconds=self.body_seconds,
            budget=self.budget,
        )


def build(arguments: Arguments) -> Any:
    """The application, for ``serve.run``. Its token is taken from ``DEEP_PROTECTION_TOKEN``, here and now.

    Raises :class:`~deep_protection.errors.MissingExtraError` without Ray Serve,
    :class:`~deep_protection.errors.OptionError` without a token.
    """
    serve = _serve()
    settings = arguments.settings(os.environ.get(TOKEN_VARIABLE) or None)
    batch = arguments.images_at_once
    in_hand = 1 if batch == 1 else 2 * batch  # one batch is fitted while the next gathers
    replicas = serve.deployment(
        Replica,
        ray_actor_options={"num_cpus": 1, "num_gpus": int(arguments.device == "cuda")},
        max_ongoing_requests=in_hand,
        max_queued_requests=arguments.queue,
        autoscaling_config={
            "min_replicas": arguments.min_replicas,
            "max_replicas": arguments.max_replicas,
            "target_ongoing_requests": arguments.target_ongoing_requests or 2 * batch,
            "upscale_delay_s": arguments.upscale_delay_s,
            "downscale_delay_s": arguments.downscale_delay_s,
        },
        graceful_shutdown_timeout_s=arguments.budget,  # what a replica has begun it ends, when fewer are wanted
    ).bind(settings.classifier, settings.calibration, settings.device, settings.budget, batch)

    def front() -> FastAPI:
        handle = serve.get_deployment_handle("Replica", serve.get_replica_context().app_name)
        return create_front(settings, over(handle))

    return serve.deployment(
        serve.ingress(front)(),
        name="Front",
        num_replicas=arguments.fronts,
        ray_actor_options={"num_cpus": 0},  # it waits
        # Never the narrow place: what is too much is refused, in the service's own words, where replicas are asked for.
        max_ongoing_requests=arguments.max_replicas * in_hand + 2 * arguments.queue + settings.max_uploads,
        graceful_shutdown_timeout_s=arguments.budget,
    ).bind(replicas)


def create_front(settings: Settings, fit: Fit) -> FastAPI:
    """The routes, which are the service's without its jobs."""
    app, uploads = new_app("Nothing is kept."), upload_limit(settings.max_uploads)

    async def answer(request: Request, kind: JobType) -> Response:
        created = time.time()
        with uploads.one_of(client_of(request, settings)):
            try:
                async with upload_folder(Path(tempfile.gettempdir())) as place:
                    options, paths, _ = await read_request(request, kind, settings, place)
                    inputs = {name: await asyncio.to_thread(path.read_bytes) for name, path in paths.items()}
            except OSError:
                message = "the disk of this front is full, or refuses; try again later"
                raise Problem(503, message, code="storage", retry_after=RETRY_SECONDS) from None
        asked = options.model_dump(exclude={"wait"})
        return _answer(request, kind, created, asked, await fit(kind.name, asked, inputs))

    add_job_routes(app, (JOB_TYPES[name] for name in OFFERED), offered(settings), answer)

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        """A front answers."""
        return {"status": "ok"}

    app.add_middleware(SecurityMiddleware, settings=settings, metrics=Metrics())
    return app


def _answer(request: Request, kind: JobType, created: float, asked: dict[str, Any], made: Ended) -> Response:
    """A job's document as at its end, with the images in it; or the image, for who wants that."""
    job = Job(
        id=secrets.token_hex(16),
        kind=kind.name,
        client="",
        state="done" if made.error is None else "failed",
        options=asked,
        inputs={},
        created=created,
        started=made.started,
        ended=made.ended,
        answer=made.answer,
        error=made.error,
    )
    if asks_for_image(request) and "result" in made.files:
        return image(made.files["result"], job.id, "result")
    files = {name: f"data:image/png;base64,{b64encode(data).decode()}" for name, data in made.files.items()}
    return JSONResponse({**job.document(), "files": files}, status_of(job))


def over(handle: Any) -> Fit:
    """Any replica that is free. What a dead one had in hand is tried once more, which has the same result."""
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

    async def fit(kind: str, options: dict[str, Any], inputs: dict[str, bytes]) -> Ended:
        for _ in range(MAX_WORKER_DEATHS):
            try:
                ended: Ended = await handle.run.remote(kind, options, inputs)
            except RayActorError:
                continue
            except BackPressureError:
                raise Problem(429, "the queue is full; try again later", retry_after=RETRY_SECONDS) from None
            except DeploymentUnavailableError:
                raise Problem(503, "no replica can be started; the cluster's log says why") from None
            return ended
        message = "two replicas died while they did it; the image may need more memory than there is"
        raise Problem(503, message, code="worker_died", retry_after=RETRY_SECONDS)

    return fit


def _serve() -> Any:
    return import_optional("ray.serve", needed_for="the Ray Serve application", extra="ray")
