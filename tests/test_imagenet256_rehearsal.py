"""A rehearsal of the study `imagenet256`: every stage, as its file has it, on tiny random models in the real layouts.

What differs is size alone: the autoencoders are those of diffusers with the published configuration of the latent but
narrow layers, REPA's encoder is the smallest vision transformer of timm, images have 32 px, trainings two steps. The
paths, the layout of ImageNet's folders, the reference file and the feature network are the study's own.
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

from lrcore import train
from lrcore.studies.loading import load_study

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


def save_models(folder: Path) -> None:
    """The four autoencoders where the hub's folders have their weights, and the encoder."""
    torch.manual_seed(0)
    factors = {"shift_factor": 0.1159, "scaling_factor": 0.3611}
    flux2 = AutoencoderKLFlux2(**convolutions(32))
    flux2.bn.running_var.uniform_(0.01, 0.1)
    rae = AutoencoderRAE(
        encoder_hidden_size=64, encoder_num_hidden_layers=1, encoder_input_size=28, image_size=SIDE,
        decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=16, latents_mean=torch.randn(64, 2, 2), latents_std=torch.rand(64, 2, 2) + 0.5,
    )  # fmt: skip
    models = {
        "sd": AutoencoderKL(**convolutions(4), scaling_factor=0.18215),
        "flux1/vae": AutoencoderKL(**convolutions(16), **factors, use_quant_conv=False, use_post_quant_conv=False),
        "flux2/vae": flux2,
        "rae": rae,
    }
    for name, model in models.items():
        model.save_pretrained(folder / "models" / name)
    save_file(timm.create_model("test_vit", num_classes=0, img_size=SIDE).state_dict(), folder / "test_vit.safetensors")


def save_pictures(folder: Path) -> numpy.ndarray:
    """ImageNet's folders, `train` and `val`, of two classes; returns others, (8, 32, 32, 3)."""
    draw = numpy.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name in ("n01440764", "n01443537"):
            target = folder / "imagenet" / split / name
            target.mkdir(parents=True)
            for number in range(count):
                coarse = Image.fromarray(draw.integers(0, 256, (4, 5, 3), dtype=numpy.uint8))
                coarse.resize((50, 40), Image.Resampling.BICUBIC).save(target / f"{name}_{number}.JPEG", quality=95)
    return draw.integers(0, 256, (8, SIDE, SIDE, 3), dtype=numpy.uint8)


def save_reference(path: Path, pictures: numpy.ndarray) -> None:
    """ADM's format: the statistics of Inception's pooled and of its spatial features, and pictures in arr_0."""
    draw = numpy.random.default_rng(1)
    parts = {}
    for key, width in (("", 2048), ("_s", 2023)):
        parts[f"mu{key}"] = draw.uniform(0, 1, width)
        parts[f"sigma{key}"] = 0.1 * numpy.eye(width)
    numpy.savez_compressed(path, arr_0=pictures, **parts)


def test_every_stage_of_the_full_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path)
    save_reference(tmp_path / "VIRTUAL_imagenet256_labeled.npz", save_pictures(tmp_path))
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
    pictures = {path.relative_to("imgs/rehearsal").as_posix() for path in Path("imgs/rehearsal").rglob("*.png")}
    assert {f"{ae}-00.png" for ae in ("orig", *AES)} <= pictures
    assert {f"samples/{ae}-{repa}.png" for ae in AES for repa in ("none", "test_vit")} <= pictures
    # done once: nothing is left
    assert train.main(["rehearsal.toml"]) == 0
