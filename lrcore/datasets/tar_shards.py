"""Images in tar archives in WebDataset's layout (Aizman, Maltby and Breuel 2019, arXiv 2001.01858).

Members of one sample share their path up to the first dot of the file name: `n01440764_10026.jpg` and
`n01440764_10026.cls`, the class as decimal text. Members of other endings are passed over.
"""

from __future__ import annotations

import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from lrcore.errors import LrcoreError

IMAGE_MEMBERS = ("jpg", "jpeg", "png", "webp")
LABEL_MEMBER = "cls"

_Sample = tuple[str, int, int, int]
"""Key; place and size in bytes of the image in the shard; class."""


@dataclass(frozen=True)
class TarImages:
    """Where in which shard each image lies: `shard`, `offset` (bytes), `size` (bytes) and `labels`, int64 (N,) each."""

    files: list[Path]
    keys: list[str]
    shard: Tensor
    offset: Tensor
    size: Tensor
    labels: Tensor

    @classmethod
    def index(cls, files: list[Path]) -> TarImages:
        """Reads the header of every member once, and the classes, but no image.

        Raises:
            LrcoreError: a shard cannot be read or is compressed, or a sample has not one image and one class.
        """
        with ThreadPoolExecutor() as pool:  # several shards at a time, for storage that takes its time
            shards = list(pool.map(_samples, files))
        samples = [sample for shard in shards for sample in shard]
        if not samples:
            raise LrcoreError(f"'{files[0]}'{' and the other shards' if len(files) > 1 else ''} hold no samples")
        keys, offset, size, labels = zip(*samples, strict=True)
        shard = torch.arange(len(files)).repeat_interleave(torch.tensor([len(shard) for shard in shards]))
        return cls(files, list(keys), shard, torch.tensor(offset), torch.tensor(size), torch.tensor(labels))

    def open(self, number: int) -> BytesIO:
        """The bytes of the image.

        Raises:
            OSError: the shard is gone, or shorter than it was.
        """
        size = int(self.size[number])
        with self.files[int(self.shard[number])].open("rb", buffering=0) as file:
            file.seek(int(self.offset[number]))
            found = file.read(size)
        if len(found) != size:
            raise OSError(f"the shard ends after {len(found)} of {size} bytes")
        return BytesIO(found)

    def name(self, number: int) -> str:
        """Shard and key."""
        return f"{self.files[int(self.shard[number])]}:{self.keys[number]}"


def _samples(file: Path) -> list[_Sample]:
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                stem, _, ending = name.partition(".")
                key, ending = f"{folder}/{stem}" if folder else stem, ending.lower()
                if not member.isreg() or ending not in (*IMAGE_MEMBERS, LABEL_MEMBER):
                    continue
                if key in (labels if ending == LABEL_MEMBER else images):
                    raise LrcoreError(f"shard '{file}': sample '{key}' has more than one image or class")
                if ending == LABEL_MEMBER:
                    labels[key] = _label(file, member, archive)
                else:
                    images[key] = member.offset_data, member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        raise LrcoreError(f"shard '{file}' cannot be read as an uncompressed tar archive: {error}") from error
    lone = sorted(images.keys() ^ labels.keys())
    if lone:
        lacks = "image" if lone[0] in labels else f"class ({LABEL_MEMBER})"
        raise LrcoreError(f"shard '{file}': {len(lone)} samples lack a part; the first, '{lone[0]}', lacks its {lacks}")
    return [(key, *place, labels[key]) for key, place in images.items()]


def _label(file: Path, member: tarfile.TarInfo, archive: tarfile.TarFile) -> int:
    content = archive.extractfile(member)
    text = content.read().strip() if content is not None else b""
    if not text.isdigit():
        raise LrcoreError(f"shard '{file}': '{member.name}' must hold a class as decimal digits, got {text[:40]!r}")
    return int(text)
