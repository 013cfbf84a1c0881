"""Traces of matrix roots by processes of their own, beside a GPU that draws the next samples meanwhile.

    roots = TraceRoots(workers=8)
    found = roots.submit(product)      # a future of the sum of the roots of its eigenvalues

Processes, since LAPACK's routines hold the interpreter's lock; one thread each, so that as many as there are cores do
not hinder one another. They read matrices from a pipe and end when it is closed, as it is when whoever started them
ends. This module is what they run, and imports little.
"""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from scipy.linalg import eigvalsh

MODULE = "lrcore.metrics.trace_roots"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


def trace_of_root(product: np.ndarray) -> float:
    """Sum of the square roots of the eigenvalues of a symmetric matrix (D, D), float64, of which the lower half counts
    and which it overwrites."""
    if len(product) == 0:
        return 0.0
    # not torch's eigvalsh, which takes several times as long on a CPU at 2048 dimensions
    eigenvalues = eigvalsh(product, lower=True, check_finite=False, overwrite_a=True)
    # Exact eigenvalues are at least 0; rounding makes some of the smallest negative.
    return float(np.sqrt(eigenvalues.clip(min=0.0)).sum())


class TraceRoots:
    """Computes `trace_of_root` in up to `workers` processes, which start when they are first needed."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="trace roots")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()

    def submit(self, product: np.ndarray) -> Future[float]:
        """A future of `trace_of_root(product)`; by this process where that of a worker has died."""
        return self._threads.submit(self._computed, product)

    def close(self) -> None:
        """Wait for what is under way, and end the processes."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()

    def _computed(self, product: np.ndarray) -> float:
        try:
            # as many threads as workers: one that finds none idle may start one
            worker = self._idle.get_nowait()
        except queue.Empty:
            try:
                worker = _Worker()
            except OSError:  # no memory or no room for one more process
                return trace_of_root(product)
        try:
            found = worker(product)
        except (OSError, struct.error):
            worker.close()
            return trace_of_root(product)
        self._idle.put(worker)
        return found


class _Worker:
    """A process that runs this module."""

    def __init__(self) -> None:
        places = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(places)}
        # a session of its own: Ctrl-C is for whoever started it, which lets it come to its end
        self.process = subprocess.Popen([sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment, start_new_session=True)  # fmt: skip

    def __call__(self, product: np.ndarray) -> float:
        given, result = cast(BinaryIO, self.process.stdin), cast(BinaryIO, self.process.stdout)
        given.write(struct.pack("q", len(product)))
        given.write(np.asfortranarray(product).tobytes("F"))
        given.flush()
        found: float = struct.unpack("d", result.read(8))[0]
        return found

    def close(self) -> None:
        try:
            self.process.communicate()
        except OSError:  # it has died with a part of a matrix unread
            self.process.wait()


def _serve(given: BinaryIO, result: BinaryIO) -> None:
    """Read matrices until there are no more, and write a number for each."""
    while len(head := given.read(8)) == 8:
        size = struct.unpack("q", head)[0]
        body = given.read(8 * size * size)
        if len(body) < 8 * size * size:
            return  # whoever was writing it has ended
        numbers = np.frombuffer(bytearray(body))
        result.write(struct.pack("d", trace_of_root(numbers.reshape(size, size, order="F"))))
        result.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody waits for the number any more
        _serve(sys.stdin.buffer, sys.stdout.buffer)
