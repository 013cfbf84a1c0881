"""Two processes that train together: the same rows as one, and checkpoints that any number of them goes on from."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import distributed_cells
import processes
import pytest
import torch
from safetensors.torch import load_file

from lrcore.errors import LrcoreError
from lrcore.executors.torchrun import run_together
from lrcore.records.reading import read_generation
from lrcore.records.schema import GENERATION_KEY
from lrcore.runtime.distributed import ALONE, World, joined
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.engine import Job
from lrcore.stages.generation import run_cells, sample, stacks
from lrcore.stages.training import ensure_trained, load_snapshot
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

HERE = Path(__file__).parents[1]
STUDY = """
extends = "{tiny}"
[autoencoders.pca]
family = "patches"
patch = 4
coefficients = 16
[training]
self_block = 3
[[grid]]
ae = ["pca"]
trainp = ["ln"]
trainshift = [1.0]
repa = ["none", "efficientnet_lite0"]
"""


def workspace(study, root):
    return Workspace(study, Folders(root / "data", root / "imgs", root / "runs"), StopRequest(), lambda steps: None)


def run_alone(study, root):
    work = workspace(study, root)
    for group in stacks(work, study.cells):
        run_cells(work, group)


def rows(root):
    found = read_generation(root / "data").sort_values(list(GENERATION_KEY)).reset_index(drop=True)
    assert len(found) == 2 * 2 * 2  # with and without REPA, steps, sampling shifts
    return found


def torchrun(*program):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *map(str, program),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def snapshots(root):
    return {path.relative_to(root): load_file(path) for path in root.glob("runs/*/transformers/*/average-*")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`alone`: by one process; by two: `whole` (DDP), `sharded` (FSDP2), `moved` (stopped, then one process),
    `sampled` (pictures alone, with the weights of `alone`), `itself` (REPA towards itself). What `alone` holds is
    nothing to do for two."""
    root = tmp_path_factory.mktemp("distributed")
    (root / "grid.toml").write_text(STUDY.format(tiny=HERE / "tiny.toml"))
    study = load_study(str(root / "grid.toml"))
    run_alone(study, root / "alone")
    shared = root / "alone" / "runs" / study.name
    for name in ("whole", "sharded", "moved", "sampled", "itself"):
        for part in ("autoencoders", "latents", "features", *(["transformers"] if name == "sampled" else [])):
            shutil.copytree(shared / part, root / name / "runs" / study.name / part)
        shutil.copytree(root / "alone" / "data" / "anchors", root / name / "data" / "anchors")
    jobs = {
        "whole": "whole:0",
        "sharded": "sharded:0",
        "moved": "sharded:5",
        "sampled": "pictures:0",
        "itself": "itself:0",
    }
    named = [f"{root / name}:{job}" for name, job in {**jobs, "alone": "complete:0"}.items()]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    printed = root / "printed"
    processes.together(distributed_cells.run, 2, 2, port, str(root / "grid.toml"), named, str(printed))
    said = [printed.with_name(f"printed-{rank}").read_text() for rank in (0, 1)]
    for rank in (0, 1):
        assert said[rank].count(f"process {rank} stopped") == 1
    assert "".join(said).count("nothing to do") == 1
    assert (read := read_generation(root / "moved" / "data")).empty or len(read) < 8
    assert list((root / "moved").glob("runs/*/transformers/*/state.safetensors"))
    run_alone(study, root / "moved")
    return root


@pytest.mark.parametrize("name", ["whole", "sharded", "moved"])
def test_two_processes_give_the_rows_of_one(folders, name):
    """To rounding: sums over a batch run in another order."""
    one, two = rows(folders / "alone"), rows(folders / name)
    scores, kernels, cosines = (
        ["fid", "reconstruction_fid"], ["kid", "reconstruction_kid"], ["straightness", "efficiency"]
    )  # fmt: skip
    moved = [*scores, *kernels, *cosines, "numerical_path"]
    assert one.drop(columns=moved).equals(two.drop(columns=moved))
    assert two.numerical_path.str.contains("2 processes").all() or name == "moved"
    for score in scores:
        assert two[score].to_numpy() == pytest.approx(one[score].to_numpy(), rel=1e-3)
    # of the terms: kernel distances are differences of mean kernels above 1, cosines sums over directions of length 1
    for term in (*kernels, *cosines):
        assert two[term].to_numpy() == pytest.approx(one[term].to_numpy(), abs=1e-3)
    expected, found = snapshots(folders / "alone"), snapshots(folders / name)
    assert expected.keys() == found.keys() and len(expected) == 4
    for path, weights in expected.items():
        same(found[path], weights)


def same(found, expected):
    for key, weight in expected.items():
        # six steps of AdamW at 1e-3: where a gradient is rounding alone, its sign may differ
        torch.testing.assert_close(found[key], weight, rtol=1e-2, atol=5e-4, msg=lambda m, key=key: key + m)


def test_a_training_that_aligns_with_itself_is_that_of_one_process(folders, tmp_path):
    study = load_study(str(folders / "grid.toml"))
    for part in ("autoencoders", "latents"):
        shutil.copytree(folders / "alone" / "runs" / study.name / part, tmp_path / "runs" / study.name / part)
    ensure_trained(workspace(study, tmp_path), [replace(study.cells[0], repa="self")], 6)
    (expected,), (found,) = snapshots(tmp_path).values(), snapshots(folders / "itself").values()
    same(found, expected)


def test_samples_do_not_depend_on_the_number_of_processes(folders):
    study, root = load_study(str(folders / "grid.toml")), folders / "alone"
    work = workspace(study, root)
    cell = study.cells[0]
    alone, _ = sample(work, cell, load_snapshot(work, cell, 6), 1.0, range(study.evaluation.n_samples))
    together = load_file(folders / "sampled" / "pictures.safetensors")["pictures"]
    # another batch size may round the last bit of a network's output in another way
    assert (together.int() - alone.int()).abs().max() <= 1
    assert (alone[0].int() - alone[1].int()).abs().max() > 20


def test_a_process_by_itself_is_alone_and_has_nothing_to_divide():
    with joined(torch.device("cpu"), sharded=False) as (world, device):
        assert world is ALONE and device.type == "cpu"
    with pytest.raises(LrcoreError, match="start them with torchrun"), joined(torch.device("cpu"), sharded=True):
        pass


def test_the_command_line_under_torchrun(folders, tmp_path):
    shared = folders / "alone" / "runs" / "grid"
    for part in ("autoencoders", "latents", "features"):
        shutil.copytree(shared / part, tmp_path / "runs" / "grid" / part)
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    command = ["-m", "lrcore.train", folders / "grid.toml", "--only", "generation", "--repa", "none", *places]
    assert torchrun(*command).stdout.count("study 'grid': done") == 1
    found = read_generation(tmp_path / "data").sort_values(list(GENERATION_KEY))
    alone = rows(folders / "alone")
    alone = alone[alone.repa == "none"]
    assert found.fid.tolist() == pytest.approx(alone.fid.tolist(), rel=1e-3)


def test_a_batch_that_cannot_be_divided_is_refused(folders):
    study = load_study(str(folders / "grid.toml"))
    job = Job(study, Folders(folders, folders, folders), torch.device("cpu"), ["generation"], ["pca"], study.cells)
    with pytest.raises(LrcoreError, match=r"batch_size 8 cannot be divided among 3 processes; allowed: \[1, 2, 4, 8\]"):
        run_together(World(size=3), job, StopRequest())
    with pytest.raises(LrcoreError, match="--stack"):
        run_together(World(size=2), replace(job, stack=2), StopRequest())
