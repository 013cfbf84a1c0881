"""A rehearsal of the study `imagenet256`: every stage, as its file has it, on tiny random models in the real layouts.

What differs is size alone: the autoencoders are those of diffusers with the published configuration of the latent but
narrow layers, REPA's encoder is the smallest vision transformer of timm, images have 32 px, trainings two steps. The
paths, the layout of ImageNet's folders and the format of the reference file are the study's own. In place of the
Inception stands a random projection to as many features, since loading and running it takes most of a minute here.
"""

from __future__ import annotations

from pathlib import Path

import numpy
import pandas
import pytest
import timm
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderRAE
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import adaptive_avg_pool2d

from lrcore import train
from lrcore.autoencoders import flux2
from lrcore.datasets.images import to_float
from lrcore.metrics import features
from lrcore.metrics.features import FeatureNetwork
from lrcore.studies.loading import load_study
from lrcore.training import loop

SIDE = 32
STUDY = """
extends = "imagenet256"

[data]
resolution = 32
train_images = 12
validation_images = 4

[encoder]
name = "test_vit"
size = 32
weights = "test_vit.safetensors"

[autoencoders.sd]
family = "kl"
pretrained = "models/sd"
patch = 2

[autoencoders.flux1]
family = "kl"
pretrained = "models/flux1"
subfolder = "vae"
patch = 2

[autoencoders.flux2]
family = "flux2"
pretrained = "models/flux2"
subfolder = "vae"

[autoencoders.rae]
family = "rae"
pretrained = "models/rae"

[training]
model = "DiT-Micro"
evaluate_at = [2]
batch_size = 4
checkpoint_every = 1
repa_block = 2
repa_hidden = 16

[evaluation]
n_samples = 4
sampling_steps = 2
sampleshifts = [1.78]
batch_size = 4

[[grid]]
ae = ["sd", "flux1", "flux2", "rae"]
trainp = ["ln"]
trainshift = [1.78]
repa = ["none", "test_vit"]
"""
AES = {"sd": 16, "flux1": 64, "flux2": 128, "rae": 64}
"""Channels per token; all but the RAE's are the published ones."""


def convolutions(latent_channels: int) -> dict[str, object]:
    return {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "latent_channels": latent_channels,
    }


@torch.no_grad()
def fit_to_factors(model: AutoencoderKL, last: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Make the `last` layer of the encoder such that the published factors normalise every channel."""
    mode = model.encode(to_float(pictures)).latent_dist.mode()
    deviation, mean = torch.std_mean(mode, dim=(0, 2, 3))
    scale = 1 / (deviation * model.config.scaling_factor)
    channels = len(mean)
    last.weight[:channels] *= scale.view(-1, 1, 1, 1)
    last.bias[:channels] = (last.bias[:channels] - mean) * scale + (model.config.shift_factor or 0.0)


def save_models(folder: Path, pictures: torch.Tensor) -> None:
    """The four autoencoders where the hub's folders have their weights, and the encoder.

    Latents are normalised to these `pictures` (B, 3, 32, 32), as published ones are to ImageNet.
    """
    torch.manual_seed(0)
    sd = AutoencoderKL(**convolutions(4), scaling_factor=0.18215)
    fit_to_factors(sd, sd.quant_conv, pictures)
    factors = {"shift_factor": 0.1159, "scaling_factor": 0.3611}
    flux1 = AutoencoderKL(**convolutions(16), **factors, use_quant_conv=False, use_post_quant_conv=False)
    fit_to_factors(flux1, flux1.encoder.conv_out, pictures)
    flux2_model = AutoencoderKLFlux2(**convolutions(32))
    flux2.measure_normalisation(flux2_model, pictures)
    rae = AutoencoderRAE(
        encoder_hidden_size=64, encoder_num_hidden_layers=1, encoder_input_size=28, image_size=SIDE,
        decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=16, latents_mean=torch.zeros(64, 2, 2), latents_std=torch.ones(64, 2, 2),
    )  # fmt: skip
    for name, model in {"sd": sd, "flux1/vae": flux1, "flux2/vae": flux2_model, "rae": rae}.items():
        model.save_pretrained(folder / "models" / name)
    save_file(timm.create_model("test_vit", num_classes=0, img_size=SIDE).state_dict(), folder / "test_vit.safetensors")


def save_pictures(folder: Path) -> torch.Tensor:
    """ImageNet's folders, `train` and `val`, of two classes; returns all, uint8 (16, 3, 32, 32)."""
    draw, small = numpy.random.default_rng(0), []
    for split, count in (("train", 6), ("val", 2)):
        for name in ("n01440764", "n01443537"):
            target = folder / "imagenet" / split / name
            target.mkdir(parents=True)
            for number in range(count):
                coarse = Image.fromarray(draw.integers(0, 256, (4, 5, 3), dtype=numpy.uint8))
                picture = coarse.resize((50, 40), Image.Resampling.BICUBIC)
                picture.save(target / f"{name}_{number}.JPEG", quality=95)
                small.append(numpy.asarray(picture.resize((SIDE, SIDE))))
    return torch.from_numpy(numpy.stack(small)).permute(0, 3, 1, 2)


def save_reference(path: Path, pictures: torch.Tensor) -> None:
    """ADM's format: the statistics of Inception's pooled and of its spatial features, and pictures in arr_0."""
    draw = numpy.random.default_rng(1)
    parts = {}
    for key, width in (("", 2048), ("_s", 2023)):
        parts[f"mu{key}"] = draw.uniform(0, 1, width)
        parts[f"sigma{key}"] = 0.1 * numpy.eye(width)
    numpy.savez_compressed(path, arr_0=pictures.permute(0, 2, 3, 1).numpy(), **parts)


def projection(device: torch.device) -> FeatureNetwork:
    """In place of the Inception, under its name."""
    weights = torch.randn(3 * 8 * 8, 2048, generator=torch.Generator().manual_seed(0)) / 14

    def extract(pixels: torch.Tensor) -> torch.Tensor:
        return (adaptive_avg_pool2d(to_float(pixels), 8).flatten(1) @ weights).relu()

    return FeatureNetwork("inception2015", 2048, "0" * 64, "a random projection, for a test", device, extract)


def test_every_stage_of_the_full_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "_inception2015", projection)
    monkeypatch.setattr(loop, "LOG_EVERY", 2)  # losses are kept every 50 steps, which no training here has
    pictures = save_pictures(tmp_path)
    save_models(tmp_path, pictures)
    save_reference(tmp_path / "VIRTUAL_imagenet256_labeled.npz", pictures)
    (tmp_path / "rehearsal.toml").write_text(STUDY)
    full, rehearsed = load_study("imagenet256"), load_study("rehearsal.toml")
    assert list(rehearsed.autoencoders) == list(full.autoencoders) == list(AES)
    for ae, spec in full.autoencoders.items():
        own = rehearsed.autoencoders[ae]
        assert (own.family, own.patch, own.subfolder, own.origin) == (
            spec.family,
            spec.patch,
            spec.subfolder,
            spec.origin,
        )

    assert train.main(["rehearsal.toml"]) == 0

    for table in ("generation", "reconstruction", "latents", "anchors", "losses"):
        rows = pandas.read_parquet(f"data/{table}")
        assert set(rows["ae"]) == set(AES), table
    generation = pandas.read_parquet("data/generation")
    assert len(generation) == 8 and set(generation["status"]) == {"ok"}
    assert generation["fid"].notna().all() and generation["reference"].str.startswith("VIRTUAL_imagenet256").all()
    assert generation.groupby("ae")["channels_per_token"].first().to_dict() == AES
    assert set(generation["repa"]) == {"none", "test_vit"} and set(generation["tokens"]) == {4}
    shown = {path.relative_to("imgs/rehearsal").as_posix() for path in Path("imgs/rehearsal").rglob("*.png")}
    assert {f"{ae}-00.png" for ae in ("orig", *AES)} <= shown
    assert {f"samples/{ae}-{repa}.png" for ae in AES for repa in ("none", "test_vit")} <= shown
