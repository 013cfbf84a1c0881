"""Transformers narrower than a token's channels: refused with the reason, at load or before work, unless admitted."""

import pytest
from tiny_study import TINY

from lrcore import train
from lrcore.errors import LrcoreError
from lrcore.studies.loading import load_study
from lrcore.studies.widths import known_channels


def study(folder, more=""):
    path = folder / "mine.toml"
    grid = '[[grid]]\nae = ["flux2", "rae"]\ntrainp = ["ln"]\ntrainshift = [1.0]\nrepa = ["none"]\n'
    path.write_text(f'extends = "{TINY}"\n[training]\nmodel = "DiT-Nano"\n{grid}{more}')
    return str(path)


def test_a_narrow_transformer_is_refused_with_reason_and_source(tmp_path):
    with pytest.raises(LrcoreError, match=r"\[\[grid\]\] number 1.*width 64.*112 channels.*'rae'.*2510.11690.*narrow"):
        load_study(study(tmp_path))
    assert load_study(study(tmp_path, "narrow = true")).cells
    assert load_study(study(tmp_path, "width = [128]")).cells[0].width == 128
    with pytest.raises(LrcoreError, match="width 96"):
        load_study(study(tmp_path, "width = [128, 96]"))


def test_the_choice_is_held_to_it_too(tmp_path):
    choice = "width = [128, 0]\nnarrow = true\n[[choice]]\nae = ['rae']\nn_samples = [4]\n"
    with pytest.raises(LrcoreError, match=r"\[\[choice\]\] number 1"):
        load_study(study(tmp_path, choice))
    assert load_study(study(tmp_path, choice + "width = [128]")).choice


def test_latents_that_keys_do_not_tell_are_seen_before_work(tmp_path, capsys):
    toy = tmp_path / "toy.py"
    toy.write_text(TOY)
    path = str(tmp_path / "own.toml")
    grid = '[[grid]]\nae = ["toy"]\ntrainp = ["ln"]\ntrainshift = [1.0]\nrepa = ["none"]\n'
    (tmp_path / "own.toml").write_text(f'extends = "{TINY}"\n[autoencoders.toy]\nfamily = "{toy}:make"\n{grid}')
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    assert train.main([path, *places, "--only", "generation"]) == 2
    assert "width 128 is narrower than the 192 channels of a token of 'toy'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("state.safetensors"))


TOY = """
import torch
from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.patches import from_tokens, to_tokens


class Toy(Autoencoder):
    def __init__(self, resolution):
        super().__init__()
        self.shape = LatentShape(resolution, (resolution // 8, resolution // 8), 192, 8)

    def encode_batch(self, images):
        return 2 * to_tokens(images, 8)

    def decode_batch(self, tokens):
        return from_tokens(tokens / 2, 8, self.shape.grid)


def make(resolution):
    return Toy(resolution)
"""


FAMILIES = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}
OTHERS = {"pixels": 48, "pca4": 4, "pca8": 8, "pca16": 16, "pca32": 32, "taef2": 32}
ONCE_MORE = {"flux2-plain": 32, "flux1-aligned": 16, "flux2-again": 32}


@pytest.mark.parametrize(
    ("name", "channels"),
    [("smoke", FAMILIES), ("cifar10", FAMILIES), ("cifar10-cpu", FAMILIES | OTHERS | ONCE_MORE), ("imagenet256", {})],
)
def test_channels_are_known_of_all_whose_keys_tell(name, channels):
    assert known_channels(load_study(name)) == channels
