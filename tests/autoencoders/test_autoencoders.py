"""The interface of autoencoders, the guard, and the families against diffusers' own treatment of the same latents."""

import dataclasses
import json
import re
import warnings
from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderRAE,
    Flux2Pipeline,
    FluxKontextPipeline,
    StableDiffusionInpaintPipeline,
)
from rounding import assert_as_exact, in_float64
from safetensors.torch import load_file, save_file

from lrcore.autoencoders import flux2, kl, loading, rae, rae_decoder
from lrcore.autoencoders.base import Autoencoder, LatentShape, encode_all
from lrcore.autoencoders.guard import guard_scale
from lrcore.autoencoders.loading import load_model
from lrcore.autoencoders.normalised import has_posterior
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.datasets.images import to_float
from lrcore.encoders.loading import load_encoder
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import AutoencoderSpec
from lrcore.stages.autoencoder import CLASSES, RAE_DECODER, as_it_comes, require_pretrained
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

SPEC = AutoencoderSpec("kl", widths=(8, 8), latent_channels=4, patch=2)


def pixels(count=16, size=32):
    draw = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=draw), size=size, mode="bilinear")
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


@pytest.mark.parametrize(
    ("shape", "compression", "dimension"),
    [
        (LatentShape(256, (16, 16), 16, 2), 48.0, 4096),  # SD
        (LatentShape(256, (16, 16), 64, 2), 12.0, 16384),  # FLUX.1
        (LatentShape(256, (16, 16), 128, 2), 6.0, 32768),  # FLUX.2
        (LatentShape(256, (16, 16), 768), 1.0, 196608),  # RAE
    ],
)
def test_compression_is_values_of_the_image_over_those_of_the_latent(shape, compression, dimension):
    assert (shape.compression, shape.dimension, shape.tokens, shape.pixels_per_token) == (
        compression, dimension, 256, 16,
    )  # fmt: skip


class PixelTokens(Autoencoder):
    """Tokens are 4 x 4 patches of pixels; it remembers the batches that reach it."""

    def __init__(self, resolution=32):
        super().__init__()
        self.shape = LatentShape(resolution, (resolution // 4, resolution // 4), 48, 4)
        self.seen = []
        self.norm = torch.nn.BatchNorm2d(3)

    def encode_batch(self, images):
        self.seen.append(len(images))
        self.norm(images)
        return to_tokens(images, 4)

    def decode_batch(self, tokens):
        return 3 * from_tokens(tokens, 4, self.shape.grid)


def test_uint8_and_float_images_give_the_same_tokens():
    autoencoder = PixelTokens()
    assert torch.equal(autoencoder.encode(pixels()), autoencoder.encode(to_float(pixels())))
    assert autoencoder.encode(pixels()).dtype == torch.float32


def test_decoded_images_are_clamped_and_forward_is_both_ways():
    autoencoder = PixelTokens()
    assert torch.equal(autoencoder(pixels()), (3 * to_float(pixels())).clamp(-1, 1))


def test_any_batch_is_cut_into_chunks_that_fit():
    autoencoder = PixelTokens(1024)
    assert len(autoencoder.encode(torch.zeros(3, 3, 1024, 1024, dtype=torch.uint8))) == 3
    assert autoencoder.seen == [1, 1, 1]
    small = PixelTokens(32)
    small.encode(pixels(130))
    assert small.seen == [64, 64, 2]


def test_it_stays_in_eval_mode_and_its_statistics_do_not_move():
    autoencoder = PixelTokens().train()
    autoencoder.norm.train()
    autoencoder.encode(pixels())
    assert not autoencoder.norm.training
    assert autoencoder.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 3, 32, 32), 200.0), r"must be in \[-1, 1\], got 200 to 200; pixels 0 to 255 go as uint8"),
        (torch.rand(2, 3, 32, 32), r"without a value below 0, which looks like \[0, 1\]: use 2 \* images - 1"),
        (torch.full((2, 3, 32, 32), torch.nan), r"must be in \[-1, 1\], got nan"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int64), "must be uint8, or float .* got torch.int64"),
        (torch.zeros(2, 1, 32, 32), r"RGB images \(B, 3, H, W\), got torch.float32 \(2, 1, 32, 32\)"),
        (torch.zeros(3, 32, 32), r"RGB images \(B, 3, H, W\)"),
        (torch.zeros(0, 3, 32, 32), "at least one image"),
        (torch.zeros(2, 3, 30, 32), "set up for images of 32 x 32 px, got 30 x 32"),
    ],
)
def test_images_that_are_not_as_they_must_be_are_refused(images, message):
    with pytest.raises(LrcoreError, match=message):
        PixelTokens().encode(images)


def test_tokens_of_another_shape_are_refused():
    with pytest.raises(LrcoreError, match=r"float tokens \(B, 64, 48\), got torch.float32 \(2, 64, 16\)"):
        PixelTokens().decode(torch.zeros(2, 64, 16))


def test_a_sample_of_no_posterior_is_refused():
    with pytest.raises(LrcoreError, match="PixelTokens has no posterior to sample from"):
        PixelTokens().encode(pixels(), torch.Generator())


# The published models with their latents' real shapes at 256 px; only the widths inside are small.


def convolutions(latent_channels):
    return {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (16, 16, 32, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "latent_channels": latent_channels,
    }


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Randomly initialised models with the published configurations of the latent, saved as they are published."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    models = {
        "sd": AutoencoderKL(**convolutions(4), scaling_factor=0.18215),
        "flux1": AutoencoderKL(
            **convolutions(16), shift_factor=0.1159, scaling_factor=0.3611, use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        "flux2": AutoencoderKLFlux2(**convolutions(32)),
        "rae": AutoencoderRAE(
            encoder_hidden_size=768, encoder_num_hidden_layers=1, decoder_hidden_size=64,
            decoder_num_hidden_layers=1, decoder_num_attention_heads=4, decoder_intermediate_size=64,
            latents_mean=torch.randn(768, 16, 16), latents_std=torch.rand(768, 16, 16) + 0.5,
        ),
    }  # fmt: skip
    models["flux2"].bn.running_mean.normal_()
    models["flux2"].bn.running_var.uniform_(0.5, 2.0)
    for name, model in models.items():
        model.save_pretrained(folder / name / ("vae" if name.startswith("flux") else ""))
    return folder


IMAGES = to_float(pixels(2, 256))


def assert_decodes(found, model, latent):
    """`found` are the images that a model of diffusers decodes `latent` to, but for the rounding of float32."""
    single, exact = (
        decoder.decode(given).sample.clamp(-1, 1)
        for decoder, given in ((model, latent), (in_float64(model), latent.double()))
    )
    assert_as_exact(found, single, exact)


def as_tokens(latent):
    """(B, C, rows, columns), a token a position, to (B, N, C)."""
    return latent.flatten(2).transpose(1, 2)


def test_sd_is_what_the_pipeline_makes_of_the_same_latent(stored):
    autoencoder = kl.KLAutoencoder(load_model(AutoencoderKL, stored / "sd"), 256, patch=2)
    assert (autoencoder.shape.tokens, autoencoder.shape.channels_per_token) == (256, 16)
    plain = SimpleNamespace(vae=AutoencoderKL.from_pretrained(stored / "sd", low_cpu_mem_usage=False).eval())
    with torch.no_grad():
        sampled = StableDiffusionInpaintPipeline._encode_vae_image(plain, IMAGES, torch.Generator().manual_seed(1))
        mode = plain.vae.encode(IMAGES).latent_dist.mode() * 0.18215
        tokens = autoencoder.encode(IMAGES)
        torch.testing.assert_close(from_tokens(tokens, 2, (16, 16)), mode)
        drawn = autoencoder.encode(IMAGES, torch.Generator().manual_seed(1))
        torch.testing.assert_close(from_tokens(drawn, 2, (16, 16)), sampled)
        assert_decodes(autoencoder.decode(tokens), plain.vae, mode / 0.18215)


def test_statistics_of_single_channels_are_used_as_sdxls_pipeline_does(stored):
    """(z - mean) * scaling_factor / std, and back: StableDiffusionXLImg2ImgPipeline and its decode."""
    model = load_model(AutoencoderKL, stored / "sd")
    mean, std = [0.1, -0.2, 0.3, 0.0], [0.5, 1.0, 2.0, 0.8]
    model.register_to_config(latents_mean=mean, latents_std=std)
    autoencoder = kl.KLAutoencoder(model, 256, patch=2)
    mean, std = (torch.tensor(values).view(1, 4, 1, 1) for values in (mean, std))
    with torch.no_grad():
        latent = (model.encode(IMAGES).latent_dist.mode() - mean) * 0.18215 / std
        tokens = autoencoder.encode(IMAGES)
        torch.testing.assert_close(from_tokens(tokens, 2, (16, 16)), latent)
        assert_decodes(autoencoder.decode(tokens), model, latent * std / 0.18215 + mean)
    model.register_to_config(latents_std=None)
    with pytest.raises(LrcoreError, match="one of latents_mean and latents_std without the other"):
        kl.KLAutoencoder(model, 256, patch=2)


def test_flux1_is_what_the_pipeline_makes_of_the_same_latent(stored):
    autoencoder = kl.KLAutoencoder(load_model(AutoencoderKL, stored / "flux1", "vae"), 256, patch=2)
    assert (autoencoder.shape.tokens, autoencoder.shape.channels_per_token) == (256, 64)
    vae = AutoencoderKL.from_pretrained(stored / "flux1", subfolder="vae", low_cpu_mem_usage=False).eval()
    with torch.no_grad():
        latent = FluxKontextPipeline._encode_vae_image(SimpleNamespace(vae=vae), IMAGES, None)
        tokens = autoencoder.encode(IMAGES)
        torch.testing.assert_close(tokens, FluxKontextPipeline._pack_latents(latent, 2, 16, 32, 32))
        assert_decodes(autoencoder.decode(tokens), vae, latent / 0.3611 + 0.1159)


def test_flux2_is_what_the_pipeline_makes_of_the_same_latent(stored):
    autoencoder = flux2.Flux2Autoencoder(load_model(AutoencoderKLFlux2, stored / "flux2", "vae"), 256)
    assert (autoencoder.shape.tokens, autoencoder.shape.channels_per_token) == (256, 128)
    vae = AutoencoderKLFlux2.from_pretrained(stored / "flux2", subfolder="vae", low_cpu_mem_usage=False).eval()
    pipeline = SimpleNamespace(vae=vae, _patchify_latents=Flux2Pipeline._patchify_latents)
    with torch.no_grad():
        latent = Flux2Pipeline._encode_vae_image(pipeline, IMAGES, None)
        tokens = autoencoder.encode(IMAGES)
        torch.testing.assert_close(tokens, as_tokens(latent))
        deviation = torch.sqrt(vae.bn.running_var + vae.config.batch_norm_eps).view(1, -1, 1, 1)
        back = Flux2Pipeline._unpatchify_latents(latent * deviation + vae.bn.running_mean.view(1, -1, 1, 1))
        assert_decodes(autoencoder.decode(tokens), vae, back)


def test_rae_is_given_images_from_0_to_1_and_normalises_per_position(stored):
    autoencoder = rae.RaeAutoencoder(load_model(AutoencoderRAE, stored / "rae"), 256)
    assert (autoencoder.shape.tokens, autoencoder.shape.channels_per_token) == (256, 768)
    model = AutoencoderRAE.from_pretrained(stored / "rae", low_cpu_mem_usage=False).eval()
    with torch.no_grad():
        latent = model.encode((IMAGES + 1) / 2).latent
        tokens = autoencoder.encode(IMAGES)
        torch.testing.assert_close(tokens, as_tokens(latent))
        single, exact = (
            (2 * decoder.decode(given).sample - 1).clamp(-1, 1)
            for decoder, given in ((model, latent), (in_float64(model), latent.double()))
        )
        assert_as_exact(autoencoder.decode(tokens), single, exact)
        # by hand, from the encoder on: the statistics belong to a position
        features = as_tokens(model._denormalize_latents(latent))
        mean, deviation = as_tokens(model._latents_mean[None]), as_tokens(model._latents_std[None])
        by_hand = (features - mean) / (deviation + 1e-5)
        # there and back are six roundings of numbers up to the largest feature, divided by deviations of at least 0.5
        allowed = 6 * 2.0**-24 * features.abs().max().item() / deviation.min().item()
        torch.testing.assert_close(tokens, by_hand, rtol=0, atol=allowed)


def test_bfloat16_is_near_and_nearer_where_the_model_accumulates_in_float32(stored):
    exact = kl.KLAutoencoder(load_model(AutoencoderKL, stored / "sd"), 256, 2).encode(IMAGES)
    upcast = kl.KLAutoencoder(load_model(AutoencoderKL, stored / "sd"), 256, 2, "bfloat16").encode(IMAGES)
    model = load_model(AutoencoderKL, stored / "sd")
    model.register_to_config(force_upcast=False)
    plain = kl.KLAutoencoder(model, 256, 2, "bfloat16").encode(IMAGES)
    scale = exact.std()
    assert upcast.dtype == torch.float32
    assert 0 < (upcast - exact).pow(2).mean().sqrt() / scale < (plain - exact).pow(2).mean().sqrt() / scale < 0.1


@pytest.mark.parametrize(("resolution", "nearest"), [(250, "240, 256"), (8, "16")])
def test_a_resolution_that_the_patch_does_not_divide_is_refused(stored, resolution, nearest):
    message = rf"resolution {resolution} must be a multiple of 16 px \(downsampling 8 x patch 2\); nearest: {nearest}"
    with pytest.raises(LrcoreError, match=message):
        kl.KLAutoencoder(load_model(AutoencoderKL, stored / "sd"), resolution, 2)


def test_an_rae_of_another_resolution_is_refused(stored):
    with pytest.raises(LrcoreError, match="decodes to 256 px, the images have 512 px"):
        rae.RaeAutoencoder(load_model(AutoencoderRAE, stored / "rae"), 512)


def test_an_rae_without_statistics_is_refused():
    model = AutoencoderRAE(
        encoder_hidden_size=768, encoder_num_hidden_layers=1, decoder_hidden_size=64, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4, decoder_intermediate_size=64,
    )  # fmt: skip
    with pytest.raises(LrcoreError, match=r"no latents_mean in its config\.json, so its latent cannot be normalised"):
        rae.RaeAutoencoder(model, 256)


def test_a_checkpoint_of_another_family_is_refused(stored):
    with pytest.raises(LrcoreError, match="holds a AutoencoderKL, where a AutoencoderKLFlux2 is asked for"):
        load_model(AutoencoderKLFlux2, stored / "sd")


def copied(stored, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in (stored / "sd").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("kept", [0, 6, 0.5, 0.999])
def test_truncated_weights_are_refused(stored, tmp_path, kept):
    weights = copied(stored, tmp_path) / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: kept if kept >= 1 else int(kept * len(whole))])
    with pytest.raises(LrcoreError, match="copy' are damaged or cut short"):
        load_model(AutoencoderKL, weights.parent)


def test_weights_that_do_not_fit_their_config_are_refused(stored, tmp_path):
    config = copied(stored, tmp_path) / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"latent_channels": 8}))
    with pytest.raises(LrcoreError, match=r"copy' do not fit their config.json"):
        load_model(AutoencoderKL, config.parent)
    config.write_text(json.dumps(content | {"layers_per_block": 2}))
    with pytest.raises(LrcoreError, match=r"do not fit their config.json: \d+ missing keys: "):
        load_model(AutoencoderKL, config.parent)
    config.write_text(json.dumps(content | {"mid_block_add_attention": False}))
    with pytest.raises(LrcoreError, match=r"do not fit their config.json: \d+ unexpected keys: "):
        load_model(AutoencoderKL, config.parent)


def test_the_older_names_of_published_weights_are_known(stored, tmp_path):
    weights = copied(stored, tmp_path) / "diffusion_pytorch_model.safetensors"
    older = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    renamed = {}
    for key, tensor in load_file(weights).items():
        for new, old in older.items():
            key = key.replace(new, old)
        renamed[key] = tensor
    save_file(renamed, weights, metadata={"format": "pt"})
    new, old = (load_model(AutoencoderKL, folder).state_dict() for folder in (stored / "sd", tmp_path / "copy"))
    assert all(torch.equal(new[key], old[key]) for key in new)


def test_missing_weights_are_named_with_how_to_supply_them(stored, tmp_path, monkeypatch):
    with pytest.raises(LrcoreError, match=r"nowhere/at/all' is no folder; .* config.json and diffusion_pytorch_model"):
        load_model(AutoencoderKL, tmp_path / "nowhere/at/all")
    (copied(stored, tmp_path) / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(LrcoreError, match=r"copy' cannot be had: .* put its config.json"):
        load_model(AutoencoderKL, tmp_path / "copy")


def test_a_hub_that_answers_and_breaks_off_is_an_error_that_says_what_to_do(monkeypatch):
    """One that does not answer at all is in `test_hub`."""

    def broken_off(*args, **kwargs):
        raise OSError("We couldn't connect to the hub.")

    monkeypatch.setattr(loading, "unreachable", lambda endpoint: "")
    monkeypatch.setattr(AutoencoderKL, "load_config", broken_off)
    with pytest.raises(LrcoreError, match=r"autoencoder 'someone/vae/vae' cannot be had: We couldn't .* in a folder"):
        load_model(AutoencoderKL, "someone/vae", "vae")


def test_bfloat16_weights_are_loaded_as_float32(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kl.small_model(SPEC, 32).to(torch.bfloat16).save_pretrained(tmp_path)
    assert load_model(AutoencoderKL, tmp_path).dtype == torch.float32


# The small families that are trained here.


def test_trained_kl_latents_are_normalised_and_decode_undoes_it(tmp_path):
    torch.manual_seed(0)
    model = kl.small_model(SPEC, 32).eval()
    kl.measure_normalisation(model, pixels(), 32)
    model.save_pretrained(tmp_path)
    loaded = kl.KLAutoencoder(load_model(AutoencoderKL, tmp_path), 32, 2)
    tokens = encode_all(loaded, pixels())
    assert (tokens.shape, loaded.shape.grid, loaded.shape.channels_per_token) == ((16, 64, 16), (8, 8), 16)
    assert tokens.mean().item() == pytest.approx(0, abs=1e-4)
    assert tokens.std().item() == pytest.approx(1, abs=1e-4)


def test_a_collapsed_latent_is_an_error_not_a_division_by_zero():
    model = kl.small_model(SPEC, 32)
    torch.nn.init.zeros_(model.quant_conv.weight)
    torch.nn.init.zeros_(model.quant_conv.bias)
    with pytest.raises(LrcoreError, match="the latent has collapsed: all values are 0"):
        kl.measure_normalisation(model, pixels(), 32)


def test_trained_flux2_latents_are_normalised_per_channel(tmp_path):
    torch.manual_seed(0)
    model = flux2.small_model(SPEC, 32)
    flux2.measure_normalisation(model, pixels())
    model.save_pretrained(tmp_path)
    loaded = flux2.Flux2Autoencoder(load_model(AutoencoderKLFlux2, tmp_path), 32)
    tokens = encode_all(loaded, pixels())
    torch.testing.assert_close(tokens.mean((0, 1)), torch.zeros(16), rtol=0, atol=1e-4)
    variance = loaded.model.bn.running_var
    torch.testing.assert_close(tokens.std((0, 1)) ** 2, variance / (variance + 1e-4), rtol=1e-3, atol=0)


def test_trained_rae_latents_are_normalised_per_position(tmp_path):
    encoder = load_encoder("efficientnet_lite0", 128)
    model = rae_decoder.TimmRaeDecoder(
        "efficientnet_lite0", 128, encoder.sha256, encoder.patch_channels, 8, 32, 32, 1, 2
    )
    features = encoder.patches_only(to_float(pixels())).flatten(2).transpose(1, 2)
    rae_decoder.measure_normalisation(model, features)
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = rae.TimmRaeAutoencoder(load_model(rae_decoder.TimmRaeDecoder, tmp_path), encoder)
    tokens = encode_all(loaded, pixels())
    assert tokens.shape == (16, 64, 112)
    torch.testing.assert_close(tokens.mean(0), torch.zeros(64, 112), rtol=0, atol=1e-3)
    alive = features.std(0) > 1e-2
    torch.testing.assert_close(tokens.std(0)[alive], torch.ones(int(alive.sum())), rtol=0, atol=1e-2)
    with torch.no_grad():
        torch.testing.assert_close(loaded.decode(tokens), model.eval()(tokens).clamp(-1, 1))
    trained_on = r"trained on the encoder \('efficientnet_lite0', 128, .*, not on \('efficientnet_lite0', 96, "
    with pytest.raises(LrcoreError, match=trained_on):
        rae.TimmRaeAutoencoder(model, load_encoder("efficientnet_lite0", 96))


def test_the_guard_looks_at_single_channels():
    """All values together may be normalised while no channel is."""
    tokens = torch.randn(50, 16, 4, generator=torch.Generator().manual_seed(0))
    guard_scale(tokens, "rae")
    spread = tokens * torch.tensor([0.01, 1.4, 1.0, 1.0])
    with pytest.raises(LrcoreError, match=r"1 of 4 channels of the latents of 'rae' .*the worst, channel 0, has mean"):
        guard_scale(spread / spread.std(), "rae")
    moved = 0.3 * tokens + torch.tensor([-1.2, 1.2, 0.5, -0.5])
    with pytest.raises(LrcoreError, match=r"2 of 4 channels .* not normalised"):
        guard_scale(moved / moved.std(), "rae")


def test_the_guard_tells_the_scale_that_mends():
    guard_scale(torch.randn(100, 100), "sd")
    wrong = 5 * torch.randn(100, 100, generator=torch.Generator().manual_seed(0)) + 2
    with pytest.raises(LrcoreError, match="latents of 'sd' have mean") as caught:
        guard_scale(wrong, "sd")
    shift, scale = re.search(r"\(latent - ([\d.]+)\) \* ([\d.]+) would be normalised", str(caught.value)).groups()
    guard_scale((wrong - float(shift)) * float(scale), "sd")


@pytest.mark.parametrize(
    ("latents", "message"),
    [(torch.full((4, 4), 2.0), "have collapsed: all values are 2"), (torch.tensor([1.0, torch.nan]), "hold NaN")],
)
def test_the_guard_names_what_no_scale_mends(latents, message):
    with pytest.raises(LrcoreError, match=message):
        guard_scale(latents, "sd")


def test_whatever_takes_long_can_be_stopped_before_every_pass_of_the_network():
    model = kl.small_model(load_study("smoke").autoencoders["sd"], 32)
    autoencoder, looks = kl.KLAutoencoder(model, 32, patch=2), []
    autoencoder.before_chunk = lambda: looks.append(0)
    tokens = encode_all(autoencoder, pixels(130))
    assert len(looks) == 3
    autoencoder.decode(tokens)
    autoencoder.posterior(pixels(65))
    assert len(looks) == 3 + 3 + 2
    kl.measure_normalisation(model, pixels(65), 32, lambda: looks.append(0))
    assert len(looks) == 3 + 3 + 2 + 2


def test_classes_are_named_as_they_are_called():
    """By name alone, since importing them takes seconds."""
    assert rae_decoder.TimmRaeDecoder.__name__ == RAE_DECODER
    ours = {name for names in CLASSES.values() for name in names} - {RAE_DECODER}
    assert ours == {model.__name__ for model in (AutoencoderKL, AutoencoderKLFlux2, AutoencoderRAE)}


def test_a_study_gives_a_stored_model_the_size_of_the_images_that_it_sees(tmp_path):
    """An f8 model of patch 1 has 16 tokens of an image of 32 px, and 64 of the same image at 64 px."""
    blocks = {"block_out_channels": (8,) * 4, "down_block_types": ("DownEncoderBlock2D",) * 4}
    model = AutoencoderKL(**blocks, up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, scaling_factor=1.0)
    model.save_pretrained(tmp_path / "f8")

    def workspace(size):
        study = load_study("smoke")
        spec = AutoencoderSpec("kl", pretrained=str(tmp_path / "f8"), patch=1, size=size)
        study = dataclasses.replace(study, autoencoders={"mine": spec})
        return Workspace(study, Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda steps: None)

    for size, side in ((0, 4), (64, 8)):
        work = workspace(size)
        require_pretrained(work, "mine")
        made = as_it_comes(work, "mine")
        assert made.shape == latent_shape(work, "mine") == LatentShape(32, (side, side), 4)
        found = made.posterior(pixels(2))
        assert found.mean.shape == found.std.shape == (2, side**2, 4) and has_posterior(made)
        assert made.decode(found.mean).shape == (2, 3, 32, 32)
    with pytest.raises(LrcoreError, match=r"autoencoders.mine: resolution 60 must be a multiple of 8 px"):
        require_pretrained(workspace(60), "mine")
