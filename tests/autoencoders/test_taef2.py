"""TAEF2: the architecture with random weights everywhere; the author's weights where the cache has them."""

import dataclasses
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from lrcore.assets import cache, table
from lrcore.autoencoders import taef2
from lrcore.autoencoders.base import encode_all
from lrcore.autoencoders.guard import guard_scale
from lrcore.autoencoders.patches import from_tokens
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder, needs_training, require_pretrained
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

TINY = (Path(__file__).parents[1] / "tiny.toml").read_text()
UNIT = torch.tensor([0.0, 1.0])


@pytest.fixture
def weights():
    """Skips, and says so among the warnings of the run, where the author's weights are not in the cache."""
    if missing := [name for name in taef2.WEIGHTS if not cache.is_present(name)]:
        message = f"not tested against the author's weights: python -m lrcore.assets fetch {' '.join(missing)}"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)


def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return taef2.encoder_network(), taef2.decoder_network()


def autoencoder(size=64, moments=UNIT):
    return taef2.Taef2Autoencoder(*networks(), 32, size, moments)


def study(folder, size=64):
    """tiny.toml with TAEF2 alone."""
    start, end = TINY.index("[autoencoder_training]"), TINY.index("[training]")
    spec = f'[autoencoders.taef2]\nfamily = "taef2"\nsize = {size}\n\n'
    path = folder / "mine.toml"
    path.write_text((TINY[:start] + spec + TINY[end:]).replace('["flux2", "rae"]', '["taef2"]'))
    return load_study(str(path))


def workspace(wanted, folder):
    return Workspace(wanted, Folders(folder, folder, folder / "runs"), StopRequest(), lambda steps: None)


def test_the_architecture_is_the_authors():
    """Numbers of parameters, and names and shapes by which a file is loaded strictly."""
    encoder, decoder = networks()
    assert sum(value.numel() for value in encoder.parameters()) == 1_338_528
    assert sum(value.numel() for value in decoder.parameters()) == 1_338_499
    down = [name for name, layer in encoder.named_modules() if getattr(layer, "stride", (1, 1)) == (2, 2)]
    assert down == ["2", "6", "10"]
    for network, pooled in ((encoder, {"11", "12", "13"}), (decoder, {"3", "4", "5"})):
        state = network.state_dict()
        assert {name.split(".")[0] for name in state if ".pool." in name} == pooled
        assert all(tuple(state[f"{n}.pool.0.weight"].shape) == (256, 64, 1, 1) for n in pooled)
        assert all(f"{n}.pool.1.bias" in state and f"{n}.pool.0.bias" not in state for n in pooled)
    assert [name for name in decoder.state_dict() if name.endswith("bias") and name.count(".") == 1] == [
        "1.bias", "19.bias",
    ]  # fmt: skip


def test_latents_are_8_times_smaller_and_bounded_for_the_decoder():
    encoder, decoder = networks()
    with torch.no_grad():
        latent = encoder(torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0)))
        assert latent.shape == (2, 32, 6, 8)
        assert decoder(latent).shape == (2, 3, 48, 64)
        # tanh is 1 to rounding there, so that the decoder sees +- 3 whatever is beyond
        assert torch.equal(decoder(torch.full((1, 32, 2, 2), 1e3)), decoder(torch.full((1, 32, 2, 2), 1e4)))
        assert torch.allclose(decoder[0](torch.tensor([-1e3, 0.0, 1e-3])), torch.tensor([-3.0, 0.0, 1e-3]))


def test_a_pooled_block_sees_the_whole_image():
    """A change in one corner reaches the other, which the convolutions' reach does not."""
    block = taef2._Block(pooled=True).eval()
    x = torch.zeros(1, 64, 32, 32)
    moved = x.clone()
    moved[..., 0, 0] = 5.0
    with torch.no_grad():
        torch.nn.init.normal_(block.pool[1].bias)
        assert not torch.equal(block(x)[..., -1, -1], block(moved)[..., -1, -1])
        block.pool = None
        assert torch.equal(block(x)[..., -1, -1], block(moved)[..., -1, -1])


def test_images_are_resized_inside():
    images = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    made = autoencoder(64)
    tokens = made.encode(images)
    assert tokens.shape == (3, 64, 32) and made.shape.grid == (8, 8) and made.shape.patch == 1
    assert made.decode(tokens).shape == (3, 3, 32, 32)
    seen = torch.nn.functional.interpolate(images / 255, size=64, mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        assert torch.allclose(from_tokens(tokens, 1, (8, 8)), made.encoder(seen), atol=1e-4)
    # of the size of the images, nothing is resized
    own = autoencoder(32)
    with torch.no_grad():
        assert torch.allclose(from_tokens(own.encode(images), 1, (4, 4)), own.encoder(images / 255), atol=1e-4)


def test_one_mean_and_one_deviation_normalise():
    images = torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    moments = taef2.measured_moments(autoencoder(), images)
    raw, made = autoencoder(), autoencoder(moments=moments)
    tokens = encode_all(made, images)
    assert tokens.mean().item() == pytest.approx(0, abs=1e-4) and tokens.std().item() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(made.decode(tokens), raw.decode(encode_all(raw, images)), atol=1e-4)


@pytest.mark.parametrize("size", [0, 4, 60, -8])
def test_a_size_that_is_no_multiple_of_8_is_refused(size, tmp_path):
    with pytest.raises(
        LrcoreError, match=rf"autoencoders.taef2.size must be (a multiple of 8|at least 8) .*got {size}"
    ):
        study(tmp_path, size)


def test_plan_and_recipe_need_no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    wanted = study(tmp_path)
    work = workspace(wanted, tmp_path)
    shape = latent_shape(work, "taef2")
    assert (shape.tokens, shape.channels_per_token) == (64, 32)
    assert wanted.autoencoders["taef2"].origin == "pretrained" and not needs_training(work, "taef2")
    require_pretrained(work, "taef2")  # nothing of a hub is asked for
    known = autoencoder_recipe(work, "taef2")
    assert autoencoder_recipe(workspace(study(tmp_path, 32), tmp_path), "taef2") != known
    fewer = dataclasses.replace(wanted, data=dataclasses.replace(wanted.data, train_images=47))
    assert autoencoder_recipe(workspace(fewer, tmp_path), "taef2") != known
    encoder = table.ASSETS["taef2_encoder"]
    monkeypatch.setitem(table.ASSETS, "taef2_encoder", dataclasses.replace(encoder, sha256="0" * 64))
    assert autoencoder_recipe(workspace(wanted, tmp_path), "taef2") != known


def test_without_the_weights_it_says_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    with pytest.raises(LrcoreError, match=r"taef2_encoder.pth \(3 MB\) from .*madebyollin/taesd/.*, sha256 10a4e102"):
        taef2.load_networks()


def test_a_file_of_other_weights_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "other.safetensors"
    save_file({"0.weight": torch.zeros(64, 3, 3, 3)}, path)
    monkeypatch.setattr(cache, "fetch", lambda name: path)
    with pytest.raises(LrcoreError, match=r"(?s)other.safetensors' does not hold .* of taef2_encoder: .*Missing"):
        taef2.load_networks()


def test_photographs_come_back(weights):
    """The author's weights: a photograph at more than 25 dB, its raw latent of deviation 0.6 to 1.1."""
    encoder, decoder = taef2.load_networks()
    image = torch.from_numpy(data.astronaut()[:256, 128:384]).permute(2, 0, 1).unsqueeze(0).float() / 255
    with torch.no_grad():
        latent = encoder(image)
        found = decoder(latent).clamp(0, 1)
    assert -10 * (found - image).square().mean().log10() > 25
    assert abs(latent.mean()) < 0.2 and 0.6 < latent.std() < 1.1


def test_latents_of_a_study_pass_the_guard(weights, tmp_path):
    work = workspace(study(tmp_path), tmp_path)
    made = ensure_autoencoder(work, "taef2")
    images = work.images.train.images
    tokens = encode_all(made, images)
    assert made.one_scale
    guard_scale(tokens, "taef2", made.one_scale)
    lost = (made.decode(tokens[:8]) - (images[:8] / 127.5 - 1)).square().mean() / 4
    assert -10 * lost.log10() > 20
    # measured once
    stored = list((tmp_path / "runs").rglob("taef2-*.safetensors"))
    assert len(stored) == 1
    again = ensure_autoencoder(workspace(study(tmp_path), tmp_path), "taef2")
    assert torch.equal(again.deviation, made.deviation)
