"""Study files: the ones that ship load, and what does not fit is refused by name."""

from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.studies import Cell, load_study, study_names

TINY = (Path(__file__).parent / "tiny.toml").read_text()


def changed(folder, old, new):
    assert old in TINY
    path = folder / "mine.toml"
    path.write_text(TINY.replace(old, new, 1))
    return str(path)


@pytest.mark.parametrize("name", study_names())
def test_every_study_of_the_package_loads(name):
    study = load_study(name)
    assert study.name == name
    assert study.cells


def test_smoke_has_two_values_of_everything():
    study = load_study("smoke")
    assert set(study.autoencoders) == {"sd", "flux1", "flux2", "rae"}
    for values in (
        {cell.trainp for cell in study.cells},
        {cell.trainshift for cell in study.cells},
        {cell.repa for cell in study.cells},
        study.evaluation.sampleshifts,
        study.training.evaluate_at,
    ):
        assert len(values) >= 2


def test_cells_are_the_union_of_the_grids_each_once(tmp_path):
    again = '[[grid]]\nae = ["rae"]\ntrainp = ["ln"]\ntrainshift = [1.0, 2]\nrepa = ["none"]\n\n[[grid]]'
    study = load_study(changed(tmp_path, "[[grid]]", again))
    assert study.cells[:2] == [Cell("rae", "none", "ln", 1.0), Cell("rae", "none", "ln", 2.0)]
    assert len(study.cells) == 5
    assert study.cells[1].name == "rae-none-ln-2.00"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("noise_tau", "noise_tua", r"unknown key in \[autoencoders.rae\] 'noise_tua'.*did you mean 'noise_tau'"),
        ("[training]", "[trainings]", "unknown key 'trainings'.*did you mean 'training'"),
        ("seed = 3\n", "", "missing: seed"),
        ("seed = 3", 'seed = "3"', "seed must be an integer, got '3'"),
        ("seed = 3", "seed = true", "seed must be an integer, got True"),
        ("evaluate_at = [3, 6]", "evaluate_at = 6", "training.evaluate_at must be a list, got 6"),
        ("evaluate_at = [3, 6]", "evaluate_at = [6, 3]", "training.evaluate_at must be increasing steps"),
        ("evaluate_at = [3, 6]", "evaluate_at = [3, 6.5]", r"training.evaluate_at\[1\] must be an integer"),
        ('model = "DiT-Nano"', 'model = "DiT-Nan"', "unknown model 'DiT-Nan'.*did you mean 'DiT-Nano'"),
        ('dataset = "cifar10"', 'dataset = "cifar"', "unknown dataset 'cifar'"),
        ('dataset = "cifar10"', 'dataset = "folder"', "data.path is missing"),
        ('ae = ["flux2", "rae"]', 'ae = ["flux"]', "unknown autoencoder 'flux'"),
        ('trainp = ["ln"]', 'trainp = ["lm"]', "unknown trainp 'lm'"),
        ('repa = ["none", "efficientnet_lite0"]', 'repa = ["dinov2b"]', "unknown repa 'dinov2b'"),
        ("trainshift = [1.0]", "trainshift = [0]", "trainshift must be positive"),
        ("trainshift = [1.0]", "trainshift = []", "trainshift must be positive"),
        ("repa_block = 2", "repa_block = 9", "training.repa_block must be 1 to 3 for DiT-Nano, got 9"),
        ("n_reference = 48", "n_reference = 49", "n_reference is 49, but data.train_images is 48"),
        ('family = "rae"', 'family = "vae"', "unknown autoencoder family 'vae'"),
        ("seed = 3", "seed = = 3", "cannot be read"),
        ("seed = 3", 'seed = 3\nname = "../x"', "study name '../x' must be"),
        ("[autoencoders.rae]", "[autoencoders.orig]", "autoencoder name 'orig' must be"),
        ("n_samples = 8", "n_samples = 1", "evaluation.n_samples must be at least 2"),
        ("checkpoint_every = 2", "checkpoint_every = 0", "autoencoder_training.checkpoint_every must be at least 1"),
        ("ema_decay = 0.9", "ema_decay = 2", "autoencoder_training.ema_decay must be from 0"),
        ("learning_rate = 1e-3", "learning_rate = -1", "autoencoder_training.learning_rate must be positive"),
        ("widths = [8, 8]", "widths = [8, 12]", "autoencoders.flux2.widths must be multiples of 8"),
        ("decoder_heads = 2", "decoder_heads = 3", "decoder_width must be a multiple"),
        ("trainshift = [1.0]", "trainshift = [nan]", "trainshift must be positive"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(old, new, message, tmp_path):
    with pytest.raises(LrcoreError, match=message):
        load_study(changed(tmp_path, old, new))


def test_a_study_file_that_is_not_there():
    with pytest.raises(LrcoreError, match=r"'nowhere.toml' does not exist"):
        load_study("nowhere.toml")
