"""Tokens, normalisation, and the small autoencoders saved and loaded in diffusers' layout."""

import re
import warnings

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2

from lrcore.autoencoders import flux2, kl, rae
from lrcore.autoencoders.base import encode_all, from_tokens, guard_scale, to_tokens
from lrcore.autoencoders.objectives import ReconstructionLoss, alignment_loss
from lrcore.encoders import load_encoder
from lrcore.errors import LrcoreError
from lrcore.images import to_float
from lrcore.studies import AutoencoderSpec

SPEC = AutoencoderSpec("kl", widths=(8, 8), latent_channels=4, patch=2)


def pixels(count=16):
    draw = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=draw), size=32, mode="bilinear")
    return (255 * smooth).to(torch.uint8)


def test_a_token_is_a_patch_in_channel_row_column_order():
    latent = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    tokens = to_tokens(latent, 2)
    assert tokens.shape == (1, 6, 8)
    assert tokens[0, 1].tolist() == latent[0, :, 0:2, 2:4].flatten().tolist()
    assert torch.equal(from_tokens(tokens, 2, (2, 3)), latent)


def test_a_patch_that_does_not_divide_is_refused():
    with pytest.raises(LrcoreError, match="patch 2 does not divide a latent of 3 x 4"):
        to_tokens(torch.zeros(1, 1, 3, 4), 2)


@pytest.fixture
def trained_kl(tmp_path):
    torch.manual_seed(0)
    model = kl.small_model(SPEC, 32).eval()
    kl.measure_normalisation(model, pixels(), 32, 2)
    model.save_pretrained(tmp_path / "kl")
    return tmp_path / "kl"


def test_kl_latents_are_normalised_and_decode_undoes_it(trained_kl):
    loaded = kl.KLAutoencoder.load(trained_kl, 32, 2)
    tokens = encode_all(loaded, pixels())
    assert (tokens.shape, loaded.shape.grid, loaded.shape.channels_per_token) == ((16, 64, 16), (8, 8), 16)
    assert tokens.mean().item() == pytest.approx(0, abs=1e-4)
    assert tokens.std().item() == pytest.approx(1, abs=1e-4)
    # what diffusers' own pipelines do with the same latent
    plain = AutoencoderKL.from_pretrained(trained_kl, low_cpu_mem_usage=False)
    images = to_float(pixels())
    with torch.no_grad():
        expected = plain.decode(plain.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
        torch.testing.assert_close(loaded.decode(loaded.encode(images)), expected, rtol=1e-4, atol=1e-4)


def test_flux2_latents_are_normalised_per_channel(tmp_path):
    torch.manual_seed(0)
    model = flux2.small_model(SPEC, 32)
    flux2.measure_normalisation(model, pixels(), 2)
    model.save_pretrained(tmp_path)
    loaded = flux2.Flux2Autoencoder.load(tmp_path, 32)
    tokens = encode_all(loaded, pixels())
    torch.testing.assert_close(tokens.mean((0, 1)), torch.zeros(16), rtol=0, atol=1e-4)
    variance = loaded.model.bn.running_var
    torch.testing.assert_close(tokens.std((0, 1)) ** 2, variance / (variance + 1e-4), rtol=1e-3, atol=0)
    plain = AutoencoderKLFlux2.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    images = to_float(pixels())
    with torch.no_grad():
        expected = plain.decode(plain.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
        torch.testing.assert_close(loaded.decode(loaded.encode(images)), expected, rtol=1e-4, atol=1e-4)


def test_encoding_leaves_the_batch_norm_alone(tmp_path):
    model = flux2.small_model(SPEC, 32).train()
    autoencoder = flux2.Flux2Autoencoder(model, 32)
    before = model.bn.running_mean.clone()
    autoencoder.encode(to_float(pixels(2)))
    assert not model.training
    assert torch.equal(model.bn.running_mean, before)


def test_rae_latents_are_normalised_per_position(tmp_path):
    encoder = load_encoder("efficientnet_lite0", 128)
    model = rae.TimmRaeDecoder("efficientnet_lite0", 128, encoder.patch_channels, 8, 32, 32, 1, 2)
    features = encoder.patches_only(to_float(pixels())).flatten(2).transpose(1, 2)
    rae.measure_normalisation(model, features)
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = rae.RaeAutoencoder.load(tmp_path, encoder)
    tokens = encode_all(loaded, pixels())
    assert tokens.shape == (16, 64, 112)
    torch.testing.assert_close(tokens.mean(0), torch.zeros(64, 112), rtol=0, atol=1e-3)
    alive = features.std(0) > 1e-2
    torch.testing.assert_close(tokens.std(0)[alive], torch.ones(int(alive.sum())), rtol=0, atol=1e-2)
    with torch.no_grad():
        torch.testing.assert_close(loaded.decode(tokens), model.eval()(tokens).clamp(-1, 1))
    with pytest.raises(
        LrcoreError, match=r"trained on \('efficientnet_lite0', 128\), not on \('efficientnet_lite0', 96\)"
    ):
        rae.RaeAutoencoder.load(tmp_path, load_encoder("efficientnet_lite0", 96))


def test_the_guard_tells_the_scale_that_mends():
    guard_scale(torch.randn(100, 100), "sd")
    wrong = 5 * torch.randn(100, 100, generator=torch.Generator().manual_seed(0)) + 2
    with pytest.raises(LrcoreError, match="latents of 'sd' have mean") as caught:
        guard_scale(wrong, "sd")
    shift, scale = re.search(r"\(latent - ([\d.]+)\) \* ([\d.]+) would be normalised", str(caught.value)).groups()
    guard_scale((wrong - float(shift)) * float(scale), "sd")


def test_alignment_is_free_within_its_margin():
    features = torch.randn(2, 4, 8)
    assert alignment_loss(features, features, margin=0.25).item() == 0
    assert alignment_loss(-features, features, margin=0.25).item() == pytest.approx(1.75)


def test_reconstruction_loss_is_l1_plus_weighted_lpips():
    loss = ReconstructionLoss(lambda a, b: torch.full((len(a), 1, 1, 1), 2.0), weight=0.25)
    assert loss(torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)).item() == pytest.approx(1.5)
