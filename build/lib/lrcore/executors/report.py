"""How a process that did a part of a study tells another one how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages.engine import Diverged, Job, in_this_process
from lrcore.stages.todo import Todo


@dataclass(frozen=True)
class Report:
    """All done but what `diverged`, or why it `stopped`, or the `error` it could not get over."""

    diverged: Diverged
    stopped: str = ""
    error: str = ""


def report_of(job: Job, todo: Todo, stop: StopRequest, only: str = "") -> Report:
    """Do the units of `todo`, or the `only` one of that name, in this process."""
    try:
        return Report(in_this_process(job, todo, stop, only))
    except StudyInterrupted as interrupted:
        return Report({}, stopped=str(interrupted))
    except LrcoreError as error:
        return Report({}, error=str(error))
