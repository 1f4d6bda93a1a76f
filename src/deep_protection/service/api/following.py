"""``GET /v1/jobs/{id}/events``: a job as it goes on."""

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from deep_protection.service.jobs.events import stream
from deep_protection.service.jobs.manager import Jobs


class Following(Response):
    """Listens only while it is sent: a client that is gone before leaves no listener behind."""

    def __init__(self, jobs: Jobs, job: str, client: str) -> None:
        super().__init__(media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._jobs, self._job, self._client = jobs, job, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._jobs.listening(self._job, self._client) as queue:
            job = await self._jobs.get(self._job)
            self._jobs.watch(self._job)
            told = stream(("state", self._jobs.document(job)), queue)
            headers = {name: value for name, value in self.headers.items() if name != "content-length"}
            await StreamingResponse(told, headers=headers)(scope, receive, send)
