"""The family "diffusers": small random models in the layout that is published, against what diffusers' pipelines do."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    AutoencoderRAE,
    AutoencoderTiny,
    Flux2Pipeline,
    FluxKontextPipeline,
    QwenImageEditPipeline,
    SanaSprintImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    VQModel,
)
from rounding import assert_as_exact, in_float64
from tiny_study import TINY

from lrcore.autoencoders import by_class
from lrcore.autoencoders.loading import load_model
from lrcore.autoencoders.patches import from_tokens
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import as_it_comes, require_pretrained
from lrcore.stages.latent_shape import has_posterior, latent_shape
from lrcore.stages.reconstruction import _named_weights
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

SIZE = 64
IMAGES = to_float(torch.randint(0, 256, (2, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8))


def convolutions(latent_channels):
    return {
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "block_out_channels": (8, 8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "latent_channels": latent_channels,
    }


def flux2_model():
    model = AutoencoderKLFlux2(**convolutions(8))
    model.bn.running_mean.normal_()
    model.bn.running_var.uniform_(0.5, 2.0)
    return model


def tiny(channels, **factors):
    widths = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    return AutoencoderTiny(**widths, latent_channels=channels, **factors)


def dc():
    stages = {
        "block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
        "block_out_channels": (8, 16, 32),
        "layers_per_block": (0, 1, 1),
        "qkv_multiscales": ((), (), (5,)),
    }
    both = {f"{part}_{key}": value for part in ("encoder", "decoder") for key, value in stages.items()}
    return AutoencoderDC(latent_channels=32, attention_head_dim=8, scaling_factor=0.41407, **both)


def rae_model():
    return AutoencoderRAE(
        encoder_hidden_size=64, encoder_num_hidden_layers=1, encoder_input_size=56, encoder_patch_size=14,
        image_size=64, decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=32, latents_mean=torch.randn(64, 4, 4), latents_std=torch.rand(64, 4, 4) + 0.5,
    )  # fmt: skip


# What diffusers' own pipelines make of images, and of a latent again before they decode it.


def of_sd(vae, generator=None):
    latent = StableDiffusionInpaintPipeline._encode_vae_image(SimpleNamespace(vae=vae), IMAGES, generator)
    return latent, latent / vae.config.scaling_factor


def of_flux1(vae):
    latent = FluxKontextPipeline._encode_vae_image(SimpleNamespace(vae=vae), IMAGES, None)
    return latent, latent / vae.config.scaling_factor + vae.config.shift_factor


def of_flux2(vae):
    pipeline = SimpleNamespace(vae=vae, _patchify_latents=Flux2Pipeline._patchify_latents)
    latent = Flux2Pipeline._encode_vae_image(pipeline, IMAGES, None)
    deviation = torch.sqrt(vae.bn.running_var + vae.config.batch_norm_eps).view(1, -1, 1, 1)
    return latent, Flux2Pipeline._unpatchify_latents(latent * deviation + vae.bn.running_mean.view(1, -1, 1, 1))


def of_sana(vae):
    """At time 0, where the pipeline adds no noise."""
    scheduler = SimpleNamespace(config=SimpleNamespace(sigma_data=1.0))
    pipeline = SimpleNamespace(vae=vae, vae_scale_factor=vae.spatial_compression_ratio, scheduler=scheduler)
    settings = (IMAGES, torch.zeros(()), 2, 32, SIZE, SIZE, torch.float32, "cpu", None)
    latent = SanaSprintImg2ImgPipeline.prepare_latents(pipeline, *settings)
    return latent, latent / vae.config.scaling_factor


def of_qwen(vae):
    pipeline = SimpleNamespace(vae=vae, latent_channels=vae.config.z_dim)
    latent = QwenImageEditPipeline._encode_vae_image(pipeline, IMAGES.unsqueeze(2), None)
    mean, deviation = (
        torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return latent.squeeze(2), latent * deviation + mean


CASES = {
    "sd": (lambda: AutoencoderKL(**convolutions(4), scaling_factor=0.18215), of_sd, 2, True),
    "flux1": (
        lambda: AutoencoderKL(**convolutions(4), shift_factor=0.1159, scaling_factor=0.3611),
        of_flux1,
        2,
        True,
    ),
    "flux2": (flux2_model, of_flux2, 2, True),
    "taesd": (lambda: tiny(4), of_sd, 2, False),
    "taef1": (lambda: tiny(16, scaling_factor=0.5, shift_factor=0.25), of_flux1, 1, False),
    "sana": (dc, of_sana, 1, False),
    "qwen": (lambda: AutoencoderKLQwenImage(base_dim=8, num_res_blocks=1), of_qwen, 2, True),
}
"""Model, its pipeline, latent pixels a token spans, and whether it has a posterior; FLUX.2's patches are its own."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Saved as they are published: in the root, or as the part `vae` of a pipeline."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    for name, (make, *_) in CASES.items():
        make().save_pretrained(folder / name / place(name))
    rae_model().save_pretrained(folder / "rae")
    return folder


def place(name):
    return "" if name in ("taesd", "taef1", "sana") else "vae"


def workspace(tmp_path, pretrained, *lines, size=SIZE):
    """Of a study with one autoencoder of the family; no images are read."""
    path = tmp_path / "mine.toml"
    content = [
        f'extends = "{TINY}"', "[data]", 'dataset = "folder"', 'path = "images"', f"resolution = {size}",
        "[autoencoders.mine]", 'family = "diffusers"', f'pretrained = "{pretrained}"', *lines,
        "[[grid]]", 'ae = ["mine"]', 'trainp = ["ln"]', "trainshift = [1.0]", 'repa = ["none"]',
    ]  # fmt: skip
    path.write_text("\n".join(content))
    folders = Folders(tmp_path / "data", tmp_path / "imgs", tmp_path / "runs")
    return Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None)


def keys(name):
    patch = CASES[name][2]
    return [f'subfolder = "{place(name)}"'] * bool(place(name)) + [f"patch = {patch}"] * (patch != 2)


@pytest.mark.parametrize("name", CASES)
def test_a_latent_is_what_the_pipeline_makes_of_the_same_images(models, tmp_path, name):
    _, pipeline, patch, posterior = CASES[name]
    work = workspace(tmp_path, models / name, *keys(name))
    require_pretrained(work, "mine")
    autoencoder = as_it_comes(work, "mine")
    vae = type(autoencoder.model).from_pretrained(models / name / place(name), low_cpu_mem_usage=False).eval()
    with torch.no_grad():
        latent, given = pipeline(vae)
        mode = autoencoder.encode(IMAGES)
        if name == "sd":  # whose pipeline samples; the others take the mode
            given = vae.encode(IMAGES).latent_dist.mode()
            latent = given * vae.config.scaling_factor
        rows = from_tokens(mode, patch if name != "flux2" else 1, autoencoder.shape.grid)
        torch.testing.assert_close(rows, latent)
        single, exact = (
            decoder.decode(z, return_dict=False)[0].clamp(-1, 1).view(2, 3, SIZE, SIZE)
            for decoder, z in ((vae, given), (in_float64(vae), given.double()))
        )
        assert_as_exact(autoencoder.decode(mode), single, exact)
    assert latent_shape(work, "mine") == autoencoder.shape
    assert has_posterior(work, "mine") is posterior
    assert (autoencoder.posterior(IMAGES).std is not None) is posterior


def test_a_sample_of_the_posterior_is_what_the_pipeline_draws(models, tmp_path):
    autoencoder = as_it_comes(workspace(tmp_path, models / "sd", *keys("sd")), "mine")
    drawn = autoencoder.encode(IMAGES, torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, _ = of_sd(autoencoder.model, torch.Generator().manual_seed(1))
    torch.testing.assert_close(from_tokens(drawn, 2, autoencoder.shape.grid), expected)


def test_a_sample_of_one_frame_is_what_the_model_draws(models, tmp_path):
    autoencoder = as_it_comes(workspace(tmp_path, models / "qwen", *keys("qwen")), "mine")
    drawn = autoencoder.encode(IMAGES, torch.Generator().manual_seed(1))
    with torch.no_grad():
        posterior = autoencoder.model.encode(IMAGES.unsqueeze(2)).latent_dist
    expected = (
        posterior.sample(torch.Generator().manual_seed(1)).squeeze(2) - autoencoder.shift
    ) / autoencoder.deviation
    torch.testing.assert_close(from_tokens(drawn, 2, autoencoder.shape.grid), expected)


@pytest.mark.parametrize("name", ["taesd", "sana", "qwen"])
def test_bfloat16_is_near(models, tmp_path, name):
    single, half = (
        as_it_comes(workspace(tmp_path, models / name, *keys(name), f'precision = "{precision}"'), "mine")
        for precision in ("float32", "bfloat16")
    )
    tokens, found = single.encode(IMAGES), half.encode(IMAGES)
    assert found.dtype == torch.float32
    assert not torch.equal(found, tokens) and (found - tokens).std() < 0.05 * tokens.std()
    assert (half.decode(tokens) - single.decode(tokens)).abs().mean() < 0.02


def test_images_may_be_resized_inside(models, tmp_path):
    work = workspace(tmp_path, models / "sana", "patch = 1", f"size = {SIZE}", size=32)
    require_pretrained(work, "mine")
    autoencoder = as_it_comes(work, "mine")
    assert latent_shape(work, "mine") == autoencoder.shape
    # four times smaller than the images of 64 px that it sees, which are made of 32
    assert (autoencoder.shape.resolution, autoencoder.shape.grid) == (32, (16, 16))


def test_an_rae_is_made_by_its_class(models, tmp_path):
    work = workspace(tmp_path, models / "rae")
    require_pretrained(work, "mine")
    autoencoder = as_it_comes(work, "mine")
    model = AutoencoderRAE.from_pretrained(models / "rae", low_cpu_mem_usage=False).eval()
    with torch.no_grad():
        latent = model.encode((IMAGES + 1) / 2).latent
        torch.testing.assert_close(from_tokens(autoencoder.encode(IMAGES), 1, (4, 4)), latent)
    assert has_posterior(work, "mine") is None
    wrong = workspace(tmp_path, models / "rae", "patch = 1")
    with pytest.raises(LrcoreError, match="patch means nothing for AutoencoderRAE, whose tokens are its own, got 1"):
        require_pretrained(wrong, "mine")


def test_another_class_is_named_with_those_that_are_known(tmp_path):
    VQModel(block_out_channels=(8,), norm_num_groups=8).save_pretrained(tmp_path / "vq")
    work = workspace(tmp_path, tmp_path / "vq")
    for attempt in (require_pretrained, as_it_comes, has_posterior):
        with pytest.raises(LrcoreError, match=r"holds a VQModel, .* _class_name; allowed .* AutoencoderKL, .*Qwen"):
            attempt(work, "mine")


def test_a_class_that_the_installed_version_lacks_is_named_with_the_version(models, tmp_path, monkeypatch):
    monkeypatch.setattr(diffusers, "AutoencoderKLQwenImage", None)
    with pytest.raises(
        LrcoreError, match=rf"diffusers {diffusers.__version__} has no AutoencoderKLQwenImage: it takes"
    ):
        require_pretrained(workspace(tmp_path, models / "qwen", 'subfolder = "vae"'), "mine")


def test_all_classes_are_in_the_installed_version():
    for name in by_class.CLASSES:
        assert by_class.model_class(name).__name__ == name


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("taesd", {"scaling_factor": 0}, "scaling_factor in its config.json must be a positive number, got 0"),
        ("taesd", {"latent_channels": "4"}, "latent_channels in its config.json must be a positive whole number"),
        ("taesd", {"num_encoder_blocks": 4}, "num_encoder_blocks in its config.json must be a list, got 4"),
        ("taef1", {"shift_factor": "x"}, "shift_factor in its config.json must be a number, or null"),
        ("sana", {"scaling_factor": None}, "scaling_factor .* must be a positive number, got None"),
        ("sana", {"encoder_block_out_channels": [8] * 9}, "resolution 64 must be a multiple of 256 px"),
        ("qwen", {"latents_std": [1.0] * 15}, "latents_std .* must be a list of 16 numbers"),
        ("qwen", {"latents_mean": None}, "latents_mean .* must be a list of 16 numbers"),
        ("qwen", {"latents_std": [0.0] * 16}, "latents_std .* all positive"),
        ("qwen", {"z_dim": 8}, "latents_mean .* must be a list of 8 numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_before_weights_are_read(models, tmp_path, name, changed, message):
    folder = tmp_path / "model" / place(name)
    folder.mkdir(parents=True)
    config = json.loads((models / name / place(name) / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))
    with pytest.raises(LrcoreError, match=message):
        require_pretrained(workspace(tmp_path, tmp_path / "model", *keys(name)), "mine")


def test_a_family_without_a_place_is_incomplete(tmp_path):
    with pytest.raises(LrcoreError, match=r"missing: autoencoders.mine.pretrained, a hub id or a folder"):
        workspace(tmp_path, "")
    with pytest.raises(LrcoreError, match=r"autoencoders.mine.widths means nothing for a pretrained autoencoder"):
        workspace(tmp_path, "owner/model", "widths = [8]")
    with pytest.raises(LrcoreError, match=r"autoencoders.mine.variant must be letters and digits.*got '../fp16'"):
        workspace(tmp_path, "owner/model", 'variant = "../fp16"')


# Variants of the weights, and other layouts.


def renamed(models, tmp_path, *names):
    """The model "taesd" with its weights under each of these names."""
    folder = tmp_path / "renamed"
    shutil.copytree(models / "taesd", folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    for name in names:
        shutil.copy(weights, folder / name)
    weights.unlink()
    return folder


FP16, BF16 = (f"diffusion_pytorch_model.{name}.safetensors" for name in ("fp16", "bf16"))


@pytest.mark.parametrize("line", ['variant = "fp16"', ""])
def test_weights_of_half_precision_are_found_and_computed_with_in_float32(tmp_path, line):
    torch.manual_seed(0)
    model = tiny(4)
    half = tiny(4)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(tmp_path / "model", variant="fp16")
    assert (tmp_path / "model" / FP16).is_file()
    work = workspace(tmp_path, tmp_path / "model", *filter(None, [line]))
    autoencoder = as_it_comes(work, "mine")
    expected = {name: value.half().float() for name, value in model.state_dict().items()}
    found = autoencoder.model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert _named_weights(work.study.autoencoders["mine"]) == "model" + (" (fp16)" if line else "")


def test_a_variant_is_chosen_by_name_alone_where_there_are_several(models, tmp_path):
    folder = renamed(models, tmp_path, FP16, BF16)
    with pytest.raises(
        LrcoreError, match="holds weights of the variants 'bf16', 'fp16' alone: name one of them as var"
    ):
        load_model(AutoencoderTiny, folder)
    load_model(AutoencoderTiny, folder, variant="bf16")
    with pytest.raises(LrcoreError, match="no weights of the variant 'int8'; it has variants 'bf16', 'fp16'"):
        load_model(AutoencoderTiny, folder, variant="int8")


def test_a_variant_that_is_not_there_is_named(models):
    with pytest.raises(LrcoreError, match="no weights of the variant 'fp16'; it has weights without a variant alone"):
        load_model(AutoencoderTiny, models / "taesd", variant="fp16")


@pytest.mark.parametrize("variant", ["", "fp16"])
def test_weights_in_several_files_are_read(tmp_path, variant):
    torch.manual_seed(0)
    model = tiny(4)
    model.save_pretrained(tmp_path / "model", max_shard_size="40KB", variant=variant or None)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    found = load_model(AutoencoderTiny, tmp_path / "model").state_dict()
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())


def test_a_whole_pipeline_is_refused_with_the_key_that_is_missing(models, tmp_path):
    shutil.copytree(models / "sd", tmp_path / "pipeline")
    (tmp_path / "pipeline" / "model_index.json").write_text("{}")
    with pytest.raises(LrcoreError, match=r'holds a whole pipeline \(model_index.json\), .*: subfolder = "vae"'):
        require_pretrained(workspace(tmp_path, tmp_path / "pipeline"), "mine")
    require_pretrained(workspace(tmp_path, tmp_path / "pipeline", 'subfolder = "vae"'), "mine")


@pytest.mark.parametrize("options", [{"variant": "fp16"}, {"max_shard_size": "40KB"}])
def test_pickles_of_any_name_are_refused(tmp_path, options):
    tiny(4).save_pretrained(tmp_path / "model", safe_serialization=False, **options)
    assert not list(Path(tmp_path / "model").glob("*.safetensors"))
    with pytest.raises(LrcoreError, match=r"diffusion_pytorch_model.*\.bin' is a pickle, .* is not read; convert it"):
        load_model(AutoencoderTiny, tmp_path / "model")
