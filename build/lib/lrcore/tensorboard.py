"""The Parquet of a study as TensorBoard's event files, for who likes to watch there.

    python -m lrcore.tensorboard cifar10-cpu --to runs/tensorboard
    tensorboard --logdir runs/tensorboard

One folder a training run: its loss, whole and by bin of t, and what its samples were worth, over the training steps.
Nothing is written while training, so nothing of this is ever needed; call it again for what came since. Needs
TensorBoard: pip install 'lrcore[tensorboard]'.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

from lrcore.command_line import Parser, folder, run_command
from lrcore.errors import LrcoreError
from lrcore.records.reading import read_generation, read_losses
from lrcore.records.schema import distance_label
from lrcore.runtime.files import require_writable
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import NO_SKIP, Cell
from lrcore.studies.loading import load_study

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

AXES = [field.name for field in dataclasses.fields(Cell)]
"""The columns that make a training run."""


class EventWriter:
    """Event files of one training run in `folder`/`run`; those that are there of it are replaced.

    Raises:
        LrcoreError: TensorBoard is not installed, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = Path(folder) / run
        require_writable(self.folder)
        earlier = list(self.folder.glob("events.out.tfevents.*"))
        self._writer = _summary_writer()(str(self.folder))
        for path in earlier:
            path.unlink(missing_ok=True)

    def losses(self, rows: pandas.DataFrame) -> None:
        """Write rows of `read_losses`: the mean over t as `loss`, every bin as `loss by t/<low> to <high>`."""
        for step, interval in rows[rows["count"] > 0].groupby("step"):
            mean = (interval.loss * interval["count"]).sum(skipna=False) / interval["count"].sum()
            self._number("loss", mean, step)
            for row in _records(interval):
                self._number(f"loss by t/{row['t_low']:.2f} to {row['t_high']:.2f}", row["loss"], step)

    def scores(self, rows: pandas.DataFrame) -> None:
        """Write rows of `read_generation`, one curve a metric and sampling shift; what diverged has none."""
        for row in _records(rows):
            names = {distance_label(row["feature_network"]): "fid", "kernel distance": "kid",
                     "precision": "sample_precision", "recall": "sample_recall"}  # fmt: skip
            for name, column in names.items():
                self._number(f"{name}/sampleshift {row['sampleshift']:.2f}", row[column], row["step"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _number(self, tag: str, value: float, step: Any) -> None:
        if math.isfinite(value):
            self._writer.add_scalar(tag, float(value), int(step))


def write_events(data: Path, study: str, folder: Path) -> list[str]:
    """Event files of every run of `study` that has rows under `data`, in `folder`/`study`; the names of the runs.

    Raises:
        LrcoreError: there are no rows of the study.
    """
    losses, scores = (found[found.study == study] for found in (read_losses(data), read_generation(data)))
    of_losses, of_scores = dict(_runs(losses)), dict(_runs(scores))
    runs = sorted({*of_losses, *of_scores})
    if not runs:
        raise LrcoreError(f"'{data}' has no rows of study '{study}': `python -m lrcore.train` makes them")
    for run in runs:
        writer = EventWriter(folder / study, run)
        try:
            writer.losses(of_losses.get(run, losses.iloc[:0]))
            writer.scores(of_scores.get(run, scores.iloc[:0]))
        finally:
            writer.close()
    return runs


def _runs(rows: pandas.DataFrame) -> Iterable[tuple[str, pandas.DataFrame]]:
    # the width most rows have is the model's own; older rows say neither width nor skip
    own = rows["width"].mode()
    width = rows["width"].where(rows["width"] != (own[0] if len(own) else 0), 0).fillna(0).astype(int)
    known = rows.assign(width=width, skip=rows["skip"].replace("", NO_SKIP))
    for values, found in known.groupby(AXES):
        axes: tuple[Any, ...] = values
        yield Cell(*axes).name, found


def _records(rows: pandas.DataFrame) -> list[dict[Hashable, Any]]:
    return rows.to_dict("records")


def _summary_writer() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise LrcoreError("TensorBoard is not installed; it comes with: pip install 'lrcore[tensorboard]'") from error
    return SummaryWriter


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.tensorboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("study", nargs="?", default="smoke", help="a study's name, or the path of a TOML file")
    line.add_argument("--to", type=folder, required=True, metavar="FOLDER", help="where the event files go")
    line.add_argument("--data", type=folder, default=Path("data"), help="folder of the Parquet (default: data)")
    line.set_defaults(budget=None)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    runs = write_events(options.data, load_study(options.study).name, options.to)
    print(f"wrote {len(runs)} runs; to see them: tensorboard --logdir {options.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
