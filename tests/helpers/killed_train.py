"""Runs `lrcore.train` in a process of its own, which kills itself with SIGKILL at a given moment.

Moments: `step` (after that many training steps in all, autoencoders first), `save` and `write` (in the middle of
writing that checkpoint or Parquet file: half of its bytes are on disk), and `clock` (after so many seconds).
"""

import itertools
import multiprocessing.util
import os
import signal
import sys
import threading
from pathlib import Path

import processes
import pyarrow.parquet
import torch

from lrcore import train
from lrcore.runtime import tensor_files
from lrcore.training import checkpoints
from lrcore.training.checkpoints import TrainingState


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def after(count, action, half=None):
    """`action`, and death the moment after its `count`th call; `half`: which argument's file is cut in halves first."""
    calls = 0

    def counted(*arguments, **named):
        nonlocal calls
        action(*arguments, **named)
        calls += 1
        if calls == count:
            if half is not None:
                path = Path(arguments[half])
                os.truncate(path, path.stat().st_size // 2)
            die()

    return counted


def arm(moment, count):
    """Have this process kill itself at the moment."""
    if moment == "step":
        TrainingState.advance = after(count, TrainingState.advance)
    elif moment == "save":
        whole, calls = checkpoints.save_tensors, itertools.count(1)

        def save(*arguments):
            if next(calls) == count:
                tensor_files.save_file = after(1, tensor_files.save_file, half=1)
            whole(*arguments)

        checkpoints.save_tensors = save
    elif moment == "write":
        pyarrow.parquet.write_table = after(count, pyarrow.parquet.write_table, half=1)
    else:
        timer = threading.Timer(count, die)
        timer.daemon = True
        timer.start()


def _train(arguments, moment, output, threads):
    with open(output, "w") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(threads)
    if moment:
        arm(*moment)
    sys.exit(train.main(arguments))


def start(arguments, output, moment=None, threads=1):
    """A process of its own that trains, and dies at (moment, count) if any; it prints to the file `output`."""
    process = processes.server().Process(target=_train, args=(arguments, moment, output, threads))
    process.start()
    # a test that failed has left it running, and Python joins it at the end: ask it to stop, before that
    multiprocessing.util.Finalize(process, process.terminate, exitpriority=10)
    return process
