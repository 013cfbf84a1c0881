"""Frozen pretrained networks, built from the cache without a download of their libraries' own.

    python -m lrcore.assets fetch      has them all ready

Every network comes in eval mode with gradients off for its weights (gradients still flow to its input), on the
CPU, in float32, and leaves torch's random state alone. The libraries are imported where they are used, since each
takes seconds.
"""

from __future__ import annotations

import functools
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lrcore.assets import cache, table
from lrcore.assets.archives import INCEPTION_CONVOLUTIONS
from lrcore.errors import unknown

_BACKBONES = {"vgg": "lpips_vgg16", "alex": "lpips_alexnet"}


def sha256(name: str) -> str:
    """The sha256 of an asset's cached file, for the protocol columns: found from its bytes, once in a process.

    Raises:
        LrcoreError: unknown name; or the file is not the pinned one, though it may have been when it was fetched.
    """
    path = cache.fetch(name)
    status = path.stat()
    return _checked_sha256(name, path, status.st_size, status.st_mtime_ns)


@functools.cache
def _checked_sha256(name: str, path: Path, size: int, changed: int) -> str:
    cache.require_pinned(name)
    return table.asset(name).sha256


@functools.cache  # every training and every comparison asks for it, and timm takes as long as a small training
def efficientnet_lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with ImageNet weights and classifier: timm's `tf_efficientnet_lite0`.

    Built once and shared: copy it before you change it.

    Input: float (B, 3, H, W); the network was trained on (pixels - 127) / 128, which images in [-1, 1] meet to 1/128.
    Output: logits (B, 1000); `forward_features` gives (B, 1280, H/32, W/32). Source: Tan and Le, 2019.
    """
    import timm

    with torch.device("meta"):
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(_weights("efficientnet_lite0"), assign=True)
    return _frozen(network)


def lpips_backbone(net: str) -> dict[str, torch.Tensor]:
    """The convolutions of torchvision's VGG16 (`vgg`) or AlexNet (`alex`), named `features.<i>.weight` and `.bias`.

    Raises:
        LrcoreError: `net` is neither.
    """
    if net not in _BACKBONES:
        raise unknown("LPIPS network", net, _BACKBONES)
    return _weights(_BACKBONES[net])


def lpips_metric(net: str, weighted: bool) -> torch.nn.Module:
    """The lpips package's distance (version 0.1; Zhang et al., 2018) of two batches in [-1, 1], (B, 3, H, W).

    Args:
        net: "vgg" or "alex".
        weighted: True takes the linear heads learned from human judgements, the usual LPIPS; False sums the squared
            differences of the unit-normalised features, the package's `lpips=False`.

    Returns:
        An `lpips.LPIPS`, whose output has shape (B, 1, 1, 1).
    """
    backbone = lpips_backbone(net)
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):
        # lpips asks torchvision for its networks in a way that newer torchvision calls deprecated.
        warnings.filterwarnings("ignore", module=r"torchvision\.models")
        metric = lpips.LPIPS(net=net, lpips=weighted, pretrained=False, pnet_rand=True, verbose=False)
    # lpips cuts torchvision's `features` into slices but keeps the positions: slice2.5.weight is features.5.weight.
    state = {name: backbone["features." + name.split(".", 1)[1]] for name in metric.net.state_dict()}
    metric.net.load_state_dict(state, assign=True)
    if weighted:
        heads = torch.load(
            Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth", map_location="cpu", weights_only=True
        )
        metric.load_state_dict(heads, assign=True, strict=False)
    return _frozen(metric)


def inception2015() -> torch.nn.Module:
    """The Inception of the Frechet Inception distance: torch-fidelity's network with the weights of the 2015 graph.

    Input: uint8 (B, 3, H, W), resized inside as TensorFlow 1 did. Output: a tuple of one float32 tensor (B, 2048).
    Without the classifier, so no Inception Score. Source: Heusel et al., 2017.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    state: dict[str, Any] = dict(_weights("inception2015"))
    for layer in INCEPTION_CONVOLUTIONS:
        state[f"{layer}.bn.weight"] = torch.ones_like(state[f"{layer}.bn.bias"])  # the graph has no scale
        state[f"{layer}.bn.num_batches_tracked"] = torch.tensor(0)
    state["fc.weight"], state["fc.bias"] = torch.zeros(1008, 2048), torch.zeros(1008)
    # The constructor reads a checkpoint, or downloads one: it gets ours, pickled here and never on disk.
    checkpoint = io.BytesIO()
    torch.save(state, checkpoint)
    checkpoint.seek(0)
    with torch.random.fork_rng(devices=[]):
        network = FeatureExtractorInceptionV3("inception2015", ["2048"], feature_extractor_weights_path=checkpoint)
    del network.fc
    return _frozen(network)


def _weights(name: str) -> dict[str, torch.Tensor]:
    return load_file(cache.fetch(name))


def _frozen(network: torch.nn.Module) -> torch.nn.Module:
    return network.eval().requires_grad_(False)
