from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import timm
import torch
from rounding import assert_as_exact, in_float64
from safetensors.torch import save_file
from torch.nn import functional

from lrcore.assets import pretrained
from lrcore.encoders import loading, pinned, timm_model
from lrcore.encoders.base import VisionEncoder, patches_at
from lrcore.encoders.loading import check_encoder_name, load_encoder
from lrcore.encoders.pinned import EfficientNetLite0
from lrcore.encoders.timm_model import TimmEncoder
from lrcore.errors import LrcoreError


def random_network() -> torch.nn.Module:
    """EfficientNet-Lite0 whose normalisation statistics are not the identity, so that folding them is tested."""
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return random_network()


@pytest.fixture(scope="module")
def encoder(network: torch.nn.Module) -> VisionEncoder:
    return EfficientNetLite0("efficientnet_lite0", network, size=64, sha256="0" * 64)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_features_are_those_of_timms_network(encoder, network, images):
    def by_timm(model, inputs):
        with torch.no_grad():
            stages = model.forward_intermediates(inputs, intermediates_only=True)
            return stages[3], model.forward_head(model.forward_features(inputs), pre_logits=True)

    inputs = (127.5 * (images + 1) - 127) / 128
    single, exact = by_timm(network, inputs), by_timm(in_float64(network), inputs.double())
    found = encoder(images)
    assert found.patches.shape == (2, encoder.patch_channels, 4, 4)
    assert found.pooled.shape == (2, encoder.pooled_dim)
    assert_as_exact(found.patches, single[0], exact[0])
    assert_as_exact(found.pooled, single[1], exact[1])


def test_network_given_is_left_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    EfficientNetLite0("efficientnet_lite0", network, size=64, sha256="")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_patches_only_equals_the_whole_pass_and_skips_later_stages(encoder, images):
    def refuse(*_):
        raise AssertionError("a stage after the patches was computed")

    expected = encoder(images).patches
    hooks = [encoder.network.blocks[5].register_forward_pre_hook(refuse)]
    hooks += [encoder.network.conv_head.register_forward_pre_hook(refuse)]
    try:
        torch.testing.assert_close(encoder.patches_only(images), expected, rtol=0, atol=0)
    finally:
        for hook in hooks:
            hook.remove()


@pytest.fixture
def double_inputs(monkeypatch):
    """Encoders take images of their own size in float64."""
    for module in (pinned, timm_model):
        monkeypatch.setattr(module, "resized", lambda images, size: images)


@pytest.mark.usefixtures("double_inputs")
def test_each_image_has_its_own_features_in_a_batch_of_any_size(encoder):
    images = torch.rand(35, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    exact = in_float64(encoder)
    found = exact(images.double())
    assert len(found.patches) == len(found.pooled) == 35
    for i in (0, 16, 34):
        alone = exact(images[[i]].double())
        torch.testing.assert_close(found.patches[[i]], alone.patches, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found.pooled[[i]], alone.pooled, rtol=1e-9, atol=1e-9)
    assert encoder(images[:0]).pooled.shape == (0, encoder.pooled_dim)


def test_other_sizes_are_resized_by_the_stated_rule(encoder):
    small = torch.rand(1, 3, 40, 32) * 2 - 1
    resized = functional.interpolate(small, size=(64, 64), mode="bicubic", align_corners=False, antialias=True)
    torch.testing.assert_close(encoder.patches_only(small), encoder.patches_only(resized), rtol=0, atol=0)


def test_frozen_in_eval_mode_and_outside_autocast(encoder, images):
    expected = encoder(images)
    outer = torch.nn.Sequential(encoder).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in outer.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder(images.requires_grad_())
    assert found.patches.dtype == found.pooled.dtype == torch.float32
    assert not found.patches.requires_grad and not found.pooled.requires_grad
    assert torch.equal(found.patches, expected.patches)


def test_a_loss_can_be_taken_against_the_patches(encoder, images):
    """A tensor made under inference mode could not be kept for the backward pass."""
    target = encoder.patches_only(images)
    guess = torch.zeros_like(target, requires_grad=True)
    (guess * target).sum().backward()
    assert torch.equal(guess.grad, target)


@pytest.mark.parametrize(
    "bad", [torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(3, 64, 64), torch.zeros(1, 1, 64, 64)]
)
def test_refuses_what_is_not_a_batch_of_float_images(encoder, bad):
    with pytest.raises(LrcoreError, match="float images"):
        encoder(bad)


@pytest.mark.parametrize("size", [0, -16, 100])
def test_refuses_a_size_that_is_not_whole_patches(network, size):
    with pytest.raises(LrcoreError, match=f"size {size} .*multiple of 16"):
        EfficientNetLite0("efficientnet_lite0", network, size=size, sha256="")


def test_load_encoder_carries_name_size_and_hash(monkeypatch, network):
    monkeypatch.setattr(pretrained, "efficientnet_lite0", lambda: network)
    monkeypatch.setattr(pretrained, "sha256", lambda name: f"hash of {name}")
    loaded = load_encoder("efficientnet_lite0", size=96)
    assert (loaded.name, loaded.size, loaded.sha256) == ("efficientnet_lite0", 96, "hash of efficientnet_lite0")
    assert loaded.patches_only(torch.zeros(1, 3, 32, 32)).shape == (1, 112, 6, 6)


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(LrcoreError, match="did you mean 'efficientnet_lite0'"):
        load_encoder("efficientnet_lite")
    assert loading.ENCODERS == ("efficientnet_lite0",)


def test_pinned_weights_are_not_replaced(tmp_path):
    with pytest.raises(LrcoreError, match="pinned weights"):
        load_encoder("efficientnet_lite0", weights=str(tmp_path / "other.safetensors"))


def test_grid_of_the_pinned_encoder(encoder, images):
    assert encoder.grid == encoder(images).patches.shape[-1] == 4


# Other models of timm, randomly initialised.


def random_model(name: str, **options: object) -> torch.nn.Module:
    """A timm model in which no tensor keeps the value it starts with, so that one that is not loaded is noticed."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for key, buffer in model.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer.add_(0.1 * torch.rand_like(buffer))
    return model


def weights_file(folder: Path, model: torch.nn.Module) -> str:
    path = folder / "model.safetensors"
    save_file(model.state_dict(), path)
    return str(path)


def normalised(images: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    mean, std = (torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    return (0.5 + 0.5 * images - mean) / std


def timms_tokens(model: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch map and pooled features of a transformer by timm's `forward_features` and `forward_head`."""
    with torch.no_grad():
        tokens = model.forward_features(normalised(images, model))
        pooled = model.forward_head(tokens, pre_logits=True)
    patches = tokens[:, model.num_prefix_tokens :].transpose(1, 2)
    side = round(patches.shape[2] ** 0.5)
    return patches.unflatten(2, (side, side)), pooled


@pytest.mark.parametrize(
    ("name", "size", "prefix", "grid"),
    [
        ("test_vit", 160, 1, 10),
        ("test_vit", 64, 1, 4),  # position embeddings are resampled
        ("test_vit.r160_in1k", 64, 1, 4),
        ("test_vit3", 64, 1, 4),  # pooled by attention
        ("vit_tiny_patch16_224", 64, 1, 4),
        ("vit_small_patch14_reg4_dinov2", 56, 5, 4),  # class and register tokens
        ("vit_relpos_small_patch16_224", 64, 0, 4),
    ],
)
def test_transformers_give_the_patch_tokens_of_timm(tmp_path, name, size, prefix, grid):
    dynamic = {} if "relpos" in name else {"dynamic_img_size": True}
    reference = random_model(name, num_classes=0, **(dynamic or {"img_size": size}))
    assert reference.num_prefix_tokens == prefix
    encoder = load_encoder(name, size, weights_file(tmp_path, reference))
    images = torch.rand(2, 3, size, size) * 2 - 1
    single, exact = timms_tokens(reference, images), timms_tokens(in_float64(reference), images.double())
    found = encoder(images)
    assert found.patches.shape == (2, encoder.patch_channels, grid, grid)
    assert found.pooled.shape == (2, encoder.pooled_dim)
    assert (encoder.name, encoder.size, encoder.grid) == (name, size, grid)
    assert_as_exact(found.patches, single[0], exact[0])
    assert_as_exact(found.pooled, single[1], exact[1])
    assert torch.equal(encoder.patches_only(images), found.patches)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "resnet18"])
def test_other_networks_give_their_last_map_of_stride_16(tmp_path, name):
    reference = random_model(name)
    encoder = load_encoder(name, 96, weights_file(tmp_path, reference))
    by_stride = timm.create_model(name, features_only=True).eval()
    # timm flattens the parts that it takes the maps from
    renamed = {re.sub(r"^(stem|stages)\.", r"\1_", key): value for key, value in reference.state_dict().items()}
    assert not by_stride.load_state_dict(renamed, strict=False).missing_keys
    level = max(i for i, stride in enumerate(by_stride.feature_info.reduction()) if stride == 16)
    images = torch.rand(2, 3, 96, 96) * 2 - 1

    def by_timm(maps, whole, images):
        inputs = normalised(images, whole)
        with torch.no_grad():
            return maps(inputs)[level], whole.forward_head(whole.forward_features(inputs), pre_logits=True)

    single = by_timm(by_stride, reference, images)
    exact = by_timm(in_float64(by_stride), in_float64(reference), images.double())
    found = encoder(images)
    assert found.patches.shape == (2, encoder.patch_channels, 6, 6) and encoder.grid == 6
    assert_as_exact(found.patches, single[0], exact[0])
    assert_as_exact(found.pooled, single[1], exact[1])
    assert torch.equal(encoder.patches_only(images), found.patches)


@pytest.fixture(scope="module")
def vit_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return weights_file(tmp_path_factory.mktemp("vit"), random_model("test_vit"))


@pytest.fixture(scope="module")
def vit(vit_file: str) -> VisionEncoder:
    return load_encoder("test_vit", 64, vit_file)


def test_timm_encoder_ignores_training_mode_autocast_and_gradients(vit, images):
    expected = vit(images)
    outer = torch.nn.Sequential(vit).train()
    assert not any(module.training for module in vit.modules())
    assert not any(parameter.requires_grad for parameter in outer.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = vit(images.requires_grad_())
    assert found.patches.dtype == found.pooled.dtype == torch.float32
    assert not found.patches.requires_grad and not found.pooled.requires_grad
    assert torch.equal(found.patches, expected.patches) and torch.equal(found.pooled, expected.pooled)


def test_timm_encoder_takes_any_size_and_number_of_images(vit):
    images = torch.rand(18, 3, 40, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    whole = functional.interpolate(images, size=(64, 64), mode="bicubic", align_corners=False, antialias=True)
    found = vit(images)
    assert torch.equal(found.patches, vit(whole).patches)
    empty = vit(images[:0])
    assert empty.patches.shape == (0, vit.patch_channels, 4, 4) and empty.pooled.shape == (0, vit.pooled_dim)
    assert vit.patches_only(images[:0]).shape == empty.patches.shape


@pytest.mark.usefixtures("double_inputs")
def test_timm_encoder_gives_each_image_its_own_features(vit):
    images = torch.rand(18, 3, 64, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2 - 1
    exact = in_float64(vit)
    alone = exact(images[[17]]).patches
    torch.testing.assert_close(exact(images).patches[[17]], alone, rtol=1e-9, atol=1e-9)


def test_timm_encoder_refuses_what_is_not_a_batch_of_float_images(vit):
    with pytest.raises(LrcoreError, match="float images"):
        vit(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_hash_is_that_of_the_file_and_the_random_state_is_kept(vit_file):
    before = torch.get_rng_state()
    loaded = load_encoder("test_vit", 64, vit_file)
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.sha256 == hashlib.sha256(Path(vit_file).read_bytes()).hexdigest()
    assert "state_dict" not in loaded.network.pretrained_cfg


def test_alias_loads_the_model_it_stands_for(tmp_path, monkeypatch):
    monkeypatch.setitem(loading.ALIASES, "dinov2b", "vit_small_patch14_reg4_dinov2.lvd142m")  # a quarter the size
    model = random_model("vit_small_patch14_reg4_dinov2", num_classes=0, img_size=28)
    loaded = load_encoder("dinov2b", 28, weights_file(tmp_path, model))
    assert (loaded.name, loaded.grid, loaded.patch_channels) == ("dinov2b", 2, 384)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_weights_in_torchs_format(tmp_path, vit, vit_file, images, wrapper):
    state = timm_model.load_file(vit_file)
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "model.pth")
    loaded = load_encoder("test_vit", 64, str(tmp_path / "model.pth"))
    assert torch.equal(loaded(images).patches, vit(images).patches)


class Intruder:
    """Stands for what a pickle could run."""


def damaged(folder: Path, kind: str, good: str) -> str:
    path = folder / ("model.pth" if kind in ("pickle", "list", "cut pth") else "model.safetensors")
    state = timm_model.load_file(good)
    if kind == "cut":
        path.write_bytes(Path(good).read_bytes()[:-1000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        torch.save({"model": Intruder()}, path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)
    elif kind == "cut pth":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:5000])
    return str(path)


@pytest.mark.parametrize("kind", ["cut", "empty", "pickle", "list", "cut pth"])
def test_damaged_weights_are_named(tmp_path, vit_file, kind):
    path = damaged(tmp_path, kind, vit_file)
    with pytest.raises(LrcoreError, match=r"weights in '.*model\..*' are (damaged|no state dict)"):
        load_encoder("test_vit", 64, path)


def test_missing_weights_file_is_named(tmp_path):
    with pytest.raises(LrcoreError, match=r"no file '.*none.safetensors' \(encoder.weights\)"):
        load_encoder("test_vit", 64, str(tmp_path / "none.safetensors"))


def changed(state: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    key = "blocks.0.mlp.fc1.bias"
    if how == "missing":
        return {name: value for name, value in state.items() if name != key}
    return state | ({"blocks.9.bias": torch.zeros(3)} if how == "unexpected" else {key: torch.zeros(3)})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "Missing key.*blocks.0.mlp.fc1.bias"),
        ("unexpected", "Unexpected key.*blocks.9.bias"),
        ("mismatched", "size mismatch for blocks.0.mlp.fc1.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, vit_file, how, said):
    path = tmp_path / "changed.safetensors"
    save_file(changed(timm_model.load_file(vit_file), how), path)
    with pytest.raises(LrcoreError, match=f"changed.safetensors' are not those of timm model 'test_vit'.*{said}"):
        load_encoder("test_vit", 64, str(path))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit2", "test_convnext"])
def test_weights_of_another_architecture_are_refused(vit_file, name):
    with pytest.raises(LrcoreError, match=f"are not those of timm model '{name}'"):
        load_encoder(name, 64, vit_file)


def test_missing_head_is_fine(tmp_path, vit, vit_file, images):
    path = tmp_path / "headless.safetensors"
    save_file({k: v for k, v in timm_model.load_file(vit_file).items() if not k.startswith("head.")}, path)
    assert torch.equal(load_encoder("test_vit", 64, str(path))(images).pooled, vit(images).pooled)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("test_vit", 100, "multiple of 16 px, such as 96 or 112"),
        ("dinov2b", 128, "multiple of 14 px, such as 126 or 140"),
        ("resnet18", 40, "multiple of 16 px, such as 32 or 48"),
        ("test_vit", -16, "multiple of 16 px, such as 16 or 32"),
        ("efficientnet_lite0", 100, "multiple of 16 px"),
    ],
)
def test_refuses_a_size_before_it_looks_for_weights(name, size, said):
    with pytest.raises(LrcoreError, match=f"encoder size {size} must be a positive {said}"):
        load_encoder(name, size)


def test_models_without_such_features_are_refused():
    with pytest.raises(LrcoreError, match=r"feature maps.*it cannot be an encoder"):
        load_encoder("crossvit_tiny_240", 240)
    with pytest.raises(LrcoreError, match="does not take 64 px"):
        TimmEncoder("fixed", timm.create_model("vit_tiny_patch16_224", num_classes=0), 64, "")


def test_timms_own_weights(monkeypatch, images):
    """What the hub would send; its hash depends on the values only."""
    state = random_model("test_vit").state_dict()
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", lambda *_, **__: dict(state))
    first, second = load_encoder("test_vit", 160), load_encoder("test_vit.r160_in1k", 160)
    reference = timm.create_model("test_vit", num_classes=0).eval()
    reference.load_state_dict(state, strict=False)
    whole = functional.interpolate(images, size=160, mode="bicubic", antialias=True)
    single, exact = timms_tokens(reference, whole), timms_tokens(in_float64(reference), whole.double())
    assert_as_exact(first(images).patches, single[0], exact[0])
    assert first.sha256 == second.sha256 and len(first.sha256) == 64
    state["norm.bias"] = state["norm.bias"] + 1
    assert load_encoder("test_vit", 160).sha256 != first.sha256


def test_weights_that_cannot_be_fetched_are_named(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no route to\nthe hub")

    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", refuse)
    said = (
        r"timm model 'test_vit.r160_in1k' cannot be had .*no route to the hub.*"
        r"model.safetensors of the hub's timm/test_vit.r160_in1k .*encoder.weights"
    )
    with pytest.raises(LrcoreError, match=said):
        load_encoder("test_vit.r160_in1k", 64)


def test_offline_the_hub_is_asked_for_its_cache_only(monkeypatch):
    from huggingface_hub import constants

    seen = []

    def refuse(*_, **__):
        seen.append(constants.HF_HUB_OFFLINE)
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for offline in ("0", "1"):
        monkeypatch.setenv("LRCORE_OFFLINE", offline)
        with pytest.raises(LrcoreError, match="not in the cache") as caught:
            load_encoder("test_vit", 64)
        assert ("LRCORE_OFFLINE forbids the network" in str(caught.value)) == (offline == "1")
    assert seen == [False, True] and constants.HF_HUB_OFFLINE is False


def test_model_without_any_weights_says_so():
    with pytest.raises(
        LrcoreError, match=r"timm has no weights for 'vit_relpos_small_patch16_rpn_224'.*encoder\.weights"
    ):
        load_encoder("vit_relpos_small_patch16_rpn_224", 64)


@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "dinov2b", "resnet18", "resnet18.a1_in1k", loading.ALIASES["dinov2b"]]
)
def test_known_names(name, monkeypatch):
    monkeypatch.setattr(timm, "create_model", None)  # nothing is built
    check_encoder_name(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("vit_base_patch14_reg4_dinov", "vit_base_patch14_reg4_dinov2"),
        ("resnet18.a1_in2k", "resnet18.a1_in1k"),
        ("dinov2", "dinov2b"),
        ("efficientnet_lite", "efficientnet_lite0"),
    ],
)
def test_unknown_names_are_told_the_nearest(name, nearest):
    for check in (check_encoder_name, load_encoder):
        with pytest.raises(LrcoreError, match=f"unknown encoder '{name}'.*did you mean '{nearest}'"):
            check(name)


def test_patches_at_another_grid():
    features = torch.arange(32.0).view(1, 2, 4, 4).requires_grad_()
    assert patches_at(features, (4, 4)) is features
    torch.testing.assert_close(patches_at(features, (2, 2)), functional.avg_pool2d(features, 2))
    larger = functional.interpolate(features, size=(8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(patches_at(features, (8, 8)), larger)
    assert patches_at(features, (2, 6)).shape == (1, 2, 2, 6)
    for grid in ((1, 1), (3, 5), (16, 2)):  # a constant stays what it is
        torch.testing.assert_close(patches_at(torch.ones(1, 1, 4, 4), grid), torch.ones(1, 1, *grid))
    patches_at(features, (3, 7)).sum().backward()
    assert features.grad is not None
    with pytest.raises(LrcoreError, match="patch map"):
        patches_at(features, (0, 2))
    with pytest.raises(LrcoreError, match="patch map"):
        patches_at(features[0], (2, 2))
