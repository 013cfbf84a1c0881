"""Images in tar archives in WebDataset's layout (Aizman, Maltby and Breuel 2019, arXiv 2001.01858).

Members of one sample share their path up to the first dot of the file name: `n01440764_10026.jpg` and
`n01440764_10026.cls`, the class as text: an integer or a name. Members of other endings are passed over and counted.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from lrcore.datasets.classes import Labels
from lrcore.datasets.listing import IMAGE_ENDINGS, is_hidden, shown
from lrcore.errors import LrcoreError

IMAGE_MEMBERS = tuple(ending.removeprefix(".") for ending in IMAGE_ENDINGS)
LABEL_MEMBER = "cls"

LONGEST_LABEL = 1024
"""Bytes of the text of a class."""

_Sample = tuple[str, int, int, str]
"""Key; place and size in bytes of the image in the shard; class."""


@dataclass
class TarImages:
    """Where in which shard each image lies: `shard`, `offset` and `size` in bytes, int64 (N,) each; and `labels`.

    `others`: the members that were passed over, by their endings; `hint`: why, where a dot in a name is to blame.
    """

    files: list[Path]
    keys: list[str]
    shard: Tensor
    offset: Tensor
    size: Tensor
    labels: Labels
    others: Counter[str]
    hint: str

    @classmethod
    def index(cls, files: list[Path]) -> TarImages:
        """Reads the header of every member once, and the classes, but no image.

        Raises:
            LrcoreError: a shard cannot be read or is compressed, or a sample has not one image and one class.
        """
        with ThreadPoolExecutor() as pool:  # several shards at a time, for storage that takes its time
            shards = list(pool.map(_samples, files))
        samples = [sample for shard in shards for sample in shard.samples]
        hint = next((shard.hint for shard in shards if shard.hint), "")
        if not samples:
            rest = " and the other shards" if len(files) > 1 else ""
            raise LrcoreError(f"'{files[0]}'{rest} hold no samples{hint}")
        keys, offset, size, labels = zip(*samples, strict=True)
        shard = torch.arange(len(files)).repeat_interleave(torch.tensor([len(shard.samples) for shard in shards]))
        others = sum((shard.others for shard in shards), Counter[str]())
        return cls(files, list(keys), shard, torch.tensor(offset), torch.tensor(size), Labels.of(labels), others, hint)

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


@dataclass(frozen=True)
class _Shard:
    """Of one shard; `others` and `hint` as in `TarImages`."""

    samples: list[_Sample]
    others: Counter[str]
    hint: str


def _samples(file: Path) -> _Shard:
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    others: Counter[str] = Counter()
    dotted: dict[str, str] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                hidden = any(is_hidden(part) for part in member.name.split("/") if part not in (".", ".."))
                if hidden or not member.isreg():
                    continue
                stem, _, ending = name.partition(".")
                key, ending = f"{folder}/{stem}" if folder else stem, ending.lower()
                if ending not in (*IMAGE_MEMBERS, LABEL_MEMBER):
                    others[ending] += 1
                    if ending.rpartition(".")[2] in (*IMAGE_MEMBERS, LABEL_MEMBER):
                        dotted[key] = member.name
                    continue
                if key in (labels if ending == LABEL_MEMBER else images):
                    raise LrcoreError(f"shard '{file}': sample '{shown(key)}' has more than one image or class")
                if ending == LABEL_MEMBER:
                    labels[key] = _label(file, member, archive)
                else:
                    images[key] = member.offset_data, member.size
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise LrcoreError(f"shard '{file}' cannot be read as an uncompressed tar archive: {error}") from error
    lone = sorted(images.keys() ^ labels.keys())
    if lone:
        lacks = "image" if lone[0] in labels else f"class ({LABEL_MEMBER})"
        raise LrcoreError(
            f"shard '{file}': {len(lone)} samples lack a part; the first, '{shown(lone[0])}', lacks its {lacks}"
            f"{_hint(dotted.get(lone[0]))}"
        )
    unused = next((name for key, name in dotted.items() if key not in images), None)
    return _Shard([(key, *place, labels[key]) for key, place in images.items()], others, _hint(unused))


def _hint(dotted: str | None) -> str:
    """Why a member with more than one dot in its name is no image or class of a sample."""
    if dotted is None:
        return ""
    stem, _, ending = dotted.rpartition("/")[2].partition(".")
    return (
        f"; keys end at the first dot of the file name, so '{shown(dotted)}' is the '{shown(ending)}' of sample "
        f"'{shown(stem)}': put another sign in the place of its dots"
    )


def _label(file: Path, member: tarfile.TarInfo, archive: tarfile.TarFile) -> str:
    content = archive.extractfile(member)
    found = content.read(LONGEST_LABEL + 1).strip() if content is not None else b""
    try:
        text = found.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(found) > LONGEST_LABEL:
        raise LrcoreError(
            f"shard '{file}': '{shown(member.name)}' must hold a class as up to {LONGEST_LABEL} bytes of UTF-8, "
            f"got {found[:40]!r}"
        )
    return text
