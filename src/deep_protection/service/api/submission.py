"""``POST /v1/{kind}``: from a request to a job."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.request import parse_http_list

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from deep_protection.service.api.uploads import (
    FORM_EXTRA,
    UploadFolder,
    body_of,
    check_image,
    check_mask,
    file_of,
    parse_form,
    upload_folder,
)
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.admission import ClientLimit
from deep_protection.service.jobs.job import Job
from deep_protection.service.jobs.job_types import JobType
from deep_protection.service.jobs.manager import JobManager
from deep_protection.service.jobs.options import Options
from deep_protection.service.settings import Settings

PLAIN = ("application/octet-stream", "")
BAD_REQUESTS = frozenset({"bad_image", "bad_option", "too_large", "not_installed", "timeout"})


async def submit_job(
    request: Request, kind: JobType, jobs: JobManager, uploads: ClientLimit, settings: Settings
) -> Response:
    """Take a job in, and answer with it, or with its result where the client waits for it."""
    client = client_of(request, settings)
    jobs.admission.check_room(client)  # before anything is read
    with uploads.one_of(client):
        try:
            async with upload_folder(jobs.files.coming) as place:
                options, inputs, size = await read_request(request, kind, settings, place)
                asked = options.model_dump(exclude={"wait"})
                job = await jobs.submit(kind.name, client, asked, place.folder, inputs, size)
        except OSError as error:
            raise jobs.table.problem(error) from None
    return await answer_job(request, job, jobs, options, client)


async def read_request(
    request: Request, kind: JobType, settings: Settings, place: UploadFolder
) -> tuple[Options, dict[str, Path], tuple[int, int]]:
    """Options of a request, where its images lie, and width and height, checked against all limits; nothing is
    decoded.
    """
    given = query_of(request)
    # What a query says wrong is said before a body is read, which may be long.
    kind.options.model_validate(given).check()
    inputs, given = await _parts(request, kind, settings, given, place)
    options = kind.options.model_validate(given)
    options.check()
    sizes = {name: await asyncio.to_thread(check_image, path, settings.max_pixels) for name, path in inputs.items()}
    if "mask" in sizes:
        check_mask(sizes["image"], sizes["mask"])
    return options, inputs, sizes["image"]


async def answer_job(request: Request, job: Job, jobs: JobManager, options: Options, client: str) -> Response:
    """202 and the job, or what became of it."""
    where = {"Location": f"/v1/jobs/{job.id}"}
    if options.wait:
        # An error without the job's address would make the client send it again.
        with suppress(Problem):
            job = await jobs.ended(job.id, client)
        if job.state == "done" and asks_for_image(request) and "result" in job.files:
            return image(await jobs.file(job, "result"), job.id, "result", where)
        if job.is_final:
            return JSONResponse(jobs.document(job), status_of(job), where)
    return JSONResponse(jobs.document(job), 202, where)


def asks_for_image(request: Request) -> bool:
    """Rather than the document."""
    return wants_image(", ".join(request.headers.getlist("accept")))


def check_plain(encoding: str, where: str, name: str) -> None:
    """Raise :class:`Problem` 415 for what would have to be unpacked: its limits are those of what arrives."""
    unpacked = ("", "identity", "binary", "8bit", "7bit")
    if any(each.strip().lower() not in unpacked for each in encoding.split(",")):
        raise Problem(
            415,
            f"{where} comes with {name}: {encoding[:40]}, and nothing is unpacked here; send it as it is, without "
            "that header",
            headers={"Accept-Encoding": "identity"},
        )


def status_of(job: Job) -> int:
    """HTTP's word for how a job ended."""
    if job.state == "done":
        return 200
    if job.state == "failed" and job.error is not None:
        return 422 if job.error["code"] in BAD_REQUESTS else 503
    return 409


def image(data: bytes, job: str, name: str, headers: dict[str, str] | None = None) -> Response:
    shown = {"Content-Disposition": f'inline; filename="{job[:8]}-{name}.png"'}
    return Response(data, media_type="image/png", headers={**shown, **(headers or {})})


def client_of(request: Request, settings: Settings) -> str:
    """Who asks: what the trusted proxy's header says, or the address."""
    if settings.client_header is not None and (name := request.headers.get(settings.client_header)):
        return name[:100]
    return request.client.host if request.client is not None else "unknown"


def query_of(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise Problem(422, f"the option {name[:40]!r} is given twice; give it once")
        given[name] = value
    return given


async def _parts(
    request: Request, kind: JobType, settings: Settings, given: dict[str, Any], place: UploadFolder
) -> tuple[dict[str, Path], dict[str, Any]]:
    """The images, and the options with those of the form."""
    check_plain(request.headers.get("content-encoding", ""), "the body", "Content-Encoding")
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = settings.max_bytes
    if content == "multipart/form-data":
        body = body_of(request, most * len(kind.inputs) + FORM_EXTRA, settings.body_seconds)
        files, given = _of_form(await parse_form(request.headers, body, place), kind, given)
    elif content in PLAIN or content.startswith("image/"):
        if kind.inputs != ("image",):
            raise Problem(415, f"{kind.name} takes a form with the files {', '.join(kind.inputs)}")
        files = {"image": await place.take(body_of(request, most, settings.body_seconds))}
    else:
        raise Problem(
            415,
            f"a body of type {content[:60]!r} is not taken; send the image itself (Content-Type: image/png or such, "
            "or application/octet-stream), or a form (multipart/form-data)",
        )
    inputs = {name: await place.keep(name, file) for name, file in files.items()}
    for name, path in inputs.items():
        size = path.stat().st_size
        if size > most:
            raise Problem(413, f"{name} has {size} bytes, the limit is {most}; send a smaller image")
        if size == 0:
            raise Problem(422, f"{name} is empty; send a PNG, JPEG, WebP, TIFF, BMP or GIF image", code="bad_image")
    return inputs, given


def _of_form(form: FormData, kind: JobType, given: dict[str, Any]) -> tuple[dict[str, BinaryIO], dict[str, Any]]:
    """The same for a form."""
    inputs = {name: file_of(form, name) for name in kind.inputs}
    files = 0
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files += 1
            for header in ("Content-Encoding", "Content-Transfer-Encoding"):
                check_plain(value.headers.get(header, ""), f"the file {name[:40]!r}", header)
            if name not in kind.inputs:
                raise Problem(422, f"{kind.name} takes no file {name[:40]!r}; it takes: {', '.join(kind.inputs)}")
        elif name in given:
            raise Problem(422, f"the option {name[:40]!r} is given twice; give it once")
        else:
            given = {**given, name: value}
    if files != len(inputs):
        raise Problem(422, "a file is given twice; give each once")
    return inputs, given


IMAGE = ("image", "png")
DOCUMENT = ("application", "json")


def wants_image(accept: str) -> bool:
    """Whether an image is wanted rather than the document, which is what everything else gets.

    >>> [wants_image(each) for each in ("image/png", "IMAGE/*", "*/*", "application/json, image/png;q=0")]
    [True, True, False, False]
    """
    image, document = _wish(accept, IMAGE), _wish(accept, DOCUMENT)
    weight, closeness = image
    # Of two that are wanted alike, the image: who would be content with anything does not name it.
    return weight > 0 and (image > document or (image == document and closeness > 0))


def _wish(accept: str, kind: tuple[str, str]) -> tuple[float, int]:
    """How much a kind is wanted, and how closely it is named: 2, as one of a group 1, as any 0, not at all -1."""
    weight, closest = 0.0, -1
    for each in parse_http_list(accept):
        name, parameters = parse_options_header(each)
        group, _, one = name.decode("latin-1").strip().lower().partition("/")
        closeness = {kind: 2, (kind[0], "*"): 1, ("*", "*"): 0}.get((group, one), -1)
        if closeness > closest:
            weight, closest = _weight(parameters.get(b"q", b"1")), closeness
    return weight, closest


def _weight(given: bytes) -> float:
    """What is no weight is as if it were not there."""
    try:
        weight = float(given)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0
