"""Normalisation that is offered: latents of any scale come out normalised, and decode as if nothing had happened."""

import re
from pathlib import Path

import pytest
import torch
from custom_study import EXAMPLE, study_with

from lrcore import train
from lrcore.autoencoders.base import Autoencoder, LatentShape, Posterior, encode_all
from lrcore.autoencoders.guard import guard_scale, scale_of, spread_note
from lrcore.autoencoders.normalised import MEASURED_IMAGES, Normalised, has_posterior
from lrcore.errors import LrcoreError
from lrcore.records.reading import read_reconstruction
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import NORMALISATIONS
from lrcore.stages.autoencoder import autoencoder_folder, autoencoder_recipe, ensure_autoencoder, normalisation_path
from lrcore.stages.scale import look_at_scale, scale_known
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


class Raw(Autoencoder):
    """Patches of 4 x 4 pixels, every channel at a scale and a mean of its own; with a posterior where it is asked."""

    def __init__(self, scale=1.0, shift=0.0, posterior=False):
        super().__init__()
        self.shape = LatentShape(8, (2, 2), 48)
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32).expand(48).clone())
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32).expand(48).clone())
        self.with_posterior = posterior

    def encode_batch(self, images):
        tokens = torch.nn.functional.pixel_unshuffle(images, 4).flatten(2).transpose(1, 2)
        return tokens * self.scale + self.shift

    def posterior_batch(self, images):
        mean = self.encode_batch(images)
        return Posterior(mean, self.scale.expand_as(mean) if self.with_posterior else None)

    def decode_batch(self, tokens):
        latent = ((tokens - self.shift) / self.scale).transpose(1, 2).unflatten(2, (2, 2))
        return torch.nn.functional.pixel_shuffle(latent, 4)


class Plain(Autoencoder):
    shape = LatentShape(8, (2, 2), 48)
    encode_batch = Raw.encode_batch
    decode_batch = Raw.decode_batch


def pixels(count=64, seed=0):
    return torch.randint(0, 256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("by", NORMALISATIONS)
def test_tokens_are_normalised_and_decode_as_before(by):
    raw = Raw(scale=torch.linspace(0.2, 30, 48), shift=torch.linspace(-5, 5, 48), posterior=True)
    made = Normalised(raw, by)
    made.measure(pixels())
    tokens = made.encode(pixels())
    over = {"all": (0, 1, 2), "channel": (0, 1), "position": (0,)}[by]
    torch.testing.assert_close(tokens.mean(over), torch.zeros_like(tokens.mean(over)), rtol=0, atol=1e-4)
    torch.testing.assert_close(tokens.std(over), torch.ones_like(tokens.std(over)), rtol=0, atol=1e-4)
    torch.testing.assert_close(made.decode(tokens), raw(pixels()), rtol=0, atol=1e-4)
    mean, std = made.posterior(pixels())
    torch.testing.assert_close(mean, tokens)
    # the deviation goes with the tokens: a sample of the raw posterior, normalised, is one of the normalised posterior
    torch.testing.assert_close(std, (raw.posterior(pixels()).std / made.deviation))
    assert int(made.images) == 64
    assert has_posterior(made) and not has_posterior(Normalised(Plain()))


def test_statistics_are_stored_with_the_weights_and_read_again():
    made = Normalised(Raw(scale=7.0, shift=3.0))
    made.measure(pixels())
    again = Normalised(Raw())
    assert not again.measured
    again.load_state_dict(made.state_dict())
    assert again.measured and int(again.images) == 64
    assert torch.equal(again.encode(pixels(4)), made.encode(pixels(4)))


def test_without_statistics_nothing_is_encoded():
    made = Normalised(Raw())
    for use in (lambda: made.encode(pixels(2)), lambda: made.decode(torch.zeros(1, 4, 48))):
        with pytest.raises(LrcoreError, match=r"Normalised\(Raw\) has no statistics yet: call measure"):
            use()


def test_measured_images_are_spread_and_bounded():
    seen = []

    class Counted(Raw):
        def encode_batch(self, images):
            seen.append(len(images))
            return super().encode_batch(images)

    made = Normalised(Counted())
    made.measure(pixels(MEASURED_IMAGES + 100))
    assert sum(seen) == int(made.images) == MEASURED_IMAGES
    # of images that come class after class, both classes count
    halves = torch.cat([torch.zeros(5000, 3, 8, 8, dtype=torch.uint8), torch.full((5000, 3, 8, 8), 255).byte()])
    made.measure(halves)
    assert made.mean.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("by", "broken", "message"),
    [
        (
            "channel",
            {"scale": [0.0, *[1.0] * 47]},
            r"1 of 48 channels of the latent are the same in all 64 images \(0\)",
        ),
        ("all", {"scale": 0.0}, "the latent has collapsed: all values are 0"),
        ("all", {"scale": 1e-9, "shift": 5.0}, "the latent has collapsed: all values are 5"),
        ("channel", {"scale": 1e-9, "shift": 5.0}, "48 of 48 channels of the latent are the same"),
        ("position", {"scale": [0.0, *[1.0] * 47]}, '4 of the 192 numbers of a latent are the same .* "channel"'),
        ("channel", {"shift": float("nan")}, "NaN or infinite"),
    ],
)
def test_what_no_statistics_mend_is_named(by, broken, message):
    broken = {name: torch.tensor(value) for name, value in broken.items()}
    with pytest.raises(LrcoreError, match=message):
        Normalised(Raw(**broken), by).measure(pixels())
    with pytest.raises(LrcoreError, match="at least 2 images, got 1"):
        Normalised(Raw(), by).measure(pixels(1))


def test_what_cannot_be_normalised_is_refused():
    with pytest.raises(LrcoreError, match=r"unknown normalisation 'chanel'; .*did you mean 'channel'"):
        Normalised(Raw(), "chanel")
    with pytest.raises(LrcoreError, match="takes an Autoencoder that has set its shape, got a Linear"):
        Normalised(torch.nn.Linear(1, 1))


def told(latents, one_scale=False):
    """The remedy that the guard tells: the line of TOML, and the shift and scale where it tells them."""
    with pytest.raises(LrcoreError) as caught:
        guard_scale(latents, "mine", one_scale)
    message = str(caught.value)
    assert "\n" not in message
    line = re.search(r'normalise = "(\w+)" under \[autoencoders.mine\]', message)
    factors = re.search(r"\(latent - (\S+)\) \* (\S+) would be normalised", message)
    return line and line[1], factors and tuple(map(float, factors.groups()))


NOISE = torch.randn(200, 16, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("scale", "shift", "by"),
    [
        (5.0, 2.0, "all"),
        (5e4, -3e6, "all"),
        (1e-6, 0.0, "all"),
        (1e-3, 10.0, "all"),
        (torch.tensor([0.01, *[1.0] * 7]), 0.0, "channel"),
        (torch.logspace(-2, 2, 8), 0.0, "channel"),
        (1.0, torch.linspace(-9, 9, 8), "channel"),
        (torch.logspace(-2, 2, 8), torch.linspace(-900, 9, 8), "channel"),
    ],
)
def test_the_remedy_of_the_guard_is_one_that_passes(scale, shift, by):
    latents = NOISE * scale + shift
    found, factors = told(latents)
    assert found == by
    if factors:
        guard_scale((latents - factors[0]) * factors[1], "mine")
    over = (0, 1, 2) if found == "all" else (0, 1)
    variance, mean = torch.var_mean(latents, dim=over, keepdim=True)
    guard_scale((latents - mean) / variance.sqrt(), "mine")


def test_a_channel_that_is_constant_has_another_remedy():
    latents = NOISE * torch.tensor([0.0, *[1.0] * 7])
    with pytest.raises(LrcoreError, match=r"1 channels are the same in all images \(0\), .*: leave them out"):
        guard_scale(latents, "mine")


def test_a_spread_of_channels_is_worth_a_word():
    wide = guard_scale(NOISE * torch.tensor([0.8, *[1.05] * 7]), "mine")
    assert 'normalise = "channel" under [autoencoders.mine] gives each deviation 1' in spread_note(wide, "mine")
    assert spread_note(scale_of(NOISE), "mine") == ""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_autoencoder.py").write_text(EXAMPLE.replace("return 2 *", "return 20 *"))
    return tmp_path


def workspace(folder):
    folders = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study("mine.toml"), folders, StopRequest(), lambda steps: None)


def test_a_study_refuses_applies_the_remedy_and_passes(folder, capsys):
    """Before reconstruction, before diagnostics; the statistics of the first run are the second's."""
    arguments = study_with(folder, "my_autoencoder.py:Mine")
    for stage in "reconstruction", "diagnostics", "generation":
        assert train.main([*arguments, "--only", stage]) == 2
        message = capsys.readouterr().err
        assert "latents of 'mine' have mean" in message and read_reconstruction(folder / "data").empty
    by = re.search(r"(normalise = .*) under \[autoencoders.mine\]", message)[1]
    text = Path("mine.toml").read_text().replace("[autoencoders.mine]", f"[autoencoders.mine]\n{by}")
    Path("mine.toml").write_text(text)
    assert train.main([*arguments, "--only", "reconstruction"]) == 0
    assert "latents of 'mine': normalised by all, from 48 training images" in capsys.readouterr().err
    assert len(read_reconstruction(folder / "data")) > 0
    work = workspace(folder)
    assert scale_known(work, "mine") and normalisation_path(work, "mine").exists()
    tokens = encode_all(ensure_autoencoder(work, "mine"), work.images.train.images)
    assert abs(tokens.mean()) < 1e-4 and abs(tokens.std() - 1) < 1e-4
    assert "normalised by" not in capsys.readouterr().err


def test_a_class_that_is_normalised_is_measured_by_the_study(folder):
    text = Path("my_autoencoder.py").read_text() + (
        "\nfrom lrcore.autoencoders.normalised import Normalised\n\ndef normalised(resolution):\n"
        "    return Normalised(Mine(resolution), by='position')\n"
    )
    Path("my_autoencoder.py").write_text(text)
    study_with(folder, "my_autoencoder.py:normalised")
    work = workspace(folder)
    recipe = autoencoder_recipe(work, "mine")
    look_at_scale(work, "mine")
    made = ensure_autoencoder(work, "mine")
    assert made.measured and made.by == "position" and made.mean.shape == (64, 48)
    assert autoencoder_recipe(workspace(folder), "mine") == recipe
    text = Path("mine.toml").read_text().replace("[autoencoders.mine]", '[autoencoders.mine]\nnormalise = "all"')
    Path("mine.toml").write_text(text)
    assert ensure_autoencoder(workspace(folder), "mine").by == "all"


def test_the_key_is_checked_and_counts(folder):
    study_with(folder, "my_autoencoder.py:Mine")
    plain = autoencoder_recipe(workspace(folder), "mine")
    text = Path("mine.toml").read_text()
    found = set()
    for by in NORMALISATIONS:
        Path("mine.toml").write_text(text.replace("[autoencoders.mine]", f'[autoencoders.mine]\nnormalise = "{by}"'))
        found.add(autoencoder_recipe(workspace(folder), "mine"))
    assert len(found | {plain}) == 4
    Path("mine.toml").write_text(text.replace("[autoencoders.mine]", '[autoencoders.mine]\nnormalise = "channels"'))
    with pytest.raises(LrcoreError, match=r"autoencoders.mine.normalise.*'channels'.*allowed: all, channel, position"):
        load_study("mine.toml")


def test_an_autoencoder_that_the_study_trains_is_trained_the_same(folder):
    tiny = Path(__file__).parents[1] / "tiny.toml"
    Path("mine.toml").write_text(tiny.read_text())
    plain = workspace(folder)
    Path("mine.toml").write_text(tiny.read_text().replace('family = "rae"', 'family = "rae"\nnormalise = "channel"'))
    normalised = workspace(folder)
    assert autoencoder_folder(plain, "rae") == autoencoder_folder(normalised, "rae")
    assert autoencoder_recipe(plain, "rae") != autoencoder_recipe(normalised, "rae")
