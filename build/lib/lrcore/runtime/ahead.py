"""What the next training step needs, made ready while the present one is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`make(step)`, with that of the following step under way in a thread: reading and decoding beside a GPU's work.

    `make` must depend on the step alone. An error in it is raised when its step is asked for.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, step: int) -> T:
        """What `make(step)` gives."""
        ready = self._next[1].result() if self._next is not None and self._next[0] == step else self._make(step)
        self._next = step + 1, self._pool.submit(self._make, step + 1)
        return ready

    def close(self) -> None:
        """Wait for what is under way, and end the thread."""
        self._pool.shutdown(cancel_futures=True)
