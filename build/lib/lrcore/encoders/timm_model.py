"""Any image model of timm as a frozen vision encoder; `lrcore.encoders.loading.load_encoder` is the way in.

Transformers (every level of the same stride) are read at their last block, after the final normalisation, class and
register tokens left out; other networks at their last feature map of stride 16. Both through timm's
`forward_intermediates`, whose weights are timm's own download or a file supplied by hand.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lrcore.assets.cache import is_offline
from lrcore.encoders.base import VisionEncoder, check_size, resized
from lrcore.errors import LrcoreError
from lrcore.runtime.files import sha256_of

MAP_STRIDE = 16
"""Stride of the feature map taken from a network whose resolution falls with depth."""

_WRAPPERS = ("state_dict", "model")
"""Keys under which checkpoints of other programs keep the state dict."""

_CLASSIFIERS = ("head.weight", "head.bias", "fc.weight", "fc.bias")
"""A classifier's tensors in the layouts that timm converts while it loads."""


class TimmEncoder(VisionEncoder):
    """A timm model behind the interface of `VisionEncoder`.

    `Features.patches` is (B, C, h, w); for a transformer exactly the patch tokens of timm's `forward_features`.
    `Features.pooled` is timm's `forward_head(..., pre_logits=True)`: the class token or a mean of the tokens where
    the model classifies by it, the global pool of the last feature map elsewhere.
    """

    def __init__(self, name: str, network: Any, size: int, sha256: str) -> None:
        """`network`: made by `timm.create_model` for inputs of `size` px; it is not copied.

        Raises:
            LrcoreError: the network offers no such features, or does not take images of `size` px.
        """
        super().__init__(name, network, size, sha256)
        self._level, _ = _level(network)
        self._is_last = self._level == len(network.feature_info) - 1
        for key in ("mean", "std"):
            values = torch.tensor(network.pretrained_cfg[key], dtype=torch.float32).view(1, -1, 1, 1)
            self.register_buffer(f"_{key}", values, persistent=False)
        self._measure()

    def _stride(self, network: Any) -> int:
        return _level(network)[1]

    def _prepared(self, network: Any) -> nn.Module:
        prepared: nn.Module = network.float()
        return prepared

    def _measure(self) -> None:
        """Take the shapes of the features from one image rather than from timm's tables."""
        try:
            found = self(torch.zeros(1, 3, self.size, self.size))
        # Networks refuse a size by whatever their layers raise.
        except Exception as error:
            raise LrcoreError(f"encoder {self.name!r} does not take {self.size} px: {_reason(error)}") from error
        if found.pooled.ndim != 2 or found.patches.ndim != 4 or found.patches.shape[2] != found.patches.shape[3]:
            raise LrcoreError(
                f"encoder {self.name!r} gives patches {tuple(found.patches.shape)} and pooled features "
                f"{tuple(found.pooled.shape)} at {self.size} px, not (B, C, h, h) and (B, D): another model is needed"
            )
        self.patch_channels, self.pooled_dim = found.patches.shape[1], found.pooled.shape[1]
        self.grid = found.patches.shape[2]  # less than size / stride where convolutions leave out the border

    def _input(self, images: Tensor) -> Tensor:
        mean, std = self.get_buffer("_mean"), self.get_buffer("_std")
        return ((resized(images, self.size) + 1) / 2 - mean) / std

    def _patches(self, inputs: Tensor) -> Tensor:
        if not len(inputs):
            return inputs.new_zeros(0, self.patch_channels, self.grid, self.grid)
        network: Any = self.network
        maps = network.forward_intermediates(
            inputs, indices=[self._level], norm=self._is_last, stop_early=True, intermediates_only=True
        )
        patches: Tensor = maps[0]
        return patches

    def _read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        if not len(inputs):  # transformers cannot reshape an empty batch
            return self._patches(inputs), inputs.new_zeros(0, self.pooled_dim)
        network: Any = self.network
        last, maps = network.forward_intermediates(inputs, indices=[self._level], norm=self._is_last, stop_early=False)
        return maps[0], network.forward_head(last, pre_logits=True)


def load(name: str, model: str, size: int, weights: str = "") -> TimmEncoder:
    """timm's `model` as the encoder `name`, on the CPU. Leaves torch's random state alone.

    Args:
        name: what the encoder is called.
        model: timm's name of the architecture, with or without a tag.
        size: of the input, in px.
        weights: a local state dict; "" takes timm's own.

    Raises:
        LrcoreError: see `lrcore.encoders.loading.load_encoder`.
    """
    with torch.random.fork_rng(devices=[]):
        blank = _skeleton(model, num_classes=0)
        check_size(size, _level(blank)[1])  # before anything is fetched
        if weights:
            path = Path(weights).expanduser()
            state = _without_head(_read_state(path), blank, _skeleton(model, num_classes=2))
            network = _with_state(model, size, blank.pretrained_cfg, state, path)
            digest = sha256_of(path)
        else:
            network = _with_timms_weights(model, size, blank.pretrained_cfg)
            digest = _state_sha256(network.state_dict())
        return TimmEncoder(name, network, size, digest)


def check_takes(model: str, size: int) -> None:
    """Check that timm's `model` can be an encoder at `size` px, as far as that shows without weights.

    Raises:
        LrcoreError: it has no feature maps, or `size` is not whole patches.
    """
    with torch.random.fork_rng(devices=[]):
        check_size(size, _level(_skeleton(model, num_classes=0))[1])


def nearest_names(name: str, others: Sequence[str]) -> tuple[str, ...] | None:
    """None where timm has the model `name`, else `others` and the names of timm nearest to it.

    A known architecture with an unknown tag counts as unknown; its tags are then the names it is compared with.
    """
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if timm.is_model(architecture):
        if not tag or _has_tag(name):
            return None
        known = timm.list_models(f"{architecture}.*", pretrained=True) or known
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    # Of names equally near, those of this package go first.
    if near and _likeness(near[0], name) <= max(_likeness(other, name) for other in others):
        near = []
    return (*others, *near)


def _has_tag(name: str) -> bool:
    try:
        timm.models.get_pretrained_cfg(name)
    except RuntimeError:
        return False
    return True


def _likeness(candidate: str, name: str) -> float:
    return difflib.SequenceMatcher(None, candidate, name).ratio()


def _level(network: Any) -> tuple[int, int]:
    """Index and stride of the feature map that is taken for the patches."""
    info = getattr(network, "feature_info", None)
    if not info or not hasattr(network, "forward_intermediates"):
        raise LrcoreError(f"timm model {type(network).__name__} offers no feature maps: it cannot be an encoder")
    strides = [int(level["reduction"]) for level in info]
    if len(set(strides)) == 1:
        return len(strides) - 1, strides[0]
    if MAP_STRIDE not in strides:
        raise LrcoreError(
            f"timm model {type(network).__name__} has feature maps of strides {strides}, none of {MAP_STRIDE}: "
            "it cannot be an encoder"
        )
    return len(strides) - 1 - strides[::-1].index(MAP_STRIDE), MAP_STRIDE


def _skeleton(model: str, num_classes: int) -> Any:
    """The model at its own size, for the structure only: without memory for its weights where timm can do that."""
    try:
        with torch.device("meta"):
            return timm.create_model(model, num_classes=num_classes)
    except RuntimeError:  # older releases compute with values while they build
        return timm.create_model(model, num_classes=num_classes)


def _create(model: str, size: int, about: Mapping[str, Any], **overlay: Any) -> Any:
    """The model without classifier, for inputs of `size` px, with the weights that `overlay` leads timm to.

    `about`: timm's `pretrained_cfg` of it.
    """
    # Models of a fixed input size have position embeddings, which timm resamples when it is told another size.
    options = {"img_size": size} if about.get("fixed_input_size") else {}
    return timm.create_model(
        model, pretrained=True, pretrained_cfg_overlay=overlay or None, num_classes=0, **options
    ).eval()


def _with_timms_weights(model: str, size: int, about: Mapping[str, Any]) -> Any:
    hub_id, url = about.get("hf_hub_id"), about.get("url")
    if not hub_id and not url:
        raise LrcoreError(f"timm has no weights for {model!r}: name a file with its state dict in encoder.weights")
    try:
        with _hub_as_allowed():
            return _create(model, size, about)
    # The hub, its HTTP client, torch's downloads and timm's converters each raise errors of their own.
    except Exception as error:
        source = f"model.safetensors of the hub's {hub_id}" if hub_id else url
        offline = " (LRCORE_OFFLINE forbids the network)" if is_offline() else ""
        raise LrcoreError(
            f"the weights of timm model {model!r} cannot be had for {size} px: {_reason(error)}{offline}; "
            f"to supply them by hand, download {source} and name that file in encoder.weights"
        ) from error


@contextmanager
def _hub_as_allowed() -> Iterator[None]:
    """Keeps the hub's client to its cache while LRCORE_OFFLINE forbids the network."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or is_offline()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _with_state(model: str, size: int, about: Mapping[str, Any], state: dict[str, Tensor], path: Path) -> Any:
    """The model with `state`, every tensor of it used and none missing, converted by timm as its own downloads are."""
    try:
        # timm loads strictly only where the source is said to have as many classes as the model: none.
        network = _create(model, size, about, state_dict=state, num_classes=0, label_offset=None)
    # On another model's tensors a converter of timm may fail in any way.
    except Exception as error:
        raise LrcoreError(
            f"the weights in '{path}' are not those of timm model {model!r}, or cannot be brought to {size} px: "
            f"{_reason(error)}"
        ) from error
    network.pretrained_cfg.pop("state_dict", None)  # else a second copy stays in memory
    return network


def _without_head(state: Mapping[str, Tensor], blank: Any, whole: Any) -> dict[str, Tensor]:
    """`state` without the tensors that the model has only with a classifier, `whole`, and not without, `blank`."""
    kept = blank.state_dict().keys()
    head = (whole.state_dict().keys() | set(_CLASSIFIERS)) - kept
    return {key: value for key, value in state.items() if key not in head}


def _read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file, or in one of `torch.save`, of which nothing is run."""
    if not path.is_file():
        raise LrcoreError(f"there is no file '{path}' (encoder.weights)")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    # torch's reader passes on whatever a damaged archive or pickle makes its parts raise.
    except Exception as error:
        raise LrcoreError(f"the weights in '{path}' are damaged or no state dict: {_reason(error)}") from error
    for key in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise LrcoreError(f"the weights in '{path}' are no state dict: a mapping of names to tensors is needed")
    return dict(found)


def _state_sha256(state: Mapping[str, Tensor]) -> str:
    """Over name, kind, shape and bytes of every tensor, in the order of the names."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    """An error in one line of bounded length."""
    said = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {said if len(said) <= 300 else said[:297] + '...'}"
