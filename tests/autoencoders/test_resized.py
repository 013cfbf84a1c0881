"""Images resized inside an autoencoder: more tokens of the same images, whoever made the autoencoder."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from lrcore.autoencoders import base
from lrcore.autoencoders.base import Autoencoder, LatentShape, Posterior, token_grid
from lrcore.autoencoders.normalised import Normalised, has_posterior, seeing
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.resized import Resized
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import StudyPath
from lrcore.stages.autoencoder import as_it_comes, autoencoder_recipe
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.reconstruction import _named_weights
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

TINY = Path(__file__).parents[1] / "tiny.toml"


class Eighths(Autoencoder):
    """Pixels, 8 x 8 of them a token; remembers what it saw."""

    def __init__(self, resolution):
        super().__init__()
        self.shape, self.seen = LatentShape(resolution, token_grid(resolution, 8, 1), 192), []
        self.down, self.up = nn.PixelUnshuffle(8), nn.PixelShuffle(8)

    def encode_batch(self, images):
        self.seen.append(images)
        return to_tokens(self.down(images), 1)

    def decode_batch(self, tokens):
        return self.up(from_tokens(tokens, 1, self.shape.grid))


class WithPosterior(Eighths):
    def posterior_batch(self, images):
        mean = self.encode_batch(images)
        return Posterior(mean, torch.ones_like(mean))


def images(count=3, size=32):
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0))
    return pixels.to(torch.uint8)


def test_what_is_seen_is_larger_and_what_comes_back_is_not():
    inner, pixels = Eighths(64), images()
    made = Resized(inner, 32)
    assert made.shape == LatentShape(32, (8, 8), 192) and made.shape.pixels_per_token == 4
    tokens = made.encode(pixels)
    seen = functional.interpolate(pixels / 127.5 - 1, size=64, mode="bicubic", antialias=True).clamp(-1, 1)
    assert tokens.shape == (3, 64, 192) and torch.allclose(inner.seen[0], seen, atol=1e-5)
    decoded = made.decode(tokens)
    assert decoded.shape == (3, 3, 32, 32)
    assert torch.allclose(decoded, functional.interpolate(seen, size=32, mode="bicubic", antialias=True).clamp(-1, 1))


def test_it_is_what_the_inner_one_is():
    assert Resized(Eighths(64), 32).cacheable and not has_posterior(Resized(Eighths(64), 32))
    plain = Eighths(64)
    plain.cacheable, plain.one_scale, plain.precision = False, True, "bfloat16"
    made = Resized(plain, 32)
    assert (made.cacheable, made.one_scale, made.precision) == (False, True, "bfloat16")
    drawn = Resized(WithPosterior(64), 32)
    assert has_posterior(drawn) and has_posterior(Normalised(drawn))
    assert not torch.equal(drawn.encode(images()), drawn.encode(images(), torch.Generator().manual_seed(0)))


def test_chunks_are_of_what_is_seen(monkeypatch):
    """64 images of 32 px would be 64 of 256 px: 4 million pixels in one pass."""
    monkeypatch.setattr(base, "PIXELS_PER_FORWARD", 4 * 256**2)
    for made in (Resized(Eighths(256), 32), Normalised(Resized(Eighths(256), 32))):
        inner = made.inner.inner if isinstance(made, Normalised) else made.inner
        if isinstance(made, Normalised):
            made.measure(images(4))
            inner.seen.clear()
        made.encode(images(10))
        assert [len(seen) for seen in inner.seen] == [4, 4, 2]


def test_one_that_measures_its_statistics_stays_the_outermost():
    made = seeing(Normalised(Eighths(64)), 32)
    assert isinstance(made, Normalised) and isinstance(made.inner, Resized) and made.shape.resolution == 32
    made.measure(images(8))
    assert made.encode(images(8)).std().item() == pytest.approx(1, abs=0.05)
    assert made.decode(made.encode(images(2))).shape == (2, 3, 32, 32)
    own = Eighths(32)
    assert seeing(own, 32) is own


OWN = """
from pathlib import Path
from lrcore.autoencoders.base import Autoencoder, LatentShape, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens
from torch import nn

class Mine(Autoencoder):
    def __init__(self, resolution):
        super().__init__()
        self.shape = LatentShape(resolution, token_grid(resolution, 8, 1), 192)
        self.down, self.up = nn.PixelUnshuffle(8), nn.PixelShuffle(8)

    def encode_batch(self, images):
        return 2 * to_tokens(self.down(images), 1) + 0.1

    def decode_batch(self, tokens):
        return self.up(from_tokens((tokens - 0.1) / 2, 1, self.shape.grid))
"""


def workspace(folder, **keys):
    """A study of tiny.toml with one autoencoder, `mine`, of these keys."""
    (folder / "mine.py").write_text(OWN)
    lines = "\n".join(f"{key} = {value!r}" for key, value in keys.items())
    text = (
        f'extends = "{TINY}"\n[autoencoders.mine]\n{lines}\n[[grid]]\nae = ["mine"]\ntrainp = ["ln"]\n'
        'trainshift = [1.0]\nrepa = ["none"]\nnarrow = true\n'
    )
    (folder / "mine.toml").write_text(text.replace("'", '"'))
    places = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(str(folder / "mine.toml")), places, StopRequest(), lambda steps: None)


def test_a_study_gives_the_size_of_its_own_and_another_size_is_another_autoencoder(tmp_path):
    found = {}
    for size in (0, 64, 128):
        work = workspace(tmp_path, family="mine.py:Mine", **({"size": size} if size else {}))
        made = as_it_comes(work, "mine")
        assert made.shape == latent_shape(work, "mine") and made.shape.resolution == 32
        assert made.decode(made.encode(images())).shape == (3, 3, 32, 32)
        found[size] = (
            made.shape.tokens,
            autoencoder_recipe(work, "mine"),
            _named_weights(work.study.autoencoders["mine"]),
        )
        # a plan runs no code: it knows that what was left is of this size
        later = workspace(tmp_path, family="mine.py:Mine", **({"size": size} if size else {}))
        later.runs_code = False
        assert latent_shape(later, "mine") == made.shape
    assert [tokens for tokens, _, _ in found.values()] == [16, 64, 256]
    assert len({recipe for _, recipe, _ in found.values()}) == 3
    assert [named for _, _, named in found.values()] == [
        "mine.py:Mine", "mine.py:Mine, images resized to 64 px", "mine.py:Mine, images resized to 128 px",
    ]  # fmt: skip


def test_what_the_study_trains_has_no_size(tmp_path):
    with pytest.raises(LrcoreError, match=r"autoencoders.mine.size means nothing for a fitted autoencoder"):
        workspace(tmp_path, family="patches", patch=4, size=64)
    spec = load_study("smoke").autoencoders["sd"]
    named = dataclasses.replace(spec, pretrained=StudyPath("/x/sd", "/x/sd"), size=64)
    assert _named_weights(named) == "sd, images resized to 64 px"
