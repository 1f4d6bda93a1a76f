"""Processes of this machine that work beside each other, one thread each, and end with the one that began them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Processes:
    """As many as ``workers``. In each, ``prepare(*arguments)`` is called before any work.

    One thread a process: small operations on several threads wait for each other, and take twice the processor's time.
    """

    def __init__(self, workers: int, prepare: Callable[..., None], *arguments: object) -> None:
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(os.getpid(), prepare, arguments),
        )

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Raises BrokenProcessPool where a process has died, as the future does."""
        with _interrupts_held():  # a process may be begun here
            return self._pool.submit(work, *args, **kwargs)

    def close(self) -> None:
        """End them at once; what they were at is lost."""
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal. Those begun here never see it; here it comes a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int, prepare: Callable[..., None], arguments: tuple[object, ...]) -> None:
    """In a new process: one thread, deaf to Ctrl-C, gone when its parent is."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    prepare(*arguments)


def _end_with(parent: int) -> None:
    """A parent that was killed cannot tell its processes."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
