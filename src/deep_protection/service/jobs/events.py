"""Who listens to which job."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Event = tuple[str, dict[str, Any]]
"""``"progress"`` or ``"state"``, and its data."""
HELD = 32
"""Events that a slow listener may lag behind; older ones are dropped, the last state never is."""


class Hub:
    """Passes events on. For one event loop."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Queue[Event | None]]] = defaultdict(set)
        self.is_closed = False

    @contextmanager
    def subscribe(self, job: str) -> Iterator[asyncio.Queue[Event | None]]:
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

    def has_subscribers(self, job: str) -> bool:
        """Whether anyone listens."""
        return job in self._listeners

    def __len__(self) -> int:
        return sum(len(queues) for queues in self._listeners.values())

    def publish(self, job: str, event: str, data: dict[str, Any]) -> None:
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
