"""What pretrained autoencoders say of themselves in their config.json: met by name before any work."""

import json

import pytest
from tiny_study import TINY

from lrcore import train
from lrcore.autoencoders.stored_config import check_config
from lrcore.errors import LrcoreError

KL = {"latent_channels": 4, "scaling_factor": 0.18, "shift_factor": None, "block_out_channels": [8, 8, 8]}
FLUX2 = {"latent_channels": 8, "block_out_channels": [8, 8], "patch_size": [2, 2]}
STATISTICS = [[[1.0] * 2] * 2] * 3
RAE = {
    "encoder_input_size": 28, "encoder_patch_size": 14, "encoder_hidden_size": 3, "patch_size": 16,
    "latents_mean": STATISTICS, "latents_std": STATISTICS,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("kl", KL),
        ("kl", KL | {"latents_mean": [0, 1, -2, 0.5], "latents_std": [1, 0.5, 2, 3]}),
        ("kl", {}),
        ("flux2", FLUX2),
        ("flux2", {}),
        ("rae", RAE),
        ("rae", RAE | {"latents_mean": [[[0.0]]] * 3, "latents_std": [[[0.0]]] * 3, "encoder_type": "mae"}),
    ],
)
def test_what_can_be_used_is_not_refused(family, config):
    check_config(config, family, 32, 2)


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        ("kl", {"scaling_factor": None}, "scaling_factor in its config.json must be a positive number, got None"),
        ("kl", {"scaling_factor": 0}, "scaling_factor in its config.json must be a positive number, got 0"),
        ("kl", {"scaling_factor": float("nan")}, "must be a positive number, got nan"),
        ("kl", {"scaling_factor": "0.18"}, "must be a positive number, got '0.18'"),
        ("kl", {"shift_factor": "x"}, "shift_factor in its config.json must be a number, or null for none, got 'x'"),
        ("kl", {"latents_mean": [0] * 4}, "one of latents_mean and latents_std without the other"),
        ("kl", {"latents_mean": [0] * 4, "latents_std": [1, 0, 1, 1]}, r"latents_std .* all positive, got \[1, 0, 1"),
        ("kl", {"latents_mean": [0] * 3, "latents_std": [1] * 4}, r"latents_mean .* list of 4 numbers.*got \[0, 0"),
        ("kl", {"latents_mean": [0] * 4, "latents_std": [1] * 5}, "latents_std .* must be a list of 4 numbers"),
        ("kl", {"latents_mean": [0, None, 0, 0], "latents_std": [1] * 4}, "latents_mean .* a list of 4 numbers"),
        ("kl", {"latent_channels": -1}, "latent_channels in its config.json must be a positive whole number, got -1"),
        ("kl", {"block_out_channels": [8] * 6}, "resolution 32 must be a multiple of 64 px"),
        ("flux2", {"patch_size": [2, 1]}, r"patch_size .* two equal whole numbers: .*, got \[2, 1\]"),
        ("flux2", {"patch_size": 2}, "patch_size .* two equal whole numbers"),
        ("flux2", {"patch_size": [3, 3]}, "resolution 32 must be a multiple of 6 px"),
        ("rae", {"latents_std": None}, "this RAE has no latents_std in its config.json"),
        ("rae", {"latents_std": [1.0] * 5}, r"latents_std .* must be numbers that broadcast to .* \(3, 2, 2\)"),
        ("rae", {"latents_mean": [[1.0], [1.0, 2.0]]}, "latents_mean .* must be numbers that broadcast"),
        ("rae", {"latents_std": [[[-1.0] * 2] * 2] * 3}, "latents_std .* none below 0"),
        ("rae", {"encoder_type": "siglip2"}, "encoder_type .* must be one of dinov2, mae, got 'siglip2'"),
        ("rae", {"patch_size": 8}, "this RAE decodes to 16 px, the images have 32 px"),
        ("rae", {"encoder_patch_size": 0}, "encoder_patch_size .* must be a positive whole number, got 0"),
    ],
)  # fmt: skip
def test_what_cannot_is_refused_by_name(family, changed, message):
    with pytest.raises(LrcoreError, match=message):
        check_config({"kl": KL, "flux2": FLUX2, "rae": RAE}[family] | changed, family, 32, 2)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            KL | {"_class_name": "AutoencoderKL", "scaling_factor": None},
            "autoencoders.sd: scaling_factor in its config",
        ),
        (
            KL | {"_class_name": "AutoencoderKL", "block_out_channels": [8] * 7},
            "autoencoders.sd: resolution 32 must be",
        ),
        (
            FLUX2 | {"_class_name": "AutoencoderKLFlux2"},
            "autoencoders.sd: 'vae' holds a AutoencoderKLFlux2; allowed for f",
        ),
        ([1], "autoencoders.sd: "),
    ],
    ids=["scale", "resolution", "class", "list"],
)
def test_that_is_before_any_training(config, message, tmp_path, capsys):
    """Of a study whose first autoencoder would be trained for hours."""
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.toml").write_text(
        f'extends = "{TINY}"\n[autoencoders.sd]\nfamily = "kl"\npretrained = "vae"\n[[grid]]\nae = ["flux2", "sd"]\n'
        'trainp = ["ln"]\ntrainshift = [1.0]\nrepa = ["none"]\n'
    )
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    assert train.main([str(tmp_path / "mine.toml"), *places]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"error: {message}")
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
