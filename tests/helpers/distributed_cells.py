"""Cells of a study by several processes with the environment that torchrun gives them: FOLDER:MODE:CHECKS, job by job.

MODE is `whole`, `sharded`, `itself`: train the first cell with REPA towards itself, `pictures`: draw samples with the
weights that are there and store them, or `complete`: what the command does where all rows are there. After so many
looks at whether to stop, the first process is asked to (0 is never).
"""

import os
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from lrcore.executors.torchrun import run_together
from lrcore.runtime.distributed import SharedStop, joined
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages.engine import Job
from lrcore.stages.generation import own_batches, run_cells, sample, stacks
from lrcore.stages.training import ensure_trained, load_snapshot
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


class AfterChecks(StopRequest):
    """Stops at the n-th look."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    def check(self):
        self.left -= 1
        if self.left == 0:
            self.reason = "asked to"
        super().check()


def store_pictures(work, root):
    cell = work.study.cells[0]
    model = load_snapshot(work, cell, work.study.training.evaluate_at[-1])
    own = torch.cat([sample(work, cell, model, 1.0, numbers)[0] for numbers in own_batches(work)])
    pictures = torch.cat(work.world.gathered(own)).contiguous()
    if work.world.first:
        save_file({"pictures": pictures}, root / "pictures.safetensors")


def run(rank, size, port, study, jobs, output):
    """The process `rank` of `size`, which meet at a port of this machine; it prints to the file `output`-`rank`."""
    with open(f"{output}-{rank}", "w") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    study = load_study(study)
    with joined(torch.device("cpu"), sharded=False) as (world, device):
        for job in jobs:
            folder, mode, looks = job.rsplit(":", 2)
            root = Path(folder)
            together = type(world)(world.rank, world.size, mode == "sharded")
            stop = SharedStop(AfterChecks(int(looks) if world.first else 0), world)
            folders = Folders(root / "data", root / "imgs", root / "runs")
            if mode == "complete":
                run_together(together, Job(study, folders, device, ["generation"], ["pca"], study.cells), stop)
                continue
            work = Workspace(study, folders, stop, lambda steps: None, device, world=together)
            if mode == "itself":
                ensure_trained(work, [replace(study.cells[0], repa="self")], study.training.evaluate_at[-1])
                continue
            if mode == "pictures":
                store_pictures(work, root)
                continue
            try:
                for group in stacks(work, study.cells):
                    run_cells(work, group)
            except StudyInterrupted as interrupted:
                print(f"process {world.rank} stopped: {interrupted}", flush=True)
        world.wait()
