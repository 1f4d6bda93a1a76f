"""The routes. One ASGI application is one service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles

from deep_protection.attacks import ATTACKS, AttackSpec
from deep_protection.classifiers import CLASSIFIERS, HUB_IDS, class_names, is_remote
from deep_protection.errors import MissingExtraError
from deep_protection.evaluation import sample_files
from deep_protection.service.api.openapi import describe_errors, docs_page
from deep_protection.service.api.routes import add_job_routes, new_app
from deep_protection.service.api.schemas import AboutDocument, ErrorDocument, EstimateDocument, JobDocument
from deep_protection.service.api.security import SecurityMiddleware
from deep_protection.service.api.submission import client_of, image, query_of, submit_job
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.admission import upload_limit
from deep_protection.service.jobs.events import Event
from deep_protection.service.jobs.job import FINAL
from deep_protection.service.jobs.job_types import JOB_TYPES, JobType, offered
from deep_protection.service.jobs.manager import JobManager
from deep_protection.service.jobs.options import AIMING, OFFERED
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings

PAGE = Path(__file__).parents[1] / "page"
JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="As given when the job was accepted.")]
FileName = Annotated[str, InPath(pattern="^[a-z_]{1,30}$")]
Subscription = tuple[Event, asyncio.Queue[Event | None]]
"""The state of a job at first, and what happens to it from then on."""
Responses = dict[int | str, dict[str, Any]]


def _errors(*statuses: int) -> Responses:
    return {status: {"model": ErrorDocument} for status in (401, 403, *statuses)}


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application. It needs a lifespan: its workers start and end with it.

    Raises :class:`~deep_protection.errors.OutputError` when the data folder cannot be used.
    """
    metrics = Metrics()
    kinds = offered(settings)

    jobs = JobManager(settings, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await jobs.start()
        try:
            yield
        finally:
            await jobs.stop()

    app = new_app("All work is done in jobs.", lifespan=lifespan)
    app.state.jobs = jobs
    uploads = upload_limit(settings.max_uploads)

    async def submit(request: Request, kind: JobType) -> Response:
        return await submit_job(request, kind, jobs, uploads, settings)

    add_job_routes(
        app,
        JOB_TYPES.values(),
        kinds,
        submit,
        tags=["jobs"],
        status_code=202,
        responses={
            200: {"model": JobDocument, "description": "Done, for wait=true"},
            202: {"model": JobDocument, "description": "Accepted"},
            **_errors(400, 404, 408, 409, 413, 415, 422, 429, 503),
        },
    )

    side = Annotated[int, Query(ge=1, le=settings.max_pixels, description="Of the image, in pixels.")]

    @app.get("/v1/estimate/{kind}", tags=["about"], response_model=EstimateDocument, responses=_errors(404, 413, 422))
    async def estimate(request: Request, kind: str, width: side, height: side) -> Any:
        """How long a job is likely to run; it takes the options of its kind beside width and height."""
        if kind not in kinds:
            raise Problem(404, f"{kind[:40]!r} is not offered here; /v1/about lists the kinds")
        if width * height > settings.max_pixels:
            raise Problem(413, f"images of up to {settings.max_pixels} pixels are taken, not {width}×{height}")
        given = {name: value for name, value in query_of(request).items() if name not in ("width", "height")}
        options = kinds[kind].options.model_validate(given)
        options.check()
        seconds = jobs.estimates.seconds(kind, options.model_dump(), height, width)
        return {"seconds": round(seconds, 3), "budget": settings.budget}

    @app.get("/v1/jobs/{job_id}", tags=["jobs"], response_model=JobDocument, responses=_errors(404, 422, 503))
    async def job_document(job_id: JobId) -> Response:
        """A job as it is now."""
        return JSONResponse(jobs.document(await jobs.get(job_id)))

    @app.delete(
        "/v1/jobs/{job_id}", tags=["jobs"], response_model=JobDocument, responses={204: {}, **_errors(404, 422, 503)}
    )
    async def remove(job_id: JobId) -> Response:
        """Cancel a job that has not ended, or delete one that has."""
        job = await jobs.remove(job_id)
        return Response(status_code=204) if job is None else JSONResponse(jobs.document(job))

    images: Responses = {200: {"content": {"image/png": {}}}, **_errors(404, 409, 410, 422, 503)}

    @app.get("/v1/jobs/{job_id}/result", tags=["jobs"], response_class=Response, responses=images)
    async def result(job_id: JobId) -> Response:
        """The image that was made, PNG."""
        return image(await jobs.file(await jobs.get(job_id), "result"), job_id, "result")

    @app.get("/v1/jobs/{job_id}/files/{name}", tags=["jobs"], response_class=Response, responses=images)
    async def file(job_id: JobId, name: FileName) -> Response:
        """Another image that was made, PNG."""
        return image(await jobs.file(await jobs.get(job_id), name), job_id, name)

    async def subscription(request: Request, job_id: JobId) -> AsyncIterator[Subscription]:
        # Before the answer begins, so that its errors are answers; until the answer has ended, however it does.
        with jobs.listening(job_id, client_of(request, settings)) as queue:
            job = await jobs.get(job_id)
            jobs.watch(job_id)
            yield ("state", jobs.document(job)), queue

    @app.get(
        "/v1/jobs/{job_id}/events",
        tags=["jobs"],
        response_class=EventSourceResponse,
        responses=_errors(404, 422, 429, 503),
    )
    async def follow(
        subscribed: Annotated[Subscription, Depends(subscription)],
    ) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `progress` along the fit, `state` on every change; ends with the job."""
        async for event in event_stream(*subscribed):
            yield event

    @app.get("/v1/about", tags=["about"], response_model=AboutDocument, responses=_errors())
    async def about() -> Any:
        """What this service is and can do."""
        rows = [ATTACKS[name] for name in OFFERED] if "attack" in kinds else []
        return {
            "version": version("deep-protection"),
            "classifier": settings.classifier,
            "answer": "restored" if is_remote(settings.classifier) else "contrast",
            "kinds": list(kinds),
            "attacks": [_attack_document(row, jobs) for row in rows],
            "limits": {"bytes": settings.max_bytes, "pixels": settings.max_pixels},
            "samples": [{"name": name, "url": f"/v1/samples/{name}"} for name in sample_names()],
            "needs_token": settings.token is not None,
        }

    @app.get("/v1/labels", tags=["about"], responses=_errors())
    async def labels() -> list[str]:
        """The names of the classes in the order of their indices, for an embedded classifier; else none."""
        is_embedded = settings.classifier in CLASSIFIERS and settings.classifier not in HUB_IDS
        return class_names() if is_embedded else []

    @app.get(
        "/v1/samples/{name}",
        tags=["about"],
        response_class=Response,
        responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}, **_errors(404, 422)},
    )
    async def sample_image(name: Annotated[str, InPath(pattern=r"^[\w.]{1,60}$")]) -> Response:
        """One of foolbox's sample photographs."""
        found = await asyncio.to_thread(sample, name)
        if found is None:
            raise Problem(404, "there is no such sample; /v1/about lists them")
        return Response(found[0], media_type=found[1])

    @app.get("/healthz", tags=["operation"])
    async def alive() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], responses={503: {"model": ErrorDocument}})
    async def ready() -> dict[str, str]:
        """A worker can take work, and will be given it."""
        jobs.admission.check_ready()
        return {"status": "ready"}

    @app.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def counted() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        # The address in it is the one that was asked, so nobody else may be given it.
        page = docs_page(app.openapi(), str(request.base_url).rstrip("/"))
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    if (PAGE / "index.html").is_file():
        app.mount("/static", StaticFiles(directory=PAGE), name="static")

        @app.get("/", include_in_schema=False)
        async def page() -> Response:
            return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    describe_errors(app.openapi())  # which is made once
    app.add_middleware(SecurityMiddleware, settings=settings, metrics=metrics)
    return app


def _attack_document(row: AttackSpec, jobs: JobManager) -> dict[str, Any]:
    seconds = jobs.estimates.seconds("attack", {"attack": row.name}, 1, 1)
    return {
        "name": row.name,
        "label": row.title,
        "has_epsilon": row.norm == "Linf",
        "can_aim": row.name in AIMING,
        "seconds": round(seconds, 3),
    }


async def event_stream(first: Event, queue: asyncio.Queue[Event | None]) -> AsyncIterator[ServerSentEvent]:
    """Until a final state, or the end of the service."""
    event: Event | None = first
    while event is not None:
        name, data = event
        yield ServerSentEvent(event=name, raw_data=json.dumps(data, allow_nan=False))
        event = None if name == "state" and data["state"] in FINAL else await queue.get()


_SAMPLE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@cache
def _samples() -> dict[str, Path]:
    try:
        return {file.name: file for file in sample_files() if file.suffix.lower() in _SAMPLE_TYPES}
    except MissingExtraError:
        return {}


def sample_names() -> list[str]:
    """Foolbox's sample photographs, for trying things out; none where foolbox is not installed."""
    return list(_samples())


def sample(name: str) -> tuple[bytes, str] | None:
    """Content and type of one of them."""
    file = _samples().get(name)
    return None if file is None else (file.read_bytes(), _SAMPLE_TYPES[file.suffix.lower()])
