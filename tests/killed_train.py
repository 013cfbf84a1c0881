"""Runs `lrcore.train` and kills itself with SIGKILL at a given moment: MOMENT COUNT ARGUMENTS-OF-TRAIN...

Moments: `step` (after that many training steps in all, autoencoders first) and `write` (in the middle of writing
that Parquet file: half of its bytes are on disk).
"""

import os
import signal
import sys
from pathlib import Path

import pyarrow.parquet

from lrcore import train
from lrcore.checkpoints import TrainingState

moment, count = sys.argv[1], int(sys.argv[2])
calls = 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def advance_then_die(self, loss, advance=TrainingState.advance):
    global calls
    advance(self, loss)
    calls += 1
    if calls == count:
        die()


def write_half_then_die(table, path, write=pyarrow.parquet.write_table):
    global calls
    calls += 1
    write(table, path)
    if calls == count:
        os.truncate(path, Path(path).stat().st_size // 2)
        die()


if moment == "step":
    TrainingState.advance = advance_then_die
else:
    pyarrow.parquet.write_table = write_half_then_die
train.main(sys.argv[3:])
