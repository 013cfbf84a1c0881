"""The loss by training time: against pandas' bins, through checkpoints, and as rows on disk."""

import math

import numpy
import pandas
import processes
import pytest
import torch
from safetensors.torch import load_file, save_file

from lrcore.errors import LrcoreError
from lrcore.records.paths import losses_folder
from lrcore.records.reading import read_losses
from lrcore.records.writing import write_losses
from lrcore.spec.study import Cell
from lrcore.training.loss_log import LossInterval, LossLog, loss_rows, mean_loss

CELL = Cell("sd", "none", "ln", 2.95, 3)


def batches(steps, runs=1, images=64):
    made = torch.Generator().manual_seed(5)
    return [
        (torch.rand(runs, images, generator=made) ** 2, 3 * torch.rand(runs, images, generator=made))
        for _ in range(steps)
    ]


def test_means_and_counts_are_those_of_pandas_cut():
    log, seen = LossLog(bins=8), batches(7)
    for t, losses in seen:
        log.add(t.flatten(), losses.flatten())
    log.close_interval(7)
    t, losses = (torch.cat([pair[k].flatten() for pair in seen]).double().numpy() for k in (0, 1))
    grouped = pandas.Series(losses).groupby(pandas.cut(t, numpy.linspace(0, 1, 9), right=False), observed=False)
    (row,) = log.rows[0]
    assert row.step == 7
    assert row.losses == pytest.approx(grouped.mean().tolist(), rel=1e-14)
    assert row.counts == tuple(grouped.count())
    assert mean_loss(row) == pytest.approx(losses.mean(), rel=1e-14)


def test_the_edges_of_bins_belong_to_the_upper_one_and_one_to_the_last():
    log = LossLog(bins=4)
    log.add(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), torch.tensor([1.0, 2.0, 3.0, 4.0, 6.0]))
    log.close_interval(1)
    assert log.rows[0] == [LossInterval(1, (1.0, 2.0, 3.0, 5.0), (1, 1, 1, 2))]


def test_an_interval_starts_anew_and_an_empty_bin_has_no_loss():
    log = LossLog(bins=2)
    log.add(torch.tensor([0.1, 0.9]), torch.tensor([1.0, 2.0]))
    log.close_interval(1)
    log.add(torch.tensor([0.9]), torch.tensor([7.0]))
    log.close_interval(2)
    log.close_interval(3)
    second, third = log.rows[0][1:]
    assert math.isnan(second.losses[0]) and second.losses[1] == 7 and second.counts == (0, 1)
    assert third.counts == (0, 0) and all(map(math.isnan, third.losses)) and math.isnan(mean_loss(third))
    assert mean_loss(second) == 7


def test_a_broken_loss_stays_in_its_bin():
    log = LossLog(bins=2)
    log.add(torch.tensor([0.1, 0.1, 0.9]), torch.tensor([math.nan, 1.0, 2.0]))
    log.close_interval(1)
    (row,) = log.rows[0]
    assert math.isnan(row.losses[0]) and row.losses[1] == 2 and row.counts == (2, 1)


def test_runs_of_a_stack_have_the_logs_they_have_alone():
    stacked, alone = LossLog(runs=3), [LossLog() for _ in range(3)]
    for step, (t, losses) in enumerate(batches(6, runs=3), 1):
        stacked.add(t.flatten(), losses.flatten())
        for run, log in enumerate(alone):
            log.add(t[run], losses[run])
        if step % 2 == 0:
            for log in (stacked, *alone):
                log.close_interval(step)
    assert stacked.rows == [log.rows[0] for log in alone]
    assert stacked.rows[0] != stacked.rows[1]


def test_losses_keep_no_graph_and_bfloat16_is_taken():
    log, weights = LossLog(bins=1), torch.ones(4, requires_grad=True)
    log.add(torch.rand(4), 2 * weights)
    log.add(torch.rand(4).bfloat16(), torch.full((4,), 4.0).bfloat16())
    log.close_interval(1)
    assert log.rows[0][0].losses == (3.0,)
    assert not any(tensor.requires_grad for tensor in log.tensors().values())


def test_nothing_is_read_back_before_the_interval_closes():
    """On the meta device there is nothing to read: whatever asks for a number fails."""
    log = LossLog(runs=2, device="meta")
    log.add(torch.rand(2, 8, device="meta"), torch.rand(2, 8, device="meta"))
    with pytest.raises((NotImplementedError, RuntimeError)):
        log.close_interval(1)


@pytest.mark.parametrize("stop", [0, 3, 4, 5, 8])
@pytest.mark.parametrize("runs", [1, 2])
def test_stopped_anywhere_and_resumed_from_files_it_is_the_same_bit_for_bit(stop, runs, tmp_path):
    seen = batches(8, runs=runs)

    def go_on(log, first, last):
        for step in range(first, last):
            log.add(*seen[step])
            if (step + 1) % 4 == 0:
                log.close_interval(step + 1)
        return log

    undisturbed = go_on(LossLog(runs=runs), 0, 8)
    killed = go_on(LossLog(runs=runs), 0, stop)
    paths = [tmp_path / f"{run}.safetensors" for run in range(runs)]
    for run, path in enumerate(paths):
        save_file(killed.tensors(run) | {"model.weight": torch.zeros(2)}, path)
    resumed = LossLog(runs=runs)
    resumed.add(*seen[0])  # loading replaces what was there
    resumed.close_interval(1)
    resumed.add(*seen[0])
    resumed.load_tensors([load_file(path) for path in paths])
    go_on(resumed, stop, 8)
    assert repr(resumed.rows) == repr(undisturbed.rows)
    for run in range(runs):
        for name, tensor in undisturbed.tensors(run).items():
            assert name.startswith("loss_log.")
            assert torch.equal(resumed.tensors(run)[name], tensor), name


def test_what_was_stored_does_not_change_with_the_log():
    log = LossLog()
    log.add(*batches(1)[0])
    stored = log.tensors()
    before = stored["loss_log.open_sums"].clone()
    log.add(*batches(1)[0])
    assert torch.equal(stored["loss_log.open_sums"], before)


def test_other_logs_are_refused():
    log = LossLog(bins=4)
    with pytest.raises(LrcoreError, match="has 10 bins, this one has 4"):
        log.load_tensors([LossLog().tensors()])
    with pytest.raises(LrcoreError, match=r"'loss_log\.step' is missing"):
        log.load_tensors([{"model.weight": torch.zeros(2)}])
    with pytest.raises(LrcoreError, match="2 stored loss logs for 1 runs"):
        log.load_tensors([log.tensors()] * 2)


def share_of_a_training(rank, folder):
    """One of two processes that add half of every batch each, stopped in the middle of an interval and resumed."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    log = LossLog(runs=2)
    for step, (t, losses) in enumerate(batches(6, runs=2), 1):
        log.add(t.chunk(2, dim=1)[rank], losses.chunk(2, dim=1)[rank])
        if step % 2 == 0:
            log.close_interval(step)
        if step in (3, 5):
            log.collect()
        if step == 3:
            if rank == 0:
                for run in range(2):
                    save_file(log.tensors(run), f"{folder}/{run}.safetensors")
            torch.distributed.barrier()
            log = LossLog(runs=2)
            log.load_tensors([load_file(f"{folder}/{run}.safetensors") for run in range(2)])
    if rank == 0:
        torch.save(repr(log.rows), f"{folder}/rows.pt")
    torch.distributed.destroy_process_group()


def test_processes_that_share_batches_have_the_log_of_one(tmp_path):
    processes.together(share_of_a_training, 2, str(tmp_path))
    alone = LossLog(runs=2)
    for step, pair in enumerate(batches(6, runs=2), 1):
        alone.add(*pair)
        if step % 2 == 0:
            alone.close_interval(step)
    assert torch.load(tmp_path / "rows.pt") == repr(alone.rows)


def test_rows_on_disk(tmp_path):
    log = LossLog(bins=2)
    log.add(torch.tensor([0.1, 0.2]), torch.tensor([1.0, 2.0]))
    log.close_interval(10)
    rows = loss_rows(log.rows[0], CELL, 64, recipe="r", lrcore_version="v")
    write_losses(tmp_path, "smoke", CELL.name, rows)
    log.close_interval(20)
    # as after a resume: all intervals again, the new one added
    write_losses(tmp_path, "smoke", CELL.name, loss_rows(log.rows[0], CELL, 64, "r", "v"))
    assert (losses_folder(tmp_path, "smoke") / f"{CELL.name}.parquet").exists()
    found = read_losses(tmp_path)
    assert found[["step", "t_low", "t_high", "count"]].values.tolist() == [
        [10, 0.0, 0.5, 2], [10, 0.5, 1.0, 0], [20, 0.0, 0.5, 0], [20, 0.5, 1.0, 0],
    ]  # fmt: skip
    assert found.loss[0] == 1.5 and found.loss[1:].isna().all()
    assert (found.study == "smoke").all() and (found.train_seed == 3).all()
    assert found[["ae", "repa", "trainp", "trainshift"]].drop_duplicates().values.tolist() == [
        ["sd", "none", "ln", 2.95]
    ]
    assert len(pandas.read_parquet(tmp_path / "losses")) == 4
    write_losses(tmp_path, "smoke", CELL.name, loss_rows(log.rows[0][:1], CELL, 64, "changed", "v"))
    assert read_losses(tmp_path).recipe.tolist() == ["changed"] * 2
    assert {"study", "loss", "count"} <= set(read_losses(tmp_path / "nothing"))
