"""What the service and the Ray Serve application have alike: how they are set up, and a route for every kind of job."""

from collections.abc import Awaitable, Callable, Container, Iterable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from deep_protection.service.api.errors import install_error_handlers
from deep_protection.service.api.openapi import openapi_extra
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.job_types import JobType

Take = Callable[[Request, JobType], Awaitable[Response]]
"""What is done with a request for a job."""


def new_app(kept: str, **settings: Any) -> FastAPI:
    """An application without documentation pages that load foreign scripts; ``kept`` ends its description."""
    app = FastAPI(
        title="Deep Protection",
        version=version("deep-protection"),
        description=f"Restores images that may have been perturbed to fool a classifier. {kept}",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        **settings,
    )
    install_error_handlers(app)
    return app


def add_job_routes(app: FastAPI, kinds: Iterable[JobType], here: Container[str], take: Take, **described: Any) -> None:
    """``POST /v1/KIND`` for every kind; those whose names are not among the ones offered ``here`` say so."""

    def taking(kind: JobType) -> Callable[[Request], Awaitable[Response]]:
        async def taken(request: Request) -> Response:
            if kind.name not in here:
                raise Problem(404, f"{kind.name} is not offered here; {kind.lacking}", code="not_offered")
            return await take(request, kind)

        return taken

    for kind in kinds:
        app.add_api_route(
            f"/v1/{kind.name}",
            taking(kind),
            methods=["POST"],
            name=kind.name,
            summary=(kind.options.__doc__ or "").strip(),
            openapi_extra=openapi_extra(kind),
            **described,
        )
