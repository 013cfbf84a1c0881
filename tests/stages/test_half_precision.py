"""A grid in half precision: only where the self-check allows it, beside float32, and left when it is wrong."""

import copy
from dataclasses import replace

import pytest
import torch
from tiny_study import PIXELS
from torch.nn.functional import avg_pool2d

from lrcore.fast import capabilities
from lrcore.fast.capabilities import JUDGE, Capabilities, record
from lrcore.figures import prose
from lrcore.metrics.features import FeatureNetwork
from lrcore.records.paired import is_half, pairs
from lrcore.records.reading import read_anchors, read_generation, read_paired
from lrcore.records.schema import HALF_PRECISION
from lrcore.results.study_rows import load_study_rows
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import evaluations, features
from lrcore.stages.choice import best_setting
from lrcore.stages.engine import Job, in_this_process, left_to_do, run_study
from lrcore.stages.evaluations import counted, disagreed, judges_in_half, row_recipe, unpaired
from lrcore.stages.generation import run_cells
from lrcore.stages.samples import shown_settings
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

STUDY = f"{PIXELS}[training]\nevaluate_at = [3]\n"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The study with a data folder of its own; trainings, images and networks are shared."""
    folder = tmp_path_factory.mktemp("half")
    path = folder / "pixels.toml"
    path.write_text(STUDY)
    base = Workspace(load_study(str(path)), Folders(folder, folder, folder / "runs"), StopRequest(), print, stack=2)

    def fresh(data):
        found = copy.copy(base)
        found.folders = Folders(data, data, folder / "runs")
        found.__dict__.pop("fast", None)
        found._kept = {}
        return found

    return fresh


@pytest.fixture
def halved(monkeypatch):
    """Stands in for Inception: features of which half precision makes all distances larger by a thousandth."""

    def quick(name, device, weights):
        def extract(pixels):
            return avg_pool2d(pixels.float() / 255, 8).flatten(1)

        return FeatureNetwork(name, 48, "", "means of pixels", device, extract)

    def wrong(network, calibration):
        assert calibration.dtype == torch.uint8 and len(calibration) == 48
        protocol = f"{network.protocol}{HALF_PRECISION} (a test)"
        return replace(network, protocol=protocol, extract=lambda pixels: 1.001**0.5 * network.extract(pixels))

    monkeypatch.setattr(features, "load_features", quick)
    monkeypatch.setattr(features, "in_half_precision", wrong)
    monkeypatch.setattr(evaluations, "HALVED_NETWORKS", ("efficientnet_lite0",))


@pytest.fixture
def passed(tmp_path, monkeypatch):
    monkeypatch.setattr(capabilities, "cache_folder", lambda: tmp_path / "cache")
    return lambda *parts: record(torch.device("cpu"), Capabilities(frozenset(parts)))


def test_a_grid_in_half_precision_is_beside_float32_and_ranked_by_it(opened, halved, passed, tmp_path):
    passed(JUDGE)
    work = opened(tmp_path / "data")
    first = work.study.cells[0]
    run_cells(work, work.study.cells)
    rows, paired = read_generation(work.folders.data), read_paired(work.folders.data)
    assert len(rows) == 4 and is_half(rows).all()
    assert {path.name for path in (work.folders.data / "paired").rglob("*.parquet")} >= {
        f"{first.name}.parquet", f"{first.name}.half.parquet"
    }  # fmt: skip
    found = pairs(paired)
    assert set(found[found.trainp == "ln"].sampleshift) == {1.0, 4.63}  # of the first training all
    assert list(found.apart) == pytest.approx([1e-3] * len(found), rel=1e-3)
    # the pair's samples are those of the grid, and its float32 row is that which a study in float32 has
    same = rows.merge(paired[is_half(paired)], on=["recipe", "sampleshift"])
    assert len(same) == len(found) and list(same.fid_x) == pytest.approx(list(same.fid_y), rel=1e-6)
    assert {row_recipe(work, first)} <= set(paired[~is_half(paired)].recipe)
    # all that may be the best is in float32, and decides
    lowest = rows.loc[rows.fid.idxmin()]
    assert (lowest.recipe, lowest.sampleshift) in set(zip(same.recipe, same.sampleshift, strict=True))
    best = best_setting(work, "pixels")
    assert (best.cell.trainp, best.sampleshift) == (lowest.trainp, lowest.sampleshift)
    assert [shown.sampleshift for shown in shown_settings(work, "pixels")] == [lowest.sampleshift]
    anchors = read_anchors(work.folders.data)
    assert set(rows.feature_protocol) < set(anchors.feature_protocol)
    assert float(rows.floor_fid.iloc[0]) == pytest.approx(1.001 * paired[~is_half(paired)].floor_fid.iloc[0], rel=1e-4)
    # what is done is done, also where there is no such judge
    passed()
    for there in (work, opened(work.folders.data)):
        assert not unpaired(there) and left_to_do(there, ["generation"], ["pixels"], there.study.cells).empty
    text = prose.protocol(load_study_rows("pixels", work.folders.data).generation)
    assert f"Of {len(found)} evaluations" in text and "differs by at most 0.1 %" in text


def test_pairs_that_are_missing_are_measured_when_the_study_goes_on(opened, halved, passed, tmp_path):
    passed(JUDGE)
    work = opened(tmp_path / "data")
    run_cells(work, work.study.cells)
    for path in (work.folders.data / "paired").rglob("*.parquet"):
        path.unlink()
    first = work.study.cells[0]
    assert first in left_to_do(work, ["generation"], ["pixels"], work.study.cells).generate
    run_cells(work, [first])
    assert first not in unpaired(work) and is_half(read_generation(work.folders.data)).all()


def test_pairs_too_far_apart_turn_the_study_to_float32(opened, halved, passed, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluations, "TOLERANCE", 5e-4)
    passed(JUDGE)
    work = opened(tmp_path / "data")
    first, second = work.study.cells
    run_cells(work, [second])  # not the first training: its best is measured in both all the same
    assert disagreed(work) and not judges_in_half(work) and counted(work) is work
    assert "half precision changes a distance by more than 0.002" in capsys.readouterr().err
    rows = read_generation(work.folders.data)
    assert is_half(rows).sum() == 2 and (~is_half(rows)).sum() == 2  # what was measured stays
    run_cells(work, [first])
    rows = load_study_rows("pixels", work.folders.data).generation
    assert len(rows) == 4 and not is_half(rows).any()
    assert left_to_do(work, ["generation"], ["pixels"], work.study.cells).empty


def test_one_command_measures_again_what_half_precision_got_wrong(opened, halved, passed, tmp_path, monkeypatch):
    """Of its two trainings the second shows it, when the first is measured."""
    monkeypatch.setattr(evaluations, "largest_difference", lambda paired: float((paired.trainp == "ts").any()))
    passed(JUDGE)
    study, folders = opened(tmp_path / "data").study, opened(tmp_path / "data").folders
    done = []

    def execute(job, todo, stop):
        done.append(len(todo.generate))
        return in_this_process(job, todo, stop)

    job = Job(study, folders, torch.device("cpu"), ["generation"], ["pixels"], study.cells)
    assert run_study(job, StopRequest(), execute) == 0
    assert done == [2, 1]
    rows = load_study_rows("pixels", folders.data).generation
    assert len(rows) == 4 and not is_half(rows).any()


def test_a_grid_that_has_rows_in_float32_goes_on_in_float32(opened, halved, passed, tmp_path):
    passed()
    work = opened(tmp_path / "data")
    first, second = work.study.cells
    run_cells(work, [first])
    assert not is_half(read_generation(work.folders.data)).any() and not judges_in_half(work)
    passed(JUDGE)
    work = opened(work.folders.data)
    run_cells(work, [second])
    assert not is_half(read_generation(work.folders.data)).any() and read_paired(work.folders.data).empty


def test_what_it_is_not_for_is_measured_in_float32(opened, halved, passed, tmp_path, monkeypatch):
    passed(JUDGE)
    work = opened(tmp_path / "data")
    assert judges_in_half(work)
    assert not judges_in_half(work.together(replace(work.world, size=2)))
    by_kernel = copy.copy(work)
    by_kernel.study = replace(work.study, evaluation=replace(work.study.evaluation, score="kid"))
    assert not judges_in_half(by_kernel)
    monkeypatch.setattr(evaluations, "HALVED_NETWORKS", ("inception2015",))
    assert not judges_in_half(work)
