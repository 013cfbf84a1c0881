"""Study files: the ones that ship load, and what does not fit is refused by name."""

import re
from itertools import product
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.spec.study import Cell
from lrcore.studies.loading import load_study, study_names

TINY = (Path(__file__).parents[1] / "tiny.toml").read_text()


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


@pytest.mark.parametrize(("name", "encoder"), [("cifar10", "efficientnet_lite0"), ("imagenet256", "dinov2b")])
def test_the_grid_of_the_study_is_whole(name, encoder):
    """4 autoencoders x 3 densities x 5 shifts x REPA or not, x 5 sampling shifts; `ln` of all autoencoders first."""
    study = load_study(name)
    shifts = (1.0, 1.78, 2.95, 4.63, 6.93)
    axes = product(("sd", "flux1", "flux2", "rae"), ("none", encoder), ("ts", "ln", "pln"), shifts)
    assert set(study.cells) == {Cell(*values) for values in axes} and len(study.cells) == 120
    assert study.evaluation.sampleshifts == shifts
    assert study.evaluation.feature_network == "inception2015"
    first = study.cells[:40]
    assert {cell.trainp for cell in first} == {"ln"} and {cell.ae for cell in first} == set(study.autoencoders)


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


def test_an_autoencoder_from_elsewhere_replaces_the_one_of_that_name(tmp_path):
    """As the README shows it: the trained one's keys mean nothing to it."""
    (tmp_path / "mine.toml").write_text(
        'extends = "smoke"\n[autoencoders.sd]\nfamily = "kl"\npretrained = "stabilityai/sd-vae-ft-ema"\npatch = 2\n'
    )
    spec = load_study(str(tmp_path / "mine.toml")).autoencoders["sd"]
    assert (spec.origin, spec.widths, spec.patch) == ("pretrained", (), 2)


def test_guidance_needs_a_network_that_knows_no_class(tmp_path):
    path = changed(tmp_path, "[evaluation]", "[evaluation]\nguidance = 1.5")
    load_study(path)
    content = Path(path).read_text()
    Path(path).write_text(re.sub(r"class_dropout = .*", "class_dropout = 0.0", content))
    with pytest.raises(LrcoreError, match=r"guidance other than 1 needs a training[.]class_dropout"):
        load_study(path)


def test_cells_are_the_union_of_the_grids_each_once(tmp_path):
    again = '[[grid]]\nae = ["rae"]\ntrainp = ["ln"]\ntrainshift = [1.0, 2]\nrepa = ["none"]\n\n[[grid]]'
    study = load_study(changed(tmp_path, "[[grid]]", again))
    assert study.cells[:2] == [Cell("rae", "none", "ln", 1.0, 3), Cell("rae", "none", "ln", 2.0, 3)]
    assert len(study.cells) == 5
    assert study.cells[1].name == "rae-none-ln-2.00-seed3"


def test_a_grid_may_name_seeds_for_its_trainings(tmp_path):
    again = (
        '[[grid]]\nae = ["rae"]\ntrainp = ["ln"]\ntrainshift = [1]\nrepa = ["none"]\ntrain_seed = [0, 4]\n\n[[grid]]'
    )
    study = load_study(changed(tmp_path, "[[grid]]", again))
    assert [cell.name for cell in study.cells[:2]] == ["rae-none-ln-1.00", "rae-none-ln-1.00-seed4"]
    assert {cell.train_seed for cell in study.cells[2:]} == {study.seed}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("noise_tau", "noise_tua", r"unknown key in \[autoencoders.rae\] 'noise_tua'.*did you mean 'noise_tau'"),
        ("[evaluation]", '[evaluation]\nsampler = "huen"', "unknown sampler 'huen'.*did you mean 'heun'"),
        ("[evaluation]", "[evaluation]\nguidance = -1", "evaluation.guidance must be from 0 to 1000, got -1.0"),
        ("[evaluation]", "[evaluation]\nguidance_interval = [0.5]", r"must be two times \[low, high\], got \[0.5\]"),
        ("[evaluation]", "[evaluation]\nguidance_interval = [0.9, 0.1]", "must satisfy 0 <= low < high <= 1"),
        ("[training]", "[trainings]", "unknown key 'trainings'.*did you mean 'training'"),
        ("seed = 3\n", "", "missing: seed"),
        ("seed = 3", 'seed = "3"', "seed must be an integer, got '3'"),
        ("seed = 3", "seed = true", "seed must be an integer, got True"),
        ("evaluate_at = [3, 6]", "evaluate_at = 6", "training.evaluate_at must be a list, got 6"),
        ("evaluate_at = [3, 6]", "evaluate_at = [6, 3]", "training.evaluate_at must be increasing steps"),
        ("evaluate_at = [3, 6]", "evaluate_at = [3, 6.5]", r"training.evaluate_at\[1\] must be an integer"),
        ('model = "DiT-Micro"', 'model = "DiT-Micr"', "unknown model 'DiT-Micr'.*did you mean 'DiT-Micro'"),
        ('dataset = "cifar10"', 'dataset = "cifar"', "unknown dataset 'cifar'"),
        ('dataset = "cifar10"', 'dataset = "folder"', "data.path is missing"),
        ('ae = ["flux2", "rae"]', 'ae = ["flux"]', "unknown autoencoder 'flux'"),
        ('trainp = ["ln"]', 'trainp = ["lm"]', "unknown trainp 'lm'"),
        ('repa = ["none", "efficientnet_lite0"]', 'repa = ["dinov2b"]', "unknown repa 'dinov2b'"),
        ("trainshift = [1.0]", "trainshift = [0]", "trainshift must be positive"),
        ("trainshift = [1.0]", "trainshift = []", r"grid\[0\].trainshift must have at least 1 entry, got none"),
        ("repa_block = 2", "repa_block = 9", "training.repa_block must be 1 to 3 for DiT-Micro, got 9"),
        ("n_reference = 48", "n_reference = 49", "n_reference is 49, but data.train_images is 48"),
        ('family = "rae"', 'family = "vae"', "unknown autoencoder family 'vae'"),
        ("seed = 3", "seed = = 3", "cannot be read"),
        ("seed = 3", 'seed = 3\nname = "../x"', "name is '../x' in study file"),
        ("[autoencoders.rae]", "[autoencoders.orig]", "autoencoder name 'orig' must be"),
        ("[autoencoders.rae]", "[autoencoders.published]", "autoencoder name 'published' must be"),
        ("n_samples = 8", "n_samples = 1", "evaluation.n_samples must be at least 2"),
        ("checkpoint_every = 2", "checkpoint_every = 0", "autoencoder_training.checkpoint_every must be at least 1"),
        ("ema_decay = 0.9", "ema_decay = 2", "autoencoder_training.ema_decay must be from 0"),
        ("learning_rate = 1e-3", "learning_rate = -1", "autoencoder_training.learning_rate must be positive"),
        ("widths = [8, 8]", "widths = [8, 12]", "autoencoders.flux2.widths must be multiples of 8"),
        ("decoder_heads = 2", "decoder_heads = 3", "decoder_width must be a multiple"),
        ("trainshift = [1.0]", "trainshift = [nan]", "trainshift must be positive"),
        (
            "noise_tau = 0.5",
            "noise_tau = 0.5\nkl_weight = 1e-4",
            r"autoencoders.rae.kl_weight means nothing for a trained",
        ),
        ('family = "rae"', 'family = "rae"\npretrained = "x"', r"rae.decoder_width means nothing for a pretrained"),
        ('family = "rae"', 'family = "nowhere.py:Mine"', r"autoencoder file 'nowhere.py' does not exist"),
        ("kl_weight = 1e-4", "kl_weight = -1.0", "autoencoders.flux2.kl_weight must be a number from 0"),
        (
            "kl_weight = 1e-4",
            "kl_weight = 0.0\npatch = 3",
            "flux2: resolution 32 must be a multiple of 6 px .* nearest: 30",
        ),
        (
            "lpips_weight = 0.5",
            'lpips_weight = 0.5\nprecision = "bf16"',
            "autoencoder_training.precision 'bf16'; allowed: f",
        ),
        (
            "lpips_weight = 0.5",
            "lpips_weight = 0.5\ngan_weight = -1",
            "autoencoder_training.gan_weight must be a number",
        ),
        ('name = "efficientnet_lite0"', 'name = "efficientnet_lite00"', "did you mean 'efficientnet_lite0'"),
        ("seed = 3", 'seed = 3\nextends = "smok"', "unknown study 'smok'.*did you mean 'smoke'"),
        ("seed = 3", 'seed = 3\nextends = "mine.toml"', "mine.toml' extends itself"),
        ("seed = 3", "seed = 3\nextends = 3", "extends must be the name or the path of a study, got 3"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(old, new, message, tmp_path):
    with pytest.raises(LrcoreError, match=message):
        load_study(changed(tmp_path, old, new))


def test_trainings_that_would_share_a_file_are_refused(tmp_path):
    grid = '[[grid]]\nae = ["rae"]\ntrainp = ["ln"]\ntrainshift = [2.951, 2.954]\nrepa = ["none"]\n'
    path = tmp_path / "mine.toml"
    path.write_text(TINY.split("[[grid]]")[0] + grid)
    with pytest.raises(LrcoreError, match=r"go by the name 'rae-none-ln-2\.95-seed3': .*2\.951.* and .*2\.954"):
        load_study(str(path))


def test_a_study_file_that_is_not_there():
    with pytest.raises(LrcoreError, match=r"'nowhere.toml' does not exist"):
        load_study("nowhere.toml")


def test_a_study_may_extend_another(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "mine.toml").write_text(
        """
        extends = "tiny.toml"
        [training]
        batch_size = 4
        [autoencoders.rae]
        decoder_depth = 2
        [[grid]]
        ae = ["rae"]
        trainp = ["ts"]
        trainshift = [2.95]
        repa = ["none"]
        """
    )
    base, mine = load_study(str(tmp_path / "tiny.toml")), load_study(str(tmp_path / "mine.toml"))
    assert (mine.name, mine.training.batch_size, mine.training.model) == ("mine", 4, base.training.model)
    assert mine.autoencoders["rae"].decoder_depth == 2
    assert mine.autoencoders["rae"].noise_tau == base.autoencoders["rae"].noise_tau
    assert mine.autoencoders["flux2"] == base.autoencoders["flux2"]
    assert mine.cells == [Cell("rae", "none", "ts", 2.95, train_seed=3)]


def test_a_study_of_pretrained_autoencoders_needs_no_training_section(tmp_path):
    a, b = TINY.index("[autoencoder_training]"), TINY.index("[training]")
    pretrained = '[autoencoders.rae]\nfamily = "rae"\npretrained = "someone/rae"\n\n'
    (tmp_path / "mine.toml").write_text((TINY[:a] + pretrained + TINY[b:]).replace('"flux2", ', ""))
    study = load_study(str(tmp_path / "mine.toml"))
    assert study.autoencoders["rae"].origin == "pretrained"
    (tmp_path / "less.toml").write_text(TINY[:a] + TINY[TINY.index("[autoencoders.flux2]") :])
    with pytest.raises(LrcoreError, match="missing: autoencoder_training, by which 'flux2' is trained"):
        load_study(str(tmp_path / "less.toml"))
