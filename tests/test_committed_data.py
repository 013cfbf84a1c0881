"""The data that come with the project: of the studies as they stand, and saying what is claimed of them."""

from pathlib import Path

import pytest

from lrcore.interruption import StopRequest
from lrcore.records import read_generation, read_latents, read_reconstruction
from lrcore.stages.autoencoder import needs_training
from lrcore.stages.diagnostics import diagnostics_done
from lrcore.stages.generation import row_recipe
from lrcore.stages.reconstruction import reconstruction_done
from lrcore.stages.workspace import Folders, Workspace
from lrcore.studies import load_study

PROJECT = Path(__file__).parent.parent
STUDY = "cifar10-cpu"
AES = ("sd", "flux1", "flux2", "rae")


@pytest.fixture(scope="module", params=["cifar10", STUDY])
def work(tmp_path_factory, request):
    folders = Folders(PROJECT / "data", PROJECT / "imgs", tmp_path_factory.mktemp("runs"))
    return Workspace(load_study(request.param), folders, StopRequest(), lambda steps: None)


@pytest.mark.parametrize("ae", AES)
def test_they_are_of_the_study_as_it_stands(ae, work):
    """Else whoever runs the study would train for an hour what seems to be there."""
    assert not needs_training(work, ae)
    assert reconstruction_done(work, ae) and diagnostics_done(work, ae)


def test_every_row_of_the_grid_is_of_the_study_as_it_stands(work):
    """No training of it would be done again."""
    rows = read_generation(PROJECT / "data")
    rows = rows[rows.study == work.study.name]
    recipes = {row_recipe(work, cell) for cell in work.study.cells}
    asked_again = rows.feature_network != work.study.evaluation.feature_network
    assert len(rows) and set(rows[~asked_again].recipe) <= recipes


def values(rows, metric):
    found = rows[(rows.study == STUDY) & (rows.metric == metric)].set_index("ae").value
    return {ae: found[ae] for ae in AES}


@pytest.mark.parametrize("metric", ["psnr", "ssim", "lpips_alex", "lpips_vgg", "lpips_vgg_unweighted", "rfd"])
def test_the_autoencoders_are_as_faithful_as_their_families(metric):
    """As at full scale: FLUX.2 before FLUX.1 before SD before RAE, by every metric."""
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
