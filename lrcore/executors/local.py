"""Several processes on this machine.

    python -m lrcore.train smoke --workers 2

They share the work as processes started by hand would. The parent does none of it: it passes on the wish to stop, and
says how each worker ended.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import pickle
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TextIO, cast

import torch

from lrcore.errors import LrcoreError
from lrcore.executors.report import Report, report_of
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages.engine import Diverged, Job
from lrcore.stages.todo import Todo

SIGNALS = (signal.SIGINT, signal.SIGTERM)

MEASURES = ("lrcore.metrics.features", "timm", "torch._dynamo")
"""What a process imports once it trains and measures: seconds, spent once for all workers."""

MAKES_NETWORKS = ("lrcore.autoencoders.rae_decoder", "lpips")
"""What it imports, too, for an autoencoder of one of the families `OF_DIFFUSERS`."""

OF_DIFFUSERS = frozenset({"kl", "flux2", "rae", "diffusers"})

LOOK_EVERY = 0.2
"""Seconds between the parent's looks at whether to stop."""


@dataclass(frozen=True)
class LocalExecutor:
    """Works a study off in `workers` processes; torch's threads and the GPUs are divided among them.

    Raises, when called:
        LrcoreError: a worker could not go on, and the others were stopped; or all of them died.
        StudyInterrupted: stopped as asked, all workers too.
    """

    workers: int

    def __call__(self, job: Job, todo: Todo, stop: StopRequest) -> Diverged:
        threads = max(1, torch.get_num_threads() // self.workers)
        workers = []
        try:
            with _signals_held_back():
                workers += [_Worker(number, job, todo, threads) for number in range(1, self.workers + 1)]
            _attend(workers, stop)
        finally:
            for worker in workers:
                worker.stop()
        return _outcome([worker.report for worker in workers if worker.report], stop)


class _Worker:
    """The parent's side of a worker. `report`: None until it has ended, and for ever if it died."""

    def __init__(self, number: int, job: Job, todo: Todo, threads: int) -> None:
        self.number = number
        self.report: Report | None = None
        self.running = True
        context = _context(job)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(number, job, todo, threads, theirs))
        self._process.start()
        theirs.close()

    def end(self) -> None:
        """Wait for the end, and say what ended it where it did not come to a report."""
        if not self.running:
            return
        self.running = False
        # a worker that died may leave half a report
        with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
            self.report = self.connection.recv()
        self._process.join()
        code = self._process.exitcode or 0
        if self.report is None:
            cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            print(f"worker {self.number} died ({cause}); others take over its unit", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Have it stop at the next safe point, and wait for that."""
        if self.running:
            with contextlib.suppress(OSError):  # where it has ended by itself
                self.connection.send("stop")
            self.end()


class _StopOfWorker(StopRequest):
    """Stops, too, when the parent says so or has died."""

    def __init__(self, parent: Connection) -> None:
        super().__init__()
        self._parent = parent

    def check(self) -> None:
        if not self.reason and self._parent.poll():
            self.reason = "asked by the parent"
        super().check()


class _Labelled(io.TextIOBase):
    """Writes whole lines, each with who writes it; no terminal, so that nobody draws a bar over the others'."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self._label, self._stream, self._line = label, stream, ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        if lines:
            self._stream.write("".join(f"{self._label}: {line}\n" for line in lines))
            self._stream.flush()
        return len(text)


def _context(job: Job) -> Any:
    """Of processes that never ran a network: CUDA and torch's threads do not survive a fork.

    They come from a server that has imported once what the work needs, which takes seconds; where there is none, each
    is an interpreter of its own.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    of_diffusers = OF_DIFFUSERS & {job.study.autoencoders[ae].family for ae in job.aes}
    context.set_forkserver_preload([__name__, *MEASURES, *(MAKES_NETWORKS if of_diffusers else ())])
    return context


def _attend(workers: Sequence[_Worker], stop: StopRequest) -> None:
    """Until all workers have ended, one of them could not go on, or a stop was asked for."""
    while running := [worker for worker in workers if worker.running]:
        try:
            stop.check()
        except StudyInterrupted:
            return
        ready = wait([worker.connection for worker in running], timeout=LOOK_EVERY)
        for worker in running:
            if worker.connection in ready:
                worker.end()
                if worker.report and worker.report.error:
                    return


def _outcome(reports: Sequence[Report], stop: StopRequest) -> Diverged:
    errors = [report.error for report in reports if report.error]
    if errors:
        raise LrcoreError(errors[0])
    at_the_end = [report.diverged for report in reports if not report.stopped]
    if not at_the_end and reports:
        raise StudyInterrupted(stop.reason or reports[0].stopped)
    if not at_the_end:
        raise LrcoreError("all workers died: is there memory for as many? The same command goes on from here")
    # one that comes to the end has seen that everything is done
    return {ae: message for diverged in at_the_end for ae, message in diverged.items()}


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Signals that come meanwhile act afterwards; a process started meanwhile holds them back until it lets them in."""
    resource_tracker.ensure_running()  # it would let them in when the first worker starts it
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _work(number: int, job: Job, todo: Todo, threads: int, parent: Connection) -> None:
    """What a worker does."""
    stop = _StopOfWorker(parent)
    stop.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sys.stderr = cast(TextIO, _Labelled(f"worker {number}", sys.stderr))
    torch.set_num_threads(threads)
    if job.device.type == "cuda":
        torch.cuda.set_device((number - 1) % torch.cuda.device_count())
    report = report_of(job, todo, stop)
    with contextlib.suppress(BrokenPipeError):  # where the parent has died
        parent.send(report)
