"""Your own autoencoder: one small file, or one entry point of your package.

    # my_autoencoder.py
    from torch import nn
    from lrcore.autoencoders.base import Autoencoder, LatentShape

    class Mine(Autoencoder):
        def __init__(self, resolution):
            super().__init__()
            grid = (resolution // 4, resolution // 4)
            self.shape = LatentShape(resolution, grid, channels_per_token=48, patch=4)
            self.down, self.up = nn.PixelUnshuffle(4), nn.PixelShuffle(4)

        def encode_batch(self, images):                       # float32 in [-1, 1], (B, 3, H, W)
            return 2 * self.down(images + 0.05).flatten(2).transpose(1, 2)   # tokens of mean 0, deviation 1

        def decode_batch(self, tokens):
            return self.up(tokens.transpose(1, 2).unflatten(2, self.shape.grid)) / 2 - 0.05

A study takes it by file, or by the name of an entry point in the group `lrcore.autoencoders`:

    # mine.toml
    extends = "smoke"

    [autoencoders.mine]
    family = "my_autoencoder.py:Mine"

    [[grid]]
    ae = ["sd", "flux1", "flux2", "rae", "mine"]
    trainp = ["ln"]
    trainshift = [1.00]
    repa = ["none"]

    # pyproject.toml of a package that ships it
    [project.entry-points."lrcore.autoencoders"]
    mine = "my_package.autoencoder:Mine"

What is named, a class or a function, is called with the study's resolution and must return an `Autoencoder`. Further
arguments stand in the study, so that one class serves several autoencoders; a file may hold several classes, too:

    [autoencoders.wide]
    family = "my_autoencoder.py:Wide"
    options = { channels = 32, weights = "wide.safetensors" }

The file is Python that runs with
your rights: `python -m lrcore.train`, `lrcore.reconstruct` and their workers run it, `--plan` and `python -m
lrcore.status` never do. It is found beside the study's file, and while it is imported its folder stands first on
`sys.path`, so that it may import its neighbours; import them at its top, since later the folder is gone from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import torch

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.normalised import tried
from lrcore.errors import LrcoreError, reason, shown, unknown
from lrcore.runtime.files import sha256_of
from lrcore.spec.study import AUTOENCODER_FAMILIES, NO_OPTIONS, Options, written

GROUP = "lrcore.autoencoders"


def check_custom_name(name: str) -> None:
    """Refuse what is neither an entry point nor `file.py:name`, without running anything.

    Raises:
        LrcoreError: unknown entry point, with the nearest match; or no such file.
    """
    if ".py:" in name:
        path = _parts(name)[0]
        if not _is_file(path):
            raise LrcoreError(f"autoencoder file {shown(path.name)} does not exist in {str(path.parent.resolve())!r}")
    elif name not in _entry_points():
        raise unknown("autoencoder family", name, [*AUTOENCODER_FAMILIES, *_entry_points(), "file.py:name"])


def custom_fingerprint(name: str, autoencoder: Autoencoder) -> str:
    """What the autoencoder `name` is: the sha256 of its file, or its package and version; that of its weights; and what
    it makes of two random images, since code that it imports may change it, too.
    """
    digest = hashlib.sha256()
    for key, value in autoencoder.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return f"{code_fingerprint(name)} {digest.hexdigest()} {_trial_fingerprint(autoencoder)}"


def _trial_fingerprint(autoencoder: Autoencoder) -> str:
    """Tokens and decoded images of the trial as a few numbers, to a thousandth.

    Processors and numbers of threads round differently, by about 1e-6 in a value: of thousands of values one would
    always fall to the other side of whatever they are rounded to. So they are summed up first, with fixed random
    weights that tell apart any two results; a sum over n values is divided by the root of n, so that it is as large as
    one value, and its error moves one of these numbers in thousands. Taken on the CPU, which loading has tried out.
    "random" where two trials with the same seed of torch differ: then nothing can be said.
    """
    device = autoencoder.device

    def trial() -> list[int]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            inside = tried(autoencoder)
            tokens = inside.encode(trial_images(inside.shape.resolution))
            results = (tokens, inside.decode(tokens))
        return [number for result in results for number in _summed_up(result)]

    try:
        autoencoder.to("cpu")
        first = trial()
        return " ".join(map(str, first)) if first == trial() else "random"
    finally:
        autoencoder.to(device)


def _summed_up(values: torch.Tensor) -> list[int]:
    """Two sums of all values with random weights, and the root of their mean square, in thousandths."""
    flat = values.detach().double().flatten()
    weights = torch.randn(2, len(flat), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = [*(weights @ flat / len(flat) ** 0.5).tolist(), flat.square().mean().sqrt().item()]
    return [round(1000 * value) for value in sums]


def code_fingerprint(name: str) -> str:
    """What the code of the autoencoder `name` is, found out without running it; its neighbours are not looked at."""
    if ".py:" in name:
        return sha256_of(_parts(name)[0])
    package = _entry_points()[name].dist
    return f"{package.name} {package.version}" if package else name


def load_custom(name: str, resolution: int, options: Options = NO_OPTIONS) -> Autoencoder:
    """The autoencoder that `name` makes at `resolution`, with `options` as further arguments, after a trial on random
    images.

    It is made with torch's random numbers from a fixed seed, so that weights drawn at random are the same every time.

    Raises:
        LrcoreError: it cannot be imported or made, or does not keep to the interface; with what is wrong.
    """
    check_custom_name(name)
    called = written(name)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = _factory(name)(resolution, **options.keywords())
    except LrcoreError:
        raise
    except (Exception, SystemExit) as error:
        raise LrcoreError(f"autoencoder '{called}' cannot be made: {reason(error)}") from error
    if not isinstance(made, Autoencoder):
        raise LrcoreError(f"'{called}' gave a {type(made).__name__}, not an lrcore.autoencoders.base.Autoencoder")
    if "_modules" not in vars(made):
        raise LrcoreError(
            f"__init__ of '{called}' must call super().__init__() first: an Autoencoder is a torch module"
        )
    made.eval().requires_grad_(False)
    _try_out(tried(made), called, resolution)
    return made


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def _entry_points() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=GROUP)}


def _parts(name: str) -> tuple[Path, str]:
    path, _, attribute = name.rpartition(":")
    return Path(path), attribute


def _factory(name: str) -> Callable[..., Any]:
    if ".py:" not in name:
        made: Callable[..., Any] = _entry_points()[name].load()
        return made
    path, attribute = _parts(name)
    path = path.resolve()
    # files of one name in two folders are two modules
    place = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    specification = importlib.util.spec_from_file_location(f"lrcore_custom_{path.stem}_{place}", path)
    if specification is None or specification.loader is None:
        raise LrcoreError(f"'{path}' is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up there
    with _neighbours(path.parent):
        specification.loader.exec_module(module)
    if not hasattr(module, attribute):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise unknown(f"name in '{_parts(written(name))[0]}'", attribute, public)
    found: Callable[..., Any] = getattr(module, attribute)
    return found


def trial_images(resolution: int) -> torch.Tensor:
    """Two random images, uint8 (2, 3, resolution, resolution), the same every time."""
    pixels = torch.randint(0, 256, (2, 3, resolution, resolution), generator=torch.Generator().manual_seed(0))
    return pixels.to(torch.uint8)


@contextlib.contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """Let modules of `folder` be imported inside; afterwards they are known to those that imported them alone.

    So neighbours of one name in two folders never stand for one another, nor for modules that are imported elsewhere.
    """
    importlib.invalidate_caches()  # the files may have been written a moment ago
    own = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    own -= {*sys.stdlib_module_names, "lrcore"}
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] in own}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the module took it away itself
            sys.path.remove(str(folder))
        for name in [*sys.modules]:
            if name.partition(".")[0] in own:
                del sys.modules[name]
        sys.modules.update(hidden)


def _try_out(autoencoder: Autoencoder, name: str, resolution: int) -> None:
    """Two random images there and back, so that a slip shows before hours of training."""
    shape = getattr(autoencoder, "shape", None)
    if not isinstance(shape, LatentShape):
        raise LrcoreError(f"'{name}' must set self.shape to a LatentShape, it is {shape!r}")
    if shape.resolution != resolution:
        raise LrcoreError(f"'{name}' has shape.resolution {shape.resolution}, the study {resolution}")
    pixels = trial_images(resolution)
    try:
        tokens = autoencoder.encode(pixels)
        if tuple(tokens.shape) != (2, shape.tokens, shape.channels_per_token):
            wanted = f"(2, {shape.tokens}, {shape.channels_per_token})"
            raise LrcoreError(f"encode_batch of '{name}' gave {tuple(tokens.shape)}, its shape says {wanted}")
        images = autoencoder.decode(tokens)
    except LrcoreError:
        raise
    except Exception as error:
        raise LrcoreError(f"'{name}' failed on two random images: {reason(error)}") from error
    if images.shape != pixels.shape:
        raise LrcoreError(f"decode_batch of '{name}' gave {tuple(images.shape)}, not {tuple(pixels.shape)}")
    if not (torch.isfinite(tokens).all() and torch.isfinite(images).all()):
        raise LrcoreError(f"'{name}' gave NaN or infinite values for random images")
