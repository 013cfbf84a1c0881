"""The data that come with the project: of the studies as they stand, and saying what is claimed of them."""

from pathlib import Path

import pytest

from lrcore.records.planned import read_planned
from lrcore.records.reading import read_anchors, read_generation, read_latents, read_losses, read_reconstruction
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import choice
from lrcore.stages.anchors import anchors_recipe
from lrcore.stages.autoencoder import needs_training
from lrcore.stages.diagnostics import diagnostics_recipe
from lrcore.stages.generation import row_recipe
from lrcore.stages.reconstruction import reconstruction_recipe
from lrcore.stages.training import training_recipe
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

PROJECT = Path(__file__).parents[2]
AES = ("sd", "flux1", "flux2", "rae")


@pytest.fixture(scope="module", params=["cifar10", "cifar10-cpu"])
def work(tmp_path_factory, request):
    folders = Folders(PROJECT / "data", PROJECT / "imgs", tmp_path_factory.mktemp("runs"))
    return Workspace(load_study(request.param), folders, StopRequest(), lambda steps: None)


def of_study(read, work):
    rows = read(PROJECT / "data")
    return rows[rows.study == work.study.name]


@pytest.mark.parametrize("ae", AES)
def test_trained_autoencoders_are_those_of_the_study_as_it_stands(ae, work):
    """Else whoever runs the study would train for an hour what seems to be there."""
    assert not needs_training(work, ae)


@pytest.mark.parametrize(
    ("read", "recipe_of"),
    [
        (read_reconstruction, reconstruction_recipe),
        (read_latents, diagnostics_recipe),
        (read_anchors, anchors_recipe),
    ],
)
def test_rows_of_autoencoders_are_of_the_study_as_it_stands(read, recipe_of, work):
    rows = of_study(read, work)
    for ae, found in rows.groupby("ae"):
        assert set(found.recipe) == {recipe_of(work, ae)}


def test_what_is_planned_is_the_study_as_it_stands(work):
    if (PROJECT / "data" / "generation" / f"study={work.study.name}").exists():
        assert read_planned(PROJECT / "data", work.study.name) == choice.planned(work.study)


def test_rows_of_trainings_are_of_the_study_as_it_stands(work):
    """No training of it would be done again."""
    cells = {cell: row_recipe(work, cell) for cell in work.study.cells}
    chosen = {}
    for task in choice.tasks(work, [*work.study.autoencoders]):
        if best := choice.best_setting(work, task.ae):
            for count in task.n_samples:
                measuring = choice.measuring(work, task, best, count)
                chosen[choice.cell_of(task, best), count] = row_recipe(measuring, choice.cell_of(task, best))
    assert set(of_study(read_generation, work).recipe) <= {*cells.values(), *chosen.values()}
    trained = {training_recipe(work, cell) for cell in [*cells, *(cell for cell, _ in chosen)]}
    assert set(of_study(read_losses, work).recipe) <= trained


def test_the_grid_of_cifar10_has_rows():
    rows = read_generation(PROJECT / "data")
    assert len(rows[rows.study == "cifar10"]) == 83


def values(rows, metric):
    found = rows[(rows.study == "cifar10") & (rows.metric == metric)].set_index("ae").value
    return {ae: found[ae] for ae in AES}


@pytest.mark.parametrize("metric", ["psnr", "ssim", "lpips_alex", "lpips_vgg", "lpips_vgg_unweighted"])
def test_the_autoencoders_are_as_faithful_as_their_families(metric):
    """As at full scale: FLUX.2 before FLUX.1 before SD before RAE, by every metric of single images."""
    found = values(read_reconstruction(PROJECT / "data"), metric)
    lower_is_better = metric not in ("psnr", "ssim")
    order = sorted(AES, key=found.get, reverse=not lower_is_better)
    assert order == ["flux2", "flux1", "sd", "rae"]


def test_the_latents_are_what_they_were_made_to_be():
    """Alignment makes a latent more semantic, and a vision encoder's is the most semantic."""
    probe = values(read_latents(PROJECT / "data"), "probe_accuracy")
    assert probe["rae"] > probe["flux2"] > probe["flux1"] > probe["sd"] > 0.1
    dimension = values(read_latents(PROJECT / "data"), "effective_dimension")
    assert dimension["rae"] > dimension["flux2"] > max(dimension["flux1"], dimension["sd"])
