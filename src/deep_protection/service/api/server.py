"""Uvicorn around the application: patience with slow clients is limited, and who waits is let go at the end."""

import asyncio
import signal
import socket
from types import FrameType
from typing import Any, ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deep_protection.errors import OptionError
from deep_protection.service.api.app import create_app
from deep_protection.service.settings import Settings

HEADER_BYTES = 32_768
CONNECTIONS = 2048
GRACE_SECONDS = 10


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose headers have to come in time."""

    header_seconds: ClassVar[float] = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._calm()

    def _look(self) -> None:
        """Start the clock while headers are awaited; a trickle of bytes does not set it back."""
        if self.conn.their_state is not h11.IDLE:
            self._calm()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self._end)

    def _calm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """Ends streams and waiting requests when asked to end, or they would hold it up."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ending when asked to is no failure: unlike its parent, it does not die of the signal afterwards."""
        del frame
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        app: Any = self.config.app
        app.state.jobs.hub.close()


def listen(settings: Settings) -> socket.socket:
    """A socket at the address that was asked for. Raises :class:`OptionError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        raise OptionError(
            f"cannot listen on {settings.host}, port {settings.port} ({error.strerror}); choose another with --port"
        ) from None


def build_server(settings: Settings) -> Server:
    """A server that is ready to run, with a socket from :func:`listen`."""

    class Protocol(PatientProtocol):
        header_seconds = settings.header_seconds

    return Server(
        uvicorn.Config(
            create_app(settings),
            http=Protocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
