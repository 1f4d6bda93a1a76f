"""Who listens to which job, and how it is told: server-sent events."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

Event = tuple[str, dict[str, Any]]
"""``"progress"`` or ``"state"``, and its data."""
HEARTBEAT_SECONDS = 15.0
HELD = 32
"""Events that a slow listener may lag behind; older ones are dropped, the last state never is."""


class Hub:
    """Passes events on. For one event loop."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Queue[Event | None]]] = defaultdict(set)
        self.is_closed = False

    @contextmanager
    def listening(self, job: str) -> Iterator[asyncio.Queue[Event | None]]:
        """A queue of what happens from now on; None is the end of the service."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(HELD)
        self._listeners[job].add(queue)
        if self.is_closed:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._listeners[job].discard(queue)
            if not self._listeners[job]:
                del self._listeners[job]

    def has(self, job: str) -> bool:
        """Whether anyone listens."""
        return job in self._listeners

    def __len__(self) -> int:
        return sum(len(queues) for queues in self._listeners.values())

    def tell(self, job: str, event: str, data: dict[str, Any]) -> None:
        for queue in self._listeners.get(job, ()):
            _put(queue, (event, data))

    def close(self) -> None:
        """The service ends: everyone who waits is let go."""
        self.is_closed = True
        for queues in self._listeners.values():
            for queue in queues:
                _put(queue, None)


def _put(queue: asyncio.Queue[Event | None], item: Event | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)


async def stream(first: Event, queue: asyncio.Queue[Event | None]) -> AsyncIterator[bytes]:
    """The events as a client reads them, until a final state."""
    event: Event | None = first
    while event is not None:
        yield line(*event)
        if event[0] == "state" and event[1]["state"] not in ("queued", "running"):
            return
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
                break
            except TimeoutError:
                yield b": still here\n\n"


def line(event: str, data: dict[str, Any]) -> bytes:
    return f"event: {event}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()
