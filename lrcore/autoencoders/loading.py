"""Autoencoders in diffusers' layout, from a local folder or by hub id, refused unless whole and of the right class."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from lrcore.assets.cache import is_offline
from lrcore.autoencoders.hub import file_names, is_cached, unreachable
from lrcore.errors import LrcoreError, reason, shown

STEM = "diffusion_pytorch_model"
WEIGHTS = f"{STEM}.safetensors"

_WEIGHT_FILE = re.compile(rf"{STEM}(-\d+-of-\d+)?(?:\.(?P<variant>[^.]+?)(-\d+-of-\d+)?)?\.safetensors")
"""Weights, whole or a shard of them, with the name of their variant, such as "fp16", if they are one."""

BY_HAND = f"To supply it by hand, put its config.json and {WEIGHTS} in a folder and name that folder instead"


def load_model(model_class: Any, source: str | Path, subfolder: str = "", revision: str = "", variant: str = "") -> Any:
    """A `model_class` (a diffusers ModelMixin) with float32 weights, frozen and in eval mode, on the CPU.

    Args:
        model_class: class that the stored `config.json` must name.
        source: a local folder, or a hub id such as "stabilityai/sd-vae-ft-ema", which diffusers fetches and caches.
        subfolder: where in `source` config and weights are, such as "vae".
        revision: branch, tag or commit of a hub id; "" takes the default one.
        variant: of the weights, such as "fp16"; "" takes those without one, or the only variant that there is.

    Raises:
        LrcoreError: nothing there, another class of model, no such variant, weights truncated, missing or of another
            shape; no pickle is ever read.
    """
    where, place = _place(source, subfolder, revision)
    stored = stored_class(source, subfolder, revision)
    if stored != model_class.__name__:
        raise LrcoreError(f"'{where}' holds a {stored}, where a {model_class.__name__} is asked for")
    chosen = _variant(source, subfolder, revision, variant, where, place["local_files_only"]) or None
    try:
        with _without_log():
            model, report = model_class.from_pretrained(
                source,
                torch_dtype=torch.float32,
                use_safetensors=True,
                # else diffusers asks for a library that is not needed here
                low_cpu_mem_usage=False,
                output_loading_info=True,
                variant=chosen,
                **place,
            )
    except (
        *(SafetensorError, RuntimeError, ValueError, TypeError, KeyError, IndexError),
        *(AssertionError, AttributeError, ZeroDivisionError, OverflowError, MemoryError),
    ) as error:
        raise LrcoreError(f"the weights in '{where}' do not fit their config.json: {reason(error)}") from error
    except OSError as error:
        if "Unable to load weights" in str(error):
            raise LrcoreError(f"the weights in '{where}' are damaged or cut short: fetch them again") from error
        raise _missing(where, error) from error
    _check_whole(report, where)
    return model.eval().requires_grad_(False)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """What diffusers logs is nothing but what it raises, which is told once."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def stored_class(source: str | Path, subfolder: str = "", revision: str = "") -> str:
    """The class that the `config.json` of a model names; arguments as for `load_model`.

    Raises:
        LrcoreError: nothing there.
    """
    return str(stored_config(source, subfolder, revision).get("_class_name", "model without a class name"))


def stored_config(source: str | Path, subfolder: str = "", revision: str = "") -> dict[str, Any]:
    """The `config.json` of a model; arguments as for `load_model`.

    Raises:
        LrcoreError: nothing there, no table of keys, a hub that cannot be reached, or weights that are a pickle.
    """
    where, place = _place(source, subfolder, revision)
    _refuse_pickle(Path(source) / subfolder)
    _refuse_pipeline(Path(source) / subfolder, where)
    from diffusers import AutoencoderKL  # seconds, which a hub that does not answer need not wait for

    try:
        config = AutoencoderKL.load_config(source, **place)
    except (OSError, ValueError) as error:
        raise _missing(where, error) from error
    if not isinstance(config, dict):
        raise LrcoreError(f"the config.json of '{where}' is no table of keys, but {shown(config)}")
    return config


def _place(source: str | Path, subfolder: str, revision: str) -> tuple[str, dict[str, Any]]:
    """The model's name in messages, and what diffusers wants to know of where it is."""
    where = f"{source}/{subfolder}".rstrip("/")
    _check_named(source, where)
    local = Path(source).is_dir() or is_offline() or _is_fetched(str(source), subfolder, revision, where)
    return where, {"subfolder": subfolder or None, "revision": revision or None, "local_files_only": local}


def _is_fetched(source: str, subfolder: str, revision: str, where: str) -> bool:
    """Whether a hub that cannot be reached is not needed, since what is asked for was fetched before.

    Raises:
        LrcoreError: it is needed.
    """
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE forbids it" if constants.HF_HUB_OFFLINE else unreachable(constants.ENDPOINT)
    if why and not is_cached(source, f"{subfolder}/config.json".lstrip("/"), revision):
        raise LrcoreError(
            f"autoencoder '{where}' cannot be had: the hub {constants.ENDPOINT} cannot be reached ({why}). {BY_HAND}"
        )
    return bool(why)


def _variant(source: str | Path, subfolder: str, revision: str, wanted: str, where: str, local: bool) -> str:
    """The variant of the weights to read: the one that is `wanted`, else none, else the only one that there is."""
    names = file_names(source, subfolder, revision, local)
    found = {match["variant"] or "" for name in names if (match := _WEIGHT_FILE.fullmatch(name))}
    named = ", ".join(sorted(repr(variant) for variant in found if variant))
    if wanted and found and wanted not in found:
        others = f"variants {named}" if named else "weights without a variant alone"
        raise LrcoreError(f"'{where}' holds no weights of the variant {shown(wanted)}; it has {others}")
    if wanted or "" in found or not found:
        return wanted
    if len(found) > 1:
        raise LrcoreError(f"'{where}' holds weights of the variants {named} alone: name one of them as variant")
    return found.pop()


def _pickles(names: Iterable[str]) -> list[str]:
    """Of the files those that hold the weights as pickles: one, or the shards of one."""
    found = sorted(name for name in names if name.startswith(STEM) and name.endswith(".bin"))
    whole = [name for name in found if "-of-" not in name]
    return whole[:1] or found


def _refuse_pickle(folder: Path) -> None:
    """Refuse a folder whose weights are pickles alone, which may run code, with what converts them."""
    pickles = [folder / name for name in _pickles(path.name for path in folder.glob(f"{STEM}*.bin"))]
    if not pickles or any(folder.glob("*.safetensors")):
        return
    pickle = pickles[0]
    program = (
        "import torch; from safetensors.torch import save_file; "
        f"files = {[str(path) for path in pickles]!r}; found = {{}}; "
        "[found.update(torch.load(file, map_location='cpu', weights_only=True)) for file in files]; "
        "save_file({name: value.contiguous().clone() for name, value in found.items()}, "
        f"{str(folder / WEIGHTS)!r}, {{'format': 'pt'}})"
    )
    raise LrcoreError(
        f"'{pickle}' is a pickle, which may run code, and is not read; convert it once: "
        f"python -c {shlex.quote(program)}"
    )


def _refuse_pipeline(folder: Path, where: str) -> None:
    """Refuse a folder that holds a whole pipeline, with the key that says which part is asked for."""
    if not (folder / "model_index.json").is_file() or (folder / "config.json").is_file():
        return
    inside = sorted(path.parent.name for path in folder.glob("*/config.json") if "vae" in path.parent.name)
    named = " or ".join(f'subfolder = "{name}"' for name in inside) or "no part of it is called vae"
    raise LrcoreError(f"'{where}' holds a whole pipeline (model_index.json), not an autoencoder: {named}")


def _check_named(source: str | Path, where: str) -> None:
    """Refuse what can be no hub id before the network is asked for it."""
    text = str(source)
    if not Path(source).is_dir() and (os.sep + os.sep in text or text.startswith((".", os.sep, "~")) or
                                      text.count("/") > 1):  # fmt: skip
        raise LrcoreError(f"'{where}' is no folder; an autoencoder is a folder with config.json and {WEIGHTS}")


def _missing(where: str, error: Exception) -> LrcoreError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return LrcoreError(f"autoencoder '{where}' cannot be had: {reason} {BY_HAND}")


def _check_whole(report: dict[str, Any], where: str) -> None:
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        wrong = [str(key) for key in report.get(kind) or []]
        if wrong:
            some = ", ".join(wrong[:3]) + (", ..." if len(wrong) > 3 else "")
            raise LrcoreError(
                f"the weights in '{where}' do not fit their config.json: {len(wrong)} {kind.replace('_', ' ')}: {some}"
            )
