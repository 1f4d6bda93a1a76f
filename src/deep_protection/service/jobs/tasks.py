"""What the service does beside answering: tasks that must not end unseen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger("deep_protection.service")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class TaskSupervisor:
    """For one event loop."""

    def __init__(self, pause: float = FIRST_PAUSE) -> None:
        self._pause = pause
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.failing: set[str] = set()
        """Names of those that ended and have not run well since."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something with an end of its own."""
        if self._closing:
            work.close()
            return

        async def once() -> None:
            try:
                await work
            except Exception:
                log.exception("a task of the service failed")

        self._add(once(), None)

    def supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Something that goes on for as long as the service: when it ends, however it does, it is begun anew."""
        self._add(self._supervised(name, work), name)

    async def stop(self) -> None:
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        loop, pause = asyncio.get_running_loop(), self._pause
        while not self._closing:
            begun = loop.time()
            # What ends again at once has not run well.
            well = loop.call_later(pause, self.failing.discard, name)
            why: BaseException | None = None
            try:
                await work()
            except (Exception, asyncio.CancelledError) as error:
                if self._closing:
                    raise
                why = error
            finally:
                well.cancel()
            if self._closing:
                return
            self.failing.add(name)
            pause = self._pause if loop.time() - begun > LONGEST_PAUSE else min(LONGEST_PAUSE, 2 * pause)
            log.error("the %s ended, and is begun anew in %.0f s", name, pause, exc_info=why)
            await asyncio.sleep(pause)

    def _add(self, work: Awaitable[None], name: str | None) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
