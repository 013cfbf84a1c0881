"""Limits of numbers, lists and names: every key has them, and what is beyond them is one line that names the key."""

import dataclasses
import typing
from pathlib import Path

import pytest
from tiny_study import TINY

from lrcore import train
from lrcore.errors import LrcoreError
from lrcore.spec.study import Study
from lrcore.studies.checks import require_measurable
from lrcore.studies.limits import LISTS, NUMBERS
from lrcore.studies.loading import load_study

TEXT = Path(TINY).read_text()


def study(folder, old, new):
    assert old in TEXT
    (folder / "mine.toml").write_text(TEXT.replace(old, new, 1))
    return load_study(str(folder / "mine.toml"))


def keys(kind, table=""):
    """Of every number and every list of a dataclass and those in it."""
    for name, hint in typing.get_type_hints(kind).items():
        inner = [part for part in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(part)]
        where = f"{table}.{name}" if table else name
        if inner:
            yield from keys(inner[0], name)
        if typing.get_origin(hint) in (tuple, dict):
            yield where, LISTS
        if {int, float} & {hint, *typing.get_args(hint)}:
            yield where, NUMBERS


def test_every_number_and_every_list_has_its_limits():
    found = list(keys(Study))
    assert len(found) > 70
    assert not [where for where, table in found if where not in table]
    assert {where for where, table in found if table is NUMBERS} == set(NUMBERS)
    assert {where for where, table in found if table is LISTS} == set(LISTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train_images = 48", f"train_images = {10**30}", "data.train_images must be a number that fits 64 bits"),
        ("train_images = 48", f"train_images = {10**12}", "data.train_images must be at least 1 and at most 1,000,"),
        ("sampling_steps = 3", "sampling_steps = 1000000", "evaluation.sampling_steps must be .* at most 10,000, got"),
        ("widths = [8, 8]", "widths = [8, 80000]", "autoencoders.flux2.widths must be .* at most 2,048, got 80000"),
        ("widths = [8, 8]", f"widths = {[8] * 40}", "autoencoders.flux2.widths must have at most 12 entries, got 40"),
        ("noise_tau = 0.5", "noise_tau = inf", "autoencoders.rae.noise_tau must be from 0 to 100, got inf"),
        ("noise_tau = 0.5", "noise_tau = nan", "autoencoders.rae.noise_tau must be from 0 to 100, got nan"),
        ("repa_weight = 0.5", "repa_weight = inf", "training.repa_weight must be a number from 0, got inf"),
        ("seed = 3", "seed = -3", "seed must be at least 0 and at most 4,294,967,295, got -3"),
        ("trainshift = [1.0]", "trainshift = [1, 1.0]", r"grid\[0\].trainshift must name each value once, got 1.0"),
        ("sampleshifts = [1.0, 4.63]", "sampleshifts = []", "evaluation.sampleshifts must have at least 1 entry"),
        ('trainp = ["ln"]', "trainp = []", r"grid\[0\].trainp must have at least 1 entry, got none"),
        ('ae = ["flux2", "rae"]', "ae = []", r"grid\[0\].ae must have at least 1 entry, got none"),
        ("trainshift = [1.0]", f"trainshift = [1.0]\ntrain_seed = {[*range(1000)]}\nwidth = {[*range(4, 4004, 4)]}",
         r"grid\[0\]: the study would have 4,000,000 trainings or more; allowed: at most 10,000"),
        ("evaluate_at = [3, 6]", f"evaluate_at = {[*range(1, 10000)]}\n", None),
        ('name = "efficientnet_lite0"', 'name = "x"', "encoder.name: unknown encoder 'x'; allowed: "),
        ('feature_network = "efficientnet_lite0"', 'feature_network = "x"', "evaluation.feature_network: unknown feat"),
        ("size = 64", "size = 100", "encoder.size: encoder size 100 must be a positive multiple of 16 px"),
        ("size = 64", 'size = 64\nweights = "w.pt"', "encoder.weights 'w.pt': 'efficientnet_lite0' has pinned weigh"),
        ('model = "DiT-Micro"', 'model = "x"', "training.model: unknown model 'x'"),
        ('repa = ["none", "efficientnet_lite0"]', 'repa = ["x"]', r"grid\[0\].repa: unknown repa 'x'"),
        ('lpips_net = "alex"', 'lpips_net = "x"', "autoencoder_training.lpips_net: unknown LPIPS network 'x'"),
        ("lpips_weight = 0.5", "lpips_weight = 0.5\ngan_weight = 1\ngan_layers = 4", "gan_layers 4 needs a data.resol"),
        ('family = "rae"', 'family = "x"', "autoencoders.rae.family: unknown autoencoder family 'x'"),
        ("resolution = 32", "resolution = 64", "data.resolution must be 32 for cifar10, got 64"),
        ("train_images = 48", "train_images = 50001", "data.train_images must be at most 50000 for cifar10, got 50001"),
        ("[autoencoders.rae]", f"[autoencoders.{'r' * 41}]", "autoencoder name 'r+' must be .* at most 40 of them"),
        ("[evaluation]", '[evaluation]\nreference = "' + "r" * 300 + '"', "evaluation.reference must have at most 2"),
    ],
    ids=range(28),
)  # fmt: skip
def test_what_is_beyond_them_is_refused_by_name(old, new, message, tmp_path):
    if message is None:
        assert study(tmp_path, old, new)
        return
    with pytest.raises(LrcoreError, match=message):
        study(tmp_path, old, new)


@pytest.mark.parametrize(
    ("stage", "section", "key", "value", "message"),
    [
        ("reconstruction", "data", "resolution", 28, "data.resolution must be at least 31, which LPIPS takes, got 28"),
        ("reconstruction", "data", "resolution", 16, "data.resolution must be at least 31"),
        ("diagnostics", "data", "train_images", 9, "data.train_images must be at least 10, which the linear probe tak"),
        ("generation", "evaluation", "n_samples", 3, "evaluation.n_samples must be at least 4, which precision and"),
        ("generation", "evaluation", "n_reference", 3, "evaluation.n_reference must be at least 4, which precision"),
    ],
)
def test_what_a_stage_could_not_measure_is_refused_where_it_is_asked_for(stage, section, key, value, message):
    tiny = load_study(TINY)
    require_measurable(tiny, [stage])
    less = dataclasses.replace(tiny, **{section: dataclasses.replace(getattr(tiny, section), **{key: value})})
    with pytest.raises(LrcoreError, match=message):
        require_measurable(less, [stage])
    require_measurable(less, ["autoencoders"])


def test_that_is_before_any_work(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(TEXT.replace("n_samples = 8", "n_samples = 3"))
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    for more in ([], ["--plan"]):
        assert train.main([str(tmp_path / "mine.toml"), *places, *more]) == 2
        assert capsys.readouterr().err.startswith("error: evaluation.n_samples must be at least 4")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
